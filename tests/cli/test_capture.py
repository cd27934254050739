"""`labctl capture`, and the controller's own: what is written, of which bench, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labctl import cli
from labctl.bench.loader import load_bench
from labctl.runtime.folder import Lock, controller_of
from labctl.runtime.transcript import ASKED, read_transcript
from labctl.testing import replay
from tests.runtime.live import live_bench
from tests.runtime.test_served import PURGE, served


def test_a_simulated_bench_is_captured_in_virtual_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.transcript"
    words = ["capture", "nitrogen", "oxygen", "--bench", "small", "--for", "2 min", "-o", str(file)]
    assert cli.main(words) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert file.read_text().startswith("labctl transcript 1 SIMULATED\n")
    header, entries = read_transcript(file)
    assert header.begins == "2026-01-01T00:00:00.000+00:00"
    assert list(header.instruments) == ["nitrogen", "oxygen"]
    assert header.instruments["nitrogen"].serial_number == "521641"
    assert header.instruments["nitrogen"].link == "19200 8N1, time-out 0.3 s"
    assert header.instruments["nitrogen"].version.startswith("labctl-synthesis ")
    asked = [entry.text for entry in entries if entry.sign == ASKED and entry.instrument == "oxygen"]
    assert asked[:2] == ["open", "audit"]
    assert asked[2:-1] == ["read"] * 120
    assert entries[-1].t_s == pytest.approx(120.0, abs=2.0)


def test_exercise_asks_for_what_neither_heats_nor_charges(tmp_path: Path) -> None:
    file = tmp_path / "small.transcript"
    assert cli.main(["capture", "--bench", "small", "--exercise", "--for", "1 s", "-o", str(file)]) == 0
    verbs = [entry.text for entry in read_transcript(file)[1] if entry.text.startswith("execute")]
    assert len(verbs) > 6
    assert not any('"heat"' in verb or '"source"' in verb for verb in verbs)


def test_two_captures_of_a_simulated_bench_are_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert cli.main(["capture", "--bench", "small", "--for", "3 s", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["furnce", "--bench", "small", "-o", "new"],
            2,
            "there is no instrument 'furnce'; did you mean furnace?",
        ),
        (["--bench", "smal", "-o", "new"], 2, "did you mean small?"),
        (["--bench", "small", "-o", "there"], 2, "there exists already; nothing was changed"),
        (["--bench", "small", "-o", "no/such/folder/new"], 2, "No such file or directory"),
        (["--bench", "small", "-o", "new", "--for", "5 sccm"], 2, "5 sccm"),
        (["--bench", "small"], 2, "-o/--output"),
        ([], 2, "-o/--output"),
    ],
)
def test_a_wrong_call_is_told_and_writes_nothing(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("mine")
    assert cli.main(["capture", *words]) == code
    assert said in capsys.readouterr().err
    assert Path("there").read_text() == "mine"
    assert not Path("new").exists()


def test_a_real_bench_is_captured_over_its_wires_and_never_exercised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "live.transcript"
    with live_bench(tmp_path / "bench", dumb=["oxygen"]) as bench:
        words = ["capture", "--bench", str(bench.folder), "--for", "1 s", "-o", str(file)]
        assert cli.main([*words, "--exercise"]) == 8
        assert "--exercise is for simulated ones only" in capsys.readouterr().err
        with Lock(bench.folder):
            assert cli.main(words) == 10
        assert bench.bytes_received == 0
        assert not file.exists()
        assert cli.main(words) == 6
        assert "oxygen: " in capsys.readouterr().err
    assert file.read_text().startswith("labctl transcript 1 REAL\n")
    for name in load_bench("small").instruments:
        with replay(file, name) as instrument:
            instrument.check()


def test_ctrl_c_ends_a_capture_which_is_whole_nevertheless(tmp_path: Path) -> None:
    file = tmp_path / "live.transcript"
    with live_bench(tmp_path / "bench") as bench:
        words = [
            "capture",
            "hotplate",
            "nitrogen",
            "--bench",
            str(bench.folder),
            "--for",
            "9 h",
            "-o",
            str(file),
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "labctl", *words], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("capturing hotplate, nitrogen for 32400 s")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        process.stderr.close()
    for name in ("hotplate", "nitrogen"):
        with replay(file, name) as instrument:
            instrument.check()


def test_a_controller_keeps_its_whole_conversation_and_leaves_it_whole(tmp_path: Path) -> None:
    folder, kept = tmp_path / "bench", tmp_path / "night"
    with served(folder):
        serve = ["serve", "--bench", str(folder), "--capture", str(kept)]
        process = subprocess.Popen([sys.executable, "-m", "labctl", *serve], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30.0
        while not (controller_of(folder) or {}).get("serving"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (tmp_path / "touch.yaml").write_text(PURGE)
        words = ["run", str(tmp_path / "touch.yaml"), "--bench", str(folder), "--yes"]
        assert cli.main([*words, "--capture", str(kept)]) == 2
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    (file,) = kept.iterdir()
    for name in load_bench("small").instruments:
        with replay(file, name) as instrument:
            assert instrument.header.simulated
            instrument.check()
