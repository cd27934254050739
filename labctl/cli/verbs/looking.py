"""Verbs that look back."""

from __future__ import annotations

from labctl.cli.values import existing_file, mass, reading_of
from labctl.cli.verbs.parts import (
    ANY_SAMPLE,
    BENCH,
    BY,
    JSON,
    KIND,
    LABEL,
    NEW_SAMPLE,
    OUTPUT,
    PARTS,
    RUN,
    SAMPLE,
    Command,
    option,
)
from labctl.model.samples import SAMPLE_KINDS

LOOKING: tuple[Command, ...] = (
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
                (ANY_SAMPLE, BENCH, JSON),
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
)
