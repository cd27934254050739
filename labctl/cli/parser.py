"""The parser, built from the table: verbs in groups, and suggestions for what is misspelt."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, NoReturn

from labctl.cli.table import COMMANDS
from labctl.cli.verbs.parts import Command

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

EXIT_CODES = """\
exit codes:
  0  done                      5  ended by a fault or a trip    9  time-out
  1  a bug of labctl           6  an instrument is unreachable  10 bench locked
  2  wrong call                7  no controller
  3  validation failed         8  a permissive refused
  4  ended by a person"""

FIRST_STEPS = """\
first steps:
  labctl demo                                 a whole synthesis, simulated, in seconds
  labctl plan 3dp-nvp-c                       what it would take
  labctl run 3dp-nvp-c --simulate --seed 7    the same on your terms"""


class Parser(argparse.ArgumentParser):
    """A parser that suggests the nearest word instead of listing all of them."""

    def error(self, message: str) -> NoReturn:
        """Print one line and where to read on; exit with 2."""
        self.exit(2, f"labctl: {message}\n{self.format_usage()}Help: {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = action.choices
        if choices is not None and value not in choices:
            kind = (
                "command"
                if isinstance(action, argparse._SubParsersAction)
                else str(action.metavar or action.dest)
            )
            hint = (
                suggestion(str(value), [str(c) for c in choices])
                or f" Choose from: {', '.join(map(str, choices))}."
            )
            raise argparse.ArgumentError(None, f"there is no {kind} {str(value)!r}.{hint}")

    def refuse_unknown(self, words: Sequence[str]) -> NoReturn:
        """Say which words make no sense to this parser, and which option was probably meant."""
        word = words[0]
        if not word.startswith("-"):
            self.error(f"{' '.join(words)!r} is one word too many")
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        self.error(f"there is no option {word}.{suggestion(word.partition('=')[0], known)}")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help, coloured only where somebody looks at it."""
        if coloured(file or sys.stdout):
            from rich_argparse import RawDescriptionRichHelpFormatter

            for parser in self.walk():
                parser.formatter_class = RawDescriptionRichHelpFormatter
        super().print_help(file)

    def walk(self) -> Iterable[Parser]:
        """This parser and every one below it."""
        yield self
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser.walk()


class VerbParser(Parser):
    """The parser of one verb. It learns its options when first asked: a call needs one of sixty."""

    def __init__(self, *, command: Command, **settings: Any) -> None:
        """Settings: as `argparse.ArgumentParser` takes them, beside what the command says."""
        examples = "".join(f"\n  {line}" for line in command.examples)
        super().__init__(
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=f"examples:{examples}" if examples else None,
            allow_abbrev=False,
            **settings,
        )
        self._unlearnt: Command | None = command

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._learn()
        return super().parse_known_args(args, namespace)

    def walk(self) -> Iterable[Parser]:
        self._learn()
        return super().walk()

    def _learn(self) -> None:
        command, self._unlearnt = self._unlearnt, None
        if command is None:
            return
        self.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        for option in command.options:
            self.add_argument(*option.flags, **option.settings)
        if command.commands:
            _add(self, command.commands)
        else:
            self.set_defaults(handler=command.handler, parser=self)


class RootParser(Parser):
    """The parser of `labctl` itself: its help lists the verbs by what they are for."""

    def format_help(self) -> str:
        formatter = self._get_formatter()
        formatter.add_text(self.description)
        formatter.add_usage(self.usage, [], [])
        for group in dict.fromkeys(command.group for command in COMMANDS):
            formatter.start_section(group)
            formatter.add_arguments(
                [
                    argparse.Action([], dest=command.name, metavar=command.name, help=command.help)
                    for command in COMMANDS
                    if command.group == group
                ]
            )
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments(action for action in self._actions if action.option_strings)
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()


class Version(argparse.Action):
    """Print the version of the distribution and exit."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"labctl {version('labctl-synthesis')}")
        parser.exit()


def build() -> RootParser:
    """The whole parser. Parsed arguments carry `handler` ("module:function") and `parser` (of the verb)."""
    # argparse makes one for every argument; how wide it may be is asked once
    plain = partial(argparse.RawDescriptionHelpFormatter, width=get_terminal_size().columns - 2)
    root = RootParser(
        prog="labctl",
        usage="labctl COMMAND [options]",
        description="Runs solid-state syntheses on real or simulated instruments, and keeps the proof.",
        epilog=f"{FIRST_STEPS}\n\n{EXIT_CODES}",
        formatter_class=plain,
        allow_abbrev=False,
    )
    root.add_argument("--version", nargs=0, action=Version, help="print the version and exit")
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    _add(root, COMMANDS)
    return root


def _add(parent: Parser, commands: Sequence[Command]) -> None:
    verbs = parent.add_subparsers(
        prog=parent.prog,
        metavar="COMMAND",
        title="commands",
        required=True,
        dest="command",
        parser_class=VerbParser,
    )
    for command in commands:
        verbs.add_parser(
            command.name, help=command.help, command=command, formatter_class=parent.formatter_class
        )


def suggestion(word: str, known: Sequence[str]) -> str:
    """` Did you mean 'x'?` for the nearest known word, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def coloured(stream: SupportsWrite[str]) -> bool:
    """True when a person looks at this stream and wants colour (NO_COLOR, TERM=dumb)."""
    return (
        getattr(stream, "isatty", bool)()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )
