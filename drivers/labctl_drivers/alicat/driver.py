"""The driver of an Alicat mass-flow controller: reads one frame a poll, and believes only frames.

Wire facts: 19200 8N1 from the factory, a request ends in CR and starts with the unit letter, no echo, an
unanswered address is silence. Nothing here writes to the instrument's EEPROM.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from labctl.bench.api import (
    GOOD,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    Line,
    NotDoneError,
    Reading,
    RefusedError,
    Unverified,
)
from labctl_drivers.alicat.frame import FLOW_SCCM, SIGNALS, Frame, FrameReader, parse_layout, shown_layout
from labctl_drivers.lines import AsciiLine
from labctl_drivers.options import check_options

GASES = {
    "Air": 0,
    "Ar": 1,
    "CH4": 2,
    "CO": 3,
    "CO2": 4,
    "C2H6": 5,
    "H2": 6,
    "He": 7,
    "N2": 8,
    "N2O": 9,
    "Ne": 10,
    "O2": 11,
    "C3H8": 12,
}
"""Gas numbers by the short names that frames carry (captured lists; old GP units differ)."""

OPTIONS = {
    "unit": "unit letter A-Z (default A)",
    "gas": "short name of the gas it must be set to (default N2)",
    "baudrate": "19200 from the factory (default), 115200 is common",
    "timeout_s": "longest wait for a reply in s (default 0.3; a poll takes 27 ms at 19200)",
    "flow_unit": "SCCM or SLPM: of an old controller that tells no table of its frame (else it is asked for)",
    "serial_number": "serial number the bench expects",
    "max_flow_sccm": "highest flow that may be asked for",
    "full_scale_sccm": "full scale the bench expects (and its simulated controller has)",
    "sim_firmware": "firmware of the simulated controller (default 10v20.0-R24; 5v12 has the old table)",
    "sim_power_up_sccm": "power-up setpoint of the simulated controller (default 0)",
}

SINCE_SETPOINT_SOURCE = (10, 5)
SINCE_GAS_QUERY = (10, 5)
SINCE_LOOP_QUERY = (9, 0)
SINCE_LOOP_SETPOINT = (9, 0)
"""Firmware that knows `LSS`, `GS`, `LV` and `LS`. Below 8 any command that begins with L locks the display."""

MASS_FLOW_LOOP = 37
"""Statistic number of the mass-flow setpoint: what the loop must control."""

REFUSED = b"?\r"
"""Says of a request that it was not understood, or not allowed, and had no effect."""

_VERSION = re.compile(rb"(?:^|\r)[A-Z] +((\d+)v(\d+)\S*)[^\r]*\r")
_FULL_SCALE = re.compile(rb"\S +[+]?(\d+(?:\.\d+)?) +\d+ +(\S+)\r")
_LAST_OF_MAKER = re.compile(rb"M09[^\r]*\r")


class Alicat(Driver):
    """One controller. `open` learns firmware, maker's data and the layout of the frame."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Check options; open nothing."""
        super().__init__(line, options)
        check_options("alicat", options, OPTIONS)
        self._unit = str(options.get("unit", "A"))
        if not re.fullmatch("[A-Z]", self._unit):
            raise ValueError(f"alicat: unit is one letter A-Z, not {self._unit!r}")
        self._gas = str(options.get("gas", "N2"))
        if self._gas not in GASES:
            raise ValueError(f"alicat: unknown gas {self._gas!r}; known are {', '.join(GASES)}")
        self._flow_unit = str(options.get("flow_unit", ""))
        if self._flow_unit and self._flow_unit.upper() not in FLOW_SCCM:
            raise ValueError(f"alicat: flow_unit is SCCM or SLPM, not {self._flow_unit!r}")
        self._poll = self._command("")
        self._now: Callable[[], float] = line.clock.now
        self._wire: AsciiLine | None = None
        self._frames: FrameReader
        self._firmware = (0, 0)
        self._identity: dict[str, str] = {}
        self._full_scale_sccm: float | None = None

    def open(self) -> None:
        port = self.line.open_stream(
            baudrate=int(self.options.get("baudrate", 19200)),
            timeout_s=float(self.options.get("timeout_s", 0.3)),
        )
        wire = AsciiLine(port, self.line.clock, b"\r", (self._command("VE"), _VERSION))
        try:
            # A controller left streaming talks over every question until it gets its letter back.
            wire.tell(b"@@ %s\r" % self._unit.encode())
            wire.drain()
            self._meet(wire)
        except CommunicationError:
            port.close()
            raise
        self._wire = wire

    def _meet(self, wire: AsciiLine) -> None:
        version = _VERSION.search(wire.ask(self._command("VE")))
        if version is None:
            raise wire.lost("reply to VE names no firmware: is it an Alicat, and is the baud rate right?")
        self._firmware = int(version[2]), int(version[3])
        self._identity = {"firmware": version[1].decode("ascii", "replace")}
        for row in wire.ask_lines(self._command("??M*"), _LAST_OF_MAKER):
            text = row.decode("ascii", "replace")
            for label, name in (("Model Number", "model"), ("Serial Number", "serial_number")):
                if label in text:
                    self._identity[name] = text.partition(label)[2].strip()
        layout = parse_layout(wire.ask_lines(self._command("??D*")))
        if layout is None and self._flow_unit:
            layout = shown_layout(wire.ask(self._poll), self._flow_unit)
        if layout is None:
            raise wire.lost(
                "no layout of the data frame in the reply to ??D*: the bench must name the flow_unit"
            )
        self._frames = FrameReader(layout, self._unit, self._gas)
        self._identity["layout"] = layout.dialect
        self._full_scale_sccm = self._ask_full_scale(wire)

    def _ask_full_scale(self, wire: AsciiLine) -> float | None:
        """From `FPF 5`, else the legacy layout's maximum, else the model number; None: unknown. In sccm."""
        flow = self._frames.layout.column("flow")
        if flow is not None and flow.maximum is not None:
            return flow.maximum * FLOW_SCCM.get(flow.unit.upper(), math.nan)
        reply = _FULL_SCALE.fullmatch(wire.ask(self._command("FPF 5")))
        factor = FLOW_SCCM.get(reply[2].decode("ascii", "replace").upper()) if reply else None
        if reply and factor and float(reply[1]) > 0:
            return float(reply[1]) * factor
        model = re.search(r"-(\d+(?:\.\d+)?)(SCCM|SLPM)", self._identity.get("model", ""))
        return float(model[1]) * FLOW_SCCM[model[2]] if model else None

    def audit(self) -> Audit:
        frame = self._ask_frame(self._poll)
        wanted = str(self.options.get("serial_number", ""))
        found = self._identity.get("serial_number", "")
        items = [
            AuditItem("serial number", not wanted or wanted == found, found, wanted or "any"),
            self._audit_gas(frame),
            self._audit_loop(),
            self._audit_unit("flow", FLOW_SCCM),
            self._audit_full_scale(),
            AuditItem(
                "status",
                frame.flow[1] == GOOD or frame.gas != self._gas,
                b" ".join(sorted(frame.status)).decode() or "none",
                "no token that makes the flow untrusted",
            ),
        ]
        if self._firmware >= SINCE_SETPOINT_SOURCE:
            source = self._words("LSS")[-1:]
            items.append(AuditItem("setpoint source", source == ["S"], "".join(source), "S (serial)"))
        return Audit(dict(self._identity), tuple(items))

    def _audit_gas(self, frame: Frame) -> AuditItem:
        found, number = frame.gas, GASES[self._gas]
        ok = found == self._gas
        if self._firmware >= SINCE_GAS_QUERY:
            words = self._words("GS")
            ok = ok and words[1:2] == [str(number)]
            found = " ".join(words[1:])
        return AuditItem("gas", ok, found, f"{self._gas} ({number})")

    def _audit_loop(self) -> AuditItem:
        """What the loop controls: by `LV`, or by register 122 where an L command would lock the display."""
        modern = self._firmware >= SINCE_LOOP_QUERY
        words = self._words("LV") if modern else self._words("R122")
        found = words[-1].rpartition("=")[2] if words else ""
        return AuditItem(
            "loop variable", found == str(MASS_FLOW_LOOP), found, f"{MASS_FLOW_LOOP} (mass-flow setpoint)"
        )

    def _audit_full_scale(self) -> AuditItem:
        found, wanted = self._full_scale_sccm, self.options.get("full_scale_sccm")
        return AuditItem(
            "full scale",
            found is not None and (wanted is None or abs(found - float(wanted)) < 0.01 * found),
            "unknown" if found is None else f"{found:g} sccm",
            "known" if wanted is None else f"{float(wanted):g} sccm",
        )

    def _audit_unit(self, meaning: str, known: Mapping[str, float]) -> AuditItem:
        column = self._frames.layout.column(meaning)
        label = column.unit if column else "no such column"
        return AuditItem(f"unit of {meaning}", label.upper() in known, label, " or ".join(known))

    def _words(self, command: str) -> list[str]:
        return self._line().ask(self._command(command)).decode("ascii", "replace").split()

    def read(self) -> tuple[Reading, ...]:
        try:
            frame = self._ask_frame(self._poll)
        except CommunicationError:
            return self.silent()
        now = self._now()
        flow, setpoint, pressure, temperature = frame[:4]
        return (
            Reading(flow[0], "sccm", flow[1], now),
            Reading(setpoint[0], "sccm", setpoint[1], now),
            Reading(pressure[0], "bar", pressure[1], now),
            Reading(temperature[0], "degC", temperature[1], now),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if verb != "set_flow":
            raise RefusedError(f"alicat: no verb {verb!r}; it has set_flow")
        return self._set_flow(float(args["flow_sccm"]))

    def _set_flow(self, flow_sccm: float) -> dict[str, Any]:
        """Send the setpoint and hold the echoed frame against it, within one display digit."""
        column = self._frames.layout.column("flow_setpoint")
        factor = FLOW_SCCM.get(column.unit.upper()) if column else None
        if column is None or factor is None:
            raise RefusedError(
                "alicat: no mass-flow setpoint in the data frame: meter, or another loop variable"
            )
        highest = self._highest_sccm()
        if not 0.0 <= flow_sccm <= highest:
            raise RefusedError(f"alicat: flow {flow_sccm:g} sccm is outside 0..{highest:g} sccm")
        wanted = round(flow_sccm / factor, column.decimals)
        try:
            frame = self._ask_setpoint(f"{wanted:.{column.decimals}f}")
        except CommunicationError:
            # The reply is lost, the setpoint perhaps not: a poll tells, sending it again would not.
            frame = self._ask_frame(self._poll)
        if not self._took(frame, wanted * factor, factor, column.decimals):
            frame = self._ask_frame(self._poll)
        if not self._took(frame, wanted * factor, factor, column.decimals):
            raise NotDoneError(
                f"alicat: asked for {wanted * factor:g} sccm, the setpoint reads "
                f"{frame.flow_setpoint[0]} sccm: is the setpoint source serial?"
            )
        return {"flow_setpoint_sccm": frame.flow_setpoint[0], "flow_sccm": frame.flow[0]}

    def _ask_setpoint(self, number: str) -> Frame:
        """The frame after `S`. A controller that refuses that, and so did nothing, is told by the newer `LS`."""
        raw = self._line().ask(self._command(f"S{number}"))
        if raw == REFUSED and self._firmware >= SINCE_LOOP_SETPOINT:
            self._line().ask(self._command(f"LS {number}"))  # its reply is no frame
            return self._ask_frame(self._poll)
        return self._framed(raw)

    @staticmethod
    def _took(frame: Frame, wanted_sccm: float, factor: float, decimals: int) -> bool:
        shown = frame.flow_setpoint[0]
        return shown is not None and abs(shown - wanted_sccm) <= 1.01 * factor * 10.0**-decimals

    def _highest_sccm(self) -> float:
        bounds = [self._full_scale_sccm, self.options.get("max_flow_sccm")]
        known = [float(b) for b in bounds if b is not None]
        if not known:
            raise RefusedError(
                "alicat: full scale unknown and no max_flow_sccm on the bench: no flow is asked for"
            )
        return min(known)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.port.close()
            self._wire = None

    def _ask_frame(self, request: bytes) -> Frame:
        """One frame. Raises CommunicationError for anything else, and leaves the line out of step."""
        wire = self._wire
        if wire is None:
            raise CommunicationError("alicat: not open")
        return self._framed(wire.ask(request))

    def _framed(self, raw: bytes) -> Frame:
        frame = self._frames.read(raw)
        if frame is None:
            raise self._line().lost(f"alicat: not a data frame: {raw[:60]!r}")
        return frame

    def _line(self) -> AsciiLine:
        if self._wire is None:
            raise CommunicationError("alicat: not open")
        return self._wire

    def _command(self, text: str) -> bytes:
        return f"{self._unit}{text}\r".encode("ascii")


ENTRY = DriverEntry(
    name="alicat",
    title="Alicat MC or MCS mass-flow controller, serial ASCII",
    capabilities=("gas_flow",),
    factory=Alicat,
    signals=SIGNALS,
    device="alicat_mc",
    link="serial",
    on_comms_loss="keeps its last setpoint: gas goes on flowing; it has no communication watchdog",
    on_power_return="starts with its stored power-up setpoint (0 from the factory): gas stops until asked",
    options=OPTIONS,
    unverified=(
        Unverified("that it has no communication watchdog", shown_by=("flow_setpoint",)),
        Unverified("gas numbers of old GP units", safety=False),
        Unverified("power-up setpoint: not readable by the commands known here", shown_by=("flow_setpoint",)),
        Unverified(
            "reference conditions of sccm: 25 degC and 14.696 psia unless set otherwise", safety=False
        ),
    ),
)
