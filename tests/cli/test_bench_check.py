"""Whether a bench could run: everything that keeps it from that is named, and the exit code says how bad it is."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.bench.commissioning import needs_commission
from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.cli.serve import start_detached
from labctl.protocol.rules.protection import lost
from labctl.runtime.commissioned import keep
from labctl.runtime.folder import ESTOP, Lock, controller_of
from labctl.runtime.serve import open_store
from labctl.store import Store
from tests.commandline import Labctl
from tests.runtime.live import LiveBench, commission, live_bench


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("real") / "bench", commissioned=False) as bench:
        (bench.folder / "protocols").mkdir()
        yield bench


@pytest.fixture
def bench(real: LiveBench) -> Iterator[LiveBench]:
    """The bench, commissioned, with its own file and no protocol."""
    file = real.folder / "bench.yaml"
    text = file.read_text()
    commission(real.folder)
    yield real
    file.write_text(text)
    for left in (*real.folder.glob("labctl.db*"), *real.folder.glob("protocols/*"), real.folder / ESTOP):
        left.unlink(missing_ok=True)


def change(bench: LiveBench, name: str, **changes: Any) -> None:
    file = bench.folder / "bench.yaml"
    data = yaml.safe_load(file.read_text())
    data["instruments"][name] |= changes
    file.write_text(yaml.safe_dump(data))


def check(labctl: Labctl, bench: LiveBench, code: int) -> dict[str, Any]:
    """What it says with --json, and that it ends with that code."""
    found, out, said = labctl("bench", "check", "--bench", str(bench.folder), "--json")
    assert found == code, out + said
    data: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert data["could_run"] == (not data["problems"]) == (code == 0)
    return data


def test_a_bench_with_nothing_against_it_could_run(bench: LiveBench, labctl: Labctl) -> None:
    data = check(labctl, bench, 0)
    assert not data["simulated"]
    assert {device["reachable"] for device in data["instruments"]} == {True}
    told = {d["name"]: d["serial_number_told"] for d in data["instruments"]}
    assert told["nitrogen"] == "521641"
    assert told["furnace"] is None
    absent = {(d["chamber"], d["signal"]) for d in data["lost_protections"]}
    description = load_bench(bench.folder)
    assert absent == {(c, s) for c in description.chambers for s in lost(description, c)}
    assert {p["protocol"]: p["covered"] for p in data["protocols"]}["3dp-nvp-c"]
    code, out, _ = labctl("bench", "check", "--bench", str(bench.folder))
    assert code == 0
    assert len(out.splitlines()) < 24, "one screen"
    assert out.splitlines()[-1] == "could run"
    row = next(line for line in out.splitlines() if line.startswith("nitrogen "))
    last = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 365 * 86_400))
    assert row.split() == ["nitrogen", "alicat", "yes", "521641", "ok", "–", "until", last]


def test_one_that_nobody_has_commissioned_could_not(bench: LiveBench, labctl: Labctl) -> None:
    (bench.folder / "labctl.db").unlink()
    problems = check(labctl, bench, 3)["problems"]
    instruments = load_bench(bench.folder).instruments
    needed = [name for name, i in instruments.items() if needs_commission(drivers()[i.driver])]
    assert [p.partition(" ")[0] for p in problems] == needed
    assert set(needed) >= {"hotplate", "oven", "furnace", "furnace-monitor", "nitrogen"}
    furnace = next(p for p in problems if p.startswith("furnace "))
    assert furnace.endswith(f"(`labctl commission furnace --bench {bench.folder} --by NAME`)")


def test_an_instrument_that_is_switched_off_ends_with_6_whatever_else_is_wrong(
    bench: LiveBench, labctl: Labctl
) -> None:
    bench.wires["furnace"].dumb = True
    change(bench, "nitrogen", serial_number="999999")
    try:
        problems = check(labctl, bench, 6)["problems"]
        code, out, _ = labctl("bench", "check", "--bench", str(bench.folder))
    finally:
        bench.wires["furnace"].dumb = False
    assert code == 6
    assert problems[0].startswith("furnace is unreachable: ")
    assert f"PROBLEM: {problems[0]}\n" in out
    assert f"could NOT run: {len(problems)} problems\n" in out
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert rows["furnace"].split()[2] == "NO"
    assert "999999, IS 521641" in rows["nitrogen"]
    assert "nitrogen has serial number 521641, and the bench file says 999999" in problems


def test_a_calibration_that_is_over_ends_with_3_and_one_that_ends_soon_is_said(
    bench: LiveBench, labctl: Labctl
) -> None:
    change(bench, "oxygen", calibration_due="2020-02-29")
    assert check(labctl, bench, 3)["problems"] == ["oxygen was due for calibration on 2020-02-29"]
    soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400 * 10))
    change(bench, "oxygen", calibration_due=soon)
    oxygen = next(d for d in check(labctl, bench, 0)["instruments"] if d["name"] == "oxygen")
    assert oxygen["calibration_soon"]
    assert f"{soon}, soon" in labctl("bench", "check", "--bench", str(bench.folder))[1]


def test_a_failed_audit_is_named(bench: LiveBench, labctl: Labctl) -> None:
    change(bench, "nitrogen", options={"unit": "A", "gas": "Ar"})
    problems = check(labctl, bench, 3)["problems"]
    assert any(p.startswith("nitrogen: gas is ") for p in problems)


def test_a_broken_file_is_shown_at_its_line(bench: LiveBench, labctl: Labctl) -> None:
    file = bench.folder / "bench.yaml"
    change(bench, "oven", driver="bindre")
    asked = bench.bytes_received
    data = check(labctl, bench, 3)
    assert bench.bytes_received == asked, "nothing is opened for it"
    line = 1 + file.read_text()[: file.read_text().index("bindre")].count("\n")
    (finding,) = data["findings"]
    assert finding["rule"] == "BENCH-001"
    assert (finding["line"], finding["hint"]) == (line, "did you mean binder?")
    code, _, said = labctl("bench", "check", "--bench", str(bench.folder))
    assert code == 3
    assert f"{file}:{line}:" in said
    file.write_text("bench: [")
    assert check(labctl, bench, 3)["findings"]


def test_a_role_of_its_own_protocols_that_nobody_can_play_is_a_problem(
    bench: LiveBench, labctl: Labctl
) -> None:
    own = bench.folder / "protocols" / "mine.yaml"
    own.write_text("protocol: mine\nroles: {tester: scheduled_cycler}\nsteps: []\n")
    data = check(labctl, bench, 3)
    (problem,) = data["problems"]
    assert problem.startswith(f"{own}:2:")
    assert "nothing on bench small offers scheduled_cycler" in problem
    own.write_text("protocol: mine\nroles: {tester: cycler}\nsteps: []\n")
    assert "mine" in [p["protocol"] for p in check(labctl, bench, 0)["protocols"] if p["own"]]
    own.write_text("protocol: [")
    assert check(labctl, bench, 3)["problems"]


def test_an_e_stop_keeps_it_from_running(bench: LiveBench, labctl: Labctl) -> None:
    (bench.folder / ESTOP).touch()
    assert "the e-stop is set" in check(labctl, bench, 3)["problems"][0]


def test_custody_and_a_trip_that_nobody_cleared_keep_it_from_running(
    bench: LiveBench, labctl: Labctl
) -> None:
    trip = {"chamber": "drying-oven", "guard": "stuck_heater", "latched": True, "run": None}
    with closing(open_store(bench.folder, load_bench(bench.folder))) as store:
        keep(store, "custody_opened", {"chamber": "tube", "cause": "abort", "run": None, "gas": True})
        keep(store, "tripped", trip)
    assert check(labctl, bench, 3)["problems"] == [
        "drying-oven has tripped (stuck_heater); clear and reset that run",
        "tube is in custody since abort",
    ]


def test_a_record_of_a_simulated_bench_keeps_a_real_one_from_running(
    bench: LiveBench, labctl: Labctl
) -> None:
    (bench.folder / "labctl.db").unlink()
    Store.create(bench.folder / "labctl.db", bench="small", bench_yaml="", simulated=True).close()
    problem = "its record is of a simulated bench, and its addresses are real now"
    assert check(labctl, bench, 3)["problems"][-1] == problem


def test_while_a_controller_owns_it_its_record_answers_and_nobody_else_may(
    bench: LiveBench, labctl: Labctl
) -> None:
    with Lock(bench.folder, "devices"):
        assert labctl("bench", "check", "--bench", str(bench.folder))[0] == 10
    bench.wires["oven"].dumb = True
    start_detached(bench.folder)
    bench.wires["oven"].dumb = False
    controller = controller_of(bench.folder)
    assert controller is not None
    try:
        asked = len(bench.wires["oven"].requests)
        data = check(labctl, bench, 6)
        assert data["controller_pid"] == controller["pid"]
        assert [p.partition(":")[0] for p in data["problems"]] == ["oven is unreachable"]
        assert len(bench.wires["oven"].requests) == asked
    finally:
        os.kill(controller["pid"], signal.SIGKILL)
        while controller_of(bench.folder) is not None:
            time.sleep(0.01)


def test_a_simulated_bench_needs_no_commissioning_and_no_calibration(tmp_path: Path, labctl: Labctl) -> None:
    text = (
        find_bench("small").read_text().replace("SIM-3216-1", "SIM-3216-1\n    calibration_due: 2020-01-01")
    )
    (tmp_path / "bench.yaml").write_text(text)
    code, out, _ = labctl("bench", "check", "--bench", str(tmp_path))
    assert code == 0
    assert out.startswith("SIMULATED bench small\n")
    assert labctl("bench", "check", "--bench", str(tmp_path / "protocols"))[0] == 2
    (tmp_path / "nothing").mkdir()
    assert labctl("bench", "check", "--bench", str(tmp_path / "nothing"))[0] == 2
