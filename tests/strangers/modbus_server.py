"""pymodbus as an instrument: RTU or TCP frames, registers in memory, as narrow-minded as a test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


class Memory:
    """Registers that a foreign server shows. `asked`: (function, address, count) of every request.

    functions: the others are refused. widest: more registers in one request are refused.
    """

    def __init__(
        self, registers: Mapping[int, int], *, functions: frozenset[int], widest: int = 125, unit: int = 1
    ) -> None:
        self.unit = unit
        self.asked: list[tuple[int, int, int]] = []
        self.values = dict(registers)
        self._functions = functions
        self._widest = widest

    async def act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called by the server before it answers."""
        self.asked.append((function, address, count))
        if function not in self._functions:
            return ExcCodes.ILLEGAL_FUNCTION
        if count > self._widest:
            return ExcCodes.ILLEGAL_VALUE
        for offset, value in enumerate(values or ()):
            self.values[address + offset] = int(value)
        return None

    @property
    def device(self) -> SimDevice:
        """As the server wants it."""
        registers = sorted(self.values.items())
        blocks = [SimData(a, values=value, datatype=DataType.REGISTERS) for a, value in registers]
        return SimDevice(self.unit, simdata=blocks, action=self.act)


@contextmanager
def served(memory: Memory | SimDevice, framer: FramerType = FramerType.RTU) -> Iterator[str]:
    """The address at which the memory answers over TCP, in these frames, for as long as the block lasts."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), threading.Event()
    place: list[int] = []

    device = memory.device if isinstance(memory, Memory) else memory

    async def serve() -> None:
        server = ModbusTcpServer(device, framer=framer, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        assert server.transport is not None
        place.append(server.transport.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        await server.shutdown()  # type: ignore[no-untyped-call]

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(5.0)
        yield f"tcp://127.0.0.1:{place[0]}"
    finally:
        stop.set()
        thread.join(5.0)
        loop.close()
