"""Samples are read off the events that every run has: masses, results, and several samples of one protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labctl.analysis.record import Record
from labctl.analysis.samples import Register, Sample, Share, samples_of
from labctl.errors import UsageError
from labctl.model.events import Event
from labctl.protocol.plan import (
    AnyStep,
    Entry,
    Heat,
    Manual,
    Measure,
    Plan,
    Portion,
    Product,
    Segment,
    Stir,
    Unload,
    Weigh,
)
from labctl.store.reader import Run


def heat(name: str, chamber: str, atmosphere: Any) -> Heat:
    segment = Segment(target_c=100.0, ramp_k_per_min=1.0, hold_s=60.0)
    return Heat(
        id=name, chamber=chamber, heater="h", segments=(segment,), band_k=5.0, atmosphere=atmosphere,
        catch_up_s=60.0, timeout_s=600.0,
    )  # fmt: skip


def manual(name: str, into: str | None = None, sample: str | None = None, **enter: str) -> Manual:
    entries = tuple(Entry(name=n, unit=u) for n, u in enter.items())
    return Manual(id=name, do="Do it", into=into, enter=entries, sample=sample)


def unload(name: str, sample: str | None = None) -> Unload:
    return Unload(id=name, gas=None, into="powder", below_c=60.0, sample=sample)


def stir() -> Stir:
    return Stir(id="mix", stirrer="s", speed_rpm=300.0, duration_s=60.0, timeout_s=600.0)


def record(*steps: AnyStep, done: int | None = None, **entered: float) -> Record:
    """A run of these steps in which every one ended (or the first `done`), ten seconds each."""
    plan = Plan(
        protocol="p", title="", product=Product(formula="Na3V2(PO4)3", mass_g=1.0), steps=steps,
        bench_identity="b", simulated=True,
    )  # fmt: skip
    events = []
    for n, step in enumerate(plan.steps[:done]):
        if isinstance(step, Manual | Measure):
            enter = [e.model_dump() for e in step.enter]
            events.append(Event("r", "prompt", {"id": step.id, "enter": enter}, 10.0 * n))
            values = {e.name: entered[e.name] for e in step.enter if e.name in entered}
            answer = {"prompt": step.id, "values": values, "actor": "ann"}
            events.append(Event("r", "answered", answer, 10.0 * n + 5.0))
        events.append(Event("r", "step_done", {"id": step.id, "summary": {}}, 10.0 * n + 9.0))
    run = Run("r", None, None, "p", True, None, 0.0, 0, None, None, "COMPLETE", "COMPLETE", None)
    return Record(run, plan, {}, tuple(events), 0.0, 100.0, 100.0, 1_000_000, "head", len(events))


def found(made: Record) -> dict[str, Sample]:
    return {sample.id: sample for sample in samples_of(made)}


def test_masses_are_those_that_were_weighed() -> None:
    made = found(
        record(
            stir(),
            manual("pour", "oven", tare="g", wet_mass="g"),
            heat("dry", "oven", "air"),
            manual("weigh", dry_mass="g"),
            manual("load", "tube"),
            heat("fire", "tube", "inert"),
            unload("unload"),
            manual("product", product_mass="mg"),
            manual("cell", active_mass="mg"),
            tare=50.0, wet_mass=75.0, dry_mass=51.5, product_mass=990.0, active_mass=1.7,
        )
    )  # fmt: skip
    assert [s.kind for s in made.values()] == ["solution", "gel", "boat", "powder", "electrode", "cell"]
    assert made["r/gel"].mass_g == 1.5
    assert made["r/powder"].mass_g == 0.99
    assert made["r/electrode"].parents == (Share("r/powder", 0.0017),)
    assert Register(made).left_g("r/powder") == 0.9883
    assert Register(made).left_g("r/gel") is None, "nobody weighed what went into the boat"
    assert [s.at_utc_ms for s in made.values()] == sorted(s.at_utc_ms for s in made.values())


def test_several_samples_come_from_one_and_keep_apart() -> None:
    made = found(
        record(
            stir(),
            manual("pour", "oven"),
            heat("fire", "tube", "inert"),
            manual("load-a", "tube", "a"),
            unload("unload-a", "a"),
            manual("load-b", "tube", "b"),
            unload("unload-b", "b"),
            Measure(id="tap", what="tapping", enter=(Entry(name="tap_density", unit="g/cm3"),), sample="a"),
            tap_density=0.93,
        )
    )  # fmt: skip
    for name in "ab":
        assert made[f"r/boat.{name}"].parents == (Share("r/gel"),)
        assert made[f"r/powder.{name}"].parents == (Share(f"r/boat.{name}"),)
    assert [r.value for r in made["r/powder.a"].results] == [0.93]
    assert made["r/powder.b"].results == ()


def test_a_portion_of_two_lots_came_from_two_bottles() -> None:
    portion = Portion(reagent="V2O5", formula="V2O5", unit="g", amount=1.0, tolerance_pct=1.0)
    made = record(Weigh(id="vanadium", chamber="pan", balance="b", portion=portion), stir())
    facts = {"of": "vanadium", "reagent": "V2O5", "unit": "g", "wanted": 1.0, "deviation_pct": 0.0}
    facts |= {"tolerance_pct": 1.0, "verdict": "ok", "instrument": "b", "purity_wt_pct": 99.6}
    weighed = [
        Event("r", "taken", facts | {"read": 0.5, "taken": 0.5, "lots": {"spilt": 0.5}}, 1.0),
        Event("r", "taken", facts | {"read": 0.9, "taken": 0.9, "lots": {"A": 0.6, "B": 0.3}}, 2.0),
        Event("r", "taken", facts | {"read": 0.1, "taken": 1.0, "lot": "A"}, 3.0),
    ]
    samples = found(replace(made, events=(*weighed, *made.events)))
    assert [(s.id, s.lot) for s in samples.values() if s.kind == "bottle"] == [
        ("V2O5/A", "A"),
        ("V2O5/B", "B"),
    ]
    assert samples["r/solution"].parents == (Share("V2O5/A", 0.7, "g"), Share("V2O5/B", 0.3, "g"))


def test_what_was_made_last_is_the_newest() -> None:
    made = found(record(stir(), manual("pour", "oven"), heat("fire", "tube", "inert")))
    assert Register(made).newest().id == "r/gel"
    with pytest.raises(UsageError, match="no sample on this bench yet"):
        Register().newest()


def test_of_steps_that_never_ended_there_is_nothing() -> None:
    steps = (stir(), manual("pour", "oven"), heat("fire", "tube", "inert"), manual("load", "tube"))
    assert list(found(record(*steps, done=2))) == ["r/solution", "r/gel"]
    assert found(record(*steps, done=0)) == {}
