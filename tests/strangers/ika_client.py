"""The published client `ika-control` as its users use it; run by the interpreter that has it.

python ika_client.py HOST:PORT. Prints what it saw as JSON. The client waits a second before each reply; here it waits
a hundredth of one.
"""

import asyncio
import json
import sys
from typing import Any

from ika.driver import Hotplate  # type: ignore[import-not-found]  # lives in .venv-bench

_sleep = asyncio.sleep


async def _hurried(delay: float, result: Any = None) -> Any:
    return await _sleep(delay / 100.0, result)


async def converse(place: str) -> dict[str, Any]:
    """Read, stir, heat, stop, and reset."""
    said: dict[str, Any] = {}
    async with Hotplate(place) as plate:
        said["info"] = await plate.get_info()
        said["at first"] = await plate.get()
        await plate.set("shaker", 300)
        await plate.set("process", 45.5)
        await plate.control("motor", True)
        await plate.control("heater", True)
        await _sleep(2.5)
        said["running"] = await plate.get()
        await plate.control("heater", False)
        await plate.control("motor", False)
        await _sleep(0.2)
        said["stopped"] = await plate.get()
        await plate.control("motor", True)
        await plate.reset()
        await _sleep(0.2)
        said["reset"] = (await plate.get())["speed"]["active"]
    return said


asyncio.sleep = _hurried
print(json.dumps(asyncio.run(converse(sys.argv[1]))))
