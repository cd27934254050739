"""A forecast of the paper's synthesis against its plant alone, which nobody looks at.

Both live the same 79 h of bench time, the plant alone second by second as in a run. A forecast lives in longer ticks,
and what it costs more is the looking: every scan reads the instruments over their wires, decides and keeps. Timed in
CPU s of this process.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.forecast import forecast
from labctl.protocol.validation import load_plan
from labctl.twin import build, spec


def rounds() -> Generator[tuple[float, float], None, None]:
    """Bench seconds per CPU second of the forecast and of the plant."""
    bench, entries = load_bench("standard"), drivers()
    plan, _ = load_plan("3dp-nvp-c", {}, bench)
    while True:
        began = time.process_time()
        lasts_s = forecast(bench, entries, plan).duration_s
        took_s, began = time.process_time() - began, time.process_time()
        build(spec(bench, entries, plan), None).advance_to(lasts_s)
        yield lasts_s / took_s, lasts_s / (time.process_time() - began)


def whole_cpu_s() -> float:
    """CPU seconds of the forecast of the paper's synthesis; within 5 s on a machine of its own."""
    bench = load_bench("standard")
    plan, _ = load_plan("3dp-nvp-c", {}, bench)
    began = time.process_time()
    forecast(bench, drivers(), plan)
    return time.process_time() - began
