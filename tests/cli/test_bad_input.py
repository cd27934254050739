"""What a person may get wrong at the keyboard: one screen, no traceback, the right exit code, the nearest name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labctl import cli
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.cli.control import _entered
from labctl.cli.faults import read_faults
from labctl.errors import LabctlError, UsageError
from labctl.twin import check_faults, spec
from tests.analysis import synthetic
from tests.runtime.test_served import served

LINES = 60
"""One screen."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    synthetic.make(folder / "labctl.db", scan_s=600.0)
    return folder


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return spec(load_bench("small"), drivers())


def wrong(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    """What a wrong call says on stderr."""
    capsys.readouterr()
    assert cli.main(words) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "bug of labctl" not in said
    assert 0 < said.count("\n") <= LINES
    return said


# -- files of faults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[{instrument: nitrogen, kind: drop", 3, "not YAML"),
        ('[{"instrument": "nitrogen",]', 3, "not YAML"),
        ("", 2, "a list of faults is wanted"),
        ("- 5", 2, "fault 1 is not made of `key: value`"),
        ("- {kind: drop}", 2, "fault 1: a fault needs 'instrument'"),
        (
            "- {instrument: nitrogen, kind: dropp}",
            2,
            "fault 1: there is no fault 'dropp'; did you mean 'drop'?",
        ),
        (
            "- {instrument: nitrogn, kind: drop}",
            2,
            "there is no instrument 'nitrogn'; did you mean 'nitrogen'?",
        ),
        (
            "- {instrument: nitrogen, kind: drop, att: 5 s}",
            2,
            "fault 1: there is no key 'att'; did you mean at?",
        ),
        (
            "- {instrument: nitrogen, kind: drop, at: 1 kg}",
            2,
            "fault 1, at: '1 kg' is a mass, a time is wanted",
        ),
        ("- {instrument: nitrogen, kind: drop, at: -5 s}", 2, "'-5 s' is below the lowest possible time"),
        ("- {instrument: nitrogen, kind: drop, for: NaN s}", 2, "'NaN s' is not a finite number"),
        ("- {instrument: nitrogen, kind: drop, at_s: -5}", 2, "at_s is a number of seconds, not -5"),
        (
            "- {instrument: nitrogen, kind: drop, at: 1 h, at_s: 5}",
            2,
            "at and at_s are the same; give one of them",
        ),
        ("- {instrument: nitrogen, kind: drop, parameters: 7}", 2, "parameters are names with values, not 7"),
        ("- {instrument: nitrogen, kind: drop, parameters: {chnce: 1}}", 2, "did you mean 'chance'?"),
        (
            "- {instrument: nitrogen, kind: drop, parameters: {chance: 5}}",
            2,
            "chance of drop is a number from 0 to 1",
        ),
        (
            "- {instrument: nitrogen, kind: drop, parameters: {times: many}}",
            2,
            "times of drop is a number, not 'many'",
        ),
        (
            "- {instrument: nitrogen, kind: drop, parameters: {side: x}}",
            2,
            "side of drop is one of reply, request",
        ),
        (
            "- {instrument: nitrogen, kind: garbage, parameters: {bytes: 0xzz}}",
            2,
            "bytes as in 0x01ff, not '0xzz'",
        ),
        (
            "- {instrument: nitrogen, kind: drop, when: 5}",
            2,
            "when is {of: furnace.tube_c, above: 200}, not 5",
        ),
        (
            "- {instrument: nitrogen, kind: drop, when: {off: furnace.tube_c}}",
            2,
            "when has no 'off'; did you mean 'of'?",
        ),
        (
            "- {instrument: nitrogen, kind: drop, when: {of: furnace.tube_c}}",
            2,
            "when needs of, and above or below",
        ),
        (
            "- {instrument: nitrogen, kind: drop, when: {of: furnace.tube, above: 5}}",
            2,
            "no number 'furnace.tube'",
        ),
        (
            "- {instrument: nitrogen, kind: drop, when: {of: furnace.tube_c, above: 5 K}}",
            2,
            "is a number, not '5 K'",
        ),
    ],
)
def test_a_wrong_file_of_faults_names_the_fault(
    text: str, code: int, said: str, small: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    with pytest.raises(LabctlError) as caught:
        check_faults(small, read_faults(file))
    assert said in str(caught.value)
    assert caught.value.exit_code == code


@pytest.mark.parametrize(
    ("text", "code"), [("- 5", 2), ("- {instrument: nitrogen, kind: dropp}", 2), ("[", 3)]
)
def test_a_wrong_file_of_faults_begins_nothing(
    text: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("faults.yaml").write_text(text)
    wrong(capsys, "run", "3dp-nvp-c", "--simulate", "--faults", "faults.yaml", code=code)
    assert not Path("labctl-runs").exists()


def test_the_second_fault_is_called_the_second(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text("- {instrument: f, kind: drop}\n- {instrument: f, knd: drop}\n")
    with pytest.raises(UsageError, match="fault 2: there is no key 'knd'; did you mean kind"):
        read_faults(tmp_path / "faults.yaml")


# -- a served bench -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sim up smal", "did you mean small?"),
        ("sim up small --out a-file", "a-file is not a folder"),
        ("sim up small --out a-file/below", "Not a directory"),
        ("sim up small --out new --expose 192.0.2.1", "nothing can be served on 192.0.2.1: Cannot assign"),
        ("sim up small --out new --speed 1e12", "at most 10000 times real time"),
        ("sim up small --out new --faults a-file", "a list of faults is wanted"),
        ("sim fault nitrogen drop --bench nowhere", "there is no folder nowhere"),
        ("sim step three", "'three' is not a quantity"),
        ("sim speed nan", "nan is not above zero"),
    ],
)
def test_a_bench_that_cannot_be_served_is_told_why(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("text")
    assert said in wrong(capsys, *words.split())
    assert not Path("new").exists()


@pytest.mark.parametrize(
    "words", ["fault nitrogen drop", "clear", "step 5", "speed 2", "pause", "resume", "truth"]
)
def test_where_nothing_is_served_nobody_answers(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = wrong(capsys, "sim", *words.split(), "--bench", str(tmp_path), code=7)
    assert "nothing runs there now" in said


def test_a_served_bench_refuses_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "bench"
    with served(folder):
        for words, said in (
            ("fault nitrgen drop", "did you mean 'nitrogen'?"),
            ("fault nitrogen dorp", "did you mean 'drop'?"),
            ("fault nitrogen drop -p chance=2", "chance of drop is a number from 0 to 1, not 2"),
            ("fault nitrogen drop -p chance=1 -p chance=0", "chance is given twice"),
            ("fault nitrogen drop --at -5", "'-5' has no unit"),
            ("clear nitrgen", "did you mean 'nitrogen'?"),
            ("step 99999999999", "a step is 0..1e+07 s"),
            ("speed 1e12", "at most 10000 times real time"),
        ):
            assert said in wrong(capsys, "sim", *words.split(), "--bench", str(folder))
        second = [sys.executable, "-m", "labctl", "sim", "up", "small", "--out", str(folder)]
        done = subprocess.run(second, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert "is that bench up already?" in done.stderr


# -- where results are to be written ------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["report", "runs export --journal", "schema bench"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("a-folder", "a-folder is a folder; name a file"),
        ("", "a name is wanted, not an empty one"),
        ("a-file/below", "a-file is no folder"),
        ("/proc/self/nothing", "/proc/self/nothing: No such file or directory"),
        ("/dev/full", "/dev/full: No space left on device"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_result_that_cannot_be_written_there_names_the_place(
    verb: str,
    place: str,
    said: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-folder").mkdir()
    Path("a-file").write_text("text")
    bench = [] if verb.startswith("schema") else ["--bench", str(finished)]
    assert said in wrong(capsys, *verb.split(), *bench, "-o", place)
    assert Path("/dev/full").is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file", "a-folder"]


def test_a_full_disk_behind_stdout_is_no_bug(finished: Path) -> None:
    command = [sys.executable, "-m", "labctl", "runs", "export", "--journal", "--bench", str(finished)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "labctl: No space left on device\n"


def test_a_report_may_go_into_a_pipe_or_device(finished: Path) -> None:
    command = [sys.executable, "-m", "labctl", "report", "--bench", str(finished), "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")


@pytest.mark.parametrize("verb", ["report", "runs export --journal", "runs show"])
def test_a_run_that_is_not_there_is_answered_with_the_nearest(
    verb: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["runs", "list", "--json", "--bench", str(finished)]) == 0
    (run, *_) = json.loads(capsys.readouterr().out)["runs"]
    said = wrong(capsys, *verb.split(), run["run_id"][:-1] + "#", "--bench", str(finished))
    assert f"did you mean {run['run_id']}?" in said


# -- four hundred mistakes ----------------------------------------------------------------------------


def test_four_hundred_mistakes_are_one_screen_and_all_of_them_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = "".join(f"  - {{id: s{n}, heat: {{wth: furnace, to: 5 kg}}}}\n" for n in range(133))
    file = tmp_path / "many.yaml"
    file.write_text(f"protocol: many\nroles: {{furnace: tube_furnace}}\nsteps:\n{steps}")
    for verb in ("validate", "plan"):
        said = wrong(capsys, verb, str(file), code=3)
        assert said.count("error ") >= 20
        assert "... and 379 more; `labctl validate --json` has all of them" in said
        assert said.endswith("399 errors\n")
    assert cli.main(["validate", str(file), "--json"]) == 3
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 399


# -- people who are asked -----------------------------------------------------------------------------

WEIGHING = """\
protocol: weighing
steps:
  - {id: weigh, manual: {do: Weigh it, enter: {dry_mass: {unit: g, max: 20}}, confirm: [boat is alumina]}}
"""
"""The dish of the simulated operator weighs more than that."""


@pytest.mark.parametrize("words", ["plan", "run --simulate --yes"])
def test_an_answer_that_is_never_accepted_does_not_keep_a_simulation_busy_for_ever(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weighing.yaml").write_text(WEIGHING)
    said = wrong(capsys, *words.split(), "weighing.yaml", code=3)
    assert "nobody answers 'weigh': that of the simulated operator is refused: dry_mass is " in said
    assert "outside" in said
    assert not list(tmp_path.glob("labctl-runs/*"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("dry_mas", "3 g", "weigh does not ask for 'dry_mas'; did you mean dry_mass?"),
        ("dry_mass", "3 degC", "'3 degC' is a temperature, a mass is wanted"),
        ("dry_mass", "heavy", "'heavy' is not a quantity"),
        ("dry_mass", "nan", "nan is not a number that can be measured; give it in g"),
        ("dry_mass", "1e999", "1e999 is not a number that can be measured; give it in g"),
        ("dry_mass", "1e400 g", "not a finite number"),
    ],
)
def test_a_value_that_was_not_asked_for_never_reaches_the_controller(name: str, text: str, said: str) -> None:
    prompt = {"id": "weigh", "enter": [{"name": "dry_mass", "unit": "g", "min": None, "max": 20.0}]}
    with pytest.raises(UsageError, match=re.escape(said)):
        _entered(prompt, {name: text})
    assert _entered(prompt, {"dry_mass": "0.003 kg"}) == {"dry_mass": pytest.approx(3.0)}
