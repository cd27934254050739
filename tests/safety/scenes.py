"""How each guard is provoked: the chamber at work, a reading just inside its limit, and one just beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.model.limits import limit
from labctl.model.readings import BAD
from tests.engine.bench import Hands, cycle, dry, inert, purge, ramp, stir
from tests.engine.steps.test_cell import WEIGH

ROOT = Path(__file__).parents[2]
SHIPPED: Mapping[str, str | Path] = {
    "standard": "standard",
    "small": "small",
    "chaos": ROOT / "labctl" / "chaos" / "bench.yaml",
}
"""Every bench that comes with labctl."""

Change = Callable[[Hands], None]


class Provocation(NamedTuple):
    """inside: what must not make the guard act, however long; beyond: what must, within so many seconds.

    action: what it does then, as its `tripped` event says. at_work: what else brings its chamber to work.
    """

    inside: Change
    beyond: Change
    within_s: float
    action: str
    at_work: Change | None = None


@cache
def shipped(name: str) -> Bench:
    return load_bench(SHIPPED[name])


def declared() -> Iterator[tuple[str, str, str]]:
    """(bench, chamber, guard) of every guard of every shipped bench."""
    for name in SHIPPED:
        for chamber, spec in shipped(name).chambers.items():
            for guard in spec.guards:
                yield name, chamber, guard.guard


def items() -> Iterator[tuple[str, str, str]]:
    """(bench, chamber, item) of every safe-state item of every shipped bench."""
    for name in SHIPPED:
        for chamber, spec in shipped(name).chambers.items():
            for item in spec.safe_state:
                yield name, chamber, item


def at_work(bench: str, chamber: str) -> Hands:
    """The chamber in the middle of what it is for, and nothing wrong."""
    spec = shipped(bench)
    match spec.chambers[chamber].kind:
        case "tube":
            heat = inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6)
            hands = Hands(purge(timeout_s=1e5), heat, bench=spec)
            hands.heated(300.0)
        case "oven":
            hands = Hands(dry(segments=(ramp(100.0, 1e6),), timeout_s=2e6), bench=spec)
            hands.start()
            hands.phase("dry", "ramp")
            hands.values["oven.temperature"] = 100.0
            hands.go(10.0)
        case "vessel":
            hands = Hands(stir(duration_s=1e6, timeout_s=2e6), bench=spec)
            hands.start()
            hands.phase("stir", "stir")
        case "cell":
            hands = Hands(WEIGH, cycle(), bench=spec)
            hands.start()
            hands.until(lambda: bool(hands.run.prompts), 20.0)
            hands.ask("answer", prompt="weigh", values={"active_mass": 2.0})
            hands.phase("cycle", "limit", 60.0)
            hands.values["cycler.limited"] = 1.0
    return hands


def _set(key: str, value: float) -> Change:
    def change(hands: Hands) -> None:
        hands.values[key] = value

    return change


def _heater(hands: Hands) -> str:
    """The heater of the chamber that is at work."""
    return next(
        r.heater for n, r in hands.context.rigs.items() if r.heater and hands.state.chambers[n].energised
    )


def _warmer(by_k: float) -> Change:
    """So far above the setpoint."""

    def change(hands: Hands) -> None:
        heater = _heater(hands)
        hands.values[f"{heater}.temperature"] = (300.0 if heater == "furnace" else 100.0) + by_k

    return change


def _off_and_risen(by_k: float) -> Change:
    """Off for longer than a heater takes to show it, then so much warmer."""

    def change(hands: Hands) -> None:
        heater = _heater(hands)
        key = f"{heater}.temperature"
        assert hands.ask("hold")[1]
        assert hands.ask("stop")[1]
        hands.values[key] = 80.0
        if heater == "furnace":
            hands.values["furnace-monitor.temperature"] = 80.0
        hands.go(limit("stuck_heater_after") + 30.0)
        hands.values[key] = 80.0 + by_k

    return change


def _break(hands: Hands) -> None:
    hands.quality[f"{_heater(hands)}.temperature"] = BAD


def _flow(sccm: float) -> Change:
    def change(hands: Hands) -> None:
        hands.outcome["set_flow"] = "acknowledged"
        hands.values["nitrogen.flow"] = sccm

    return change


def _lost(fraction: float) -> Change:
    def change(hands: Hands) -> None:
        _flow(fraction * hands.context.rigs["tube"].protective_sccm)(hands)

    return change


def _silence(hands: Hands) -> None:
    """What watches the chamber, or else what works in it, falls silent."""
    chamber = next(n for n, c in hands.state.chambers.items() if c.run == "run-1")
    rig = hands.context.rigs[chamber]
    hands.silence((*rig.thermometers, rig.cycler)[-1] or rig.thermometers[-1])


def _nothing(hands: Hands) -> None:
    """As it is."""


PROVOCATIONS: Mapping[str, Provocation] = {
    "over_temperature": Provocation(_warmer(24.9), _warmer(25.2), 20.0, "abort"),
    "stuck_heater": Provocation(_off_and_risen(2.9), _off_and_risen(3.2), 20.0, "abort"),
    "sensor": Provocation(_nothing, _break, 20.0, "abort"),
    "nitrogen_lost": Provocation(_lost(1.9), _lost(0.99), 6.0, "hold (cool)"),
    "nitrogen_low": Provocation(_flow(160.0), _flow(159.0), 6.0, "hold (cool)"),
    "oxygen_high": Provocation(
        _set("oxygen.oxygen", 999.0), _set("oxygen.oxygen", 1001.0), 2.0, "hold (cool)"
    ),
    "silent": Provocation(_nothing, _silence, 60.0, "hold"),
    "cell_limits": Provocation(_set("cycler.voltage", 4.09), _set("cycler.voltage", 4.11), 10.0, "abort"),
}
"""By guard. Every guard of a shipped bench has one."""
