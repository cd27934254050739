"""Every verb of the command line, as data. A handler is a name until its verb is called."""

from __future__ import annotations

from typing import Any, NamedTuple

from labctl.cli.values import (
    bench_folder,
    count,
    duration,
    existing_file,
    file,
    folder,
    mass,
    moment,
    named_value,
    positive_number,
    reading,
    reading_of,
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
NEW_SAMPLE = option("sample", metavar="SAMPLE", help="the id to give it")
KIND = option("--kind", metavar="KIND", choices=SAMPLE_KINDS, help=f"only those: {', '.join(SAMPLE_KINDS)}")
LABEL = option("--label", metavar="TEXT", help="what is written on it")
PARTS: dict[str, Any] = {"metavar": "SAMPLE[=MASS]", "action": "append", "default": []}
OUTPUT = option("-o", "--output", metavar="FILE", type=file, help="write here instead")


def control(verb: str, text: str) -> Command:
    """A command to a run, put in the controller's inbox."""
    return Command(verb, text, f"labctl.cli.control:{verb}", (RUN, REASON, BY, BENCH), group="Steer a run")


COMMANDS: tuple[Command, ...] = (
    Command(
        "demo",
        "run a published synthesis on simulated instruments",
        "labctl.cli.demo:main",
        (SEED, *REPORT, JSON),
        group="Begin",
    ),
    Command(
        "init",
        "make a bench folder to fill in",
        "labctl.cli.init:main",
        (option("folder", metavar="DIR", nargs="?", type=folder, default=".", help="where (default: here)"),),
        group="Begin",
        examples=("labctl init furnace-room", "labctl init"),
    ),
    Command(
        "protocols",
        "list and read protocols",
        group="Begin",
        commands=(
            Command(
                "list",
                "list the protocols here and the bundled ones",
                "labctl.cli.protocols:list_all",
                (JSON,),
            ),
            Command(
                "show",
                "print a protocol as it is written",
                "labctl.cli.protocols:show",
                (
                    PROTOCOL,
                    option("--whole", action="store_true", help="with all that it extends and includes"),
                ),
            ),
            Command(
                "new",
                "write the beginning of a protocol of your own",
                "labctl.cli.protocols:new",
                (
                    option("name", help="what it is called; its file will be protocols/NAME.yaml"),
                    option("--extends", dest="base", metavar="NAME", help="a protocol that it changes"),
                ),
            ),
        ),
    ),
    Command(
        "validate",
        "check a protocol against a bench",
        "labctl.cli.validate:main",
        (PROTOCOL, PARAMETERS, PLAN_BENCH, JSON),
        group="Prepare",
        examples=("labctl validate 3dp-nvp-c", "labctl validate mine.yaml -p pyrolysis_hold='4 h' --bench ."),
    ),
    Command(
        "rules",
        "list the rules that a plan is judged by: why, and where from",
        "labctl.cli.rules:main",
        (option("rule", metavar="RULE", nargs="?", help="only this one, as a finding names it"), JSON),
        group="Prepare",
        examples=("labctl rules", "labctl rules SOL-003"),
    ),
    Command(
        "plan",
        "forecast a run: hours, gas, energy, and when somebody is needed",
        "labctl.cli.plan:main",
        (
            PROTOCOL,
            PARAMETERS,
            option("--start", metavar="TIME", type=moment, help="begin then (default: now)"),
            option(
                "--finish", metavar="TIME", type=moment, help="end by then: says when to begin at the latest"
            ),
            option("--html", metavar="FILE", type=file, help="also write the timeline as a page"),
            PLAN_BENCH,
            JSON,
        ),
        group="Prepare",
        examples=(
            "labctl plan 3dp-nvp-c -p pyrolysis_temperature='900 degC'",
            "labctl plan 3dp-nvp-c --start '2026-01-05 09:00' --html plan.html",
            "labctl plan 3dp-nvp-c --finish '2026-01-09 12:00' --bench .",
        ),
    ),
    Command(
        "diff",
        "say what differs between two protocols, or two runs, by what it means",
        "labctl.cli.diff:main",
        (
            option("a", metavar="A", help="a protocol by name or file; or a run, by id or its folder"),
            option("b", metavar="B", help="another; of the same protocol, with what -p sets"),
            PARAMETERS,
            PLAN_BENCH,
            JSON,
        ),
        group="Prepare",
        examples=(
            "labctl diff 3dp-nvp-c mine.yaml",
            "labctl diff 3dp-nvp-c 3dp-nvp-c -p pyrolysis_hold='4 h'",
            "labctl diff labctl-runs/monday labctl-runs/tuesday",
        ),
    ),
    Command(
        "recipe",
        "say what to weigh for a product, by stoichiometry, and correct it to what was weighed",
        "labctl.cli.recipe:main",
        (
            option(
                "product",
                metavar="PRODUCT",
                nargs="?",
                help="a recipe by name or formula, or a YAML file (default: a table of all)",
            ),
            option("--mass", metavar="MASS", type=mass, help="of product (default: as the recipe says)"),
            option(
                "--weighed",
                metavar="REAGENT=MASS",
                action="append",
                default=[],
                type=reading,
                help="what the balance said, in the order of weighing; repeatable; exit code 3 beyond tolerance",
            ),
            JSON,
        ),
        group="Prepare",
        examples=("labctl recipe", "labctl recipe na3v2 --mass '500 mg' --weighed V2O5='0.2012 g'"),
    ),
    Command(
        "schema",
        "print the JSON Schemas of the files you write, or set up your editor",
        "labctl.cli.schema:main",
        (
            option("what", nargs="?", choices=("protocol", "part", "bench"), help="which kind of file"),
            option("--write", action="store_true", help="write all into .labctl/ and point VS Code at them"),
            OUTPUT,
        ),
        group="Prepare",
    ),
    Command(
        "run",
        "carry out a protocol",
        "labctl.cli.run:main",
        (
            PROTOCOL,
            PARAMETERS,
            option("--bench", metavar="DIR", type=folder, help="bench folder"),
            option("--simulate", action="store_true", help="run on the simulated twin, in virtual time"),
            SEED,
            SPEED,
            FAULTS,
            option(
                "--lockstep",
                action="store_true",
                help="with --simulate --bench: over the wires at which `labctl sim up` serves the bench, scan by scan",
            ),
            YES,
            ATTENDED,
            CAPTURE,
            *REPORT,
            JSON,
        ),
        group="Run",
        examples=(
            "labctl run 3dp-nvp-c --simulate --seed 7",
            "labctl run 3dp-nvp-c --bench . -p pyrolysis_hold='6 h'",
        ),
    ),
    Command(
        "serve",
        "own the instruments of a bench, and run what is submitted",
        "labctl.cli.serve:main",
        (
            BENCH,
            option("--until-idle", action="store_true", help="leave when nothing has run for a minute"),
            CAPTURE,
        ),
        group="Run",
    ),
    Command(
        "status",
        "say what the bench and its runs are doing",
        "labctl.cli.status:main",
        (BENCH, JSON),
        group="Run",
    ),
    Command(
        "manual",
        "answer a step that waits for a person",
        "labctl.cli.control:manual",
        (
            option("step", metavar="STEP", nargs="?", help="step id (default: the one that waits)"),
            option(
                "--enter",
                dest="values",
                metavar="NAME=VALUE",
                action="append",
                default=[],
                type=named_value,
                help="a value the step asks for, with its unit; repeatable",
            ),
            option("--confirm", action="store_true", help="everything on the step's checklist is so"),
            option(
                "--attach",
                dest="files",
                metavar="NAME=FILE",
                action="append",
                default=[],
                type=named_value,
                help="a file that the step asks for; kept with the bench; repeatable",
            ),
            option("--checked-by", dest="checked_by", metavar="NAME", help="the second person who looked"),
            option("--run", metavar="RUN", help="run id (default: the only or newest run)"),
            BY,
            BENCH,
        ),
        group="Steer a run",
        examples=("labctl manual load-tube --confirm", "labctl manual weigh-dry --enter dry_mass='12.4 g'"),
    ),
    control("pause", "stay in the present step and let time pass; RESUME goes on"),
    control("resume", "go on after a pause"),
    control("hold", "hold temperature and gas where they are; RESTART goes on"),
    control("restart", "go on after a hold"),
    control("adopt", "take a setpoint that somebody changed at a panel for the step's own; needs a reason"),
    control("restore", "set again what labctl commanded, after somebody changed it at a panel"),
    control("stop", "end the run in order: cool down under gas"),
    control("abort", "end the run now: heat off, chambers made safe"),
    control("clear", "record cause and person after an abort"),
    control("reset", "make the bench ready again"),
    Command(
        "alarms",
        "list the alarms that stand, or count those that were",
        "labctl.cli.alarms:main",
        (option("--stats", action="store_true", help="how many people had to deal with"), BENCH, JSON),
        group="Alarms",
    ),
    Command(
        "ack",
        "acknowledge an alarm, or all that wait for it",
        "labctl.cli.alarms:ack",
        (
            option("alarm", metavar="ALARM", nargs="?", help="its name in `labctl alarms` (default: all)"),
            BY,
            BENCH,
        ),
        group="Alarms",
    ),
    Command(
        "shelve",
        "put an alarm out of sight for a while; guards act all the same",
        "labctl.cli.alarms:shelve",
        (
            ALARM,
            FOR,
            option("--out-of-service", action="store_true", help="until `unshelve`"),
            REASON,
            BY,
            BENCH,
        ),
        group="Alarms",
        examples=("labctl shelve tube/oxygen_high --for '2 h' --reason 'sensor ordered'",),
    ),
    Command(
        "unshelve",
        "show an alarm again",
        "labctl.cli.alarms:unshelve",
        (ALARM, BY, BENCH),
        group="Alarms",
    ),
    Command(
        "bypass",
        "let a guard only tell for a while; some can never be bypassed",
        "labctl.cli.alarms:bypass",
        (
            option("guard", metavar="CHAMBER/GUARD", help="for example tube/oxygen_high"),
            FOR,
            option("--end", action="store_true", help="take the bypass back"),
            REASON,
            BY,
            BENCH,
        ),
        group="Alarms",
    ),
    Command(
        "adjust",
        "change parameters of a run under way, as far as its steps are not over",
        "labctl.cli.revise:adjust",
        (RUN, PARAMETERS, REASON, AGREED, BY, BENCH),
        group="Change a run",
        examples=("labctl adjust -p pyrolysis_hold='8 h' --reason 'TG of the last batch'",),
    ),
    Command(
        "skip",
        "leave a step out; purge, cool and unload cannot be",
        "labctl.cli.revise:skip",
        (STEP, RUN, REASON, AGREED, BY, BENCH),
        group="Change a run",
        examples=("labctl skip carbon --reason 'analyser is away'",),
    ),
    Command(
        "goto",
        "leave out everything before a step that is still to come",
        "labctl.cli.revise:goto",
        (STEP, RUN, REASON, AGREED, BY, BENCH),
        group="Change a run",
    ),
    Command(
        "rerun",
        "begin a new run at a step of an old one, with what was entered before it",
        "labctl.cli.revise:rerun",
        (
            RUN,
            option(
                "--from", dest="step", metavar="STEP", required=True, help="the first step of the new run"
            ),
            YES,
            ATTENDED,
            CAPTURE,
            *REPORT,
            JSON,
            BENCH,
        ),
        group="Change a run",
        examples=("labctl rerun 3dp-nvp-c-1fd5c4a7 --from load-tube",),
    ),
    Command(
        "reserve",
        "keep a chamber for somebody; runs that need it wait",
        "labctl.cli.reserve:main",
        (
            option("chamber", metavar="CHAMBER", help="as the bench file names it"),
            FOR,
            option("--end", action="store_true", help="give it back"),
            REASON,
            BY,
            BENCH,
        ),
        group="Steer a run",
        examples=("labctl reserve drying-oven --for '12 h' --reason 'glassware' --by Ada",),
    ),
    Command(
        "gas",
        "look after gas supplies",
        group="Steer a run",
        commands=(
            Command(
                "swap",
                "tell labctl that another cylinder is on the line",
                "labctl.cli.gas:swap",
                (
                    option("supply", metavar="SUPPLY", help="as the bench file names it"),
                    option("--lot", metavar="LOT", required=True, help="what its label says"),
                    option(
                        "--pressure",
                        metavar="BAR",
                        type=positive_number,
                        required=True,
                        help="what its gauge shows",
                    ),
                    REASON,
                    BY,
                    BENCH,
                ),
                examples=("labctl gas swap nitrogen-cylinder --lot 4711 --pressure 198 --reason empty",),
            ),
        ),
    ),
    Command(
        "estop",
        "make everything safe now; asks nothing",
        "labctl.cli.control:estop",
        (REASON, BY, BENCH),
        group="Steer a run",
    ),
    Command(
        "bench",
        "look after a bench",
        group="Prepare",
        commands=(
            Command(
                "check",
                "say whether a bench could run now, and what keeps it from that",
                "labctl.cli.bench:check",
                (BENCH, JSON),
            ),
        ),
    ),
    Command(
        "devices",
        "list the instruments of a bench and what they say, or the installed drivers",
        "labctl.cli.devices:main",
        (
            option("name", metavar="NAME", nargs="?", help="only this instrument (without a bench: driver)"),
            option(
                "--bench",
                metavar="DIR",
                type=bench_folder,
                help="bench folder (default: where you stand, if it is one)",
            ),
            JSON,
        ),
        group="Prepare",
        examples=("labctl devices", "labctl devices furnace --bench furnace-room"),
    ),
    Command(
        "commission",
        "record that a real instrument is what its driver takes it for; it does not heat before",
        "labctl.cli.commission:main",
        (
            option("instrument", metavar="INSTRUMENT", help="by its name in the bench file"),
            option("--by", metavar="NAME", help="who stands for it; kept in the record"),
            option(
                "--answers", metavar="FILE", type=existing_file, help="YAML with the answers; asks nothing"
            ),
            option("--questions", action="store_true", help="print such a file to fill in, and do nothing"),
            option(
                "--cooldown",
                metavar="TIME",
                type=duration,
                help="measured, from the bench file's cooldown_from_c to 100 degC",
            ),
            option("--cooldown-from", metavar="RUN", help="take the cool-down from the record of a run"),
            option("--void", action="store_true", help="it holds no longer, for example after a repair"),
            REASON,
            BENCH,
            JSON,
        ),
        group="Prepare",
        examples=(
            "labctl commission furnace --by 'A. Curie'",
            "labctl commission furnace --questions > furnace.yaml",
            "labctl commission furnace --by 'A. Curie' --answers furnace.yaml --cooldown '3 h'",
            "labctl commission furnace --void --by 'A. Curie' --reason 'new thermocouple'",
        ),
    ),
    Command(
        "runs",
        "list, show and export runs",
        group="Look back",
        commands=(
            Command("list", "list the runs of a bench", "labctl.cli.runs:list_all", (BENCH, JSON)),
            Command(
                "show", "show one run: steps, verdict, results", "labctl.cli.runs:show", (RUN, BENCH, JSON)
            ),
            Command(
                "export",
                "write the record of one run",
                "labctl.cli.runs:export",
                (
                    RUN,
                    option(
                        "--journal",
                        action="store_true",
                        required=True,
                        help="the journal's canonical rows, from which the journal head can be recomputed",
                    ),
                    OUTPUT,
                    BENCH,
                ),
            ),
        ),
    ),
    Command(
        "samples",
        "keep samples and lots: what each was made of, and what was found out",
        group="Look back",
        commands=(
            Command(
                "list", "list the samples of a bench", "labctl.cli.samples:list_all", (KIND, BENCH, JSON)
            ),
            Command("show", "show one sample", "labctl.cli.samples:show", (SAMPLE, BENCH, JSON)),
            Command(
                "tree",
                "show the chain of a sample, from the precursors' bottles to the life of the cell",
                "labctl.cli.samples:tree",
                (SAMPLE, BENCH, JSON),
            ),
            Command(
                "add",
                "tell of a bottle with its lot, or of a sample that no run made",
                "labctl.cli.samples:add",
                (
                    NEW_SAMPLE,
                    option("kind", metavar="KIND", choices=SAMPLE_KINDS, help=", ".join(SAMPLE_KINDS)),
                    option("--of", **PARTS, help="what it was made of; repeatable"),
                    option("--formula", metavar="FORMULA", help="of what is in it"),
                    option("--lot", metavar="LOT", help="what its label says"),
                    option("--purity", metavar="PERCENT", help="as its certificate says, as in '99.5 wt%%'"),
                    option("--mass", metavar="MASS", type=mass, help="(default: what went in)"),
                    LABEL,
                    BY,
                    BENCH,
                ),
                examples=(
                    "labctl samples add bottle/na2co3 bottle --formula Na2CO3 --lot MKCX1234 --purity '99.5 wt%%'",
                ),
            ),
            Command(
                "split",
                "take parts of a sample; together they cannot be more than there is",
                "labctl.cli.samples:split",
                (
                    SAMPLE,
                    option("into", metavar="PART=MASS", nargs="+", help="each part with its mass"),
                    BY,
                    BENCH,
                ),
                examples=("labctl samples split RUN/powder for-xrd='50 mg' for-bet='0.2 g'",),
            ),
            Command(
                "merge",
                "put samples together; the mass is what went in",
                "labctl.cli.samples:merge",
                (
                    NEW_SAMPLE,
                    option(
                        "of",
                        metavar="SAMPLE[=MASS]",
                        nargs="+",
                        help="what is put together (default: all of it)",
                    ),
                    option("--kind", metavar="KIND", choices=SAMPLE_KINDS, help="where they are of several"),
                    LABEL,
                    BY,
                    BENCH,
                ),
            ),
            Command(
                "result",
                "tell what was found out about a sample, with the file it is from",
                "labctl.cli.samples:result",
                (
                    SAMPLE,
                    option(
                        "value",
                        metavar="QUANTITY=VALUE",
                        type=reading_of,
                        help="as in bet_surface='77 m2/g' or phase='NASICON, R-3c'",
                    ),
                    option("--method", metavar="TEXT", help="(default: the usual one)"),
                    option(
                        "--file",
                        metavar="FILE",
                        type=existing_file,
                        help="kept beside the record, by its digest",
                    ),
                    BY,
                    BENCH,
                ),
                examples=("labctl samples result RUN/powder tap_density='0.93 g/cm3' --file tap.csv",),
            ),
            Command(
                "label",
                "print what belongs on the vial, and give it that label",
                "labctl.cli.samples:label",
                (SAMPLE, option("--text", metavar="TEXT", help="the label to give it"), BY, BENCH),
            ),
        ),
    ),
    Command(
        "report",
        "write the HTML report of a run",
        "labctl.cli.report:main",
        (RUN, OUTPUT, BENCH),
        group="Look back",
    ),
    Command(
        "audit",
        "prove that the record is whole",
        group="Look back",
        commands=(
            Command("verify", "recompute every hash of the record", "labctl.cli.audit:verify", (BENCH, JSON)),
        ),
    ),
    Command(
        "capture",
        "keep what instruments and labctl say to each other, byte by byte",
        "labctl.cli.capture:main",
        (
            option("instruments", metavar="INSTRUMENT", nargs="*", help="which of the bench (default: all)"),
            option(
                "--bench",
                metavar="BENCH",
                default=".",
                help="bench folder, or a bundled bench by name (default: where you stand)",
            ),
            option(
                "--for",
                dest="lasts",
                metavar="TIME",
                type=duration,
                default="10 s",
                help="how long to read after connecting (default: 10 s)",
            ),
            option(
                "--exercise",
                action="store_true",
                help="also ask for what neither heats nor charges; simulated benches only",
            ),
            option(
                "-o", "--output", metavar="FILE", type=file, required=True, help="the transcript to write"
            ),
        ),
        group="Tools",
        examples=(
            "labctl capture furnace --bench . --for '2 min' -o furnace.transcript",
            "labctl capture --bench small --exercise -o small.transcript",
        ),
    ),
    Command(
        "chaos",
        "try the product itself under seeded faults, on a simulated bench",
        "labctl.cli.chaos:main",
        (
            option("--seeds", metavar="N", type=count, default=20, help="how many seeds (default: 20)"),
            option("--seed", metavar="K", type=int, default=1, help="the first of them (default: 1)"),
            option(
                "--faults",
                metavar="FILE",
                type=existing_file,
                help="YAML list of faults, instead of each seed's own",
            ),
            option(
                "--bench",
                metavar="DIR",
                type=bench_folder,
                help="the protections of this bench, on the twin's own matter (default: a bench of its own)",
            ),
            JSON,
        ),
        group="Tools",
        examples=("labctl chaos --seeds 300", "labctl chaos --seeds 1 --seed 17"),
    ),
    Command(
        "sim",
        "look behind a simulated bench",
        group="Tools",
        commands=(
            Command(
                "up",
                "serve a whole simulated bench over real wires",
                "labctl.cli.hil:up",
                (
                    option(
                        "of", metavar="BENCH", help="a bundled bench by name, a bench folder, or a bench file"
                    ),
                    option(
                        "--out", metavar="DIR", type=folder, help="bench folder to make (default: BENCH-hil)"
                    ),
                    option(
                        "--speed", metavar="N", type=positive_number, help="N times real time (default: 1)"
                    ),
                    option("--paused", action="store_true", help="let no time pass but by `labctl sim step`"),
                    SEED,
                    FAULTS,
                    option(
                        "--tcp", action="store_true", help="serial instruments on TCP too, not on terminals"
                    ),
                    option(
                        "--expose", metavar="HOST", help="listen on this address instead of loopback only"
                    ),
                ),
                examples=("labctl sim up small --out small", "labctl sim up small --speed 20 --tcp"),
            ),
            Command(
                "truth", "print what the simulated plant really does", "labctl.cli.sim:truth", (BENCH, JSON)
            ),
            Command(
                "fault",
                "make something go wrong",
                "labctl.cli.sim:fault",
                (
                    option("instrument", metavar="INSTRUMENT", help="whose wire, device, sensor or chamber"),
                    option("kind", metavar="KIND", help="what goes wrong, for example drop, sensor_open"),
                    option(
                        "--at",
                        metavar="TIME",
                        type=duration,
                        default=0.0,
                        help="that much later (default: now)",
                    ),
                    option(
                        "--for",
                        dest="lasts",
                        metavar="TIME",
                        type=duration,
                        help="how long (default: till cleared)",
                    ),
                    PARAMETERS,
                    BENCH,
                ),
                examples=("labctl sim fault nitrogen supply_lost --for '40 s' --bench small",),
            ),
            Command(
                "clear",
                "end faults",
                "labctl.cli.sim:clear",
                (option("instrument", metavar="INSTRUMENT", nargs="?", help="whose (default: all)"), BENCH),
            ),
            Command("faults", "list faults and how often each acted", "labctl.cli.sim:faults", (BENCH, JSON)),
            Command(
                "step",
                "let a served bench live some time at once",
                "labctl.cli.sim:step",
                (
                    option("seconds", metavar="TIME", type=duration, help="seconds, or as in '2 h'"),
                    BENCH,
                    JSON,
                ),
            ),
            Command("pause", "let its time stand still", "labctl.cli.sim:pause", (BENCH, JSON)),
            Command("resume", "let its time run again", "labctl.cli.sim:resume", (BENCH, JSON)),
            Command(
                "speed",
                "let its time run N times as fast as the real clock",
                "labctl.cli.sim:speed",
                (option("factor", metavar="N", type=positive_number, help="1 is real time"), BENCH, JSON),
            ),
        ),
    ),
    Command(
        "completion",
        "print the completion script of a shell",
        "labctl.cli.completion:main",
        (option("shell", choices=("bash", "zsh", "tcsh"), help="which shell"),),
        group="Tools",
        examples=("labctl completion bash > ~/.local/share/bash-completion/completions/labctl",),
    ),
)
