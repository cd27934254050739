"""The cold trip tests of commissioning, as data: what a person does, and what labctl must see of it.

Safety contract, section 6: unplug the thermocouple, close N2, stop extraction, pull the cable, cycle mains. All of
them with nothing heated; labctl only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from labctl.bench.api import BAD, GOOD, SILENT, Reading, Signal
from labctl.bench.schema import Instrument
from labctl.model.limits import limit

Shown = Mapping[str, Reading]
"""What an instrument shows: a reading by the name of its signal."""


class Trial(NamedTuple):
    """One cold trip test.

    plays: capabilities of the instruments that it is for, empty for all. signal: one that it needs, "" for any.
    do, undo: for the person. tripped: what must be seen after `do`; restored: after `undo`; both in words beside them.
    """

    name: str
    plays: frozenset[str]
    signal: str
    do: str
    tripped: Callable[[Shown], bool]
    wanted: str
    undo: str
    restored: Callable[[Shown], bool]
    wanted_again: str


def _good(shown: Shown, signal: str) -> float | None:
    reading = shown.get(signal)
    return reading.value if reading is not None and reading.quality is GOOD else None


def _silent(shown: Shown) -> bool:
    return all(reading.quality is SILENT for reading in shown.values())


def _answers(shown: Shown) -> bool:
    return not any(reading.quality is SILENT for reading in shown.values())


def _sensor_broken(shown: Shown) -> bool:
    return shown["temperature"].quality is BAD


def _sensor_good(shown: Shown) -> bool:
    return _good(shown, "temperature") is not None


def _nitrogen_low(shown: Shown) -> bool:
    flow, setpoint = _good(shown, "flow"), _good(shown, "flow_setpoint")
    return None not in (flow, setpoint) and (flow or 0.0) < limit("nitrogen_low_fraction") * (setpoint or 0.0)


def _nitrogen_off(shown: Shown) -> bool:
    return _good(shown, "flow_setpoint") == 0.0


def _extraction(closed: float) -> Callable[[Shown], bool]:
    return lambda shown: _good(shown, "extraction") == closed


def _up_and_off(shown: Shown) -> bool:
    """Answers again, and drives no heater: the output is 0 where there is one to read."""
    return _answers(shown) and ("output" not in shown or _good(shown, "output") == 0.0)


TRIALS: tuple[Trial, ...] = (
    Trial(
        "thermocouple",
        frozenset({"tube_furnace", "thermometer"}),
        "temperature",
        "unplug its thermocouple",
        _sensor_broken,
        "a bad temperature",
        "plug the thermocouple in again",
        _sensor_good,
        "a good temperature",
    ),
    Trial(
        "nitrogen",
        frozenset({"gas_flow"}),
        "flow",
        "set a flow at its panel, then close the nitrogen supply",
        _nitrogen_low,
        "a flow below 80 % of its setpoint",
        "open the supply again, and set the flow at its panel to 0",
        _nitrogen_off,
        "a setpoint of 0",
    ),
    Trial(
        "extraction",
        frozenset({"io"}),
        "extraction",
        "stop the extraction",
        _extraction(0.0),
        "an open contact",
        "start the extraction again",
        _extraction(1.0),
        "a closed contact",
    ),
    Trial(
        "cable",
        frozenset(),
        "",
        "pull its communication cable",
        _silent,
        "silence",
        "plug the cable in again",
        _answers,
        "answers",
    ),
    Trial(
        "mains",
        frozenset(),
        "",
        "switch its mains off",
        _silent,
        "silence",
        "switch its mains on, and wait until it is up",
        _up_and_off,
        "answers, and no output",
    ),
)


def trials_of(instrument: Instrument, signals: Iterable[Signal]) -> tuple[Trial, ...]:
    """The cold trip tests that are for this instrument, with these signals."""
    names = {signal.name for signal in signals}
    return tuple(
        trial
        for trial in TRIALS
        if (not trial.plays or trial.plays & set(instrument.provides))
        and (not trial.signal or trial.signal in names)
    )
