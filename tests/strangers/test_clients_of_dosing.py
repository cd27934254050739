"""Published clients of balances and pumps, each in a process of an environment of its own: `make test-clients`."""

from __future__ import annotations

import json
import subprocess
from time import monotonic
from typing import Any

import pytest

from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.twin import Twin, build
from tests.strangers.test_clients_apart import HERE, PYTHON

pytestmark = pytest.mark.clients


def conversed(script: str, device: str, kind: str, load_g: float = 0.0) -> tuple[dict[str, Any], Twin]:
    """What a client's script said of a simulated instrument behind a serial port."""
    instrument = {"device": device, "chamber": "place", "serial_number": "12345"}
    twin = build({"chambers": {"place": {"kind": kind}}, "instruments": {"it": instrument}}, None)
    if load_g:
        pan: Any = twin.plant.chambers["place"]
        pan.put(load_g)
    twin.advance_to(60.0)
    began = monotonic() - 60.0
    with PtyHost(twin.sessions["it"], lambda: monotonic() - began) as host:
        command = [str(PYTHON), str(HERE / script), host.address.removeprefix("serial://")]
        client = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert client.returncode == 0, client.stderr
    said: dict[str, Any] = json.loads(client.stdout)
    return said, twin


@pytest.mark.evidence(
    "mettler", "client", "mettler-toledo-device reads weight, serial number and capacity, and zeroes"
)
def test_the_published_client_of_balances_weighs_on_the_simulated_one() -> None:
    said, twin = conversed("mettler_client.py", "mettler_mt_sics", "pan", load_g=1.2345)
    assert said["serial number"] == "12345"
    assert said["data"] == ["XPR205", "Excellence", "220.0000", "g"]
    assert said["weight"][1:] == ["g", "S"]
    assert said["weight"][0] == pytest.approx(1.2345, abs=5e-4)
    assert said["stable"][0] == pytest.approx(1.2345, abs=5e-4)
    assert (said["zero at rest"], said["zero"]) == (True, "S")
    assert said["then"][0] == pytest.approx(0.0, abs=5e-4)
    assert twin.truth()["pan"]["load_g"] == 1.2345


@pytest.mark.evidence(
    "new-era", "client", "nesp-lib sets, pumps and is refused, in safe mode with its CRC and in basic mode"
)
def test_the_published_client_of_syringe_pumps_pumps_with_the_simulated_one() -> None:
    said, twin = conversed("new_era_client.py", "new_era_ne1000", "vessel")
    for mode, seconds in (("safe", 20), ("basic", 0)):
        assert said[mode] == {
            "model": 1000, "firmware": [3, 93], "diameter": 26.59, "safe_s": seconds, "volume": 0.1, "rate": 6.0,
            "infused": 0.1, "stopped": True, "too fast": True,
        }  # fmt: skip
    assert twin.truth()["syringe"]["poured_ml"] == pytest.approx(0.2, abs=1e-6)
