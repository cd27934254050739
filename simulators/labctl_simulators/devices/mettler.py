"""A simulated Mettler Toledo balance: MT-SICS over a serial line or a socket.

It answers levels 0 and 1 (`S SI Z ZI T TI TA TAC @ I0 I1 I2 I3 I4 I11`) and of level 2 `D DW WS M28`. `S`, `T` and `Z`
wait until the load cell is at rest, and answer `I` when that takes too long. Not simulated: streams (`SIR`), which
answer `ES` as an unknown command does, and adjustment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from labctl_simulators.devices.api import Bindings, Replies, Sense, WeighingModel
from labctl_simulators.wire.lines import LineSession

THINKING_S = 0.03
"""From the request to the first byte (assumed)."""

GIVES_UP_S = 10.0
"""How long `S`, `T` and `Z` wait for rest before they answer `I` (assumed; a setting of the balance)."""

STEADY_S = 1.0
"""How long the value must have stayed within `STEADY_DIGITS` to be called stable (assumed)."""
STEADY_DIGITS = 2.0
OVERLOAD = 1.05
"""Of the capacity; above it there is no value (assumed)."""
UNDERLOAD_G = -20.0
"""Shown, below which the pan is missing (assumed)."""
ZERO_RANGE = 0.02
"""Of the capacity, within which it can be zeroed (assumed)."""
AT_REST, AT_ONCE = (b"S", b"T", b"Z"), (b"SI", b"TI", b"ZI")

_END = b"\r\n"
_TARE = re.compile(rb"TA (\d{1,6}(?:\.\d{1,6})?) g")


class Mettler:
    """The balance. Its faults are attributes.

    silent: answers nothing and hears nothing. garbage: bytes sent before each reply. late_s: extra delay.
    busy: weighing commands are not executable now (its menu is open). unit: shown, g or mg.
    """

    def __init__(
        self, pan: WeighingModel, cell: Sense, bindings: Bindings, options: Mapping[str, Any], serial: str
    ) -> None:
        self.pan = pan
        self._cell = cell
        self._now = bindings.now
        self._ambient_c = bindings.ambient_c
        self.serial = serial
        self.model = str(options.get("sim_model", "XPR205"))
        self.capacity_g = float(options.get("sim_capacity_g", 220.0))
        self.digit_g = float(options.get("sim_readability_g", 1e-4))
        self.silent = self.busy = False
        self.garbage = b""
        self.late_s = 0.0
        self.unit = "g"
        self.zero_g = self.tare_g = 0.0
        self.door = 0
        self._steady_since_s = self._now() - STEADY_S
        self._last_g = cell() or 0.0
        self._answers: dict[bytes, Callable[[], bytes]] = {
            b"TA": lambda: b"TA A " + self._number(self.tare_g),
            b"TAC": self._clear_tare,
            b"@": self._reset,
            b"I1": lambda: b'I1 A "01" "2.30" "2.22" "1.00" ""',
            b"I2": lambda: f'I2 A "{self.model} Excellence {self.capacity_g:.4f} g"'.encode(),
            b"I3": lambda: b'I3 A "3.10 10.28.0.493.142"',
            b"I4": lambda: f'I4 A "{self.serial}"'.encode(),
            b"I11": lambda: f'I11 A "{self.model}"'.encode(),
            b"WS": lambda: b"WS A %d" % self.door,
            b"DW": lambda: b"DW A",
            b"M28": lambda: b"M28 A 1 %.1f" % self._ambient_c,
        }

    @property
    def resting(self) -> bool:
        """It does nothing by itself but watch its load cell."""
        return True

    def tick(self, now_s: float) -> None:
        """Watch whether the value rests."""
        shown = self._cell()
        if shown is None or abs(shown - self._last_g) > STEADY_DIGITS * self.digit_g:
            self._steady_since_s = now_s
        if shown is not None:
            self._last_g = shown

    def power_cycle(self) -> None:
        """Come back zeroed on what lies there, with no tare."""
        self.tare_g, self.zero_g = 0.0, self._cell() or 0.0
        self._steady_since_s = self._now()

    def answer(self, line: bytes) -> Replies:
        """What one request makes it say."""
        if self.silent:
            return []
        if line in AT_REST:
            return self._at_rest(line)
        if line in AT_ONCE:
            return self._at_once(line)
        if line == b"I0":
            known = sorted({*self._answers, *AT_REST, *AT_ONCE, b"I0", b"D"})
            rows = [b'I0 B 0 "%s"' % name for name in known]
            rows[-1] = rows[-1].replace(b" B ", b" A ", 1)
            return self._say(_END.join(rows))
        plain = self._answers.get(line)
        return self._say(plain() if plain is not None else self._do(line))

    def _say(self, text: bytes, after_s: float = 0.0) -> Replies:
        return [(THINKING_S + after_s + self.late_s, self.garbage + text + _END)]

    def _do(self, line: bytes) -> bytes:
        tare = _TARE.fullmatch(line)
        if tare is not None:
            wanted = float(tare[1])
            if wanted > self.capacity_g:
                return b"TA L"
            self.tare_g = wanted
            return b"TA A " + self._number(self.tare_g)
        if line.startswith(b"TA "):
            return b"TA L"
        if line.startswith(b"WS "):
            if line[3:] not in (b"0", b"1", b"2", b"8", b"9"):
                return b"WS L"
            self.door = int(line[3:])
            return b"WS A"
        return b"D A" if line.startswith(b'D "') else b"ES"

    # -- weighing --------------------------------------------------------------------------------

    def _at_rest(self, line: bytes) -> Replies:
        """`S`, `T`, `Z`: once the load cell rests, or `I` when it does not."""
        rest_s = self._rests_in_s()
        if self.busy:
            return self._say(line + b" I")
        if rest_s > GIVES_UP_S:
            return self._say(line + b" I", GIVES_UP_S)
        return self._say(self._weigh(line, self._cell() if rest_s == 0.0 else self.pan.rests_at_g), rest_s)

    def _at_once(self, line: bytes) -> Replies:
        """`SI`, `TI`, `ZI`: whether it rests or not. `SI` answers as `S` does."""
        name = b"S" if line == b"SI" else line
        if self.busy:
            return self._say(name + b" I")
        return self._say(self._weigh(name, self._cell(), b"S" if self.steady else b"D"))

    def _weigh(self, name: bytes, shown: float | None, status: bytes = b"S") -> bytes:
        if shown is None or shown > OVERLOAD * self.capacity_g:
            return name + b" +"
        if shown < UNDERLOAD_G:
            return name + b" -"
        if name.startswith(b"Z"):
            if abs(shown) > ZERO_RANGE * self.capacity_g:
                return name + (b" +" if shown > 0.0 else b" -")
            self.zero_g, self.tare_g = shown, 0.0
            return b"Z A" if name == b"Z" else b"ZI " + status
        gross = shown - self.zero_g
        if not name.startswith(b"T"):
            return name + b" " + status + b" " + self._number(gross - self.tare_g)
        if gross < -STEADY_DIGITS * self.digit_g:
            return name + b" -"
        self.tare_g = max(0.0, round(gross / self.digit_g) * self.digit_g)
        return name + b" " + status + b" " + self._number(self.tare_g)

    @property
    def steady(self) -> bool:
        """The value has stayed where it is."""
        return self._rests_in_s() == 0.0

    def _rests_in_s(self) -> float:
        settled_s = self.pan.settles_in_s(STEADY_DIGITS * self.digit_g)
        stayed_s = 0.0 if settled_s else self._now() - self._steady_since_s
        return max(0.0, settled_s + STEADY_S - stayed_s)

    def _clear_tare(self) -> bytes:
        self.tare_g = 0.0
        return b"TAC A"

    def _reset(self) -> bytes:
        self.tare_g = 0.0
        return f'I4 A "{self.serial}"'.encode()

    def _number(self, mass_g: float) -> bytes:
        decimals = max(0, len(f"{self.digit_g:.7f}".rstrip("0").partition(".")[2]))
        shown = round(mass_g / self.digit_g) * self.digit_g + 0.0
        if self.unit == "mg":
            return f"{shown * 1000.0:.{max(0, decimals - 3)}f}".rjust(10).encode() + b" mg"
        return f"{shown:.{decimals}f}".rjust(10).encode() + b" g"


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Mettler, LineSession]:
    """A balance on the bindings' pan. Raises ValueError when there is none."""
    if bindings.pan is None or bindings.load_cell is None:
        raise ValueError("a simulated balance needs a pan")
    device = Mettler(bindings.pan, bindings.load_cell, bindings, options, serial_number or "B123456789")
    return device, LineSession(device.answer)
