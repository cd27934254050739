"""A protocol bound to a bench: roles become instruments, steps get chambers, expected times and time-outs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.model.limits import limit
from labctl.model.quantity import DIMENSIONS, QuantityError, parse
from labctl.protocol import estimates
from labctl.protocol import schema as written
from labctl.protocol.contents import KINDS, kinds_of
from labctl.protocol.diagnosis import nearest
from labctl.protocol.plan import (
    After,
    AnyStep,
    Charge,
    Checkpoint,
    Cool,
    Cycle,
    Entry,
    Expected,
    Gas,
    Heat,
    Manual,
    Measure,
    Parameter,
    Plan,
    Product,
    Purge,
    Requirement,
    Segment,
    Stir,
    Substance,
    Unload,
    Wait,
)
from labctl.protocol.roles import Cast
from labctl.protocol.source import Document, Path

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
    binder = _Binder(protocol, parameters, bench, cast)
    steps = [binder.step(i, step) for i, step in enumerate(protocol.steps)]
    charge, product = protocol.charge, protocol.product
    expected = binder.expected()
    contents = binder.contents()
    if any(f.severity == "error" for f in cast.findings):
        return None, cast.findings
    plan = Plan(
        protocol=protocol.protocol,
        title=protocol.title,
        source=protocol.source,
        parameters=tuple(parameters.values()),
        roles=cast.bound,
        product=Product(formula=product.formula, mass_g=product.mass) if product else None,
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
    return plan, cast.findings


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
        if step.stir:
            return self.stir(step, step.stir, at)
        if step.heat:
            return self.heat(index, step, step.heat, at)
        if step.purge:
            return self.purge(step, step.purge, at)
        if step.cool:
            return self.cool(step, step.cool, at)
        if step.unload:
            return self.unload(step, step.unload, at)
        if step.cycle:
            return self.cycle(step, step.cycle, at)
        if step.wait:
            return Wait(id=step.id, title=step.title, duration_s=step.wait.for_)
        if step.measure:
            entries = _entries(step.measure.enter)
            return Measure(id=step.id, title=step.title, what=step.measure.what, enter=entries)
        assert step.manual is not None
        return self.manual(step, step.manual, at)

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
        )  # fmt: skip

    def manual(self, step: written.WrittenStep, manual: written.WrittenManual, at: Path) -> Manual:
        into = None
        if manual.into is not None:
            into = self.cast.chamber(self.cast.instrument(manual.into, (*at, "into")), (*at, "into"))
        requirements = [self.requirement(n, r, (*at, "require", n)) for n, r in manual.require.items()]
        return Manual(
            id=step.id, title=step.title, chamber=into, do=manual.do, confirm=tuple(manual.confirm),
            enter=_entries(manual.enter), require=tuple(r for r in requirements if r is not None), into=into,
        )  # fmt: skip

    def requirement(
        self, quantity: str, required: tuple[written.Relation, str], path: Path
    ) -> Requirement | None:
        relation, text = required
        dimension = DERIVED.get(quantity)
        if dimension is None:
            message = f"{quantity!r} is not a quantity that labctl works out"
            self.cast.error("SCH-001", path, message, nearest(quantity, DERIVED), key=True)
            return None
        try:
            value = parse(text, dimension)
        except QuantityError as error:
            self.cast.error("QTY-001", path, f"{quantity}: {error.reason}", error.hint)
            return None
        return Requirement(quantity=quantity, relation=relation, value=value, unit=DIMENSIONS[dimension].unit)

    # -- what is in the batch

    def contents(self) -> tuple[Substance, ...] | None:
        """Every substance with what it is: as declared, and as its name tells; None when nothing is declared."""
        if self.protocol.contents is None:
            return None
        substances = []
        for name, declared in self.protocol.contents.items():
            known = kinds_of(name)
            if known is None and not declared.is_:
                message = f"what {name!r} is cannot be told from its name"
                hint = f"write its formula, or say so: `{name}: {{is: polymer}}`; kinds: {', '.join(KINDS)}"
                self.cast.error("MIX-006", ("contents", name), message, hint, key=True)
                continue
            kinds = tuple(dict.fromkeys((*declared.is_, *(known or ()))))
            substances.append(
                Substance(name=name, mass_g=declared.mass, purity=declared.purity / 100.0, kinds=kinds)
            )
        return tuple(substances)

    # -- published values

    def expected(self) -> tuple[Expected, ...]:
        """Those that apply to the parameters of this plan; values elsewhere only are a note."""
        applying: list[Expected] = []
        elsewhere: dict[str, int] = {}
        for i, e in enumerate(self.protocol.expected):
            held = [self.holds(name, value, ("expected", i, "when", name)) for name, value in e.when.items()]
            if all(held):
                applying.append(
                    Expected(quantity=e.quantity, value=e.value, unit=e.unit, tolerance=e.tolerance,
                             provenance=e.provenance)
                )  # fmt: skip
            else:
                elsewhere.setdefault(e.quantity, i)
        for quantity, i in elsewhere.items():
            if all(e.quantity != quantity for e in applying):
                message = f"nothing is published about {quantity} at these parameters; it will not be judged"
                self.cast.findings.append(
                    self.cast.document.finding("EXP-001", ("expected", i), message, severity="info")
                )
        return tuple(applying)

    def holds(self, name: str, value: written.Scalar, path: Path) -> bool:
        parameter = self.parameters.get(name)
        if parameter is None:
            if name not in self.protocol.parameters:
                hint = nearest(name, self.protocol.parameters)
                self.cast.error("PAR-001", path, f"there is no parameter {name!r}", hint, key=True)
            return False
        dimension = next((d.name for d in DIMENSIONS.values() if d.unit == parameter.unit), None)
        if dimension is None:
            return bool(value == parameter.value)
        try:
            return parse(value, dimension) == parameter.value
        except QuantityError as error:
            self.cast.error("QTY-001", path, f"{name}: {error.reason}", error.hint)
            return False


def _segments(heat: written.WrittenHeat) -> tuple[Segment, ...]:
    if heat.to is not None:
        return (Segment(target_c=heat.to, ramp_k_per_min=heat.ramp or 0.0, hold_s=heat.hold or 0.0),)
    return tuple(Segment(target_c=s.to, ramp_k_per_min=s.ramp or 0.0, hold_s=s.hold) for s in heat.segments)


def _entries(entries: Mapping[str, written.WrittenEntry]) -> tuple[Entry, ...]:
    return tuple(Entry(name=n, unit=e.unit, min=e.min, max=e.max) for n, e in entries.items())
