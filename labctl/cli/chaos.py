"""`labctl chaos`: seeded faults against the whole product, and what an independent observer saw."""

from __future__ import annotations

from argparse import Namespace

import yaml

from labctl.chaos.campaign import HITS, Failure, Report, campaign
from labctl.cli.faults import read_faults
from labctl.cli.terminal import print_json, print_table, say

TOLD_EVERY = 20
"""Seeds between two lines of progress."""
VIOLATED, NO_EVIDENCE = 1, 3
"""Exit codes: a violation is a bug; a campaign that tried too little proves nothing."""


def main(arguments: Namespace) -> int:
    """Carry out the seeds, print what came of them."""
    first: int = arguments.seed
    report = campaign(
        range(first, first + arguments.seeds),
        bench=arguments.bench,
        faults=read_faults(arguments.faults, also=("run",)) if arguments.faults else None,
        tell=_tell,
    )
    if arguments.json:
        print_json(report.to_json())
    else:
        _print(report)
    where = f" --bench {arguments.bench}" if arguments.bench else ""
    for failure in report.failures:
        _say_failure(report, failure, where)
    for what, names in report.missed.items():
        if names:
            wanted = f"fewer than {HITS} times" if what == "faults" else "never"
            say(f"No evidence: these {what} were seen {wanted}: {', '.join(names)}")
    if report.failures:
        return VIOLATED
    return 0 if report.holds else NO_EVIDENCE


def _tell(report: Report) -> None:
    for failure in report.failures:
        if failure.seed == report.first + report.seeds - 1:
            say(f"seed {failure.seed} violates {failure.invariant}: {failure.what}")
    if report.seeds % TOLD_EVERY == 0:
        hours = report.virtual_s / 3600.0
        say(f"{report.seeds} seeds, {hours:.0f} virtual hours, {len(report.failures)} violations")


def _print(report: Report) -> None:
    data = report.to_json()
    rows = [
        ("version", report.version),
        ("seeds", f"{report.seeds} from {report.first}"),
        ("virtual hours", f"{data['virtual_h']:g}"),
        ("checks", f"{report.checks}"),
        ("ends", ", ".join(f"{count} {state}" for state, count in report.ends.most_common())),
        ("violations", f"{len(report.failures)}"),
    ]
    print_table(("", ""), rows)
    print_table(("fault", "hits"), [(kind, str(hits)) for kind, hits in data["faults"].items()])
    print_table(("detection", "times"), [(path, str(n)) for path, n in data["detections"].items()])


def _say_failure(report: Report, failure: Failure, where: str) -> None:
    """Everything that somebody needs to see it again."""
    say(f"\nVIOLATION of {failure.invariant}: {failure.what}, at {failure.t_s:.0f} s of seed {failure.seed}")
    say(f"labctl {report.version}, journal head {failure.head}")
    if failure.minimal:
        say("The smallest schedule that does it. Kept in FILE, it is replayed to the same head by")
    else:
        say("It is replayed to the same head, and its schedule minimised, by")
    again = f"--seeds 1 --seed {failure.seed}{where}"
    say(f"    labctl chaos {again} --faults FILE" if failure.minimal else f"    labctl chaos {again}")
    if failure.minimal:
        faults = failure.to_json()["faults"]
        say(yaml.safe_dump(faults, sort_keys=False, default_flow_style=None, width=1000).rstrip())
