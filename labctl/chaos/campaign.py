"""Many seeds on a few processes, what they came to, and whether that is evidence."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from labctl.chaos.setting import Setting
from labctl.chaos.shrink import minimised
from labctl.chaos.trial import Outcome, trial
from labctl.model.limits import GUARD_NAMES

WORKERS = 2
"""Processes; a seed takes about three seconds of one core."""
ENOUGH = 300
"""From so many seeds on, with their own schedules, a campaign has to be evidence: see `Report.missed`."""
HITS = 30
"""How often each kind of fault must have acted then."""
MINIMISED = 1
"""Of how many seeds that violated something the schedule is minimised; any other by a campaign of that seed alone."""

Faults = Sequence[Mapping[str, Any]]

PATHS = (
    "reading bad",
    "reading silent",
    "reading not ready",
    "command unknown",
    "command failed",
    "command refused",
    "command resolved by read-back",
    "purge proof voided",
    "step cannot go on",
    "held too long",
    "request refused",
    "alarm by_hand",
    "audit refused",
)
"""Ways in which labctl notices that something is wrong, besides its guards."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that violated something, with the smallest schedule that still does, and the journal head it gives."""

    seed: int
    invariant: str
    t_s: float
    what: str
    faults: tuple[Mapping[str, Any], ...]
    head: str
    minimal: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "seed": self.seed,
            "invariant": self.invariant,
            "t_s": self.t_s,
            "what": self.what,
            "faults": [{k: v for k, v in fault.items() if k != "name"} for fault in self.faults],
            "minimal": self.minimal,
            "head": self.head,
        }


@dataclass(slots=True)
class Report:
    """What a campaign came to. own: each seed had its own schedule. kinds: that its bench can have."""

    version: str
    first: int
    own: bool
    kinds: tuple[str, ...]
    guards: tuple[str, ...]
    seeds: int = 0
    virtual_s: float = 0.0
    checks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    detections: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one trial."""
        self.seeds += 1
        self.virtual_s += outcome.virtual_s
        self.checks += outcome.checks
        self.faults.update(outcome.hits)
        self.detections.update(outcome.detections)
        self.ends.update(outcome.ends)
        for found in outcome.violations:
            self.failures.append(Failure(outcome.seed, *found, outcome.faults, outcome.head, minimal=False))

    @property
    def missed(self) -> dict[str, list[str]]:
        """What keeps a campaign of ENOUGH seeds from being evidence: kinds hardly hit, detections never made."""
        if not self.own or self.seeds < ENOUGH:
            return {"faults": [], "detections": []}
        made = set(self.detections) | {path.partition(":")[0] for path in self.detections}
        wanted = (*PATHS, *(f"guard {name}" for name in self.guards))
        return {
            "faults": [kind for kind in self.kinds if self.faults[kind] < HITS],
            "detections": [path for path in wanted if path not in made],
        }

    @property
    def holds(self) -> bool:
        """Nothing was violated, and what must have been tried was tried."""
        return not self.failures and not any(self.missed.values())

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "version": self.version,
            "seeds": self.seeds,
            "first_seed": self.first,
            "virtual_h": round(self.virtual_s / 3600.0, 2),
            "faults": {
                kind: self.faults[kind] for kind in (*self.kinds, *(self.faults - Counter(self.kinds)))
            },
            "detections": dict(sorted(self.detections.items())),
            "ends": dict(self.ends),
            "checks": self.checks,
            "violations": [failure.to_json() for failure in self.failures],
            "missed": self.missed,
        }


def campaign(
    seeds: Sequence[int],
    *,
    bench: Path | None = None,
    faults: Faults | None = None,
    workers: int = WORKERS,
    tell: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Carry out these seeds. `faults`: for all of them, instead of their own. `tell`: after each."""
    setting = Setting.of(bench)
    setting.check(faults or ())
    report = Report(
        code_version(), seeds[0], faults is None, tuple(setting.kinds), setting.guards(GUARD_NAMES)
    )
    with _carrying_out(bench, faults, setting, min(workers, len(seeds))) as outcomes_of:
        for outcome in outcomes_of(seeds):
            report.add(outcome)
            tell(report)
    _minimise(setting, report)
    return report


def _minimise(setting: Setting, report: Report) -> None:
    """Replace the schedule of the first failure of each invariant by the smallest that fails alike."""
    done: set[str] = set()
    for number, failure in enumerate(report.failures):
        if failure.invariant in done or len(done) >= MINIMISED:
            continue
        done.add(failure.invariant)

        def again(faults: Faults, failure: Failure = failure) -> bool:
            found = trial(setting, failure.seed, faults, stop_at=failure.invariant).violations
            return any(violation.invariant == failure.invariant for violation in found)

        faults = minimised(failure.faults, again)
        outcome = trial(setting, failure.seed, faults)
        found = next((v for v in outcome.violations if v.invariant == failure.invariant), None)
        if found is not None:
            report.failures[number] = Failure(
                failure.seed, *found, tuple(outcome.faults), outcome.head, minimal=True
            )


@contextmanager
def _carrying_out(
    bench: Path | None, faults: Faults | None, setting: Setting, workers: int
) -> Iterator[Callable[[Iterable[int]], Iterator[Outcome]]]:
    """What carries seeds out, in their order: this process, or a pool."""
    if workers < 2:
        yield lambda seeds: (trial(setting, seed, faults) for seed in seeds)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _prepare, (bench, faults)) as pool:
        yield partial(pool.imap, _one)


_PREPARED: dict[str, Any] = {}
"""Of a worker process: its setting, and the faults that all seeds have."""


def _prepare(bench: Path | None, faults: Faults | None) -> None:
    _PREPARED.update(setting=Setting.of(bench), faults=faults)


def _one(seed: int) -> Outcome:
    return trial(_PREPARED["setting"], seed, _PREPARED["faults"])


def code_version() -> str:
    """The version, and eight digits of a SHA-256 over all code of the product: which code a seed belongs to."""
    try:
        number = version("labctl-synthesis")
    except PackageNotFoundError:
        number = "0"
    digest = hashlib.sha256()
    for package in ("labctl", "labctl_drivers", "labctl_simulators"):
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for file in sorted(Path(folder).rglob("*.py")):
                digest.update(file.read_bytes())
    return f"{number}+{digest.hexdigest()[:8]}"
