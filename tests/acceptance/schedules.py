"""Two runs on one bench, over the wire bytes of its simulated instruments: `python -m tests.acceptance.schedules 200`.

Each seed draws for either run in which chambers it works, in which order, when the second is submitted, and whether the
bench shares its oven. Both must come to COMPLETE, no chamber ever serving two runs at once but an oven at one setpoint.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import NamedTuple

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.chaos.setting import BENCH_FILE
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.protocol.plan import AnyStep, Manual, Plan, Segment
from labctl.runtime.record import InMemory
from tests.engine.bench import cool, dry, inert, purge, stir, unload

LONGEST_S = 100_000.0
"""Of the bench's time: what takes longer is taken for a deadlock; one run alone takes two hours at most."""


class Outcome(NamedTuple):
    """What two runs came to. waited: reasons for which a run waited. worked: (run, step, from s, to s).

    shared: what was wrong about who had which chamber. joined: how often a run came in beside the other.
    """

    ends: dict[str, str | None]
    waited: tuple[str, ...]
    worked: tuple[tuple[str, str, float, float], ...]
    shared: tuple[str, ...]
    virtual_s: float
    joined: int


def _into(chamber: str, number: int) -> Manual:
    return Manual(id=f"put-in-{number}", do=f"Put the batch into {chamber}", into=chamber)


def stage(chamber: str, number: int, draw: random.Random, *, oven_c: float = 60.0) -> list[AnyStep]:
    """The steps of one span."""
    if chamber == "vessel":
        return [stir(id=f"stir-{number}", duration_s=draw.uniform(60.0, 3600.0), timeout_s=7200.0)]
    if chamber == "drying-oven":
        soak = Segment(target_c=oven_c, ramp_k_per_min=0.0, hold_s=draw.uniform(60.0, 7200.0))
        after = draw.choice(("cool", "off", "continue"))
        heat = dry(id=f"dry-{number}", segments=(soak,), band_k=4.0, after=after, timeout_s=30_000.0)
        return [_into(chamber, number), heat]
    heat = inert(
        segments=(Segment(target_c=200.0, ramp_k_per_min=20.0, hold_s=draw.uniform(60.0, 3600.0)),),
        id=f"heat-{number}",
        after="continue",
        catch_up_s=10_000.0,  # the bench holds early what is heated for longer than a share of what is planned
    )
    wash = purge(id=f"purge-{number}", volume_cm3=785.0, timeout_s=20_000.0)
    down = cool(id=f"cool-{number}", timeout_s=30_000.0)
    return [_into(chamber, number), wash, heat, down, unload(id=f"unload-{number}")]


def plan(seed: int, run: str) -> tuple[list[str], list[AnyStep]]:
    """Chambers in the order drawn, and the steps in them; a shared oven is wanted often, warm or a little warmer."""
    draw = random.Random(f"{seed}/{run}")
    many, often = draw.randint(2, 4), (1.0, 3.0 if is_shared(seed) else 1.0, 1.0)
    chambers = draw.choices(("vessel", "drying-oven", "tube"), often, k=many)
    orders = [c for n, c in enumerate(chambers) if n == 0 or c != chambers[n - 1]]
    oven_c = random.Random(f"{seed}/{run}/oven").choice((40.0, 40.0, 60.0)) if is_shared(seed) else 60.0
    return orders, [
        step for n, chamber in enumerate(orders) for step in stage(chamber, n, draw, oven_c=oven_c)
    ]


def is_shared(seed: int) -> bool:
    """Whether the oven of the bench is."""
    return random.Random(f"{seed}/bench").random() < 0.5


def shared_bench() -> Bench:
    """The small-mass bench with an oven that its runs share."""
    bench = load_bench(BENCH_FILE)
    oven = bench.chambers["drying-oven"].model_copy(update={"shared": True})
    return bench.model_copy(update={"chambers": {**bench.chambers, "drying-oven": oven}})


def plan_on(bench: Bench, name: str, steps: Sequence[AnyStep]) -> Plan:
    """A plan of these steps for that bench."""
    identity = bench.identity
    return Plan(protocol=name, title=name, steps=tuple(steps), bench_identity=identity, simulated=True)


def two_runs(
    first: Sequence[AnyStep], second: Sequence[AnyStep], later_s: float, *, shared: bool = False
) -> Outcome:
    """Carry both out on the small-mass bench, the second submitted so much later; shared: its oven is."""
    bench = shared_bench() if shared else load_bench(BENCH_FILE)
    plans = [plan_on(bench, name, steps) for name, steps in (("first", first), ("second", second))]
    record = InMemory()
    with Rehearsal(bench, drivers(), plans[0], seed=None, record=record, coarse=True, also=plans[1:]) as made:
        controller = made.controller
        made.submit("first", {}, plan=plans[0])
        controller.run(lambda: made.clock.now() >= later_s)
        made.submit("second", {}, plan=plans[1])

        def over() -> bool:
            runs = controller.state.runs
            ended = len(runs) == 2 and all(run.end_state is not None for run in runs.values())
            return (ended and not controller.busy()) or made.clock.now() > LONGEST_S

        controller.run(over)
        ends = {name: run.end_state for name, run in controller.state.runs.items()}
        return Outcome(
            ends,
            tuple(e.data["for"] for e in record.events if e.kind == "run_waits" and e.data["for"]),
            _worked(record.events),
            _shared(record.events),
            made.clock.now(),
            _joined(record.events),
        )


def _worked(events: Sequence[Event]) -> tuple[tuple[str, str, float, float], ...]:
    return tuple(
        (event.stream, event.data["id"], event.data["summary"]["started_s"], event.data["summary"]["ended_s"])
        for event in events
        if event.kind == "step_done"
    )


def _shared(events: Sequence[Event]) -> tuple[str, ...]:
    """Chambers that were given to a run while another had them, or before they were free."""
    owners: dict[str, str] = {}
    wrong = []
    for event in events:
        name = event.data.get("chamber", "")
        if event.kind == "chamber_taken":
            if name in owners:
                wrong.append(f"{name}: {event.data['run']} while {owners[name]} has it")
            owners[name] = event.data["run"]
        elif event.kind == "lead_passed":
            owners[name] = event.data["run"]
        elif event.kind in ("chamber_released", "custody_closed"):
            owners.pop(name, None)
    return tuple(wrong)


def _joined(events: Sequence[Event]) -> int:
    """How often a run claimed a chamber that another has."""
    leader, claims, joined = "", set[str](), 0
    for event in events:
        if event.data.get("chamber") != "drying-oven":
            continue
        if event.kind in ("chamber_taken", "lead_passed"):
            leader = event.data["run"]
        elif event.kind in ("chamber_released", "chamber_left", "custody_opened"):
            claims.clear()
        elif event.kind == "claim_released":
            claims.discard(event.data["run"])
        elif event.kind == "chamber_claimed":
            joined += event.data["run"] not in claims and event.data["run"] != leader
            claims.add(event.data["run"])
    return joined


def scheduled(seed: int) -> Outcome:
    """The two runs of a seed."""
    later_s = random.Random(seed).uniform(0.0, 1500.0 if is_shared(seed) else 5000.0)
    return two_runs(plan(seed, "first")[1], plan(seed, "second")[1], later_s, shared=is_shared(seed))


def main(seeds: int) -> int:
    """Try so many; print what did not end as it must."""
    waits, joins, failed = 0, 0, 0
    for seed in range(seeds):
        outcome = scheduled(seed)
        waits += bool(outcome.waited)
        joins += bool(outcome.joined)
        if outcome.shared or set(outcome.ends.values()) != {"COMPLETE"}:
            failed += 1
            print(seed, plan(seed, "first")[0], plan(seed, "second")[0], outcome)
    waited = f"{waits} in which one waited for the other, {joins} in which both were in one oven"
    print(f"{seeds} schedules of two runs, {waited}, {failed} that failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
