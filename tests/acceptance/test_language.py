"""What the language can say, carried out whole on the simulated bench: every byte, every scan, folded as it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.cli import main
from labctl.testing.bench import BenchInTest

PROTOCOL = """\
protocol: everything
parameters: {rounds: {default: 3, min: 1, max: 5}}
roles: {stirrer: hotplate_stirrer, oven: oven, furnace: tube_furnace, nitrogen: gas_flow, cycler: cycler}
samples: [a, b]
product: {formula: Na3V2(PO4)3, mass: 1 g, made_at: 900 degC}
steps:
  - parallel:
      mixing:
        - repeat: {times: "{rounds}", steps: [{id: stir, stir: {with: stirrer, speed: 300 rpm, for: 1 min}}]}
      drying:
        - {id: warm, heat: {with: oven, to: 40 degC, hold: 20 min, band: 3 K, after: hold}}
        - {id: steady, wait: {until: {signal: oven.temperature, at_least: 38 degC, for: 5 min}, timeout: 1 h}}
        - {id: off, heat: {with: oven, to: 40 degC, hold: 1 s, after: off}}
      tube:
        - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
        - {id: tight, leak_check: {with: nitrogen, into: furnace, flow: 500 sccm, below: 0.2 sccm}}
  - id: weighed
    repeat:
      until: {entered: peroxide, at_most: 20 ppm}
      at_most: 3
      steps:
        - {id: test-it, manual: {do: Test it, enter: {peroxide: {unit: ppm}}}}
  - {id: never, when: {not_met: weighed-1}, wait: {for: 10 h}}
  - {id: cold, when: {signal: furnace.temperature, below: 100 degC}, wait: {for: 1 s}}
  - {id: hot, when: {signal: furnace.temperature, above: 100 degC}, wait: {for: 10 h}}
  - repeat:
      each: sample
      steps:
        - {id: put, manual: {do: "Assemble {sample}", confirm: [argon], enter: {active_mass: {unit: mg, min: 0.1}}}}
        - {id: cell, cycle: {with: cycler, rate: 5C, window: [2.3 V, 3.8 V], cycles: 1, specific_current: 117 mA/g}}
"""


def test_a_protocol_that_says_everything_runs_to_its_end() -> None:
    bench = BenchInTest("standard")
    bench.start(PROTOCOL)
    assert bench.finish() == "COMPLETE"
    bench.close()
    started: dict[str, Any] = {e.data["id"]: e.t_s for e in bench.events if e.kind == "step_started"}
    ended = {e.data["id"]: e for e in bench.events if e.kind == "step_done"}
    skipped = {e.data["id"] for e in bench.events if e.kind == "step_skipped"}
    assert started["stir-1"] == started["warm"] == started["purge"]
    assert started["test-it-1"] >= max(ended[name].t_s for name in ("stir-3", "off", "tight"))
    assert skipped == {"test-it-2", "weighed-2", "test-it-3", "weighed-3", "never", "hot"}
    assert ended["tight"].data["summary"]["leak_sccm"] < 0.2
    assert bench.run is not None
    assert {"active_mass_a", "active_mass_b", "peroxide"} <= bench.run.values.keys()
    assert ended["cell-b"].data["summary"]["cycles"] == 1


def test_what_was_left_out_is_no_deviation_and_the_report_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = PROTOCOL.partition("  - parallel:")[2].partition("  - id: weighed")[2].partition("  - repeat:")[0]
    Path("asks.yaml").write_text(
        f"{PROTOCOL.partition('  - parallel:')[0]}  - id: weighed{steps}".replace(
            "{rounds: {default: 3, min: 1, max: 5}}", "{}"
        )
    )
    assert main(["run", "asks.yaml", "--simulate", "--yes", "--json"]) == 0
    said = capsys.readouterr()
    assert "test-it-2 left out: weighed-1 was met" in said.err
    done = json.loads(said.out.splitlines()[-1])
    off = [row for row in done["verdict"]["rows"] if not row["ok"]]
    assert (done["state"], done["verdict"]["outcome"], off) == ("COMPLETE", "pass", [])
    assert {row["step"] for row in done["verdict"]["rows"]}.isdisjoint({"test-it-2", "never", "hot"})
    report = Path(done["report"]).read_text(encoding="utf-8")
    assert "hot: hot-when was not met" in report
