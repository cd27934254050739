"""`labctl sim`: behind the scenes of a simulated bench. For tests and teaching; no verdict ever reads this."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from labctl.bench.loader import load_bench
from labctl.cli.faults import print_faults
from labctl.cli.terminal import print_json, print_table
from labctl.cli.values import once
from labctl.errors import ControllerError, UsageError
from labctl.runtime.backdoor import Backdoor
from labctl.runtime.folder import BENCH_FILE, controller_of


def truth(arguments: Namespace) -> int:
    """Print what the simulated plant of a running bench really does."""
    data = door_of(arguments.bench).ask("truth")
    if arguments.json:
        print_json(data)
        return 0
    rows = []
    for part, values in data.items():
        items = values.items() if isinstance(values, dict) else [("", values)]
        rows += [(part, name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in items]
    print_table(("part", "quantity", "value"), rows)
    return 0


def step(arguments: Namespace) -> int:
    """Let a served bench live some seconds at once, then stand still."""
    return _time(arguments, "step", seconds=arguments.seconds)


def pause(arguments: Namespace) -> int:
    """Let the time of a served bench stand still."""
    return _time(arguments, "pause")


def resume(arguments: Namespace) -> int:
    """Let it run again."""
    return _time(arguments, "resume")


def speed(arguments: Namespace) -> int:
    """Let it run faster or slower."""
    return _time(arguments, "speed", factor=arguments.factor)


def fault(arguments: Namespace) -> int:
    """Inject a fault; it begins now, or `--at` that much later."""
    about: dict[str, Any] = {"instrument": arguments.instrument, "kind": arguments.kind}
    about["parameters"] = {name: _plain(text) for name, text in once(arguments.parameters).items()}
    about["in_s"] = arguments.at
    if arguments.lasts is not None:
        about["for_s"] = arguments.lasts
    print(door_of(arguments.bench).ask("fault", **about))
    return 0


def clear(arguments: Namespace) -> int:
    """End faults: all, or those of an instrument."""
    print(door_of(arguments.bench).ask("clear", instrument=arguments.instrument))
    return 0


def faults(arguments: Namespace) -> int:
    """List the faults of a running bench, and how often each did something."""
    report = door_of(arguments.bench).ask("faults")
    if arguments.json:
        print_json({"faults": report})
    else:
        print_faults(report)
    return 0


def door_of(folder: Path) -> Backdoor:
    """The backdoor of the simulated bench in `folder`: of its simulator, or of the run that owns its plant.

    Raises ControllerError when nothing runs on it, UsageError for a real bench.
    """
    controller = controller_of(folder)
    if controller is not None and "backdoor" in controller:
        return Backdoor(controller["backdoor"])
    if (folder / BENCH_FILE).is_file() and (address := load_bench(folder).backdoor):
        return Backdoor(address)
    if controller is None:
        raise ControllerError(f"{folder}: nothing runs there now")
    raise UsageError(f"{folder}: this bench is real, or its controller is still starting")


def _time(arguments: Namespace, verb: str, **given: float) -> int:
    now = door_of(arguments.bench).ask(verb, **given)
    if arguments.json:
        print_json(now)
    else:
        print(
            f"{now['t']:.3f} s, {'paused' if now['paused'] else 'running'} at {now['speed']:g} times real time"
        )
    return 0


def _plain(text: str) -> Any:
    """A number where it reads as one."""
    try:
        return float(text) if any(c in text for c in ".eE") else int(text)
    except ValueError:
        return text
