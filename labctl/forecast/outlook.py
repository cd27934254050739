"""A forecast on a day: clock times, people, what is left in the cylinders, what it costs. Times are of the wall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from labctl.bench.schema import Bench, Supply
from labctl.bench.site import ELECTRICITY, WorkingHours
from labctl.forecast.coarse import Forecast
from labctl.forecast.profile import above
from labctl.model.limits import limit
from labctl.protocol.plan import Heat, Plan
from labctl.protocol.rules.core import number
from labctl.protocol.rules.protection import NEEDS_A_PERSON, lost

BEGIN = "Start the run"

TOGETHER_S = 60.0
"""Somebody who is wanted so soon after the start is there already."""

SEARCH = timedelta(days=7)
GRID = timedelta(minutes=5)
"""How far a good start is looked for, and how finely."""

RESERVE_BAR = 10.0
"""What is left in a cylinder that is changed, where a bench does not say: air must not get in (assumed)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Somebody is needed: when, in s from the start too, for what, and whether within working hours."""

    at_s: float
    when: datetime
    what: str
    staffed: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A time to begin. outside: how many of the moments that need a person are not within working hours."""

    when: datetime
    outside: int


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody has to stay: the chamber is above T_inert, and lacks what would protect it meanwhile."""

    chamber: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Take:
    """What a run under way will still take: litres by flow controller."""

    run_id: str
    litres: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Stock:
    """What the bench's memory knows: litres in each supply now, and what runs under way will still take."""

    held_l: Mapping[str, float]
    takes: tuple[Take, ...] = ()

    @classmethod
    def of_file(cls, bench: Bench) -> Stock:
        """As the bench file says, where nothing has run yet."""
        return cls({name: supply.contents_l for name, supply in bench.supplies.items()})


@dataclass(frozen=True, slots=True)
class GasLeft:
    """A supply after the plan and all runs under way, in normal litres and, where its full pressure is known, bar.

    held_l: now. others_l: by run. wanted_l: what must be there for the plan, with its reserve factor (rule GAS-009).
    """

    supply: str
    gas: str
    held_l: float
    plan_l: float
    others_l: Mapping[str, float]
    wanted_l: float
    left_l: float
    left_bar: float | None
    reserve_bar: float

    @property
    def enough(self) -> bool:
        """The plan and its reserve are there after all that runs under way take."""
        return self.held_l - sum(self.others_l.values()) >= self.wanted_l

    @property
    def low(self) -> bool:
        """It ends below what is to be left when a cylinder is changed."""
        return self.left_bar is not None and self.left_bar < self.reserve_bar


@dataclass(frozen=True, slots=True)
class Cost:
    """Of power and of gas, in one currency; None where the bench has no price of it."""

    currency: str
    electricity: float | None
    gas: float | None

    @property
    def total(self) -> float:
        """Of what has a price."""
        return (self.electricity or 0.0) + (self.gas or 0.0)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast from a start on. best: the first start within a week with the fewest moments outside working hours.

    latest: the last start from which all ends by `finish`, where one is asked for, and the last of those with nobody
    wanted outside working hours, if there is one within a week before.
    """

    start: datetime
    end: datetime
    moments: tuple[Moment, ...]
    best: Start
    finish: datetime | None
    latest: datetime | None
    latest_staffed: datetime | None
    gas: tuple[GasLeft, ...]
    cost: Cost | None
    lost: Mapping[str, Mapping[str, str]]
    stays: tuple[Stay, ...]

    @property
    def late(self) -> bool:
        """It ends after it is to."""
        return self.finish is not None and self.end > self.finish

    @property
    def outside(self) -> int:
        """How many moments need somebody outside working hours."""
        return sum(not moment.staffed for moment in self.moments)


def outlook(
    bench: Bench,
    plan: Plan,
    planned: Forecast,
    stock: Stock,
    *,
    start: datetime | None,
    finish: datetime | None,
    now: datetime,
) -> Outlook:
    """What the forecast means when begun at `start`, or so that it ends at `finish`; with neither, `now`."""
    search_from = start or now
    if start is None:
        start = now if finish is None else later(finish, -planned.duration_s)
    hours = bench.hours
    latest = None if finish is None else later(finish, -planned.duration_s)
    return Outlook(
        start=start,
        end=later(start, planned.duration_s),
        moments=tuple(moments(planned, start, hours)),
        best=best_start(planned, search_from, hours),
        finish=finish,
        latest=latest,
        latest_staffed=latest and _latest_staffed(planned, latest, hours),
        gas=tuple(_gas_left(bench, planned, stock)),
        cost=_cost(bench, planned),
        lost=_lost(bench, plan),
        stays=tuple(_stays(bench, plan, planned, start)),
    )


def later(when: datetime, seconds: float) -> datetime:
    """The clock on the wall so many seconds later, across a change of summer time too."""
    return datetime.fromtimestamp(when.timestamp() + seconds)


def moments(planned: Forecast, start: datetime, hours: WorkingHours) -> Iterator[Moment]:
    """Whenever somebody is needed, the start among them. Each is taken to be there at once."""
    wanted = list(planned.attention)
    if not wanted or wanted[0][0] > TOGETHER_S:
        wanted.insert(0, (0.0, BEGIN))
    for at_s, what in wanted:
        when = later(start, at_s)
        yield Moment(at_s, when, what, hours.staffed(when.weekday(), when.hour * 60 + when.minute))


def best_start(planned: Forecast, after: datetime, hours: WorkingHours) -> Start:
    """The first start within a week that needs the fewest people outside working hours."""
    first = after.replace(second=0, microsecond=0)
    first += (GRID - timedelta(minutes=first.minute) % GRID) % GRID
    starts = (first + n * GRID for n in range(SEARCH // GRID))
    return min((Start(s, _outside(planned, s, hours)) for s in starts), key=lambda s: s.outside)


def _latest_staffed(planned: Forecast, latest: datetime, hours: WorkingHours) -> datetime | None:
    last = latest.replace(second=0, microsecond=0)
    last -= timedelta(minutes=last.minute) % GRID
    starts = (last - n * GRID for n in range(SEARCH // GRID))
    return next((s for s in starts if not _outside(planned, s, hours)), None)


def _outside(planned: Forecast, start: datetime, hours: WorkingHours) -> int:
    return sum(not moment.staffed for moment in moments(planned, start, hours))


def _gas_left(bench: Bench, planned: Forecast, stock: Stock) -> Iterator[GasLeft]:
    factor = number(bench, "GAS-009")
    for name, supply in bench.supplies.items():
        plan_l = _fed(supply, planned.gas_l)
        if plan_l <= 0.0:
            continue
        held = stock.held_l[name]
        others = {take.run_id: litres for take in stock.takes if (litres := _fed(supply, take.litres)) > 0.0}
        left = held - plan_l - sum(others.values())
        yield GasLeft(
            supply=name,
            gas=supply.gas,
            held_l=held,
            plan_l=plan_l,
            others_l=others,
            wanted_l=factor * plan_l,
            left_l=left,
            left_bar=left / supply.contents_l * supply.full_bar if supply.full_bar else None,
            reserve_bar=RESERVE_BAR if supply.reserve_bar is None else supply.reserve_bar,
        )


def _fed(supply: Supply, litres: Mapping[str, float]) -> float:
    return sum(litres.get(instrument, 0.0) for instrument in supply.feeds)


def _cost(bench: Bench, planned: Forecast) -> Cost | None:
    prices = bench.priced
    if not prices:
        return None
    power = prices.get(ELECTRICITY)
    of_gas = [
        _fed(supply, planned.gas_l) * prices[supply.gas].each
        for supply in bench.supplies.values()
        if supply.gas in prices
    ]
    currency = next(iter(prices.values())).currency
    return Cost(currency, planned.energy_kwh * power.each if power else None, sum(of_gas) if of_gas else None)


def _lost(bench: Bench, plan: Plan) -> dict[str, Mapping[str, str]]:
    """Of each chamber that the plan heats above T_inert: the protective signals that it lacks, and what is lost."""
    hot = {
        step.chamber
        for step in plan.steps
        if isinstance(step, Heat)
        and step.chamber
        and max(s.target_c for s in step.segments) > limit("T_inert")
    }
    found = {chamber: lost(bench, chamber) for chamber in sorted(hot)}
    return {chamber: signals for chamber, signals in found.items() if signals}


def _stays(bench: Bench, plan: Plan, planned: Forecast, start: datetime) -> Iterator[Stay]:
    """From where a tube first passes T_inert to where it last does, if it lacks what a person stands in for."""
    heaters = {s.chamber: s.heater for s in plan.steps if isinstance(s, Heat) and s.chamber}
    for chamber, heater in heaters.items():
        hot = above(planned.profile.get(heater, ()), limit("T_inert"))
        if hot and lost(bench, chamber).keys() & {*NEEDS_A_PERSON}:
            yield Stay(chamber, later(start, hot[0]), later(start, hot[1]))
