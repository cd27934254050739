"""Nitrogen through a Bronkhorst instead of the bundled benches' Alicat, on each of its three links."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from labctl.bench.discovery import drivers
from labctl.bench.loader import bundled_benches, check_bench
from labctl.bench.schema import Bench
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.runtime.clock import VirtualClock
from labctl.runtime.record import InMemory
from labctl_simulators.devices.bronkhorst import ElFlow
from tests.runtime.rehearsals import TOUCH_OF_HEAT, plan_of, rehearse


def bench_with(protocol: str) -> Bench:
    """The small bench; the controller offers no pressure, and the bench is sound nevertheless."""
    document = yaml.safe_load(bundled_benches()["small"].read_text())
    document["instruments"]["nitrogen"] |= {
        "driver": "bronkhorst",
        "serial_number": "M21201234A",
        "options": {"protocol": protocol, "gas": "N2", "full_scale_sccm": 1000},
    }
    bench, findings = check_bench(yaml.safe_dump(document, sort_keys=False), "bench.yaml")
    assert findings == []
    assert bench is not None
    return bench


@pytest.mark.parametrize("protocol", ["ascii", "binary", "modbus"])
def test_a_run_under_its_nitrogen_completes(tmp_path: Path, protocol: str) -> None:
    done = rehearse(tmp_path / "run", TOUCH_OF_HEAT, bench=bench_with(protocol))
    assert done.end_state == "COMPLETE"
    assert not [e for e in done.events if e.kind == "alarm"]


def test_a_controller_that_reboots_while_hot_stops_the_heat_and_gas_flows_again(tmp_path: Path) -> None:
    bench = bench_with("ascii")
    record, clock = InMemory(), VirtualClock()
    with Rehearsal(
        bench, drivers(), plan_of(tmp_path, bench, TOUCH_OF_HEAT), seed=3, record=record, clock=clock
    ) as rehearsal:
        rehearsal.submit("run-1", {})
        controller, nitrogen = rehearsal.controller, rehearsal.twin.plant.devices["nitrogen"]
        assert isinstance(nitrogen, ElFlow)
        controller.run(lambda: ramping(record.events))
        nitrogen.power_cycle()
        rebooted_s, before = clock.now(), len(record.events)
        controller.run(lambda: clock.now() > rebooted_s + 30.0)
        since = record.events[before:]
        tripped = [e for e in since if e.kind == "tripped"]
        assert {e.data["guard"] for e in tripped} <= {"nitrogen_lost", "nitrogen_low"}
        assert tripped[0].t_s <= rebooted_s + 7.0
        assert controller.state.runs["run-1"].state in ("HOLDING", "HELD")
        sent = {e.data["verb"] for e in since if e.kind == "intent"}
        assert sent == {"heat_off", "set_flow", "set_output"}
        # flowing, and still not trusted: without us it would stop, and only a person may decide that it does not
        assert rehearsal.twin.plant.flows["nitrogen"].flow_sccm > 100.0
        assert nitrogen.mode == 0


def ramping(events: list[Event]) -> bool:
    return any(e.kind == "step_phase" and e.data["phase"] == "ramp" for e in events)
