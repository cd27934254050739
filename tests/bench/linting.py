"""How fast a protocol of thirty steps is judged, against PyYAML loading the same text: both in CPU time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path

import yaml

from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.protocol.validation import check_text

GOOD = Path(__file__).parents[1] / "protocol" / "mistakes" / "good.yaml"
STEPS, TIMES = 30, 20

FIRST = """
import time
import pint
import labctl.cli.validate
from tests.bench import linting
bench, text = linting.small(), linting.thirty_steps()
began = time.process_time()
linting.check_text(text, "p.yaml", {}, bench)
print(time.process_time() - began)
"""


def thirty_steps() -> str:
    """The protocol in which nothing is wrong, with waits at its end to make thirty steps."""
    text = GOOD.read_text(encoding="utf-8")
    more = range(STEPS - text.count("\n  - id: "))
    return text + "".join(f"  - id: rest-{i}\n    wait:\n      for: {i + 1} min\n" for i in more)


@cache
def small() -> Bench:
    """The bench that it is judged on."""
    return load_bench("small")


def rounds() -> Generator[tuple[float, float], None, None]:
    """Protocols judged per CPU second, without a forecast, and texts loaded."""
    text, bench = thirty_steps(), small()
    plan, _ = check_text(text, "p.yaml", {}, bench)
    assert plan is not None
    assert len(plan.steps) == STEPS
    while True:
        yield (
            _per_cpu_s(lambda: check_text(text, "p.yaml", {}, bench)),
            _per_cpu_s(lambda: yaml.safe_load(text)),
        )


def _per_cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(TIMES):
        work()
    return TIMES / (time.process_time() - began)


def hundred_cpu_s() -> float:
    """CPU seconds of judging a hundred different protocols of thirty steps, without a forecast."""
    text, bench = thirty_steps(), small()
    began = time.process_time()
    for nth in range(100):
        plan, _ = check_text(text.replace("protocol: good", f"protocol: good-{nth}", 1), "p.yaml", {}, bench)
        assert plan is not None
        assert plan.protocol == f"good-{nth}"
    return time.process_time() - began


def first_cpu_s() -> float:
    """CPU seconds of the first such judgement of a process, beyond imports."""
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    return float(done.stdout)
