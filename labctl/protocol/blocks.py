"""The blocks of the language that are gone once a protocol is put together and written out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from labctl.protocol.words import NAME, Count, Scalar, Written, problem

Rounds = Annotated[Count, Field(le=100)]
"""Of a repeat that ends by itself: each asks what all before it came to."""


class WrittenRepeat(Written):
    """Steps again and again: so many `times`, once for `each` value `in` a list (or for each sample), or `until`.

    Each round's ids end in its number or value. `otherwise`: what follows when `until` did not hold `at_most` times.
    """

    times: Count | None = None
    each: str | None = Field(default=None, pattern=f"^{NAME}$")
    in_: list[Scalar] | None = Field(default=None, alias="in", min_length=1)
    until: Any = None
    at_most: Rounds | None = None
    otherwise: Literal["hold", "go on"] = "hold"
    steps: list[Any] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> WrittenRepeat:
        ways = [self.times is not None, self.each is not None, self.until is not None]
        if sum(ways) != 1:
            raise problem("SCH-003", "a repeat says one of `times`, `each` and `until`")
        if self.each not in (None, "sample") and self.in_ is None:
            raise problem("SCH-002", f"`each: {self.each}` wants its values", "write `in: [...]`")
        return self
