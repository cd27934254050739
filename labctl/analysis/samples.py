"""Samples and lots, by the journal alone: what each was made of, how much is left of it, and what was found out.

Two sources: what people told (`labctl samples add`, `split`, `merge`, `result`), and what runs did. A run makes a
solution of what was weighed and dispensed, a gel where it is put into an oven, a boat where it is put into a tube, a
powder at `unload`, and an electrode and a cell where an active mass is entered. That is read off the events that every
run has, so runs of long ago have samples too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.analysis.capacity import CycleSummary
from labctl.analysis.record import Record, entered_values, read_record, reagents_taken
from labctl.errors import UsageError
from labctl.model.events import BENCH_STREAM
from labctl.model.samples import ADDED, BALANCE_TOLERANCE, FACTS
from labctl.protocol.diagnosis import nearest
from labctl.protocol.plan import Dispense, Heat, Manual, Measure, Purge, Stir, Unload, Weigh
from labctl.store.reader import Reader

GRAMS = {"kg": 1e3, "g": 1.0, "mg": 1e-3, "ug": 1e-6}
"""In each unit of mass."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a parent went in: `amount` in `unit` (g or mL); None: nobody knows."""

    sample: str
    amount: float | None = None
    unit: str = "g"


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was found out. value: a number in `unit`, or words. file: name of the file, and its digest."""

    quantity: str
    value: float | str
    unit: str
    method: str = ""
    file: str = ""
    sha256: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. mass_g: when it was made; None: nobody knows. run: that made it, or "". at_utc_ms: since when."""

    id: str
    kind: str
    label: str = ""
    formula: str = ""
    lot: str = ""
    purity_wt_pct: float | None = None
    mass_g: float | None = None
    parents: tuple[Share, ...] = ()
    run: str = ""
    by: str = ""
    at_utc_ms: int = 0
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Register:
    """All samples of a bench by id, in the order in which they were made."""

    samples: dict[str, Sample] = field(default_factory=dict)

    def one(self, name: str) -> Sample:
        """The sample of that id, or of that label. Raises UsageError naming the nearest."""
        if name in self.samples:
            return self.samples[name]
        labelled = [s for s in self.samples.values() if s.label and s.label == name]
        if len(labelled) == 1:
            return labelled[0]
        known = [*self.samples, *(s.label for s in self.samples.values() if s.label)]
        hint = nearest(name, known) or "`labctl samples list` shows all"
        raise UsageError(f"there is no sample {name!r} ({hint})")

    def newest(self) -> Sample:
        """What was made last. Raises UsageError where there is nothing."""
        if not self.samples:
            raise UsageError("there is no sample on this bench yet")
        return max(reversed(self.samples.values()), key=lambda sample: sample.at_utc_ms)

    def children(self, sample: str) -> tuple[Sample, ...]:
        """What was made of it."""
        return tuple(s for s in self.samples.values() if any(p.sample == sample for p in s.parents))

    def left_g(self, sample: str) -> float | None:
        """How much is left of it; None where its mass, or a share of it, is not known."""
        whole = self.samples[sample].mass_g
        shares = [p for child in self.children(sample) for p in child.parents if p.sample == sample]
        if whole is None or any(share.amount is None or share.unit != "g" for share in shares):
            return None
        return round(whole - sum(share.amount or 0.0 for share in shares), 9)

    def overdrawn(self, sample: str, more_g: float) -> float | None:
        """What of `more_g` is not there, beyond what weighing may be off by; None when it is, or nobody knows."""
        left, whole = self.left_g(sample), self.samples[sample].mass_g
        if left is None or whole is None or more_g <= left + BALANCE_TOLERANCE * whole:
            return None
        return more_g - left

    def family(self, sample: str) -> Iterator[tuple[int, Sample]]:
        """What it was made of and what was made of it, ancestors first: how many steps from a first one, and it."""
        kin = {sample, *self._up(sample), *self._down(sample)}
        depth: dict[str, int] = {}
        for name in self.samples:  # parents are always told of before their children
            if name in kin:
                above = [depth[p.sample] for p in self.samples[name].parents if p.sample in depth]
                depth[name] = max(above, default=-1) + 1
        for name in sorted(depth, key=lambda n: depth[n]):
            yield depth[name], self.samples[name]

    def _up(self, sample: str) -> set[str]:
        parents = {p.sample for p in self.samples[sample].parents if p.sample in self.samples}
        return parents.union(*(self._up(parent) for parent in parents))

    def _down(self, sample: str) -> set[str]:
        children = {child.id for child in self.children(sample)}
        return children.union(*(self._down(child) for child in children))


def read_register(reader: Reader) -> Register:
    """Every sample of a bench: what runs made and what people told, in the order of time. Raises StoreError."""
    told = [(fact.utc_ms, fact.seq, fact) for fact in reader.facts(BENCH_STREAM, kinds=FACTS)]
    made: list[tuple[int, Sample]] = []
    for run in reader.runs():
        if run.state != "IDLE" or run.end_state is not None:
            made += ((sample.at_utc_ms, sample) for sample in samples_of(read_record(reader, run.run_id)))
    register = Register()
    bottles = [s for _, s in made if s.kind == "bottle"]
    moments: list[tuple[int, int, Any]] = [(utc, seq, fact) for utc, seq, fact in told]
    moments += [(utc, -1, sample) for utc, sample in made if sample.kind != "bottle"]
    known_lots = {(f.event.data.get("formula") or f.event.data["id"], f.event.data.get("lot")): f.event.data["id"]
                  for _, _, f in told if f.event.kind == ADDED and f.event.data.get("kind") == "bottle"}  # fmt: skip
    same = {
        b.id: known_lots.get((b.formula, b.lot)) or known_lots.get((b.label, b.lot)) or b.id for b in bottles
    }
    for bottle in bottles:
        if same[bottle.id] == bottle.id:
            register.samples.setdefault(bottle.id, bottle)
    for _, _, what in sorted(moments, key=lambda m: (m[0], m[1])):
        if isinstance(what, Sample):
            parents = tuple(replace(p, sample=same.get(p.sample, p.sample)) for p in what.parents)
            register.samples[what.id] = replace(what, parents=parents)
        else:
            _told(register, what.event.kind, what.event.data, what.utc_ms)
    return Register(_parents_first(register.samples))


def _told(register: Register, kind: str, data: Mapping[str, Any], utc_ms: int) -> None:
    """One fact that a person told; a fact about what is not there changes nothing."""
    samples, by = register.samples, str(data.get("by", ""))
    match kind:
        case "sample_added":
            shares = tuple(Share(p["sample"], p.get("mass_g")) for p in data.get("parents", ()))
            facts = {
                key: data[key]
                for key in ("label", "formula", "lot", "purity_wt_pct", "mass_g")
                if key in data
            }
            samples[data["id"]] = Sample(
                data["id"], data["kind"], **facts, parents=shares, by=by, at_utc_ms=utc_ms
            )
        case "sample_split" if data["of"] in samples:
            whole = samples[data["of"]]
            for part in data["parts"]:
                share = (Share(whole.id, part["mass_g"]),)
                samples[part["id"]] = replace(
                    whole, id=part["id"], label=part.get("label", ""), mass_g=part["mass_g"], parents=share,
                    run="", by=by, at_utc_ms=utc_ms, results=(),
                )  # fmt: skip
        case "sample_merged":
            shares = tuple(Share(p["sample"], p.get("mass_g")) for p in data["parts"])
            known = [samples[share.sample] for share in shares if share.sample in samples]
            masses = [share.amount for share in shares]
            mass = None if None in masses else sum(m for m in masses if m is not None)
            samples[data["id"]] = Sample(
                data["id"], data.get("kind") or known[0].kind, data.get("label", ""), mass_g=mass, parents=shares,
                by=by, at_utc_ms=utc_ms,
            )  # fmt: skip
        case "sample_labelled" if data["sample"] in samples:
            samples[data["sample"]] = replace(samples[data["sample"]], label=data["label"])
        case "sample_result" if data["sample"] in samples:
            facts = {key: data.get(key, "") for key in ("unit", "method", "file", "sha256")}
            found = Result(data["quantity"], data["value"], **facts, by=by)
            sample = samples[data["sample"]]
            samples[sample.id] = replace(sample, results=(*sample.results, found))
        case _:
            pass


def _parents_first(samples: dict[str, Sample]) -> dict[str, Sample]:
    """In the order of time, but each after what it was made of."""
    ordered: dict[str, Sample] = {}

    def put(name: str, chain: tuple[str, ...]) -> None:
        if name in ordered or name in chain or name not in samples:
            return
        for parent in samples[name].parents:
            put(parent.sample, (*chain, name))
        ordered[name] = samples[name]

    for name in samples:
        put(name, ())
    return ordered


# -- what a run made -------------------------------------------------------------------------------


def samples_of(record: Record) -> list[Sample]:
    """What a run made, read off its plan and its events; of a step that never ended there is nothing."""
    return list(_Maker(record).made())


class _Maker:
    """Walks the steps of one run."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._plan = record.plan
        self._run = record.run.run_id
        self._entered = {(e.step, e.name): e.value for e in entered_values(record)}
        self._newest: dict[str, str] = {}
        self._utc_ms = record.started_utc_ms
        self._tare_g: dict[str | None, float] = {}
        self._made: dict[str, Sample] = {}
        tubes = {s.chamber for s in self._plan.steps if isinstance(s, Purge)}
        tubes |= {s.chamber for s in self._plan.steps if isinstance(s, Heat) and s.atmosphere == "inert"}
        self._tubes = tubes

    def made(self) -> Iterator[Sample]:
        """In the order of time."""
        ended = {e.data["id"]: e for e in self._record.of("step_done")}
        formula = self._plan.product.formula if self._plan.product else ""
        first = next((s for s in self._plan.steps if isinstance(s, Stir) and s.id in ended), None)
        shares = tuple(self._bottles())
        if first is not None:
            self._now(ended[first.id].t_s)
        if shares or first is not None:
            self._put("solution", None, formula=formula, parents=shares)
        for step in self._plan.steps:
            if step.id not in ended:
                continue
            sample = step.sample
            self._now(ended[step.id].t_s)
            if isinstance(step, Manual) and step.into is not None:
                self._moved(step, sample, formula)
            elif isinstance(step, Unload):
                self._put("powder", sample, formula=formula, name=step.into)
            elif isinstance(step, Measure):
                for entry in step.enter:
                    self._found(
                        sample, entry.quantity or entry.name, (step.id, entry.name), entry.unit, step.what
                    )
            if isinstance(step, Manual):
                self._entered_in(step, sample, formula)
        yield from self._made.values()

    def _bottles(self) -> Iterator[Share]:
        """What was taken of each reagent, and the bottles that it came from."""
        for taken in reagents_taken(self._record):
            step = self._plan.step(taken.step)
            formula = step.portion.formula if isinstance(step, Weigh | Dispense) else ""
            for lot, amount in taken.lots.items():
                name = f"{taken.reagent}/{lot}" if lot else f"{self._run}/{taken.reagent}"
                if name not in self._made:
                    self._made[name] = Sample(
                        name, "bottle", taken.reagent, formula, lot,
                        taken.purity_wt_pct, run="" if lot else self._run, at_utc_ms=self._utc_ms,
                    )  # fmt: skip
                yield Share(name, amount, taken.unit)

    def _moved(self, step: Manual, sample: str | None, formula: str) -> None:
        self._put("boat" if step.into in self._tubes else "gel", sample, formula=formula)

    def _entered_in(self, step: Manual, sample: str | None, formula: str) -> None:
        """Masses that people weighed: of the dish, of the product, of the electrode."""
        values = {e.quantity or e.name: self._entered.get((step.id, e.name)) for e in step.enter}
        units = {e.quantity or e.name: e.unit for e in step.enter}
        tare, wet, dry = values.get("tare"), values.get("wet_mass"), values.get("dry_mass")
        if wet is not None and tare is not None:
            self._tare_g[sample] = tare
            self._weigh(sample, wet - tare)
        if dry is not None and sample in self._tare_g:
            self._weigh(sample, dry - self._tare_g[sample])
        if (made := values.get("product_mass")) is not None:
            self._weigh(sample, made * GRAMS.get(units["product_mass"], 1.0))
        if (mass := values.get("active_mass")) is not None:
            grams = mass * GRAMS[units["active_mass"]]
            self._put("electrode", sample, formula=formula, mass_g=grams, share_g=grams)
            self._put("cell", sample, formula=formula, share_g=grams)

    def _put(
        self,
        kind: str,
        sample: str | None,
        *,
        formula: str = "",
        name: str = "",
        mass_g: float | None = None,
        share_g: float | None = None,
        parents: tuple[Share, ...] | None = None,
    ) -> None:
        """Make one out of the newest; a sample of the protocol's list has its name behind the id."""
        made = f"{self._run}/{name or kind}{f'.{sample}' if sample else ''}"
        before = self._latest(sample)
        if parents is None:
            parents = (Share(before, share_g),) if before else ()
        self._made[made] = Sample(
            made, kind, formula=formula, mass_g=mass_g, parents=parents, run=self._run, at_utc_ms=self._utc_ms
        )
        self._newest[sample or ""] = made

    def _latest(self, sample: str | None) -> str | None:
        """The newest of that sample, or what all of them come from."""
        return self._newest.get(sample or "") or self._newest.get("")

    def _weigh(self, sample: str | None, mass_g: float) -> None:
        newest = self._latest(sample)
        if newest is not None:
            self._made[newest] = replace(self._made[newest], mass_g=round(mass_g, 6))

    def _found(self, sample: str | None, quantity: str, key: tuple[str, str], unit: str, method: str) -> None:
        newest, value = self._latest(sample), self._entered.get(key)
        if newest is not None and value is not None:
            result = Result(quantity, value, unit, method)
            self._made[newest] = replace(self._made[newest], results=(*self._made[newest].results, result))

    def _now(self, t_s: float) -> None:
        self._utc_ms = round(self._record.started_utc_ms + 1000.0 * (t_s - self._record.start_s))


def cycle_life(cycles: Sequence[CycleSummary]) -> tuple[Result, ...]:
    """What the cycles of a cell say of its life: how many, first discharge, and what is kept of it."""
    whole = [c for c in cycles if c.discharge_mah_per_g is not None]
    if not whole:
        return ()
    first, last = whole[0].discharge_mah_per_g or 0.0, whole[-1].discharge_mah_per_g or 0.0
    found = [Result("cycles", float(len(whole)), "1", "galvanostatic cycling")]
    found.append(Result("discharge_capacity", round(first, 3), "mAh/g", "first cycle"))
    if len(whole) > 1 and first > 0.0:
        kept = Result(
            "capacity_retention", round(100.0 * last / first, 3), "%", f"cycle {len(whole)} of cycle 1"
        )
        found.append(kept)
    return tuple(found)
