"""Faults of the wire and of the protocol: between the host that carries bytes and the device's session.

A change is a function (request, feed) -> replies: it decides what the device hears and what is heard of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.faults.fault import Kind, Layer, Target, Undo
from labctl_simulators.wire.modbus_rtu import with_crc

if TYPE_CHECKING:
    from labctl_simulators.twin import PlantSession

Feed = Callable[[bytes], Replies]


class Change(Protocol):
    """What a fault makes of a request and its replies."""

    def __call__(self, request: bytes, feed: Feed) -> Replies:
        """The replies that the host gets to carry."""


WHICH: Mapping[str, Any] = {"match": None, "times": None, "chance": 1.0}
"""Which requests are concerned: that contain this text (or "0x..." bytes), how many at most, how probably."""

MODBUS = ("eurotherm_3216", "binder_mb1")
READS, WRITES = frozenset({3, 4}), frozenset({6, 16})
BUSY = 6
WRITES_REFUSED = {"eurotherm_3216": 3, "binder_mb1": 5}
"""Exception codes of a refused write (Eurotherm handbook; a published client of the Binder)."""
QUESTION_MARK = {
    "alicat_mc": b"?\r",
    "ika_hotplate": b"? \r\n",
    "rapidox_1100": b"?\r\n",
    "keithley_2450": b"?\n",
    "mettler_mt_sics": b"ES\r\n",
    "new_era_ne1000": b"\x0200S?\x03",
}
"""How each says that it did not understand: documented for Alicat, MT-SICS and New Era, assumed for the others."""
OTHER_UNIT = {"alicat_mc": (b"A", b"B"), "new_era_ne1000": (b"\x0200", b"\x0201")}


class SpoiltSession:
    """A session whose wire has faults. They act in the order in which they began, the first nearest the device."""

    __slots__ = ("changes", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.changes: list[Change] = []

    def feed(self, data: bytes, now_s: float) -> Replies:
        """As `Session.feed`, through every fault."""
        feed: Feed = partial(_feed, self.session, now_s)
        for change in self.changes:
            feed = partial(change, feed=feed)
        return feed(data)


def _feed(session: Session, now_s: float, request: bytes) -> Replies:
    return session.feed(request, now_s)


def swap(one: PlantSession, other: PlantSession) -> None:
    """Exchange what answers on two wires; their faults stay on them."""
    ends = [seat.session if isinstance(seat.session, SpoiltSession) else seat for seat in (one, other)]
    ends[0].session, ends[1].session = ends[1].session, ends[0].session


def spoil(target: Target, change: Change) -> Undo:
    """Put a change on the instrument's wire; the returned function takes it away, and the wrapper with the last."""
    seat = target.twin.seats[target.name]
    wrapped = seat.session if isinstance(seat.session, SpoiltSession) else SpoiltSession(seat.session)
    seat.session = wrapped
    wrapped.changes.append(change)

    def undo() -> None:
        wrapped.changes.remove(change)
        if not wrapped.changes and seat.session is wrapped:
            seat.session = wrapped.session

    return undo


def _on_requests(make: Callable[[Target], Change]) -> Callable[[Target], Undo]:
    """A kind that concerns only the requests which its parameters choose, and counts what it changes."""

    def begin(target: Target) -> Undo:
        change = make(target)
        match = _bytes(target["match"]) if target["match"] is not None else b""
        times = target["times"]
        per_mille = round(1000 * float(target["chance"]))
        done = 0

        def chosen(request: bytes, feed: Feed) -> Replies:
            nonlocal done
            if match not in request or (times is not None and done >= times):
                return feed(request)
            if per_mille < 1000 and target.draw(1000) >= per_mille:
                return feed(request)
            plain: list[tuple[bytes, Replies]] = []

            def watched(data: bytes) -> Replies:
                replies = feed(data)
                plain.append((data, replies))
                return replies

            replies = change(request, watched)
            if plain != [(request, replies)]:
                done += 1
                target.hit(f"{request[:24]!r}: {b''.join(r for _, r in replies)[:24]!r}")
            return replies

        return spoil(target, chosen)

    return begin


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode("latin-1")


def _flip(target: Target, data: bytes) -> bytes:
    """One byte changed: at `byte` (from the end when negative), or at a drawn place, by XOR with `mask`."""
    at = target["byte"]
    place = target.draw(len(data)) if at is None else at % len(data)
    return data[:place] + bytes((data[place] ^ int(target["mask"]),)) + data[place + 1 :]


def _drop(target: Target) -> Change:
    if target["side"] == "request":
        return lambda request, feed: []

    def change(request: bytes, feed: Feed) -> Replies:
        feed(request)
        return []

    return change


def _delay(target: Target) -> Change:
    late = float(target["delay_s"])
    return lambda request, feed: [(delay + late, reply) for delay, reply in feed(request)]


def _truncate(target: Target) -> Change:
    keep = target["keep"]

    def change(request: bytes, feed: Feed) -> Replies:
        return [(delay, reply[: len(reply) // 2 if keep is None else keep]) for delay, reply in feed(request)]

    return change


def _duplicate(target: Target) -> Change:
    after = float(target["after_s"])

    def change(request: bytes, feed: Feed) -> Replies:
        replies = feed(request)
        return replies + [(delay + after, reply) for delay, reply in replies]

    return change


def _corrupt(target: Target) -> Change:
    if target["side"] == "request":
        return lambda request, feed: feed(_flip(target, request))
    return lambda request, feed: [(delay, _flip(target, reply)) for delay, reply in feed(request)]


def _garbage(target: Target) -> Change:
    noise = _bytes(target["bytes"])
    return lambda request, feed: [(delay, noise + reply) for delay, reply in feed(request)]


def _echo(target: Target) -> Change:
    return lambda request, feed: [(0.0, request), *feed(request)]


def _split(target: Target) -> Change:
    at, pause = target["at"], float(target["pause_s"])

    def change(request: bytes, feed: Feed) -> Replies:
        replies: Replies = []
        for delay, reply in feed(request):
            first = len(reply) // 2 if at is None else at
            replies += [(delay, reply[:first]), (delay + pause, reply[first:])]
        return [(delay, part) for delay, part in replies if part]

    return change


def _coalesce(target: Target) -> Change:
    held: Replies = []

    def change(request: bytes, feed: Feed) -> Replies:
        replies = feed(request)
        if not held:
            held.extend(replies)
            return []
        both = b"".join(reply for _, reply in (*held, *replies))
        held.clear()
        return [(replies[-1][0] if replies else 0.0, both)]

    return change


def _stale(target: Target) -> Change:
    held: list[Replies] = []

    def change(request: bytes, feed: Feed) -> Replies:
        held.append(feed(request))
        return held.pop(0) if len(held) > 1 else []

    return change


def _babble(target: Target) -> Change:
    noise = bytes(0x21 + n % 0x5D for n in range(int(target["bytes"])))
    return lambda request, feed: [*feed(request), (0.0, noise)]


def _exception(code: int, functions: frozenset[int]) -> Change:
    def change(request: bytes, feed: Feed) -> Replies:
        if len(request) < 2 or request[1] not in functions:
            return feed(request)
        return [(0.005, with_crc(bytes((request[0], request[1] | 0x80, code))))]

    return change


_FUNCTIONS = {"read": READS, "write": WRITES, "any": READS | WRITES}


def _exception_of(target: Target) -> Change:
    return _exception(int(target["code"]), _FUNCTIONS[target["on"]])


def _other_unit(target: Target) -> Change:
    mine, other = OTHER_UNIT.get(target.twin.plant.models[target.name], (b"", b""))

    def change(request: bytes, feed: Feed) -> Replies:
        if mine:
            return [(delay, reply.replace(mine, other, 1)) for delay, reply in feed(request)]
        replies = feed(request)
        return [(d, with_crc(bytes((r[0] + 1,)) + r[1:-2])) for d, r in replies]

    return change


def _question_mark(target: Target) -> Change:
    mark = QUESTION_MARK[target.twin.plant.models[target.name]]
    return lambda request, feed: [(0.005, mark)]


def _error_queue(target: Target) -> Change:
    def change(request: bytes, feed: Feed) -> Replies:
        target.device.error(-113, "Undefined header", target.twin.plant.now())
        return []

    return change


def lock(target: Target) -> Undo:
    """Refuse every Modbus write, as an instrument locked at its panel does."""
    code = WRITES_REFUSED[target.twin.plant.models[target.name]]
    change = _exception(code, WRITES)

    def counted(request: bytes, feed: Feed) -> Replies:
        if len(request) > 1 and request[1] in WRITES:
            target.hit(f"refused {request[:24]!r}")
        return change(request, feed)

    return spoil(target, counted)


def _kind(layer: Layer, make: Callable[[Target], Change], text: str, **others: Any) -> Kind:
    devices = others.pop("devices", None)
    return Kind(layer, _on_requests(make), text, {**others, **WHICH}, devices)


WIRE: Mapping[str, Kind] = {
    "drop": _kind("wire", _drop, "replies are lost (side: request loses requests)", side="reply"),
    "delay": _kind("wire", _delay, "replies come late", delay_s=0.5),
    "truncate": _kind("wire", _truncate, "replies end early: after `keep` bytes, or half way", keep=None),
    "duplicate": _kind("wire", _duplicate, "every reply comes twice", after_s=0.02),
    "corrupt": _kind(
        "wire", _corrupt, "one byte is changed (side: request)", side="reply", byte=None, mask=0x10
    ),
    "garbage": _kind("wire", _garbage, "noise precedes every reply", bytes="0x00ff"),
    "echo": _kind("wire", _echo, "the line echoes requests, as two-wire RS-485 does"),
    "coalesce": _kind("wire", _coalesce, "a reply is held back and comes together with the next"),
    "split": _kind("wire", _split, "a pause in the middle of replies", at=None, pause_s=0.1),
    "stale": _kind("wire", _stale, "every reply answers the question before"),
    "babble": _kind("wire", _babble, "endless bytes after every reply", bytes=2000),
    "exception": _kind(
        "protocol", _exception_of, "a Modbus exception instead of an answer", code=4, on="any", devices=MODBUS
    ),
    "busy": _kind(
        "protocol", lambda _: _exception(BUSY, READS | WRITES), "Modbus exception 6: busy", devices=MODBUS
    ),
    "wrong_unit": _kind(
        "protocol", _other_unit, "another unit answers, correctly framed", devices=(*MODBUS, *OTHER_UNIT)
    ),
    "question_mark": _kind("protocol", _question_mark, "not understood: `?`", devices=tuple(QUESTION_MARK)),
    "error_queue": _kind(
        "protocol", _error_queue, "no reply, and an error in the queue", devices=("keithley_2450",)
    ),
}
