"""How numbers stand in the registers: display digits (`Counts`, 3200) or float32 (`Floats`, EPC3000).

Either reads one image of the loop and turns an `Item` into the registers that carry it.
"""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import NamedTuple, Protocol

from labctl.bench.api import AuditItem, CommunicationError, NotDoneError
from labctl_drivers.eurotherm.profiles import CountsProfile, FloatProfile, Item
from labctl_drivers.ports.modbus import Modbus, float32_of, registers_of, signed

LOWEST_C, HIGHEST_C = -50.0, 1800.0
"""Process values beyond are no temperatures of a furnace."""


class Image(NamedTuple):
    """The loop now: degC, %, and flags. bad: the process value is none."""

    temperature: float
    bad: bool
    target: float
    working: float
    output: float
    broken: bool
    remote_fail: bool
    manual: bool


class RegisterMap(Protocol):
    """The registers of one connected instrument. low_c, high_c: its own setpoint limits.

    finest: the smallest number it can tell from 0; largest: the largest that it can hold.
    """

    low_c: float
    high_c: float
    finest: float
    largest: float

    def image(self) -> Image:
        """Read the loop. Raises CommunicationError, also for an answer that cannot be."""

    def number(self, address: int) -> float:
        """One number, in its unit."""

    def place(self, item: Item) -> tuple[int, tuple[int, ...]]:
        """Where an item stands and what it reads there: first register and words, each 0..65535."""

    def identity(self) -> dict[str, str]:
        """What the instrument says of itself."""

    def items(self, serial_number: str) -> tuple[AuditItem, ...]:
        """Audit of what only this kind of map has."""


class Counts:
    """Display digits with an implied decimal point, asked for once (register 525).

    Raises NotDoneError for an impossible number of decimal places, or limits.
    """

    def __init__(self, modbus: Modbus, profile: CountsProfile) -> None:
        self.modbus = modbus
        self.profile = profile
        (decimals,) = modbus.read_holding(profile.decimals, 1)
        if decimals > 2:
            raise NotDoneError(f"{decimals} decimal places; 0, 1 or 2 are possible")
        self.per_unit = float(10**decimals)
        high, low = modbus.read_holding(profile.limit_high, 2)
        self.low_c, self.high_c = signed(low) / self.per_unit, signed(high) / self.per_unit
        _check_limits(self.low_c, self.high_c)
        self.finest, self.largest = 0.5 / self.per_unit, 32767 / self.per_unit

    def image(self) -> Image:
        """Two transactions: the live block and the status word."""
        profile, scale = self.profile, self.per_unit
        value, target, _, output, working = self.modbus.read_holding(profile.live, 5)
        (status,) = self.modbus.read_holding(profile.status, 1)
        raw = value - 65536 if value & 0x8000 else value
        temperature = raw / scale
        bad = (
            status & (profile.bit_sensor_break | profile.bit_over_range)
            or not LOWEST_C <= temperature <= HIGHEST_C
            or raw in (32767, -32767, -32768)
        )
        return Image(
            temperature,
            bool(bad),
            signed(target) / scale,
            signed(working) / scale,
            signed(output) / scale,
            bool(status & profile.bit_sensor_break),
            bool(status & profile.bit_remote_fail),
            bool(status & profile.bit_manual),
        )

    def number(self, address: int) -> float:
        return signed(self.modbus.read_holding(address, 1)[0]) / self.per_unit

    def place(self, item: Item) -> tuple[int, tuple[int, ...]]:
        count = round(item.value * self.per_unit) if item.kind == "number" else int(item.value)
        return item.address, (count & 0xFFFF,)

    def identity(self) -> dict[str, str]:
        (version,) = self.modbus.read_holding(self.profile.version, 1)
        (kind,) = self.modbus.read_holding(self.profile.type_code, 1)
        return {"type": f"{kind:04X}", "version": f"V{version >> 8:X}.{version & 0xFF:02X}"}

    def items(self, serial_number: str) -> tuple[AuditItem, ...]:
        fine = self.per_unit >= 10
        return (AuditItem("decimal places", fine, f"1/{self.per_unit:g}", "1/10 or finer"),)


class Floats:
    """The IEEE region for numbers and times, plain registers for choices."""

    finest = 0.001
    largest = 10_000.0

    def __init__(self, modbus: Modbus, profile: FloatProfile) -> None:
        self.modbus = modbus
        self.profile = profile
        self.high_c, self.low_c = self.numbers(profile.limit_high, 2)
        _check_limits(self.low_c, self.high_c)

    def image(self) -> Image:
        """Four transactions: the live block, sensor break, source of the setpoint, manual."""
        p, modbus = self.profile, self.modbus
        temperature, target, _, output, working = floats_of(modbus.read_holding(region(p.live), 10))
        broken, status = modbus.read_holding(p.sensor_break, 2)
        (source,) = modbus.read_holding(p.setpoint_source, 1)
        (manual,) = modbus.read_holding(p.in_manual, 1)
        if broken > 1 or manual > 1 or source > 255 or status > 255:
            # no CRC guards these: a flag that is neither 0 nor 1 is a broken answer
            raise CommunicationError(f"flags read {broken}, {manual}, source {source}, status {status}")
        if not (isfinite(target) and isfinite(output) and isfinite(working)):
            raise CommunicationError(f"setpoint or output is no number: {target}, {output}, {working}")
        bad = bool(broken or status) or not LOWEST_C <= temperature <= HIGHEST_C
        return Image(
            temperature, bad, target, working, output, bool(broken), source == p.forced_local, bool(manual)
        )

    def number(self, address: int) -> float:
        return self.numbers(address, 1)[0]

    def numbers(self, address: int, count: int) -> tuple[float, ...]:
        """`count` numbers of consecutive parameters. Raises CommunicationError when one is none."""
        values = floats_of(self.modbus.read_holding(region(address), 2 * count))
        if not all(map(isfinite, values)):
            raise CommunicationError(f"parameter {address}: {values} is no number")
        return values

    def place(self, item: Item) -> tuple[int, tuple[int, ...]]:
        if item.kind == "number":
            return region(item.address), registers_of(item.value, low_word_first=False)
        if item.kind == "time":
            return region(item.address), divmod(round(item.value * 1000), 65536)
        return item.address, (int(item.value),)

    def identity(self) -> dict[str, str]:
        p, modbus = self.profile, self.modbus
        (company,), (kind,) = modbus.read_holding(p.company, 1), modbus.read_holding(p.type_code, 1)
        return {"company": str(company), "type": str(kind), "serial": str(self._serial())}

    def items(self, serial_number: str) -> tuple[AuditItem, ...]:
        high, low, scale_high, scale_low = self.numbers(self.profile.remote_scale, 4)
        scaling = AuditItem(
            "scale of the remote setpoint",
            (high, low) == (scale_high, scale_low) and high > low,
            f"{low:g}..{high:g} becomes {scale_low:g}..{scale_high:g}",
            "unchanged",
        )
        if not serial_number:
            return (scaling,)
        found = str(self._serial())
        return scaling, AuditItem("serial number", found == serial_number, found, serial_number)

    def _serial(self) -> int:
        high, low = self.modbus.read_holding(region(self.profile.serial), 2)
        return high << 16 | low


def _check_limits(low_c: float, high_c: float) -> None:
    """Raise NotDoneError unless there is room between them: an instrument without these registers answers 0 and 0."""
    if not low_c < high_c:
        raise NotDoneError(f"setpoint limits {low_c:g}..{high_c:g} degC cannot be; is it another instrument?")


def region(address: int) -> int:
    """Where a parameter's 32 bits begin."""
    return 0x8000 + 2 * address


@lru_cache(4096)
def floats_of(words: tuple[int, ...]) -> tuple[float, ...]:
    """Pairs of registers as float32, high word first."""
    return tuple(float32_of(words[n : n + 2], low_word_first=False) for n in range(0, len(words), 2))
