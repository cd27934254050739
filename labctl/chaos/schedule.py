"""From a seed to a schedule of faults: what goes wrong, in which stage, for how long.

Pure: a seed always gives the same. Chance is a hash of the seed and of what is drawn. Consecutive seeds deal the kinds
like a pack of cards, so that any three hundred of them meet every kind about equally often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PER_SEED = 14
"""Faults dealt to each seed."""
SECOND = ("monitor", "oven", "stirrer", "cycler", "analyser")

Range = tuple[float, float]


class Stage(NamedTuple):
    """When a fault begins: so long after a number of the plant's truth has passed a drawn threshold."""

    of: str
    above: Range
    delay_s: Range


AT_FIRST = "at first"
"""The stage of a fault that is there before labctl connects."""

STAGES: Mapping[str, Stage] = {
    "stir": Stage("hotplate.speed_rpm", (100.0, 400.0), (0.0, 60.0)),
    "oven": Stage("oven.air_c", (35.0, 80.0), (0.0, 150.0)),
    "purge": Stage("gas.flow_sccm", (300.0, 400.0), (0.0, 300.0)),
    "ramp": Stage("furnace.tube_c", (30.0, 560.0), (0.0, 60.0)),
    "hot": Stage("furnace.tube_c", (160.0, 580.0), (0.0, 150.0)),
    "soak": Stage("furnace.tube_c", (585.0, 592.0), (0.0, 220.0)),
    "cooling": Stage("furnace.tube_c", (585.0, 592.0), (260.0, 800.0)),
    "cell": Stage("cell.current_a", (1e-6, 1e-5), (0.0, 700.0)),
}
"""Of the protocol of this package, by what the plant shows of each."""
STAGES_OF: Mapping[str, tuple[str, ...]] = {
    "furnace": ("ramp", "hot", "soak", "cooling"),
    "monitor": ("ramp", "soak", "cooling"),
    "gas": ("purge", "hot", "soak", "cooling"),
    "analyser": ("purge", "hot", "soak"),
    "oven": ("oven",),
    "stirrer": ("stir",),
    "cycler": ("cell",),
    "io": ("purge", "ramp", "soak", "cooling"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault as chaos deals it.

    number: in the fault matrix of the reliability reference (36 and above: of the safety contract). fault: the
    simulator's kind. roles: one of them is drawn. for_s: how long, drawn in the range. parameters: a value, a list to
    draw from, or "@role" for the instrument of that role. stages: one is drawn; empty: those of the role.
    """

    number: int
    fault: str
    roles: tuple[str, ...]
    for_s: Range = (5.0, 60.0)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[str, ...] = ()


_LINES = ("furnace", "monitor", "gas", "analyser", "oven", "stirrer", "cycler", "io")
_MODBUS = ("furnace", "monitor", "oven")
_SHORT, _LONG = (1.0, 20.0), (30.0, 400.0)

KINDS: Mapping[str, Kind] = {
    "thermocouple open": Kind(1, "sensor_open", ("furnace", "oven"), _LONG),
    "thermocouple detached": Kind(2, "sensor_detached", ("furnace", "oven"), _LONG),
    "thermocouple reversed": Kind(2, "sensor_reversed", ("furnace",), _LONG),
    "thermocouple drifts": Kind(
        3, "sensor_drift", ("furnace",), (300.0, 900.0), {"per_hour": [-600.0, 600.0]}
    ),
    "value stuck": Kind(4, "sensor_frozen", ("furnace", "oven", "analyser"), _LONG),
    "no reply": Kind(5, "drop", _LINES, (5.0, 90.0), {"side": "request"}),
    "cable pulled": Kind(5, "refuse", _LINES, (5.0, 90.0)),
    "connection cut": Kind(5, "disconnect", _LINES),
    "heard but not answering": Kind(6, "drop", _LINES, (5.0, 90.0), {"side": "reply"}),
    "byte corrupted": Kind(7, "corrupt", _LINES, _SHORT),
    "request corrupted": Kind(7, "corrupt", _LINES, _SHORT, {"side": "request"}),
    "reply truncated": Kind(7, "truncate", _LINES, _SHORT),
    "reply twice": Kind(7, "duplicate", _LINES, (5.0, 60.0)),
    "noise before reply": Kind(7, "garbage", _LINES, _SHORT),
    "echo": Kind(7, "echo", ("furnace", "monitor", "gas"), _SHORT),
    "reply held back": Kind(7, "coalesce", _LINES, _SHORT),
    "reply split": Kind(7, "split", _LINES, (5.0, 60.0)),
    "reply of the question before": Kind(7, "stale", _LINES, _SHORT),
    "another unit answers": Kind(7, "wrong_unit", ("furnace", "monitor", "oven", "gas"), _SHORT),
    "exception": Kind(7, "exception", _MODBUS, _SHORT),
    "busy": Kind(7, "busy", _MODBUS, _SHORT),
    "not understood": Kind(7, "question_mark", ("gas", "analyser", "stirrer", "cycler"), _SHORT),
    "slow": Kind(8, "delay", _LINES, (10.0, 60.0), {"delay_s": [0.2, 0.5, 2.0, 10.0]}),
    "babble": Kind(9, "babble", _LINES, _SHORT),
    "nitrogen lost": Kind(10, "supply_lost", ("gas",), (3.0, 400.0)),
    "nitrogen sags": Kind(
        10, "valve_stuck", ("gas",), (20.0, 200.0), {"flow_sccm": [110.0, 130.0, 150.0]}, ("hot", "soak")
    ),
    "valve stuck": Kind(
        11, "valve_stuck", ("gas",), (20.0, 400.0), {"flow_sccm": [0.0, 60.0, 140.0, 145.0, 300.0]}
    ),
    "valve held": Kind(11, "valve_hold", ("gas",), (20.0, 200.0)),
    "relay stuck on": Kind(12, "heater_stuck", ("furnace", "oven"), (60.0, 500.0)),
    "heater failed": Kind(12, "heater_failed", ("furnace", "oven"), (60.0, 600.0)),
    "door opened": Kind(13, "opened", ("oven",), (5.0, 200.0)),
    "power blip": Kind(14, "power", ("furnace", "gas", "oven", "stirrer", "cycler", "analyser"), (1.0, 40.0)),
    "setpoint changed at the panel": Kind(
        15, "panel_setpoint", ("furnace", "oven", "gas", "stirrer"), (1.0, 2.0)
    ),
    "hotter at the panel": Kind(
        15, "panel_setpoint", ("furnace",), (1.0, 2.0), {"value": [700.0, 850.0]}, ("hot", "soak")
    ),
    "manual at the panel": Kind(15, "panel_mode", ("furnace", "oven"), (1.0, 2.0), {"output": [30.0, 100.0]}),
    "locked at the panel": Kind(15, "local_lock", ("furnace", "oven"), (10.0, 200.0)),
    "setpoints ignored": Kind(15, "setpoints_ignored", ("gas", "stirrer"), (10.0, 200.0)),
    "wrong gas": Kind(15, "wrong_gas", ("gas",), (10.0, 200.0)),
    "commands in a storm": Kind(35, "storm", ("person",), (1.0, 2.0)),
    "exhaust blocks": Kind(
        37,
        "exhaust_blocked",
        ("gas",),
        (200.0, 900.0),
        {"over_s": [60.0, 600.0], "back_pressure_bar": 2.0},
        ("ramp", "hot"),
    ),
    "tube cracks": Kind(38, "cracked_tube", ("furnace",), (60.0, 600.0), {}, ("purge", "hot", "soak")),
    "air leaks in": Kind(
        38, "leak", ("furnace",), (60.0, 600.0), {"air_sccm": [1.0, 5.0, 30.0]}, ("purge", "hot")
    ),
    "tube opened hot": Kind(39, "opened", ("furnace",), (5.0, 120.0), {}, ("hot", "soak", "cooling")),
    "analyser fails": Kind(4, "cell_failed", ("analyser",), _LONG),
    "cables swapped": Kind(25, "swapped", ("gas", "furnace"), (20.0, 90.0), {"with": "@analyser"}),
    "cables swapped at first": Kind(
        25, "swapped", ("gas", "furnace"), (20.0, 90.0), {"with": "@analyser"}, (AT_FIRST,)
    ),
    "extraction lost": Kind(
        40, "contact_open", ("io",), _LONG, {"contact": "extraction"}, ("oven", "ramp", "soak")
    ),
    "cylinder runs out": Kind(41, "cylinder_empty", ("io",), (30.0, 600.0), {}, ("purge", "hot", "soak")),
    "limiter trips": Kind(42, "contact_open", ("io",), _LONG, {"contact": "limiter"}, ("ramp", "soak")),
    "room alarm": Kind(
        43, "room_air", ("io",), _LONG, {"oxygen_pct": [19.0, 17.5], "co_ppm": [0.0, 45.0, 80.0]}
    ),
    "cooling water lost": Kind(40, "contact_open", ("io",), _LONG, {"contact": "water"}, ("ramp", "soak")),
    "e-stop pressed": Kind(
        35, "contact_open", ("io",), (2.0, 60.0), {"contact": "estop"}, ("oven", "ramp", "soak")
    ),
    "transmitter broken": Kind(
        5, "transmitter_broken", ("io",), _LONG, {"transmitter": ["tube_pressure", "room_oxygen", "room_co"]}
    ),
    "cell shorted": Kind(11, "cell_short", ("cycler",), _LONG),
    "cell lead off": Kind(11, "cell_open", ("cycler",), _LONG),
}
"""Every kind that chaos deals, by what a person would call it."""

EXCLUSIVE = frozenset({"sensor_detached", "sensor_reversed", "sensor_drift", "sensor_frozen"})
"""A sensor that lies is dealt at most once a seed: two thermometers that tell the same lie cannot be found out."""


def chance(seed: int, what: str) -> float:
    """A number in [0, 1) for a seed and a name."""
    digest = hashlib.blake2b(f"{seed}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def pick(seed: int, what: str, choices: Sequence[Any]) -> Any:
    """One of the choices."""
    return choices[int(chance(seed, what) * len(choices))]


def between(seed: int, what: str, low: float, high: float) -> float:
    """A number in [low, high), to 0.1."""
    return round(low + (high - low) * chance(seed, what), 1)


def dealt(seed: int, kinds: Collection[str]) -> list[str]:
    """The kinds of a seed: the next cards of a pack that is shuffled anew each time it is used up."""
    pack, names = sorted(kinds), []
    for card in range(seed * PER_SEED, (seed + 1) * PER_SEED):
        deal, place = divmod(card, len(pack))
        names.append(_shuffled(deal, pack)[place])
    return names


def _shuffled(deal: int, pack: Sequence[str]) -> list[str]:
    return sorted(pack, key=lambda name: chance(deal, name))


def schedule(seed: int, kinds: Mapping[str, Sequence[str]], roles: Mapping[str, str]) -> list[dict[str, Any]]:
    """The faults of a seed, as plain data that `labctl run --faults` takes too.

    kinds: with the roles that can have each. roles: instrument by role.
    """
    faults: list[dict[str, Any]] = []
    lied = False
    for number, name in enumerate(dealt(seed, kinds)):
        kind = KINDS[name]
        if kind.fault in EXCLUSIVE:
            if lied:
                continue
            lied = True
        faults.append(_fault(seed, number, name, kinds[name], roles))
    return faults


def _parameter(seed: int, label: str, value: Any, roles: Mapping[str, str]) -> Any:
    """A value as it stands, one of a list, or the instrument that plays a role ("@gas")."""
    if isinstance(value, list):
        return pick(seed, label, value)
    return roles[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def _fault(
    seed: int, number: int, name: str, able: Sequence[str], roles: Mapping[str, str]
) -> dict[str, Any]:
    label, kind = f"{number} {name}", KINDS[name]
    role = pick(seed, f"{label} role", able)
    fault: dict[str, Any] = {"name": name, "instrument": roles[role], "kind": kind.fault}
    fault["for_s"] = between(seed, f"{label} for", *kind.for_s)
    if kind.parameters:
        fault["parameters"] = {
            what: _parameter(seed, f"{label} {what}", value, roles) for what, value in kind.parameters.items()
        }
    if role == "person":
        return fault | {"at_s": between(seed, f"{label} at", 1.0, 2500.0)}
    wanted = pick(seed, f"{label} stage", kind.stages or STAGES_OF[role])
    if wanted == AT_FIRST:
        return fault | {"at_s": 0.0}
    stage = STAGES[wanted]
    threshold = stage.above[0] + (stage.above[1] - stage.above[0]) * chance(seed, f"{label} above")
    fault["when"] = {"of": stage.of, "above": round(threshold, 6)}
    return fault | {"at_s": between(seed, f"{label} at", *stage.delay_s)}
