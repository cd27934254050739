"""The people of a trial: they start runs, come to a held run or do not, try again, and press buttons twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labctl.chaos.schedule import between, chance, pick
from labctl.forecast import Rehearsal
from labctl.runtime.record import InMemory

PATIENCE_S = (20.0, 400.0)
"""After which somebody comes to a run that waits for a person."""
NOBODY = 0.1
"""Share of seeds in which nobody comes at all: HELD ends by itself after 2 h."""
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


class People:
    """Whoever works at the bench of this seed. `act` is called before every scan and says when all is over."""

    def __init__(
        self,
        rehearsal: Rehearsal,
        record: InMemory,
        seed: int,
        storms: Sequence[Mapping[str, Any]],
        last_run_s: float,
    ) -> None:
        self.rehearsal = rehearsal
        self.record = record
        self.seed = seed
        self.last_run_s = last_run_s
        self.storms = sorted(float(s["at_s"]) for s in storms)
        self.hits: Counter[str] = Counter()
        self.runs = 0
        self.asked = 0
        self.absent = chance(seed, "nobody") < NOBODY
        self._waits_since: tuple[str, str, float] | None = None

    @property
    def run_id(self) -> str:
        """The newest run."""
        return f"run-{self.runs}"

    def submit(self) -> None:
        """Begin another run."""
        self.runs += 1
        self.rehearsal.submit(self.run_id, {})
        self.rehearsal.controller.hurry()

    def ask(self, verb: str, **args: Any) -> None:
        """Put a request into the inbox."""
        self.asked += 1
        self.record.ask(verb, args, actor="person", run=self.run_id, key=f"p{self.asked}", utc_ms=0)
        self.rehearsal.controller.hurry()

    def act(self, now: float, *, faults: bool) -> bool:
        """What somebody does now. True when all runs have ended, everything is cold, and nobody goes on."""
        controller = self.rehearsal.controller
        while self.storms and now >= self.storms[0]:
            self._storm(self.storms.pop(0))
        run = controller.state.runs.get(self.run_id)
        if run is None:
            return controller.scans > 2
        if run.end_state is not None:
            return not controller.busy() and not self._again(now, faults, run.state, run.cleared)
        waits = run.state in ("HELD", "PAUSED") and not self.absent
        if not waits:
            self._waits_since = None
        elif self._waits_since is None or self._waits_since[:2] != (run.run_id, run.state):
            self._waits_since = (run.run_id, run.state, now)
        elif now - self._waits_since[2] >= between(self.seed, f"patience {self.asked}", *PATIENCE_S):
            self._waits_since = None
            if run.state == "PAUSED":
                self.ask("resume")
            else:
                self.ask(
                    pick(self.seed, f"held {self.asked}", ("restart", "restart", "restart", "stop", "abort"))
                )
        return False

    def _again(self, now: float, faults: bool, state: str, cleared: bool) -> bool:
        """Clear and reset what was aborted; begin another run while there is time."""
        if state == "IDLE":
            if faults and now < self.last_run_s:
                self.submit()
                return True
            return False
        if state == "ABORTED" and not cleared:
            self.ask("clear", reason="chaos")
        else:
            self.ask("reset", reason="chaos")
        return True

    def _storm(self, at_s: float) -> None:
        self.hits["commands in a storm"] += 1
        for number in range(STORM):
            verb = pick(self.seed, f"storm {at_s} {number // 2}", BUTTONS)
            self.ask(verb, **({"reason": "storm"} if verb in ("clear", "reset") else {}))
