"""mbpoll, a C program over libmodbus, against every simulated instrument that speaks Modbus: `make test-mbpoll`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest

from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.twin import Twin, build

pytestmark = pytest.mark.mbpoll

Mbpoll = Callable[..., subprocess.CompletedProcess[str]]
FLOAT, COIL, CONTACT, CURRENT = ("-t", "4:float", "-B"), ("-t", "0"), ("-t", "1"), ("-t", "3")
"""Types of data as mbpoll names them: float32 with its high word first, output bit, input bit, input register."""
LOW_WORD_FIRST = ("-t", "4:float")
TIMEOUT_S = "0.3"


@contextmanager
def polled(device: str, line: str, **options: Any) -> Iterator[tuple[Twin, Mbpoll]]:
    """A simulated instrument, alone on its plant, and mbpoll at its address. line: "tcp", or a parity."""
    instrument = {"device": device, "chamber": "place", "serial_number": "12345", "options": options}
    chamber = {"kind": "oven"} if device == "binder_mb1" else {"kind": "tube", "volume_cm3": 2290.0}
    twin = build({"chambers": {"place": chamber}, "instruments": {"it": instrument}}, None)
    began = monotonic()
    session = twin.sessions["it"]
    host = (TcpHost if line == "tcp" else PtyHost)(session, lambda: monotonic() - began)
    with host:
        if isinstance(host, TcpHost):
            place, link = host.host, ["-m", "tcp", "-p", str(host.port)]
        else:
            assert isinstance(host, PtyHost)
            place, link = host.path, ["-m", "rtu", "-b", "19200", "-P", line]

        def mbpoll(address: int, *more: str, write: str = "") -> subprocess.CompletedProcess[str]:
            told = [write] if write else []
            return subprocess.run(
                ["mbpoll", *link, "-0", "-1", "-o", TIMEOUT_S, *more, "-r", str(address), place, *told],
                capture_output=True, text=True, check=False, timeout=20, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            )  # fmt: skip

        yield twin, mbpoll


def values(said: subprocess.CompletedProcess[str]) -> dict[int, float]:
    """What mbpoll printed that it read, by address."""
    assert said.returncode == 0, said.stderr
    return {int(a): float(v) for a, v in re.findall(r"^\[(\d+)\]:\s+(\S+)", said.stdout, re.M)}


def written(said: subprocess.CompletedProcess[str]) -> bool:
    """Whether mbpoll printed that its one value was acknowledged."""
    return said.returncode == 0 and "Written 1 references." in said.stdout


def failed(said: subprocess.CompletedProcess[str]) -> str:
    """What mbpoll printed of its failure."""
    assert said.returncode == 1, said.stdout
    assert not values(subprocess.CompletedProcess("", 0, said.stdout))
    return said.stderr.strip()


@pytest.mark.evidence("eurotherm", "client", "mbpoll reads, writes and is refused over a serial line")
def test_it_reads_writes_and_is_refused_by_a_3216_on_a_serial_line() -> None:
    with polled("eurotherm_3216", "none", unit=3) as (_, mbpoll):
        assert values(mbpoll(1, "-a", "3", "-c", "5")) == {1: 220, 2: 200, 3: 0, 4: 0, 5: 200}
        assert written(mbpoll(24, "-a", "3", write="150"))
        assert values(mbpoll(24, "-a", "3", "-c", "2")) == {24: 150, 25: 200}
        assert failed(mbpoll(1, "-a", "3", write="7")).endswith("failed: Illegal data value")
        assert failed(mbpoll(1, "-a", "4")).endswith("failed: Connection timed out")


@pytest.mark.evidence("eurotherm-epc", "client", "mbpoll reads, writes and is refused over TCP")
def test_it_reads_writes_and_is_refused_by_an_epc3016_on_a_network() -> None:
    with polled("eurotherm_epc3016", "tcp", unit=1) as (_, mbpoll):
        block = values(mbpoll(0x8002, *FLOAT, "-c", "5"))
        assert block == {0x8002: 22, 0x8004: 20, 0x8006: 0, 0x8008: 0, 0x800A: 20}
        assert values(mbpoll(1930, "-c", "3")) == {1930: 1, 1931: 0, 1932: 0}
        assert written(mbpoll(0x8030, *FLOAT, write="33.25"))
        assert values(mbpoll(0x8030, *FLOAT)) == {0x8030: 33.25}
        assert failed(mbpoll(7000)).endswith("failed: Illegal data address")
        assert failed(mbpoll(1, "-a", "9")).endswith("failed: Connection timed out")


@pytest.mark.evidence("binder", "client", "mbpoll reads, writes and is refused over a serial line")
def test_it_reads_writes_and_is_refused_by_an_oven_with_its_low_words_first() -> None:
    with polled("binder_mb1", "none") as (twin, mbpoll):
        (air_c,) = values(mbpoll(0x11A9, *LOW_WORD_FIRST)).values()
        assert air_c == pytest.approx(twin.truth()["oven"]["air_c"], abs=0.5)
        assert written(mbpoll(0x1581, *LOW_WORD_FIRST, write="40.5"))
        assert values(mbpoll(0x1581, *LOW_WORD_FIRST)) == {0x1581: 40.5}
        assert failed(mbpoll(1)).endswith("failed: Illegal data address")
        assert failed(mbpoll(0x1581, "-a", "2")).endswith("failed: Connection timed out")


@pytest.mark.evidence("io", "client", "mbpoll reads contacts and currents and switches a coil")
def test_it_reads_contacts_and_currents_and_switches_coils_of_an_io_module() -> None:
    with polled("io_module", "tcp") as (twin, mbpoll):
        assert set(values(mbpoll(0, *CONTACT, "-c", "5")).values()) == {1.0}
        assert values(mbpoll(0, *CURRENT))[0] > 4000
        assert not twin.truth()["services"]["beacon"]
        assert written(mbpoll(2, *COIL, write="1"))
        assert values(mbpoll(0x200, *COIL, "-c", "3")) == {0x200: 0, 0x201: 0, 0x202: 1}
        assert twin.truth()["services"]["beacon"]
        assert failed(mbpoll(5000, *CURRENT)).endswith("failed: Illegal data address")


@pytest.mark.evidence("bronkhorst", "client", "mbpoll reads, writes and is refused over a serial line")
def test_it_reads_writes_and_is_refused_by_a_flow_controller_with_even_parity() -> None:
    with polled("bronkhorst_el_flow", "even", protocol="modbus", unit=7) as (_, mbpoll):
        assert values(mbpoll(0x8168, *FLOAT, "-a", "7")) == {0x8168: pytest.approx(916.149, abs=0.01)}
        assert written(mbpoll(0x21, "-a", "7", write="16000"))
        assert values(mbpoll(0x21, "-a", "7")) == {0x21: 16000}
        assert failed(mbpoll(0x8168, "-a", "7")).endswith("failed: Illegal data address")
        assert failed(mbpoll(0x21, "-a", "8")).endswith("failed: Connection timed out")
