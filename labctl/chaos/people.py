"""The people of a trial: they start runs, come to a held run or do not, try again, and press buttons twice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.chaos.schedule import between, chance, pick
from labctl.engine.state import RunState
from labctl.protocol.plan import Plan
from labctl.runtime.controller import Controller
from labctl.runtime.record import InMemory

AGAIN_S = 30.0
"""After which somebody tries again what was refused."""
PATIENCE_S = (15.0, 75.0)
"""After which somebody comes to a run that waits for a person."""
NOBODY = 0.03
"""Share of seeds in which nobody comes at all: HELD ends by itself after 2 h."""
HELD = ("restart",) * 10 + ("stop", "abort")
"""What somebody does who comes to a held run."""
BUTTONS = (
    "pause",
    "resume",
    "hold",
    "restart",
    "pause",
    "resume",
    "stop",
    "abort",
    "start",
    "reset",
    "clear",
)
STORM = 12
"""Commands of one storm, some of them twice."""


@dataclass(slots=True)
class Work:
    """What one person is at: runs of one plan, one after the other until one is complete.

    waits: run, state and since when it waits for somebody. told: the run that was told to have begun.
    tried_s: when a run was last begun.
    """

    plan: Plan
    runs: int = 0
    waits: tuple[str, str, float] | None = None
    run_id: str = ""
    told: str = ""
    tried_s: float = 0.0

    @property
    def chambers(self) -> set[str]:
        """What its steps take."""
        return {step.chamber for step in self.plan.steps if step.chamber is not None}


@dataclass(slots=True)
class People:
    """Whoever works at the bench of this seed. `act` is called before every scan and says when all is over.

    storms: when somebody presses buttons. begun: told the name of each run once its steps begin.
    asked: how many requests so far. morning_s: when somebody stops what still runs: a cell may take 20 h.
    """

    controller: Controller
    record: InMemory
    seed: int
    plans: Sequence[Plan]
    storms: list[float]
    last_run_s: float
    begun: Callable[[str], None]
    hits: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    absent: bool = False
    looked_s: float = 0.0
    morning_s: float = math.inf
    works: list[Work] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.absent = chance(self.seed, "nobody") < NOBODY
        self.works = [Work(plan) for plan in self.plans]
        self.storms.sort()

    def begin(self) -> None:
        """Begin the first run of every plan."""
        for work in self.works:
            self._submit(work, self._next(work))

    def act(self, now: float, *, faults: bool) -> bool:
        """What somebody does now. True when all runs have ended, everything is cold, and nobody goes on."""
        while self.storms and now >= self.storms[0]:
            self._storm(self.storms.pop(0))
        if now >= self.looked_s + AGAIN_S:
            self.looked_s = now
            self._clear_what_is_left()
        over = [self._see_to(work, now, faults) for work in self.works]
        return all(over) and not self.controller.busy()

    def _see_to(self, work: Work, now: float, faults: bool) -> bool:
        """See to one work. True when it is over."""
        run = self.controller.state.runs.get(work.run_id)
        if run is None or (run.started_s is None and run.state == "IDLE"):
            return self._has_not_begun(work, run, now, faults)
        if run.active and work.told != run.run_id:
            work.told = run.run_id
            self.begun(run.run_id)
        if now >= self.morning_s and run.state == "RUNNING" and run.end_state is None:
            self._ask(work, "stop")
            return False
        if run.end_state is not None:
            return not self._again(work, run, now, faults)
        if run.state not in ("HELD", "PAUSED") or self.absent:
            work.waits = None
        elif work.waits is None or work.waits[:2] != (run.run_id, run.state):
            work.waits = (run.run_id, run.state, now)
        elif now - work.waits[2] >= between(self.seed, f"patience {self.asked}", *PATIENCE_S):
            work.waits = None
            self._ask(
                work, "resume" if run.state == "PAUSED" else pick(self.seed, f"held {self.asked}", HELD)
            )
        return False

    def _has_not_begun(self, work: Work, run: RunState | None, now: float, faults: bool) -> bool:
        """Its run or its start was refused, or its chamber is in custody: try again later, while there is time."""
        if now < work.tried_s + AGAIN_S:
            return False
        if not faults or now >= self.last_run_s:
            return True
        work.tried_s = now
        chambers = self.controller.state.chambers
        if run is not None:
            self._ask(work, "start")
        elif not any(chambers[name].custody or chambers[name].latched for name in work.chambers):
            self._submit(work, work.run_id)
        return False

    def _clear_what_is_left(self) -> None:
        """What has tripped again, or in custody, after its run was cleared and reset keeps others waiting."""
        state = self.controller.state
        for name, chamber in state.chambers.items():
            owner = state.runs.get(chamber.tripped_run or "")
            if chamber.latched and not self.absent and (owner is None or owner.state == "IDLE"):
                self._ask(self.works[0], "clear", chamber=name, reason="chaos")

    def _again(self, work: Work, run: RunState, now: float, faults: bool) -> bool:
        """Clear and reset what was aborted; begin another run while there is time, unless one was complete."""
        if run.state == "IDLE":
            if run.end_state == "COMPLETE" or not faults or now >= self.last_run_s:
                return False
            self._submit(work, self._next(work))
            work.tried_s = now
        elif run.state == "ABORTED" and not run.cleared:
            self._ask(work, "clear", reason="chaos")
        else:
            self._ask(work, "reset", reason="chaos")
        return True

    def _next(self, work: Work) -> str:
        work.runs += 1
        return f"{work.plan.protocol}-{work.runs}"

    def _submit(self, work: Work, run_id: str) -> None:
        work.run_id = run_id
        self._ask(work, "submit", run=run_id, plan=work.plan.plan_hash, about={})
        self._ask(work, "start")

    def _ask(self, work: Work, verb: str, **args: Any) -> None:
        """Put a request into the inbox: about its run, or, to submit one or to clear a chamber, about the bench."""
        self.asked += 1
        run = None if verb == "submit" or "chamber" in args else work.run_id
        self.record.ask(verb, args, actor="person", run=run, key=f"p{self.asked}", utc_ms=0)
        self.controller.hurry()

    def _storm(self, at_s: float) -> None:
        self.hits["commands in a storm"] += 1
        for number in range(STORM):
            work = pick(self.seed, f"storm {at_s} {number // 2} at", self.works)
            verb = pick(self.seed, f"storm {at_s} {number // 2}", BUTTONS)
            self._ask(work, verb, **({"reason": "storm"} if verb in ("clear", "reset") else {}))
