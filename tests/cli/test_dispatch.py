"""The command line is fast to start, says what was wrong, and ends with the documented code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from labctl import cli, errors
from labctl.cli.table import COMMANDS
from labctl.cli.verbs.parts import Command

HEAVY = {
    "asyncio", "numpy", "pint", "pydantic", "pymodbus", "pyvisa", "rich", "serial", "sqlite_utils",
    "transitions", "yaml",
}  # fmt: skip


def leaves(commands: Iterable[Command] = COMMANDS) -> Iterable[Command]:
    for command in commands:
        yield from leaves(command.commands) if command.commands else (command,)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from labctl.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=30)


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, json; from labctl.cli import main; code = main(['--help']); "
        "print(json.dumps([code, sorted({m.partition('.')[0] for m in sys.modules})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert not HEAVY & set(modules)


def test_what_goes_into_a_pipe_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    (tmp_path / "any.yaml").write_text("# Na₃V₂(PO₄)₃ at ≤ 800 °C\n", encoding="utf-8")
    program = "import sys; from labctl.cli import main; sys.exit(main(['protocols', 'show', sys.argv[1]]))"

    def show(name: str) -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, "-c", program, name]
        ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
        return subprocess.run(
            words, capture_output=True, env=ascii_only, cwd=tmp_path, timeout=30, check=False
        )

    assert show("any.yaml").stdout.decode("utf-8") == "# Na₃V₂(PO₄)₃ at ≤ 800 °C\n"
    missing = show("Na₃V₂")
    assert missing.returncode == 2
    assert "Na₃V₂" in missing.stderr.decode("utf-8")


def test_help_lists_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command.name} " in text
    assert "10 bench locked" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("command", tuple(leaves()), ids=lambda c: c.handler)
def test_every_handler_is_named_by_module_and_function(command: Command) -> None:
    module, _, function = command.handler.partition(":")
    assert module.startswith("labctl.cli.")
    assert function.isidentifier()
    assert command.help[0].islower()
    assert not command.help.endswith(".")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["vlaidate", "x"], "'validate'"),
        (["runs", "shwo"], "'show'"),
        (["run", "x", "--simulat"], "'--simulate'"),
        (["run", "x", "--sed=4"], "'--seed'"),
        (["completion", "bsh"], "'bash'"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest_one(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert f"Did you mean {meant}?" in err
    assert out == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "x", "-p", "hold"], "NAME=VALUE"),
        (["run", "x", "--speed", "0"], "not above zero"),
        (["run", "x", "--speed", "nan"], "not above zero"),
        (["status", "--bench", "/no/such/folder"], "there is no folder /no/such/folder"),
        (["stop", "run-1", "run-2"], "'run-2' is one word too many"),
        (["run"], "PROTOCOL"),
    ],
)
def test_a_wrong_call_is_refused_with_the_reason(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert reason in capsys.readouterr().err


def test_without_a_command_the_help_is_shown_and_the_call_counts_as_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert "labctl demo" in err
    assert out == ""


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def handler(_: Namespace) -> int:
        raise error

    monkeypatch.setattr("labctl.cli.completion.main", handler)
    return cli.main(["completion", "bash"])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.CommunicationError, 6),
        (errors.ControllerError, 7),
        (errors.PermissiveError, 8),
        (errors.WaitTimeoutError, 9),
        (errors.BenchLockedError, 10),
    ],
)
def test_an_error_of_labctl_is_one_line_and_its_own_exit_code(
    kind: type[errors.LabctlError],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fail_with(kind("the furnace does not answer"), monkeypatch) == code
    out, err = capsys.readouterr()
    assert err == "labctl: the furnace does not answer\n"
    assert out == ""


def test_an_unexpected_error_names_itself_and_hides_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(ZeroDivisionError("division by zero"), monkeypatch) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["--debug", "completion", "bash"], ["completion", "bash", "--debug"]])
def test_debug_shows_the_traceback(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(_: Namespace) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("labctl.cli.completion.main", handler)
    assert cli.main(words) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupting_ends_with_130_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_no_bug() -> None:
    program = "import sys; from labctl.cli import main; sys.exit(main(['completion', 'bash']))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 141


def test_a_bug_in_the_wild_ends_a_process_with_1_and_a_wrong_call_with_2() -> None:
    assert run("no-such-verb").returncode == 2
    assert run("completion", "bash").returncode == 0


def test_the_completion_of_every_shell_knows_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "tcsh"):
        assert cli.main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert all(command.name in script for command in COMMANDS)


def test_findings_show_the_line_a_caret_and_what_to_do(tmp_path: Path) -> None:
    from labctl.cli.findings import count, describe

    file = tmp_path / "mine.yaml"
    file.write_text("protocol: mine\nsteps:\n  - {id: mix, stir: {wit: stirrer}}\n")
    finding = errors.Finding(
        "PRO-001",
        "error",
        "unknown key 'wit'",
        file=str(file),
        line=3,
        column=22,
        hint="did you mean 'with'?",
    )
    assert describe(finding).splitlines() == [
        "error PRO-001: unknown key 'wit'",
        f"  --> {file}:3:22",
        "    3 |   - {id: mix, stir: {wit: stirrer}}",
        "      |                      ^",
        "  = did you mean 'with'?",
    ]
    assert count([finding, finding]) == "2 errors"
    assert count([]) == "no findings"


def test_a_long_line_is_cut_around_its_caret(tmp_path: Path) -> None:
    from labctl.cli.findings import describe

    file = tmp_path / "mine.yaml"
    file.write_text("x" * 200 + "HERE" + "y" * 200 + "\n")
    finding = errors.Finding("PRO-001", "error", "here", file=str(file), line=1, column=201)
    _, _, shown, caret = describe(finding, width=60).splitlines()
    assert len(shown) <= 60
    assert shown[caret.index("^")] == "H"
    assert shown.endswith("...")


def test_handlers_of_this_room_exist() -> None:
    for verb in ("completion", "schema", "protocols", "validate", "init", "runs", "audit", "report"):
        assert find_spec(f"labctl.cli.{verb}") is not None
