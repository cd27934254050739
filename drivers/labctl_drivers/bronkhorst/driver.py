"""The driver of a Bronkhorst mass-flow controller: what it believes, what it sets, and what it never does.

What matters for a furnace under nitrogen is the *control mode*. In mode 0 the valve goes to its safe
state, closed, when communication is lost, and the nitrogen with it; in mode 18 it keeps flowing. Power
that returns turns 18 into 0. So the mode is part of every reading: any other than the bench wants makes
the flow bad, which stops the heat. It is set in two cases only, each told and read back: at `open` of a
controller at rest (setpoint 0, no flow: nothing hot depends on it), and by the verb `keep_on_comms_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from labctl.bench.api import (
    BAD,
    GOOD,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    InstrumentError,
    Line,
    NotDoneError,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.bronkhorst.modbus import ModbusMap
from labctl_drivers.bronkhorst.parameters import (
    ALARMS,
    BUS,
    CAPACITY,
    CONTROL_MODE,
    CONTROL_MODES,
    FIRMWARE,
    FLUID,
    FOLLOWS,
    FSETPOINT,
    MODEL,
    RS232,
    SERIAL,
    UNIT,
    UNTRUSTED,
    Live,
    Parameter,
    Wire,
    sccm_of,
)
from labctl_drivers.bronkhorst.propar import ASCII, BINARY, ProPar
from labctl_drivers.options import check_options
from labctl_drivers.ports.modbus import ModbusRtu

OPTIONS = {
    "protocol": "ascii or binary (ProPar over RS232), or modbus (default ascii)",
    "node": "ProPar node, 1..127, or 128 for whoever is at the line's other end (default 3)",
    "unit": "Modbus unit, 1..247 (default 1)",
    "baudrate": "default 38400 for ProPar, 19200 for Modbus",
    "parity": "N, E or O (default N for ProPar, E for Modbus)",
    "timeout_s": "longest wait for a reply in s (default 0.3)",
    "gas": "name of the fluid that it must be set to (default N2)",
    "on_comms_loss": "keep (default: control mode 18, gas goes on) or safe_state (mode 0: the valve closes)",
    "serial_number": "serial number the bench expects",
    "max_flow_sccm": "highest flow that may be asked for",
    "full_scale_sccm": "capacity the bench expects, in sccm at 25 degC",
    "sim_full_scale_sccm": "capacity of the simulated controller (default 1000)",
    "sim_capacity_unit": "its capacity unit (default mln/min)",
    "sim_control_mode": "its control mode at the start (default 0, as after power-up)",
    "sim_power_up_sccm": "its setpoint after power-up (default 0)",
    "sim_comms_loss_s": "silence after which mode 0 goes to the safe state (default 15)",
}

SIGNALS = (
    Signal("flow", "sccm", -100.0, 2_000_000.0, 0.05),
    Signal("flow_setpoint", "sccm", 0.0, 2_000_000.0, 0.05),
    Signal("control_mode", "1", 0.0, 255.0, 1.0),
)
"""No pressure: an EL-FLOW measures none. A display digit is 1/32000 of the capacity."""

LOWEST, HIGHEST = -0.1, 1.31
"""Fractions of the capacity between which a measured flow is possible; the raw number ends at 131 %."""

AT_REST = 0.02
"""Measured flow, as a fraction of the capacity, up to which a closed controller counts as at rest (assumed)."""

SET_WITHIN = 0.0005
"""Difference, as a fraction of the capacity, within which a setpoint read back is the one asked for."""

IDENTITY: Mapping[str, Parameter] = {
    "serial_number": SERIAL,
    "model": MODEL,
    "firmware": FIRMWARE,
    "fluid": FLUID,
    "capacity_unit": UNIT,
}

WANTED_MODE = {"keep": RS232, "safe_state": BUS}


class Bronkhorst(Driver):
    """One controller. `open` learns identity, capacity, unit and fluid."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Check options; open nothing."""
        super().__init__(line, options)
        check_options("bronkhorst", options, OPTIONS)
        self._protocol = str(options.get("protocol", "ascii"))
        if self._protocol not in ("ascii", "binary", "modbus"):
            raise ValueError(f"bronkhorst: protocol is ascii, binary or modbus, not {self._protocol!r}")
        wish = str(options.get("on_comms_loss", "keep"))
        if wish not in WANTED_MODE:
            raise ValueError(f"bronkhorst: on_comms_loss is keep or safe_state, not {wish!r}")
        self._mode = WANTED_MODE[wish]
        self._gas = str(options.get("gas", "N2"))
        self._now: Callable[[], float] = line.clock.now
        self._wire: Wire | None = None
        self._identity: dict[str, str] = {}
        self._capacity = self._full_scale_sccm = math.nan
        self._fluidset = 0

    def open(self) -> None:
        wire = self._connected()
        try:
            self._meet(wire)
        except InstrumentError:
            wire.close()
            raise
        self._wire = wire

    def _connected(self) -> Wire:
        options, modbus = self.options, self._protocol == "modbus"
        port = self.line.open_stream(
            baudrate=int(options.get("baudrate", 19200 if modbus else 38400)),
            parity=str(options.get("parity", "E" if modbus else "N")),
            timeout_s=float(options.get("timeout_s", 0.3)),
        )
        if modbus:
            unit = int(options.get("unit", 1))
            return ModbusMap(ModbusRtu(port, unit, retry=False), self.line.clock)
        return ProPar(port, int(options.get("node", 3)), BINARY if self._protocol == "binary" else ASCII)

    def _meet(self, wire: Wire) -> None:
        self._identity = {"maker": "Bronkhorst"}
        for name, parameter in IDENTITY.items():
            try:
                self._identity[name] = str(wire.read(parameter))
            except RefusedError:
                self._identity[name] = ""  # not every series has them all; the audit wants what it needs
        self._capacity = float(wire.read(CAPACITY))
        if not 0.0 < self._capacity < math.inf:
            raise CommunicationError(f"bronkhorst: a capacity of {self._capacity:g} is none")
        unit = sccm_of(self._identity["capacity_unit"])
        self._full_scale_sccm = self._capacity * unit if unit else math.nan
        self._identity["capacity"] = f"{self._capacity:g} {self._identity.pop('capacity_unit')}"
        live = wire.live(self._capacity)
        self._fluidset = live.fluidset
        if live.mode != self._mode and live.mode in FOLLOWS and not live.setpoint and live.flow <= AT_REST:
            # At rest nothing hot depends on its flow: the one moment at which this may be set unasked.
            _set_mode(wire, self._mode)
            self._identity["control_mode"] = f"{self._mode}, set at connect (was {live.mode})"

    def audit(self) -> Audit:
        """Serial number, control mode, fluid, capacity and alarms. Reads only."""
        wire = self._opened()
        live = wire.live(self._capacity)
        serial, wanted = self._identity["serial_number"], str(self.options.get("serial_number", ""))
        fluid = str(wire.read(FLUID))
        unit = str(wire.read(UNIT))
        return Audit(
            dict(self._identity),
            (
                AuditItem("serial number", not wanted or wanted == serial, serial, wanted or "any"),
                AuditItem("control mode", live.mode == self._mode, _named(live.mode), _named(self._mode)),
                AuditItem(
                    "fluid",
                    fluid == self._gas and live.fluidset == self._fluidset,
                    f"{fluid} (set {live.fluidset})",
                    f"{self._gas} (set {self._fluidset})",
                ),
                AuditItem(
                    "capacity unit", sccm_of(unit) is not None, unit, "a volume flow at n or s conditions"
                ),
                self._audit_full_scale(),
                AuditItem(
                    "alarms",
                    not live.alarm & UNTRUSTED,
                    ", ".join(name for n, name in enumerate(ALARMS) if live.alarm >> n & 1) or "none",
                    "neither error nor hardware",
                ),
            ),
        )

    def _audit_full_scale(self) -> AuditItem:
        """Within 1 %: capacities at 0, 20 and 25 degC differ by 2 to 9 %."""
        found, wanted = self._full_scale_sccm, self.options.get("full_scale_sccm")
        known = not math.isnan(found)
        return AuditItem(
            "full scale",
            known and (wanted is None or abs(found - float(wanted)) < 0.01 * found),
            f"{found:g} sccm" if known else "unknown",
            "known" if wanted is None else f"{float(wanted):g} sccm",
        )

    def read(self) -> tuple[Reading, ...]:
        wire = self._wire
        if wire is None:
            return self.silent()
        try:
            flow, setpoint, mode, fluidset, alarm = wire.live(self._capacity)
        except InstrumentError:
            return self.silent()
        now, full_scale = self._now(), self._full_scale_sccm
        trusted = (
            mode == self._mode
            and LOWEST <= flow <= HIGHEST
            and fluidset == self._fluidset
            and not alarm & UNTRUSTED
            and full_scale == full_scale  # not a number: its unit is no flow
        )
        return (
            Reading(flow * full_scale, "sccm", GOOD if trusted else BAD, now),
            Reading(setpoint * full_scale, "sccm", GOOD if full_scale == full_scale else BAD, now),
            Reading(float(mode), "1", GOOD, now),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`set_flow` (flow_sccm), or `keep_on_comms_loss`: the control mode that the bench wants, read back."""
        if verb == "set_flow":
            return self._set_flow(float(args["flow_sccm"]))
        if verb == "keep_on_comms_loss":
            return self._keep_on_comms_loss()
        raise RefusedError(f"bronkhorst: no verb {verb!r}; it has set_flow and keep_on_comms_loss")

    def _set_flow(self, flow_sccm: float) -> dict[str, Any]:
        """Send the setpoint, read it back together with the control mode that decides whether it acts."""
        wire, highest = self._opened(), self._highest_sccm()
        if not 0.0 <= flow_sccm <= highest * (1.0 + 1e-6):
            raise RefusedError(f"bronkhorst: flow {flow_sccm:g} sccm is outside 0..{highest:g} sccm")
        wanted = min(1.0, flow_sccm / self._full_scale_sccm)
        lost: CommunicationError | None = None
        try:
            wire.write(FSETPOINT, wanted * self._capacity)
        except CommunicationError as error:
            lost = error  # the acknowledgement is lost, the setpoint perhaps not: reading tells
        live = wire.live(self._capacity)
        if not abs(live.setpoint - wanted) <= SET_WITHIN:
            raise lost or NotDoneError(
                f"bronkhorst: asked for {flow_sccm:g} sccm, the setpoint reads {self._sccm(live.setpoint):g} sccm"
            )
        if live.mode not in FOLLOWS:
            raise NotDoneError(
                f"bronkhorst: the setpoint is {flow_sccm:g} sccm but does not act: "
                f"control mode is {_named(live.mode)}"
            )
        return {
            "flow_setpoint_sccm": self._sccm(live.setpoint),
            "flow_sccm": self._sccm(live.flow),
            "control_mode": live.mode,
        }

    def _keep_on_comms_loss(self) -> dict[str, Any]:
        wire = self._opened()
        live: Live = wire.live(self._capacity)
        if live.mode not in FOLLOWS:
            raise RefusedError(
                f"bronkhorst: control mode is {_named(live.mode)}, somebody's decision: nothing was sent"
            )
        if live.mode != self._mode:
            _set_mode(wire, self._mode)
        return {"control_mode": self._mode}

    def _highest_sccm(self) -> float:
        if math.isnan(self._full_scale_sccm):
            raise RefusedError(
                f"bronkhorst: its capacity is {self._identity.get('capacity')}: no flow can be asked for in sccm"
            )
        return min(self._full_scale_sccm, float(self.options.get("max_flow_sccm") or math.inf))

    def _sccm(self, of_capacity: float) -> float:
        return round(of_capacity * self._full_scale_sccm, 3)

    def _opened(self) -> Wire:
        if self._wire is None:
            raise CommunicationError("bronkhorst: not open")
        return self._wire

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _set_mode(wire: Wire, mode: int) -> None:
    wire.write(CONTROL_MODE, mode)
    found = int(wire.read(CONTROL_MODE))
    if found != mode:
        raise NotDoneError(f"bronkhorst: control mode reads {_named(found)}, asked for {mode}")


def _named(mode: int) -> str:
    return f"{mode} ({CONTROL_MODES.get(mode, 'unknown')})"


ENTRY = DriverEntry(
    name="bronkhorst",
    title="Bronkhorst EL-FLOW mass-flow controller, ProPar or Modbus RTU",
    capabilities=("gas_flow",),
    factory=Bronkhorst,
    signals=SIGNALS,
    device="bronkhorst_el_flow",
    link="serial",
    on_comms_loss="control mode 18: keeps its setpoint, gas goes on; mode 0: safe state, the valve closes",
    on_power_return="control mode 18 has become 0, setpoint 0 or the stored one: its flow reads bad until told",
    options=OPTIONS,
    unverified=(
        Unverified(
            "that power-up turns control mode 18 into 0 (FLEXI-FLOW manual; older series not confirmed)",
            shown_by=("control mode", "control_mode"),
        ),
        Unverified("that control mode 18 follows setpoints that come over Modbus", safety=False),
        Unverified(
            "setpoint after power-up: 0 or the last one; whether setpoints wear out a memory",
            shown_by=("flow_setpoint",),
        ),
        Unverified("that any index of a request comes back in the reply", safety=False),
        Unverified("that float and raw measure of one telegram are of the same moment", safety=False),
        Unverified("Modbus from the factory: 19200 8E1, unit 1", safety=False),
    ),
)
