"""Verbs about alarms and guards."""

from __future__ import annotations

from labctl.cli.verbs.parts import ALARM, BENCH, BY, FOR, JSON, REASON, Command, option

WATCHING: tuple[Command, ...] = (
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
)
