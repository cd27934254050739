"""Alarms at the terminal: what stands, what people say of it, and guards that only tell for a while."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from labctl.analysis.annunciations import statistics
from labctl.cli.control import actor, submit
from labctl.cli.memory import open_memory
from labctl.cli.standing import standing
from labctl.cli.terminal import print_json, print_table, say
from labctl.errors import UsageError
from labctl.model.events import clock


def main(arguments: Namespace) -> int:
    """List them; with --stats, how many people had to deal with."""
    with open_memory(arguments.bench) as reader:
        state = standing(reader)
        events = [e for e in reader.every_event() if e.kind == "alarm"]
        latest = reader.latest()
    if arguments.stats:
        until_s = max([r.mono_s for r in latest] + [e.t_s for e in events], default=0.0)
        numbers = asdict(statistics(events, until_s))
        if arguments.json:
            print_json(numbers)
        else:
            print_table(("figure", "value"), [(k.replace("_", " "), _shown(v)) for k, v in numbers.items()])
        return 0
    alarms = sorted(state.alarms.values(), key=lambda a: a.get("since_s", 0.0))
    if arguments.json:
        print_json({"alarms": alarms, "bypasses": list(state.bypasses.values())})
        return 0
    print_table(
        ("alarm", "priority", "state", "since", "message"),
        [
            (a["id"], a["priority"], _state(a), clock(a["since_s"]) if "since_s" in a else "", a["message"])
            for a in alarms
        ],
    )
    if not alarms:
        say("no alarms")
    return 0


def _state(alarm: dict[str, Any]) -> str:
    return f"{alarm['state']}, first out" if alarm.get("first_out") and alarm["active"] else alarm["state"]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items()) or "none"
    if isinstance(value, tuple | list):
        return ", ".join(value) or "none"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def ack(arguments: Namespace) -> int:
    """A person has seen it."""
    names = [arguments.alarm] if arguments.alarm else _unseen(arguments)
    for name in names:
        print(f"ack {name}: {_ask('ack', arguments, alarm=name)}")
    return 0


def _unseen(arguments: Namespace) -> list[str]:
    with open_memory(arguments.bench) as reader:
        alarms = standing(reader).alarms
    names = [n for n, a in alarms.items() if a["state"] in ("UNACK", "RTN_UNACK", "LATCH_UNACK")]
    if not names:
        raise UsageError("no alarm waits to be acknowledged")
    return names


def shelve(arguments: Namespace) -> int:
    """Out of sight for a while; the guards act all the same."""
    args: dict[str, Any] = {"alarm": arguments.alarm, "reason": arguments.reason}
    args |= {"out_of_service": True} if arguments.out_of_service else {"for_s": arguments.duration}
    print(f"shelve {arguments.alarm}: {_ask('shelve', arguments, **args)}")
    return 0


def unshelve(arguments: Namespace) -> int:
    """Shown again."""
    print(f"unshelve {arguments.alarm}: {_ask('unshelve', arguments, alarm=arguments.alarm)}")
    return 0


def bypass(arguments: Namespace) -> int:
    """A guard that only tells for a while, or no longer."""
    chamber, _, guard = arguments.guard.partition("/")
    if not guard:
        raise UsageError(f"name the guard as CHAMBER/GUARD, for example tube/{arguments.guard}")
    args: dict[str, Any] = {"chamber": chamber, "guard": guard}
    verb = "unbypass"
    if not arguments.end:
        verb = "bypass"
        args |= {"for_s": arguments.duration, "reason": arguments.reason}
    print(f"{verb} {arguments.guard}: {_ask(verb, arguments, **args)}")
    return 0


def _ask(verb: str, arguments: Namespace, **args: Any) -> str:
    return submit(arguments.bench, verb, None, args, actor(arguments))
