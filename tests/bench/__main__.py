"""Measure labctl against its peers: `python -m tests.bench`, from the root of a checkout.

Every benchmark runs both sides in turn and counts the median of the rounds' ratios, so that a busy machine
slows both. Writes `bench.json` and exits with 1 when a ratio is below what it must be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench import forecasts, linting, reports, starting, ticks, virtual_run, wires

ROUNDS = 5
ROOT = Path(__file__).parents[2]

Rounds = Generator[tuple[float, float], None, None]
"""(ours, theirs) of one round after another, in any unit that both share."""


class Benchmark(NamedTuple):
    """What labctl is measured against. A ratio below `must` fails; `hoped` is only printed.

    less: the smaller number is the better one, so that the ratio is theirs over ours. times: how often both sides take
    their turn; a number that one late tick decides needs more of them.
    """

    name: str
    unit: str
    must: float
    hoped: float
    rounds: Callable[[], Rounds]
    less: bool = False
    times: int = ROUNDS


BENCHMARKS = (
    Benchmark("virtual run against a bare wire loop", "bench s per CPU s", 0.12, 0.20, virtual_run.rounds),
    Benchmark("forecast against its plant alone", "bench s per CPU s", 0.3, 0.6, forecasts.rounds),
    Benchmark("oven driver over TCP against pymodbus", "reads/s", 0.9, 0.95, wires.oven_over_tcp),
    Benchmark("network furnace driver against pymodbus", "reads/s", 0.9, 1.0, wires.network_furnace),
    Benchmark(
        "cycler driver against bare pyvisa-py", "reads per CPU s", 0.9, 1.0, wires.cycler_over_a_socket
    ),
    Benchmark("furnace driver on a pty against pymodbus", "reads/s", 8.0, 20.0, wires.furnace_on_a_pty),
    Benchmark("simulator server against lewis", "queries/s", 50.0, 140.0, wires.simulator_against_lewis),
    Benchmark(
        "p99 tick lateness of a bare thread over ours",
        "ms late",
        0.33,
        0.67,
        ticks.rounds,
        less=True,
        times=3 * ROUNDS,
    ),
    Benchmark("judging 30 steps against PyYAML loading them", "texts per CPU s", 0.7, 1.5, linting.rounds),
    Benchmark(
        "labctl --help against bare Python",
        "starts per CPU s",
        0.15,
        0.25,
        starting.rounds,
        times=10 * ROUNDS,
    ),
)


def main() -> int:
    """Run all benchmarks; the exit code."""
    results, missed = [], 0
    print(f"{'':46}{'ours':>10}{'theirs':>10}{'ratio':>9}{'must':>7}{'hoped':>7}")
    for name, unit, must, hoped, rounds, less, times in BENCHMARKS:
        with closing(rounds()) as side_by_side:
            measured = list(islice(side_by_side, times))
        ratio = median(theirs / ours if less else ours / theirs for ours, theirs in measured)
        ours, theirs = (median(side) for side in zip(*measured, strict=True))
        verdict = "" if ratio >= must else "   MISSED"
        print(
            f"{name:46}{ours:10.4g}{theirs:10.4g}{ratio:9.3g}{must:7g}{hoped:7g}  {unit}{verdict}", flush=True
        )
        results.append({"name": name, "ratio": round(ratio, 4), "must": must})
        missed += ratio < must
    (ROOT / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    undisturbed_s, turns_s = virtual_run.whole_run_cpu_s()
    print(
        f"the whole 800 degC synthesis, recorded: {undisturbed_s:.1f} CPU s undisturbed (goal 20, no gate), "
        f"{' '.join(f'{turn_s:.1f}' for turn_s in turns_s)} as they came, "
        f"pymodbus' handleFrame {virtual_run.handle_frame_us():.1f} us"
    )
    print(f"the report of a synthesis: {reports.cpu_s():.1f} CPU s (goal 3, no gate)")
    print(f"the forecast of it: {forecasts.whole_cpu_s():.1f} CPU s (goal 5, no gate)")
    first_ms = linting.first_cpu_s() * 1e3
    print(f"the first judgement of 30 steps, beyond imports: {first_ms:.0f} ms of CPU (goal 60, no gate)")
    print(f"a hundred plans of 30 steps judged: {linting.hundred_cpu_s():.1f} CPU s (goal 2, no gate)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
