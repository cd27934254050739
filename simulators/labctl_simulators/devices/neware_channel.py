"""One channel of a Neware cycler: it carries out a step file by itself, and keeps the rows of data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from labctl_simulators.devices.api import CellModel
from labctl_simulators.devices.neware_steps import (
    CHARGE,
    CHARGE_CV,
    DISCHARGE,
    DISCHARGE_CV,
    END,
    KINDS,
    LOOP,
    REST,
    Schedule,
    Step,
)

FAR_V = 10.0
"""What a constant-current step without a stop voltage drives towards."""
UNSAVED_S = 60.0
"""Data younger than this is lost when the cycler loses power (assumed)."""

STARTED, ENDED, STOPPED, TRIPPED = 100000, 100001, 100002, 100100
"""Codes in the log: the first two as captured, the others assumed."""

_NOTHING = Schedule(())


class Row(NamedTuple):
    """A row of data: step time in s, plant time, V, A, and Ah and Wh of the step so far."""

    step: int
    cycle: int
    kind: str
    step_s: float
    now_s: float
    volt: float
    curr: float
    cap: float
    eng: float


class Layer(NamedTuple):
    """One step as it was carried out: numbers of its first and last row (from 1), and those rows."""

    start: int
    end: int
    first: Row
    last: Row


@dataclass(slots=True)
class Channel:
    """One channel with a cell, or with open terminals. It needs nobody once it was started.

    state: finish, working, pause, stop or protect. cycle and step count from 1; step 0: none.
    """

    subdevice: int
    number: int
    cell: CellModel | None = None
    state: str = "finish"
    barcode: str = ""
    test: int = 0
    cycle: int = 1
    step: int = 0
    total_s: float = 0.0
    step_s: float = 0.0
    cap: float = 0.0
    eng: float = 0.0
    rows: list[Row] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    log: list[tuple[int, int, float]] = field(default_factory=list)
    _schedule: Schedule = _NOTHING
    _passes: dict[int, int] = field(default_factory=dict)
    _outside_s: float = 0.0
    _first: int = 0
    _now: float = 0.0

    @property
    def volt(self) -> float:
        """Terminal voltage, V."""
        return self.cell.voltage_v if self.cell else 0.0

    @property
    def curr(self) -> float:
        """Current, A."""
        return self.cell.current_a if self.cell and self.state == "working" else 0.0

    def start(self, schedule: Schedule, barcode: str, test: int, now_s: float) -> None:
        """Begin a schedule from its first step."""
        self.state, self.barcode, self.test = "working", barcode, test
        self.cycle, self.total_s, self._outside_s, self._now = 1, 0.0, 0.0, now_s
        self.rows, self.layers, self.log, self._passes = [], [], [(1, STARTED, now_s)], {}
        self._schedule = schedule
        self._enter(1)

    def tick(self, now_s: float) -> None:
        """Live the time that just passed."""
        dt, self._now = now_s - self._now, now_s
        if self.state != "working":
            return
        schedule, step = self._schedule, self._schedule.steps[self.step - 1]
        volt, curr = self.volt, self.curr
        moved = abs(curr) * dt / 3600.0
        self.total_s += dt
        self.step_s += dt
        self.cap += moved
        self.eng += moved * volt
        if schedule.violates(volt, curr):
            self._outside_s += dt
            if self._outside_s >= schedule.delay_s:
                self.end("protect", TRIPPED)
                return
        else:
            self._outside_s = 0.0
        if self._has_ended(step, curr):
            self._record()
            self._leave()
            self._enter(self.step + 1)
        else:
            last = self.rows[-1]
            if (
                self.step_s - last.step_s >= schedule.record_s
                or abs(volt - last.volt) >= schedule.record_v
                or abs(curr - last.curr) >= schedule.record_a
            ):
                self._record()

    def end(self, state: str, code: int) -> None:
        """Stop where it is: open circuit, the last row and step kept."""
        self._record()
        self._leave()
        self.log.append((len(self.rows), code, self._now))
        self.state, self.step = state, 0
        if self.cell:
            self.cell.open_circuit()

    def power_cycle(self) -> None:
        """The cycler's mains failed for a moment: it stays stopped, and its newest data is gone."""
        if self.state != "working":
            return
        self.end("finish", ENDED)
        self.rows = [row for row in self.rows if row.now_s <= self._now - UNSAVED_S]
        self.layers = [layer for layer in self.layers if layer.end <= len(self.rows)]
        self.log = self.log[:1]

    def _enter(self, number: int) -> None:
        """Go to a step; loops are passed on the way."""
        schedule = self._schedule
        step = schedule.steps[number - 1]
        while step.kind == LOOP:
            self.cycle += 1
            passes = self._passes[number] = self._passes.get(number, 0) + 1
            if passes < step.count:
                # loops within this one begin anew
                self._passes = {n: k for n, k in self._passes.items() if not step.start <= n < number}
                number = step.start
            else:
                number += 1
            step = schedule.steps[number - 1]
        if step.kind == END:
            self.log.append((len(self.rows), ENDED, self._now))
            self.state, self.step = "finish", 0
            if self.cell:
                self.cell.open_circuit()
            return
        self.step, self.step_s, self.cap, self.eng, self._first = number, 0.0, 0.0, 0.0, len(self.rows)
        if self.cell:
            if step.kind == REST:
                self.cell.open_circuit()
            else:
                far = FAR_V if step.kind in (CHARGE, CHARGE_CV) else -FAR_V
                self.cell.source(far if step.volt_v is None else step.volt_v, step.current_a)
        self._record()

    def _has_ended(self, step: Step, curr: float) -> bool:
        if self.step_s >= step.time_s:
            return True
        reached = self.cell is not None and not self.cell.limited
        if step.kind in (CHARGE, DISCHARGE):
            return reached and step.volt_v is not None
        return step.kind in (CHARGE_CV, DISCHARGE_CV) and reached and abs(curr) <= step.stop_a

    def _record(self) -> None:
        kind = KINDS[self._schedule.steps[self.step - 1].kind]
        row = Row(
            self.step, self.cycle, kind, self.step_s, self._now, self.volt, self.curr, self.cap, self.eng
        )
        if len(self.rows) > self._first and self.rows[-1].step_s == self.step_s:
            self.rows[-1] = row
        else:
            self.rows.append(row)

    def _leave(self) -> None:
        self.layers.append(Layer(self._first + 1, len(self.rows), self.rows[self._first], self.rows[-1]))
