"""A simulated Rapidox 1100E or 1100ZR oxygen analyser: warms up, lags, and says what is wrong.

Lines follow the manuals' pages on serial output. The cell's voltage is the Nernst voltage of what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from math import exp, log
from typing import Any

from labctl_simulators.devices.api import Bindings, Replies, Sense
from labctl_simulators.wire.lines import CharacterSession

THINKING_S = 0.02
"""From the request to the first byte (assumed)."""

LAG_S = 10.0
"""First-order lag of sampling line and cell (design note on zirconia analysers)."""

CELL_K = 923.15
"""Temperature of the zirconia cell, 650 degC (assumed: makers use 600..750)."""

INITIALISING_S = 5.0
WARM_UP_S = 300.0
"""Until it measures (assumed)."""

GIVES_UP_S = 600.0
"""Not at temperature this long after power-up: a possible sensor fault (manual)."""

_R_OVER_4F = 8.314462618 / (4 * 96485.33212)
_AIR_PPM = 209_500.0
_FIRST_DAY = date(2000, 1, 14).toordinal()


class Rapidox:
    """The analyser. Its faults are attributes.

    silent: answers nothing. garbage: bytes sent before each reply. late_s: extra delay.
    heater_broken: never gets to temperature. no_sensor. cleaning, user_setup: busy, no number.
    state: the last field (0 ok .. 6). alarms: e.g. "ALM1&2".
    """

    def __init__(self, oxygen: Sense, bindings: Bindings, options: Mapping[str, Any]) -> None:
        self._oxygen = oxygen
        self._now = bindings.now
        self._follows = 1.0 - exp(-bindings.tick_s / LAG_S)
        self._zr = str(options.get("model", "1100E")) == "1100ZR"
        self.shown_ppm = oxygen() or 0.0
        self._open = False
        self.silent = self.heater_broken = self.no_sensor = self.cleaning = self.user_setup = False
        self.state = 0
        self.alarms = ""
        self.garbage = b""
        self.late_s = 0.0
        self._on_since_s = self._now() - (WARM_UP_S if options.get("sim_warm", True) else 0.0)

    @property
    def resting(self) -> bool:
        """It only follows the gas."""
        return True

    def tick(self, now_s: float) -> None:
        """Follow the gas, one tick's worth."""
        ppm = self._oxygen()
        self._open = ppm is None
        if ppm is not None:
            self.shown_ppm += (ppm - self.shown_ppm) * self._follows

    def power_cycle(self) -> None:
        """Off and on: it initialises and heats its sensor again."""
        self._on_since_s = self._now()

    def answer(self, byte: bytes) -> Replies:
        """What one character makes it say: `D` asks for a line, others for nothing."""
        if byte != b"D" or self.silent:
            return []
        line = self._message() or self._line()
        return [(THINKING_S + self.late_s, self.garbage + line + b"\r\n")]

    def _message(self) -> bytes:
        """What it says instead of a number, or nothing."""
        on_for = self._now() - self._on_since_s
        if self.no_sensor or self._open:
            return b"!No sensor or sensor fault"
        if on_for < INITIALISING_S:
            return b"!Initialising"
        if self.heater_broken:
            return b"!Sensor heating" if on_for < GIVES_UP_S else b"!Possible sensor fault"
        if on_for < WARM_UP_S:
            return b"!Sensor heating"
        if self.cleaning:
            return b"!Cleaning sensor"
        return b"!User setup active" if self.user_setup else b""

    def _line(self) -> bytes:
        ppm = max(self.shown_ppm, 1e-3)
        millivolt = 1000.0 * _R_OVER_4F * CELL_K * log(_AIR_PPM / ppm)
        minutes, second = divmod(int(self._now()), 60)
        time, day = _minute(minutes)
        form = (
            b"d%.3E,%.3E,1.000E+00,,%s%02d,%s,,,%s,%d"
            if self._zr
            else b"d%.3E,%.3E,1.000E+00,%s%02d,%s,%s,%d"
        )
        return form % (ppm, millivolt, time, second, day, self.alarms.encode(), self.state)


@lru_cache(4)
def _minute(minutes: int) -> tuple[bytes, bytes]:
    """Its clock at that minute since it was set: `HH:MM:` and `DD/MM/YY`."""
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    day = date.fromordinal(_FIRST_DAY + days)
    return b"%02d:%02d:" % (hour, minute), day.strftime("%d/%m/%y").encode()


def attach(
    bindings: Bindings, options: Mapping[str, Any], serial_number: str
) -> tuple[Rapidox, CharacterSession]:
    """An analyser on the bindings' oxygen. Raises ValueError when it is wired to no gas."""
    if bindings.oxygen is None:
        raise ValueError("a simulated Rapidox needs the oxygen of a chamber")
    device = Rapidox(bindings.oxygen, bindings, options)
    return device, CharacterSession(device.answer)
