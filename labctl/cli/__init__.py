"""The command line: words in, an exit code out. Handlers, and what they need, are imported on dispatch."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

from labctl.cli.parser import build

WRONG_CALL = 2
"""Exit code of a call that makes no sense, as argparse has it."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it (128 + SIGINT)."""

BROKEN_PIPE = 141
"""Exit code when the reader of stdout went away (128 + SIGPIPE)."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a full or locked disk says of writing, without a file's name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code.

    Args:
        argv: the words after `labctl`; None takes those of the process.

    Returns:
        0 when done; otherwise the exit code of the error (see `labctl --help`).
    """
    for stream in (sys.stdout, sys.stderr):
        _take_any_text(stream)
    parser = build()
    try:
        if not (sys.argv[1:] if argv is None else argv):
            parser.print_help(sys.stderr)
            return WRONG_CALL
        arguments, unknown = parser.parse_known_args(argv)
        if unknown:
            arguments.parser.refuse_unknown(unknown)
    except SystemExit as ended:
        return int(ended.code or 0)
    except OSError as error:  # of a name too long to be looked for, or a folder that is not to be looked into
        return explain(error)
    try:
        module, _, function = arguments.handler.partition(":")
        code = int(getattr(import_module(module), function)(arguments))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains while it exits
        return BROKEN_PIPE
    except Exception as error:
        if arguments.debug:
            from traceback import print_exc

            print_exc()
        return explain(error, as_json=getattr(arguments, "json", False))


def _take_any_text(stream: object) -> None:
    """What goes into a file or a pipe is UTF-8 in every locale; a terminal that lacks a character shows `?`."""
    if isinstance(stream, TextIOWrapper):
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def explain(error: Exception, *, as_json: bool = False) -> int:
    """Say on stderr, within one screen, what went wrong; return the exit code. as_json: findings on stdout too."""
    from labctl.errors import (
        LabctlError,
        ValidationError,
    )  # here, since dataclasses double the time of --help

    if isinstance(error, ValidationError):
        from labctl.cli.findings import print_findings

        print_findings(error.findings)
        if as_json:
            from dataclasses import asdict

            from labctl.cli.terminal import print_json

            print_json({"findings": [asdict(finding) for finding in error.findings]})
        return error.exit_code
    if isinstance(error, LabctlError):
        print(f"labctl: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError) and (error.filename or error.errno in NO_ROOM):
        where = f"{error.filename}: " if error.filename else ""
        print(f"labctl: {where}{error.strerror}", file=sys.stderr)
        return WRONG_CALL
    text = str(error).strip().partition("\n")[0][:300]
    print(
        f"labctl: unexpected {type(error).__name__}{': ' + text if text else ''}\n"
        "This is a bug of labctl. The same command with --debug shows where.",
        file=sys.stderr,
    )
    return 1
