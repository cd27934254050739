"""The published client `alicat` as its users use it; run by the interpreter that has it. Prints what it saw as JSON.

python alicat_client.py HOST:PORT
"""

import asyncio
import json
import sys
from typing import Any

from alicat import FlowController  # type: ignore[import-not-found]  # lives in .venv-bench


async def converse(place: str) -> dict[str, Any]:
    """Read, set a flow and a gas, hold, lock, and be refused."""
    said: dict[str, Any] = {}
    async with FlowController(place) as controller:
        said["at first"] = await controller.get()
        said["firmware"] = await controller.get_firmware()
        await controller.set_flow_rate(200.0)
        await asyncio.sleep(3.0)
        said["flowing"] = await controller.get()
        await controller.set_gas("Ar")
        said["argon"] = (await controller.get())["gas"]
        await controller.set_gas("N2")
        await controller.lock()
        said["locked"] = await controller.is_locked()
        await controller.unlock()
        said["unlocked"] = not await controller.is_locked()
        await controller.tare_volumetric()
        await controller.tare_pressure()
        try:
            await controller.set_flow_rate(5000.0)
        except OSError as error:
            said["too much"] = str(error)
        try:
            await controller.set_gas("SF6")
        except OSError as error:
            said["no such gas"] = str(error)
        await controller.set_flow_rate(0.0)
        said["setpoint then"] = (await controller.get())["setpoint"]
    return said


print(json.dumps(asyncio.run(converse(sys.argv[1]))))
