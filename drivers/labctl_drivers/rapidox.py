"""Rapidox 1100E and 1100ZR zirconia oxygen analysers over RS232: one character asks, one line answers.

The manual's page with baud rate and framing was not found: 9600 8N1 is assumed, and an option.
Combustible off-gas burns on hot zirconia and reads falsely low: only a high reading means anything
above about 300 degC (the engine's business, said here because it is this sensor's nature).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from labctl.bench.api import (
    BAD,
    GOOD,
    NOT_READY,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    Line,
    Port,
    Quality,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.options import check_options

MESSAGES: Mapping[bytes, Quality] = {
    b"!Initialising": NOT_READY,
    b"!Sensor heating": NOT_READY,
    b"!Sensor cooling": NOT_READY,
    b"!Cleaning sensor": NOT_READY,
    b"!User setup active": NOT_READY,
    b"!Possible sensor fault": BAD,
    b"!No sensor or sensor fault": BAD,
}
"""What is said instead of a number. Any other message is BAD."""

STATES = (
    "ok",
    "oxygen over range",
    "oxygen under range",
    "oxygen sensor fault",
    "pressure under range",
    "pressure over range",
    "pressure sensor fault",
)
"""The last field of a reading, by number. Only "ok" is believed."""

FIELDS: Mapping[str, tuple[int, int, int]] = {"1100E": (7, 3, 4), "1100ZR": (10, 4, 5)}
"""Per model: number of fields, place of the time, place of the date (the 1100ZR leaves some empty)."""

OPTIONS = {
    "model": "1100E (default) or 1100ZR: their lines differ",
    "baudrate": "default 9600, unverified",
    "timeout_s": "longest wait for a reply in s (default 0.3)",
    "serial_number": "serial number the bench expects; this instrument cannot be asked for it",
    "sim_warm": "whether the simulated analyser starts warm (default true)",
}

SIGNALS = (
    Signal("oxygen", "ppm", 0.0, 1_000_000.0, 0.1),
    Signal("sensor_mv", "mV", -300.0, 1500.0, 0.01),
)

CLOCK_TOLERANCE_S = 1.5
"""How far the analyser's clock may lag behind ours since its last reading before a reply counts as old.

It shows whole seconds, so up to 1 s is rounding."""

_DAY_S = 86400


class Sample(NamedTuple):
    """One decoded line. `clock_s`: the analyser's own time of day, or None for a message."""

    oxygen_ppm: float | None
    sensor_mv: float | None
    quality: Quality
    clock_s: int | None
    text: str


def _form(count: int, time_at: int, date_at: int) -> re.Pattern[bytes]:
    """A whole reading with its CR LF. Groups: oxygen, millivolt, hours, minutes, seconds, state."""
    number = rb"([+-]?\d\.\d{3}E[+-]\d\d)"
    fields = [b"d" + number, number, *[rb"[^,\n]*"] * (count - 3), rb"(\d+)"]
    fields[time_at], fields[date_at] = rb"(\d\d):(\d\d):(\d\d)", rb"\d\d/\d\d/\d\d"
    return re.compile(b",".join(fields) + b"\r\n")


_FORMS = {model: _form(*fields) for model, fields in FIELDS.items()}


def decode(raw: bytes, model: str) -> Sample | None:
    """The line `raw` (with its CR LF) as `model` writes it; None when it is no reply at all."""
    reading = _FORMS[model].fullmatch(raw)
    if reading is None:
        if raw[:1] != b"!" or not raw.endswith(b"\r\n") or raw.count(b"\n") != 1:
            return None
        line = raw[:-2]
        return Sample(None, None, MESSAGES.get(line, BAD), None, line.decode("ascii", "replace"))
    number, cell, hours, minutes, seconds, last = reading.groups()
    oxygen, state = float(number), int(last)
    good = state == 0 and 0.0 <= oxygen <= 1_000_000.0
    return Sample(
        oxygen,
        float(cell),
        GOOD if good else BAD,
        int(hours) * 3600 + int(minutes) * 60 + int(seconds),
        STATES[state] if state < len(STATES) else f"state {state}",
    )


class Rapidox(Driver):
    """One analyser. It is only ever asked; nothing is written to it."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Check options; open nothing."""
        super().__init__(line, options)
        check_options("rapidox", options, OPTIONS)
        self._model = str(options.get("model", "1100E"))
        if self._model not in FIELDS:
            raise ValueError(f"rapidox: unknown model {self._model!r}; known are {', '.join(FIELDS)}")
        self._port: Port | None = None
        self._in_step = True
        self._last: tuple[float, int] | None = None  # bench time and analyser's clock of the last reading

    def open(self) -> None:
        self._port = self.line.open_stream(
            baudrate=int(self.options.get("baudrate", 9600)),
            timeout_s=float(self.options.get("timeout_s", 0.3)),
        )
        try:
            self._ask()  # the first answer sets the time against which late ones are judged
        except CommunicationError:
            self.close()
            raise

    def audit(self) -> Audit:
        sample = self._ask()
        wanted = str(self.options.get("serial_number", ""))
        return Audit(
            {"model": self._model},
            (
                AuditItem("serial number", True, "cannot be asked", wanted or "any"),
                AuditItem("state", sample.quality != BAD, sample.text, "no fault (warming up is none)"),
            ),
        )

    def read(self) -> tuple[Reading, ...]:
        try:
            sample = self._ask()
        except CommunicationError:
            return self.silent()
        now = self.line.clock.now()
        return (
            Reading(sample.oxygen_ppm, "ppm", sample.quality, now),
            Reading(sample.sensor_mv, "mV", sample.quality, now),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        raise RefusedError(f"rapidox: no verb {verb!r}; an analyser is only read")

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def _ask(self) -> Sample:
        """One sample. Raises CommunicationError, after which the next question waits for a quiet line."""
        port = self._port
        if port is None:
            raise CommunicationError("rapidox: not open")
        was_in_step, self._in_step = self._in_step, False
        if not was_in_step:
            _quiet(port)
        port.reset_input()
        port.write(b"D")
        raw = port.read_some()
        while raw[-1:] != b"\n":
            got = port.read_some()
            if not got or len(raw) > 256:
                raise CommunicationError(
                    f"rapidox: broken reply {raw[:60]!r}" if raw else "rapidox: no reply"
                )
            raw += got
        sample = decode(raw, self._model)
        if sample is None:
            raise CommunicationError(f"rapidox: not a line of a {self._model}: {raw[:60]!r}")
        self._check_age(sample, was_in_step)
        self._in_step = True
        return sample

    def _check_age(self, sample: Sample, was_in_step: bool) -> None:
        """Refuse a late reply to an older question: its own clock has not moved as far as ours."""
        if sample.clock_s is None:
            self._last = None  # it was off, and its clock may have started anew
            return
        now = self.line.clock.now()
        if not was_in_step and self._last is not None:
            before, clock_before = self._last
            behind = ((now - before) - (sample.clock_s - clock_before)) % _DAY_S
            if CLOCK_TOLERANCE_S < behind < _DAY_S / 2:
                raise CommunicationError(f"rapidox: a reply {behind:.0f} s old")
        self._last = now, sample.clock_s


def _quiet(port: Port) -> None:
    """Wait until nothing has come for one time-out. Raises CommunicationError for a line that babbles."""
    for _ in range(64):
        try:
            got = port.read_some()
        except CommunicationError:
            return  # a line that was lost holds no late answer; the next request opens it anew
        if not got:
            return
    raise CommunicationError("rapidox: the line never falls silent")


ENTRY = DriverEntry(
    name="rapidox",
    title="Rapidox 1100E or 1100ZR oxygen analyser, RS232",
    capabilities=("oxygen",),
    factory=Rapidox,
    signals=SIGNALS,
    device="rapidox_1100",
    link="serial",
    on_comms_loss="measures on; nothing depends on the host",
    on_power_return="heats its sensor again (minutes) and says so: not ready, then readings by itself",
    options=OPTIONS,
    unverified=(
        Unverified("baud rate and framing (9600 8N1 assumed)", safety=False),
        Unverified("messages other than those of the manual's page", safety=False),
    ),
)
