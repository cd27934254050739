"""What stands on a bench is listed as it is: asked when nobody owns it, from the record while a controller does."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.cli.control import submit
from labctl.cli.serve import start_detached
from labctl.protocol.plan import canonical
from labctl.protocol.validation import check_text
from labctl.runtime.folder import Lock, controller_of
from tests.commandline import Labctl
from tests.runtime.live import LiveBench, commission, live_bench

PURGE = """\
protocol: touch-of-gas
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("real") / "bench", commissioned=False) as bench:
        yield bench


@pytest.fixture
def bench(real: LiveBench) -> Iterator[LiveBench]:
    """The bench, with its own file and nothing in its memory."""
    file = real.folder / "bench.yaml"
    text = file.read_text()
    yield real
    file.write_text(text)
    for left in real.folder.glob("labctl.db*"):
        left.unlink()


def devices(labctl: Labctl, bench: LiveBench, *more: str, code: int = 0) -> dict[str, Any]:
    """What `devices --json` says, with its instruments by name."""
    found, out, said = labctl("devices", *more, "--bench", str(bench.folder), "--json")
    assert found == code, said
    data: dict[str, Any] = json.loads(out.splitlines()[-1])
    return {**data, "instruments": {device["name"]: device for device in data["instruments"]}}


def change(bench: LiveBench, name: str, **changes: Any) -> None:
    file = bench.folder / "bench.yaml"
    data = yaml.safe_load(file.read_text())
    data["instruments"][name] |= changes
    file.write_text(yaml.safe_dump(data))


def test_each_instrument_is_asked_once_and_nothing_is_written_to_it(bench: LiveBench, labctl: Labctl) -> None:
    found = devices(labctl, bench)
    assert not found["simulated"]
    assert found["controller_pid"] is None
    assert list(found["instruments"]) == list(load_bench(bench.folder).instruments)
    for device in found["instruments"].values():
        assert device["reachable"]
        assert device["audit"]["ok"]
        assert {item["ok"] for item in device["audit"]["items"]} == {True}
        assert {reading["quality"] for reading in device["readings"]} == {"good"}
        assert all(0.0 <= reading["age_s"] < 10.0 for reading in device["readings"])
    furnace = found["instruments"]["furnace"]
    assert furnace["dead_man_s"] == 5.0
    assert furnace["commissioned"]["against"].startswith("is not commissioned: 6")
    assert found["instruments"]["cycler"]["commissioned"] == {"needed": False, "ok": True, "against": None}
    assert bench.truth()["furnace"]["heater_w"] == 0.0
    assert controller_of(bench.folder) is None, "the lock is given back"
    assert not (bench.folder / "labctl.db").exists()


def test_all_of_it_is_said_in_words(bench: LiveBench, labctl: Labctl) -> None:
    commission(bench.folder)
    code, out, _ = labctl("devices", "furnace", "--bench", str(bench.folder))
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "REAL bench small: asked now"
    for line in (
        "furnace: Eurotherm 3200 temperature controllers (Modbus RTU)",
        "plays tube_furnace in tube",
        f"commissioned by ada, until {time.strftime('%Y-%m-%d', time.gmtime(time.time() + 365 * 86_400))}",
        "sensor break on on or latching ok",
        "dead-man: heat lapses 5 s after the last renewal",
        "unverified (SAFETY): register 34 is the output on sensor break",
        "unverified: the ramp starts at the process value when the loop goes to automatic",
    ):
        assert line in lines, line
    assert any(line.startswith("temperature 22 degC good ") for line in lines)
    assert "hotplate" not in out


def test_one_that_is_switched_off_ends_with_6_and_the_others_are_listed_all_the_same(
    bench: LiveBench, labctl: Labctl
) -> None:
    bench.wires["oven"].dumb = True
    found = devices(labctl, bench, code=6)["instruments"]
    code, out, said = labctl("devices", "oven", "--bench", str(bench.folder))
    bench.wires["oven"].dumb = False
    assert not found["oven"]["reachable"]
    assert found["oven"]["readings"] == []
    assert found["oven"]["problem"]
    assert found["furnace"]["reachable"]
    assert code == 6
    assert "UNREACHABLE: " in out
    assert "unreachable: oven" in said


def test_another_serial_number_shows_in_the_audit(bench: LiveBench, labctl: Labctl) -> None:
    change(bench, "nitrogen", serial_number="999999")
    audit = devices(labctl, bench, "nitrogen")["instruments"]["nitrogen"]["audit"]
    assert not audit["ok"]
    assert {"item": "serial number", "found": "521641", "wanted": "999999", "ok": False} in audit["items"]
    assert "NOT OK" in labctl("devices", "nitrogen", "--bench", str(bench.folder))[1]


def test_an_unknown_driver_or_name_is_said_with_the_nearest(bench: LiveBench, labctl: Labctl) -> None:
    assert "did you mean nitrogen?" in labctl("devices", "nitrogn", "--bench", str(bench.folder))[2]
    change(bench, "nitrogen", driver="alicatt")
    code, _, said = labctl("devices", "--bench", str(bench.folder))
    assert code == 3
    assert "did you mean alicat?" in said


def test_what_a_controller_owns_is_not_opened_and_its_record_is_shown(
    bench: LiveBench, labctl: Labctl
) -> None:
    start_detached(bench.folder)
    controller = controller_of(bench.folder)
    assert controller is not None
    try:
        plan, _ = check_text(PURGE, "purge", {}, load_bench(bench.folder))
        assert plan is not None
        documents = {"plan": canonical(plan.model_dump(mode="json")), "protocol": PURGE}
        args = {"run": "run-1", "plan": plan.plan_hash, "documents": documents, "about": {}}
        submit(bench.folder, "submit", None, args, "ada")
        submit(bench.folder, "start", "run-1", {}, "ada")
        time.sleep(2.5)
        asked = len(bench.wires["hotplate"].requests)
        found = devices(labctl, bench)
        assert found["controller_pid"] == controller["pid"]
        assert len(bench.wires["hotplate"].requests) == asked
        nitrogen, hotplate = (found["instruments"][name] for name in ("nitrogen", "hotplate"))
        flow = next(r for r in nitrogen["readings"] if r["signal"] == "flow")
        assert flow["quality"] == "good"
        assert flow["age_s"] < 10.0
        assert nitrogen["audit"]["ok"]
        assert nitrogen["audited_utc_ms"] > 0
        assert hotplate["readings"] == [], "nobody has read it yet"
        assert hotplate["reachable"], "it answered when the controller began"
        out = labctl("devices", "--bench", str(bench.folder))[1]
        assert out.startswith(
            f"REAL bench small: controller {controller['pid']} owns it; its newest readings"
        )
        assert " ago: " in out
    finally:
        os.kill(controller["pid"], signal.SIGKILL)
        while controller_of(bench.folder) is not None:
            time.sleep(0.01)


def test_a_bench_that_somebody_else_looks_at_is_locked(bench: LiveBench, labctl: Labctl) -> None:
    with Lock(bench.folder, "commission"):
        code, _, said = labctl("devices", "--bench", str(bench.folder))
    assert code == 10
    assert "has the bench for `labctl commission`" in said


def test_the_instruments_of_a_simulated_bench_are_those_of_a_fresh_twin(
    tmp_path: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labctl("init", str(tmp_path))[0] == 0
    monkeypatch.chdir(tmp_path)
    code, out, _ = labctl("devices")
    assert code == 0
    assert out.startswith("SIMULATED bench standard: a fresh twin of it asked now")
    code, out, _ = labctl("devices", "--json")
    found = json.loads(out)
    assert found["simulated"]
    assert {d["commissioned"]["needed"] for d in found["instruments"]} == {False}
    assert {r["quality"] for d in found["instruments"] for r in d["readings"]} == {"good"}


def test_without_a_bench_the_installed_drivers_are_listed(
    tmp_path: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, said = labctl("devices", "--json")
    assert code == 0
    found = {driver["driver"]: driver for driver in json.loads(out)["drivers"]}
    assert list(found) == list(drivers())
    assert found["eurotherm"]["dead_man_s"] == 5.0
    assert "profile" in found["eurotherm"]["options"]
    assert {item["safety"] for item in found["eurotherm"]["unverified"]} == {True, False}
    code, out, said = labctl("devices", "ika")
    assert code == 0
    assert "no bench here: the installed drivers" in said
    assert "  unverified (SAFETY): everything: manuals and other drivers were read" in out
    assert labctl("devices", "ikea")[0] == 2
    assert labctl("devices", "--bench", str(tmp_path))[0] == 2, "that folder has no bench"
