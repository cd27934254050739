"""One run has one record: inline or threaded, in this process or another, whatever surrounds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from labctl.store.verify import verify
from tests.runtime.rehearsals import TOUCH_OF_HEAT, rehearse

HEAD_OF_A_RUN = """\
import sys, pathlib
from tests.runtime.rehearsals import TOUCH_OF_HEAT, rehearse
done = rehearse(pathlib.Path("run"), TOUCH_OF_HEAT, seed=int(sys.argv[1]))
print(done.head, done.end_state)
"""


def test_worker_threads_give_the_events_of_an_inline_run(tmp_path: Path) -> None:
    inline = rehearse(tmp_path / "inline", "short-furnace")
    threaded = rehearse(tmp_path / "threaded", "short-furnace", threads=True)
    assert inline.end_state == "COMPLETE"
    assert threaded.events == inline.events
    assert threaded.head == inline.head
    assert threaded.state == inline.state


def test_the_record_alone_gives_the_state_at_the_end(tmp_path: Path) -> None:
    done = rehearse(tmp_path / "run", TOUCH_OF_HEAT)
    assert done.replayed == done.state
    assert done.state.chambers["tube"].custody is None
    assert verify(tmp_path / "run" / "labctl.db").ok


def test_nothing_around_a_run_gets_into_its_journal(tmp_path: Path) -> None:
    surroundings = [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Shanghai", "LANG": "C", "HOME": str(tmp_path)},
        {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LANG": "C.UTF-8", "HOME": "/nowhere"},
    ]
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        heads = [_head(tmp_path / f"place-{n}", around, seed=3) for n, around in enumerate(surroundings)]
    finally:
        busy.kill()
        busy.wait()
    assert heads[0] == heads[1]
    here, other = (rehearse(tmp_path / f"seed-{seed}", TOUCH_OF_HEAT, seed=seed) for seed in (3, 4))
    assert heads[0] == f"{here.head} COMPLETE"
    assert other.head != here.head
    assert other.end_state == "COMPLETE"


def _head(place: Path, around: dict[str, str], seed: int) -> str:
    place.mkdir()
    environment = {**os.environ, **around, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", HEAD_OF_A_RUN, json.dumps(seed)],
        cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
