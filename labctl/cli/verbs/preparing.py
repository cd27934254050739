"""Verbs to begin with, and to prepare protocols and benches."""

from __future__ import annotations

from labctl.cli.values import bench_folder, duration, existing_file, file, folder, mass, moment, reading
from labctl.cli.verbs.parts import (
    BENCH,
    JSON,
    OUTPUT,
    PARAMETERS,
    PLAN_BENCH,
    PROTOCOL,
    REASON,
    REPORT,
    SEED,
    Command,
    option,
)

PREPARING: tuple[Command, ...] = (
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
)
