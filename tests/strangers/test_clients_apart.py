"""Published clients under the GPL, each in a process of an environment of its own: `make test-clients`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.twin import Twin, build

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-bench" / "bin" / "python"


def conversed(script: str, device: str, chamber: dict[str, Any]) -> tuple[dict[str, Any], Twin]:
    """What a client's script said of a simulated instrument behind TCP, and its plant five seconds later."""
    instrument = {"device": device, "chamber": "place", "serial_number": "12345"}
    twin = build({"chambers": {"place": chamber}, "instruments": {"it": instrument}}, None)
    began = monotonic()
    with TcpHost(twin.sessions["it"], lambda: monotonic() - began) as host:
        command = [str(PYTHON), str(HERE / script), f"{host.host}:{host.port}"]
        client = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert client.returncode == 0, client.stderr
    twin.advance_to(monotonic() - began + 5.0)
    said: dict[str, Any] = json.loads(client.stdout)
    return said, twin


@pytest.mark.evidence(
    "alicat", "client", "alicat reads, sets flow and gas by registers, locks and is refused over TCP"
)
def test_the_published_client_of_mass_flow_controllers_drives_the_simulated_one() -> None:
    said, twin = conversed("alicat_client.py", "alicat_mc", {"kind": "tube", "volume_cm3": 2290.0})
    first, flowing = said.pop("at first"), said.pop("flowing")
    assert first == {
        "pressure": 14.7, "temperature": 22.0, "volumetric_flow": 0.0, "mass_flow": 0.0, "setpoint": 0.0,
        "gas": "N2", "control_point": "mass flow",
    }  # fmt: skip
    assert flowing["setpoint"] == 200.0
    assert flowing["mass_flow"] == pytest.approx(200.0, abs=2.0)
    assert said == {
        "firmware": "A   10v20.0-R24 Jan  9 2025,15:04:07",
        "argon": "Ar",
        "locked": True,
        "unlocked": True,
        "too much": "Could not set setpoint.",
        "no such gas": "Cannot set gas.",
        "setpoint then": 0.0,
    }
    assert twin.truth()["gas"]["flow_sccm"] < 200.0


@pytest.mark.evidence("ika", "client", "ika-control reads values and states, stirs, heats and stops over TCP")
def test_the_published_client_of_hotplates_drives_the_simulated_one() -> None:
    said, twin = conversed("ika_client.py", "ika_hotplate", {"kind": "vessel"})
    assert said["info"] == {"name": "RCT digital", "device_type": "RCT", "temp_limit": 360.0}

    def states(when: str) -> tuple[bool, bool]:
        return said[when]["speed"]["active"], said[when]["process_temp"]["active"]

    assert [states(when) for when in ("at first", "running", "stopped")] == [
        (False, False),
        (True, True),
        (False, False),
    ]
    assert said["running"]["speed"]["setpoint"] == 300
    assert said["running"]["process_temp"]["setpoint"] == 45.5
    assert said["stopped"]["speed"]["actual"] > 20
    assert said["stopped"]["surface_temp"]["actual"] > said["at first"]["surface_temp"]["actual"]
    assert said["reset"] is False
    assert twin.truth()["hotplate"]["heater_w"] == 0.0
