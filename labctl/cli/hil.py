"""`labctl sim up`: a whole bench of simulated instruments over real wires, in a process of its own."""

from __future__ import annotations

import errno
import signal
import threading
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from labctl.bench.api import DriverEntry
from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.bench.schema import Bench
from labctl.cli.faults import read_faults
from labctl.cli.terminal import say
from labctl.errors import UsageError
from labctl.runtime.clock import wall_s
from labctl.runtime.folder import BENCH_FILE
from labctl.twin import PlantClock, ServedBench, Twin, build, check_faults, place_of, schedule, spec

TERMINALS = "terminals"


def up(arguments: Namespace) -> int:
    """Serve a bench until SIGTERM or Ctrl-C; print an address a line, and leave a bench folder ready to run on."""
    entries = drivers()
    bench = load_bench(arguments.of, entries)
    folder: Path = (arguments.out or Path(f"{bench.bench}-hil")).resolve()
    wanted = spec(bench, entries)
    faults = read_faults(arguments.faults) if arguments.faults else []
    check_faults(wanted, faults)
    twin = build(wanted, arguments.seed)
    with _hosts(twin, bench, entries, folder, arguments) as served:
        schedule(twin, faults)
        _write(folder, find_bench(arguments.of), bench, served)
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        for name, address in served.addresses.items():
            print(f"{name} {address}")
        print(f"backdoor {served.backdoor.address}", flush=True)
        say(f"SIMULATED bench {bench.bench} is up in {folder}; Ctrl-C ends it")
        say(f"  labctl run PROTOCOL --bench {folder} --yes")
        over.wait()
    return 0


def _hosts(
    twin: Twin, bench: Bench, entries: Mapping[str, DriverEntry], folder: Path, arguments: Namespace
) -> ServedBench:
    """Every instrument behind a wire of its own. Raises UsageError saying why there cannot be one."""
    before = _served_before(folder)
    host = arguments.expose or "127.0.0.1"
    missing = [place for place in (folder / TERMINALS, folder) if not place.exists()]
    try:
        return _served(twin, bench, entries, folder, arguments, host, before)
    except (ValueError, OSError) as error:
        for place in missing:
            with suppress(OSError):  # where something stands in it, it is not ours alone
                place.rmdir()
        raise _why_not(error, folder, host) from error


def _served(
    twin: Twin,
    bench: Bench,
    entries: Mapping[str, DriverEntry],
    folder: Path,
    arguments: Namespace,
    host: str,
    before: Mapping[str, int],
) -> ServedBench:
    return ServedBench(
        twin,
        PlantClock(wall_s, arguments.speed or 1.0, paused=arguments.paused),
        {
            name: place_of(instrument, entries[instrument.driver], arguments.tcp, before.get(name, 0))
            for name, instrument in bench.instruments.items()
        },
        folder / TERMINALS,
        host=host,
        exposed=arguments.expose is not None,
        backdoor_port=before.get("", 0),
    )


def _why_not(error: Exception, folder: Path, host: str) -> UsageError:
    """In words for who asked for it."""
    if not isinstance(error, OSError):
        return UsageError(str(error))
    if error.errno == errno.EADDRINUSE:
        taken = f"the ports that {folder / BENCH_FILE} names are taken; is that bench up already?"
        return UsageError(f"{taken} Without the file, others are chosen")
    why = str(error.strerror).partition(" (")[0]  # behind it the names of calls
    where = f"{error.filename}: " if error.filename else f"nothing can be served on {host}: "
    return UsageError(where + why)


def _served_before(folder: Path) -> Mapping[str, int]:
    """TCP ports by instrument ("" for the backdoor) of the bench file that an earlier one wrote there.

    They are taken again, so that a controller that waits finds its instruments. Raises UsageError for a bench file
    that is somebody else's.
    """
    file = folder / BENCH_FILE
    if not file.exists():
        return {}
    bench = load_bench(folder)
    if bench.backdoor is None:
        raise UsageError(
            f"{file} is the file of a bench that is not served from here; name another folder: --out DIR"
        )
    ports = {"": urlsplit(bench.backdoor).port or 0}
    for name, instrument in bench.instruments.items():
        scheme, _, place = instrument.address.partition("://")
        if scheme == "tcp":
            ports[name] = int(place.rpartition(":")[2])
        elif scheme == "visa":
            ports[name] = int(place.split("::")[2])
    return ports


def _write(folder: Path, source: Path, bench: Bench, served: ServedBench) -> None:
    """The bench file with the addresses at which it answers now, whole or not at all."""
    data: dict[str, Any] = bench.model_dump(mode="json", exclude_defaults=True)
    data["backdoor"] = served.backdoor.address
    for name, address in served.addresses.items():
        data["instruments"][name]["address"] = address
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{BENCH_FILE}.new"
    text = f"# Written by `labctl sim up`, which serves it: simulated instruments of {source.name} over real wires.\n"
    draft.write_text(text + yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    draft.replace(folder / BENCH_FILE)
