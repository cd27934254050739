"""A tap sees on every kind of link exactly what the instrument got and sent; without one, nothing is wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from labctl.bench.api import Clock, CommunicationError
from labctl.runtime.clock import BusClock, RealClock
from labctl.testing.wires import Recorder, mounted
from labctl_drivers.ports import open_line
from labctl_drivers.ports.tap import TappedLine
from labctl_simulators.devices.api import Replies
from labctl_simulators.hosts.inprocess import Mount, mount, unmount
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import TcpHost


class Heard:
    """A tap that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda what: self.told.append((name, what))

    def stream(self, *kinds: str) -> bytes:
        return b"".join(what for kind, what in self.told if kind in kinds)


class Echo:
    """Answers every line, in two pieces, with what it was; a line with `late` half a second later."""

    def feed(self, data: bytes, now_s: float) -> Replies:
        delay = 0.5 if b"late" in data else 0.0
        return [(delay, b"re:"), (delay + 0.01, data)]


HOSTS = ("labsim", "pty", "tcp", "visa")


@pytest.fixture(params=HOSTS)
def tapped(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, Heard, Recorder]]:
    recorder, heard = Recorder(Echo()), Heard()
    clock: Clock = RealClock()
    with ExitStack() as hosts:
        if request.param == "labsim":
            clock = BusClock()
            address = hosts.enter_context(mounted("tap/echo", recorder, clock)).address
        elif request.param == "pty":
            address = hosts.enter_context(PtyHost(recorder, clock.now)).address
        else:
            host = hosts.enter_context(TcpHost(recorder, clock.now))
            address = f"visa://{host.resource}" if request.param == "visa" else host.address
        yield request.param, open_line(address, clock, None, heard), heard, recorder


def test_it_sees_every_byte_both_ways(tapped: tuple[str, Any, Heard, Recorder]) -> None:
    host, line, heard, recorder = tapped
    if host == "visa":
        resource = line.open_visa(timeout_s=1.0)
        resource.write_raw(bytes(range(11, 256)) + b"\n")
        while not heard.stream("received").endswith(b"\n"):
            resource.visalib.read(resource.session, 4096)
        resource.close()
    else:
        port = line.open_stream(timeout_s=1.0)
        port.write(bytes(range(256)))
        assert port.read(3) == b"re:"
        assert port.read(256) == bytes(range(256))
        port.close()
    assert heard.told[0][0] == "opens"
    assert heard.stream("sent") == recorder.asked
    assert heard.stream("received") == recorder.answered


def test_it_sees_what_is_thrown_away_and_what_never_came(tapped: tuple[str, Any, Heard, Recorder]) -> None:
    host, line, heard, recorder = tapped
    if host == "visa":
        resource = line.open_visa(timeout_s=0.1)
        with pytest.raises(Exception, match=r"imeout"):
            resource.read_raw()
        resource.close()
        assert [kind for kind, _ in heard.told] == ["opens", "received"]
        return
    port = line.open_stream(timeout_s=0.1)
    port.write(b"late")
    assert port.read(4) == b""
    line.clock.sleep(0.6)
    port.reset_input()
    port.write(b"x")
    assert port.read(4) == b"re:x"
    port.close()
    assert [kind for kind, _ in heard.told] == ["opens", "sent", "received", "dropped", "sent", "received"]
    assert heard.stream("received", "dropped") == recorder.answered == b"re:latere:x"


def test_it_sees_a_line_that_does_not_open_and_one_that_is_lost() -> None:
    heard, clock = Heard(), BusClock()
    line = open_line("labsim://tap/gone", clock, None, heard)
    with pytest.raises(CommunicationError):
        line.open_stream()
    with pytest.raises(CommunicationError):
        line.open_visa()
    cable: Mount = mount("tap/gone", Recorder(Echo()), clock)
    try:
        port = line.open_stream()
        cable.refuse()
        with pytest.raises(CommunicationError):
            port.write(b"x")
    finally:
        unmount("tap/gone")
    said = [what.partition(":")[0] for kind, what in heard.told if kind == "failed"]
    assert said == ["does not open", "does not open", "lost"]
    assert not heard.stream("sent")


def test_a_line_without_a_tap_is_not_wrapped() -> None:
    clock = BusClock()
    with mounted("tap/none", Recorder(Echo()), clock) as line:
        port: Any = line.open_stream()
        assert not isinstance(port._serial, TappedLine)
        assert type(line.open_visa().visalib).__name__ == "PyVisaLibrary"
