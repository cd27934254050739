"""How many alarms people had to deal with, after ISA-18.2: from the journal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.model.events import Event

FLOOD, FLOOD_WITHIN_S = 10, 600.0
"""More than so many annunciations within so long are a flood (EEMUA 191, recalled)."""
CHATTER, CHATTER_WITHIN_S = 3, 60.0
"""The same alarm so often within so long chatters (ISA-18.2, recalled)."""
STALE_S = 86_400.0
"""An alarm that stands for so long is stale (ISA-18.2, recalled)."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Annunciations: how many in all, an hour, by alarm; floods, alarms that chatter, and those that stand too long."""

    annunciations: int
    per_hour: float
    by_alarm: dict[str, int]
    floods: int
    chattering: tuple[str, ...]
    stale: tuple[str, ...]


def statistics(events: Iterable[Event], until_s: float) -> Statistics:
    """Of the "alarm" events of a bench up to `until_s` of its clock, in order."""
    told: list[tuple[float, str]] = []
    standing: dict[str, float] = {}
    stale: list[str] = []
    for event in events:
        name, trigger = event.data["id"], event.data["trigger"]
        if event.data["to"] == "UNACK" and trigger != "latch":
            told.append((event.t_s, name))
        if trigger == "active":
            standing[name] = event.t_s
        elif trigger == "clear" and event.t_s - standing.pop(name, event.t_s) > STALE_S:
            stale.append(name)
    stale += [name for name, since_s in standing.items() if until_s - since_s > STALE_S]
    first_s = told[0][0] if told else until_s
    hours = max((until_s - first_s) / 3600.0, 1.0)
    by_alarm = Counter(name for _, name in told)
    chattering = [
        name
        for name in by_alarm
        if _most([t for t, which in told if which == name], CHATTER_WITHIN_S) >= CHATTER
    ]
    floods = int(_most([t for t, _ in told], FLOOD_WITHIN_S) > FLOOD)
    return Statistics(
        len(told),
        len(told) / hours,
        dict(by_alarm.most_common()),
        floods,
        tuple(chattering),
        tuple(dict.fromkeys(stale)),
    )


def _most(times: list[float], within_s: float) -> int:
    """The most of these, in order, that lie within so long."""
    most = first = 0
    for last, t_s in enumerate(times):
        while t_s - times[first] > within_s:
            first += 1
        most = max(most, last - first + 1)
    return most
