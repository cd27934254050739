"""What guards and feeds a tube furnace: contacts, room air, exhaust, gas cylinder, contactor, bypass, beacon.

    V / p0 dp/dt = Q - p / R,   p_cylinder = p_full (1 - used / contents)

Gauge pressure in the tube from its inflow Q and the resistance R of trap, line and bubbler, exact over a step;
isothermal. Resistance, restrictor and limiter are assumed: 0.02 bar at 1000 sccm, 200 sccm, 1150 degC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

ATMOSPHERE_BAR = 1.01325
CONTACTS = ("door", "extraction", "limiter", "water", "estop")
COILS = ("contactor", "bypass", "beacon")


@dataclass(slots=True)
class Services:
    """Around one tube of `volume_cm3`. Call `step` with its inflow; write `contacts`, `room` and the parameters.

    exhaust_bar_per_sccm: R; raise it for a trap that blocks. bypass_sccm: flow through the restrictor beside the
    mass-flow controller, whose valve is open without current. cylinder_l, cylinder_bar: litres (as sccm count) and
    gauge pressure when full. limiter_c: the independent limiter opens its contact there, until `reset_limiter`.
    vented: the tube is open or cracked, and no pressure stands in it.
    contacts: closed while all is well. broken: transmitters whose loop is open. coils: which have current.
    """

    volume_cm3: float = 2290.0
    exhaust_bar_per_sccm: float = 2e-5
    bypass_sccm: float = 200.0
    cylinder_l: float = 10_000.0
    cylinder_bar: float = 200.0
    limiter_c: float = 1150.0

    contacts: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(CONTACTS, True), init=False)
    coils: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(COILS, False), init=False)
    broken: set[str] = field(default_factory=set, init=False)
    room_oxygen_pct: float = field(default=20.9, init=False)
    room_co_ppm: float = field(default=0.0, init=False)
    vented: bool = field(default=False, init=False)
    tube_bar: float = field(default=0.0, init=False)
    used_l: float = field(default=0.0, init=False)

    @property
    def heater_fed(self) -> bool:
        """Contactor, limiter and e-stop are in series in front of the heater."""
        return self.coils["contactor"] and self.contacts["limiter"] and self.contacts["estop"]

    @property
    def supplied(self) -> bool:
        """There is gas left."""
        return self.used_l < self.cylinder_l

    @property
    def cylinder_gauge_bar(self) -> float:
        """What the gauge of the cylinder shows, bar."""
        return self.cylinder_bar * max(0.0, 1.0 - self.used_l / self.cylinder_l)

    @property
    def bypass_flow_sccm(self) -> float:
        """Flow through the restrictor now."""
        return 0.0 if self.coils["bypass"] or not self.supplied else self.bypass_sccm

    def step(self, dt: float, controlled_sccm: float, thermocouple_c: float) -> float:
        """Move on by `dt` seconds; the whole flow into the tube, sccm, bypass included."""
        sccm = controlled_sccm + self.bypass_flow_sccm
        self.used_l += sccm * dt / 60_000.0
        tau_s = self.volume_cm3 / ATMOSPHERE_BAR * self.exhaust_bar_per_sccm * 60.0
        steady_bar = sccm * self.exhaust_bar_per_sccm
        self.tube_bar = steady_bar + (self.tube_bar - steady_bar) * (exp(-dt / tau_s) if tau_s else 0.0)
        if self.vented:
            self.tube_bar = 0.0
        if thermocouple_c > self.limiter_c:
            self.contacts["limiter"] = False
        return sccm

    def reset_limiter(self) -> None:
        """A person acknowledges the limiter at its panel."""
        self.contacts["limiter"] = True

    def closed(self, contact: str) -> bool:
        """See `ServicesModel`."""
        return self.contacts[contact]

    def measured(self, transmitter: str) -> float | None:
        """See `ServicesModel`."""
        if transmitter in self.broken:
            return None
        if transmitter == "tube_pressure":
            return self.tube_bar
        if transmitter == "cylinder_pressure":
            return self.cylinder_gauge_bar
        return self.room_oxygen_pct if transmitter == "room_oxygen" else self.room_co_ppm

    def energise(self, coil: str, on: bool) -> None:
        """See `ServicesModel`."""
        self.coils[coil] = on
