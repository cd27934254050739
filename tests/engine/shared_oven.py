"""A bench whose oven is shared, for tests of what runs and people do with it."""

from __future__ import annotations

from typing import Any

from labctl.bench.schema import Bench
from labctl.engine.context import with_plan
from labctl.engine.state import ChamberState, RunState
from labctl.protocol.plan import AnyStep, Charge, Heat, Segment
from tests.engine.bench import Hands, bare, bundled, dry, plan_of

OVEN = "drying-oven"


def oven(bench: Bench, **changes: Any) -> Bench:
    """The bench with another oven."""
    changed = bench.chambers[OVEN].model_copy(update=changes)
    return bench.model_copy(update={"chambers": {**bench.chambers, OVEN: changed}})


def at(target_c: float = 40.0, hold_s: float = 3600.0, **more: Any) -> Heat:
    """Drying as fast as the oven can."""
    segment = Segment(target_c=target_c, ramp_k_per_min=more.pop("ramp", 0.0), hold_s=hold_s)
    return dry(**{"segments": (segment,), "timeout_s": 50_000.0} | more)


class Oven(Hands):
    """A bench whose oven is shared. Its air is at its setpoint at once, from 22 degC on."""

    def __init__(self, *steps: AnyStep, **changes: Any) -> None:
        charge = changes.pop("charge", None)
        bench = bundled("small") if "io" in changes else bare("small")
        super().__init__(*steps, bench=oven(bench, **{"shared": True} | changes), charge=charge)
        self.follows = True

    def scan(self, *args: Any, **more: Any) -> Any:
        decision = super().scan(*args, **more)
        if self.follows:
            self.values["oven.temperature"] = max(22.0, self.values["oven.setpoint"] or 0.0)
        return decision

    @property
    def oven(self) -> ChamberState:
        return self.state.chambers[OVEN]

    def of_run(self, name: str) -> RunState:
        return self.state.runs[name]

    def begin(self, run: str, *steps: AnyStep, charge: Charge | None = None) -> None:
        plan = plan_of(*steps, charge=charge)
        self.context = with_plan(self.context, plan)
        assert self.ask("submit", None, run=run, plan=plan.plan_hash) == ("accepted", True)
        assert self.ask("start", run) == ("accepted", True)

    def soaks(self, run: str = "run-1") -> None:
        """Scan until it does."""
        self.until(lambda: any(s.phase == "soak" for s in self.of_run(run).active.values()), 5000.0)

    def ends(self, run: str, state: str, within_s: float = 20_000.0) -> None:
        self.until(lambda: self.of_run(run).end_state == state, within_s)

    def heats(self) -> list[tuple[str, float]]:
        """What was sent to the heater, (verb, setpoint)."""
        return [(c.verb, c.args.get("target_c", 20.0)) for c in self.sent("heat", "heat_off")]


def two(first_s: float = 3600.0, second_s: float = 3600.0, **of_oven: Any) -> Oven:
    """Two runs that soak at 40 degC; the first leads."""
    hands = Oven(at(hold_s=first_s), **of_oven)
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=second_s))
    hands.soaks("run-2")
    return hands


def keep(hands: Oven, setpoint_c: object = 40.0, for_s: float = 7200.0, **more: Any) -> tuple[str, bool]:
    """Somebody asks for the oven at a setpoint."""
    said = {"chamber": OVEN, "for_s": for_s, "reason": "drying", "contents": "electrodes"}
    return hands.ask("reserve", None, **said | {"setpoint_c": setpoint_c} | more)
