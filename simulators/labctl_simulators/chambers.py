"""What a plant is made of: chambers, and the stations that each is with its instruments."""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl_simulators.devices import Wired
from labctl_simulators.devices.api import Device
from labctl_simulators.physics.atmosphere import TubeAtmosphere
from labctl_simulators.physics.furnace import TubeFurnace
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.physics.pan import WeighingPan
from labctl_simulators.physics.services import Services


@dataclass(slots=True)
class Tube:
    """A furnace with its work tube and the gas that flows in. services: what an I/O module is wired to, if any is."""

    furnace: TubeFurnace
    atmosphere: TubeAtmosphere
    flows: list[MassFlow] = field(default_factory=list)
    services: Services | None = None

    @property
    def longest_step_s(self) -> float:
        """What its furnace bears; gas moves exactly over any step."""
        return self.furnace.longest_step_s

    @property
    def resting(self) -> bool:
        """Neither heat nor flow changes; gas that goes on mixing does so exactly over any step."""
        settled = all(flow.settled for flow in self.flows)
        return settled and self.services is None and self.furnace.resting

    @property
    def flow_sccm(self) -> float:
        """True flow into the tube, sccm."""
        sccm = sum(flow.flow_sccm for flow in self.flows)
        return sccm if self.services is None else sccm + self.services.bypass_flow_sccm

    def swap_cylinder(self) -> None:
        """Put a full cylinder on the line."""
        if self.services is not None:
            self.services.used_l = 0.0
        for flow in self.flows:
            flow.supply_ok = True

    def step(self, dt: float, ambient_c: float) -> None:
        """Move gas and heat on by `dt` seconds."""
        sccm = 0.0
        for flow in self.flows:
            flow.step(dt)
            sccm += flow.flow_sccm
        furnace = self.furnace
        if self.services is None:
            furnace.step(dt, ambient_c, sccm)
        else:
            sccm = self._step_services(self.services, dt, ambient_c, sccm)
        self.atmosphere.step(dt, sccm, furnace.tube_c)

    def _step_services(self, services: Services, dt: float, ambient_c: float, sccm: float) -> float:
        """Heat through contactor, limiter and e-stop, and with the bypass's gas too. The whole flow, sccm."""
        furnace = self.furnace
        sccm = services.step(dt, sccm, furnace.thermocouple_c)
        if not services.supplied:
            for flow in self.flows:
                flow.supply_ok = False
        asked = furnace.duty
        if not services.heater_fed:
            furnace.duty = 0.0
        furnace.step(dt, ambient_c, sccm)
        furnace.duty = asked
        return sccm


Chamber = Tube | ConvectionOven | Hotplate | HalfCell | WeighingPan
PARTS: dict[type, tuple[Wired, ...]] = {
    Tube: ("furnace", "flow", "oxygen", "services"),
    ConvectionOven: ("oven",),
    Hotplate: ("hotplate", "syringe"),
    HalfCell: ("cell",),
    WeighingPan: ("pan",),
}
"""What instruments may be wired to."""


@dataclass(slots=True)
class Station:
    """A chamber and its instruments. asked_s: when one was last spoken to. dozes_since: a tick; None while it lives."""

    chamber: Chamber
    devices: dict[str, Device] = field(default_factory=dict)
    asked_s: float = 0.0
    dozes_since: int | None = None

    @property
    def resting(self) -> bool:
        """Time alone will change nothing here (see `Device`)."""
        return self.chamber.resting and all(getattr(d, "resting", False) for d in self.devices.values())
