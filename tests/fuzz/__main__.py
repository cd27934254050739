"""Fuzz: `python -m tests.fuzz [--documents N] [--seed S]`. Prints figures; exits with 1 when a document is broken."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections import Counter
from itertools import islice
from pathlib import Path

from tests.fuzz.documents import MISTAKES, documents
from tests.fuzz.trial import Broken, Cost, bench, highest_mb, trial

EVERY = 2_000
MOST_S = 1.0
"""CPU seconds that a document may take. Judged here and not by the suite, which a tracer may slow."""
KEPT = Path("fuzz-broken")


def main() -> int:
    """Try so many documents of a seed; what is broken is kept in a folder to look at."""
    parser = ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    on, plan_text = bench(), (MISTAKES / "good.yaml").read_text(encoding="utf-8")
    tried: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    slowest, most = Cost(0.0, 0.0), 0.0
    worst, broken, began = "", 0, time.process_time()
    for number, document in enumerate(islice(documents(arguments.seed), arguments.documents), 1):
        name = f"{document.what}, {document.kind.strip('_')}"
        tried[name] += 1
        try:
            was_accepted, cost = trial(document, on, plan_text)
            if cost.seconds > MOST_S:
                raise Broken(f"{cost.seconds:.2f} s of CPU")
        except Broken as error:
            broken += 1
            KEPT.mkdir(exist_ok=True)
            content = document.content
            raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            (KEPT / f"{arguments.seed}-{number}.yaml").write_bytes(raw)
            print(f"BROKEN {arguments.seed}-{number} ({name}): {str(error)[:300]}", flush=True)
            continue
        accepted[name] += was_accepted
        most = max(most, cost.grown_mb)
        if cost.seconds > slowest.seconds:
            slowest, worst = cost, f"{name}, number {number}"
        if number % EVERY == 0:
            print(f"{number} documents, {time.process_time() - began:.0f} CPU s, {broken} broken", flush=True)
    for name, count in sorted(tried.items()):
        print(f"{name:40}{count:8} tried{accepted[name]:8} accepted")
    print(
        f"{sum(tried.values())} documents of seed {arguments.seed}: {sum(accepted.values())} accepted, "
        f"{broken} broken; {time.process_time() - began:.0f} CPU s, slowest {slowest.seconds * 1e3:.0f} ms "
        f"({worst}), at most {most:.0f} MB for one, {highest_mb():.0f} MB in all"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
