"""Transcripts: the bytes on the lines of a bench as text that a person can read, and a test can replay.

    labctl transcript 1 SIMULATED
    (what was connected, as YAML)
    ---
    * 0.000000 furnace read                                    labctl asks the driver
    > 0.000000 furnace  01 03 00 01 00 02 95 cb  |........|    bytes sent
    < 0.013500 furnace  01 03 04 00 dc 00 00 ca  |........|    bytes received; `nothing`: a read ended by its time-out
    = 0.013500 furnace [[22.0,"degC","GOOD"]]                  what the driver made of it
    end 0.013500 done

`x` are bytes that came and were thrown away unread, `!` is a line that failed. Times are seconds of the bench clock
since `begins`. Pieces of one reply that come within `ONE_LINE_S` are one line, with the time of the last of them.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, unquote

import yaml
from pydantic import Field
from pydantic import ValidationError as SchemaError

from labctl.bench.schema import Model
from labctl.errors import UsageError

FORMAT = "labctl transcript 1"
ENDING = ".transcript"
SENT, RECEIVED, DROPPED, FAILED, ASKED, ANSWERED = ">", "<", "x", "!", "*", "="
BYTES = (SENT, RECEIVED, DROPPED)
NOTHING = "nothing"
PER_ROW = 16
ONE_LINE_S = 0.02
"""Shorter than any time-out here (0.1 s is the shortest), so that a reply merged so late still comes in time."""

_LINE = re.compile(r"([><x!*=]) +(\d+\.\d+) (\S+) (.*)")
_HEX = re.compile(r"[0-9a-f]{2}(?: [0-9a-f]{2})*")


class Captured(Model):
    """One instrument of a transcript. link: of its port as the driver opened it. identity: what it said of itself."""

    driver: str
    version: str
    address: str
    link: str = ""
    serial_number: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    identity: dict[str, str] = Field(default_factory=dict)


class Header(Model):
    """What was connected. begins: UTC of the bench clock. part: number, where a long capture is in several files."""

    labctl: str
    bench: str
    begins: str
    simulated: bool
    part: int = 1
    instruments: dict[str, Captured]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: where it stands in its file, what it is (a sign, see the module), when, of whom; bytes or text."""

    row: int
    sign: str
    t_s: float
    instrument: str
    data: bytes
    text: str


class Transcript:
    """A transcript that is being written, by as many threads as there are lines.

    A long one goes on in further parts, of which the first and the newest are kept. A file that cannot be written is
    given up with `problem`, which is said on stderr: no run ends because of its transcript.
    """

    def __init__(self, path_of: Callable[[int], Path], *, part_bytes: int, parts: int) -> None:
        """`path_of`: the file of part 1 and so on. At most `parts` files of `part_bytes` each are left."""
        self.problem: str | None = None
        self._path_of = path_of
        self._part_bytes = part_bytes
        self._parts = parts
        self._lock = threading.Lock()
        self._early: list[str] = []
        self._head: Callable[[int], str] | None = None
        self._file: TextIO | None = None
        self._part = 0
        self._size = 0
        self._last_s = 0.0

    def begin(self, header: Header) -> None:
        """Write the header and what has been heard before it was known. Beginning twice is fine."""
        with self._lock:
            if self._head is not None:
                return
            self._head = lambda part: _head(header.model_copy(update={"part": part}))
            self._next_part()
            early, self._early = self._early, []
            for text in early:
                self._put(text)

    def write(self, sign: str, t_s: float, instrument: str, what: bytes | str) -> None:
        """One line. `t_s` since `begins`."""
        start = f"{sign} {t_s:.6f} {quote(instrument)} "
        text = start + (what if isinstance(what, str) else _rows(what, len(start)))
        with self._lock:
            self._last_s = max(self._last_s, t_s)
            if self._head is None:
                self._early.append(text)
            else:
                self._put(text)

    def close(self, why: str = "done") -> None:
        """Say that this is the end; closing twice is fine."""
        with self._lock:
            self._end(why)

    def _put(self, text: str) -> None:
        if self._file is None:
            return
        if self._size + len(text) > self._part_bytes:
            self._end("full")
            if self._parts == 1:
                self._give_up(f"{self._path_of(1)}: full at {self._part_bytes / 1e6:g} MB")
                return
            self._next_part()
        self._guarded(lambda file: file.write(f"{text}\n"))
        self._size += len(text) + 1

    def _next_part(self) -> None:
        assert self._head is not None
        self._part += 1
        self._size = 0
        path = self._path_of(self._part)
        try:
            self._file = path.open("x", encoding="ascii", buffering=1)
            if self._part > self._parts:
                self._path_of(self._part - self._parts + 1).unlink(missing_ok=True)
        except OSError as error:
            self._give_up(f"{path}: {error.strerror}")
            return
        self._guarded(lambda file: file.write(self._head(self._part)))  # type: ignore[misc]

    def _end(self, why: str) -> None:
        if self._file is not None:
            self._guarded(lambda file: file.write(f"end {self._last_s:.6f} {why}\n"))
        if self._file is not None:
            self._guarded(lambda file: file.close())
            self._file = None

    def _guarded(self, do: Callable[[TextIO], object]) -> None:
        assert self._file is not None
        try:
            do(self._file)
        except OSError as error:
            self._give_up(f"{self._file.name}: {error.strerror}")

    def _give_up(self, problem: str) -> None:
        file, self.problem, self._file = self._file, problem, None
        if file is not None:
            with suppress(OSError):
                file.close()
        print(f"labctl: the transcript ends here: {problem}", file=sys.stderr, flush=True)


def read_transcript(path: Path) -> tuple[Header, list[Entry]]:
    """What a transcript says. Raises UsageError: not one, damaged (with the line), or without its end."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no transcript: it is not plain text") from None
    if not text.startswith(FORMAT):
        what = "it is empty" if not text.strip() else f"it does not begin with {FORMAT!r}"
        raise UsageError(f"{path} is no transcript: {what}")
    head, mark, body = text.partition("\n---\n")
    first = text.count("\n", 0, len(head) + len(mark)) + 1
    if not mark:
        raise UsageError(f"{path} was cut off in its header")
    try:
        header = Header.model_validate(yaml.safe_load(head.partition("\n")[2]))
    except (yaml.YAMLError, SchemaError) as error:
        problem = str(error).replace("\n", " ")[:200]
        raise UsageError(f"{path}: its header is damaged: {problem}") from None
    return header, list(_entries(path, body.splitlines(), first, header.instruments))


def _entries(path: Path, lines: list[str], first: int, known: Mapping[str, Captured]) -> Iterator[Entry]:
    if not lines or not lines[-1].startswith("end "):
        row = first + len(lines) - 1
        raise UsageError(
            f"{path} was cut off after line {row}: it has no line `end TIME WHY`;"
            " write one there if it is to be replayed as far as it goes"
        )
    at = 0
    while at < len(lines) - 1:
        row, found = first + at, _LINE.fullmatch(lines[at])
        at += 1
        if found is None:
            raise UsageError(f"{path}:{row}: not a line of a transcript: {lines[at - 1][:60]!r}")
        sign, time, name, text = found[1], float(found[2]), unquote(found[3]), found[4]
        if name not in known:
            raise UsageError(f"{path}:{row}: no instrument {name!r} in the header")
        data = b""
        if sign in BYTES:
            rows = [text]
            while lines[at].startswith(" "):
                rows.append(lines[at])
                at += 1
            data = b"".join(_bytes(path, row + n, piece) for n, piece in enumerate(rows))
        yield Entry(row, sign, time, name, data, text)


def _bytes(path: Path, row: int, text: str) -> bytes:
    digits = text.partition("|")[0].strip()
    if digits == NOTHING:
        return b""
    if not _HEX.fullmatch(digits):
        raise UsageError(f"{path}:{row}: not bytes in hexadecimal: {digits[:60]!r}")
    return bytes.fromhex(digits)


def _head(header: Header) -> str:
    data = header.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=False, width=100)
    return f"{FORMAT} {'SIMULATED' if header.simulated else 'REAL'}\n{text}---\n"


def _rows(data: bytes, indent: int) -> str:
    """Hexadecimal with what is printable of it beside, `PER_ROW` bytes a row."""
    if not data:
        return f" {NOTHING}"
    rows = []
    for start in range(0, len(data), PER_ROW):
        piece = data[start : start + PER_ROW]
        plain = "".join(chr(b) if 32 <= b < 127 else "." for b in piece)
        rows.append(f" {piece.hex(' '):<{3 * PER_ROW}} |{plain}|")
    return ("\n" + " " * indent).join(rows)
