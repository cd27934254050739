"""A published client of the real server, which knows nothing of labctl, drives the simulated one over TCP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.neware import attach
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell
from tests.simulators.test_neware import STEPS

CLIENT = Path(__file__).with_name("aurora_client.py")
SPEED = 300.0
"""Seconds of the cell in one second."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What aurora-neware saw."""
    steps = tmp_path_factory.mktemp("share") / "steps.xml"
    steps.write_text(STEPS, "utf-8")
    cell, lock, over = HalfCell(), threading.Lock(), threading.Event()
    cell.assemble(Electrode(), active_mass_mg=1.7)
    began = time.monotonic()

    def now() -> float:
        return (time.monotonic() - began) * SPEED

    server, session = attach(Bindings(now=now, cell=cell), {"device": 21, "channel": 2}, "")

    def live() -> None:
        tick = 0
        while not over.wait(0.01):
            with lock:
                while tick + 1 <= now():
                    tick += 1
                    cell.step(1.0)
                    server.tick(float(tick))

    plant = threading.Thread(target=live)
    plant.start()
    try:
        with TcpHost(session, now, delays=False, lock=lock) as host:
            command = [sys.executable, str(CLIENT), str(host.port), str(steps)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        over.set()
        plant.join()
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_stranger_finds_the_channels_and_their_states(seen: dict[str, Any]) -> None:
    assert (seen["channels"], seen["all"], seen["idle"]) == (16, 16, "finish")


@pytest.mark.evidence(
    "neware", "client", "aurora-neware finds the channels, starts, reads and stops a job over TCP"
)
def test_a_stranger_starts_a_job(seen: dict[str, Any]) -> None:
    assert seen["start"] == "ok"
    assert (seen["working"]["workstatus"], seen["working"]["barcode"]) == ("working", "a stranger's cell")
    assert "blocked states" in seen["again"]


def test_a_stranger_gets_the_data(seen: dict[str, Any]) -> None:
    assert seen["rows"] == seen["last"]["seqid"] > 10
    assert abs(seen["last"]["curr"]) == pytest.approx(2e-3, rel=0.5)
    assert 2.3 <= seen["last"]["volt"] <= 3.8
    assert seen["test"] == 143
    assert seen["steps"][0]["steptype"] == "rest"
    assert seen["log"] == [100000]


def test_a_stranger_stops_it(seen: dict[str, Any]) -> None:
    assert (seen["stop"], seen["after"]) == ("ok", "stop")
    assert (seen["light"], seen["clearflag"]) == ("ok", "false")
