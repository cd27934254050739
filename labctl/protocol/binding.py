"""A protocol bound to a bench: roles become instruments, steps get chambers, expected times and time-outs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError as SchemaError

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.model.limits import limit
from labctl.model.quantity import DIMENSIONS, QuantityError, parse
from labctl.protocol import estimates
from labctl.protocol import schema as written
from labctl.protocol.conditions import WrittenDecide, WrittenWait
from labctl.protocol.declared import made, published, substances
from labctl.protocol.inquiry import NEVER_LEFT_OUT, Inquiry, of_sample
from labctl.protocol.order import apart, shared
from labctl.protocol.plan import (
    ACTIVE_MASS,
    After,
    AnyStep,
    Charge,
    Checkpoint,
    Condition,
    Cool,
    Cycle,
    Decide,
    Entry,
    Gas,
    Heat,
    LeakCheck,
    Manual,
    Measure,
    Parameter,
    Plan,
    Purge,
    Requirement,
    Segment,
    Stir,
    Unload,
    Wait,
)
from labctl.protocol.portions import Portions
from labctl.protocol.roles import Cast
from labctl.protocol.source import Document, Path
from labctl.protocol.words import Relation

HEATERS = ("tube_furnace", "oven", "solvent_dryer")
DENSITY_G_PER_ML = {"thf": 0.883, "ethanol": 0.789, "water": 1.0}
"""At 25 degC (handbook values, rounded)."""
ONE_C_MA_PER_G = {"Na3V2(PO4)3": 117.0}
"""What 1C means (paper: 1 C = 117 mA g-1; not the theoretical 117.6)."""
DERIVED = {"solvent_loss": "percent"}
"""Quantities that labctl works out from weighings, and their dimensions."""
MARGIN_S = 1800.0
"""Added to every time-out, for settling and for slow people at flanges (assumed)."""


def bind(
    protocol: written.WrittenProtocol, document: Document, parameters: Mapping[str, Parameter], bench: Bench
) -> tuple[Plan | None, list[Finding]]:
    """The plan, or None, and everything that keeps the protocol from being bound."""
    cast = Cast(protocol.roles, document, bench)
    cast.bind()
    portions = Portions(protocol, bench, cast)
    binder = _Binder(protocol, parameters, bench, cast, Inquiry(cast), portions)
    steps = [binder.step(i, step) for i, step in enumerate(protocol.steps)]
    charge = protocol.charge
    expected = published(protocol, parameters, cast)
    contents = substances(protocol, cast)
    if any(f.severity == "error" for f in cast.findings):
        return None, cast.findings
    plan = Plan(
        protocol=protocol.protocol,
        title=protocol.title,
        source=protocol.source,
        parameters=tuple(parameters.values()),
        roles=cast.bound,
        product=made(protocol, cast),
        charge=Charge(
            thf_g=_grams(thf=charge.thf),
            ethanol_g=_grams(ethanol=charge.ethanol),
            water_g=_grams(water=charge.water),
        ),
        contents=contents,
        expected=expected,
        steps=tuple(s for s in steps if s is not None),
        bench_identity=bench.identity,
        simulated=bench.simulated,
    )
    for one, other in apart(plan):
        both = shared(plan.steps[one], plan.steps[other])
        if both is not None:
            message = (
                f"{plan.steps[one].id!r} and {plan.steps[other].id!r} may happen at once, and both use {both}"
            )
            cast.error("STEP-004", ("steps", other), message, "put them into one branch")
    return (None if any(f.severity == "error" for f in cast.findings) else plan), cast.findings


def _grams(**volumes_ml: float) -> float:
    return _round(sum(ml * DENSITY_G_PER_ML[name] for name, ml in volumes_ml.items()))


def _round(value: float) -> float:
    """To a millionth: derived numbers must not depend on the last bit of a logarithm."""
    return round(value, 6)


@dataclass
class _Binder:
    protocol: written.WrittenProtocol
    parameters: Mapping[str, Parameter]
    bench: Bench
    cast: Cast
    inquiry: Inquiry
    portions: Portions
    seen: dict[str, int] = field(default_factory=dict)
    hot_c: dict[str, float] = field(default_factory=dict)
    """Highest the chamber may still be, by the last heat step in it."""
    warm_c: dict[str, float] = field(default_factory=dict)
    """Where a chamber is left to start from: its last target after `continue` or `hold`."""
    gas_of: dict[str, str] = field(default_factory=dict)
    """The gas controller last used in a chamber."""

    def gas(self, under: written.Under | None, chamber: str | None, path: Path) -> Gas | None:
        if under is None:
            return None
        name = self.cast.instrument(under.gas, (*path, "gas"), "gas_flow")
        if name is None:
            return None
        if self.bench.instruments[name].chamber != chamber:
            self.cast.error("BIND-004", (*path, "gas"), f"{name} does not feed chamber {chamber}")
        if chamber is not None:
            self.gas_of[chamber] = name
        return Gas(instrument=name, flow_sccm=under.flow)

    # -- steps

    def step(self, index: int, step: written.WrittenStep) -> AnyStep | None:
        if step.id in self.seen:
            here: Path = ("steps", index, "id")
            file, line, _ = self.cast.document.spot(("steps", self.seen[step.id], "id"))
            elsewhere = f" of {file}" if file != self.cast.document.spot(here).file else ""
            hint = f"first at line {line}{elsewhere}"
            self.cast.error("STEP-003", here, f"duplicate step id {step.id!r}", hint)
        self.seen.setdefault(step.id, index)
        at: Path = ("steps", index, step.kind)
        asked = self.asked(index, step)
        try:
            bound = self.kind(index, step, at)
        except SchemaError:  # an expected time that is not finite
            message = f"step {step.id!r} takes longer than anybody can plan on this bench"
            self.cast.error("BIND-006", at, message, "look at its numbers, and at those of the bench file")
            return None
        if bound is None:
            return None
        if isinstance(bound, Manual | Measure):
            self.inquiry.entered |= {entry.name: entry.unit for entry in bound.enter}
        elif isinstance(bound, Decide):
            self.inquiry.decided.add(bound.id)
        return bound.model_copy(update=asked) if asked else bound

    def asked(self, index: int, step: written.WrittenStep) -> dict[str, object]:
        """What is said about when a step begins, and for which sample it is."""
        path: Path = ("steps", index)
        asked: dict[str, object] = {}
        if step.when:
            must = step.kind in NEVER_LEFT_OUT or (step.manual is not None and step.manual.require)
            if must:
                message = f"step {step.id!r} must not be left out: safety rests on it"
                self.cast.error("STEP-005", (*path, "when"), message, "put `when` on other steps", key=True)
            asked["when"] = self.inquiry.whens(step.when, step.sample, (*path, "when"))
        if step.needs is not None:
            for nth, name in enumerate(step.needs):
                if self.seen.get(name, index) >= index:
                    message = f"there is no step {name!r} before this one"
                    near = self.cast.near(name, (n for n, i in self.seen.items() if i < index))
                    self.cast.error("STEP-006", (*path, "needs", nth), message, near)
            asked["needs"] = tuple(step.needs)
        if step.sample is not None:
            if step.sample not in self.protocol.samples:
                message = f"there is no sample {step.sample!r}"
                near = self.cast.near(step.sample, self.protocol.samples)
                self.cast.error("STEP-007", (*path, "sample"), message, near)
            asked["sample"] = step.sample
        return asked

    def kind(self, index: int, step: written.WrittenStep, at: Path) -> AnyStep | None:
        if step.stir:
            return self.stir(step, step.stir, at)
        if step.heat:
            return self.heat(index, step, step.heat, at)
        if step.purge:
            return self.purge(step, step.purge, at)
        if step.leak_check:
            return self.leak_check(step, step.leak_check, at)
        if step.cool:
            return self.cool(step, step.cool, at)
        if step.unload:
            return self.unload(step, step.unload, at)
        if step.cycle:
            return self.cycle(step, step.cycle, at)
        if step.wait:
            return self.wait(step, step.wait, at)
        if step.decide:
            return self.decide(step, step.decide, at)
        if step.weigh:
            return self.portions.weigh(step, step.weigh, at)
        if step.dispense:
            return self.portions.dispense(step, step.dispense, at)
        if step.measure:
            entries = _entries(step.measure.enter, step.sample)
            measure = step.measure
            return Measure(
                id=step.id, title=step.title, what=measure.what, enter=entries, attach=tuple(measure.attach),
                within_s=measure.within,
            )  # fmt: skip
        if step.voltammetry or step.impedance:
            block = step.voltammetry or step.impedance
            assert block is not None
            self.cast.instrument(block.with_, (*at, "with"), "potentiostat")
            return None
        assert step.manual is not None
        return self.manual(step, step.manual, at)

    def wait(self, step: written.WrittenStep, wait: WrittenWait, at: Path) -> Wait | None:
        if wait.until is None:
            return Wait(id=step.id, title=step.title, duration_s=wait.for_ or 0.0)
        until = self.inquiry.condition(wait.until, step.sample, (*at, "until"))
        if until is None:
            return None
        where = self.watched(until, (*at, "until", "signal"))
        return Wait(
            id=step.id, title=step.title, duration_s=0.0, until=until, timeout_s=wait.timeout, **where
        )  # fmt: skip

    def decide(self, step: written.WrittenStep, decide: WrittenDecide, at: Path) -> Decide | None:
        condition = self.inquiry.condition(decide.if_, step.sample, (*at, "if"))
        if condition is None:
            return None
        where = self.watched(condition, (*at, "if", "signal"))
        return Decide(
            id=step.id, title=step.title, condition=condition, otherwise=decide.otherwise, **where
        )  # fmt: skip

    def watched(self, condition: Condition, path: Path) -> dict[str, Any]:
        """The instrument and chamber that must be read for a condition."""
        if condition.instrument is None:
            return {}
        chamber = self.cast.chamber(condition.instrument, path)
        return {"instruments": (condition.instrument,), "chamber": chamber}

    def stir(self, step: written.WrittenStep, stir: written.WrittenStir, at: Path) -> Stir | None:
        name = self.cast.instrument(stir.with_, (*at, "with"), "hotplate_stirrer")
        if name is None:
            return None
        timeout = stir.timeout if stir.timeout is not None else stir.for_ + MARGIN_S
        return Stir(
            id=step.id, title=step.title, instruments=(name,), chamber=self.bench.instruments[name].chamber,
            stirrer=name, speed_rpm=stir.speed, duration_s=stir.for_, timeout_s=timeout,
        )  # fmt: skip

    def heat(self, index: int, step: written.WrittenStep, heat: written.WrittenHeat, at: Path) -> Heat | None:
        name = self.cast.instrument(heat.with_, (*at, "with"), *HEATERS)
        chamber = self.cast.chamber(name, (*at, "with"))
        gas = self.gas(heat.under, chamber, (*at, "under"))
        if name is None or chamber is None:
            return None
        segments = _segments(heat)
        holds = sum(s.hold_s for s in segments)
        catch_up = heat.catch_up if heat.catch_up is not None else max(MARGIN_S, 0.1 * holds)
        where = self.bench.chambers[chamber]
        start = self.warm_c.get(chamber, self.bench.ambient_c)
        ramps = estimates.ramps_s(segments, start, where, self.bench.ambient_c)
        timeout = (
            heat.timeout if heat.timeout is not None else _round(1.5 * ramps + holds + catch_up + MARGIN_S)
        )
        after = heat.after or self.after(index, heat.with_)
        self.hot_c[chamber] = max(s.target_c for s in segments)
        self.warm_c[chamber] = (
            segments[-1].target_c if after in ("continue", "hold") else self.bench.ambient_c
        )
        point = heat.checkpoint
        return Heat(
            id=step.id, title=step.title, chamber=chamber, heater=name,
            instruments=self.cast.crew(chamber, name, gas.instrument if gas else None),
            segments=segments, band_k=heat.band, atmosphere=heat.atmosphere, under=gas,
            checkpoints=(Checkpoint(at_s=point.at, do=point.do),) if point else (),
            after=after, min_rate_k_per_min=heat.min_rate, catch_up_s=catch_up, timeout_s=timeout,
            resume=heat.resume,
        )  # fmt: skip

    def after(self, index: int, role: str) -> After:
        """Heaters cool by default, unless the next step goes on with the same one."""
        following = self.protocol.steps[index + 1] if index + 1 < len(self.protocol.steps) else None
        work = (following.heat or following.cool) if following else None
        return "continue" if work is not None and work.with_ == role else "cool"

    def purge(self, step: written.WrittenStep, purge: written.WrittenPurge, at: Path) -> Purge | None:
        gas = self.cast.instrument(purge.with_, (*at, "with"), "gas_flow")
        washed = self.cast.instrument(purge.into, (*at, "into"))
        chamber = self.cast.chamber(washed, (*at, "into"))
        if gas is None or chamber is None:
            return None
        if self.bench.instruments[gas].chamber != chamber:
            self.cast.error("BIND-004", (*at, "with"), f"{gas} does not feed chamber {chamber}")
        volume = self.bench.chambers[chamber].volume_cm3
        if volume is None:
            self.cast.error(
                "BIND-005",
                (*at, "into"),
                f"chamber {chamber} has no `volume_cm3`",
                "a purge is judged by volumes",
            )
            return None
        self.gas_of[chamber] = gas
        expected = estimates.purge_s(
            volume, purge.flow, purge.until_oxygen_below, purge.stable, purge.volumes
        )
        if not math.isfinite(expected):
            message = f"{purge.until_oxygen_below:g} ppm at {purge.flow:g} sccm can never be reached"
            hint = f"nitrogen 5.0 carries {estimates.NITROGEN_OXYGEN_PPM:g} ppm itself"
            self.cast.error("GAS-002", (*at, "until_oxygen_below"), message, hint)
            return None
        crew = self.cast.crew(chamber, gas, washed)
        analysers = [n for n in crew if "oxygen" in self.bench.instruments[n].provides]
        return Purge(
            id=step.id, title=step.title, chamber=chamber, instruments=crew, gas=gas,
            analyser=analysers[0] if analysers else None, flow_sccm=purge.flow,
            oxygen_below_ppm=purge.until_oxygen_below, stable_s=purge.stable, volumes=purge.volumes,
            volume_cm3=volume, expected_s=_round(expected),
            timeout_s=purge.timeout if purge.timeout is not None else _round(2 * expected + purge.stable),
        )  # fmt: skip

    def leak_check(
        self, step: written.WrittenStep, check: written.WrittenLeakCheck, at: Path
    ) -> LeakCheck | None:
        gas = self.cast.instrument(check.with_, (*at, "with"), "gas_flow")
        washed = self.cast.instrument(check.into, (*at, "into"))
        chamber = self.cast.chamber(washed, (*at, "into"))
        if gas is None or chamber is None:
            return None
        if self.bench.instruments[gas].chamber != chamber:
            self.cast.error("BIND-004", (*at, "with"), f"{gas} does not feed chamber {chamber}")
        crew = self.cast.crew(chamber, gas, washed)
        analyser = next((n for n in crew if "oxygen" in self.bench.instruments[n].provides), None)
        if analyser is None:
            message = f"no oxygen analyser in chamber {chamber}: nothing tells of a leak"
            self.cast.error("BIND-008", (*at, "into"), message)
            return None
        self.gas_of[chamber] = gas
        volume = self.bench.chambers[chamber].volume_cm3 or 0.0
        limit_ppm = estimates.leak_ppm(check.below, check.flow)
        expected = estimates.purge_s(volume, check.flow, limit_ppm, check.for_, 0.0)
        return LeakCheck(
            id=step.id, title=step.title, chamber=chamber, instruments=crew, gas=gas, analyser=analyser,
            flow_sccm=check.flow, below_sccm=check.below, duration_s=check.for_, expected_s=_round(expected),
            timeout_s=check.timeout if check.timeout is not None else _round(2 * expected + MARGIN_S),
        )  # fmt: skip

    def cool(self, step: written.WrittenStep, cool: written.WrittenCool, at: Path) -> Cool | None:
        name = self.cast.instrument(cool.with_, (*at, "with"), *HEATERS)
        chamber = self.cast.chamber(name, (*at, "with"))
        gas = self.gas(cool.under, chamber, (*at, "under"))
        if name is None or chamber is None:
            return None
        hot = self.hot_c.get(chamber, self.bench.ambient_c)
        expected = estimates.cooling_s(self.bench.chambers[chamber], self.bench.ambient_c, hot, cool.below)
        if not math.isfinite(expected) or cool.below < self.bench.ambient_c + 5:
            message = f"{cool.below:g} degC cannot be reached at {self.bench.ambient_c:g} degC around"
            self.cast.error("FUR-006", (*at, "below"), message, f"at least {self.bench.ambient_c + 5:g} degC")
            return None
        self.hot_c[chamber] = cool.below
        self.warm_c[chamber] = self.bench.ambient_c
        return Cool(
            id=step.id, title=step.title, chamber=chamber, heater=name,
            instruments=self.cast.crew(chamber, name, gas.instrument if gas else None), below_c=cool.below,
            natural=cool.natural, under=gas, expected_s=_round(expected),
            timeout_s=cool.timeout if cool.timeout is not None else _round(2 * expected + MARGIN_S),
        )  # fmt: skip

    def unload(self, step: written.WrittenStep, unload: written.WrittenUnload, at: Path) -> Unload | None:
        name = self.cast.instrument(unload.from_, (*at, "from"))
        chamber = self.cast.chamber(name, (*at, "from"))
        if name is None or chamber is None:
            return None
        gas = self.gas_of.get(chamber)
        return Unload(
            id=step.id, title=step.title, chamber=chamber, instruments=self.cast.crew(chamber, name, gas),
            gas=gas, into=unload.into, below_c=limit("T_open"),
        )  # fmt: skip

    def cycle(self, step: written.WrittenStep, cycle: written.WrittenCycle, at: Path) -> Cycle | None:
        name = self.cast.instrument(cycle.with_, (*at, "with"), "cycler")
        lower, upper = cycle.window
        if lower >= upper:
            self.cast.error(
                "SCH-003", (*at, "window"), "the lower voltage comes first", f"[{upper:g} V, {lower:g} V]"
            )
        formula = self.protocol.product.formula if self.protocol.product else ""
        one_c = cycle.specific_current or ONE_C_MA_PER_G.get(formula)
        if one_c is None:
            self.cast.error("CEL-007", at, f"what 1C means for {formula or 'this product'} is not known",
                       "write `specific_current: 117 mA/g`")  # fmt: skip
        if name is None or one_c is None:
            return None
        nominal = estimates.cycle_s(cycle.cycles, cycle.rate)
        return Cycle(
            id=step.id, title=step.title, chamber=self.bench.instruments[name].chamber, instruments=(name,),
            cycler=name, rate_c=cycle.rate, specific_current_ma_per_g=one_c, upper_v=upper, lower_v=lower,
            cycles=cycle.cycles,
            timeout_s=cycle.timeout if cycle.timeout is not None else _round(1.5 * nominal + MARGIN_S),
            mass=self.inquiry.name(ACTIVE_MASS, step.sample),
        )  # fmt: skip

    def manual(self, step: written.WrittenStep, manual: written.WrittenManual, at: Path) -> Manual:
        into = None
        if manual.into is not None:
            into = self.cast.chamber(self.cast.instrument(manual.into, (*at, "into")), (*at, "into"))
        requirements = [self.requirement(n, r, (*at, "require", n)) for n, r in manual.require.items()]
        return Manual(
            id=step.id, title=step.title, chamber=into, do=manual.do, confirm=tuple(manual.confirm),
            enter=_entries(manual.enter, step.sample), into=into,
            require=tuple(r for r in requirements if r is not None),
            attach=tuple(manual.attach), checked=manual.checked, within_s=manual.within,
        )  # fmt: skip

    def requirement(self, quantity: str, required: tuple[Relation, str], path: Path) -> Requirement | None:
        relation, text = required
        dimension = DERIVED.get(quantity)
        if dimension is None:
            message = f"{quantity!r} is not a quantity that labctl works out"
            self.cast.error("SCH-001", path, message, self.cast.near(quantity, DERIVED), key=True)
            return None
        try:
            value = parse(text, dimension)
        except QuantityError as error:
            self.cast.error("QTY-001", path, f"{quantity}: {error.reason}", error.hint)
            return None
        return Requirement(quantity=quantity, relation=relation, value=value, unit=DIMENSIONS[dimension].unit)


def _segments(heat: written.WrittenHeat) -> tuple[Segment, ...]:
    if heat.to is not None:
        return (Segment(target_c=heat.to, ramp_k_per_min=heat.ramp or 0.0, hold_s=heat.hold or 0.0),)
    return tuple(Segment(target_c=s.to, ramp_k_per_min=s.ramp or 0.0, hold_s=s.hold) for s in heat.segments)


def _entries(entries: Mapping[str, written.WrittenEntry], sample: str | None) -> tuple[Entry, ...]:
    """What a person enters; for a sample, under a name of its own."""
    return tuple(
        Entry(name=of_sample(n, sample), unit=e.unit, min=e.min, max=e.max, quantity=n if sample else None)
        for n, e in entries.items()
    )
