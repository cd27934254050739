"""Whatever the instruments say and whoever asks: what the engine never does."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.model.limits import limit
from labctl.model.readings import Quality
from tests.engine.bench import COLD, Hands, cool, inert, purge, ramp, unload

TEMPERATURES = ("furnace.temperature", "furnace-monitor.temperature")
SIGNALS = sorted(k for k in COLD if k.split(".")[0] in ("furnace", "furnace-monitor", "nitrogen", "oxygen"))
VALUES = st.one_of(
    st.none(), st.floats(-300.0, 2000.0), st.sampled_from([0.0, 60.0, 99.9, 100.0, 150.0, 300.0, 325.1, 1e9])
)
OUTCOMES = ["ok", "failed", "refused", "lost", "carried out, reply lost"]
DEEDS = st.one_of(
    st.tuples(st.just("value"), st.sampled_from(SIGNALS), VALUES),
    st.tuples(st.just("quality"), st.sampled_from(SIGNALS), st.sampled_from(list(Quality))),
    st.tuples(st.just("absent"), st.sampled_from(SIGNALS), st.booleans()),
    st.tuples(
        st.just("outcome"), st.sampled_from(["heat", "heat_off", "set_flow"]), st.sampled_from(OUTCOMES)
    ),
    st.tuples(
        st.just("ask"), st.sampled_from(["pause", "resume", "hold", "restart", "stop", "abort"]), st.none()
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 1.0, 5.0, 700.0]), st.none()),
    st.tuples(st.just("estop"), st.booleans(), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("go"), st.sampled_from([3.0, 7.0, 40.0]), st.none()),
    st.tuples(st.just("hot"), st.sampled_from([22.0, 90.0, 300.0, 700.0]), st.none()),
)


def do(hands: Hands, deed: tuple[str, Any, Any]) -> None:
    what, where, value = deed
    match what:
        case "value":
            hands.values[where] = value
        case "quality":
            hands.quality[where] = value if hands.values[where] is not None else Quality.SILENT
        case "absent":
            (hands.absent.add if value else hands.absent.discard)(where)
        case "outcome":
            hands.outcome[where] = value
        case "ask":
            hands.ask(where)
        case "wait":
            hands.scan(where)
        case "estop":
            hands.estop = where
        case "restart":
            hands.scan(0.0, recovered=True)
        case "go":
            hands.go(where)
        case "hot":
            hands.at(where)
    for key, read in hands.values.items():
        if read is None:
            hands.quality[key] = Quality.SILENT


class Watched(Hands):
    """Judges every scan by what it may never do."""

    def scan(self, *args: Any, **kwargs: Any) -> Any:
        before = self.state
        decision = super().scan(*args, **kwargs)
        image = self.image()
        good = [image[k].value for k in TEMPERATURES if k in image and image[k].quality == Quality.GOOD]
        rig = self.context.rigs["tube"]
        tube = decision.state.chambers["tube"]
        for command in decision.commands:
            if command.verb == "set_flow" and any(v is not None and v >= limit("T_gas_off") for v in good):
                assert command.args["flow_sccm"] >= rig.protective_sccm
            if command.verb == "heat" and not command.renewal:
                self.judge_heat(command.args["target_c"], before.chambers["tube"].lease, tube)
            if command.renewal:
                assert tube.lease is not None
                assert command.args["target_c"] <= tube.lease.target_c
        run = decision.state.runs.get("run-1")
        if run is not None and run.state in ("ABORTING", "ABORTED"):
            assert tube.lease is None
        json_safe = [v for v in decision.state.tally.values() if not math.isfinite(v)]
        assert not json_safe
        return decision

    def judge_heat(self, target_c: float, lease: Any, tube: Any) -> None:
        if self.run.state != "RUNNING":  # frozen, or ramped down: never hotter than it was allowed to be
            assert lease is not None
            return
        image, rig = self.image(), self.context.rigs["tube"]
        flow = image["nitrogen.flow"]
        assert flow.quality == Quality.GOOD
        assert flow.value is not None
        assert flow.value >= rig.protective_sccm
        assert tube.purged
        assert not self.estop
        assert not tube.latched
        assert image["furnace.temperature"].quality == Quality.GOOD


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(DEEDS, min_size=1, max_size=25), st.booleans())
def test_no_reading_no_request_and_no_failure_makes_the_engine_raise_or_break_its_promises(
    deeds: list[tuple[str, Any, Any]], warm: bool
) -> None:
    hands = Watched(purge(), inert(segments=(ramp(300.0, 300.0),), after="continue"), cool(), unload())
    hands.values["oxygen.oxygen"] = 5.0
    if warm:
        hands.heated(300.0)
    else:
        hands.start()
    for deed in deeds:
        do(hands, deed)
    hands.ask("abort")
    hands.go(5.0)
