from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labctl.bench.api import CommunicationError
from labctl_drivers.ports import open_line, stream
from tests.drivers.contract import RealClock


@contextmanager
def connected(timeout_s: float = 0.05) -> Iterator[tuple[socket.socket, stream.StreamPort]]:
    """An instrument's end of a TCP connection, and the port that leads to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = "{}:{}".format(*listener.getsockname())
        port = open_line(f"tcp://{place}", RealClock()).open_stream(timeout_s=timeout_s)
        assert isinstance(port, stream.StreamPort)
        instrument, _ = listener.accept()
        with instrument:
            yield instrument, port
        port.close()


def test_a_reply_that_comes_at_once_is_handed_out_in_the_parts_that_are_asked_for() -> None:
    with connected() as (instrument, port):
        instrument.sendall(b"0123456789")
        assert [port.read(4), port.read(4), port.read(4)] == [b"0123", b"4567", b"89"]


def test_a_reply_that_comes_in_pieces_is_waited_for() -> None:
    with connected(timeout_s=1.0) as (instrument, port):
        instrument.sendall(b"01")
        later = threading.Timer(0.05, instrument.sendall, (b"234567",))
        later.start()
        assert port.read(5) == b"01234"
        assert port.read_some() == b"567"
        later.join()


def test_what_was_taken_in_and_not_asked_for_is_thrown_away_with_the_rest() -> None:
    with connected() as (instrument, port):
        instrument.sendall(b"old and more")
        assert port.read(3) == b"old"
        instrument.sendall(b" and late")
        port.read(1)
        port.reset_input()
        instrument.sendall(b"new")
        assert port.read(3) == b"new"
        assert port.read(1) == b""


def test_what_came_before_the_instrument_hung_up_is_still_read() -> None:
    with connected() as (instrument, port):
        instrument.sendall(b"last words")
        instrument.shutdown(socket.SHUT_WR)
        assert port.read(4) == b"last"
        assert port.read(6) == b" words"
        with pytest.raises(CommunicationError, match="hung up"):
            port.read(1)


def test_an_instrument_that_answers_and_hangs_up_has_answered() -> None:
    with connected() as (instrument, port):
        instrument.sendall(b"all of it")
        instrument.shutdown(socket.SHUT_WR)
        assert port.read_some() == b"all of it"
        with pytest.raises(CommunicationError, match="hung up"):
            port.read_some()


def test_an_instrument_that_takes_nothing_is_lost_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CONNECT_TIMEOUT_S", 0.05)
    with connected() as (_, port), pytest.raises(CommunicationError, match="takes nothing more"):
        port.write(bytes(50_000_000))
