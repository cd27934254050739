"""Tier 1: lock-step. The whole paper protocol over real wires is, event for event, the run in process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from labctl.runtime.folder import DATABASE
from labctl.store.reader import Reader
from tests.hil.bench import labctl, served

BENCH_TIME_RUNS_OUT_S = 1200.0

DIFFERS = ("wall_s", "cpu_s", "bench")
"""What `labctl run --json` tells that is of this machine: how long it took, and in which folder. Nothing else."""


def compared(tmp_path: Path, bench: str, protocol: str, *words: str) -> tuple[dict[str, Any], str]:
    """Run a protocol in lock-step with a served bench, then in process; what the first told.

    Compared as they are, nothing normalised: run id, end state, bench time, verdict with every value, results and
    journal head; each event of the run and of the bench (sequence, kind, data, bench time, UTC, hash); and every value,
    quality and age of telemetry that the journal's digests cover.
    """
    folder = tmp_path / "served"
    with served(bench, folder, "--paused", *words):
        lockstep, said = labctl(
            tmp_path, "run", protocol, "--simulate", "--lockstep", "--bench", str(folder), "--yes",
            within_s=BENCH_TIME_RUNS_OUT_S,
        )  # fmt: skip
    here, _ = labctl(
        tmp_path, "run", protocol, "--simulate", "--bench", str(folder), "--yes", *words,
        within_s=BENCH_TIME_RUNS_OUT_S,
    )  # fmt: skip
    assert {k: v for k, v in lockstep.items() if k not in DIFFERS} == {
        k: v for k, v in here.items() if k not in DIFFERS
    }
    journals = [journal(Path(told["bench"])) for told in (lockstep, here)]
    assert len(journals[0]) > 40
    for lock_stepped, in_process in zip(*journals, strict=True):
        assert lock_stepped == in_process
    return lockstep, said


def journal(folder: Path) -> list[Any]:
    with Reader.open(folder / DATABASE) as reader:
        return list(reader.query("SELECT * FROM journal ORDER BY stream, seq"))


def test_a_short_run_over_wires_is_the_run_in_process(tmp_path: Path) -> None:
    told, said = compared(tmp_path, "small", "short-furnace", "--seed", "3")
    assert told["state"] == "COMPLETE"
    assert "requests over the wires" in said


@pytest.mark.hil
def test_the_papers_protocol_over_wires_is_the_run_in_process(tmp_path: Path) -> None:
    began = time.monotonic()
    told, said = compared(tmp_path, "standard", "3dp-nvp-c")
    assert told["state"] == "COMPLETE"
    assert told["verdict"]["outcome"] == "pass"
    figures = next(line for line in said.splitlines() if line.startswith("in lock-step"))
    print(f"\ntier 1: {figures}, {told['wall_s']:.0f} s; both runs {time.monotonic() - began:.0f} s")
    assert told["wall_s"] < 480.0
