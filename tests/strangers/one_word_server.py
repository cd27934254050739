"""A controller that answers as the Eurotherm emulator of a neutron source's public device simulations does.

RTU frames over a raw socket; one word to every read whatever was asked for; function 6 and no function 16; silence,
not a refusal, for a register that it does not have; any unit is its own. Frames are pymodbus's.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

_FRAMER = FramerRTU(DecodePDU(True))


class OneWord:
    """Its registers. `asked`: (function, address, count) of every request."""

    def __init__(self, registers: Mapping[int, int]) -> None:
        self.values = dict(registers)
        self.asked: list[tuple[int, int, int]] = []

    def answer(self, frame: bytes) -> bytes:
        """The reply to one request; b"" is silence."""
        unit = frame[0]
        _, request = _FRAMER.handleFrame(frame, unit, 0)
        assert request is not None
        self.asked.append((request.function_code, request.address, max(1, request.count)))
        if request.address not in self.values:
            return b""
        if isinstance(request, ReadHoldingRegistersRequest):
            word = self.values[request.address]
            return _FRAMER.buildFrame(ReadHoldingRegistersResponse(registers=[word], dev_id=unit))
        if isinstance(request, WriteSingleRegisterRequest):
            (word,) = request.registers
            self.values[request.address] = word
            reply = WriteSingleRegisterResponse(address=request.address, registers=[word], dev_id=unit)
            return _FRAMER.buildFrame(reply)
        return b""


@contextmanager
def served(controller: OneWord) -> Iterator[str]:
    """The address at which it answers, one connection after the other, for as long as the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    links: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):  # closed below
            while True:
                link, _ = listener.accept()
                links.append(link)
                while frame := link.recv(256):
                    if reply := controller.answer(frame):
                        link.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "tcp://{}:{}".format(*listener.getsockname())
    finally:
        for each in (*links, listener):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join(5.0)
