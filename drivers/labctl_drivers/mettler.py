"""Mettler Toledo balances over MT-SICS: RS-232 (9600 8N1) or a socket with the same bytes.

Replies name the command they answer, but not which one of several alike; so a line that came out of step asks its
serial number first (see `labctl_drivers.lines`). A weight is asked for with `SI`, which answers at once and says
whether it is stable; nothing here waits for rest but taring and zeroing, which begin only when the balance is at rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
    NotDoneError,
    Quality,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.lines import AsciiLine
from labctl_drivers.options import check_options

OPTIONS = {
    "baudrate": "9600 from the factory (default)",
    "timeout_s": "longest wait for a reply in s (default 0.5)",
    "rest_s": "how long taring and zeroing may wait for rest in s (default 15)",
    "serial_number": "serial number the bench expects",
    "capacity_g": "heaviest load that may lie on it, vessel included, g (default: what the balance says)",
    "sim_model": "model of the simulated balance (default XPR205)",
    "sim_capacity_g": "its capacity (default 220)",
    "sim_readability_g": "its last digit (default 0.0001)",
}

SIGNALS = (
    Signal("mass", "g", -10_000.0, 100_000.0, 1e-4),
    Signal("stable", "1", 0.0, 1.0, 1.0),
    Signal("tare", "g", 0.0, 100_000.0, 1e-4),
)

TARED_WITHIN = 20.0
"""Display digits within which the balance reads zero once it is tared (assumed: two digits of stability, and drift)."""

UNITS = {"g": 1.0, "mg": 1e-3, "kg": 1e3}
"""Grams in each unit that a balance may be set to; any other one gives no number."""

_VALUE = rb" +(-?\d{1,7}(?:\.\d{1,6})?) +([a-zA-Z]{1,5})"
_WEIGHT = re.compile(rb"S (?:([SD])" + _VALUE + rb"|([I+\-])) *\r\n")
_TARE = re.compile(rb"TA A" + _VALUE + rb" *\r\n")
_TARED = re.compile(rb"T (?:S" + _VALUE + rb"|([I+\-])) *\r\n")
_SERIAL = re.compile(rb'I4 A "([^"\r\n]*)" *\r\n')
_DATA = re.compile(rb'I2 A "([^"\r\n]*?) +(\d+(?:\.\d+)?) (k?g|mg)" *\r\n')
_NOT = {b"I": "is busy or never came to rest", b"+": "is overloaded", b"-": "is underloaded"}
_PRINTED = re.compile(rb"^S S[^\r\n]*\r\n", re.MULTILINE)
"""What its print key sends unasked."""


def grams(value: bytes, unit: bytes) -> float | None:
    """A number as it was sent, in g; None in a unit that is no mass."""
    scale = UNITS.get(unit.decode("ascii", "replace"))
    return None if scale is None else float(value) * scale


def digit_g(value: bytes, unit: bytes) -> float:
    """One display digit of a number as it was sent, g."""
    decimals = len(value.partition(b".")[2])
    return float(UNITS.get(unit.decode("ascii", "replace"), 1.0) * 10.0**-decimals)


class Mettler(Driver):
    """One balance."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Check options; open nothing."""
        super().__init__(line, options)
        check_options("mettler", options, OPTIONS)
        self._rest_s = float(options.get("rest_s", 15.0))
        self._wire: AsciiLine | None = None

    def open(self) -> None:
        port = self.line.open_stream(
            baudrate=int(self.options.get("baudrate", 9600)),
            timeout_s=float(self.options.get("timeout_s", 0.5)),
        )
        wire = AsciiLine(port, self.line.clock, b"\n", (b"I4\r\n", _SERIAL))
        try:
            wire.fence()
        except CommunicationError:
            port.close()
            raise
        self._wire = wire

    def audit(self) -> Audit:
        serial = self._matched(b"I4", _SERIAL)[1].decode("ascii", "replace")
        data = self._matched(b"I2", _DATA)
        model, capacity = data[1].decode("ascii", "replace"), float(data[2]) * UNITS[data[3].decode()]
        wanted, needed = (
            str(self.options.get("serial_number", "")),
            float(self.options.get("capacity_g", 0.0)),
        )
        weight = self._matched(b"SI", _WEIGHT)
        unit = weight[3].decode("ascii", "replace") if weight[3] else "not shown now"
        return Audit(
            {"model": model, "serial_number": serial, "capacity_g": f"{capacity:g}"},
            (
                AuditItem("serial number", wanted in ("", serial), serial, wanted or "any"),
                AuditItem("capacity", capacity >= needed, f"{capacity:g} g", f"at least {needed:g} g"),
                AuditItem("unit", unit in UNITS or weight[3] is None, unit, ", ".join(UNITS)),
            ),
        )

    def read(self) -> tuple[Reading, ...]:
        now = self.line.clock.now
        try:
            mass, stable, quality = self._weight()
            weighed_s = now()
            tare = self._tare_g()
        except CommunicationError:
            return self.silent()
        sure = NOT_READY if quality is NOT_READY else GOOD
        return (
            Reading(mass, "g", quality, weighed_s),
            Reading(stable if sure is GOOD else None, "1", sure, weighed_s),
            Reading(tare, "g", GOOD if tare is not None else BAD, now()),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if verb == "tare":
            return self._tare()
        if verb == "zero":
            return self._zero()
        raise RefusedError(f"mettler: no verb {verb!r}; it has tare and zero")

    def close(self) -> None:
        if self._wire is not None:
            self._wire.port.close()
            self._wire = None

    # -- weighing --------------------------------------------------------------------------------

    def _weight(self) -> tuple[float | None, float, Quality]:
        """Net mass in g, 1 if it is stable, and how far that can be trusted."""
        found = self._matched(b"SI", _WEIGHT)
        if found[4] is not None:
            return None, 0.0, NOT_READY if found[4] == b"I" else BAD
        mass = grams(found[2], found[3])
        return mass, 1.0 if found[1] == b"S" else 0.0, GOOD if mass is not None else BAD

    def _tare_g(self) -> float | None:
        found = self._matched(b"TA", _TARE)
        return grams(found[1], found[2])

    def _tare(self) -> dict[str, Any]:
        """Tare once it rests, and read back tare and net. Raises NotDoneError when one of them is not so."""
        self._must_rest("tared")
        found = self._matched(b"T", _TARED, self._rest_s)
        if found[3] is not None:
            raise NotDoneError(f"mettler: not tared: the balance {_NOT[found[3]]}")
        said, kept, net = grams(found[1], found[2]), self._tare_g(), self._weight()
        within = TARED_WITHIN * digit_g(found[1], found[2])
        if said is None or kept is None or abs(kept - said) > within / 10.0:
            raise NotDoneError(f"mettler: tared at {said} g, the tare reads {kept} g")
        if net[0] is None or abs(net[0]) > within:
            raise NotDoneError(f"mettler: tared at {said:g} g, and the net reads {net[0]} g")
        return {"tare_g": kept}

    def _zero(self) -> dict[str, Any]:
        self._must_rest("zeroed")
        said = self._ask(b"Z", self._rest_s)
        if said != b"Z A\r\n":
            if (why := _NOT.get(said[2:3])) is None or said[:2] != b"Z ":
                raise self._line().lost(f"mettler: not a reply to Z: {said[:40]!r}")
            raise NotDoneError(f"mettler: not zeroed: the balance {why}")
        net, _, _ = self._weight()
        if net is None:
            raise NotDoneError("mettler: zeroed, and it shows no mass")
        return {"mass_g": net}

    def _must_rest(self, done: str) -> None:
        """Raises NotDoneError: what moves is neither tared nor zeroed."""
        mass, stable, _ = self._weight()
        if mass is None or not stable:
            raise NotDoneError(f"mettler: it is not at rest, and was not {done}")

    # -- the wire --------------------------------------------------------------------------------

    def _matched(self, request: bytes, form: re.Pattern[bytes], within_s: float = 0.0) -> re.Match[bytes]:
        """The reply of that form. Raises CommunicationError for any other, and leaves the line out of step."""
        raw = self._ask(request, within_s)
        found = form.fullmatch(raw)
        if found is None and form is not _WEIGHT:
            found = form.fullmatch(_PRINTED.sub(b"", raw))
        if found is None:
            raise self._line().lost(f"mettler: not a reply to {request!r}: {raw[:60]!r}")
        return found

    def _ask(self, request: bytes, within_s: float = 0.0) -> bytes:
        wire = self._line()
        asked = request + b"\r\n"
        return wire.ask_patiently(asked, within_s) if within_s else wire.ask(asked)

    def _line(self) -> AsciiLine:
        if self._wire is None:
            raise CommunicationError("mettler: not open")
        return self._wire


ENTRY = DriverEntry(
    name="mettler",
    title="Mettler Toledo balance, MT-SICS over RS232 or TCP",
    capabilities=("balance",),
    factory=Mettler,
    signals=SIGNALS,
    device="mettler_mt_sics",
    link="serial",
    on_comms_loss="weighs on; nothing is driven",
    on_power_return="zeroed on what lies there, without a tare",
    options=OPTIONS,
    unverified=(
        Unverified("every reply: a published driver that cites the maker's manual was read", safety=False),
        Unverified("that a balance asked for `T` at rest answers within the option rest_s", safety=False),
    ),
)
