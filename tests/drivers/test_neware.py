from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from labctl.bench.api import (
    BAD,
    GOOD,
    NOT_READY,
    SILENT,
    CommunicationError,
    Driver,
    NotDoneError,
    RefusedError,
)
from labctl.runtime.clock import RealClock
from labctl_drivers.neware import ENTRY, Neware
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Bindings, Replies
from labctl_simulators.devices.neware_channel import TRIPPED
from labctl_simulators.devices.neware_steps import Schedule, Step
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell
from tests.drivers.contract import DriverContract
from tests.drivers.cycling import SCHEDULE, Cycling, cycling


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Cycling]:
    with cycling(tmp_path) as rig:
        yield rig


class TestNewareContract(DriverContract):
    entry = ENTRY
    hosts = ("tcp",)
    options: ClassVar[Mapping[str, Any]] = {"device": 21, "channel": 2}

    def bindings(self, now: Callable[[], float]) -> Bindings:
        cell = HalfCell()
        cell.assemble(Electrode(), active_mass_mg=1.7)
        return Bindings(now=now, cell=cell)

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("stop", {})


def failing(rig: Cycling) -> list[str]:
    return [item.name for item in rig.driver.audit().items if not item.ok]


def lose(rig: Cycling, word: bytes) -> None:
    """From now on nothing is heard of requests that hold this word."""
    rig.wire.spoil = lambda replies: [] if word in rig.wire.carried[-1] else replies


def spoil_replies(rig: Cycling, pattern: bytes, by: bytes) -> None:
    """From now on replies have this in place of that."""
    rig.wire.spoil = lambda replies: [(delay, re.sub(pattern, by, reply)) for delay, reply in replies]


# audit


def test_the_audit_names_the_channel_and_finds_an_idle_one_in_order(rig: Cycling) -> None:
    audit = rig.driver.audit()
    assert audit.ok
    assert audit.identity["channel"] == "21-2-3"
    assert audit.identity["test"] == "0"


def test_a_channel_that_runs_what_labctl_started_passes_with_its_limits_and_its_clock(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    audit = rig.driver.audit()
    assert audit.ok
    items = {item.name: item.found for item in audit.items}
    assert items["limits"] == "2..4.1 V, 0.0011934 A"
    assert items["clock"] == "2.0 s"


def test_a_channel_that_somebody_else_started_fails_the_audit(rig: Cycling, tmp_path: Path) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.channel.barcode = "251203_kigr_gen17_02"
    assert failing(rig) == ["channel idle or ours", "limits"]


def test_a_running_schedule_whose_limits_cannot_be_shown_fails_the_audit(
    rig: Cycling, tmp_path: Path
) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    for file in tmp_path.iterdir():
        file.unlink()
    assert failing(rig) == ["limits"]


def test_a_test_whose_clock_stands_still_fails_the_audit(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.server._started.clear()
    assert failing(rig) == ["clock"]


@pytest.mark.parametrize(
    ("armed", "wider"), [(b"41000.", b"43000."), (b"20000.", b"10000."), (b"1.1934", b"99.1934")]
)
def test_a_running_schedule_under_wider_limits_fails_the_audit(
    rig: Cycling, tmp_path: Path, armed: bytes, wider: bytes
) -> None:
    file = tmp_path / f"{rig.driver.execute('start_schedule', SCHEDULE)['barcode']}.xml"
    assert armed in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(armed, wider))
    assert failing(rig) == ["limits"]


def test_a_cell_that_is_cycled_beyond_its_window_fails_the_audit(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.cell.electrode = None
    rig.cell.source(4.3, 1e-3)
    rig.channel._schedule = Schedule((Step(3, current_a=1e-3, volt_v=4.3, stop_a=-1.0), Step(6)))
    assert failing(rig) == ["voltage"]


def test_data_without_a_date_fails_the_audit(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.execute("stop", {})
    spoil_replies(rig, rb'atime="\d+-', b'atime="')
    assert failing(rig) == ["date of data"]


def test_a_tripped_channel_fails_the_audit(rig: Cycling) -> None:
    rig.channel.state = "protect"
    assert failing(rig) == ["protection"]


def test_a_channel_that_the_server_does_not_list_does_not_open(rig: Cycling) -> None:
    driver = Neware(rig.driver.line, {"device": 22, "channel": 1})
    with pytest.raises(CommunicationError, match="no channel 22-1-1"):
        driver.open()


def test_a_server_whose_interface_is_not_enabled_is_silent_and_says_why(rig: Cycling) -> None:
    rig.server.api = False
    assert {r.quality for r in rig.driver.read()} == {SILENT}
    with pytest.raises(CommunicationError, match="API"):
        rig.driver.audit()


# reading


def test_current_and_capacity_have_the_digits_that_inquire_rounds_away(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE | {"blocks": [[0.1, 1]]})
    rig.live(360.0)
    assert rig.value("current") == pytest.approx(19.89e-6, rel=1e-9)
    assert rig.value("capacity") == pytest.approx(0.0019890, rel=0.05)
    assert rig.value("state") == 1.0
    assert (rig.value("cycle"), rig.value("step")) == (1.0, 1.0)


def test_a_reading_of_an_idle_channel_is_one_question(rig: Cycling) -> None:
    rig.driver.read()
    rig.wire.carried.clear()
    rig.driver.read()
    assert len(rig.wire.carried) == 1
    assert b"<cmd>inquire</cmd>" in rig.wire.carried[0]


def test_a_schedule_runs_by_itself_to_its_end_with_nobody_connected(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.close()
    rig.live(3000.0)
    rig.driver.open()
    assert rig.value("state") == 0.0
    assert rig.value("current") == 0.0
    assert (rig.value("cycle"), rig.value("step")) == (2.0, 2.0)
    # the paper: 106.6 mAh/g at 5C
    assert rig.value("capacity") == pytest.approx(1.7e-3 * 106.6, rel=0.02)


def test_every_row_of_data_is_downloaded_in_pages(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.live(3000.0)
    rig.wire.carried.clear()
    records = list(rig.driver.records())
    assert len(records) == len(rig.channel.rows) > 1000
    assert [r.seq for r in records] == list(range(1, len(records) + 1))
    assert sum(b"<cmd>download</cmd>" in c for c in rig.wire.carried) == len(records) // 1000 + 1
    half_cycles = [max(r.capacity_ah for r in records if (r.cycle, r.step) == k) for k in ((1, 1), (1, 2))]
    assert half_cycles == pytest.approx([0.000186, 0.000183], rel=0.03)


def test_a_gap_in_reading_is_caught_up_at_once(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.read()
    rig.live(600.0)
    assert rig.value("current") == pytest.approx(9.945e-4, rel=1e-9)


def test_a_server_that_shows_old_data_is_bad_not_good(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.read()
    rig.server._started.clear()
    rig.live(9.0)
    assert rig.value("voltage")
    rig.live(3.0)
    assert {r.quality for r in rig.driver.read()[:4]} == {BAD}


def test_without_a_young_row_of_data_a_small_current_is_not_read(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE | {"blocks": [[0.1, 1]]})
    rig.live(20.0)
    del rig.channel.rows[1:]
    rig.live(20.0)
    del rig.channel.rows[1:]
    _, current, _, capacity, *_ = rig.driver.read()
    assert current.quality is NOT_READY
    assert capacity.quality is NOT_READY


def test_a_state_that_nobody_knows_is_bad(rig: Cycling) -> None:
    rig.channel.state = "calibrate"
    image = rig.driver.read()
    assert (image[6].value, image[6].quality) == (None, BAD)
    assert image[1].quality is BAD


def test_a_reply_about_another_channel_is_silence(rig: Cycling) -> None:
    rig.server.names_channel = 4
    assert {r.quality for r in rig.driver.read()} == {SILENT}
    rig.server.names_channel = None
    assert {r.quality for r in rig.driver.read()} == {GOOD}


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        (rb"inquire_resp", b"getchlstatus_resp"),
        (rb"donwload_resp", b"download_resp"),
        (rb'<list count="(\d+)">(\s*<data)', rb'<list count="\g<1>1">\g<2>'),
        (rb'startpos="(\d+)"', rb'startpos="\g<1>1"'),
        (rb'seqid="\d+"', b'seqid="0"'),
        (rb'\d" capacity="', b""),
        (rb'\d" energy="\d', b""),
        (rb'\d" eng="', b""),
        (rb' step_id="\d"', b""),
        (rb' barcode="[^"]*"', b""),
    ],
)
def test_a_reply_that_is_not_quite_the_answer_is_silence(rig: Cycling, pattern: bytes, by: bytes) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.read()
    rig.live(10.0)
    spoil_replies(rig, pattern, by)
    assert {r.quality for r in rig.driver.read()} == {SILENT}


def test_rows_of_data_out_of_order_are_none(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.live(100.0)
    spoil_replies(rig, rb'seqid="7"', b'seqid="5"')
    with pytest.raises(CommunicationError, match="order"):
        list(rig.driver.records())


def test_a_copy_of_an_old_reply_that_comes_late_is_not_the_next_one(rig: Cycling) -> None:
    rig.driver.read()
    rig.wire.spoil = lambda replies: [*replies, *((delay + 0.5, reply) for delay, reply in replies)]
    before = rig.value("voltage")
    rig.wire.spoil = lambda replies: replies
    rig.live(5.0)
    rig.cell.voltage_v = 3.5
    assert rig.value("voltage") == 3.5 != before


def test_a_current_that_no_bench_allowed_is_bad(rig: Cycling) -> None:
    rig.channel.start(Schedule((Step(1, current_a=0.013, volt_v=9.0), Step(6))), "x", 7, rig.clock.now())
    current = rig.driver.read()[1]
    assert (current.value, current.quality) == (0.013, BAD)


def test_a_server_that_calls_every_subdevice_one_is_understood(rig: Cycling) -> None:
    rig.server.forgets_subdevice = True
    assert rig.driver.audit().ok
    assert {r.quality for r in rig.driver.read()} == {GOOD}


def test_a_second_client_on_the_same_server_drives_a_channel_of_its_own(rig: Cycling, tmp_path: Path) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    other = Neware(rig.driver.line, {"device": 21, "subdevice": 1, "channel": 8})
    other.open()
    voltage, current, *_ = other.read()
    assert (voltage.value, current.value) == (0.0, 0.0)
    assert other.audit().ok
    other.close()
    assert rig.value("state") == 1.0


# losses


def test_a_server_that_restarts_is_read_again_under_its_new_test_number(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    assert rig.value("test") == 143.0
    rig.server.restart(away_s=30.0)
    assert {r.quality for r in rig.driver.read()} == {SILENT}
    rig.live(35.0)
    assert rig.value("test") == 144.0
    assert rig.value("state") == 1.0
    assert rig.value("elapsed") == pytest.approx(rig.channel.total_s, abs=1.0)


def test_the_test_number_moves_on_with_each_start(rig: Cycling) -> None:
    first = rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.execute("stop", {})
    second = rig.driver.execute("start_schedule", SCHEDULE)
    assert (first["test"], second["test"]) == (143, 144)
    assert rig.value("test") == 144.0


def test_a_cycler_that_lost_power_shows_a_schedule_that_did_not_end_where_it_should(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.live(300.0)
    rig.server.power_cycle()
    assert rig.value("state") == 0.0
    assert (rig.value("cycle"), rig.value("step")) == (1.0, 1.0)
    assert rig.cell.current_a == 0.0


def test_half_of_a_request_left_by_a_client_that_went_away_does_not_spoil_the_next(rig: Cycling) -> None:
    rig.driver.close()
    rig.wire.feed(b'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>sto', 0.0)
    rig.driver.open()
    assert {r.quality for r in rig.driver.read()} == {GOOD}


# starting


def test_a_start_is_proven_by_a_new_test_under_its_own_barcode(rig: Cycling, tmp_path: Path) -> None:
    back = rig.driver.execute("start_schedule", SCHEDULE)
    assert back["test"] == 143
    assert back["barcode"] == rig.channel.barcode
    assert (back["protect_lower_v"], back["protect_upper_v"]) == (2.0, 4.1)
    assert back["protect_current_a"] == pytest.approx(1.2 * back["largest_current_a"])
    assert rig.cell.current_a == pytest.approx(9.945e-4)
    assert [f.name for f in tmp_path.iterdir()] == [f"{back['barcode']}.xml"]


def test_the_server_is_given_the_path_by_its_own_name_of_the_share(tmp_path: Path) -> None:
    with cycling(tmp_path, pc_dir="C:\\labctl") as rig:
        back = rig.driver.execute("start_schedule", SCHEDULE)
        (start,) = [c for c in rig.wire.carried if b"<cmd>start</cmd>" in c]
        assert f">C:\\labctl\\{back['barcode']}.xml</start>".encode() in start


def test_a_start_whose_reply_is_lost_is_settled_by_what_runs(rig: Cycling) -> None:
    lose(rig, b"<cmd>start</cmd>")
    assert rig.driver.execute("start_schedule", SCHEDULE)["test"] == 143
    assert sum(b"<cmd>start</cmd>" in c for c in rig.wire.carried) == 1


def test_a_start_that_was_lost_on_the_way_is_not_done(rig: Cycling, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = rig.wire.session.feed

    def deaf(data: bytes, now_s: float) -> Replies:
        return [] if b"<cmd>start</cmd>" in data else feed(data, now_s)

    monkeypatch.setattr(rig.wire.session, "feed", deaf)
    with pytest.raises(NotDoneError, match="does not run"):
        rig.driver.execute("start_schedule", SCHEDULE)


def test_a_start_that_was_lost_is_not_taken_for_an_earlier_run_of_the_same_programme(
    rig: Cycling, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.driver.execute("stop", {})
    feed = rig.wire.session.feed
    monkeypatch.setattr(
        rig.wire.session, "feed", lambda data, now_s: [] if b"<cmd>start</cmd>" in data else feed(data, now_s)
    )
    with pytest.raises(NotDoneError, match="does not run: test 143, was 143"):
        rig.driver.execute("start_schedule", SCHEDULE)


def test_a_start_is_not_taken_for_what_somebody_else_started_meanwhile(rig: Cycling) -> None:
    spoil_replies(rig, rb'barcode="labctl-[^"]*"', b'barcode="251203_kigr_gen17_02"')
    with pytest.raises(NotDoneError, match="does not run"):
        rig.driver.execute("start_schedule", SCHEDULE)


def test_a_share_that_keeps_something_else_starts_nothing(
    rig: Cycling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"")
    with pytest.raises(RefusedError, match="reads back differently"):
        rig.driver.execute("start_schedule", SCHEDULE)
    assert rig.channel.state == "finish"


def test_a_start_after_which_nobody_answers_is_an_unknown_outcome(rig: Cycling) -> None:
    def from_the_start_on(replies: Replies) -> Replies:
        return [] if any(b"<cmd>start</cmd>" in c for c in rig.wire.carried) else replies

    rig.wire.spoil = from_the_start_on
    with pytest.raises(CommunicationError):
        rig.driver.execute("start_schedule", SCHEDULE)


def test_a_running_channel_is_not_started_again(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    with pytest.raises(RefusedError, match="working"):
        rig.driver.execute("start_schedule", SCHEDULE)
    assert rig.channel.test == 143


def test_a_step_file_that_the_server_cannot_see_is_a_refusal(tmp_path: Path) -> None:
    with cycling(tmp_path, pc_dir="Z:\\elsewhere") as rig:
        rig.server.on_server = ""
        with pytest.raises(RefusedError, match="see it"):
            rig.driver.execute("start_schedule", SCHEDULE)
        assert rig.channel.state == "finish"


def test_terminals_without_a_cell_are_not_cycled(rig: Cycling) -> None:
    rig.channel.cell = None
    with pytest.raises(RefusedError, match="is there one"):
        rig.driver.execute("start_schedule", SCHEDULE)
    assert not any(b"<cmd>start</cmd>" in c for c in rig.wire.carried)


@pytest.mark.parametrize(
    "wrong",
    [
        {"upper_v": 4.1},
        {"lower_v": 2.0},
        {"upper_v": 2.3},
        {"upper_v": float("nan")},
        {"active_mass_mg": 0.0},
        {"active_mass_mg": float("inf")},
        {"active_mass_mg": 1700.0},
        {"specific_current_ma_per_g": -117.0},
        {"blocks": []},
        {"blocks": [[0.0, 1]]},
        {"blocks": [[1.0, 0]]},
        {"blocks": [[1.0, 1.5]]},
        {"blocks": [[float("nan"), 1]]},
        {"blocks": 5},
        {"blocks": [[1.0]]},
        {"rest_s": -1.0},
        {"rest_s": float("nan")},
        {"sample": "a sample"},
        {"sample": '"/>'},
    ],
)
def test_a_programme_that_no_cell_should_be_given_is_refused_and_nothing_is_sent(
    rig: Cycling, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    rig.wire.carried.clear()
    with pytest.raises(RefusedError):
        rig.driver.execute("start_schedule", SCHEDULE | wrong)
    assert rig.wire.carried == []
    assert list(tmp_path.iterdir()) == []


def test_without_a_share_nothing_can_be_started(rig: Cycling) -> None:
    driver = Neware(rig.driver.line, {"device": 21, "channel": 3})
    with pytest.raises(RefusedError, match="share_dir"):
        driver.execute("start_schedule", SCHEDULE)


def test_a_share_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    with cycling(tmp_path / "gone") as rig, pytest.raises(RefusedError, match="not written"):
        rig.driver.execute("start_schedule", SCHEDULE)


@pytest.mark.parametrize("missing", ["device", "channel"])
def test_a_channel_must_be_named(rig: Cycling, missing: str) -> None:
    options = {"device": 21, "channel": 3}
    del options[missing]
    with pytest.raises(ValueError, match=missing):
        Neware(rig.driver.line, options)


# stopping


def test_stopping_opens_the_circuit(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.live(60.0)
    back = rig.driver.execute("stop", {})
    assert (back["state"], back["current_a"]) == ("stop", 0.0)
    assert rig.cell.current_a == 0.0
    assert rig.value("state") == 3.0


def test_stopping_an_idle_channel_is_done(rig: Cycling) -> None:
    assert rig.driver.execute("stop", {})["state"] == "finish"


def test_a_stop_that_is_lost_once_is_sent_again(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    feed = rig.wire.session.feed
    lost: list[bytes] = []

    def deaf_once(data: bytes, now_s: float) -> Replies:
        if b"<cmd>stop</cmd>" in data and not lost:
            lost.append(data)
            return []
        return feed(data, now_s)

    rig.wire.session.feed = deaf_once  # type: ignore[method-assign]
    assert rig.driver.execute("stop", {})["state"] == "stop"


def test_a_channel_that_does_not_stop_is_reported_for_a_person_to_stop(
    rig: Cycling, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    monkeypatch.setattr(type(rig.channel), "end", lambda self, state, code: None)
    with pytest.raises(NotDoneError, match="stop it at the cycler"):
        rig.driver.execute("stop", {})


def test_a_stopped_channel_that_still_carries_current_is_not_stopped(rig: Cycling) -> None:
    spoil_replies(rig, rb'current="0"', b'current="0.001"')
    with pytest.raises(NotDoneError, match=r"still finish at 0.001 A"):
        rig.driver.execute("stop", {})


# own protection


def test_a_cell_beyond_its_limits_is_tripped_by_the_cycler_and_seen_so(rig: Cycling) -> None:
    rig.driver.execute("start_schedule", SCHEDULE)
    rig.live(60.0)
    rig.channel._schedule = Schedule(rig.channel._schedule.steps, upper_v=3.3, delay_s=1.0)
    rig.live(3.0)
    assert rig.value("state") == 4.0
    assert rig.cell.current_a == 0.0
    assert rig.channel.log[-1][1] == TRIPPED


def test_over_tcp_a_server_that_was_away_is_read_again_and_the_schedule_went_on(tmp_path: Path) -> None:
    with cycling(tmp_path) as rig:
        clock = RealClock()
        with TcpHost(rig.wire, clock.now, delays=False) as host:
            port = host.port
            driver = Neware(open_line(host.address, clock), rig.driver.options)
            driver.open()
            driver.execute("start_schedule", SCHEDULE)
            assert driver.read()[6].value == 1.0
        assert {r.quality for r in driver.read()} == {SILENT}
        rig.live(600.0)
        with TcpHost(rig.wire, clock.now, delays=False, port=port):
            image = driver.read()
            assert {r.quality for r in image} == {GOOD}
            assert image[2].value == pytest.approx(600.0, abs=1.0)
        driver.close()
