"""What a protocol asks about its own run, bound: signals to instruments, limits to the unit of what is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl.bench.api import CAPABILITIES
from labctl.model.quantity import DIMENSIONS, QuantityError, parse
from labctl.protocol.conditions import WrittenCondition, WrittenWhen
from labctl.protocol.plan import Condition, When
from labctl.protocol.roles import Cast
from labctl.protocol.source import Path
from labctl.protocol.words import Scalar

NEVER_LEFT_OUT = ("purge", "leak_check", "cool", "unload")
"""Kinds of steps that safety rests on: they have no `when`."""


@dataclass
class Inquiry:
    """What is known where a step asks: values entered so far with their units, and steps that decide."""

    cast: Cast
    entered: dict[str, str] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)

    def condition(self, asked: WrittenCondition, sample: str | None, path: Path) -> Condition | None:
        """A condition with its limit in the unit of the signal or of the value that was entered."""
        comparison, limit = asked.comparison
        instrument = signal = entered = None
        if asked.signal is not None:
            role, _, signal = asked.signal.partition(".")
            instrument = self.cast.instrument(role, (*path, "signal"))
            signals = CAPABILITIES[self.cast.declared[role]].signals if instrument else {}
            if instrument is not None and signal not in signals:
                message = f"role {role!r} has no signal {signal!r}"
                self.cast.error("COND-001", (*path, "signal"), message, self.cast.near(signal, signals))
            unit = signals.get(signal)
        else:
            assert asked.entered is not None
            entered = self.name(asked.entered, sample)
            unit = self.entered.get(entered)
            if unit is None:
                message = f"no step before this one asks a person for {asked.entered!r}"
                self.cast.error(
                    "COND-002", (*path, "entered"), message, self.cast.near(entered, self.entered)
                )
        if unit is None:
            return None
        value = self.limit(limit, unit, (*path, comparison))
        hysteresis = 0.0 if asked.hysteresis is None else self.limit(
            asked.hysteresis, "K" if unit == "degC" else unit, (*path, "hysteresis")
        )  # fmt: skip
        if value is None or hysteresis is None:
            return None
        return Condition.model_validate(
            {
                "instrument": instrument, "signal": signal, "entered": entered, "relation": comparison,
                "value": value, "unit": unit, "for_s": asked.for_, "hysteresis": hysteresis,
                "on_bad": asked.on_bad,
            }
        )  # fmt: skip

    def name(self, entered: str, sample: str | None) -> str:
        """The entered value as a step of that sample means it: its own, if it has one."""
        own = of_sample(entered, sample)
        return own if own in self.entered else entered

    def limit(self, limit: Scalar, unit: str, path: Path) -> float | None:
        """A limit as a number of `unit`."""
        dimension = next((d.name for d in DIMENSIONS.values() if d.unit == unit), None)
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if unit == "1" and number:
            return float(limit)
        try:
            if dimension is None:
                raise QuantityError(f"{limit!r} cannot be set beside a value in {unit}")
            return parse(limit, dimension)
        except QuantityError as error:
            self.cast.error("QTY-001", path, error.reason, error.hint)
            return None

    def whens(self, asked: list[WrittenWhen], sample: str | None, path: Path) -> tuple[When, ...]:
        """What must hold for a step to begin."""
        found = []
        for i, when in enumerate(asked):
            at = (*path, i)
            condition = self.condition(when.condition, sample, at) if when.condition is not None else None
            named = {}
            for key in ("met", "not_met"):
                names = getattr(when, key)
                named[key] = (names,) if isinstance(names, str) else tuple(names)
                for name in named[key]:
                    if name not in self.decided:
                        message = f"no step {name!r} decides anything before this one"
                        self.cast.error("COND-003", (*at, key), message, self.cast.near(name, self.decided))
            found.append(When(condition=condition, met=named["met"], not_met=named["not_met"]))
        return tuple(found)


def of_sample(name: str, sample: str | None) -> str:
    """What a value is called that is entered for a sample."""
    return name if sample is None else f"{name}_{sample}"
