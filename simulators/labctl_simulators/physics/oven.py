"""A convection oven: air, wall and load, heated through the air. All parameters are assumed."""

from __future__ import annotations

from dataclasses import dataclass, field

LOOP_BAND_K = 8.0
"""Proportional band of what controls it: its full power for so many K."""
_REST_K = 1e-3


@dataclass(slots=True)
class ConvectionOven:
    """A drying oven and the load in it. Set `duty` (0..1) and `door_open`, call `step`, read degC.

    full_power_w: heater. *_j_per_k: heat capacities. *_w_per_k: conductances; leak: fresh air through the
    flap.
    """

    ambient_c: float = 22.0
    full_power_w: float = 1200.0
    air_j_per_k: float = 600.0
    wall_j_per_k: float = 9000.0
    load_j_per_k: float = 250.0
    air_wall_w_per_k: float = 25.0
    air_load_w_per_k: float = 1.5
    leak_w_per_k: float = 4.0
    door_w_per_k: float = 30.0
    wall_ambient_w_per_k: float = 3.0

    duty: float = field(default=0.0, init=False)
    door_open: bool = field(default=False, init=False)
    heater_w: float = field(default=0.0, init=False)
    air_c: float = field(init=False)
    wall_c: float = field(init=False)
    load_c: float = field(init=False)
    _resting: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.air_c = self.wall_c = self.load_c = self.ambient_c

    @property
    def resting(self) -> bool:
        """Cold, and not heated."""
        return self._resting and self.duty <= 0.0

    @property
    def longest_step_s(self) -> float:
        """Euler stays stable to twice the shortest time constant; this is 1.6 times that, with the loop closed."""
        loop = self.full_power_w / LOOP_BAND_K
        air = self.air_wall_w_per_k + self.air_load_w_per_k + self.leak_w_per_k + loop
        wall = self.air_wall_w_per_k + self.wall_ambient_w_per_k
        load = self.air_load_w_per_k
        return 1.6 * min(self.air_j_per_k / air, self.wall_j_per_k / wall, self.load_j_per_k / load)

    def step(self, dt: float, ambient_c: float) -> None:
        """Move on by `dt` seconds. An oven at rest at ambient temperature stays exactly there."""
        duty = self.duty
        if duty <= 0.0 and self._resting:
            return
        duty = 0.0 if duty < 0.0 else 1.0 if duty > 1.0 else duty
        self.heater_w = power = duty * self.full_power_w
        air, wall, load = self.air_c, self.wall_c, self.load_c
        to_wall = self.air_wall_w_per_k * (air - wall)
        to_load = self.air_load_w_per_k * (air - load)
        leak = self.leak_w_per_k + self.door_w_per_k if self.door_open else self.leak_w_per_k
        self.air_c = air + dt * (power - to_wall - to_load - leak * (air - ambient_c)) / self.air_j_per_k
        to_room = self.wall_ambient_w_per_k * (wall - ambient_c)
        self.wall_c = wall + dt * (to_wall - to_room) / self.wall_j_per_k
        self.load_c = load + dt * to_load / self.load_j_per_k
        self._resting = (
            duty == 0.0
            and -_REST_K < self.wall_c - ambient_c < _REST_K
            and -_REST_K < self.load_c - ambient_c < _REST_K
            and -_REST_K < self.air_c - ambient_c < _REST_K
        )
        if self._resting:
            self.air_c = self.wall_c = self.load_c = ambient_c
