"""A channel of a Neware BTS 8.0 cycler as a scheduled cycler."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from labctl.bench.api import (
    BAD,
    GOOD,
    NOT_READY,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    Line,
    NotDoneError,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.neware.schedule import (
    PROTECTED_CURRENT,
    PROTECTED_V,
    Programme,
    StepFile,
    protection,
    step_file,
)
from labctl_drivers.neware.server import Record, Server, Status
from labctl_drivers.options import check_options

STATES = {"finish": 0.0, "working": 1.0, "pause": 2.0, "stop": 3.0, "protect": 4.0}
"""What a channel says it does, and the number that `state` reads for it."""
STARTABLE = ("finish", "stop", "protect")
"""States from which the server starts a channel (aurora-neware)."""

FULL_SCALE_A = 0.01
"""Largest current a bench allows unless it says otherwise (assumed: coin cells)."""
LARGEST_V = 5.5
"""What a 5 V channel can show (assumed)."""
LARGEST_A = 12.0
"""Largest current of a CT-4008Tn channel (assumed)."""

NEWEST = 100
"""Rows asked for with a reading."""
RECORD_AGE_S = 30.0
"""A row of data older than this is not the present current (step files here record every 10 s at most)."""
ROUNDED_A = 1e-3
"""From this current on, `inquire`, which rounds to 0.1 mA, is worth reading (within 5 %)."""
STALE_S = 10.0
"""A running test whose own time stands still this long: the server shows old data (assumed)."""
SETTLE_S = 10.0
"""How long a channel may take to start or to stop (assumed)."""
CLOCK_CHECK_S = 2.0
"""How long the audit watches the clock of a running test."""

OPTIONS = {
    "device": "device number of the channel, e.g. 21 of 21-1-2",
    "subdevice": "sub-device number (default 1)",
    "channel": "channel number",
    "share_dir": "folder where labctl writes step files; the BTS computer must see it",
    "pc_dir": "that folder as the BTS computer names it, e.g. C:\\labctl (default: the same)",
    "backup_dir": "where the BTS computer backs up data (default: pc_dir)",
    "max_current_a": "largest current this bench allows, A (default 0.01)",
}

SIGNALS = (
    Signal("voltage", "V", -LARGEST_V, LARGEST_V, 1e-4),
    Signal("current", "A", -LARGEST_A, LARGEST_A, 1e-9),
    Signal("elapsed", "s", 0.0, None, 0.1),
    Signal("capacity", "mAh", 0.0, None, 1e-6),
    Signal("cycle", "1", 0.0, None, 1.0),
    Signal("step", "1", 0.0, None, 1.0),
    Signal("state", "1", 0.0, 4.0, 1.0),
    Signal("test", "1", 0.0, None, 1.0),
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_OURS = re.compile(r"labctl-[A-Za-z0-9_.-]+-[0-9a-f]{8}")
"""Barcodes of runs that labctl started."""


class Neware(Driver):
    """One channel with one cell.

    `voltage`, `elapsed` (own time of the test), `cycle` and `step` are what the server shows now; `current`
    and `capacity` (of the half cycle) come from the newest row of data, which has all digits. When nothing
    runs, `cycle`, `step` and `capacity` are where the latest test ended. `test` is that test's number:
    another one means that somebody started the channel, or that its server did.
    """

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Options: see `OPTIONS`; device and channel are needed. Raises ValueError."""
        check_options("neware", options, OPTIONS)
        super().__init__(line, options)
        for name in ("device", "channel"):
            if name not in options:
                raise ValueError(f"neware: option {name} is needed: {OPTIONS[name]}")
        self._max_a = float(options.get("max_current_a", FULL_SCALE_A))
        if not 0.0 < self._max_a <= LARGEST_A:
            raise ValueError(f"neware: max_current_a {self._max_a:g} A is outside 0..{LARGEST_A:g} A")
        self._server = Server(
            line, int(options["device"]), int(options.get("subdevice", 1)), int(options["channel"])
        )
        self._test: int | None = None
        self._next = 1
        self._newest: Record | None = None
        self._run = ("", "")
        self._moved = (0.0, -1.0)

    def open(self) -> None:
        """Connect and log in."""
        self._server.open()

    def audit(self) -> Audit:
        """The channel, what runs on it and under which own limits, and its clock. Nothing is written.

        A channel is as wanted when it is idle, or runs what labctl started.
        """
        channel = self._server.channel()
        status = self._server.status()
        test, count = self._server.progress()
        low, high = PROTECTED_V
        identity = {
            "maker": "Neware",
            "model": f"BTS 8, device type {channel.device_type}",
            "channel": f"{channel.device}-{channel.subdevice}-{channel.channel}",
            "test": str(test),
            "barcode": status.barcode,
            "voltage": f"{status.voltage_v:g} V",
        }
        busy = status.state not in STARTABLE
        ours = bool(_OURS.fullmatch(status.barcode))
        found = f"{status.state} {status.barcode}".strip()
        items = [
            AuditItem("channel idle or ours", not busy or ours, found, "finish, stop, or a labctl run"),
            AuditItem("protection", status.state != "protect", status.state, "not tripped"),
        ]
        if busy:
            items.append(self._armed(status.barcode))
            inside = low <= status.voltage_v <= high
            items.append(AuditItem("voltage", inside, f"{status.voltage_v:g} V", f"{low:g}..{high:g} V"))
            if status.state == "working":
                items.append(self._clock(status))
        if count:
            _, rows = self._server.page(count, 1)
            at = rows[-1].at if rows else ""
            items.append(
                AuditItem("date of data", bool(_DATE.fullmatch(at)), at or "none", "a date and time")
            )
        return Audit(identity, tuple(items))

    def read(self) -> tuple[Reading, ...]:
        try:
            if not self._server.online:
                self._test = None
            status = self._server.status()
            running = status.state == "working"
            if running or self._test is None or status[:2] != self._run:
                rows = self._rows()
                record = _matching(status, self._newest, rows) if running else (rows or (self._newest,))[-1]
                self._newest = rows[-1] if rows else self._newest
            else:
                record = self._newest
        except CommunicationError:
            self._run = ("", "")
            return self.silent()
        self._run = status[:2]
        return self._image(status, record)

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`start_schedule` (see `Programme`) or `stop`."""
        if verb == "start_schedule":
            return self.start_schedule(Programme.of(args))
        if verb == "stop":
            return self.stop()
        raise RefusedError(f"neware: no verb {verb!r}; it has start_schedule and stop")

    def close(self) -> None:
        """Hang up. A running schedule goes on."""
        self._server.close()
        self._test = None

    def start_schedule(self, programme: Programme) -> dict[str, Any]:
        """Write the step file, start it, and see it run: a new test, of this barcode, working.

        A start whose reply is lost is settled by that too. Raises as `Driver.execute`.
        """
        programme.check(self._max_a)
        if "share_dir" not in self.options:
            raise RefusedError(
                "neware: no option share_dir: nowhere to write the step file; nothing was sent"
            )
        file = step_file(programme)
        before = self._server.status()
        if before.state not in STARTABLE:
            raise RefusedError(
                f"neware: the channel is {before.state} ({before.barcode}); nothing was started"
            )
        low, high = PROTECTED_V
        if not low <= before.voltage_v <= high:
            raise RefusedError(
                f"neware: {before.voltage_v:g} V at the terminals is outside the window of a cell,"
                f" {low:g}..{high:g} V: is there one? Nothing was started"
            )
        test_before, _ = self._server.progress()
        content = self._write(file)
        folder = str(self.options.get("pc_dir", self.options["share_dir"]))
        path = _join(folder, file.name)
        reply_lost = False
        try:
            started = self._server.start(path, file.barcode, str(self.options.get("backup_dir", folder)))
        except CommunicationError:
            started, reply_lost = True, True
        if not started:
            raise RefusedError(f"neware: the server would not start {path}; does the BTS computer see it?")
        test = test_before

        def running() -> bool:
            nonlocal test
            status = self._server.status()
            test, _ = self._server.progress()
            return status.barcode == file.barcode and test != test_before

        if not self._within(SETTLE_S, running):
            why = "the reply to the start was lost, and it" if reply_lost else "it"
            raise NotDoneError(f"neware: {why} does not run: test {test}, was {test_before}")
        self._test = None
        armed = protection(content)
        return {
            "test": test,
            "barcode": file.barcode,
            "largest_current_a": programme.largest_a,
            "protect_lower_v": armed.lower_v,
            "protect_upper_v": armed.upper_v,
            "protect_current_a": armed.limit_a,
        }

    def stop(self) -> dict[str, Any]:
        """Stop the schedule: open circuit, proven by state and current."""
        seen: list[Status] = []

        def stopped() -> bool:
            # again each time: a request may be lost, and stopping twice does no harm
            self._server.stop()
            seen.append(self._server.status())
            return seen[-1].state in STARTABLE and seen[-1].current_a == 0.0

        if not self._within(SETTLE_S, stopped):
            status = seen[-1]
            raise NotDoneError(
                f"neware: the channel is still {status.state} at {status.current_a:g} A; stop it at the cycler"
            )
        status = seen[-1]
        return {"state": status.state, "current_a": status.current_a, "voltage_v": status.voltage_v}

    def records(self) -> Iterator[Record]:
        """All data of the latest test, in pages. Raises CommunicationError."""
        return self._server.records()

    def _within(self, seconds: float, proven: Callable[[], bool]) -> bool:
        """Ask once a second until proven. Raises CommunicationError when nobody answered to the end."""
        clock = self.line.clock
        end = clock.now() + seconds
        while True:
            lost = None
            try:
                if proven():
                    return True
            except CommunicationError as error:
                lost = error
            if clock.now() >= end:
                if lost is not None:
                    raise lost
                return False
            clock.sleep(1.0)

    def _rows(self) -> tuple[Record, ...]:
        """The rows since the newest one seen; of a new or a far-off test only its last."""
        for _ in range(3):
            if self._test is None:
                self._test, count = self._server.progress()
                self._next, self._newest = max(1, count), None
            test, rows = self._server.page(self._next, NEWEST)
            if test == self._test and len(rows) < NEWEST:
                if rows:
                    self._next = rows[-1].seq + 1
                return rows
            self._test = None
        raise CommunicationError(f"{self.line.address}: tests change faster than they can be read")

    def _image(self, status: Status, record: Record | None) -> tuple[Reading, ...]:
        """Readings of a status and the row of data that goes with it."""
        now = self.line.clock.now()
        state = STATES.get(status.state)
        running = status.state == "working"
        shown = GOOD if self._is_fresh(status, now) else BAD
        volts = shown if abs(status.voltage_v) <= LARGEST_V else BAD
        amps, cycle, step = status.current_a, status.cycle, status.step
        measured = shown if state is not None else BAD
        if running and record is not None:
            amps = record.current_a
        elif running:
            measured = NOT_READY
        elif record is not None:
            cycle, step = record.cycle, record.step
        flowing = measured
        if measured is NOT_READY and abs(amps) >= ROUNDED_A:
            flowing = shown
        if abs(amps) > PROTECTED_CURRENT * self._max_a:
            flowing = BAD
        capacity = record.capacity_ah * 1e3 if record else None if running else 0.0
        return (
            Reading(status.voltage_v, "V", volts, now),
            Reading(amps, "A", flowing, now),
            Reading(status.elapsed_s, "s", shown, now),
            Reading(capacity, "mAh", measured, now),
            Reading(float(cycle), "1", GOOD, now),
            Reading(float(step), "1", GOOD, now),
            Reading(state, "1", BAD if state is None else GOOD, now),
            Reading(float(self._test or 0), "1", GOOD, now),
        )

    def _is_fresh(self, status: Status, now: float) -> bool:
        """The own time of a running test moves, or has stood still for less than `STALE_S`."""
        since, elapsed = self._moved
        if status.state != "working" or status.elapsed_s != elapsed:
            self._moved = now, status.elapsed_s
            return True
        return now - since < STALE_S

    def _armed(self, barcode: str) -> AuditItem:
        """The own limits under which the running test was started, from its step file."""
        low, high = PROTECTED_V
        wanted = f"within {low:g}..{high:g} V, at most {PROTECTED_CURRENT * self._max_a:g} A"
        try:
            if not _OURS.fullmatch(barcode):
                raise ValueError("not started by labctl")
            armed = protection((Path(self.options["share_dir"]) / f"{barcode}.xml").read_bytes())
        except (KeyError, OSError, ValueError) as error:
            return AuditItem("limits", False, f"unknown: {error}", wanted)
        ok = (
            low <= armed.lower_v < armed.upper_v <= high
            and armed.limit_a <= PROTECTED_CURRENT * self._max_a * (1 + 1e-6)
        )
        found = f"{armed.lower_v:g}..{armed.upper_v:g} V, {armed.limit_a:g} A"
        return AuditItem("limits", ok, found, wanted)

    def _clock(self, before: Status) -> AuditItem:
        """The test's own time against the bench clock's."""
        clock = self.line.clock
        start = clock.now()
        clock.sleep(CLOCK_CHECK_S)
        moved = self._server.status().elapsed_s - before.elapsed_s
        passed = clock.now() - start
        return AuditItem(
            "clock", abs(moved - passed) <= CLOCK_CHECK_S / 2, f"{moved:.1f} s", f"{passed:.1f} s passed"
        )

    def _write(self, file: StepFile) -> bytes:
        """The step file on the share, as read back."""
        place = Path(self.options["share_dir"]) / file.name
        try:
            draft = place.with_suffix(".tmp")
            draft.write_bytes(file.content)
            os.replace(draft, place)
            content = place.read_bytes()
        except OSError as error:
            raise RefusedError(
                f"neware: the step file was not written: {error}; nothing was started"
            ) from error
        if content != file.content:
            raise RefusedError(f"neware: {place} reads back differently; nothing was started")
        return content


def _matching(status: Status, newest: Record | None, rows: tuple[Record, ...]) -> Record | None:
    """The newest row of the step that runs now, when it is young enough to be its present current."""
    for record in (*reversed(rows), newest):
        if record is not None and (record.cycle, record.step) == (status.cycle, status.step):
            return record if status.step_s - record.step_s <= RECORD_AGE_S else None
    return None


def _join(folder: str, name: str) -> str:
    windows = "\\" in folder or folder[1:2] == ":"
    return str(PureWindowsPath(folder, name) if windows else PurePosixPath(folder, name))


ENTRY = DriverEntry(
    name="neware",
    title="Neware BTS 8.0 cycler channel (TCP)",
    capabilities=("scheduled_cycler",),
    factory=Neware,
    signals=SIGNALS,
    device="neware_bts8",
    link="tcp",
    on_comms_loss="goes on with its schedule, under its own limits of voltage, current and time",
    on_power_return="the channel stays stopped, and the last minutes of data may be missing",
    options=OPTIONS,
    unverified=(
        Unverified(
            "the limits of a step file cannot be read back from the cycler; the file is, from the share"
        ),
        Unverified("a lower limit of current that is negative limits discharge"),
        Unverified("a constant-current step ends by its time as well as by its voltage"),
        Unverified("a step file with a fixed date is accepted", safety=False),
        Unverified("testtime of a row of data is the time in its step (read so from captures)", safety=False),
        Unverified(
            "cycle_id moves on at each pass of a loop step, the last one of a block included", safety=False
        ),
        Unverified("a stopped channel is at open circuit", shown_by=("current", "state")),
        Unverified(
            "what a channel does when mains return, and that BTS has no automatic resume switched on",
            shown_by=("state",),
        ),
        Unverified("the states are finish, working, pause, stop and protect only", shown_by=("state",)),
    ),
)
