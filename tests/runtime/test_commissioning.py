"""The controller itself refuses to energise what nobody has commissioned, whoever asks it, and says what to type."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.bench.commissioning import VOIDED
from labctl.bench.loader import load_bench
from labctl.cli.control import submit
from labctl.cli.serve import start_detached
from labctl.errors import PermissiveError
from labctl.protocol.plan import canonical
from labctl.protocol.validation import check_text
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
