"""A thermal mass-flow controller: a first-order valve that never quite closes, a meter with errors.

Time constant 0.5 s (2 % settling in 2 s), shut-off below 1 % of full scale, leak-by 0.05 % of full scale:
assumed, of the order of vendors' data sheets (recalled, unverified).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

ATMOSPHERE_BAR = 1.01325


@dataclass(slots=True)
class MassFlow:
    """A mass-flow controller. Set `setpoint_sccm`, call `step`, read flows in sccm (25 degC, 1 atm).

    full_scale_sccm: its range. gain_error: (true - indicated) / indicated. zero_sccm: true flow at
    indicated zero while the valve is open. leak_by: flow through the closed valve, as a fraction of full
    scale.
    back_pressure_bar: what bubbler and line add at full scale. supply_ok: False when the cylinder is empty
    or shut.
    """

    full_scale_sccm: float = 1000.0
    gain_error: float = 0.0
    zero_sccm: float = 0.0
    leak_by: float = 5e-4
    tau_s: float = 0.5
    back_pressure_bar: float = 0.02

    setpoint_sccm: float = field(default=0.0, init=False)
    supply_ok: bool = field(default=True, init=False)
    indicated_sccm: float = field(default=0.0, init=False)
    flow_sccm: float = field(default=0.0, init=False)
    _settled_at: float | None = field(default=None, init=False)
    _settled_supply: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.flow_sccm = self._true()

    @property
    def settled(self) -> bool:
        """The valve is where it was told to be."""
        return self._settled_at == self.setpoint_sccm and self._settled_supply is self.supply_ok

    @property
    def pressure_bar(self) -> float:
        """Absolute pressure at the outlet, bar."""
        return ATMOSPHERE_BAR + self.back_pressure_bar * self.flow_sccm / self.full_scale_sccm

    def step(self, dt: float) -> None:
        """Move on by `dt` seconds."""
        if self._settled_at == self.setpoint_sccm and self._settled_supply is self.supply_ok:
            return  # as `settled`, without the call
        self._settled_at = None
        wanted = self.setpoint_sccm if self.supply_ok else 0.0
        if wanted < 0.01 * self.full_scale_sccm:
            wanted = 0.0
        elif wanted > self.full_scale_sccm:
            wanted = self.full_scale_sccm
        gap = (self.indicated_sccm - wanted) * exp(-dt / self.tau_s)
        if abs(gap) < 1e-6:
            gap = 0.0
            self._settled_at, self._settled_supply = self.setpoint_sccm, self.supply_ok
        self.indicated_sccm = wanted + gap
        self.flow_sccm = self._true()

    def _true(self) -> float:
        if not self.supply_ok:
            return self.indicated_sccm
        if self.indicated_sccm == 0.0:
            return self.leak_by * self.full_scale_sccm
        return self.indicated_sccm * (1.0 + self.gain_error) + self.zero_sccm
