"""A Neware cycler behind its BTS 8.0 server: channels that run step files by themselves, and the TCP interface.

Commands, states and spellings (`donwload_resp`, `Channelid`) after captures from a real server
(aurora-neware 0.2.3). `inquire` rounds to four decimals; rows of data have all digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from labctl_simulators.devices.api import Bindings, Device, Session
from labctl_simulators.devices.neware_channel import STOPPED, Channel, Layer, Row
from labctl_simulators.devices.neware_steps import read
from labctl_simulators.wire.bts import BtsSession, Element, element, listed

DEVICE_TYPE = 27
"""As captured from a BTS 8.0 with a CT-4008."""
CHANNELS = 8
"""Channels of a sub-device (the same)."""
STATUS_S, START_S, ROW_S = 0.02, 0.3, 2e-5
"""Time for a status, for a start or a stop, and for each row of data (assumed)."""
FIRST_TEST = 142
"""Tests are numbered over all channels (captured: 143, 144, 145, ... on neighbours)."""
STARTABLE = ("finish", "stop", "protect")

_EPOCH = datetime(2026, 1, 1)


@dataclass(slots=True)
class Bts8:
    """The server and the cycler behind it.

    folder, on_server: a folder of this computer, and its name on the server's (step files are found by path).
    api: False is a server whose programming interface is not enabled: it never answers.
    skew_s: its clock against plant time. forgets_subdevice: names sub-device 1 in replies, as real ones may.
    names_channel: what it calls every channel in replies, a fault; None: by their numbers.
    """

    channels: dict[tuple[int, int], Channel]
    device: int
    folder: str = ""
    on_server: str = ""
    api: bool = True
    skew_s: float = 0.0
    forgets_subdevice: bool = False
    names_channel: int | None = None
    tests: int = FIRST_TEST
    now_s: float = 0.0
    _started: list[Channel] = field(default_factory=list)
    _clients: bool = False
    _away_until_s: float = -1.0

    def tick(self, now_s: float) -> None:
        """Every channel that was started lives its tick."""
        self.now_s = now_s
        for channel in self._started:
            channel.tick(now_s)

    def restart(self, away_s: float = 30.0) -> None:
        """The server goes away and comes back; the cycler goes on, its data under a new test number."""
        self._clients = False
        self._away_until_s = self.now_s + away_s
        for channel in self.channels.values():
            if channel.state == "working":
                channel.test = self._new_test()

    def power_cycle(self) -> None:
        """Mains of the cycler off and on: what ran stays stopped (assumed). The server is another computer."""
        for channel in self.channels.values():
            channel.power_cycle()

    def answer(self, command: str, root: Element, now_s: float) -> tuple[float, str] | None:
        """Delay and inside of the reply; None for silence."""
        if not self.api or now_s < self._away_until_s:
            return None
        if command == "connect":
            self._clients = True
            return STATUS_S, _resp("connect") + "  <result>ok</result>\r\n"
        if not self._clients:
            return None
        if command == "getdevinfo":
            return STATUS_S, self._devices()
        if command in ("download", "downloadlog", "downloadStepLayer"):
            return self._data(command, root)
        handler = _BY_CHANNEL.get(command)
        if handler is None:
            return None
        rows, slow = [], command in ("start", "stop")
        for asked in root.findall(f"list/{_TAGS.get(command, command)}"):
            rows.append(handler(self, self._channel(asked), asked))
        return START_S if slow else STATUS_S, _resp(command) + listed(rows)

    def place(self, channel: Channel) -> dict[str, object]:
        """Attributes that name a channel in a reply."""
        subdevice, number = self._named(channel)
        return {"devtype": DEVICE_TYPE, "devid": self.device, "subdevid": subdevice, "chlid": number}

    def date(self, now_s: float) -> str:
        """Plant time by the server's clock."""
        return f"{_EPOCH + timedelta(seconds=int(now_s + self.skew_s))}"

    def start(self, channel: Channel, path: str, barcode: str) -> bool:
        """Start a step file; False when the channel or the file does not allow it."""
        if channel.state not in STARTABLE:
            return False
        try:
            schedule = read(self._file(path).read_bytes())
        except (OSError, ValueError):
            return False
        channel.start(schedule, barcode, self._new_test(), self.now_s)
        self._started = [c for c in self.channels.values() if c.state == "working"]
        return True

    def _file(self, path: str) -> Path:
        if self.on_server and path.startswith(self.on_server):
            return Path(self.folder, path[len(self.on_server) :].replace("\\", "/").lstrip("/"))
        return Path(path)

    def _new_test(self) -> int:
        self.tests += 1
        return self.tests

    def _named(self, channel: Channel) -> tuple[int, int]:
        subdevice = 1 if self.forgets_subdevice else channel.subdevice
        return subdevice, channel.number if self.names_channel is None else self.names_channel

    def _channel(self, asked: Element) -> Channel | None:
        if asked.get("devid") != str(self.device):
            return None
        try:
            return self.channels.get((int(asked.get("subdevid", "")), int(asked.get("chlid", ""))))
        except ValueError:
            return None

    def _devices(self) -> str:
        rows = "".join(
            '    <channel ip="127.0.0.1"'
            f' devtype="{DEVICE_TYPE}" devid="{self.device}" subdevid="{c.subdevice}"'
            f' Channelid="{c.number}">{"false" if c.state == "working" else "true"}</channel>\r\n'
            for c in self.channels.values()
        )
        server = '  <serverip count="1">\r\n    <server ip="127.0.0.1" port="3306" />\r\n  </serverip>\r\n'
        return f'{_resp("getdevinfo")}{server}  <middle count="{len(self.channels)}">\r\n{rows}</middle>\r\n'

    def _data(self, command: str, root: Element) -> tuple[float, str] | None:
        tag = "downloadStepLayer" if command == "downloadStepLayer" else "download"
        asked = root.find(tag)
        channel = None if asked is None else self._channel(asked)
        if asked is None or channel is None:
            return None
        head: dict[str, object] = {**self.place(channel), "testid": channel.test}
        if command == "downloadStepLayer":
            rows = [self._layer(i, layer) for i, layer in enumerate(channel.layers, 1)]
        elif command == "downloadlog":
            head["log_lever"] = 0
            rows = [
                element("data", seqid=seq, log_code=code, atime=self.date(at))
                for seq, code, at in channel.log
            ]
        else:
            try:
                start, count = int(asked.get("startpos", "")), int(asked.get("count", ""))
            except ValueError:
                return None
            head |= {"startpos": start, "count": count, "auxid": 0}
            first = max(1, start)
            of_test = asked.get("testid") in ("0", str(channel.test))
            taken = channel.rows[first - 1 : first - 1 + count] if of_test else []
            rows = [self._row(seq, row) for seq, row in enumerate(taken, first)]
        # the server's own spelling of two of the three
        named = command.replace("download", "donwload") if tag == "download" else command
        return STATUS_S + ROW_S * len(rows), f"{_resp(named)}  {element(tag, **head)}\r\n{listed(rows)}"

    def _row(self, seq: int, row: Row) -> str:
        return (
            f'<data seqid="{seq}" stepid="{row.step}" cycleid="{row.cycle}" steptype="{row.kind}"'
            f' testtime="{round(row.step_s * 1000)}" atime="{self.date(row.now_s)}" volt="{row.volt:.15g}"'
            f' curr="{row.curr:.15g}" cap="{row.cap:.15g}" eng="{row.eng:.15g}" />'
        )

    def _layer(self, index: int, layer: Layer) -> str:
        first, last = layer.first, layer.last
        return element(
            "data",
            startseqid=layer.start,
            endseqid=layer.end,
            stepindex=index,
            stepid=last.step,
            cycleid=last.cycle,
            steptype=last.kind,
            steptime=round(last.step_s * 1000),
            endatime=self.date(last.now_s),
            startvolt=f"{first.volt:.15g}",
            endvolt=f"{last.volt:.15g}",
            startcurr=f"{first.curr:.15g}",
            endcurr=f"{last.curr:.15g}",
            cap=f"{last.cap:.15g}",
            eng=f"{last.eng:.15g}",
            dcir=0,
        )


def _resp(command: str) -> str:
    return f"  <cmd>{command}_resp</cmd>\r\n"


def _rounded(value: float, digits: int = 4) -> str:
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _inquire(server: Bts8, channel: Channel | None, asked: Element) -> str:
    if channel is None:
        return element("inquire", "false")
    working = channel.state == "working"
    step = channel.step if working else 0
    kind = channel.rows[-1].kind if working else "--"
    subdevice, number = server._named(channel)
    where: dict[str, object] = {"dev": f"{DEVICE_TYPE}-{server.device}-{subdevice}-{number}-0"}
    where["cycle_id"] = channel.cycle if working else 1
    if step:
        where["step_id"] = step
    return element(
        "inquire",
        **where,
        step_type=kind,
        workstatus=channel.state,
        barcode=channel.barcode,
        current=_rounded(channel.curr),
        voltage=_rounded(channel.volt),
        capacity=_rounded(channel.cap if working else 0.0),
        energy=_rounded(channel.eng if working else 0.0),
        totaltime=_rounded(channel.total_s if working else 0.0, 1),
        relativetime=_rounded(channel.step_s if working else 0.0, 1),
        open_or_close=0,
        log_code=102000 if working else 0,
    )


def _inquiredf(server: Bts8, channel: Channel | None, asked: Element) -> str:
    if channel is None:
        return element("chl", "false")
    finished = "false" if channel.state == "working" else "true"
    return element("chl", finished, **server.place(channel), testid=channel.test, count=len(channel.rows))


def _status(server: Bts8, channel: Channel | None, asked: Element) -> str:
    if channel is None:
        return element("status", "false")
    return element("status", channel.state, ip="127.0.0.1", **server.place(channel), reservepause=1)


def _said(tag: str, server: Bts8, channel: Channel | None, ok: bool) -> str:
    place = server.place(channel) if channel else {}
    return element(tag, "ok" if ok else "false", ip="127.0.0.1", **place)


def _start(server: Bts8, channel: Channel | None, asked: Element) -> str:
    path, barcode = (asked.text or "").strip(), asked.get("barcode", "")
    return _said("start", server, channel, channel is not None and server.start(channel, path, barcode))


def _stop(server: Bts8, channel: Channel | None, asked: Element) -> str:
    running = channel is not None and channel.state == "working"
    if channel is not None and running:
        channel.end("stop", STOPPED)
    return _said("stop", server, channel, running)


def _light(server: Bts8, channel: Channel | None, asked: Element) -> str:
    return _said("light", server, channel, channel is not None)


def _clearflag(server: Bts8, channel: Channel | None, asked: Element) -> str:
    return _said("clearflag", server, channel, channel is not None and channel.state == "protect")


_BY_CHANNEL = {
    "getchlstatus": _status,
    "inquire": _inquire,
    "inquiredf": _inquiredf,
    "start": _start,
    "stop": _stop,
    "light": _light,
    "clearflag": _clearflag,
}
_TAGS = {"getchlstatus": "status", "inquiredf": "chl"}


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Device, Session]:
    """A cycler of two sub-devices; the cell hangs at the channel that the options name, the rest is open.

    Options `device`, `subdevice`, `channel`; `share_dir` and `pc_dir`: a folder here, and what the server
    calls it.
    """
    mine = int(options.get("subdevice", 1)), int(options.get("channel", 1))
    places = {(sub, number) for sub in (1, 2) for number in range(1, CHANNELS + 1)} | {mine}
    channels = {place: Channel(*place) for place in sorted(places)}
    channels[mine].cell = bindings.cell
    server = Bts8(
        channels,
        int(options.get("device", 21)),
        folder=str(options.get("share_dir", "")),
        on_server=str(options.get("pc_dir", "")),
    )
    server.now_s = bindings.now()
    return server, BtsSession(server.answer)
