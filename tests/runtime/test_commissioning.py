"""The controller itself refuses to energise what nobody has commissioned, whoever asks it, and says what to type."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl import cli
from labctl.bench.commissioning import VOIDED, needs_commission
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.trials import TRIALS
from labctl.cli.control import submit
from labctl.cli.serve import start_detached
from labctl.errors import PermissiveError
from labctl.protocol.plan import canonical
from labctl.protocol.validation import check_text
from labctl.runtime.backdoor import Backdoor
from labctl.runtime.commissioned import keep
from labctl.runtime.folder import controller_of
from labctl.runtime.serve import open_store
from labctl.store import Reader
from labctl.store.verify import verify
from tests.runtime.live import LiveBench, commission, live_bench

PURGE = """\
protocol: touch-of-gas
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
"""
WARM = """\
protocol: warm
roles: {furnace: tube_furnace}
steps:
  - {id: warm, heat: {with: furnace, to: 60 degC, ramp: 20 K/min, hold: 1 min, atmosphere: air}}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("real") / "bench", commissioned=False) as live:
        yield live
        leave(live.folder)


def leave(folder: Path) -> None:
    """The controller goes, whatever it does."""
    controller = controller_of(folder)
    if controller is not None:
        os.kill(controller["pid"], signal.SIGKILL)
        while controller_of(folder) is not None:
            pass


@contextmanager
def served(folder: Path) -> Iterator[Backdoor]:
    """The small bench over TCP in a process of its own, and its simulator's backdoor."""
    words = [sys.executable, "-m", "labctl", "sim", "up", "small", "--out", str(folder), "--tcp"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = next(line.split()[1] for line in process.stdout if line.startswith("backdoor "))
            yield Backdoor(address)
        finally:
            process.terminate()


def ask(folder: Path, protocol: str, run: str) -> str:
    """Hand a plan to the controller, past every check of the command line."""
    plan, findings = check_text(protocol, "protocol", {}, load_bench(folder))
    assert plan is not None, findings
    documents = {"plan": canonical(plan.model_dump(mode="json")), "protocol": protocol}
    args: dict[str, Any] = {"run": run, "plan": plan.plan_hash, "documents": documents, "about": {}}
    start_detached(folder)
    return submit(folder, "submit", None, args, "ada")


def test_heating_is_refused_before_and_accepted_after_and_gas_is_never_barred(bench: LiveBench) -> None:
    folder = bench.folder
    with pytest.raises(PermissiveError) as refused:
        ask(folder, WARM, "run-1")
    assert f"(`labctl commission furnace --bench {folder} --by NAME`)" in str(refused.value)
    assert ask(folder, PURGE, "run-2") == "accepted"
    leave(folder)
    commission(folder)
    assert ask(folder, WARM, "run-3") == "accepted"
    leave(folder)
    with open_store(folder, load_bench(folder)) as store:
        keep(store, VOIDED, {"instrument": "furnace", "by": "bob", "reason": "new element"})
    start_detached(folder)
    with pytest.raises(PermissiveError, match="bob voided it: new element"):
        submit(folder, "start", "run-3", {}, "ada")
    leave(folder)
    assert bench.truth()["furnace"]["heater_w"] == 0.0
    assert verify(folder / "labctl.db").ok
    with Reader.open(folder / "labctl.db") as reader:
        assert {r.run_id: r.state for r in reader.runs()} == {"run-2": "IDLE", "run-3": "IDLE"}


def test_a_served_bench_whose_file_names_no_backdoor_is_real_and_heats_once_commissioned(
    tmp_path: Path,
) -> None:
    """What stands behind an address does not matter: only a simulator that claims it makes it simulated."""
    answers = tmp_path / "answers.yaml"
    trials = dict.fromkeys([trial.name for trial in TRIALS], True)
    given = {"plate": True, "items": "all", "trials": trials, "cooldown": "14 min"}
    answers.write_text(yaml.safe_dump(given))
    folder = tmp_path / "real"
    folder.mkdir()
    with served(tmp_path / "small") as door:
        data = yaml.safe_load((tmp_path / "small" / "bench.yaml").read_text())
        del data["backdoor"]
        for each in data["instruments"].values():
            each["options"] = {k: v for k, v in each.get("options", {}).items() if not k.startswith("sim_")}
        (folder / "bench.yaml").write_text(yaml.safe_dump(data))
        description = load_bench(folder)
        assert not description.simulated
        with pytest.raises(PermissiveError, match="furnace is not commissioned"):
            ask(folder, WARM, "run-1")
        leave(folder)
        for name, instrument in description.instruments.items():
            if needs_commission(drivers()[instrument.driver]):
                words = ["commission", name, "--by", "ada", "--answers", str(answers), "--bench", str(folder)]
                assert cli.main(words) == 0
        try:
            assert ask(folder, WARM, "run-1") == "accepted"
            submit(folder, "start", "run-1", {}, "ada")
            deadline = time.monotonic() + 30.0
            while door.ask("truth")["furnace"]["heater_w"] == 0.0:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            submit(folder, "stop", "run-1", {}, "ada")
        finally:
            leave(folder)
