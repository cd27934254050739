"""A connection to a BTS 8.0 server, and the questions about one channel that a driver asks it.

Replies carry no request number. So after anything out of order the connection is given up, and with it
whatever is still under way on it; the next question connects and logs in again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar
from xml.sax.saxutils import escape, quoteattr

from labctl.bench.api import CommunicationError, Line, Port
from labctl_drivers.neware.frame import END, Reply, Row, parse, request

TIMEOUT_S = 1.5
"""A server answers a status in tens of ms, a page of data in seconds (aurora-neware's note; assumed)."""
PATIENCE_S = 6.0
"""Longest whole reply, from the first byte sent (assumed)."""
LONGEST = 4_000_000
"""Bytes after which a reply is babble: a page of 1000 rows has about 250,000 (derived from captures)."""
PAGE = 1000
"""Rows in one download (as aurora-neware asks)."""

_LOGIN = "<cmd>connect</cmd><username>admin</username><password>neware</password><type>bfgs</type>"
"""The server's fixed login of its programming interface."""

Answer = TypeVar("Answer")


class Channel(NamedTuple):
    """Where a cell hangs: device type and number, sub-device, channel, and the server's name for the host."""

    device_type: int
    device: int
    subdevice: int
    channel: int
    ip: str
    free: bool

    @property
    def place(self) -> str:
        """As attributes of a request about it."""
        return (
            f"devtype={quoteattr(str(self.device_type))} devid={quoteattr(str(self.device))}"
            f" subdevid={quoteattr(str(self.subdevice))} chlid={quoteattr(str(self.channel))}"
        )


class Status(NamedTuple):
    """What `inquire` says. Current and capacity come in steps of 0.1 mA and 0.1 mAh only.

    step 0: none. elapsed_s: of the test. step_s: of the step.
    """

    state: str
    barcode: str
    cycle: int
    step: int
    current_a: float
    voltage_v: float
    elapsed_s: float
    step_s: float


class Record(NamedTuple):
    """One row of data. step_s: in its step. current positive on charge; capacity_ah of its step so far.

    at: date and time by the server's clock, local, without a zone.
    """

    seq: int
    cycle: int
    step: int
    kind: str
    step_s: float
    at: str
    voltage_v: float
    current_a: float
    capacity_ah: float


class Server:
    """One client of a server, for one channel.

    Args:
        line: where it is.
        device, subdevice, channel: which channel; its type and host are asked for.
    """

    def __init__(self, line: Line, device: int, subdevice: int, channel: int) -> None:
        self._line = line
        self._wanted = device, subdevice, channel
        self._port: Port | None = None
        self._closed = True
        self._channel: Channel | None = None

    def open(self) -> None:
        """Connect, log in, find the channel. Raises CommunicationError."""
        self._closed = False
        self._connected()

    def close(self) -> None:
        """Hang up; closing twice is fine."""
        self._closed = True
        self._hang_up()

    @property
    def online(self) -> bool:
        """A connection is up, as far as known."""
        return self._port is not None

    def channel(self) -> Channel:
        """The channel as the server lists it now. Raises CommunicationError, also when it does not."""
        port = self._connected()
        self._channel = self._find(port)
        return self._channel

    def status(self) -> Status:
        """State, step, and rounded values."""
        channel = self._known()
        place = f'<inquire ip={quoteattr(channel.ip)} {channel.place} aux="0" barcode="1">true</inquire>'
        return self._ask("inquire", _one(place), lambda reply: _status(reply, channel))

    def progress(self) -> tuple[int, int]:
        """Number of the latest test (it changes with each start), and how many rows of data it has."""
        channel = self._known()

        def answer(reply: Reply) -> tuple[int, int]:
            row = _about(channel, reply.one("chl"))
            return row.count("testid"), row.count("count")

        return self._ask("inquiredf", _one(f'<chl {channel.place} testid="0" />'), answer)

    def page(self, first: int, rows: int = PAGE) -> tuple[int, tuple[Record, ...]]:
        """Test number, and up to `rows` rows of data of the latest test from number `first` on."""
        channel = self._known()
        body = f'<download {channel.place} auxid="0" testid="0" startpos="{first}" count="{rows}"/>'

        def answer(reply: Reply) -> tuple[int, tuple[Record, ...]]:
            head = _about(channel, reply.one("download"))
            records = tuple(_record(row) for row in reply.all("data"))
            if head.count("startpos") != first or len(records) > rows:
                raise ValueError("rows that were not asked for")
            if reply.one("list").count("count") != len(records):
                raise ValueError("a list of another length than it says")
            if any(after.seq <= row.seq for row, after in pairwise(records)) or (
                records and records[0].seq < first
            ):
                raise ValueError("rows out of order")
            return head.count("testid"), records

        # the server's own spelling
        return self._ask("download", body, answer, named="donwload")

    def start(self, path: str, barcode: str, backup: str) -> bool:
        """Start a step file that the server's computer finds at `path`; False when it will not."""
        channel = self._known()
        body = (
            f'<list count = "1"><start ip={quoteattr(channel.ip)} {channel.place}'
            f" barcode={quoteattr(barcode)}>{escape(path)}</start>"
            f'<backup backupdir={quoteattr(backup)} remotedir="" filenametype="0" customfilename=""'
            ' addtimewhenrepeat="0" createdirbydate="0" filetype="0" backupontime="1"'
            ' backupontimeinterval="720" backupfree="1" /></list>'
        )
        return self._ask("start", body, lambda reply: _said(channel, reply.one("start")))

    def stop(self) -> bool:
        """Stop the channel; False when the server says that it did not."""
        channel = self._known()
        body = _one(f"<stop ip={quoteattr(channel.ip)} {channel.place}>true</stop>")
        return self._ask("stop", body, lambda reply: _said(channel, reply.one("stop")))

    def records(self) -> Iterator[Record]:
        """All data of the latest test, page by page. Raises CommunicationError; a new test ends it with one."""
        test, _ = self.progress()
        first = 1
        while True:
            of, rows = self.page(first)
            if of != test:
                raise CommunicationError(f"{self._line.address}: test {test} gave way to test {of}")
            yield from rows
            if len(rows) < PAGE:
                return
            first = rows[-1].seq + 1

    def _known(self) -> Channel:
        self._connected()
        assert self._channel is not None
        return self._channel

    def _connected(self) -> Port:
        """The port, logged in and with the channel known."""
        if self._port is not None:
            return self._port
        if self._closed:
            raise CommunicationError(f"{self._line.address} is not open")
        port = self._port = self._line.open_stream(timeout_s=TIMEOUT_S)
        result = self._exchange(port, "connect", _LOGIN, lambda reply: reply.one("result").text)
        if result != "ok":
            raise self._lost(f"the server refused the login: {result!r}")
        self._channel = self._find(port)
        return port

    def _find(self, port: Port) -> Channel:
        listed = self._exchange(port, "getdevinfo", "<cmd>getdevinfo</cmd>", _channels)
        for channel in listed:
            if channel[1:4] == self._wanted:
                return channel
        wanted = "-".join(map(str, self._wanted))
        raise self._lost(f"the server lists no channel {wanted}, of {len(listed)}; is the cycler on?")

    def _ask(
        self, command: str, body: str, answer: Callable[[Reply], Answer], named: str | None = None
    ) -> Answer:
        return self._exchange(self._connected(), command, f"<cmd>{command}</cmd>{body}", answer, named)

    def _exchange(
        self,
        port: Port,
        command: str,
        body: str,
        answer: Callable[[Reply], Answer],
        named: str | None = None,
    ) -> Answer:
        """One question and its answer. Raises CommunicationError, and then the connection is given up."""
        clock = self._line.clock
        try:
            port.reset_input()
            port.write(request(body))
            deadline = clock.now() + PATIENCE_S
            raw = b""
            while not raw.endswith(END):
                got = port.read_some()
                raw += got
                if not got or len(raw) > LONGEST or clock.now() > deadline:
                    raise ValueError(
                        f"half a reply, {raw[:40]!r}" if raw else "no reply; is its API enabled?"
                    )
            reply = parse(raw)
            if reply.command != f"{named or command}_resp":
                raise ValueError(f"{command} was answered by {reply.command}")
            return answer(reply)
        except CommunicationError:
            self._hang_up()
            raise
        except ValueError as error:
            raise self._lost(str(error)) from None

    def _hang_up(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _lost(self, why: str) -> CommunicationError:
        self._hang_up()
        return CommunicationError(f"{self._line.address}: {why}")


def _one(element: str) -> str:
    return f'<list count = "1">{element}</list>'


def _channels(reply: Reply) -> tuple[Channel, ...]:
    return tuple(
        Channel(
            row.count("devtype"),
            row.count("devid"),
            row.count("subdevid"),
            row.count("Channelid"),
            row.values.get("ip", "127.0.0.1"),
            row.text == "true",
        )
        for row in reply.all("channel")
    )


def _about(channel: Channel, row: Row) -> Row:
    """The row, when it is about this channel. A server sometimes names sub-device 1 for any (aurora-neware)."""
    named = row.count("devtype"), row.count("devid"), row.count("subdevid"), row.count("chlid")
    return _checked(channel, named, row)


def _checked(channel: Channel, named: tuple[int, ...], row: Row) -> Row:
    device_type, device, subdevice, number = named
    same = (device_type, device, number) == (channel.device_type, channel.device, channel.channel)
    if not same or subdevice not in (channel.subdevice, 1):
        raise ValueError(f"a reply about channel {'-'.join(map(str, named))}")
    return row


def _said(channel: Channel, row: Row) -> bool:
    said = _about(channel, row).text
    if said not in ("ok", "false"):
        raise ValueError(f"{row.tag} was answered {said!r}")
    return said == "ok"


def _status(reply: Reply, channel: Channel) -> Status:
    row = reply.one("inquire")
    parts = row.word("dev").split("-")
    if len(parts) != 5 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError(f"inquire dev={row.word('dev')!r}")
    _checked(channel, tuple(map(int, parts[:4])), row)
    state = row.word("workstatus")
    # a channel at rest has no step; one at work that has none is a damaged reply
    step = row.count("step_id") if state == "working" or "step_id" in row.values else 0
    # two that nobody needs: a piece that is lost between two values takes a name along
    for name in ("capacity", "energy"):
        row.number(name)
    return Status(
        state,
        row.word("barcode"),
        row.count("cycle_id"),
        step,
        row.number("current"),
        row.number("voltage"),
        row.number("totaltime"),
        row.number("relativetime"),
    )


def _record(row: Row) -> Record:
    row.number("eng")
    return Record(
        row.count("seqid"),
        row.count("cycleid"),
        row.count("stepid"),
        row.word("steptype"),
        row.number("testtime") / 1000.0,
        row.word("atime"),
        row.number("volt"),
        row.number("curr"),
        row.number("cap"),
    )
