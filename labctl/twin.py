"""The simulated twin of a bench: its plant behind `labsim://` addresses, its operator, and its truth for tests.

The only room that knows both sides: it turns a bench file into the spec that the simulators build a plant from.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from labctl.bench.api import Clock, DriverEntry
from labctl.bench.schema import Bench
from labctl.engine.state import RunState
from labctl.errors import UsageError
from labctl.protocol.plan import Plan
from labctl_simulators.hosts import inprocess
from labctl_simulators.operator import OperatorError
from labctl_simulators.twin import Twin, build


def twin_bench(bench: Bench) -> Bench:
    """The same bench with every instrument simulated: what `run --simulate --bench` runs."""
    if bench.simulated:
        return bench
    instruments = {
        name: instrument.model_copy(update={"address": f"labsim://{bench.bench}/{name}"})
        for name, instrument in bench.instruments.items()
    }
    return bench.model_copy(update={"instruments": instruments})


def spec(
    bench: Bench,
    entries: Mapping[str, DriverEntry],
    plan: Plan | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the simulators need to build the plant of a bench. `options` are added to every heater's device.

    Raises UsageError "not simulated: X" for an instrument whose driver names no device.
    """
    instruments: dict[str, Any] = {}
    for name, instrument in bench.instruments.items():
        entry = entries[instrument.driver]
        if entry.device is None:
            raise UsageError(f"not simulated: {name} ({entry.title})")
        heats = bool({"tube_furnace"} & set(instrument.provides))
        instruments[name] = {
            "device": entry.device,
            "chamber": instrument.chamber,
            "serial_number": instrument.serial_number,
            "provides": list(instrument.provides),
            "options": dict(instrument.options) | (dict(options or {}) if heats else {}),
        }
    chambers = {
        name: {
            "kind": chamber.kind,
            "volume_cm3": chamber.volume_cm3,
            "inner_diameter_mm": chamber.inner_diameter_mm,
            "physics": dict(chamber.physics),
        }
        for name, chamber in bench.chambers.items()
    }
    result: dict[str, Any] = {"name": bench.bench, "ambient_c": bench.ambient_c}
    result |= {"chambers": chambers, "instruments": instruments}
    if plan is not None and plan.product is not None:
        result["batch"] = {"product_mass_g": plan.product.mass_g} | plan.charge.model_dump()
    return result


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
            inprocess.mount(path, twin.sessions[name], clock_of(name), paced=links[name] == "serial")
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
        answers = []
        for prompt in run.prompts.values():
            asked = run.active[prompt["step"]].phase_s if prompt["step"] in run.active else run.state_s
            arguments: dict[str, object] = {"prompt": prompt["id"], "confirm": prompt["confirm"]}
            answers.append((f"{run.run_id}/{prompt['id']}/{asked}", arguments | self._entered(prompt)))
        return answers

    def _entered(self, prompt: Mapping[str, Any]) -> dict[str, object]:
        """Values by name; those that no model gives are the middle of what is allowed, and the note says so."""
        if prompt["kind"] == "checkpoint":
            return {"values": {}}
        operator = self.twin.operator
        known = [entry for entry in prompt["enter"] if operator.reads(entry)]
        values = {entry["name"]: _middle(entry) for entry in prompt["enter"] if entry not in known}
        note = f"no model gives {', '.join(values)}: middle of the allowed range" if values else ""
        try:
            with self.twin.lock:
                read = operator.answer({**prompt, "enter": known})
        except OperatorError as error:
            raise UsageError(f"not simulated: {prompt['id']}: {error}") from error
        return {"values": values | {entry["name"]: read[entry["name"]] for entry in known}, "note": note}


def _middle(entry: Mapping[str, Any]) -> float:
    low = 0.0 if entry["min"] is None else entry["min"]
    high = low + 2.0 if entry["max"] is None else entry["max"]
    return float(low + high) / 2.0


def serve_truth(twin: Twin, horizon_s: Callable[[], float]) -> tuple[int, Callable[[], None]]:
    """Answer what is really the case, one JSON line a connection, on a loopback port. Returns it and how to stop.

    `horizon_s`: bench time up to which the plant may be advanced for an answer.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            twin.advance_to(horizon_s())
            self.request.sendall(json.dumps(twin.truth(), allow_nan=False).encode() + b"\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return server.server_address[1], stop


__all__ = ["Mounted", "Twin", "build", "serve_truth", "spec", "twin_bench"]
