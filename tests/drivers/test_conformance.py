"""The instruments that are asked in lines of ASCII conform as well."""

from __future__ import annotations

from collections.abc import Callable

from labctl.bench.api import Driver
from labctl_drivers import alicat, ika, rapidox
from labctl_simulators.devices.api import Bindings
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow
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
    options = {"settle_s": 0.05}  # noqa: RUF012
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
