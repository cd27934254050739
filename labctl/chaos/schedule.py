"""From a seed to a schedule of faults: what goes wrong, in which run and stage, for how long.

Pure: a seed always gives the same. Chance is a hash of the seed and of what is drawn. Consecutive seeds deal the kinds
like packs of cards, so that any three hundred of them meet every kind about equally often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

PERSON = "person"
"""The role, and in a schedule the instrument, of who presses the buttons."""

Range = tuple[float, float]
Gravity = Literal["passes", "holds", "ends", "lies"]
"""What a kind of fault mostly does to a run: nothing, a hold, an end. Or a sensor lies, which ends it too; once a run:
two thermometers that tell the same lie cannot be found out."""
GRAVITIES: tuple[Gravity, ...] = get_args(Gravity)

TURNS = 3
"""Runs of each work that have faults of their own."""
HANDS: Mapping[str, Mapping[Gravity, int]] = {
    "firing": {"passes": 4, "holds": 4, "ends": 1},
    "tabletop": {"passes": 3, "holds": 1, "ends": 1},
}
"""Faults dealt to each run, by the protocol that it carries out. In all but one run of a seed a sensor lies besides."""
CARDS: Mapping[str, int] = {
    "I/O module resets": 2,
    "cables swapped": 2,
    "echo": 2,
    "exhaust blocks": 2,
    "hotter at the panel": 2,
    "nitrogen lost": 2,
    "nitrogen sags": 3,
    "thermocouple drifts": 2,
    "thermocouple reversed": 2,
    "tube opened hot": 3,
    "valve held": 2,
    "valve stuck": 2,
}
"""Kinds that are in their pack more than once: those for which a run mostly ends too early."""
SOMETIMES: Mapping[str, float] = {"cables swapped at first": 0.25, "commands in a storm": 0.35}
"""Kinds that belong to no run: the share of seeds that have them."""


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
    "warming": Stage("furnace.tube_c", (60.0, 170.0), (0.0, 10.0)),
    "hot": Stage("furnace.tube_c", (160.0, 580.0), (0.0, 150.0)),
    "climbing": Stage("furnace.tube_c", (380.0, 560.0), (0.0, 10.0)),
    "soak": Stage("furnace.tube_c", (585.0, 592.0), (0.0, 220.0)),
    "cooling": Stage("furnace.tube_c", (585.0, 592.0), (260.0, 800.0)),
    "cell": Stage("cell.current_a", (1e-6, 1e-5), (0.0, 700.0)),
}
"""Of the protocols of this package, by what the plant shows of each."""
BESIDE = ("stir", "oven", "cell")
"""Stages of the tabletop; the others are the firing's."""
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
    simulator's kind. roles: those that can have it. for_s: how long, drawn in the range. parameters: a value, a list
    to draw from, or "@role" for the instrument of that role. stages: empty: those of the role.
    """

    gravity: Gravity
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
    "thermocouple open": Kind("ends", 1, "sensor_open", ("furnace", "oven"), _LONG),
    "thermocouple detached": Kind("lies", 2, "sensor_detached", ("furnace", "oven"), _LONG),
    "thermocouple reversed": Kind(
        "lies", 2, "sensor_reversed", ("furnace",), _LONG, {}, ("warming", "ramp", "hot")
    ),
    "thermocouple drifts": Kind(
        "lies",
        3,
        "sensor_drift",
        ("furnace",),
        (300.0, 900.0),
        {"per_hour": [-600.0, 600.0]},
        ("warming", "ramp", "hot"),
    ),
    "value stuck": Kind("lies", 4, "sensor_frozen", ("furnace", "oven", "analyser"), _LONG),
    "value stuck while it warms": Kind(
        "lies", 4, "sensor_frozen", ("furnace",), (60.0, 300.0), {}, ("warming",)
    ),
    "no reply": Kind("holds", 5, "drop", _LINES, (5.0, 90.0), {"side": "request"}),
    "cable pulled": Kind("holds", 5, "refuse", _LINES, (5.0, 90.0)),
    "connection cut": Kind("passes", 5, "disconnect", _LINES),
    "heard but not answering": Kind("holds", 6, "drop", _LINES, (5.0, 90.0), {"side": "reply"}),
    "byte corrupted": Kind("passes", 7, "corrupt", _LINES, _SHORT),
    "request corrupted": Kind("passes", 7, "corrupt", _LINES, _SHORT, {"side": "request"}),
    "reply truncated": Kind("passes", 7, "truncate", _LINES, _SHORT),
    "reply twice": Kind("passes", 7, "duplicate", _LINES, (5.0, 60.0)),
    "noise before reply": Kind("passes", 7, "garbage", _LINES, _SHORT),
    "echo": Kind("passes", 7, "echo", ("furnace", "monitor", "gas"), _SHORT),
    "reply held back": Kind("passes", 7, "coalesce", _LINES, _SHORT),
    "reply split": Kind("passes", 7, "split", _LINES, (5.0, 60.0)),
    "reply of the question before": Kind("passes", 7, "stale", _LINES, _SHORT),
    "another unit answers": Kind("passes", 7, "wrong_unit", ("furnace", "monitor", "oven", "gas"), _SHORT),
    "exception": Kind("passes", 7, "exception", _MODBUS, _SHORT),
    "busy": Kind("passes", 7, "busy", _MODBUS, _SHORT),
    "not understood": Kind("passes", 7, "question_mark", ("gas", "analyser", "stirrer", "cycler"), _SHORT),
    "slow": Kind("passes", 8, "delay", _LINES, (10.0, 60.0), {"delay_s": [0.2, 0.5, 2.0, 10.0]}),
    "babble": Kind("passes", 9, "babble", _LINES, _SHORT),
    "nitrogen lost": Kind("holds", 10, "supply_lost", ("gas",), (3.0, 400.0)),
    "nitrogen sags": Kind(
        "holds",
        10,
        "valve_stuck",
        ("gas",),
        (20.0, 200.0),
        {"flow_sccm": [110.0, 130.0, 150.0]},
        ("hot", "soak"),
    ),
    "valve stuck": Kind(
        "holds", 11, "valve_stuck", ("gas",), (20.0, 400.0), {"flow_sccm": [0.0, 60.0, 145.0, 170.0, 300.0]}
    ),
    "valve held": Kind("passes", 11, "valve_hold", ("gas",), (20.0, 200.0)),
    "relay stuck on": Kind("ends", 12, "heater_stuck", ("furnace", "oven"), (60.0, 500.0)),
    "heater failed": Kind("holds", 12, "heater_failed", ("furnace", "oven"), (60.0, 600.0)),
    "element broken": Kind(
        "holds", 12, "heater_failed", ("furnace",), (200.0, 600.0), {}, ("warming", "climbing")
    ),
    "door opened": Kind("passes", 13, "opened", ("oven",), (5.0, 200.0)),
    "power blip": Kind(
        "holds", 14, "power", ("furnace", "gas", "oven", "stirrer", "cycler", "analyser"), (1.0, 40.0)
    ),
    "I/O module resets": Kind(
        "holds", 14, "power", ("io",), (1.0, 25.0), {}, ("purge", "ramp", "soak", "cooling")
    ),
    "setpoint changed at the panel": Kind(
        "holds", 15, "panel_setpoint", ("furnace", "oven", "gas", "stirrer"), (1.0, 2.0)
    ),
    "hotter at the panel": Kind(
        "holds",
        15,
        "panel_setpoint",
        ("furnace",),
        (1.0, 2.0),
        {"value": [700.0, 850.0, 1000.0]},
        ("warming", "warming", "climbing", "soak"),
    ),
    "manual at the panel": Kind(
        "holds", 15, "panel_mode", ("furnace", "oven"), (1.0, 2.0), {"output": [30.0, 100.0]}
    ),
    "locked at the panel": Kind("passes", 15, "local_lock", ("furnace", "oven"), (10.0, 200.0)),
    "setpoints ignored": Kind("passes", 15, "setpoints_ignored", ("gas", "stirrer"), (10.0, 200.0)),
    "wrong gas": Kind("passes", 15, "wrong_gas", ("gas",), (10.0, 200.0)),
    "commands in a storm": Kind("passes", 35, "storm", (PERSON,), (1.0, 2.0)),
    "exhaust blocks": Kind(
        "holds",
        37,
        "exhaust_blocked",
        ("gas",),
        (200.0, 900.0),
        {"over_s": [60.0, 600.0], "back_pressure_bar": 2.0},
        ("ramp", "hot"),
    ),
    "tube cracks": Kind(
        "ends", 38, "cracked_tube", ("furnace",), (60.0, 600.0), {}, ("purge", "hot", "soak")
    ),
    "air leaks in": Kind(
        "holds", 38, "leak", ("furnace",), (60.0, 600.0), {"air_sccm": [1.0, 5.0, 30.0]}, ("purge", "hot")
    ),
    "tube opened hot": Kind("ends", 39, "opened", ("furnace",), (5.0, 120.0), {}, ("warming", "hot", "soak")),
    "analyser fails": Kind("holds", 4, "cell_failed", ("analyser",), _LONG),
    "cables swapped": Kind("holds", 25, "swapped", ("gas", "furnace"), (20.0, 90.0), {"with": "@analyser"}),
    "cables swapped at first": Kind(
        "passes", 25, "swapped", ("gas", "furnace"), (20.0, 90.0), {"with": "@analyser"}, (AT_FIRST,)
    ),
    "extraction lost": Kind(
        "holds", 40, "contact_open", ("io",), _LONG, {"contact": "extraction"}, ("oven", "ramp", "soak")
    ),
    "cylinder runs out": Kind(
        "holds", 41, "cylinder_empty", ("io",), (30.0, 600.0), {}, ("purge", "hot", "soak")
    ),
    "limiter trips": Kind(
        "ends", 42, "contact_open", ("io",), _LONG, {"contact": "limiter"}, ("ramp", "soak")
    ),
    "little oxygen in the room": Kind(
        "holds", 43, "room_air", ("io",), _LONG, {"oxygen_pct": [19.0, 17.5, 16.0]}, ("purge", "ramp", "soak")
    ),
    "carbon monoxide in the room": Kind(
        "holds",
        43,
        "room_air",
        ("io",),
        _LONG,
        {"oxygen_pct": 20.9, "co_ppm": [45.0, 80.0]},
        ("purge", "ramp", "soak"),
    ),
    "cooling water lost": Kind(
        "holds", 40, "contact_open", ("io",), _LONG, {"contact": "water"}, ("ramp", "soak")
    ),
    "e-stop pressed": Kind(
        "ends", 35, "contact_open", ("io",), (2.0, 60.0), {"contact": "estop"}, ("oven", "ramp", "soak")
    ),
    "transmitter broken": Kind(
        "holds",
        5,
        "transmitter_broken",
        ("io",),
        _LONG,
        {"transmitter": ["tube_pressure", "room_oxygen", "room_co"]},
    ),
    "cell shorted": Kind("ends", 11, "cell_short", ("cycler",), _LONG),
    "cell lead off": Kind("ends", 11, "cell_open", ("cycler",), _LONG),
}
"""Every kind that chaos deals, by what a person would call it."""


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


def places(kind: Kind, able: Sequence[str], work: str) -> list[tuple[str, str]]:
    """Where a kind can be dealt in a work: (role, stage), of the roles that can have it."""
    found = [(role, stage) for role in able for stage in kind.stages or STAGES_OF.get(role, ())]
    return [one for one in found if one[1] != AT_FIRST and (one[1] in BESIDE) is (work == "tabletop")]


def dealt(seed: int, kinds: Mapping[str, Sequence[str]], work: str) -> Iterator[tuple[int, str]]:
    """The kinds of a seed for the runs of a work, as (turn, kind): the next cards of each of its packs."""
    names = [name for name, able in sorted(kinds.items()) if places(KINDS[name], able, work)]
    cards = [(KINDS[name].gravity, name) for name in names for _ in range(CARDS.get(name, 1))]
    packs = {gravity: tuple(name for one, name in cards if one == gravity) for gravity in GRAVITIES}
    honest = int(chance(seed, f"{work} lies") * TURNS)
    for turn in range(TURNS):
        for gravity, many in HANDS[work].items():
            yield from ((turn, name) for name in _cards(seed * TURNS + turn, packs[gravity], many))
        if turn != honest:
            lie = seed * (TURNS - 1) + turn - (turn > honest)
            yield from ((turn, name) for name in _cards(lie, packs["lies"], 1))


def _cards(hand: int, pack: tuple[str, ...], each: int) -> list[str]:
    """The cards of a hand, from a pack that is shuffled anew each time it is used up; none of an empty one."""
    cards = range(hand * each, (hand + 1) * each) if pack else ()
    return [_shuffled(card // len(pack), pack)[card % len(pack)] for card in cards]


@lru_cache(64)
def _shuffled(deal: int, pack: tuple[str, ...]) -> list[str]:
    order = sorted(range(len(pack)), key=lambda place: chance(deal, f"{pack[place]} {place}"))
    return [pack[place] for place in order]


def schedule(seed: int, kinds: Mapping[str, Sequence[str]], roles: Mapping[str, str]) -> list[dict[str, Any]]:
    """The faults of a seed, as plain data. `run`: of one that may begin once that run has; it is waited for until then.

    kinds: with the roles that can have each. roles: instrument by role.
    """
    faults: list[dict[str, Any]] = []
    for name, share in SOMETIMES.items():
        if name in kinds and chance(seed, name) < share:
            role = pick(seed, f"{name} role", kinds[name])
            at_s = between(seed, f"{name} at", 1.0, 2500.0) if role == PERSON else 0.0
            faults.append(_fault(seed, name, name, role, roles) | {"at_s": at_s})
    for work in HANDS:
        for number, (turn, name) in enumerate(dealt(seed, kinds, work)):
            label = f"{work} {number} {name}"
            role, at = pick(seed, f"{label} place", places(KINDS[name], kinds[name], work))
            stage = STAGES[at]
            above = stage.above[0] + (stage.above[1] - stage.above[0]) * chance(seed, f"{label} above")
            fault = _fault(seed, label, name, role, roles)
            fault |= {"run": f"{work}-{turn + 1}", "when": {"of": stage.of, "above": round(above, 6)}}
            faults.append(fault | {"at_s": between(seed, f"{label} at", *stage.delay_s)})
    return faults


def _parameter(seed: int, label: str, value: Any, roles: Mapping[str, str]) -> Any:
    """A value as it stands, one of a list, or the instrument that plays a role ("@gas")."""
    if isinstance(value, list):
        return pick(seed, label, value)
    return roles[value[1:]] if isinstance(value, str) and value.startswith("@") else value


def _fault(seed: int, label: str, name: str, role: str, roles: Mapping[str, str]) -> dict[str, Any]:
    kind = KINDS[name]
    fault: dict[str, Any] = {"name": name, "instrument": roles[role], "kind": kind.fault}
    fault["for_s"] = between(seed, f"{label} for", *kind.for_s)
    if kind.parameters:
        fault["parameters"] = {
            what: _parameter(seed, f"{label} {what}", value, roles) for what, value in kind.parameters.items()
        }
    return fault
