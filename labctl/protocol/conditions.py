"""Blocks that ask the run about itself: conditions, and the steps that wait for them or decide by them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from labctl.protocol.words import Scalar, Time, Written, problem

COMPARISONS = ("above", "below", "at_least", "at_most")


class WrittenCondition(Written):
    """Something that holds or not: a `signal` of a role, or a value that was `entered`, beside a limit.

    `for`: how long without a break. `hysteresis`: how far beyond the limit it must go back before it counts as over.
    `on_bad`: a signal that cannot be read holds the run, or is waited for.
    """

    signal: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]*\.[a-z_]+$")
    entered: str | None = None
    above: str | int | float | None = None
    below: str | int | float | None = None
    at_least: str | int | float | None = None
    at_most: str | int | float | None = None
    for_: Time = Field(default=0.0, alias="for")
    hysteresis: str | int | float | None = None
    on_bad: Literal["hold", "wait"] = "hold"

    @property
    def comparison(self) -> tuple[str, Scalar]:
        """The one that is set, and its limit as written."""
        return next((c, v) for c in COMPARISONS if (v := getattr(self, c)) is not None)

    @model_validator(mode="after")
    def _one_question(self) -> WrittenCondition:
        if (self.signal is None) == (self.entered is None):
            raise problem(
                "SCH-003", "a condition asks one `signal: ROLE.SIGNAL`, or one value that was `entered`"
            )
        if sum(getattr(self, c) is not None for c in COMPARISONS) != 1:
            raise problem("SCH-003", f"a condition says one of {', '.join(COMPARISONS)}")
        if self.entered is not None and (self.for_ or self.hysteresis is not None):
            raise problem("SCH-003", "`for` and `hysteresis` belong to a `signal`")
        return self


class WrittenWhen(Written):
    """What must hold for a step to begin; else it is left out. `met`, `not_met`: what steps that decide came to."""

    entered: str | None = None
    above: str | int | float | None = None
    below: str | int | float | None = None
    at_least: str | int | float | None = None
    at_most: str | int | float | None = None
    met: str | list[str] = Field(default_factory=list)
    not_met: str | list[str] = Field(default_factory=list)

    @property
    def condition(self) -> WrittenCondition | None:
        """The question about an entered value, if it asks one."""
        compared = {c: getattr(self, c) for c in COMPARISONS}
        return WrittenCondition(entered=self.entered, **compared) if self.entered is not None else None

    @model_validator(mode="after")
    def _asks(self) -> WrittenWhen:
        if self.condition is None and not self.met and not self.not_met:
            raise problem("SCH-003", "`when` asks `entered`, `signal`, `met` or `not_met`")
        return self


class WrittenWait(Written):
    """Wait for a time, or `until` something holds, but no longer than `timeout`."""

    for_: Time | None = Field(default=None, alias="for")
    until: WrittenCondition | None = None
    timeout: Time | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> WrittenWait:
        if (self.for_ is None) == (self.until is None):
            raise problem("SCH-003", "wait says `for` how long, or `until` what")
        if self.until is not None and self.timeout is None:
            raise problem("SCH-002", "a wait until something holds needs a `timeout`", "write `timeout: 4 h`")
        return self


class WrittenDecide(Written):
    """Ask once whether something holds; later steps say `when: {met: ID}`. `otherwise: hold` stops for a person."""

    if_: WrittenCondition = Field(alias="if")
    otherwise: Literal["hold", "go on"] = "go on"
