"""A byte stream over pyserial that speaks labctl's errors and comes back after a loss."""

from __future__ import annotations

import select
import socket
import termios
from collections.abc import Callable
from os.path import realpath
from typing import Protocol

import serial
from serial.serialutil import Timeout
from serial.urlhandler import protocol_socket

from labctl.bench.api import CommunicationError

CONNECT_TIMEOUT_S = 2.0
"""How long a host may take to accept a connection (assumed: a bench is one local network)."""

LOST = (serial.SerialException, OSError, termios.error)
"""What a port raises when its line is gone. An adapter that was pulled out fails in pyserial's flush with the last."""


class ByteLine(Protocol):
    """What `StreamPort` needs of a pyserial port."""

    @property
    def in_waiting(self) -> int: ...

    def write(self, b: bytes, /) -> int | None: ...

    def read(self, size: int = 1, /) -> bytes: ...

    def reset_input_buffer(self) -> None: ...

    def close(self) -> None: ...


class StreamPort:
    """A `labctl.bench.api.Port`. Opens at once; after a loss the next `write` opens it again."""

    __slots__ = ("_closed", "_open", "_serial", "address")

    def __init__(self, address: str, opener: Callable[[], ByteLine]) -> None:
        self.address = address
        self._open = opener
        self._closed = False
        self._serial: ByteLine | None = None
        self._serial = self._opened()

    def write(self, data: bytes) -> None:
        line = self._serial or self._opened()
        try:
            line.write(data)
        except LOST as error:
            raise self._lost(error) from error

    def read(self, size: int) -> bytes:
        line = self._serial
        if line is None:
            raise CommunicationError(f"{self.address} is not open")
        try:
            return line.read(size)
        except LOST as error:
            raise self._lost(error) from error

    def read_some(self) -> bytes:
        line = self._serial
        if line is None:
            raise CommunicationError(f"{self.address} is not open")
        try:
            first = line.read(1)
            waiting = line.in_waiting if first else 0
            return first + line.read(waiting) if waiting else first
        except LOST as error:
            raise self._lost(error) from error

    def reset_input(self) -> None:
        line = self._serial
        if line is None:
            return
        try:
            line.reset_input_buffer()
        except LOST as error:
            # no request is under way, so none is lost: the next write opens the line again
            self._lost(error)

    def close(self) -> None:
        self._closed = True
        self._drop()

    def _opened(self) -> ByteLine:
        if self._closed:
            raise CommunicationError(f"{self.address} was closed")
        try:
            self._serial = self._open()
        except (*LOST, ValueError) as error:
            raise CommunicationError(f"{self.address} does not open: {error}") from error
        return self._serial

    def _lost(self, error: Exception) -> CommunicationError:
        self._drop()
        return CommunicationError(f"{self.address} was lost: {error}")

    def _drop(self) -> None:
        line, self._serial = self._serial, None
        if line is not None:
            line.close()


class BusSerial(serial.Serial):
    """A serial line that the instruments of one bus hold together; it closes with the last of them."""

    users = 1

    def close(self) -> None:
        """Let go of the line."""
        self.users -= 1
        if self.users <= 0:
            super().close()


_BUSES: dict[str, BusSerial] = {}


def open_serial(
    path: str, baudrate: int, bytesize: int, parity: str, stopbits: int, timeout_s: float
) -> BusSerial:
    """The serial line at `path`, shared with whoever in this process holds it; no other process may.

    Raises SerialException when it does not open, or is held with other settings.
    """
    place = realpath(path)
    if place.startswith("/dev/pts/"):
        # A pseudo terminal has no parity, and the kernel refuses a request that changes nothing else.
        bytesize, parity = 8, "N"
    line = _BUSES.get(place)
    if line is None or not line.is_open:
        _BUSES[place] = BusSerial(
            path, baudrate, bytesize, parity, stopbits, timeout=timeout_s, exclusive=True
        )
        return _BUSES[place]
    held = (line.baudrate, line.bytesize, line.parity, line.stopbits, line.timeout)
    if held != (baudrate, bytesize, parity, stopbits, timeout_s):
        raise serial.SerialException(
            f"another instrument of this bus opened {path} with other settings: {held}"
        )
    line.users += 1
    return line


class TcpSerial(protocol_socket.Serial):
    """pyserial's `socket://` with what an instrument needs of it.

    Requests leave at once, connecting and sending are bounded, whatever has arrived is taken in with one call and
    handed out from memory, a peer that hung up is noticed before the next request is sent, and closing does not sleep.
    """

    _socket: socket.socket | None = None
    _held = b""

    def open(self) -> None:
        """Connect. Raises SerialException."""
        place = self.from_url(self.portstr or "")
        try:
            self._socket = socket.create_connection(place, timeout=CONNECT_TIMEOUT_S)
        except OSError as error:
            raise serial.SerialException(str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setblocking(False)
        self._held = b""
        self.logger = None
        self.is_open = True

    def close(self) -> None:
        """Disconnect; closing twice is fine."""
        link, self._socket = self._socket, None
        self.is_open = False
        if link is not None:
            link.close()

    def write(self, b: bytes, /) -> int:  # type: ignore[override]  # nothing but bytes is ever sent
        """Send. Raises SerialException when the peer takes nothing for as long as it may take to connect."""
        link, rest = self._connected(), b
        while rest:
            try:
                rest = rest[link.send(rest) :]
            except (BlockingIOError, InterruptedError):
                if not select.select((), (link,), (), CONNECT_TIMEOUT_S)[1]:
                    raise serial.SerialException("the instrument takes nothing more") from None
        return len(b)

    def read(self, size: int = 1, /) -> bytes:
        """`size` bytes, fewer when the time-out has passed. Raises SerialException when the peer has hung up."""
        held = self._held
        if len(held) < size:
            link, allowed = self._connected(), Timeout(self.timeout or 0.0)
            while len(held) < size and select.select((link,), (), (), allowed.time_left())[0]:
                held += self._arrived(link)
            self._held = held
        self._held = held[size:]
        return held[:size]

    @property
    def in_waiting(self) -> int:
        """Bytes that may be read without waiting: those in memory, else those that have arrived since, up to 4096."""
        return len(self._held) or len(self._arrived(self._connected(), socket.MSG_PEEK))

    def reset_input_buffer(self) -> None:
        """Throw away what has arrived. Raises SerialException when the peer has hung up."""
        self._held = b""
        link = self._connected()
        while self._arrived(link):
            pass

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise serial.PortNotOpenError()
        return self._socket

    def _arrived(self, link: socket.socket, how: int = 0) -> bytes:
        """What has arrived, without waiting. Raises SerialException when the peer has hung up."""
        try:
            data = link.recv(4096, how)
        except (BlockingIOError, InterruptedError):
            return b""
        if not data:
            raise serial.SerialException("the instrument hung up")
        return data
