"""The instruments that are asked in lines of ASCII conform as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from labctl.bench.api import Driver
from labctl_drivers import alicat, ika, mettler, new_era, rapidox
from labctl_simulators.devices.api import Bindings, Session
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow
from labctl_simulators.physics.pan import WeighingPan
from labctl_simulators.physics.syringe import Syringe
from tests.drivers.contract import DriverContract


class TestAlicatContract(DriverContract):
    entry = alicat.ENTRY
    hosts = ("pty",)
    serial_number = "521641"
    beyond = (("set_flow", {"flow_sccm": 500.1}), ("set_flow", {"flow_sccm": -0.1}))

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, mass_flow=MassFlow(500.0))

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("set_flow", {"flow_sccm": 200.0})


class TestIkaContract(DriverContract):
    entry = ika.ENTRY
    hosts = ("pty",)
    options: ClassVar[Mapping[str, Any]] = {"settle_s": 0.05}
    beyond = (("stir", {"speed_rpm": 1500.1}), ("stir", {"speed_rpm": 0.0}))

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, hotplate=Hotplate())

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("stir", {"speed_rpm": 300.0})
        driver.execute("stir_off", {})
        driver.execute("heat_off", {})


class TestRapidoxContract(DriverContract):
    entry = rapidox.ENTRY
    hosts = ("pty",)

    def bindings(self, now: Callable[[], float]) -> Bindings:
        # the instrument's clock shows whole seconds and the driver judges by it how late a reply is
        return Bindings(now=lambda: float(int(now())), oxygen=lambda: 50.0)


class TestMettlerContract(DriverContract):
    entry = mettler.ENTRY
    hosts = ("pty", "tcp")
    serial_number = "B123456789"
    options: ClassVar[Mapping[str, Any]] = {"serial_number": "B123456789"}

    def bindings(self, now: Callable[[], float]) -> Bindings:
        pan = WeighingPan()
        pan.put(3.4567)
        pan.felt_g = 3.4567
        return Bindings(now=now, pan=pan, load_cell=lambda: pan.shown_g)

    def session(self, now: Callable[[], float]) -> Session:
        device, session = self.attach(now)
        device.tick(now())
        return session

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("tare", {})
        driver.read()
        driver.execute("zero", {})


class NewEraContract(DriverContract):
    entry = new_era.ENTRY
    hosts = ("pty",)
    beyond = (
        ("dispense", {"volume_ml": 50.1, "rate_ml_per_min": 1.0}),
        ("dispense", {"volume_ml": 0.0, "rate_ml_per_min": 1.0}),
        ("dispense", {"volume_ml": 1.0, "rate_ml_per_min": 28.4}),
        ("dispense", {"volume_ml": 1.0, "rate_ml_per_min": 0.0}),
    )

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, syringe=Syringe(lambda ml: None))

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("dispense", {"volume_ml": 2.5, "rate_ml_per_min": 0.75})
        driver.execute("pump_off", {})


class TestNewEraInSafeMode(NewEraContract):
    options: ClassVar[Mapping[str, Any]] = {"diameter_mm": 26.59}


class TestNewEraInBasicMode(NewEraContract):
    options: ClassVar[Mapping[str, Any]] = {"diameter_mm": 26.59, "safe_s": 0}
