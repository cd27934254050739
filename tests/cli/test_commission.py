"""A real instrument reads, but heats only once a person has stood for what its driver leaves unverified.

The bench is real to labctl: its instruments answer over TCP and pseudo terminals, and no simulator claims them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.cli import commission
from labctl.runtime.assembly import connections
from labctl.runtime.clock import RealClock
from labctl.runtime.commissioned import keep
from labctl.runtime.folder import Lock, controller_of
from labctl.runtime.record import replayed
from labctl.runtime.serve import open_store
from tests.commandline import Labctl
from tests.runtime.live import LiveBench, live_bench
from tests.runtime.live import commission as commission_all

Line = str | Callable[[], None]

WARM = """\
protocol: warm
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - id: warm
    heat: {with: furnace, to: 60 degC, ramp: 20 K/min, hold: 1 min, atmosphere: air}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("real") / "bench", commissioned=False) as bench:
        (bench.folder.parent / "warm.yaml").write_text(WARM)
        yield bench


@pytest.fixture
def bench(real: LiveBench) -> Iterator[LiveBench]:
    """The bench, with nothing recorded of it yet."""
    file = real.folder / "bench.yaml"
    text = file.read_text()
    yield real
    file.write_text(text)
    for left in real.folder.glob("labctl.db*"):
        left.unlink()


def answers(bench: LiveBench, name: str = "furnace", **changes: Any) -> str:
    """A file in which everything is as it should be, but for `changes`."""
    file = bench.folder.parent / f"{name}.yaml"
    trials = ("thermocouple", "nitrogen", "extraction", "cable", "mains")
    given = {"plate": True, "items": "all", "trials": dict.fromkeys(trials, True), "cooldown": "15 min"}
    file.write_text(yaml.safe_dump(given | changes))
    return str(file)


def words(bench: LiveBench, name: str = "furnace") -> tuple[str, ...]:
    return ("commission", name, "--by", "ada", "--bench", str(bench.folder))


def distrusted(bench: LiveBench) -> tuple[str, ...]:
    """The thermometers of the tube without a vote, for the controller that starts next."""
    loaded = load_bench(bench.folder)
    with closing(open_store(bench.folder, loaded)) as store:
        return replayed(store, list(loaded.chambers)).chambers["tube"].distrusted


def not_commissioned(labctl: Labctl, bench: LiveBench) -> list[str]:
    """What `plan` says against heating on this bench."""
    place = ("--bench", str(bench.folder), "--json")
    code, out, _ = labctl("validate", str(bench.folder.parent / "warm.yaml"), *place)
    assert code == 0
    return [f["message"] for f in json.loads(out)["findings"] if f["rule"] == "SAFE-006"]


def test_a_run_that_heats_is_refused_until_every_instrument_of_its_chamber_is_commissioned(
    bench: LiveBench, labctl: Labctl
) -> None:
    place = str(bench.folder)
    asked = bench.bytes_received
    code, _, said = labctl("run", str(bench.folder.parent / "warm.yaml"), "--bench", place, "--yes")
    assert code == 8
    assert f"`labctl commission furnace --bench {place} --by NAME`" in said
    assert controller_of(bench.folder) is None
    assert bench.bytes_received == asked, "nothing was opened for it"
    barred = [message.partition(" ")[0] for message in not_commissioned(labctl, bench)]
    assert set(barred) >= {"furnace", "furnace-monitor", "nitrogen"}
    for name in list(barred):
        code, out, _ = labctl(*words(bench, name), "--answers", answers(bench, name))
        assert code == 0
        assert out.splitlines()[-1].endswith("commissioned by ada, for 365 days")
        barred.remove(name)
        assert [m.partition(" ")[0] for m in not_commissioned(labctl, bench)] == barred
    assert labctl("audit", "verify", "--bench", place)[0] == 0


def test_a_thermometer_that_lost_its_vote_has_it_back_when_it_is_commissioned_anew(
    bench: LiveBench, labctl: Labctl
) -> None:
    trip = {"guard": "sensor", "chamber": "tube", "latched": False, "run": None, "distrust": "furnace"}
    with closing(open_store(bench.folder, load_bench(bench.folder))) as store:
        keep(store, "tripped", trip)
    assert distrusted(bench) == ("furnace",)
    assert labctl(*words(bench), "--answers", answers(bench, plate=False))[0] == 8
    assert distrusted(bench) == ("furnace",)
    assert labctl(*words(bench), "--answers", answers(bench))[0] == 0
    assert distrusted(bench) == ()


@pytest.mark.parametrize(
    ("changes", "against"),
    [
        ({"plate": False}, "the serial number on its plate is not SIM-3216-1"),
        ({"trials": {"thermocouple": True, "cable": False, "mains": True}}, "cable: not confirmed"),
        (
            {"cooldown": "16 min"},
            "it cools from 900 degC in 960 s, and the bench file counts on cooldown_s: 900",
        ),
    ],
    ids=["plate", "trial", "cool-down"],
)
def test_what_is_not_as_it_should_be_is_recorded_and_bars_the_instrument(
    bench: LiveBench, labctl: Labctl, changes: dict[str, Any], against: str
) -> None:
    assert labctl(*words(bench), "--answers", answers(bench))[0] == 0
    code, out, _ = labctl(*words(bench), "--answers", answers(bench, **changes), "--json")
    assert code == 8
    told = json.loads(out.splitlines()[-1])
    assert told["failed"] == [against]
    assert not told["commissioned"]
    assert f"furnace is not commissioned: {against}" in not_commissioned(labctl, bench)[0]


def test_a_question_without_an_answer_records_nothing(bench: LiveBench, labctl: Labctl) -> None:
    unanswered: list[dict[str, Any]] = [
        {"plate": None},
        {"items": {}},
        {"trials": {"cable": True}},
        {"cooldown": None},
    ]
    for missing in unanswered:
        code, _, said = labctl(*words(bench), "--answers", answers(bench, **missing))
        assert code == 2
        assert "has no answer" in said
    assert labctl(*words(bench), "--answers", answers(bench, wrong=1))[0] == 3
    assert "is not commissioned: 6" in not_commissioned(labctl, bench)[0]
    assert labctl("commission", "furnace", "--bench", str(bench.folder))[0] == 2, "by nobody"
    assert labctl(*words(bench))[0] == 2, "and asked at no terminal"
    assert labctl(*words(bench, "furnce"))[0] == 2


def test_the_questions_are_a_file_of_answers(bench: LiveBench, labctl: Labctl, tmp_path: Path) -> None:
    code, out, _ = labctl(*words(bench), "--questions")
    assert code == 0
    asked = yaml.safe_load(out)
    assert list(asked["trials"]) == ["thermocouple", "cable", "mains"]
    assert set(asked["items"]) == {i.text for i in drivers()["eurotherm"].unknowns if i.safety}
    file = tmp_path / "mine.yaml"
    file.write_text(out.replace("false", "true", 1 + len(asked["items"]) + 3 + 1))
    assert labctl(*words(bench), "--answers", str(file), "--cooldown", "14 min")[0] == 0


def test_a_repair_or_another_serial_number_voids_it(bench: LiveBench, labctl: Labctl) -> None:
    assert labctl(*words(bench), "--answers", answers(bench))[0] == 0
    assert labctl(*words(bench), "--void")[0] == 2, "a reason is wanted"
    code, out, _ = labctl(*words(bench), "--void", "--reason", "new thermocouple")
    assert code == 0
    assert "no longer commissioned: new thermocouple" in out
    assert "ada voided it: new thermocouple" in not_commissioned(labctl, bench)[0]
    assert labctl(*words(bench), "--answers", answers(bench))[0] == 0
    file = bench.folder / "bench.yaml"
    file.write_text(file.read_text().replace("SIM-3216-1", "SIM-3216-7"))
    assert "was commissioned as SIM-3216-1, and is SIM-3216-7 now" in not_commissioned(labctl, bench)[0]


def test_a_wrong_serial_number_that_the_instrument_itself_tells_is_refused(
    bench: LiveBench, labctl: Labctl
) -> None:
    file = bench.folder / "bench.yaml"
    file.write_text(file.read_text().replace("521641", "999999"))
    code, out, _ = labctl(*words(bench, "nitrogen"), "--answers", answers(bench, "nitrogen"))
    assert code == 8
    assert "against it: serial number is 521641, wanted 999999" in out


def test_an_instrument_that_is_silent_or_a_bench_that_is_taken_is_not_commissioned(
    bench: LiveBench, labctl: Labctl
) -> None:
    bench.wires["furnace"].dumb = True
    assert labctl(*words(bench), "--answers", answers(bench))[0] == 6
    bench.wires["furnace"].dumb = False
    with Lock(bench.folder, "devices"):
        code, _, said = labctl(*words(bench), "--answers", answers(bench))
        assert code == 10
        assert "has the bench for `labctl devices`" in said
        run = ("run", str(bench.folder.parent / "warm.yaml"), "--bench", str(bench.folder), "--yes")
        assert labctl(*run)[0] == 8
    commission_all(bench.folder)
    with Lock(bench.folder, "commission"):
        assert labctl(*run)[0] == 10, "a controller is not even started"
        code, out, _ = labctl("status", "--bench", str(bench.folder))
        assert code == 0
        assert out.startswith("bench small: no controller, `labctl commission` (process ")
        assert (
            json.loads(labctl("status", "--json", "--bench", str(bench.folder))[1])["controller_pid"] is None
        )
        assert labctl("clear", "--reason", "none", "--bench", str(bench.folder))[0] == 2


def test_a_bench_that_is_not_proven_cold_or_not_at_rest_is_not_commissioned(
    bench: LiveBench, labctl: Labctl
) -> None:
    with closing(open_store(bench.folder, load_bench(bench.folder))) as store:
        keep(store, "custody_opened", {"chamber": "tube", "cause": "abort", "run": None, "gas": True})
    code, _, said = labctl(*words(bench), "--answers", answers(bench))
    assert code == 8
    assert "tube is not proven cold since it was last used" in said
    with closing(open_store(bench.folder, load_bench(bench.folder))) as store:
        keep(store, "custody_closed", {"chamber": "tube"})
        begun = {"run": "run-1", "plan": "p", "to": "RUNNING", "trigger": "START", "from": "IDLE"}
        keep(store, "run_created", begun)
        keep(store, "state_changed", begun)
    code, _, said = labctl(*words(bench), "--answers", answers(bench))
    assert code == 8
    assert "run run-1 is RUNNING; commission a bench at rest" in said


def test_a_hot_instrument_is_not_tripped(bench: LiveBench, labctl: Labctl) -> None:
    bench.truth()
    drift = {"instrument": "furnace", "kind": "sensor_drift", "parameters": {"per_hour": 200_000.0}}
    bench.twin.faults.add(drift)
    time.sleep(1.5)  # at 55 K a second
    try:
        code, _, said = labctl(*words(bench), "--answers", answers(bench))
    finally:
        bench.twin.faults.clear()
    assert code == 8
    assert "trip tests are made below 60 degC" in said


def test_plan_warns_of_it_too(bench: LiveBench, labctl: Labctl) -> None:
    place = ("--bench", str(bench.folder))
    code, out, _ = labctl("plan", str(bench.folder.parent / "warm.yaml"), *place, "--json")
    assert code == 0
    warned = [f for f in json.loads(out.splitlines()[-1])["findings"] if f["rule"] == "SAFE-006"]
    assert {f["severity"] for f in warned} == {"warning"}
    assert [f["message"] for f in warned] == not_commissioned(labctl, bench)


def test_an_instrument_whose_unverified_items_do_no_harm_needs_nobody(
    bench: LiveBench, labctl: Labctl
) -> None:
    code, _, said = labctl(*words(bench, "cycler"), "--answers", answers(bench))
    assert code == 0
    assert "cycler may heat" in said
    assert not (bench.folder / "labctl.db").exists()


def test_on_a_simulated_bench_nothing_is_recorded(tmp_path: Path, labctl: Labctl) -> None:
    assert labctl("init", str(tmp_path))[0] == 0
    code, _, said = labctl("commission", "furnace", "--by", "ada", "--bench", str(tmp_path))
    assert code == 2
    assert "count as commissioned" in said
    assert not (tmp_path / "labctl.db").exists()


def test_what_shows_an_unverified_item_is_there(bench: LiveBench) -> None:
    description = load_bench(bench.folder)
    clock = RealClock()
    for name, connection in connections(description, drivers(), lambda bus: clock).items():
        driver = connection.driver
        driver.open()
        there = {s.name for s in driver.signals} | {i.name for i in driver.audit().items}
        driver.close()
        entry = drivers()[description.instruments[name].driver]
        there |= {s.name for s in entry.signals}  # a bench may wire fewer
        for item in entry.unknowns:
            assert set(item.shown_by) <= there, (name, item.text)


# -- at the terminal -------------------------------------------------------------------------------


class Person(StringIO):
    """A person at the terminal: types a line, or does something and presses Enter."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = iter(lines)

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        line = next(self._lines, None)
        if line is None:
            return ""
        if isinstance(line, str):
            return f"{line}\n"
        line()
        return "\n"


def at_the_terminal(
    labctl: Labctl, monkeypatch: pytest.MonkeyPatch, bench: LiveBench, *lines: Line
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", Person(lines))
    return labctl(*words(bench), "--json")


def trips(bench: LiveBench) -> list[Line]:
    """The cold trip tests of the furnace, done at the twin."""
    wire, faults = bench.wires["furnace"], bench.twin.faults

    def mute(silent: bool) -> Callable[[], None]:
        return lambda: setattr(wire, "dumb", silent)

    def unplug() -> None:
        bench.truth()
        faults.add({"instrument": "furnace", "kind": "sensor_open"})

    def plug() -> None:
        faults.clear()

    return [unplug, plug, "y", mute(True), mute(False), "y", mute(True), mute(False), "yes"]


def test_a_person_is_asked_and_what_labctl_saw_is_kept(
    bench: LiveBench, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["y", *["y"] * 6, *trips(bench), "long", "14 min"]
    code, out, said = at_the_terminal(labctl, monkeypatch, bench, *lines)
    assert code == 0, said
    told = json.loads(out.splitlines()[-1])
    assert told["commissioned"]
    saw = {trial["trial"]: trial["saw"] for trial in told["trials"]}
    assert saw["thermocouple"][0].startswith("labctl saw a bad temperature: temperature ")
    assert saw["cable"][0].startswith("labctl saw silence: temperature silent")
    assert "output 0 %" in saw["mains"][1]
    assert told["cooldown"] == {"measured_in": None, "cooldown_s": 840.0, "from_c": 900.0}
    assert "now: units degC, ramp units per minute, sensor break on" in said
    assert "furnace" not in " ".join(not_commissioned(labctl, bench)).replace("furnace-monitor", "")


def test_what_labctl_did_not_see_counts_against_it_whatever_the_person_says(
    bench: LiveBench, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commission, "SEEN_WITHIN_S", 0.2)
    nothing: list[Line] = ["", "", "y"]
    code, out, _ = at_the_terminal(
        labctl, monkeypatch, bench, "y", *["y"] * 6, *nothing, *trips(bench)[3:], "14 min"
    )
    assert code == 8
    told = json.loads(out.splitlines()[-1])
    assert told["failed"] == [
        "thermocouple: labctl did not see a bad temperature after: unplug its thermocouple"
    ]


def test_a_terminal_that_goes_away_leaves_nothing_recorded(
    bench: LiveBench, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, said = at_the_terminal(labctl, monkeypatch, bench, "y", "y")
    assert code == 2
    assert "nothing was recorded" in said
    assert "is not commissioned: 6" in not_commissioned(labctl, bench)[0]
