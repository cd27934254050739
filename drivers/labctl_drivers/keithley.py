"""Keithley 2450 and 2460 source-measure units as single-cell cyclers: SCPI through VISA.

The maker's own battery method: source the target VOLTAGE with a current limit, so the instrument
itself stops a cell at the voltage window when the host is gone; output-off state high impedance;
four-wire sense. Commands after the 2450 reference manual (2450-901-01) and quick-start guide p. 8-6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
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
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.options import check_options

WINDOW_V = (2.0, 4.1)
"""Hard limits of a cell's voltage (safety contract, section 1: cell)."""

FULL_SCALE_A = 1.05
"""Largest current of a 2450 (data sheet); a bench may allow less."""
SMALLEST_LIMIT_A = 1e-9
"""Smallest current limit (assumed)."""
SOURCE_RANGE_V = 20
"""Source range of the documented battery method."""

LIMITED, FOUR_WIRE, OUTPUT_ON = 32, 64, 128
"""Bits of SOURSTAT (reference manual, buffer elements)."""

TIMEOUT_S = 1.0
"""A reading takes 0.05 s at one power-line cycle (derived); below a scan of cycling, 5 s."""
AGREEMENT = 1e-4
"""Relative difference within which a level read back is the level asked for (assumed: six digits)."""
LONGEST_REPLY = 4096
"""Bytes; a reading has about 40, an error about 80."""
OLD_REPLIES = 8
"""Late replies passed over before the instrument counts as lost."""

OPTIONS = {
    "max_current_a": "largest current limit this bench allows, A (default 1.05)",
    "serial_number": "what the audit must find; without it any",
}

SIGNALS = (
    Signal("voltage", "V", -21.0, 21.0, 1e-6),
    Signal("current", "A", -FULL_SCALE_A, FULL_SCALE_A, 1e-9),
    Signal("elapsed", "s", 0.0, None, 1e-6),
    Signal("limited", "1", 0.0, 1.0, 1.0),
    Signal("output", "1", 0.0, 1.0, 1.0),
)

_READ = b':READ? "defbuffer1",SOUR,READ,REL,SOURSTAT\n'
_IDENTITY = re.compile(r"(KEITHLEY[^,]*),MODEL (24[56]\w+),([^,]+),([^,]+)", re.IGNORECASE)


class Keithley(Driver):
    """A source-measure unit with one cell at its terminals.

    `voltage` is the source read-back: the cell, whether the output is on or (through the sense leads)
    off. With the output off and two wires nothing is measured (reference manual p. 2-83): NOT_READY.
    `elapsed` is the instrument's REL time of the sample. A host that goes away leaves the cell held at
    the voltage asked for.
    """

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Options: see `OPTIONS`. Raises ValueError for an unknown one or a current out of range."""
        check_options("keithley", options, OPTIONS)
        super().__init__(line, options)
        self._max_a = float(options.get("max_current_a", FULL_SCALE_A))
        if not SMALLEST_LIMIT_A <= self._max_a <= FULL_SCALE_A:
            raise ValueError(f"keithley: max_current_a {self._max_a:g} A is outside 1e-9..{FULL_SCALE_A} A")
        self._resource: Any = None
        self._closed = True
        self._faults: tuple[type[Exception], ...] = (OSError,)
        self._identity = ""
        self._last = b""

    def open(self) -> None:
        """Connect; with the output off, set high impedance, four wires and source read-back."""
        self._closed = False
        self._connect()
        if self._ask("*LANG?") == "SCPI" and self._ask(":OUTP?") == "0":
            self._prepare()

    def audit(self) -> Audit:
        """Identity, language, output-off state, four wires, functions, armed limits, and the error queue."""
        self._connect()
        match = _IDENTITY.match(self._identity)
        maker, model, serial_number, firmware = match.groups() if match else (self._identity, "", "", "")
        identity = {"maker": maker, "model": model, "serial_number": serial_number, "firmware": firmware}
        language = self._ask("*LANG?")
        items = [
            AuditItem("model", bool(model), model or self._identity, "a 2450, 2460 or 2461"),
            AuditItem("language", language == "SCPI", language, "SCPI"),
        ]
        if wanted := str(self.options.get("serial_number", "")):
            items.append(AuditItem("serial number", serial_number == wanted, serial_number, wanted))
        if language == "SCPI":
            items += [self._item(*expected) for expected in _AUDITED]
            if identity.setdefault("output", self._ask(":OUTP?")) == "1":
                level = self._number(":SOUR:VOLT?")
                low, high = WINDOW_V
                items.append(
                    AuditItem("armed voltage", low <= level <= high, f"{level:g} V", f"{low:g}..{high:g} V")
                )
            errors = self._drain_errors()
            items.append(AuditItem("error queue", not errors, "; ".join(errors) or "empty", "empty"))
        return Audit(identity, tuple(items))

    def read(self) -> tuple[Reading, ...]:
        try:
            if self._resource is None:
                self._connect()
            raw = self._exchange(_READ)
            if raw == self._last:
                # REL has microseconds: the same bytes twice are an old reply come again
                raise self._lost("an old reading came again")
            volts, amps, elapsed, status = _sample(raw)
        except CommunicationError:
            return self.silent()
        except ValueError:
            self._lost("no reading")
            return self.silent()
        self._last = raw
        now = self.line.clock.now()
        on = status & OUTPUT_ON
        seen = GOOD if on or status & FOUR_WIRE else NOT_READY
        return (
            Reading(volts, "V", seen if -21.0 <= volts <= 21.0 else BAD, now),
            Reading(amps, "A", GOOD if -FULL_SCALE_A <= amps <= FULL_SCALE_A else BAD, now),
            Reading(elapsed, "s", GOOD, now),
            Reading(1.0 if status & LIMITED else 0.0, "1", GOOD, now),
            Reading(1.0 if on else 0.0, "1", GOOD, now),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`source` (voltage_v, limit_a) or `open_circuit`."""
        if verb == "source":
            return self._source(float(args["voltage_v"]), float(args["limit_a"]))
        if verb == "open_circuit":
            return self._open_circuit()
        raise RefusedError(f"keithley: no verb {verb!r}; it has source and open_circuit")

    def close(self) -> None:
        """Release the resource, never the manager, which the whole process shares."""
        self._closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        resource, self._resource = self._resource, None
        if resource is not None:
            with suppress(*self._faults):  # a link that is gone is closed
                resource.close()

    def _source(self, voltage_v: float, limit_a: float) -> dict[str, Any]:
        low, high = WINDOW_V
        if not low <= voltage_v <= high:
            raise RefusedError(
                f"keithley: {voltage_v:g} V is outside the window of a cell, {low:g}..{high:g} V;"
                " nothing was sent"
            )
        if not SMALLEST_LIMIT_A <= limit_a <= self._max_a:
            raise RefusedError(
                f"keithley: a limit of {limit_a:g} A is outside {SMALLEST_LIMIT_A:g}..{self._max_a:g} A;"
                " nothing was sent"
            )
        self._connect()
        self._drain_errors()
        if self._ask(":OUTP?") == "0":
            self._prepare()
        for name, query, wanted in _AUDITED:
            self._require(name, query, wanted)
        # The cell is never driven at limits that were not read back.
        self._tell(f":SENS:CURR:RANG {limit_a:.6E}")
        self._tell(f":SOUR:VOLT:ILIM {limit_a:.6E}")
        limit = self._agree(":SOUR:VOLT:ILIM?", limit_a, "A")
        self._tell(f":SOUR:VOLT {voltage_v:.6E}")
        level = self._agree(":SOUR:VOLT?", voltage_v, "V")
        if errors := self._drain_errors():
            raise NotDoneError(
                f"keithley: the settings were refused: {'; '.join(errors)}; the output was left"
            )
        self._tell(":OUTP ON")
        self._require("output", ":OUTP?", "1")
        return {"voltage_v": level, "limit_a": limit, "output": 1.0, "off_mode": "HIMP"}

    def _open_circuit(self) -> dict[str, Any]:
        try:
            self._connect()
        except CommunicationError:
            self._switch_off_blind()
            raise
        self._switch_off()
        self._require("output", ":OUTP?", "0")
        self._require("output-off state", ":OUTP:VOLT:SMOD?", "HIMP")
        return {"output": 0.0, "off_mode": "HIMP"}

    def _switch_off(self) -> None:
        # first what "off" means, then off: in any other state than this the cell would be drained
        self._tell(":OUTP:SMOD HIMP")
        self._tell(":OUTP OFF")

    def _switch_off_blind(self) -> None:
        """An instrument that hears and cannot be heard lets go of the cell all the same."""
        with suppress(CommunicationError):
            self._dial()
            self._switch_off()
        self._disconnect()

    def _prepare(self) -> None:
        """Settings that energise nothing; only with the output off."""
        for command in _PREPARATION:
            self._tell(command)

    def _item(self, name: str, query: str, wanted: str) -> AuditItem:
        found = self._ask(query)
        return AuditItem(name, found == wanted, found, wanted)

    def _require(self, name: str, query: str, wanted: str) -> None:
        found = self._ask(query)
        if found != wanted:
            raise NotDoneError(f"keithley: {name} reads back {found}, asked for {wanted}")

    def _agree(self, query: str, wanted: float, unit: str) -> float:
        found = self._number(query)
        if not abs(found - wanted) <= AGREEMENT * abs(wanted):
            raise NotDoneError(f"keithley: {query} reads back {found:g} {unit}, asked for {wanted:g} {unit}")
        return found

    def _number(self, query: str) -> float:
        reply = self._ask(query)
        try:
            return float(reply)
        except ValueError:
            raise self._lost(f"{query} was answered {reply[:60]!r}") from None

    def _drain_errors(self) -> list[str]:
        errors: list[str] = []
        while not (error := self._ask(":SYST:ERR?")).startswith("0,") and len(errors) < 64:
            errors.append(error)
        return errors

    def _dial(self) -> None:
        """Have a resource, whatever answers there."""
        if self._closed:
            raise CommunicationError(f"{self.line.address} is not open")
        from pyvisa.errors import Error  # slow to import, and known to whoever opens a resource

        self._faults = (OSError, Error)
        self._resource = self.line.open_visa(termination="\n", timeout_s=TIMEOUT_S)
        self._last = b""

    def _connect(self) -> None:
        """Have a resource that is in step: what it answers next answers what it is asked next."""
        if self._resource is not None:
            return
        self._dial()
        reply = self._exchange(b"*IDN?\n")
        for _ in range(OLD_REPLIES):
            if reply.upper().startswith(b"KEITHLEY"):
                self._identity = reply.decode("ascii", "replace").strip()
                return
            reply = self._reply()
        raise self._lost("no identity")

    def _tell(self, command: str) -> None:
        self._write(command.encode("ascii") + b"\n")

    def _ask(self, query: str) -> str:
        return self._exchange(query.encode("ascii") + b"\n").decode("ascii", "replace").strip().strip('"')

    def _exchange(self, request: bytes) -> bytes:
        self._write(request)
        return self._reply()

    def _write(self, request: bytes) -> None:
        resource = self._resource
        if resource is None:
            raise CommunicationError(f"{self.line.address} is not open")
        try:
            resource.visalib.write(resource.session, request)
        except self._faults as error:
            raise self._lost(str(error)) from error

    def _reply(self) -> bytes:
        resource = self._resource
        try:
            # the library itself: the resource's own methods cost as much again as the whole exchange
            raw: bytes = resource.visalib.read(resource.session, LONGEST_REPLY)[0]
        except self._faults as error:
            raise self._lost(str(error)) from error
        if raw.find(b"\n") != len(raw) - 1:
            raise self._lost(f"broken reply {raw[:60]!r}")
        return raw

    def _lost(self, why: str) -> CommunicationError:
        """Drop the link: a late reply on it could pass for the next reading. The next call connects again."""
        self._disconnect()
        return CommunicationError(f"{self.line.address}: {why}")


def _sample(raw: bytes) -> tuple[float, float, float, int]:
    """Volts, amperes, seconds and SOURSTAT of one reply. Raises ValueError when it is not one."""
    source, reading, elapsed, status = raw.split(b",")
    values = float(source), float(reading), float(elapsed)
    if not isfinite(values[0] + values[1] + values[2]):
        raise ValueError(raw)
    bits = float(status)  # an integer on some firmware, in the format of the other elements on others
    if not bits.is_integer():
        raise ValueError(raw)
    return *values, int(bits)


_AUDITED = (
    ("output-off state", ":OUTP:VOLT:SMOD?", "HIMP"),
    ("four-wire sense", ":SENS:CURR:RSEN?", "1"),
    ("source function", ":SOUR:FUNC?", "VOLT"),
    ("sense function", ":SENS:FUNC?", "CURR:DC"),
    ("source read-back", ":SOUR:VOLT:READ:BACK?", "1"),
)

_PREPARATION = (
    ":OUTP:SMOD HIMP",
    ":SOUR:FUNC VOLT",
    ':SENS:FUNC "CURR"',
    ":SENS:CURR:RSEN ON",
    ":SOUR:VOLT:READ:BACK ON",
    f":SOUR:VOLT:RANG {SOURCE_RANGE_V}",
)

ENTRY = DriverEntry(
    name="keithley",
    title="Keithley 2450/2460 SourceMeter (SCPI)",
    capabilities=("cycler",),
    factory=Keithley,
    signals=SIGNALS,
    device="keithley_2450",
    link="visa",
    on_comms_loss="goes on sourcing: holds the cell at the voltage last asked for, within the current limit",
    on_power_return="output off, saved power-up settings; as shipped the output-off state drains a cell",
    options=OPTIONS,
    unverified=(
        Unverified(
            "source read-back with the output off in high impedance shows the cell through four wires",
            safety=False,
        ),
        Unverified("the limit bit of SOURSTAT on firmware older than 1.6", safety=False),
    ),
)
