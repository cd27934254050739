"""The Eurotherm driver: reads in a few transactions, heats under a lease, proves that heat is off.

Heating hangs on a lease: the target is the remote setpoint, which the instrument itself gives up for SP1
(20 degC) when nobody writes it any more. The instrument ramps (register 35); the host never moves a
setpoint to make a ramp, and registers in EEPROM (100,000 writes) are written only when they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
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
)
from labctl_drivers.eurotherm import programs
from labctl_drivers.eurotherm.profiles import (
    EPC3000,
    EPC_COMMS,
    EPC_LEASE_S,
    FALLBACK_C,
    SERIES_3200,
    CountsProfile,
    FloatProfile,
    Item,
    Profile,
    epc3016,
)
from labctl_drivers.eurotherm.registers import Counts, Floats, RegisterMap
from labctl_drivers.options import check_options
from labctl_drivers.ports.modbus import Modbus, ModbusRtu
from labctl_drivers.ports.modbus_tcp import ModbusTcp

_COMMON = {
    "unit": "Modbus address, 1..254 (default 1)",
    "timeout_s": "how long an answer may take (default 0.3)",
    "read_only": "true refuses every verb: an independent thermometer",
    "max_temperature_c": "highest target that is accepted; the instrument's own limit always holds too",
    "max_ramp_k_per_min": "fastest ramp that is accepted",
    "sim_pb_k": "proportional band of the simulated loop (default 20)",
    "sim_ti_s": "its integral time (default 600)",
    "sim_td_s": "its derivative time (default 40)",
    "sim_limit_high_c": "its highest setpoint (default 1200)",
}
OPTIONS = _COMMON | {
    "profile": "model: " + ", ".join(SERIES_3200) + " (default 3216)",
    "baudrate": "default 9600",
    "parity": "N, E or O (default N)",
    "max_block": "registers in one read, 1..125 (default 125); 1 for what answers one word whatever is asked",
    "write_fc": "function that writes: 16 or 6 (default 6); 6 for what does not know blocks",
    "sim_sensor_break": "its sensor-break type: on, off or latching (default on)",
    "sim_deadman_s": "its remote setpoint's dead-man time (default 5)",
    "sim_decimals": "decimal places of its display (default 1)",
}
EPC_OPTIONS = _COMMON | {
    "profile": "model: " + ", ".join(EPC3000) + " (default EPC3016)",
    "max_block": "registers in one read, 2..125 (default 125); a number is two, and never torn apart",
    "comms": "communications that the network is plugged into: option (default) or fixed",
    "serial_number": "the number that the instrument has to tell; the bench file's own",
    "sim_watchdog_wired": "false leaves the simulated watchdog flag without effect on the loop (default true)",
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
PROOF_READS = 2
PROOF_TRIES = 8
PROOF_PAUSE_S = 0.25
"""The loop of a 3216 works every quarter of a second (assumed); the output must have followed within two."""


class Eurotherm(Driver):
    """One controller.

    Options: see `OPTIONS` and `EPC_OPTIONS`; `known` and `profiles` are those of its series. What the driver must
    know of the instrument to understand it (decimal places, limits) is asked for once per connection; until then
    nothing is read or written.
    """

    signals = SIGNALS

    def __init__(
        self,
        line: Line,
        options: Mapping[str, Any],
        known: Mapping[str, str] = OPTIONS,
        profiles: Mapping[str, Profile] = SERIES_3200,
    ) -> None:
        check_options("eurotherm", options, known)
        super().__init__(line, options)
        name = str(options.get("profile", next(iter(profiles))))
        if name not in profiles:
            raise ValueError(f"eurotherm: profile {name!r} is not one of {', '.join(profiles)}")
        self.profile: Profile = profiles[name]
        if comms := options.get("comms"):
            if comms not in EPC_COMMS:
                raise ValueError(f"eurotherm: comms {comms!r} is not one of {', '.join(EPC_COMMS)}")
            self.profile = epc3016(comms)
        self.renewals = 0
        self._modbus: Modbus | None = None
        self._registers: RegisterMap | None = None
        self._last_known: RegisterMap | None = None
        self._verbs: dict[str, Callable[..., dict[str, Any]]] = {
            "heat": self.heat,
            "renew": self.renew,
            "heat_off": self.heat_off,
        }
        self._writable = self.profile.writable
        if isinstance(self.profile, FloatProfile):
            if int(options.get("max_block", 2)) < 2:
                raise ValueError("eurotherm: max_block 1 would tear the two registers of a number apart")
            self._verbs["run_cooling"] = self.run_cooling
            self._writable |= programs.WRITABLE

    def open(self) -> None:
        options = self.options
        unit, block = int(options.get("unit", 1)), int(options.get("max_block", 125))
        timeout_s = float(options.get("timeout_s", 0.3))
        if isinstance(self.profile, FloatProfile):
            self._modbus = ModbusTcp(self.line.open_stream(timeout_s=timeout_s), unit, max_block=block & ~1)
        else:
            port = self.line.open_stream(
                baudrate=int(options.get("baudrate", 9600)),
                parity=str(options.get("parity", "N")),
                timeout_s=timeout_s,
            )
            write_fc = int(options.get("write_fc", 6))
            assert isinstance(self.profile, CountsProfile)
            self._modbus = ModbusRtu(
                port, unit, max_block=block, write_fc=write_fc, fences=self.profile.fences
            )
        self._registers = None
        self.renewals = 0

    def close(self) -> None:
        if self._modbus is not None:
            self._modbus.port.close()
            self._modbus = None
            self._registers = None

    def read(self) -> tuple[Reading, ...]:
        try:
            temperature, bad, target, working, output, broken, remote_fail, manual = (
                self._registers or self._known()
            ).image()
        except InstrumentError:
            self._registers = None  # who answers next may be another instrument
            return self.silent()
        now = self.line.clock.now()
        return (
            Reading(temperature, "degC", BAD if bad else GOOD, now),
            Reading(target, "degC", GOOD, now),
            Reading(working, "degC", GOOD, now),
            Reading(output, "%", GOOD, now),
            Reading(1.0 if broken else 0.0, "1", GOOD, now),
            Reading(1.0 if remote_fail else 0.0, "1", GOOD, now),
            Reading(1.0 if manual else 0.0, "1", GOOD, now),
            Reading(float(self.renewals), "1", GOOD, now),
        )

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`heat(target_c, ramp_k_per_min)`, `renew(target_c)`, `heat_off()`; EPC3016: `run_cooling(segments)`."""
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
        for item in p.before_heat:
            self._settle(item)
        for address in p.rates:
            self._settle(Item("ramp rate", address, ramp_k_per_min, "number"))
        target = Item("remote setpoint", p.remote_setpoint, target_c, "number")
        self._write(target)
        self._confirm(target)
        for item in p.energise:
            self._settle(item)
        if p.in_use is not None:
            self._prove(p.in_use)
        return {"target_c": target_c, "ramp_k_per_min": ramp_k_per_min, "fallback_c": FALLBACK_C}

    def renew(self, target_c: float) -> dict[str, Any]:
        """Keep the lease: write the remote setpoint again.

        The acknowledgement carries the value or its place; that the instrument follows it shows in the next
        reading (`setpoint`, `remote_fail`), so no transaction is spent on it here.
        """
        self._check(target_c, 0.0)
        self._write(Item("remote setpoint", self.profile.remote_setpoint, target_c, "number"))
        self.renewals += 1
        return {"target_c": target_c}

    def heat_off(self) -> dict[str, Any]:
        """Heat demand 0, proven: local, manual, output 0, setpoints 20 degC, working output read 0 twice.

        Setpoints alone would not do: with an open thermocouple the loop may drive the heater fully.
        Each item is tried even when an earlier one failed, and repeated once when its reply was lost. On a line that
        still answers nothing, the rest is sent blind: an instrument that hears and cannot be heard is off all the same.
        """
        failed: list[InstrumentError] = []
        blind = False
        for item in self.profile.off:
            try:
                if not blind:
                    self._settle(item, repeat=True)
                    continue
            except CommunicationError as error:
                failed.append(error)
                blind = True
            except InstrumentError as error:
                failed.append(error)
                continue
            with suppress(InstrumentError):
                self._write(item, self._last_known)
        if not blind:
            self._prove(Item("output", self.profile.working_output, 0.0, "number"))
        if failed:
            raise failed[0]
        return {"output_percent": 0.0, "setpoint_c": FALLBACK_C}

    def run_cooling(self, segments: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Write a resident program, read it back and run it: a cool-down that outlives the host.

        segments: {target_c, rate_k_per_min, hold_s} each, the first from the present temperature, none above the one
        before. It ends in a reset, at 20 degC. Only from under a lease: a loop in manual is left alone. The network
        watchdog is off meanwhile, or it would end the program with the host; `heat` arms it again.
        """
        profile = self.profile
        assert isinstance(profile, FloatProfile)
        registers = self._registers or self._known()
        image = registers.image()
        if image.bad or image.manual:
            raise RefusedError(f"{self.line.address}: no program is run with a bad temperature or in manual")
        program = programs.cooling(segments, image.temperature, registers.low_c)
        for item in profile.before_program:
            self._settle(item)
        for item in programs.registers(program):
            self._settle(item)
        for item in (programs.NUMBER, programs.RUNNING):
            self._settle(item)
        return {"segments": float(len(program)), "end_c": program[-1].target_c, "fallback_c": FALLBACK_C}

    def audit(self) -> Audit:
        """Identity, scaling, units, sensor break, limits, fall-back and ramp units. Reads only."""
        p = self.profile
        modbus = self._connected()
        self._registers = None
        registers = self._known()

        def choice(address: int) -> int:
            return modbus.read_holding(address, 1)[0]

        select, sp1, safe = choice(p.select), registers.number(p.sp1), registers.number(p.safe_output)
        automatic = next(i.value for i in p.energise if i.address == p.manual)
        remote = next(i.value for i in p.energise if i.address == p.remote)
        state = (
            f"{'automatic' if choice(p.manual) == automatic else 'manual'}, "
            f"{'remote' if choice(p.remote) == remote else 'local'} setpoint"
        )
        items = [*registers.items(str(self.options.get("serial_number", "")))]
        for name, address, wanted, otherwise in p.settings:
            found = choice(address)
            shown = wanted.get(found, f"{found} ({otherwise})" if otherwise else str(found))
            items.append(AuditItem(name, found in wanted, shown, " or ".join(wanted.values())))
        items += (
            AuditItem("output on sensor break", safe == 0, f"{safe:g} %", "0 %"),
            AuditItem(
                "setpoint limits",
                registers.low_c <= FALLBACK_C < registers.high_c,
                f"{registers.low_c:g}..{registers.high_c:g} degC",
                f"around {FALLBACK_C:g} degC",
            ),
            AuditItem(
                "setpoint after power return",
                select == 0 and sp1 <= FALLBACK_C,
                f"SP{select + 1}, SP1 {sp1:g} degC",
                f"SP1, at most {FALLBACK_C:g} degC",
            ),
        )
        identity = {"maker": "Eurotherm", "model": p.title} | registers.identity() | {"state": state}
        return Audit(identity, tuple(items))

    def _connected(self) -> Modbus:
        if self._modbus is None:
            raise CommunicationError(f"{self.line.address} is not open")
        return self._modbus

    def _known(self) -> RegisterMap:
        """Ask what must be known of the instrument, once. Raises NotDoneError for an impossible answer."""
        if self._registers is None:
            p, modbus = self.profile, self._connected()
            if isinstance(p, FloatProfile):
                self._registers = Floats(modbus, p)
            else:
                assert isinstance(p, CountsProfile)
                self._registers = Counts(modbus, p)
            self._last_known = self._registers
        return self._registers

    def _check(self, target_c: float, ramp_k_per_min: float) -> None:
        """Refuse what is beyond the bench's or the instrument's limits; nothing has been sent yet."""
        registers = self._registers or self._known()
        highest = min(registers.high_c, float(self.options.get("max_temperature_c") or registers.high_c))
        if not registers.low_c <= target_c <= highest:
            raise RefusedError(
                f"{self.line.address}: {target_c:g} degC is not within {registers.low_c:g}..{highest:g} degC"
            )
        fastest = float(self.options.get("max_ramp_k_per_min") or registers.largest)
        if not 0 <= ramp_k_per_min <= fastest:
            raise RefusedError(
                f"{self.line.address}: ramp {ramp_k_per_min:g} K/min is not within 0..{fastest:g} K/min"
            )
        if 0 < ramp_k_per_min <= registers.finest:
            raise RefusedError(
                f"{self.line.address}: ramp {ramp_k_per_min:g} K/min is below one display digit"
            )

    def _write(self, item: Item, registers: RegisterMap | None = None) -> None:
        """Write an item, or the choice that brings it about. `registers`: believed without asking."""
        address = item.by[0] if item.by else item.address
        if address not in self._writable:
            raise RefusedError(f"{self.line.address}: register {address} is never written")
        place, words = (address, (item.by[1],)) if item.by else (registers or self._known()).place(item)
        self._connected().write(place, words)

    def _settle(self, item: Item, *, repeat: bool = False) -> None:
        """Make a register read its value; write only when it does not (EEPROM).

        `repeat` sends again when the acknowledgement was lost: for what takes energy away, never else.
        """
        if self._found(item) == self._known().place(item)[1]:
            return
        try:
            self._write(item)
        except CommunicationError:
            if not repeat:
                raise
            self._write(item)
        self._confirm(item)

    def _found(self, item: Item) -> tuple[int, ...]:
        place, words = self._known().place(item)
        return self._connected().read_holding(place, len(words))

    def _confirm(self, item: Item) -> None:
        found = self._found(item)
        if found != self._known().place(item)[1]:
            raise NotDoneError(
                f"{self.line.address}: {item.what} (register {item.address}) reads {self._shown(item, found)},"
                f" not {item.value:g}"
            )

    def _prove(self, item: Item) -> None:
        """See an item read its value twice in a row, within two seconds."""
        seen = 0
        for _ in range(PROOF_TRIES):
            found = self._found(item)
            seen = seen + 1 if found == self._known().place(item)[1] else 0
            if seen == PROOF_READS:
                return
            self.line.clock.sleep(PROOF_PAUSE_S)
        shown = self._shown(item, found) + (" %" if item.what == "output" else "")
        raise NotDoneError(f"{self.line.address}: the {item.what} still reads {shown}, not {item.value:g}")

    def _shown(self, item: Item, words: tuple[int, ...]) -> str:
        if item.kind == "number":
            return f"{self._known().number(item.address):g}"
        return str(words[0]) if len(words) == 1 else str((words[0] << 16) + words[1])


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
    unverified=SERIES_3200["3216"].unverified,
    lease_s=5.0,
)


def _epc(line: Line, options: Mapping[str, Any]) -> Eurotherm:
    return Eurotherm(line, options, EPC_OPTIONS, EPC3000)


EPC = replace(
    ENTRY,
    name="eurotherm-epc",
    title="Eurotherm EPC3016 temperature controller (Modbus TCP)",
    factory=_epc,
    device="eurotherm_epc3016",
    link="tcp",
    on_comms_loss=(
        f"gives up the remote setpoint for SP1 (20 degC) {EPC_LEASE_S} s after its last renewal; its network"
        " watchdog raises a flag then"
    ),
    options=EPC_OPTIONS,
    unverified=EPC3000["EPC3016"].unverified,
    lease_s=float(EPC_LEASE_S),
)
