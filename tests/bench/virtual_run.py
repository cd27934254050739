"""A run in virtual time against a bare loop that carries the same bytes to the same plant.

The bare loop has neither pyserial nor pymodbus, no engine and no database. It feeds what labctl sent to the
sessions of a fresh twin, at the same bench times, checks every reply's CRC with its own table (ASCII by its
form) and turns it into numbers. Both are timed in CPU s of this process. Five whole syntheses would take
minutes, so the rounds use a stretch of furnace, where labctl scans every second: purge, ramp, soak and
cool-down of an empty tube.
"""

from __future__ import annotations

import gc
import struct
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from pathlib import Path

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.cli.simulate import COLLECT_AFTER
from labctl.engine.state import empty
from labctl.forecast import Rehearsal
from labctl.protocol.plan import Plan
from labctl.protocol.validation import check_text, load_plan
from labctl.runtime.clock import VirtualClock
from labctl.runtime.record import InStore
from labctl.store import Store
from labctl.twin import build, spec
from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.hosts.inprocess import mounted

STRETCH_S = 3.0 * 3600.0
STRETCH = """
protocol: furnace-stretch
title: An empty tube, purged, heated in nitrogen and left to cool
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - {id: heat, heat: {with: furnace, to: 400 degC, ramp: 10 K/min, hold: 30 min, atmosphere: inert, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: unload, unload: {from: furnace, into: nothing}}
"""  # noqa: E501

LEAST, MOST, SAVED = 5, 12, 0.01
SCANS = 20
"""Of the whole synthesis: how often it is carried out at least and at most, what part of the sum a turn must save for
another one to follow, and how many scans (4 ms) are timed at once."""

Sent = tuple[str, bytes, float]
"""One request: instrument, bytes, bench time in s of its last byte."""


class Tap:
    """A session that keeps what passes through it."""

    def __init__(self, name: str, session: Session, sent: list[Sent], heard: list[Replies]) -> None:
        self.name, self.session, self.sent, self.heard = name, session, sent, heard

    def feed(self, data: bytes, now_s: float) -> Replies:
        replies = self.session.feed(data, now_s)
        self.sent.append((self.name, data, now_s))
        self.heard.append(replies)
        return replies


def rounds() -> Generator[tuple[float, float], None, None]:
    """Bench seconds per CPU second of labctl and of the bare loop."""
    bench = load_bench("standard")
    plan, findings = check_text(STRETCH, "furnace-stretch.yaml", {}, bench)
    if plan is None:
        raise RuntimeError("; ".join(f.message for f in findings))
    sent: list[Sent] = []
    heard: list[Replies] = []
    _labctl_cpu_s(bench, plan, STRETCH_S, tap=(sent, heard))
    if _listen(bench, plan, sent) != heard:
        raise RuntimeError("the bare loop hears something else than labctl")
    while True:
        yield (
            STRETCH_S / sum(_labctl_cpu_s(bench, plan, STRETCH_S)),
            STRETCH_S / _bare_loop_cpu_s(bench, plan, sent),
        )


def handle_frame_us() -> float:
    """What pymodbus takes for the frame of a read of five registers, in us of CPU: how fast this machine is."""
    raw = FramerRTU(DecodePDU(True)).buildFrame(ReadHoldingRegistersResponse(registers=[*range(5)], dev_id=1))
    framer, times = FramerRTU(DecodePDU(False)), 4_000

    def turn() -> float:
        began = time.process_time()
        for _ in range(times):
            framer.handleFrame(raw, 1, 0)
        return (time.process_time() - began) / times * 1e6

    return min(turn() for _ in range(5))


def whole_run_cpu_s() -> tuple[float, list[float]]:
    """CPU seconds of the paper's synthesis at 800 degC, 78 h of bench time, with its record on disk.

    Undisturbed, and as each turn came. The turns carry out the same scans, and differ by what neighbours took from the
    core meanwhile: undisturbed is the sum over all stretches of the turn that was fastest there. The busier the
    neighbours, the more turns that takes: they end when one more hardly lowers the sum.
    """
    bench = load_bench("standard")
    plan, _ = load_plan("3dp-nvp-c", {}, bench)
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER)  # as `labctl run` does
    turns, sums = list[list[float]](), list[float]()
    try:
        while len(turns) < LEAST or (len(turns) < MOST and sums[-1] < (1.0 - SAVED) * sums[-2]):
            turns.append(_labctl_cpu_s(bench, plan, None))
            sums.append(sum(map(min, zip(*turns, strict=True))))
    finally:
        gc.set_threshold(*before)
    return sums[-1], [sum(turn) for turn in turns]


def _labctl_cpu_s(
    bench: Bench, plan: Plan, until_s: float | None, tap: tuple[list[Sent], list[Replies]] | None = None
) -> list[float]:
    """CPU seconds of every SCANS scans of a run until a bench time, or to its end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labctl.db"
        with Store.create(path, bench=bench.bench, bench_yaml="", simulated=True) as store:
            clock = VirtualClock()
            record = InStore(store, clock, empty(bench.chambers))
            with Rehearsal(bench, drivers(), plan, seed=None, record=record, clock=clock) as rehearsal:
                if tap is not None:
                    for name in bench.instruments:
                        mount = mounted(f"{bench.bench}/{name}")
                        assert mount is not None
                        mount.session = Tap(name, mount.session, *tap)
                rehearsal.submit("run", {})
                controller, marks = rehearsal.controller, list[float]()

                def is_over() -> bool:
                    if controller.scans % SCANS == 0:
                        marks.append(time.process_time())
                    return rehearsal.ended("run") or (until_s is not None and clock.now() >= until_s)

                controller.run(is_over)
                marks.append(time.process_time())
                run = controller.state.runs["run"]
                if run.state != ("COMPLETE" if until_s is None else "RUNNING"):
                    raise RuntimeError(f"the run is {run.state}: {run.reason}")
                return [after - before for before, after in pairwise(marks)]


# -- the bare loop ---------------------------------------------------------------------------------


def _bare_loop_cpu_s(bench: Bench, plan: Plan, sent: Sequence[Sent]) -> float:
    twin = build(spec(bench, drivers(), plan), None)
    feeds = {name: session.feed for name, session in twin.sessions.items()}
    decoders = {name: _DECODERS[bench.instruments[name].driver] for name, _, _ in sent}
    requests = [(feeds[name], decoders[name], data, at) for name, data, at in sent]
    began = time.process_time()
    for feed, decode, data, at in requests:
        for _, reply in feed(data, at):
            decode(reply)
    return time.process_time() - began


def _listen(bench: Bench, plan: Plan, sent: Sequence[Sent]) -> list[Replies]:
    """What a fresh twin answers."""
    twin = build(spec(bench, drivers(), plan), None)
    return [twin.sessions[name].feed(data, at) for name, data, at in sent]


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
        table.append(byte)
    return tuple(table)


_CRC = _table()
_WORDS = {count: struct.Struct(f">3x{count}H2x") for count in range(1, 126)}


def _rtu(frame: bytes) -> tuple[int, ...]:
    """The registers of a reply, none of an acknowledgement. The CRC over a whole frame is 0."""
    crc, table = 0xFFFF, _CRC
    for byte in frame:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    if crc or frame[1] & 0x80:
        raise ValueError(frame)
    return _WORDS[frame[2] // 2].unpack(frame) if frame[1] == 3 else ()


def _alicat(line: bytes) -> tuple[float, float, float, float, float]:
    """Pressure, temperature, volume flow, mass flow, setpoint."""
    _, bar, celsius, volume, mass, setpoint, _ = line.split()
    return float(bar), float(celsius), float(volume), float(mass), float(setpoint)


def _rapidox(line: bytes) -> tuple[float, float]:
    """Oxygen in ppm and the cell's mV."""
    oxygen, millivolt, *_ = line.split(b",")
    return float(oxygen[1:]), float(millivolt)


_DECODERS: dict[str, Callable[[bytes], object]] = {
    "eurotherm": _rtu,
    "binder": _rtu,
    "alicat": _alicat,
    "rapidox": _rapidox,
    "ika": bytes.split,
    "keithley": bytes.split,
}
