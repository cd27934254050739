"""The Eurotherm driver: reads in two transactions, heats under a lease, proves that heat is off.

Heating hangs on a lease: the target is the remote setpoint, which the instrument itself gives up for SP1
(20 degC) when nobody writes it any more. The instrument ramps (register 35); the host never moves a
setpoint to make a ramp, and registers in EEPROM (100,000 writes) are written only when they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
)
from labctl_drivers.eurotherm.profiles import PROFILES, Profile
from labctl_drivers.options import check_options
from labctl_drivers.ports.modbus import ModbusRtu, signed

FALLBACK_C = 20.0
"""SP1, which holds when the lease ends: no heat is demanded at any room temperature worth working in."""

OPTIONS = {
    "profile": "model: " + ", ".join(PROFILES) + " (default 3216)",
    "unit": "Modbus address, 1..254 (default 1)",
    "baudrate": "default 9600",
    "parity": "N, E or O (default N)",
    "timeout_s": "how long an answer may take (default 0.3)",
    "max_block": "registers in one read, 1..125 (default 125)",
    "write_fc": "function that writes: 16 or 6 (default 6)",
    "read_only": "true refuses every verb: an independent thermometer",
    "max_temperature_c": "highest target that is accepted; the instrument's own limit always holds too",
    "max_ramp_k_per_min": "fastest ramp that is accepted",
    "sim_pb_k": "proportional band of the simulated loop (default 20)",
    "sim_ti_s": "its integral time (default 600)",
    "sim_td_s": "its derivative time (default 40)",
    "sim_sensor_break": "its sensor-break type: on, off or latching (default on)",
    "sim_deadman_s": "its remote setpoint's dead-man time (default 5)",
    "sim_decimals": "decimal places of its display (default 1)",
    "sim_limit_high_c": "its highest setpoint (default 1200)",
}

SIGNALS = (
    Signal("temperature", "degC", -50.0, 1800.0, 0.1),
    Signal("setpoint", "degC", None, None, 0.1),
    Signal("working_setpoint", "degC", None, None, 0.1),
    Signal("output", "%", None, None, 0.1),
    Signal("sensor_break", "1", 0.0, 1.0, 1.0),
    Signal("remote_fail", "1", 0.0, 1.0, 1.0),
    Signal("manual", "1", 0.0, 1.0, 1.0),
    Signal("renewals", "1", 0.0, None, 1.0),
)
_LOWEST_C, _HIGHEST_C = -50.0, 1800.0
OFF_PROOF_READS = 2
OFF_PROOF_TRIES = 8
OFF_PROOF_PAUSE_S = 0.25
"""The loop of a 3216 works every quarter of a second (assumed); the output must have followed within two."""


class Scaling(NamedTuple):
    """What a display unit is in register counts, and the instrument's own setpoint limits in degC."""

    per_unit: float
    low_c: float
    high_c: float


class Eurotherm(Driver):
    """One controller.

    Options: see `OPTIONS`. The driver knows the decimal places only after it asked for them (register
    525), once per connection; until then nothing is read or written.
    """

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        check_options("eurotherm", options, OPTIONS)
        super().__init__(line, options)
        name = str(options.get("profile", "3216"))
        if name not in PROFILES:
            raise ValueError(f"eurotherm: profile {name!r} is not one of {', '.join(PROFILES)}")
        self.profile: Profile = PROFILES[name]
        self.renewals = 0
        self._modbus: ModbusRtu | None = None
        self._scaling: Scaling | None = None
        self._verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "heat": self.heat,
            "renew": self.renew,
            "heat_off": self.heat_off,
        }

    def open(self) -> None:
        options = self.options
        port = self.line.open_stream(
            baudrate=int(options.get("baudrate", 9600)),
            parity=str(options.get("parity", "N")),
            timeout_s=float(options.get("timeout_s", 0.3)),
        )
        self._modbus = ModbusRtu(
            port,
            int(options.get("unit", 1)),
            max_block=int(options.get("max_block", 125)),
            write_fc=int(options.get("write_fc", 6)),
        )
        self._scaling = None
        self.renewals = 0

    def close(self) -> None:
        if self._modbus is not None:
            self._modbus.port.close()
            self._modbus = None

    def read(self) -> tuple[Reading, ...]:
        profile = self.profile
        try:
            modbus = self._modbus or self._connected()
            scale = (self._scaling or self._scale()).per_unit
            live = modbus.read_holding(profile.live, 5)
            (status,) = modbus.read_holding(profile.status, 1)
        except InstrumentError:
            self._scaling = None  # who answers next may be another instrument
            return self.silent()
        now = self.line.clock.now()
        value, target, _, output, working = live
        raw = value - 65536 if value & 0x8000 else value
        temperature = raw / scale
        bad = (
            status & (profile.bit_sensor_break | profile.bit_over_range)
            or not _LOWEST_C <= temperature <= _HIGHEST_C
            or raw in (32767, -32767, -32768)
        )
        return (
            Reading(temperature, "degC", BAD if bad else GOOD, now),
            Reading(signed(target) / scale, "degC", GOOD, now),
            Reading(signed(working) / scale, "degC", GOOD, now),
            Reading(signed(output) / scale, "%", GOOD, now),
            Reading(1.0 if status & profile.bit_sensor_break else 0.0, "1", GOOD, now),
            Reading(1.0 if status & profile.bit_remote_fail else 0.0, "1", GOOD, now),
            Reading(1.0 if status & profile.bit_manual else 0.0, "1", GOOD, now),
            Reading(float(self.renewals), "1", GOOD, now),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`heat(target_c, ramp_k_per_min)`, `renew(target_c)`, `heat_off()`."""
        if verb not in self._verbs:
            raise RefusedError(f"eurotherm: no verb {verb!r}; it has {', '.join(self._verbs)}")
        if self.options.get("read_only"):
            raise RefusedError(
                f"eurotherm: {verb} refused, this instrument is a thermometer only (read_only)"
            )
        return self._verbs[verb](**args)

    def heat(self, target_c: float, ramp_k_per_min: float) -> dict[str, Any]:
        """Go to `target_c` (degC) at `ramp_k_per_min` (0: as fast as it can); `renew` keeps it there.

        The safe fall-back is set and read back before anything that energises.
        """
        self._check(target_c, ramp_k_per_min)
        p = self.profile
        self._settle(p.select, 0, "setpoint 1 selected")
        self._settle(p.sp1, self._counts(FALLBACK_C), "fall-back setpoint")
        self._settle(p.rate, self._counts(ramp_k_per_min), "ramp rate")
        target = self._counts(target_c)
        self._write(p.remote_setpoint, target)
        self._confirm(p.remote_setpoint, target, "remote setpoint")
        self._settle(p.remote, 1, "remote setpoint selected")
        self._settle(p.manual, 0, "automatic")
        return {"target_c": target_c, "ramp_k_per_min": ramp_k_per_min, "fallback_c": FALLBACK_C}

    def renew(self, target_c: float) -> dict[str, Any]:
        """Keep the lease: write the remote setpoint again.

        The acknowledgement carries the value; that the instrument follows it shows in the next reading
        (`setpoint`, `remote_fail`), so no transaction is spent on it here.
        """
        self._check(target_c, 0.0)
        self._write(self.profile.remote_setpoint, self._counts(target_c))
        self.renewals += 1
        return {"target_c": target_c}

    def heat_off(self) -> dict[str, Any]:
        """Heat demand 0, proven: local, manual, output 0, setpoints 20 degC, working output read 0 twice.

        Setpoints alone would not do: with an open thermocouple the loop may drive the heater fully.
        Each item is tried even when an earlier one failed, and repeated once when its reply was lost.
        """
        p = self.profile
        failed: list[InstrumentError] = []
        for address, celsius, raw, what in (
            (p.timer, None, 0, "timer reset"),
            (p.remote, None, 0, "local setpoint selected"),
            (p.manual, None, 1, "manual"),
            (p.manual_output, None, 0, "manual output"),
            (p.remote_setpoint, FALLBACK_C, 0, "remote setpoint"),
            (p.sp1, FALLBACK_C, 0, "fall-back setpoint"),
        ):
            try:
                self._settle(address, raw if celsius is None else self._counts(celsius), what, repeat=True)
            except InstrumentError as error:
                failed.append(error)
                if [type(f) for f in failed[-2:]] == [CommunicationError, CommunicationError]:
                    raise  # nobody answers: the caller repeats the whole
        self._prove_off()
        if failed:
            raise failed[0]
        return {"output_percent": 0.0, "setpoint_c": FALLBACK_C}

    def audit(self) -> Audit:
        """Identity, scaling, units, sensor break, limits, fall-back and ramp units. Reads only."""
        p = self.profile
        modbus = self._connected()

        def word(address: int) -> int:
            return modbus.read_holding(address, 1)[0]

        self._scaling = None
        scaling = self._scale()
        version, breaks, units = word(p.version), word(p.sensor_break_type), word(p.units)
        select, sp1, safe = word(p.select), self._shown(word(p.sp1)), self._shown(word(p.safe_output))
        ramp_units, remote, manual = word(p.ramp_units), word(p.remote), word(p.manual)
        state = f"{'manual' if manual else 'automatic'}, {'remote' if remote else 'local'} setpoint"
        return Audit(
            {
                "maker": "Eurotherm",
                "model": p.title,
                "type": f"{word(p.type_code):04X}",
                "version": f"V{version >> 8:X}.{version & 0xFF:02X}",
                "state": state,
            },
            (
                AuditItem(
                    "decimal places", scaling.per_unit >= 10, f"1/{scaling.per_unit:g}", "1/10 or finer"
                ),
                AuditItem("units", units == p.units_c, str(units), f"{p.units_c} (degC)"),
                AuditItem(
                    "sensor break",
                    breaks in p.sensor_break_safe,
                    p.sensor_break_safe.get(breaks, f"{breaks} (off: full power on an open thermocouple)"),
                    " or ".join(p.sensor_break_safe.values()),
                ),
                AuditItem("output on sensor break", safe == 0, f"{safe:g} %", "0 %"),
                AuditItem(
                    "setpoint limits",
                    scaling.low_c <= FALLBACK_C < scaling.high_c,
                    f"{scaling.low_c:g}..{scaling.high_c:g} degC",
                    f"around {FALLBACK_C:g} degC",
                ),
                AuditItem(
                    "setpoint after power return",
                    select == 0 and sp1 <= FALLBACK_C,
                    f"SP{select + 1}, SP1 {sp1:g} degC",
                    f"SP1, at most {FALLBACK_C:g} degC",
                ),
                AuditItem(
                    "ramp units",
                    ramp_units == p.ramp_per_minute,
                    str(ramp_units),
                    f"{p.ramp_per_minute} (per minute)",
                ),
            ),
        )

    def _connected(self) -> ModbusRtu:
        if self._modbus is None:
            raise CommunicationError(f"{self.line.address} is not open")
        return self._modbus

    def _scale(self) -> Scaling:
        """Ask for decimal places and limits, once. Raises NotDoneError for an impossible answer."""
        p, modbus = self.profile, self._connected()
        (decimals,) = modbus.read_holding(p.decimals, 1)
        if decimals > 2:
            raise NotDoneError(f"{self.line.address}: {decimals} decimal places; 0, 1 or 2 are possible")
        high, low = modbus.read_holding(min(p.limit_high, p.limit_low), 2)
        if p.limit_low < p.limit_high:
            high, low = low, high
        per_unit = float(10**decimals)
        self._scaling = Scaling(per_unit, signed(low) / per_unit, signed(high) / per_unit)
        return self._scaling

    def _counts(self, value: float) -> int:
        return round(value * (self._scaling or self._scale()).per_unit)

    def _shown(self, word: int) -> float:
        return signed(word) / (self._scaling or self._scale()).per_unit

    def _check(self, target_c: float, ramp_k_per_min: float) -> None:
        """Refuse what is beyond the bench's or the instrument's limits; nothing has been sent yet."""
        scaling = self._scaling or self._scale()
        highest = min(scaling.high_c, float(self.options.get("max_temperature_c") or scaling.high_c))
        if not scaling.low_c <= target_c <= highest:
            raise RefusedError(
                f"{self.line.address}: {target_c:g} degC is not within {scaling.low_c:g}..{highest:g} degC"
            )
        fastest = float(self.options.get("max_ramp_k_per_min") or 32767 / scaling.per_unit)
        if not 0 <= ramp_k_per_min <= fastest:
            raise RefusedError(
                f"{self.line.address}: ramp {ramp_k_per_min:g} K/min is not within 0..{fastest:g} K/min"
            )
        if ramp_k_per_min and not self._counts(ramp_k_per_min):
            raise RefusedError(
                f"{self.line.address}: ramp {ramp_k_per_min:g} K/min is below one display digit"
            )

    def _write(self, address: int, value: int) -> None:
        if address not in self.profile.writable:
            raise RefusedError(f"{self.line.address}: register {address} is never written")
        self._connected().write(address, (value,))

    def _settle(self, address: int, value: int, what: str, *, repeat: bool = False) -> None:
        """Make a register read `value`; write only when it does not (EEPROM).

        `repeat` sends again when the acknowledgement was lost: for what takes energy away, never else.
        """
        modbus = self._connected()
        if modbus.read_holding(address, 1)[0] == value & 0xFFFF:
            return
        try:
            self._write(address, value)
        except CommunicationError:
            if not repeat:
                raise
            self._write(address, value)
        self._confirm(address, value, what)

    def _confirm(self, address: int, value: int, what: str) -> None:
        (found,) = self._connected().read_holding(address, 1)
        if found != value & 0xFFFF:
            raise NotDoneError(f"{self.line.address}: {what} (register {address}) reads {found}, not {value}")

    def _prove_off(self) -> None:
        zeros = 0
        for _ in range(OFF_PROOF_TRIES):
            (output,) = self._connected().read_holding(self.profile.working_output, 1)
            zeros = zeros + 1 if output == 0 else 0
            if zeros == OFF_PROOF_READS:
                return
            self.line.clock.sleep(OFF_PROOF_PAUSE_S)
        raise NotDoneError(f"{self.line.address}: the output still reads {self._shown(output):g} %, not 0")


ENTRY = DriverEntry(
    name="eurotherm",
    title="Eurotherm 3200 temperature controllers (Modbus RTU)",
    capabilities=("tube_furnace", "thermometer"),
    factory=Eurotherm,
    signals=SIGNALS,
    device="eurotherm_3216",
    link="serial",
    on_comms_loss="gives up the remote setpoint for SP1 (20 degC) about 5 s after its last renewal",
    on_power_return="follows SP1 (20 degC): the remote setpoint is not kept",
    options=OPTIONS,
    unverified=PROFILES["3216"].unverified,
    lease_s=5.0,
)
