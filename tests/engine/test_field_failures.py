"""Failures that others had in the field, each as a test of its own name: what burnt there must not burn here.

Beside these: a detached sensor near its setpoint (`test_plausible`), a relay that is stuck on (`test_trips`), and what
is wrong already before a step begins (`test_firing`).
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from labctl.bench.discovery import drivers
from labctl.forecast import Rehearsal
from labctl.runtime.clock import RealClock, VirtualClock
from labctl.runtime.record import InMemory
from tests.engine.bench import bundled
from tests.engine.test_trips import PROTECTIVE_SCCM, furnace, plan


def test_a_serial_line_that_only_carries_what_labctl_sends_ends_with_the_heater_really_off() -> None:
    """A host went on heating by a USB line on which nothing came back: smoke.

    The instrument hears every renewal, so its own dead-man never acts: labctl must switch it off unheard.
    """
    with furnace() as hot:
        since = hot.now
        hot.fault("furnace", "drop", side="reply")
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 60.0)
        assert hot.now - since <= 25.0
        hot.until(lambda: hot.run.state == "ABORTING", 60.0)
        assert hot.tube.latched == ("silent",)
        peak = hot.truth("furnace", "tube_c")
        for _ in range(60):
            hot.go(10.0)
            assert hot.truth("furnace", "heater_w") == 0.0
            assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        assert hot.truth("furnace", "tube_c") < peak
        assert "tube/heat_off/by_hand" in hot.state.alarms


class Stepped(VirtualClock):
    """A wall clock that is set back by an hour in the purge and forward by two while it is hot."""

    def utc_ms(self, t_s: float) -> int:
        jump_s = 0 if t_s < 200.0 else -3600 if t_s < 600.0 else 7200
        return super().utc_ms(t_s) + jump_s * 1000


def _journal(clock: VirtualClock) -> list[tuple[str, str, dict[str, Any], float]]:
    record, bench = InMemory(), bundled("small")
    with Rehearsal(bench, drivers(), plan(bench), seed=5, record=record, clock=clock) as rehearsal:
        rehearsal.submit("run-1", {})
        rehearsal.controller.run(lambda: rehearsal.ended("run-1"))
    return [tuple(event) for event in record.events]  # type: ignore[misc]


def test_a_wall_clock_that_is_set_moves_nothing_of_a_run() -> None:
    """A kiln's profile moved by an hour when NTP set its clock. Durations here come from the bench's clock alone."""
    once = _journal(VirtualClock())
    assert once == _journal(Stepped())
    assert [kind for _, kind, _, _ in once].count("step_done") >= 4


def test_the_real_bench_clock_does_not_look_at_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = RealClock(100.0)
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0.0 <= clock.now() - before < 5.0
    assert clock.utc_ms(clock.now()) < 1000  # the record says what the wall says
