"""How often a forecast looks: soon after something changed, more rarely the longer nothing does, and as a soak ends."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labctl.engine.state import RunState, StepState, soaked_s
from labctl.protocol.plan import Heat
from labctl.runtime.controller import Controller

SHORTEST_S = 10.0
"""A forecast looks again so soon after something changed (sooner, where a coarse scan is shorter)."""

QUIET_SHARE = 0.01
"""Later after so much of the time in which nothing has changed: nothing is taken to last longer by more than that."""

WHOLE_S = 5.0
"""Scans lie whole multiples of this apart: the ticks of a coarse plant."""

AS_BEFORE = 0.9
"""A half cycle passes the charge of the one before it, so before this share of its time it has not ended (assumed:
it fades by less)."""


class Unhurried(Controller):
    """The controller of a forecast. The period of a chamber's coarse scan is the longest that it leaves one alone."""

    _half: tuple[str, int] = ("", 0)
    _began_s: float = 0.0
    _lasted_s: float = 0.0

    def scan(self) -> None:
        """As Controller.scan."""
        now = self.clock.now()
        super().scan()
        later_s = max(SHORTEST_S, QUIET_SHARE * (now - self.changed_s), self._cycles_s(now))
        later_s = min([later_s, *self._soaks_s()])
        self.next_s = min(self.next_s, now + WHOLE_S * math.ceil(later_s / WHOLE_S))

    def _active(self) -> Iterator[tuple[RunState, StepState]]:
        return ((run, state) for run in self.state.runs.values() for state in run.active.values())

    def _soaks_s(self) -> Iterator[float]:
        """For how long each soak under way has to go on."""
        for run, state in self._active():
            step = self.context.steps[run.plan_hash][state.id]
            if isinstance(step, Heat) and state.phase == "soak":
                segment = int(state.data["segment"])
                soaked = self.state.tally.get(soaked_s(run, step.id, segment), 0.0)
                yield max(WHOLE_S, step.segments[segment].hold_s - soaked)

    def _cycles_s(self, now: float) -> float:
        """For how long a half cycle surely has to go on, if it is all that does."""
        active = [state for _, state in self._active()]
        if len(active) != 1 or "half" not in active[0].data:
            return 0.0
        (state,) = active
        half = state.id, int(state.data["half"])
        if half != self._half:
            self._half, self._lasted_s, self._began_s = half, state.phase_s - self._began_s, state.phase_s
        # the first charge is that of a fresh cell, and says little about the discharge after it
        return self._began_s + AS_BEFORE * self._lasted_s - now if half[1] >= 2 else 0.0
