"""Contracts inside the simulators: devices live on plant ticks, sessions turn bytes into timed bytes.

A family is one module, `labctl_simulators.devices.<family>`, with a function
`attach(bindings, options, serial_number) -> (device, session)` (see `Attach`). The device reads its
sensors and moves its actuators through `Bindings`; it never sees the plant, nor another device.
What a device may touch is named here as protocols, so a device is tested with a model of three lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Replies = list[tuple[float, bytes]]
"""(delay in seconds after the request's last byte, bytes) in the order in which they leave the instrument."""

Sense = Callable[[], float | None]
"""What a sensor shows now, in the instrument's unit: offset and noise included; None is an open sensor.

Noise is drawn once a tick: asking twice within a tick gives the same value, whatever the order."""


class Device(Protocol):
    """Registers or commands over a physical model. Knows no bytes.

    One with a property `resting` that is true, as long as ticks alone would change nothing but what follows its sensor,
    need not live them while its chamber rests and nobody asks; one without lives every tick.
    """

    def tick(self, now_s: float) -> None:
        """Live the plant time since the tick before: control loop, ramps, watchdogs. Called in bench order."""

    def power_cycle(self) -> None:
        """Come back after the mains were off: with what it keeps, and its defaults for the rest."""


class Session(Protocol):
    """One wire to one device (or one bus to several): bytes in, timed bytes out. No sockets, no clock."""

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes as they arrive, in any split, and return what the instrument answers."""


class MassFlowModel(Protocol):
    """A mass-flow controller's valve and sensor. Write `setpoint_sccm`; it acts from the next tick."""

    full_scale_sccm: float
    setpoint_sccm: float

    @property
    def indicated_sccm(self) -> float:
        """What its own sensor shows (the true flow differs by gain and zero error), sccm."""

    @property
    def pressure_bar(self) -> float:
        """Absolute pressure at its outlet, bar."""


class HotplateModel(Protocol):
    """A hotplate stirrer: write `heater_w` (0..`max_heater_w`) and `speed_setpoint_rpm` (0: motor off)."""

    heater_w: float
    max_heater_w: float
    speed_setpoint_rpm: float

    @property
    def speed_rpm(self) -> float:
        """True speed, rpm."""

    @property
    def torque_ncm(self) -> float:
        """Torque on the drive, N cm."""

    @property
    def plate_c(self) -> float:
        """True plate temperature, degC."""

    @property
    def liquid_c(self) -> float:
        """True temperature of the liquid, degC: what an external Pt1000 in the vessel feels."""


class OvenModel(Protocol):
    """A convection oven: write `duty` (0..1 of its heater power)."""

    duty: float
    door_open: bool

    @property
    def air_c(self) -> float:
        """True air temperature, degC."""


class CellModel(Protocol):
    """An electrochemical cell at the terminals of a source-measure unit. Positive current charges it."""

    def source(self, voltage_v: float, limit_a: float) -> None:
        """Hold `voltage_v` with |current| at most `limit_a`: constant current until it is reached."""

    def open_circuit(self) -> None:
        """Output off, high impedance: no current, `voltage_v` still reads the cell."""

    @property
    def voltage_v(self) -> float:
        """Terminal voltage, V."""

    @property
    def current_a(self) -> float:
        """Current, A."""

    @property
    def limited(self) -> bool:
        """True while the current limit acts: the voltage asked for is not reached yet."""


class ServicesModel(Protocol):
    """What guards and feeds a furnace, as an I/O module is wired to it, by name.

    Contacts: door, extraction, limiter, water, estop. Transmitters: room_oxygen (%), room_co (ppm), tube_pressure and
    cylinder_pressure (bar gauge). Coils: contactor, bypass (normally open: current closes it), beacon.
    """

    def closed(self, contact: str) -> bool:
        """The contact is closed: all is well there."""

    def measured(self, transmitter: str) -> float | None:
        """What a transmitter sees, in its unit; None: its loop is broken."""

    def energise(self, coil: str, on: bool) -> None:
        """Give a coil current, or take it away; it stays so."""


class WeighingModel(Protocol):
    """The pan of a balance."""

    @property
    def rests_at_g(self) -> float:
        """What the load cell will give once it has settled, if nobody touches it, g."""

    def settles_in_s(self, within_g: float) -> float:
        """Seconds until it shows its load to `within_g`, if nobody touches it; infinite in a draught."""


class SyringeModel(Protocol):
    """A syringe on a pump. Both return how far the plunger really travelled, mL: less where it is stopped."""

    def infuse(self, volume_ml: float) -> float:
        """Push so much out."""

    def withdraw(self, volume_ml: float) -> float:
        """Draw so much in."""


@dataclass(slots=True)
class Bindings:
    """What one instrument is wired to. What its chamber has not, or the instrument is not wired to, is None.

    now: plant time in s, the same clock as `feed`'s; it moves by whole ticks. tick_s: how long each of them is.
    ambient_c: room temperature, degC, e.g. for a cold junction or a gas temperature.
    thermocouple, set_heater: a tube's own thermocouple for this instrument (degC) and the furnace's power
      relay (duty 0..1, held until written again). For a mere monitor `set_heater` is None.
    services: contacts, transmitters and coils around a tube.
    oven, oven_sensor: the oven and its Pt100 (degC).
    mass_flow, oxygen (ppm), hotplate, plate_sensor and liquid_sensor (degC), cell, syringe: as they are called.
    pan, load_cell: what a balance weighs, and what its load cell shows of it (g).
    """

    now: Callable[[], float]
    ambient_c: float = 22.0
    tick_s: float = 1.0
    thermocouple: Sense | None = None
    set_heater: Callable[[float], None] | None = None
    mass_flow: MassFlowModel | None = None
    oxygen: Sense | None = None
    hotplate: HotplateModel | None = None
    plate_sensor: Sense | None = None
    liquid_sensor: Sense | None = None
    oven: OvenModel | None = None
    oven_sensor: Sense | None = None
    cell: CellModel | None = None
    services: ServicesModel | None = None
    pan: WeighingModel | None = None
    load_cell: Sense | None = None
    syringe: SyringeModel | None = None


Attach = Callable[[Bindings, Mapping[str, Any], str], tuple[Device, Session]]
"""(bindings, options of the bench file, serial number) -> the device, and the session on its wire."""
