"""How each guard is provoked: the chamber at work, a reading just inside its limit, and one just beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.engine.reserve import needed_l
from labctl.engine.scan import Scan
from labctl.model.limits import limit
from labctl.model.readings import BAD, Image
from tests.engine.bench import Hands, cycle, dry, inert, purge, ramp, stir, weigh
from tests.engine.steps.test_cell import WEIGH

ROOT = Path(__file__).parents[2]
SHIPPED: Mapping[str, str | Path] = {
    "standard": "standard",
    "small": "small",
    "synthesis": "synthesis",
    "chaos": ROOT / "labctl" / "chaos" / "bench.yaml",
}
"""Every bench that comes with labctl."""

Change = Callable[[Hands], None]


class Provocation(NamedTuple):
    """inside: what must not make the guard act, however long; beyond: what must, within so many seconds.

    action: what it does then, as its `tripped` event begins. celsius, output: how hot a tube is meanwhile, and what
    its heater is given, in %.
    """

    inside: Change
    beyond: Change
    within_s: float
    action: str
    celsius: float = 300.0
    output: float = 0.0


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


def guarded(bench: str, chamber: str, guard: str) -> Bench:
    """A shipped bench with this guard alone on the chamber: what is seen then is its doing."""
    spec = shipped(bench)
    alone = tuple(g for g in spec.chambers[chamber].guards if g.guard == guard)
    changed = spec.chambers[chamber].model_copy(update={"guards": alone})
    return spec.model_copy(update={"chambers": {**spec.chambers, chamber: changed}})


def provoked(bench: str, chamber: str, guard: str) -> Hands:
    """The chamber of a guard at work, before anything is done to it."""
    scene = PROVOCATIONS[guard]
    return at_work(guarded(bench, chamber, guard), chamber, scene.celsius, scene.output, physics=True)


def at_work(
    spec: Bench, chamber: str, celsius: float = 300.0, output: float = 0.0, *, physics: bool = False
) -> Hands:
    """The chamber in the middle of what it is for, and nothing wrong."""
    match spec.chambers[chamber].kind:
        case "tube":
            heat = inert(segments=(ramp(celsius, 1e6),), timeout_s=2e6)
            hands = Hands(purge(timeout_s=1e5), heat, bench=spec, physics=physics)
            hands.values["oxygen.oxygen"] = 5.0
            hands.start()
            hands.phase("heat", "ramp", 1e4)
            hands.values["furnace.output"] = output
            while (now := hands.values["furnace.temperature"] or 0.0) < celsius:
                hands.at(min(celsius, now + 20.0))
                hands.scan()
            hands.go(65.0)
        case "oven":
            hands = Hands(dry(segments=(ramp(100.0, 1e6),), timeout_s=2e6), bench=spec, physics=physics)
            hands.start()
            hands.phase("dry", "ramp")
            hands.values["oven.temperature"] = 100.0
            hands.go(10.0)
        case "vessel":
            hands = Hands(stir(duration_s=1e6, timeout_s=2e6), bench=spec)
            hands.start()
            hands.phase("stir", "stir")
        case "pan":
            hands = Hands(weigh(), bench=spec)
            hands.start()
            hands.phase("weigh", "vessel")
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
        key = f"{_heater(hands)}.temperature"
        hands.values[key] = (hands.values[key] or 0.0) + by_k

    return change


def _jump(furnace_k: float, oven_k: float) -> Change:
    """So much between two scans: an oven is read every ten seconds."""

    def change(hands: Hands) -> None:
        _warmer(furnace_k if _heater(hands) == "furnace" else oven_k)(hands)

    return change


def _output(percent: float) -> Change:
    """Heat goes in (an oven follows its setpoint), and the thermometer stays where it is."""

    def change(hands: Hands) -> None:
        heater = _heater(hands)
        if f"{heater}.output" in hands.values:
            hands.values[f"{heater}.output"] = percent
            return
        began, image = hands.now, hands.image
        key = f"{heater}.working_setpoint"

        def ramping() -> Image:
            read = image()
            return read | {key: read[key]._replace(value=100.0 + (hands.now - began) * percent / 100.0)}

        hands.image = ramping  # type: ignore[method-assign]

    return change


def _apart(by_k: float) -> Change:
    def change(hands: Hands) -> None:
        hands.values["furnace-monitor.temperature"] = (hands.values["furnace.temperature"] or 0.0) - by_k

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
    watching = [name for name in (*rig.thermometers, rig.cycler) if name] or rig.instruments
    hands.silence(watching[-1])


def _behind(by_k: float) -> Change:
    def change(hands: Hands) -> None:
        heater = _heater(hands)
        hands.values[f"{heater}.working_setpoint"] = (hands.values[f"{heater}.temperature"] or 0.0) + by_k

    return change


def _dialled(by: float) -> Change:
    """Somebody turns the setpoint of what works: of its heater or its stirrer."""

    def change(hands: Hands) -> None:
        chamber = next(n for n, c in hands.state.chambers.items() if c.run == "run-1")
        rig = hands.context.rigs[chamber]
        key = "hotplate.speed_setpoint" if rig.stirrer else f"{rig.heater}.setpoint"
        hands.values[key] = (hands.values[key] or 0.0) + by

    return change


def _fired(share: float) -> Change:
    """It has been heated for so much of what this bench allows."""

    def change(hands: Hands) -> None:
        tightened = next(
            w.tightened for w in hands.context.rigs["tube"].watches if w.guard == "fired_too_long"
        )
        allowed_s = limit("fired_factor", tightened) * hands.state.tally["run-1/tube/planned_s"]
        hands.state.tally["run-1/tube/fired_s"] = share * allowed_s

    return change


def _nothing(hands: Hands) -> None:
    """As it is."""


def _reserve(times: float) -> Change:
    """The cylinder holds so many times what a cool-down from here takes."""

    def change(hands: Hands) -> None:
        supply = hands.context.rigs["tube"].supply
        assert supply is not None
        assert supply.litres_per_bar is not None
        scan = Scan(hands.context, hands.state, hands.now, 1.0, hands.image())
        hands.values["io.cylinder_pressure"] = times * needed_l(scan, supply.name) / supply.litres_per_bar

    return change


PROVOCATIONS: Mapping[str, Provocation] = {
    "over_temperature": Provocation(_warmer(24.9), _warmer(25.2), 20.0, "abort"),
    "stuck_heater": Provocation(_off_and_risen(2.9), _off_and_risen(3.2), 20.0, "abort"),
    "sensor": Provocation(_nothing, _break, 20.0, "abort"),
    "sensor_jump": Provocation(_jump(-49.0, 490.0), _jump(-51.0, 510.0), 20.0, "abort"),
    "detached_sensor": Provocation(_output(0.0), _output(100.0), 300.0, "hold", celsius=40.0),
    "frozen_sensor": Provocation(_nothing, _output(100.0), 600.0, "hold", celsius=200.0, output=15.0),
    "thermometers_disagree": Provocation(_apart(19.9), _apart(20.1), 31.0, "hold (cool)"),
    "nitrogen_lost": Provocation(_lost(1.9), _lost(0.99), 6.0, "hold (cool)"),
    "nitrogen_low": Provocation(_flow(160.0), _flow(159.0), 6.0, "hold (cool)"),
    "oxygen_high": Provocation(
        _set("oxygen.oxygen", 999.0), _set("oxygen.oxygen", 1001.0), 2.0, "hold (cool)"
    ),
    "limiter": Provocation(_nothing, _set("io.limiter", 0.0), 2.0, "abort"),
    "estop_contact": Provocation(_nothing, _set("io.estop", 0.0), 20.0, "abort"),
    "tube_pressure": Provocation(
        _set("io.tube_pressure", 0.099), _set("io.tube_pressure", 0.201), 2.0, "abort"
    ),
    "tube_integrity": Provocation(
        _set("io.tube_pressure", 0.0035), _set("io.tube_pressure", 0.0), 4.0, "abort"
    ),
    "extraction": Provocation(_nothing, _set("io.extraction", 0.0), 20.0, "hold (cool)"),
    "water": Provocation(_nothing, _set("io.water", 0.0), 2.0, "hold (cool)"),
    "contactor": Provocation(_nothing, _set("io.contactor", 0.0), 2.0, "hold (cool)"),
    "door": Provocation(_nothing, _set("io.door", 0.0), 2.0, "hold (cool)"),
    "room_oxygen": Provocation(
        _set("io.room_oxygen", 18.1), _set("io.room_oxygen", 17.9), 2.0, "hold (cool)"
    ),
    "room_co": Provocation(_set("io.room_co", 59.0), _set("io.room_co", 61.0), 2.0, "hold (cool)"),
    "gas_reserve": Provocation(_reserve(1.01), _reserve(0.99), 3.0, "stop"),
    "silent": Provocation(_nothing, _silence, 60.0, "hold"),
    "controller_reset": Provocation(_nothing, _set("furnace.manual", 1.0), 2.0, "hold (cool)"),
    "flow_deviation": Provocation(_flow(219.0), _flow(221.0), 17.0, "hold (maintain)"),
    "panel_change": Provocation(_dialled(0.4), _dialled(15.0), 60.0, "hold (maintain)"),
    "no_heat": Provocation(_output(98.9), _output(99.1), 605.0, "hold (cool)"),
    "ramp_deviation": Provocation(_behind(29.9), _behind(30.1), 620.0, "hold (cool)"),
    "fired_too_long": Provocation(_fired(0.93), _fired(1.07), 2.0, "hold (cool)"),
    "cell_limits": Provocation(_set("cycler.voltage", 4.09), _set("cycler.voltage", 4.11), 10.0, "abort"),
}
"""By guard. Every guard of a shipped bench has one."""
