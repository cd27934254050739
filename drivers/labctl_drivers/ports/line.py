"""`open_line(address, clock)`: one line, whatever world the address chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import serial

from labctl.bench.api import Clock, CommunicationError, Port
from labctl.errors import UsageError
from labctl_drivers.ports.stream import ByteLine, StreamPort, TcpSerial, open_serial
from labctl_drivers.ports.tap import Tap, TappedLibrary, tapped

SIMULATED_HOSTS = "labctl_simulators.hosts"
"""Where pyserial finds the handler of `labsim://`, by name: no driver imports a simulator."""

if SIMULATED_HOSTS not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append(SIMULATED_HOSTS)


@dataclass(frozen=True, slots=True)
class PortLine:
    """A `labctl.bench.api.Line`: where an instrument is, and the clock it is used by.

    admit: asked each time before it is opened; raises CommunicationError when it must not be.
    tap: told every byte both ways.
    """

    address: str
    clock: Clock
    admit: Callable[[str], None] | None = None
    tap: Tap | None = None

    def open_stream(
        self,
        *,
        baudrate: int = 9600,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: int = 1,
        timeout_s: float = 0.3,
    ) -> Port:
        """Open `serial://`, `tcp://` or `labsim://`. Raises CommunicationError; UsageError for other schemes.

        A line that is lost later raises CommunicationError for the request at hand and is opened
        again for the next.
        """
        scheme, _, place = self.address.partition("://")
        opener: Callable[[], ByteLine]
        if scheme == "serial":

            def opener() -> ByteLine:
                return open_serial(place, baudrate, bytesize, parity, stopbits, timeout_s)

        elif scheme == "labsim":

            def opener() -> ByteLine:
                return serial.serial_for_url(
                    self.address, baudrate, bytesize, parity, stopbits, timeout=timeout_s
                )

        elif scheme == "tcp":

            def opener() -> ByteLine:
                port = TcpSerial(timeout=timeout_s)
                port.port = f"socket://{place}"
                port.open()
                return port

        else:
            raise UsageError(
                f"{self.address}: not a byte stream; this instrument needs serial://, tcp:// or labsim://"
            )
        if self.admit is not None:
            opener = partial(self._admitted, opener)
        if self.tap is not None:
            wire = "" if scheme == "tcp" else f"{baudrate} {bytesize}{parity}{stopbits}, "
            self.tap.opens(f"{wire}time-out {timeout_s:g} s")
            opener = partial(tapped, opener, self.tap)
        return StreamPort(self.address, opener)

    def open_visa(self, *, termination: str = "\n", timeout_s: float = 2.0) -> Any:
        """Open `visa://RESOURCE` or `labsim://` with explicit terminations.

        The resource raises `pyvisa.errors.VisaIOError` or `serial.SerialException` when used. Raises
        CommunicationError when it does not open, UsageError for other schemes.
        """
        if self.tap is None:
            return self._opened_visa(termination, timeout_s)
        self.tap.opens(f"VISA, ends with {termination!r}, time-out {timeout_s:g} s")
        try:
            instrument = self._opened_visa(termination, timeout_s)
        except CommunicationError as error:
            self.tap.failed(f"does not open: {error}")
            raise
        instrument.visalib = TappedLibrary(instrument.visalib, self.tap)
        return instrument

    def _opened_visa(self, termination: str, timeout_s: float) -> Any:
        if self.admit is not None:
            self.admit(self.address)
        scheme, _, place = self.address.partition("://")
        if scheme == "labsim":
            resource = f"ASRL{self.address}?block=1&raise=1::INSTR"
        elif scheme == "visa":
            resource = place
        else:
            raise UsageError(
                f"{self.address}: not a VISA resource; this instrument needs visa:// or labsim://"
            )
        import pyvisa  # not above: half of a benchful of drivers never needs it, and it is slow to import

        manager = _visa_manager()
        try:
            instrument = manager.open_resource(
                resource,
                read_termination=termination,
                write_termination=termination,
                timeout=round(timeout_s * 1000),
            )
        except (pyvisa.errors.VisaIOError, OSError, ValueError) as error:
            raise CommunicationError(f"{self.address} does not open: {error}") from error
        if resource.upper().startswith("TCPIP") and resource.upper().endswith("SOCKET"):
            _send_at_once(manager, instrument)
        return instrument

    def _admitted(self, opener: Callable[[], ByteLine]) -> ByteLine:
        assert self.admit is not None
        self.admit(self.address)
        return opener()


def open_line(
    address: str, clock: Clock, admit: Callable[[str], None] | None = None, tap: Tap | None = None
) -> PortLine:
    """The line at an address of the bench file.

    Args:
        address: `serial:///dev/ttyUSB0`, `tcp://host:port`, `visa://RESOURCE` or `labsim://PLANT/INSTRUMENT`.
        clock: the bench clock, for what drivers stamp and wait.
        admit: asked with the address each time before it is opened; may raise CommunicationError.
        tap: told every byte both ways, see `Tap`.

    Raises:
        UsageError: the address has none of these schemes. Nothing is opened yet.
    """
    if address.partition("://")[0] not in ("serial", "tcp", "visa", "labsim") or "://" not in address:
        raise UsageError(
            f"{address}: an address begins with serial://, tcp://, visa:// or labsim://"
            " (for example serial:///dev/ttyUSB0)"
        )
    return PortLine(address, clock, admit, tap)


@cache
def _visa_manager() -> Any:
    """The one manager of this process: pyvisa-py shares it, and closing it closes everybody's sessions."""
    import pyvisa

    return pyvisa.ResourceManager("@py")


def _send_at_once(manager: Any, instrument: Any) -> None:
    """Set TCP_NODELAY: else a write, write, query sequence costs 40 ms. pyvisa-py has no attribute for it."""
    import socket

    interface = manager.visalib.sessions[instrument.session].interface
    interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
