"""A finding shows the line it stands on and the place in it, however long the line."""

from pathlib import Path

import pytest

from labctl.cli.findings import count, describe, print_briefly, print_findings
from labctl.errors import Finding


def test_a_finding_shows_its_line_a_caret_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("a: 1\nb: {sped: 5}\n")
    finding = Finding("SCH-001", "error", "unknown key 'sped'", str(file), 2, 5, "did you mean speed?")
    assert describe(finding).splitlines() == [
        "error SCH-001: unknown key 'sped'",
        f"  --> {file}:2:5",
        "    2 | b: {sped: 5}",
        "      |     ^",
        "  = did you mean speed?",
    ]


def test_a_long_line_is_cut_around_the_place(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text("x" * 300 + "HERE" + "y" * 300)
    _, _, shown, caret = describe(Finding("R", "error", "m", str(file), 1, 301)).splitlines()
    assert shown[caret.index("^") :].startswith("HERE")
    assert len(shown) <= 110


def test_nothing_in_a_file_commands_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("a: \x1b[2J\u202e\n", encoding="utf-8")
    shown = describe(Finding("R", "error", "tag \x1b[2J is not taken", str(file), 1, 4))
    assert shown.splitlines()[0] == "error R: tag �[2J is not taken"
    assert shown.splitlines()[2:] == ["    1 | a: �[2J�", "      |    ^"]


def test_a_finding_without_a_place_is_one_line() -> None:
    assert describe(Finding("R", "warning", "m")) == "warning R: m"


def test_a_file_that_cannot_be_read_still_names_the_place() -> None:
    assert describe(Finding("R", "error", "m", "gone.yaml", 99, 1)) == "error R: m\n  --> gone.yaml:99:1"


def test_findings_are_counted_by_severity() -> None:
    findings = [Finding("R", severity, "m") for severity in ("warning", "error", "error")]
    assert count(findings) == "2 errors, 1 warning"
    assert count([]) == "no findings"


def test_findings_in_brief_say_once_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding("SAFE-005", "warning", what, hint="stay") for what in ("no door", "no limiter")]
    print_briefly([Finding("A-1", "info", "assumed"), *findings])
    assert capsys.readouterr().err.splitlines() == [
        "warning SAFE-005: stay",
        "  no door",
        "  no limiter",
        "info A-1",
        "  assumed",
    ]


def test_notes_are_printed_in_full_after_what_has_to_be_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("a: 1\nb: 2\n")
    note = Finding("PAPER-003", "info", "1 C is " + "much " * 30 + "117 mA/g", str(file), 2, 1)
    print_findings([note, Finding("R", "error", "wrong", str(file), 1, 4)])
    error, *_, last, counted = capsys.readouterr().err.splitlines()
    assert error == "error R: wrong"
    assert last.endswith("117 mA/g")
    assert counted == "1 error, 1 note"


def test_notes_on_several_files_say_which(capsys: pytest.CaptureFixture[str]) -> None:
    notes = [Finding("PAR-006", "info", "confirm it", f"protocols/{name}.yaml", 3, 1) for name in ("a", "b")]
    print_findings(notes)
    assert "note PAR-006 a.yaml:3: confirm it\nnote PAR-006 b.yaml:3: confirm it" in capsys.readouterr().err
    print_findings(notes[:1])
    assert "note PAR-006 line 3: confirm it" in capsys.readouterr().err
