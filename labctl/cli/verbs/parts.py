"""What verbs are made of: a command, its options, and the options that several have."""

from __future__ import annotations

from typing import Any, NamedTuple

from labctl.cli.values import (
    bench_folder,
    duration,
    existing_file,
    file,
    folder,
    named_value,
    positive_number,
)
from labctl.model.samples import SAMPLE_KINDS


class Option(NamedTuple):
    """One argument or option, as `argparse.ArgumentParser.add_argument` takes it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]


class Command(NamedTuple):
    """One verb.

    help: one line, as the list of verbs shows it. handler: "module:function"; the function takes the parsed
    arguments and returns the exit code. commands: verbs below this one, which then has no handler itself.
    group: the heading under which `labctl --help` lists it. examples: shown below the verb's own help.
    """

    name: str
    help: str
    handler: str = ""
    options: tuple[Option, ...] = ()
    commands: tuple[Command, ...] = ()
    group: str = ""
    examples: tuple[str, ...] = ()


def option(*flags: str, **settings: Any) -> Option:
    """An option, written as a call of `add_argument`."""
    return Option(flags, settings)


BENCH = option(
    "--bench", metavar="DIR", type=bench_folder, default=".", help="bench folder (default: where you stand)"
)
PLAN_BENCH = option(
    "--bench", metavar="DIR", type=folder, help="bench folder (default: the bundled simulated bench)"
)
JSON = option("--json", action="store_true", help="print one JSON object, on the last line of stdout")
PARAMETERS = option(
    "-p",
    "--param",
    dest="parameters",
    metavar="NAME=VALUE",
    action="append",
    default=[],
    type=named_value,
    help="set a parameter of the protocol; repeatable",
)
PROTOCOL = option("protocol", metavar="PROTOCOL", help="a protocol by name, or a YAML file")
SEED = option("--seed", metavar="N", type=int, help="perturb the simulated plant, reproducibly")
SPEED = option(
    "--speed", metavar="N", type=positive_number, help="N times the real clock (default: as fast as it can)"
)
FAULTS = option(
    "--faults", metavar="FILE", type=existing_file, help="YAML list of faults that the simulated bench has"
)
REPORT = (
    option(
        "--report", dest="report", action="store_true", default=True, help="write the HTML report (default)"
    ),
    option("--no-report", dest="report", action="store_false", help="write no report"),
)
RUN = option("run", metavar="RUN", nargs="?", help="run id (default: the only or newest run)")
REASON = option("--reason", metavar="TEXT", default="", help="why; kept in the record")
BY = option("--by", metavar="NAME", help="who (default: your login name)")
ALARM = option("alarm", metavar="ALARM", help="its name in `labctl alarms`")
FOR = option("--for", dest="duration", metavar="TIME", type=duration, help="for how long, as in '2 h'")
CAPTURE = option(
    "--capture", metavar="FOLDER", type=folder, help="keep transcripts of every line of the bench there"
)
STEP = option("step", metavar="STEP", help="as `labctl plan` names it")
YES = option("--yes", action="store_true", help="do not ask before heating")
AGREED = option("--yes", action="store_true", help="do not ask before it is changed")
ATTENDED = option(
    "--attended",
    metavar="NAME",
    help="who stays beside a bench that lacks protective signals; kept in the record",
)
SAMPLE = option("sample", metavar="SAMPLE", help="its id or its label, as in `labctl samples list`")
ANY_SAMPLE = option(
    "sample", nargs="?", metavar="SAMPLE", help="its id or its label (default: what was made last)"
)
NEW_SAMPLE = option("sample", metavar="SAMPLE", help="the id to give it")
KIND = option("--kind", metavar="KIND", choices=SAMPLE_KINDS, help=f"only those: {', '.join(SAMPLE_KINDS)}")
LABEL = option("--label", metavar="TEXT", help="what is written on it")
PARTS: dict[str, Any] = {"metavar": "SAMPLE[=MASS]", "action": "append", "default": []}
OUTPUT = option("-o", "--output", metavar="FILE", type=file, help="write here instead")


def control(verb: str, text: str, *more: Option) -> Command:
    """A command to a run, put in the controller's inbox."""
    options = (RUN, *more, REASON, BY, BENCH)
    return Command(verb, text, f"labctl.cli.control:{verb}", options, group="Steer a run")
