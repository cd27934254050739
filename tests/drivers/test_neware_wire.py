"""Whatever a server's bytes become on their way, a reading is the true one or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.bench.api import GOOD, SILENT, Reading
from labctl_drivers.neware.frame import END, parse, request
from labctl_simulators.devices.api import Replies
from tests.drivers.cycling import SCHEDULE, Cycling, cycling

CAPTURED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\r\n<bts version="1.0">\r\n  <cmd>inquire_resp</cmd>\r\n'
    b'  <list count="1">\r\n    <inquire dev="27-21-1-2-0" cycle_id="44" step_id="4" step_type="dc"'
    b' workstatus="working" barcode="251203_kigr_gen17_02" current="-0.0003" voltage="4.6947"'
    b' capacity="0.001" energy="0.0047" totaltime="3189199.3" relativetime="12319" open_or_close="0"'
    b' log_code="102000" />\r\n  </list>\r\n</bts>\n\n#\r\n'
)
"""A reply of a real BTS 8.0 server (aurora-neware 0.2.3)."""

NUMERIC = frozenset(b"0123456789.eE+-")
MANY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Cycling]:
    with cycling(tmp_path) as rig:
        rig.driver.execute("start_schedule", SCHEDULE | {"blocks": [[0.1, 1]]})
        rig.live(100.0)
        yield rig


def read_through(rig: Cycling, spoil: Callable[[bytes], bytes]) -> tuple[tuple[Reading, ...], ...]:
    """What is read when every reply of a reading goes through `spoil`, and what is read after that."""
    rig.wire.spoil = lambda replies: [(delay, spoil(reply)) for delay, reply in replies]
    # time stands still, or the truth would move on
    rig.clock.world, world = None, rig.clock.world
    spoilt = rig.driver.read()
    rig.wire.spoil = lambda replies: replies
    true = rig.driver.read()
    rig.clock.world = world
    rig.clock.t_s = float(rig.lived_s)
    rig.driver._moved = (0.0, -1.0)
    return spoilt, true


def assert_true_or_none(spoilt: tuple[Reading, ...], true: tuple[Reading, ...]) -> None:
    assert {r.quality for r in true} == {GOOD}
    for reading, truth in zip(spoilt, true, strict=True):
        assert reading.quality is not GOOD or reading.value == truth.value


@pytest.mark.evidence(
    "neware", "record", "replies of a real server, as aurora-neware publishes them, are read by the driver"
)
def test_a_captured_reply_is_read_whole() -> None:
    row = parse(CAPTURED).one("inquire")
    assert (row.values["workstatus"], row.number("current"), row.count("cycle_id")) == (
        "working",
        -0.0003,
        44,
    )


def test_a_request_is_framed_as_captured() -> None:
    assert request("<cmd>getdevinfo</cmd>") == (
        b'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>getdevinfo</cmd></bts>\n\n#\r\n'
    )


@pytest.mark.parametrize(
    "harmless",
    [
        CAPTURED.replace(b"\r\n  ", b"\n\t "),
        CAPTURED.replace(b"</list>", b'</list>"'),
        CAPTURED.replace(b' log_code="102000"', b' log_code="102000" firmware="9"'),
        CAPTURED.replace(b"</list>", b"</list><hint>new</hint>"),
        b"\r\n" + CAPTURED,
    ],
)
def test_what_servers_are_known_to_vary_is_forgiven(harmless: bytes) -> None:
    assert parse(harmless).one("inquire").number("voltage") == 4.6947


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        END,
        CAPTURED * 2,
        CAPTURED[:-1],
        CAPTURED.replace(b"</list>", b""),
        CAPTURED.replace(b"</bts>", b""),
        CAPTURED.replace(b"<list", b"<liste"),
        CAPTURED.replace(b' voltage="4.6947"', b' voltage="4.6947" voltage="3.1"'),
        CAPTURED.replace(b"</list>", b"</list>lost"),
        CAPTURED.replace(b'voltage="', b'voltage="<!ENTITY'),
    ],
)
def test_what_is_not_one_whole_reply_is_none(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(broken)


@pytest.mark.parametrize("value", ["", "--", "nan", "inf", "0x1", "1e999", "1_0", "٣", "4.6947 ", "1e+"])
def test_what_is_no_number_is_none(value: str) -> None:
    row = parse(CAPTURED.replace(b'"4.6947"', f'"{value}"'.encode())).one("inquire")
    with pytest.raises(ValueError, match="number"):
        row.number("voltage")


@given(st.binary(max_size=200))
def test_no_garbage_is_a_reply_or_more_than_a_value_error(garbage: bytes) -> None:
    for raw in (garbage, garbage + END, CAPTURED[:60] + garbage + END):
        with pytest.raises(ValueError, match=r".*"):
            parse(raw)


@MANY
@given(st.lists(st.integers(1, 1500), max_size=8), st.floats(0.0, 0.3))
def test_however_a_reply_is_split_it_is_read(rig: Cycling, cuts: list[int], pause_s: float) -> None:
    rig.clock.t_s, now = float(rig.lived_s), rig.clock.t_s

    def split(replies: Replies) -> Replies:
        pieces = []
        for delay, reply in replies:
            edges = [0, *sorted({c for c in cuts if c < len(reply)}), len(reply)]
            pieces += [(delay + i * pause_s, reply[a:b]) for i, (a, b) in enumerate(pairwise(edges))]
        return pieces

    rig.wire.spoil = split
    assert {r.quality for r in rig.driver.read()} == {GOOD}
    rig.clock.t_s = max(now, float(rig.lived_s))


@MANY
@given(st.integers(0, 2000))
def test_a_reply_that_ends_too_early_is_silence(rig: Cycling, kept: int) -> None:
    spoilt, true = read_through(rig, lambda reply: reply[: min(kept, len(reply) - 1)])
    assert {r.quality for r in spoilt} == {SILENT}
    assert {r.quality for r in true} == {GOOD}


@MANY
@given(st.integers(0, 2000), st.integers(1, 1500))
def test_a_reply_that_lost_a_piece_across_values_is_the_truth_or_silence(
    rig: Cycling, at: int, length: int
) -> None:
    def without(reply: bytes) -> bytes:
        start = at % len(reply)
        piece = reply[start : start + length]
        # a piece of digits within one number leaves a number: that no length or sum would tell is TCP's to prevent
        return reply.replace(piece, b"", 1) if b'"' in piece else reply

    assert_true_or_none(*read_through(rig, without))


@MANY
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_reply_with_other_bytes_in_it_is_the_truth_or_silence(
    rig: Cycling, changes: list[tuple[int, int]]
) -> None:
    def changed(reply: bytes) -> bytes:
        bytes_ = bytearray(reply)
        for at, byte in changes:
            at %= len(bytes_)
            # one digit for another is a number still, as above
            if not (byte in NUMERIC and bytes_[at] in NUMERIC):
                bytes_[at] = byte
        return bytes(bytes_)

    assert_true_or_none(*read_through(rig, changed))


@MANY
@given(st.binary(min_size=1, max_size=12), st.integers(0, 2000))
def test_a_reply_with_foreign_bytes_between_is_the_truth_or_silence(
    rig: Cycling, noise: bytes, at: int
) -> None:
    foreign = bytes(b for b in noise if b not in NUMERIC)

    def noisy(reply: bytes) -> bytes:
        place = at % len(reply)
        return reply[:place] + foreign + reply[place:]

    assert_true_or_none(*read_through(rig, noisy))
