"""Two runs and a person in one oven, in real time over its own bytes; and what a killed controller leaves of that."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from labctl.cli.control import submit
from labctl.cli.serve import start_detached
from labctl.cli.standing import standing
from labctl.engine.state import BenchState, ChamberState
from labctl.store.reader import Reader
from labctl.store.verify import verify
from tests.commandline import Labctl
from tests.runtime.live import live_bench
from tests.runtime.test_commissioning import ask, leave
from tests.runtime.test_real_time import eventually

DRY = """\
protocol: dry
title: {title}
roles: {{oven: oven}}
steps:
  - {{id: dry, heat: {{with: oven, to: 27 degC, hold: {hold}, band: 6 K, atmosphere: air}}}}
"""


def test_two_runs_and_a_person_share_an_oven_and_their_claims_outlive_a_killed_controller(
    tmp_path: Path, labctl: Labctl
) -> None:
    with live_bench(tmp_path / "bench", shared=True) as bench:
        folder, place = bench.folder, ("--bench", str(bench.folder))

        def now() -> BenchState:
            with Reader.open(folder / "labctl.db") as reader:
                return standing(reader)

        def states() -> list[str]:
            return [run.state for run in now().runs.values()]

        def oven() -> ChamberState:
            return now().chambers["drying-oven"]

        def claimed(run: str) -> bool:
            return run in oven().claims

        try:
            for run, title, hold in (("run-1", "Gel", "20 min"), ("run-2", "Glass", "40 min")):
                assert ask(folder, DRY.format(title=title, hold=hold), run) == "accepted"
                assert submit(folder, "start", run, {}, "ada") == "accepted"
                assert eventually(partial(claimed, run))
            said = ("reserve", "drying-oven", "--for", "6 h", "--reason", "dry", "--by", "Ada")
            code, _, refused = labctl(*said, "--setpoint", "60 degC", "--contents", "electrodes", *place)
            assert code == 8
            assert "drying-oven is kept at 27 degC: Gel" in refused
            code, out, _ = labctl(*said, "--setpoint", "27 degC", "--contents", "electrodes", *place)
            assert (code, out) == (0, "reserve drying-oven: accepted\n")
            found = json.loads(labctl("status", "--json", *place)[1].splitlines()[-1])["shared"][0]
            assert (found["chamber"], found["leader"]) == ("drying-oven", "run-1")
            assert {run: claim["contents"] for run, claim in found["claims"].items()} == {
                "run-1": "Gel",
                "run-2": "Glass",
            }
            shown = labctl("status", *place)[1]
            assert "claim: drying-oven by run-1, which leads: 27 degC until 0:2" in shown
            assert "reserved: drying-oven at 27 degC for electrodes until 6:0" in shown

            leave(folder)
            start_detached(folder)
            assert eventually(lambda: states() == ["HELD", "HELD"])
            assert list(oven().claims) == ["run-1", "run-2"]
            assert eventually(lambda: submit(folder, "restart", "run-2", {}, "ada") == "accepted")
            assert eventually(lambda: states() == ["HELD", "RUNNING"])

            assert labctl("reserve", "drying-oven", "--end", "--by", "Ada", *place)[0] == 0
        finally:
            leave(folder)
        assert verify(folder / "labctl.db").ok
