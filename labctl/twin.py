"""The simulated twin of a bench: its plant behind `labsim://` addresses, its operator, and its backdoor.

The only room that knows both sides: it turns a bench file into the spec that the simulators build a plant from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from labctl.bench.api import Clock, DriverEntry
from labctl.bench.schema import Bench, Chamber, Instrument
from labctl.engine.state import RunState
from labctl.errors import UsageError
from labctl.protocol.plan import Plan
from labctl.runtime.backdoor import answers, batch
from labctl_simulators.hosts import inprocess
from labctl_simulators.hosts.backdoor import Backdoor
from labctl_simulators.hosts.clock import PlantClock
from labctl_simulators.hosts.served import Place, ServedBench
from labctl_simulators.operator import OperatorError
from labctl_simulators.twin import Twin, build

BAUDRATES = {"alicat": 19200, "new-era": 19200}
"""Factory baud rates of serial drivers, where they are not 9600."""


def twin_bench(bench: Bench) -> Bench:
    """The same bench with every instrument simulated: what `run --simulate --bench` runs."""
    if bench.in_process:
        return bench
    instruments = {
        name: instrument.model_copy(update={"address": f"labsim://{bench.bench}/{name}"})
        for name, instrument in bench.instruments.items()
    }
    return bench.model_copy(update={"instruments": instruments, "backdoor": None})


def spec(
    bench: Bench,
    entries: Mapping[str, DriverEntry],
    plan: Plan | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the simulators need to build the plant of a bench.

    options: added to the device of every heater and I/O module.
    Raises UsageError "not simulated: X" for an instrument whose driver names no device.
    """
    instruments: dict[str, Any] = {}
    for name, instrument in bench.instruments.items():
        entry = entries[instrument.driver]
        if entry.device is None:
            raise UsageError(f"not simulated: {name} ({entry.title})")
        lapses = bool({"tube_furnace", "io"} & set(instrument.provides))
        instruments[name] = {
            "device": entry.device,
            "chamber": instrument.chamber,
            "serial_number": instrument.serial_number,
            "provides": list(instrument.provides),
            "options": dict(instrument.options) | (dict(options or {}) if lapses else {}),
        }
    chambers = {
        name: {
            "kind": chamber.kind,
            "volume_cm3": chamber.volume_cm3,
            "inner_diameter_mm": chamber.inner_diameter_mm,
            "physics": _physics(chamber),
        }
        for name, chamber in bench.chambers.items()
    }
    result: dict[str, Any] = {"name": bench.bench, "ambient_c": bench.ambient_c}
    result |= {"chambers": chambers, "instruments": instruments}
    if plan is not None:
        result["batch"] = batch(plan)
    return result


def _physics(chamber: Chamber) -> dict[str, float]:
    """As the bench file says, with what was measured of the chamber."""
    leak = {} if chamber.leak_sccm is None else {"leak_sccm": chamber.leak_sccm}
    return leak | chamber.physics


class Mounted:
    """A twin whose instruments answer at their bench addresses while it is open."""

    def __init__(
        self, twin: Twin, bench: Bench, clock_of: Callable[[str], Clock], links: Mapping[str, str]
    ) -> None:
        """`clock_of` gives the clock of an instrument's bus; `links` the kind of its link, for pacing of bytes."""
        self.twin = twin
        self._paths = []
        for name, instrument in bench.instruments.items():
            path = instrument.address.removeprefix("labsim://")
            session, paced = twin.sessions[name], links[name] == "serial"
            twin.links[name] = inprocess.mount(path, session, clock_of(name), paced=paced)
            self._paths.append(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the instruments away."""
        for path in self._paths:
            inprocess.unmount(path)

    def answer(self, run: RunState) -> list[tuple[str, dict[str, object]]]:
        """The simulated operator's answers to the open prompts of a run, as arguments of the request "answer".

        Raises UsageError "not simulated: ..." for what its hands cannot do.
        """
        return answers(run, self._entered)

    def _entered(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.twin.entered(prompt)
        except OperatorError as error:
            raise UsageError(f"not simulated: {prompt['id']}: {error}") from error


def place_of(instrument: Instrument, entry: DriverEntry, all_on_tcp: bool, port: int) -> Place:
    """Where `labctl sim up` serves an instrument: by its driver's link, with the bytes of a serial line paced."""
    if entry.link != "serial":
        return Place("visa" if entry.link == "visa" else "tcp", None, port)
    baudrate = int(instrument.options.get("baudrate", BAUDRATES.get(entry.name, 9600)))
    return Place("tcp" if all_on_tcp else "pty", baudrate, port)


def check_faults(wanted: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> None:
    """Whether a twin of that spec can have these faults. Raises UsageError for the first that it cannot."""
    twin = build(wanted, None)
    for number, fault in enumerate(faults, 1):
        try:
            twin.faults.check(fault)
        except ValueError as error:
            raise UsageError(f"fault {number}: {error}") from error


def schedule(twin: Twin, faults: Sequence[Mapping[str, Any]]) -> None:
    """Have these faults happen. Raises UsageError for the first that cannot."""
    try:
        with twin.lock:
            twin.faults.schedule(faults)
    except ValueError as error:
        raise UsageError(f"fault: {error}") from error


__all__ = [
    "Backdoor",
    "Mounted",
    "PlantClock",
    "ServedBench",
    "Twin",
    "build",
    "check_faults",
    "place_of",
    "schedule",
    "spec",
    "twin_bench",
]
