"""The door behind a simulated bench: truth, faults, time and the operator, one JSON line each way.

    {"do": "truth"}  ->  {"ok": true, "result": {...}}  or  {"ok": false, "error": "..."}

On loopback only, and apart from every instrument's wire: what is asked here, no driver can see.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Self

from labctl_simulators.hosts.clock import PlantClock
from labctl_simulators.operator import OperatorError
from labctl_simulators.twin import Twin

LOOPBACK = "127.0.0.1"
LONGEST_LINE = 1 << 20
LONGEST_STEP_S = 1e7
"""Some four months in one step: beyond it is a slip of the keyboard (assumed)."""


class Backdoor:
    """A twin's backdoor. Open while it is used as a context manager.

    Args:
        twin: what it leads to.
        now: up to which plant time an answer may bring the plant.
        clock: the plant's clock, where it has one of its own; None: time belongs to who owns the twin.
        addresses: where the twin's instruments are served; these are what it claims.
        port: 0 takes a free one.
        verbs: what else may be asked here; each takes and returns JSON values.
    """

    def __init__(
        self,
        twin: Twin,
        now: Callable[[], float],
        *,
        clock: PlantClock | None = None,
        addresses: Collection[str] = (),
        port: int = 0,
        verbs: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.twin = twin
        self._now = now
        self._clock = clock
        self._addresses = frozenset(addresses)
        self._verbs: Mapping[str, Callable[..., Any]] = {
            "claims": self.claims,
            "truth": self.truth,
            "answer": self.answer,
            "charge": self.charge,
            "fault": self.fault,
            "clear": self.clear,
            "faults": self.faults,
            "time": self.time,
            "step": self.step,
            "advance_to": self.advance_to,
            "pause": self.pause,
            "resume": self.resume,
            "speed": self.speed,
            **(verbs or {}),
        }
        answer = self._answer

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                while line := self.rfile.readline(LONGEST_LINE):
                    self.wfile.write(json.dumps(answer(line), allow_nan=False).encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server((LOOPBACK, port), Handler)
        self.port: int = self._server.server_address[1]

    @property
    def address(self) -> str:
        """As a bench file names it."""
        return f"tcp://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def claims(self, addresses: Iterable[str]) -> dict[str, Any]:
        """Which of these addresses are instruments of this twin, and how fast its time runs."""
        mine = [address for address in addresses if address in self._addresses]
        return {"mine": mine, "plant": self.twin.name, "speed": self._clock.speed if self._clock else None}

    def truth(self) -> dict[str, Any]:
        """What is really the case now."""
        self._catch_up()
        return self.twin.truth()

    def answer(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """What the simulated operator enters, after doing what the prompt asks."""
        self._catch_up()
        return self.twin.entered(prompt)

    def charge(self, batch: Mapping[str, Any], run: str = "") -> None:
        """Have the simulated operator begin the batch of a run, e.g. {"product_mass_g": 2.0}."""
        with self.twin.lock:
            self.twin.plant.charge(batch, run)

    def fault(self, **fault: Any) -> int:
        """Schedule a fault, at `at_s` of plant time or `in_s` from now. Returns its number."""
        self._catch_up()
        with self.twin.lock:
            if "in_s" in fault:
                fault["at_s"] = self.twin.plant.now() + float(fault.pop("in_s"))
            return self.twin.faults.add(fault)

    def clear(self, instrument: str | None = None, kind: str | None = None) -> int:
        """End faults: all, or of an instrument, or of a kind. How many."""
        self._catch_up()
        with self.twin.lock:
            return self.twin.faults.clear(instrument, kind)

    def faults(self) -> list[dict[str, Any]]:
        """Every fault, its state, and how often it did something."""
        self._catch_up()
        with self.twin.lock:
            return self.twin.faults.report()

    def time(self) -> dict[str, Any]:
        """Plant time in s, its speed, and whether it stands still."""
        clock = self._own()
        return {"t": clock.now(), "speed": clock.speed, "paused": clock.paused}

    def step(self, seconds: float) -> dict[str, Any]:
        """Let that many seconds pass at once, then stand still."""
        if not 0.0 <= seconds <= LONGEST_STEP_S:
            raise ValueError(f"a step is 0..{LONGEST_STEP_S:g} s, not {seconds:g}")
        self._own().pause()
        return self.advance_to(self._own().now() + seconds)

    def advance_to(self, t_s: float) -> dict[str, Any]:
        """Let time pass at once up to `t_s`."""
        self._own().advance_to(t_s)
        self._catch_up()
        return self.time()

    def pause(self) -> dict[str, Any]:
        """Let time stand still."""
        self._own().pause()
        return self.time()

    def resume(self) -> dict[str, Any]:
        """Let time run."""
        self._own().resume()
        return self.time()

    def speed(self, factor: float) -> dict[str, Any]:
        """Let time run at `factor` times the real clock."""
        self._own().run_at(factor)
        return self.time()

    def _own(self) -> PlantClock:
        if self._clock is None:
            raise ValueError(
                "the time of this plant belongs to its run; only a served bench can be told to wait"
            )
        return self._clock

    def _catch_up(self) -> None:
        self.twin.advance_to(self._now())

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            verb = self._verbs.get(asked.pop("do", None))
            if verb is None:
                raise ValueError(f"this door knows {', '.join(self._verbs)}")
            return {"ok": True, "result": verb(**asked)}
        except (ValueError, TypeError, KeyError, AttributeError, OSError, OperatorError) as error:
            return {"ok": False, "error": str(error) or type(error).__name__}
