"""Steering a run: each verb is one row in the controller's inbox, and waits for its outcome. The e-stop is a file."""

from __future__ import annotations

import getpass
import os
import signal
from argparse import Namespace
from math import isfinite
from pathlib import Path
from typing import Any

from labctl.bench.loader import load_bench
from labctl.cli.memory import open_memory
from labctl.cli.standing import standing
from labctl.cli.terminal import say
from labctl.cli.values import once
from labctl.engine.state import BenchState, RunState
from labctl.errors import ControllerError, InstrumentError, PermissiveError, UsageError, WaitTimeoutError
from labctl.protocol.diagnosis import nearest
from labctl.runtime.clock import nap, utc_now_ms, wall_s
from labctl.runtime.folder import (
    BENCH_FILE,
    DATABASE,
    ESTOP,
    ESTOP_SEEN,
    UNREACHABLE,
    controller_of,
    keep_file,
    locked,
    press_estop,
    release_estop,
)
from labctl.store.inbox import Inbox
from labctl.store.reader import Reader

ANSWERED_WITHIN_S = 15.0
"""How long a verb waits for its outcome: an oven scan of 10 s on a bus that is busy, and some."""
EXPIRES_AFTER_MS = 30_000
ESTOP_SEEN_WITHIN_S = 2.0
SAFE_WITHIN_S = 60.0
OFF_WITHIN_S = 15.0


def pause(arguments: Namespace) -> int:
    """Stay in the step; time does not count."""
    return _command("pause", arguments)


def resume(arguments: Namespace) -> int:
    """Go on after a pause."""
    return _command("resume", arguments)


def hold(arguments: Namespace) -> int:
    """Hold temperature and gas."""
    return _command("hold", arguments)


def restart(arguments: Namespace) -> int:
    """Go on after a hold."""
    return _command("restart", arguments)


def adopt(arguments: Namespace) -> int:
    """What a panel says is wanted."""
    return _command("adopt", arguments)


def restore(arguments: Namespace) -> int:
    """What labctl commanded is wanted."""
    return _command("restore", arguments)


def stop(arguments: Namespace) -> int:
    """End in order."""
    return _command("stop", arguments)


def abort(arguments: Namespace) -> int:
    """End now."""
    return _command("abort", arguments)


def clear(arguments: Namespace) -> int:
    """Say what the cause was; this also takes the e-stop back, unless a chamber is named."""
    if not arguments.reason:
        raise UsageError("say what the cause was and that it is gone: --reason TEXT")
    folder: Path = arguments.bench
    if arguments.chamber:
        if arguments.run:
            raise UsageError("name a run or a chamber, not both")
        return _clear_chamber(arguments, arguments.chamber)
    pressed = (folder / ESTOP).exists()
    state = BenchState() if pressed and not (folder / DATABASE).exists() else _state(folder)
    waiting = [run.run_id for run in state.runs.values() if run.state == "ABORTED" and not run.cleared]
    if pressed and not waiting and not any(_is_under_way(run) for run in state.runs.values()):
        release_estop(folder)
        print("nothing was under way; the e-stop is taken back")
        if tripped := _tripped_alone(state):
            say(
                f"{', '.join(tripped)} has tripped besides; that waits for a `labctl clear --reason ...` of its own"
            )
        return 0
    if arguments.run is None and not waiting and (tripped := _tripped_alone(state)):
        if len(tripped) > 1:
            raise UsageError(f"several chambers have tripped; name one: --chamber {' or '.join(tripped)}")
        return _clear_chamber(arguments, tripped[0])
    if waiting:
        arguments.run = arguments.run or waiting[-1]
    code = _command("clear", arguments)
    release_estop(folder)
    return code


def _clear_chamber(arguments: Namespace, chamber: str) -> int:
    """What tripped while no run used the chamber, or once its run was reset, is cleared at the chamber."""
    args = {"chamber": chamber, "reason": arguments.reason}
    print(f"clear {chamber}: {submit(arguments.bench, 'clear', None, args, actor(arguments))}")
    return 0


def _tripped_alone(state: BenchState) -> list[str]:
    """The chambers whose trips belong to no run that could be cleared or reset."""
    owned = {name for name, run in state.runs.items() if run.state != "IDLE"}
    return [name for name, c in state.chambers.items() if c.latched and c.tripped_run not in owned]


def reset(arguments: Namespace) -> int:
    """Make the bench ready again."""
    return _command("reset", arguments)


def manual(arguments: Namespace) -> int:
    """Answer a prompt."""
    state = _state(arguments.bench)
    run = _chosen(state, arguments.run)
    waiting = {name: p for name, p in run.prompts.items() if arguments.step in (None, name, p["step"])}
    if len(waiting) != 1:
        asked = {p["step"] for p in run.prompts.values()} | set(run.prompts)
        if not asked:
            raise UsageError(f"{run.run_id} waits for nobody; it is {run.state}")
        if arguments.step is None or arguments.step in asked:
            raise UsageError(f"{run.run_id} waits for several: {', '.join(run.prompts)}; name one")
        raise UsageError(
            f"{run.run_id} does not wait for {arguments.step!r}; {nearest(arguments.step, asked)}"
        )
    prompt = next(iter(waiting.values()))
    args: dict[str, Any] = {"prompt": prompt["id"], "values": _entered(prompt, once(arguments.values))}
    args["confirm"] = prompt["confirm"] if arguments.confirm else []
    args["files"] = [
        {"name": n} | keep_file(arguments.bench, Path(f)) for n, f in once(arguments.files).items()
    ]
    args |= {"checked_by": arguments.checked_by, "lot": arguments.lot}
    print(f"{prompt['id']}: {submit(arguments.bench, 'answer', run.run_id, args, actor(arguments))}")
    return 0


def estop(arguments: Namespace) -> int:
    """Create the e-stop file; if no controller acts on it in time, kill it and make the bench safe from here."""
    folder: Path = arguments.bench
    if not (folder / BENCH_FILE).is_file():
        raise UsageError(f"NOTHING WAS STOPPED: {folder} is no bench folder; say which: --bench DIR")
    (folder / ESTOP_SEEN).unlink(missing_ok=True)
    press_estop(folder, f"{actor(arguments)}: {arguments.reason}")
    controller = controller_of(folder)
    deadline = wall_s() + ESTOP_SEEN_WITHIN_S
    while controller is not None and wall_s() < deadline:
        if (folder / ESTOP_SEEN).exists():
            say(f"E-STOP: process {controller['pid']} carries out the safe states")
            return _until_off(folder)
        nap(0.02)
    controller = controller_of(folder)
    if controller is not None:
        say(f"E-STOP: process {controller['pid']} does not react; killing it")
        _kill(folder, int(controller["pid"]))
        (folder / ESTOP_SEEN).unlink(missing_ok=True)  # the word of one that is dead now
        if "backdoor" in controller:
            print("E-STOP: the simulated bench has gone with its process")
            return 0
    return _make_safe(folder)


def _make_safe(folder: Path) -> int:
    """Nobody controls the bench: do it here, then leave a controller behind that keeps custody."""
    if load_bench(folder).in_process:
        print("E-STOP: nothing runs on this simulated bench")
        return 0
    from labctl.cli.serve import start_detached

    start_detached(folder)
    deadline = wall_s() + SAFE_WITHIN_S
    while wall_s() < deadline:
        if (folder / ESTOP_SEEN).exists():
            say("E-STOP: a new controller carries out the safe states")
            return _until_off(folder)
        nap(0.1)
    raise WaitTimeoutError(
        "no controller could make the bench safe: isolate at the breaker outside, leave the gas on"
    )


def _until_off(folder: Path) -> int:
    """Nothing is believed: wait until every heater was read back as off."""
    deadline = wall_s() + OFF_WITHIN_S
    while hot := _not_off(_state(folder)):
        if wall_s() > deadline:
            raise WaitTimeoutError(
                f"the heater of {', '.join(hot)} does not read off: isolate at the breaker outside, leave the gas on"
            )
        nap(0.05)
    print("E-STOP: every heater of this bench reads off; gas stays on")
    say("Custody goes on until everything is cold: `labctl status`. Then `labctl clear --reason ...`.")
    return 0


def _not_off(state: BenchState) -> list[str]:
    """The chambers whose heater was not read back as off since the e-stop."""
    return [
        name
        for name, c in state.chambers.items()
        if c.lease or (c.safe and not c.safe["items"].get("heat_off", {"confirmed": True})["confirmed"])
    ]


def _kill(folder: Path, pid: int) -> None:
    """Fencing is death: nothing else touches the instruments before the old controller is gone."""
    os.kill(pid, signal.SIGKILL)
    deadline = wall_s() + 10.0
    while controller_of(folder) is not None:
        if wall_s() > deadline:
            raise WaitTimeoutError(
                f"process {pid} does not die: isolate at the breaker outside, leave the gas on"
            )
        nap(0.02)


def _command(verb: str, arguments: Namespace) -> int:
    run = _chosen(_state(arguments.bench), arguments.run)
    outcome = submit(arguments.bench, verb, run.run_id, {"reason": arguments.reason}, actor(arguments))
    print(f"{verb} {run.run_id}: {outcome}")
    return 0


def submit(folder: Path, verb: str, run: str | None, args: dict[str, Any], actor: str) -> str:
    """Put a request into the inbox; returns its outcome.

    Raises ControllerError when nobody reads it, InstrumentError when one that it needs does not answer, PermissiveError
    when it is refused for another reason, WaitTimeoutError.
    """
    owner = controller_of(folder)
    if owner is not None and "doing" in owner:
        raise locked(folder, owner)
    if owner is None:
        if load_bench(folder).in_process:
            raise ControllerError(f"{folder}: this simulated bench has gone with its run; nothing was asked")
        raise ControllerError(
            f"{folder}: no controller runs there, nothing was asked; `labctl serve` starts one"
        )
    issued = utc_now_ms()
    with Inbox.open(folder / DATABASE) as inbox:
        request = inbox.submit(
            verb,
            args,
            actor=actor,
            issued_utc_ms=issued,
            expires_utc_ms=issued + EXPIRES_AFTER_MS,
            idempotency_key=f"{actor}/{verb}/{run}/{issued}/{os.getpid()}",
            run=run,
        )
    outcome = _outcome(folder, request)
    if outcome.startswith(f"refused: {UNREACHABLE}"):
        raise InstrumentError(f"{verb}: {outcome}")
    if outcome.startswith("refused"):
        raise PermissiveError(f"{verb}: {outcome}")
    return outcome


def _outcome(folder: Path, request: str) -> str:
    deadline = wall_s() + ANSWERED_WITHIN_S
    with Reader.open(folder / DATABASE) as reader:
        while wall_s() < deadline:
            outcome = reader.submitted(request)[0].outcome
            if outcome is not None:
                return outcome
            nap(0.05)
    raise WaitTimeoutError(
        f"request {request} is in the inbox, but the controller has not answered; `labctl status`"
    )


def _state(folder: Path) -> BenchState:
    with open_memory(folder) as reader:
        return standing(reader)


def _chosen(state: BenchState, name: str | None) -> RunState:
    """The run that is meant: by name, the only one under way, or the newest."""
    if name is not None:
        if name not in state.runs:
            hint = nearest(name, state.runs) or "`labctl runs list` has them"
            raise UsageError(f"there is no run {name!r} on this bench; {hint}")
        return state.runs[name]
    live = [run for run in state.runs.values() if _is_under_way(run)]
    if len(live) > 1:
        raise UsageError(f"several runs are under way; name one: {', '.join(run.run_id for run in live)}")
    if not state.runs:
        raise UsageError("nothing has run on this bench yet")
    return live[0] if live else list(state.runs.values())[-1]


def _is_under_way(run: RunState) -> bool:
    """One whose start was refused never was."""
    return run.end_state is None and run.started_s is not None


def _entered(prompt: dict[str, Any], texts: dict[str, str]) -> dict[str, float]:
    """Typed values in the units the prompt asks for."""
    from labctl.model.quantity import QuantityError, dimension_of, parse

    units = {entry["name"]: entry["unit"] for entry in prompt["enter"]}
    values = {}
    for name, text in texts.items():
        if name not in units:
            hint = nearest(name, units) or f"it asks for {', '.join(units) or 'nothing'}"
            raise UsageError(f"{prompt['id']} does not ask for {name!r}; {hint}")
        one = f"1 {units[name]}"
        dimension = dimension_of(one)
        try:
            if dimension is None or _bare(text):
                values[name] = float(text)
            else:
                values[name] = parse(text, dimension) / parse(one, dimension)
        except (QuantityError, ValueError) as error:
            raise UsageError(f"{name}: {error}; give it in {units[name]}") from error
        if not isfinite(values[name]):
            raise UsageError(f"{name}: {text} is not a number that can be measured; give it in {units[name]}")
    return values


def _bare(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def actor(arguments: Namespace) -> str:
    """Who asks."""
    return str(arguments.by or getpass.getuser())
