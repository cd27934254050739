"""Capturing a bench: a tap on every line, and what labctl asked its drivers beside the bytes that came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

from labctl.bench.api import Audit, Clock, Driver, InstrumentError, Reading
from labctl.bench.discovery import GROUP
from labctl.bench.schema import Bench
from labctl.runtime.instruments import Connection
from labctl.runtime.transcript import (
    ANSWERED,
    ASKED,
    DROPPED,
    ENDING,
    FAILED,
    ONE_LINE_S,
    RECEIVED,
    SENT,
    Captured,
    Header,
    Transcript,
)

DISTRIBUTION = "labctl-synthesis"

FILE_BYTES = 64_000_000
"""A transcript in one file ends there (assumed: half a day of a furnace; a test replays seconds)."""

PART_BYTES, PARTS = 16_000_000, 4
"""A controller's transcript: the first part, in which everything was opened, and the newest three (assumed: the last
hours of a night on a whole bench)."""


class LineTap:
    """The tap on one instrument's line. Pieces that come close together are one line."""

    def __init__(self, name: str, clock: Clock, start_s: float, transcript: Transcript) -> None:
        self.settings = ""
        self._name = name
        self._clock = clock
        self._start_s = start_s
        self._transcript = transcript
        self._came = b""
        self._since_s = self._until_s = 0.0

    def opens(self, settings: str) -> None:
        """See `Tap`."""
        self.settings = settings

    def sent(self, data: bytes) -> None:
        """See `Tap`."""
        self.note(SENT, data)

    def received(self, data: bytes) -> None:
        """See `Tap`."""
        now = self._clock.now()
        if not data or now - self._since_s > ONE_LINE_S:
            self.flush()
        if not data:
            self.note(RECEIVED, b"")
            return
        if not self._came:
            self._since_s = now
        self._came += data
        self._until_s = now

    def dropped(self, data: bytes) -> None:
        """See `Tap`."""
        self.note(DROPPED, data)

    def failed(self, why: str) -> None:
        """See `Tap`."""
        self.note(FAILED, why.replace("\n", " ").encode("ascii", "backslashreplace").decode())

    def note(self, sign: str, what: bytes | str) -> None:
        """A line of the transcript, after what came before it."""
        self.flush()
        self._transcript.write(sign, self._clock.now() - self._start_s, self._name, what)

    def flush(self) -> None:
        """Write what has come, whether more of it comes or not."""
        came, self._came = self._came, b""
        if came:
            self._transcript.write(RECEIVED, self._until_s - self._start_s, self._name, came)


class Narrated(Driver):
    """A driver whose calls and answers are noted beside the bytes."""

    def __init__(self, driver: Driver, tap: LineTap) -> None:
        super().__init__(driver.line, driver.options)
        self._driver = driver
        self._tap = tap

    @property
    def signals(self) -> Any:  # type: ignore[override]
        """Of the driver: fewer where fewer are wired."""
        return self._driver.signals

    def open(self) -> None:
        self._noted("open", self._driver.open)

    def audit(self) -> Audit:
        audit: Audit = self._noted("audit", self._driver.audit)
        return audit

    def read(self) -> tuple[Reading, ...]:
        image: tuple[Reading, ...] = self._noted("read", self._driver.read)
        return image

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        asked = f"execute {json.dumps({'verb': verb, 'args': dict(args)})}"
        done: dict[str, Any] = self._noted(asked, lambda: self._driver.execute(verb, args))
        return done

    def close(self) -> None:
        self._noted("close", self._driver.close)

    def silent(self) -> tuple[Reading, ...]:
        return self._driver.silent()

    def _noted(self, call: str, do: Callable[[], Any]) -> Any:
        self._tap.note(ASKED, call)
        try:
            answer = do()
        except InstrumentError as error:
            self._tap.note(ANSWERED, told(error))
            raise
        self._tap.note(ANSWERED, told(answer))
        return answer


def told(answer: Any) -> str:
    """What a driver's call came to, as JSON that two runs over the same bytes agree in: no times, no addresses."""
    if isinstance(answer, InstrumentError):
        data: Any = {"raised": type(answer).__name__}
    elif isinstance(answer, Audit):
        items = [[item.name, item.ok, item.found, item.wanted] for item in answer.items]
        data = {"identity": answer.identity, "items": items}
    elif isinstance(answer, tuple):
        data = [[reading.value, reading.unit, reading.quality.name] for reading in answer]
    else:
        data = answer
    return json.dumps(data, default=str)


class Capture:
    """The transcript of a bench and its taps, for `labctl.runtime.assembly.connections`.

    Usage:
        capture = to_file(Path("furnace.transcript"), bench, clock.now())
        made = connections(bench, entries, clock_of, capture=capture)
        (connect)
        capture.begin(made, utc_ms)
        (work)
        capture.close()
    """

    def __init__(self, transcript: Transcript, bench: Bench, start_s: float) -> None:
        self.transcript = transcript
        self._bench = bench
        self._start_s = start_s
        self._taps: dict[str, LineTap] = {}
        self._options: dict[str, Mapping[str, Any]] = {}

    def tap(self, name: str, clock: Clock) -> LineTap:
        """The tap on the line of an instrument."""
        tap = self._taps[name] = LineTap(name, clock, self._start_s, self.transcript)
        return tap

    def narrated(self, name: str, driver: Driver) -> Driver:
        """The driver at that line, its calls noted."""
        self._options[name] = driver.options
        return Narrated(driver, self._taps[name])

    def begin(self, connected: Mapping[str, Connection], begins_utc_ms: int) -> None:
        """Write the header, once it is known what is connected."""
        begins = datetime.fromtimestamp(begins_utc_ms / 1000, UTC).isoformat(timespec="milliseconds")
        described = {name: self._described(name, connected[name].audit) for name in self._taps}
        header = Header(
            labctl=version(DISTRIBUTION),
            bench=self._bench.bench,
            begins=begins,
            simulated=self._bench.simulated,
            instruments=described,
        )
        self.transcript.begin(header)

    def close(self) -> None:
        """The end of the transcript."""
        for tap in self._taps.values():
            tap.flush()
        self.transcript.close()

    def _described(self, name: str, audit: Audit | None) -> Captured:
        instrument = self._bench.instruments[name]
        identity = dict(audit.identity) if audit is not None else {}
        return Captured(
            driver=instrument.driver,
            version=_version_of(instrument.driver),
            address=instrument.address,
            link=self._taps[name].settings,
            serial_number=identity.get("serial_number") or instrument.serial_number,
            options=dict(self._options[name]),
            identity=identity,
        )


def to_file(path: Path, bench: Bench, start_s: float) -> Capture:
    """A capture into one file, which must not exist yet."""
    transcript = Transcript(lambda part: path, part_bytes=FILE_BYTES, parts=1)
    return Capture(transcript, bench, start_s)


def to_folder(folder: Path, bench: Bench, start_s: float, utc_ms: int) -> Capture:
    """A capture without end into the files BENCH-TIME-PART.transcript of a folder, made if need be. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{bench.bench}-{datetime.fromtimestamp(utc_ms / 1000, UTC):%Y%m%dT%H%M%S}"
    transcript = Transcript(
        lambda part: folder / f"{stem}-{part}{ENDING}", part_bytes=PART_BYTES, parts=PARTS
    )
    return Capture(transcript, bench, start_s)


def _version_of(driver: str) -> str:
    """Which distribution a driver came from, as `name version`; one that is not installed has none."""
    found = [point.dist for point in entry_points(group=GROUP, name=driver) if point.dist is not None]
    return f"{found[0].name} {found[0].version}" if found else "not installed"
