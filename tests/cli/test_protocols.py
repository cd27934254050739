"""Protocols of one's own: begun, shown whole, and checked by an editor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labctl.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--extends", "3dp-lvp"]])
def test_a_new_protocol_is_valid_from_the_first_moment(
    more: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["protocols", "new", "mine", *more]) == 0
    assert capsys.readouterr().out.splitlines() == ["protocols/mine.yaml"]
    assert main(["validate", "mine"]) == 0
    before = (here / "protocols" / "mine.yaml").read_bytes()
    assert main(["protocols", "new", "mine"]) == 2
    assert (here / "protocols" / "mine.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["../mine", "/tmp/mine", "Mine", "mine.yaml", ""])
def test_a_protocol_is_called_by_a_name(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocols", "new", name]) == 2
    assert "is not a name" in capsys.readouterr().err
    assert not list(here.rglob("*.yaml"))
    assert main(["protocols", "new", "mine", "--extends", "../etc/passwd"]) == 2
    assert main(["protocols", "new", "mine", "--extends", "3dp-nvp-cc"]) == 2


def test_a_protocol_is_shown_as_written_or_whole_and_both_are_the_same_plan(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["protocols", "show", "gcd-1c-100"]) == 0
    assert "{include: half-cell}" in capsys.readouterr().out
    assert main(["protocols", "show", "gcd-1c-100", "--whole"]) == 0
    whole = capsys.readouterr().out
    assert "include" not in whole.replace("extends and includes", "")
    assert str(here) not in whole
    (here / "whole.yaml").write_text(whole)
    hashes = []
    for name in ("gcd-1c-100", "whole.yaml"):
        assert main(["validate", name, "--json"]) == 0
        hashes.append(json.loads(capsys.readouterr().out.splitlines()[-1])["plan_hash"])
    assert hashes[0] == hashes[1]


def test_editors_are_set_up_and_what_was_set_there_stays(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = here / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"editor.rulers": [100], "yaml.schemas": {"x.json": "x.yaml"}}')
    assert main(["schema", "--write"]) == 0
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if not (here / line).is_file()] == []
    assert "# yaml-language-server: $schema=../.labctl/protocol.schema.json" in said.err
    found = json.loads(settings.read_text())
    assert found["editor.rulers"] == [100]
    assert found["yaml.schemas"]["x.json"] == "x.yaml"
    assert found["yaml.schemas"]["./.labctl/protocol.schema.json"] == "protocols/*.yaml"
    assert all((here / name).is_file() for name in found["yaml.schemas"] if name != "x.json")


def test_settings_that_are_no_plain_json_stay_as_they_are(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = here / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text("{// mine\n}")
    assert main(["schema", "--write"]) == 2
    assert settings.read_text() == "{// mine\n}"
    assert not (here / ".labctl").exists()
    assert "stays as it is" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--write", "bench"]])
def test_which_schema_is_wanted_must_be_said(arguments: list[str]) -> None:
    assert main(["schema", *arguments]) == 2
