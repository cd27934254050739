"""Clearing from the terminal: what tripped, whoever it belongs to, and the e-stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from labctl.bench.loader import find_bench
from labctl.engine.evolve import evolve
from labctl.engine.state import empty
from labctl.model.events import BENCH_STREAM
from labctl.model.events import Event as Happened
from labctl.runtime.clock import RealClock, utc_now_ms
from labctl.runtime.folder import DATABASE, ESTOP, Lock, press_estop
from labctl.runtime.record import InStore
from labctl.store import Store
from tests.commandline import Labctl
from tests.engine.bench import Hands, dry, inert, purge, ramp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bench folder in which nothing has run yet."""
    (tmp_path / "bench.yaml").write_text(find_bench("standard").read_text())
    return tmp_path


def remembered(folder: Path, hands: Hands) -> Store:
    """The memory of what happened on a bench so far."""
    store = Store.create(folder / DATABASE, bench="standard", bench_yaml="", simulated=True)
    store.commit(hands.events, lambda t_s: round(t_s * 1000.0))
    return store


@contextmanager
def controlled(folder: Path, hands: Hands) -> Iterator[None]:
    """Whoever controls the bench from there on: decides what people ask for, and keeps it."""
    leave, ready = Event(), Event()

    def control() -> None:
        with Lock(folder), remembered(folder, hands) as store:
            record = InStore(store, RealClock(hands.now), empty(hands.bench.chambers))
            ready.set()
            while not leave.wait(0.02):
                decision = hands.scan(0.0, record.requests(utc_now_ms()))
                record.keep(decision.state, None, decision.events, decision.settled)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(control)
        try:
            while not ready.wait(0.1):
                assert not done.done(), done.exception()
            yield
        finally:
            leave.set()
        done.result()


def cooling(hands: Hands, scans: int) -> None:
    for _ in range(scans):
        hot = hands.values["furnace.temperature"]
        assert hot is not None
        if hands.tube.lease is None:
            hands.at(22.0 + (hot - 22.0) * math.exp(-1.0 / hands.context.rigs["tube"].cooling_tau_s))
        hands.scan(1.0)


def tripped() -> Hands:
    """A tube that was too hot for its run, which has ended ABORTED; another one was never started."""
    hands = Hands(purge(timeout_s=1e5), inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6), bench="standard")
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    submitted(hands)
    hands.phase("heat", "ramp", 1e5)
    hands.scan()
    for degc in (330.0, 330.0):
        hands.at(degc)
        hands.scan()
    cooling(hands, 30)
    hands.at(200.0)
    assert (hands.run.state, hands.tube.latched) == ("ABORTED", ("over_temperature",))
    return hands


def tripped_again() -> Hands:
    """The same tube, whose run was cleared and reset, too hot once more."""
    hands = tripped()
    assert hands.ask("clear", reason="a wrong thermocouple")[1]
    assert hands.ask("reset")[1]
    hands.at(360.0)
    for _ in range(3):
        hands.scan()
    hands.at(200.0)
    assert (hands.run.state, hands.tube.latched) == ("IDLE", ("over_temperature",))
    return hands


def submitted(hands: Hands) -> Hands:
    """A run whose start was refused: it is there, and never began."""
    assert hands.plan is not None
    assert hands.ask("submit", None, run="run-2", plan=hands.plan.plan_hash)[1]
    return hands


def new() -> Hands:
    """A bench on which nothing ever began."""
    return submitted(Hands(dry(), bench="standard"))


def latched(folder: Path, labctl: Labctl) -> str:
    code, out, said = labctl("status", "--json", "--bench", str(folder))
    assert code == 0, said
    return out.partition('"latched":')[2].partition("}")[0]


@pytest.mark.parametrize("words", [(), ("--chamber", "tube")], ids=["by itself", "by name"])
def test_a_trip_after_the_reset_of_its_run_is_cleared_at_the_chamber(
    folder: Path, labctl: Labctl, words: tuple[str, ...]
) -> None:
    with controlled(folder, tripped_again()):
        assert "over_temperature" in latched(folder, labctl)
        code, out, said = labctl(
            "clear", *words, "--reason", "a stuck relay, changed", "--bench", str(folder)
        )
        assert (code, out) == (0, "clear tube: accepted\n"), said
        assert "over_temperature" not in latched(folder, labctl)


def test_of_several_chambers_that_tripped_one_is_named(folder: Path, labctl: Labctl) -> None:
    hands = tripped_again()
    data = {"chamber": "drying-oven", "guard": "stuck_heater", "latched": True, "run": None}
    again = Happened(BENCH_STREAM, "tripped", data, hands.now)
    hands.events.append(again)
    hands.state = evolve(hands.state, again)
    place = ("--reason", "a stuck relay, changed", "--bench", str(folder))
    with controlled(folder, hands):
        code, _, said = labctl("clear", *place)
        assert code == 2
        assert "several chambers have tripped; name one: --chamber" in said
        assert labctl("clear", "--chamber", "tub", *place)[0] == 8
        assert labctl("clear", "--chamber", "tube", *place)[0] == 0
        code, out, said = labctl("clear", *place)
        assert (code, out) == (0, "clear drying-oven: accepted\n"), said


def test_a_trip_of_a_run_is_cleared_with_the_run(folder: Path, labctl: Labctl) -> None:
    place = ("--reason", "a wrong thermocouple", "--bench", str(folder))
    with controlled(folder, tripped()):
        code, _, said = labctl("clear", "--chamber", "tube", *place)
        assert code == 8
        assert "clear and reset run-1, which it tripped" in said
        assert labctl("clear", "run-1", "--chamber", "tube", *place)[0] == 2
        code, out, said = labctl("clear", *place)
        assert (code, out) == (0, "clear run-1: accepted\n"), said
        assert labctl("reset", "run-1", *place)[0] == 0
        assert "over_temperature" not in latched(folder, labctl)


@pytest.mark.parametrize(
    "before", [tripped_again, lambda: submitted(Hands(dry(), bench="standard"))], ids=["tripped", "new"]
)
def test_the_estop_is_taken_back_though_a_run_was_never_started(
    folder: Path, labctl: Labctl, before: Callable[[], Hands]
) -> None:
    remembered(folder, before()).close()
    press_estop(folder, "ada: smoke")
    code, out, said = labctl("clear", "--reason", "it was toast", "--bench", str(folder))
    assert (code, out) == (0, "nothing was under way; the e-stop is taken back\n"), said
    assert not (folder / ESTOP).exists()


def test_the_estop_is_taken_back_where_nothing_ever_ran(folder: Path, labctl: Labctl) -> None:
    assert labctl("estop", "--bench", str(folder), "--reason", "smoke")[0] == 0
    code, out, said = labctl("clear", "--reason", "it was toast", "--bench", str(folder))
    assert (code, out) == (0, "nothing was under way; the e-stop is taken back\n"), said
    assert not (folder / ESTOP).exists()
