"""Transcripts on disk: what is written is what was heard, within bounds, and what is damaged is said to be so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import UsageError
from labctl.runtime.capture import LineTap
from labctl.runtime.clock import BusClock
from labctl.runtime.transcript import Captured, Entry, Header, Transcript, read_transcript

HEADER = Header(
    labctl="1",
    bench="b",
    begins="2026-01-01T00:00:00.000+00:00",
    simulated=False,
    instruments={"a b": Captured(driver="ika", version="x 1", address="labsim://b/a")},
)


def written(file: Path, say: Callable[[LineTap, BusClock], None]) -> list[Entry]:
    clock = BusClock()
    transcript = Transcript(lambda part: file, part_bytes=10**6, parts=1)
    tap = LineTap("a b", clock, 0.0, transcript)
    tap.sent(b"early")
    transcript.begin(HEADER)
    say(tap, clock)
    tap.flush()
    transcript.close()
    header, entries = read_transcript(file)
    assert header == HEADER
    return entries


def test_what_was_said_is_read_back_whatever_its_bytes(tmp_path: Path) -> None:
    every = bytes(range(256)) * 2

    def say(tap: LineTap, clock: BusClock) -> None:
        tap.sent(every)
        clock.sleep(1.25)
        tap.received(b"|")
        tap.dropped(b"\n")
        tap.received(b"")
        tap.failed("lost: cäble\nout")

    entries = written(tmp_path / "t", say)
    assert [(e.sign, e.t_s, e.data) for e in entries[:5]] == [
        (">", 0.0, b"early"),
        (">", 0.0, every),
        ("<", 1.25, b"|"),
        ("x", 1.25, b"\n"),
        ("<", 1.25, b""),
    ]
    assert entries[5].text == "lost: c\\xe4ble out"
    assert {e.instrument for e in entries} == {"a b"}


def test_pieces_of_a_reply_are_one_line_unless_they_are_apart(tmp_path: Path) -> None:
    def say(tap: LineTap, clock: BusClock) -> None:
        for _ in range(30):
            tap.received(b"x")
            clock.sleep(0.0011)
        clock.sleep(1.0)
        tap.received(b"y")

    pieces = [(e.data, e.t_s) for e in written(tmp_path / "t", say)[1:]]
    assert [data for data, _ in pieces] == [b"x" * 19, b"x" * 11, b"y"]
    assert pieces[0][1] == pytest.approx(18 * 0.0011)


def parts_of(folder: Path, number: int) -> list[str]:
    transcript = Transcript(lambda part: folder / str(part), part_bytes=1000, parts=3)
    transcript.begin(HEADER)
    for n in range(number):
        transcript.write("=", float(n), "a b", "x" * 400)
    transcript.close()
    assert transcript.problem is None
    return sorted(path.name for path in folder.iterdir())


def test_a_long_transcript_keeps_its_first_and_its_newest_parts(tmp_path: Path) -> None:
    assert parts_of(tmp_path, 17) == ["1", "8", "9"]
    heads = {name: read_transcript(tmp_path / name) for name in ("1", "8", "9")}
    assert [header.part for header, _ in heads.values()] == [1, 8, 9]
    assert heads["9"][1][-1].t_s == 16.0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * 1400


def test_a_single_file_ends_when_it_is_full_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transcript = Transcript(lambda part: tmp_path / "t", part_bytes=1000, parts=1)
    transcript.begin(HEADER)
    for n in range(9):
        transcript.write("=", float(n), "a b", "x" * 400)
    transcript.close()
    assert transcript.problem == f"{tmp_path / 't'}: full at 0.001 MB"
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "t").read_text().endswith("end 2.000000 full\n")


def test_a_disk_that_fails_ends_the_transcript_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    transcript = Transcript(lambda part: Path(os.devnull), part_bytes=1000, parts=1)
    transcript.begin(HEADER)
    assert transcript.problem == "/dev/null: File exists"
    full = Transcript(lambda part: Path("/dev/full"), part_bytes=1000, parts=1)
    full._file = open("/dev/full", "w", buffering=1)  # noqa: SIM115  # mode "x" never opens a device
    full._head = lambda part: ""
    full.write("=", 0.0, "a b", "null")
    full.write("=", 1.0, "a b", "null")
    full.close()
    assert full.problem == "/dev/full: No space left on device"
    assert capsys.readouterr().err.count("the transcript ends here") == 2


GOOD = (
    "labctl transcript 1 REAL\nlabctl: '1'\nbench: b\nbegins: x\nsimulated: false\n"
    "instruments:\n  f: {driver: ika, version: v, address: a}\n---\n> 0.0 f  01 02  |..|\nend 1.0 done\n"
)


def test_a_transcript_may_be_written_by_hand(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(GOOD)
    assert read_transcript(tmp_path / "t")[1] == [Entry(9, ">", 0.0, "f", b"\x01\x02", " 01 02  |..|")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no transcript: it is empty"),
        (b"\n \n", "is no transcript: it is empty"),
        (b"\x00\xff\xfe" * 99, "is no transcript: it is not plain text"),
        (b"protocol: x\n", "is no transcript: it does not begin with 'labctl transcript 1'"),
        (GOOD.encode()[:60], "was cut off in its header"),
        (GOOD.replace("simulated: false\n", "").encode(), "its header is damaged: 1 validation error"),
        (GOOD.replace("bench: b", "bench: [").encode(), "its header is damaged: "),
        (
            GOOD.replace("end 1.0 done\n", "").encode(),
            "was cut off after line 9: it has no line `end TIME WHY`",
        ),
        (GOOD.partition("> ")[0].encode(), "was cut off after line 8"),
        (GOOD.replace("01 02", "01 0g").encode(), ":9: not bytes in hexadecimal: '01 0g'"),
        (GOOD.replace("> 0.0", "?").encode(), ":9: not a line of a transcript: '? f  01 02  |..|'"),
        (GOOD.replace("0.0 f", "0.0 g").encode(), ":9: no instrument 'g' in the header"),
        (GOOD.replace("> 0.0", "> nan").encode(), ":9: not a line of a transcript"),
    ],
)
def test_what_is_no_whole_transcript_is_one_readable_error(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_transcript(file)
    text = str(caught.value)
    assert text.startswith(str(file))
    assert said in text
    assert "\n" not in text
    assert len(text) < 400 + len(str(file))


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_transcript(tmp_path / "t")
    with pytest.raises(UsageError, match="Is a directory"):
        read_transcript(tmp_path)
