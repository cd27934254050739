"""Verbs for those who build and try."""

from __future__ import annotations

from labctl.cli.values import bench_folder, count, duration, existing_file, file, folder, positive_number
from labctl.cli.verbs.parts import BENCH, FAULTS, JSON, PARAMETERS, SEED, Command, option

TOOLS: tuple[Command, ...] = (
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
