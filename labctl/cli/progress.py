"""What a person sees while a run goes on: one calm panel on a terminal, a line per step elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

from labctl.cli.terminal import say
from labctl.engine.alarms import HIDDEN
from labctl.engine.state import RunState
from labctl.forecast import Forecast
from labctl.model.events import clock as hours
from labctl.model.readings import Reading
from labctl.protocol.plan import Plan
from labctl.report.numbers import quantity
from labctl.runtime.clock import wall_s
from labctl.runtime.controller import Controller

FRAME_S = 0.25
SHOWN = ("temperature", "flow", "oxygen", "speed", "voltage", "current")


class Progress:
    """Shows a controller's run while it is open. `look` is cheap when nothing is due."""

    def __init__(self, plan: Plan, planned: Forecast, controller: Controller, run_id: str) -> None:
        """Nothing is shown before it is entered."""
        self._plan = plan
        self._planned = planned
        self._controller = controller
        self._run_id = run_id
        self._drawn_s = 0.0
        self._told: set[str] = set()
        self._live: Any = None

    def __enter__(self) -> Self:
        """Begin: a live panel when stderr is a terminal."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(stderr=True, highlight=False),
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draw the last state and leave it on the screen."""
        self._draw()
        if self._live is not None:
            self._live.stop()

    def look(self) -> None:
        """Draw, if a frame is due."""
        now = wall_s()
        if now - self._drawn_s >= FRAME_S:
            self._drawn_s = now
            self._draw()

    def tell(self, text: str) -> None:
        """Talk: one line, above the panel where there is one."""
        if self._live is not None:
            self._live.console.print(text, markup=False)
        else:
            say(text)

    def _draw(self) -> None:
        run = self._controller.state.runs.get(self._run_id)
        if run is None:
            return
        if self._live is not None:
            self._live.update(self._panel(run), refresh=True)
            return
        for name, summary in run.done.items():
            if name not in self._told:
                self._told.add(name)
                what = f"left out: {summary['because']}" if summary.get("skipped") else "done"
                say(f"{hours(summary['ended_s']):>6}  {name} {what}")

    def _panel(self, run: RunState) -> Any:
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = self._controller.clock.now()
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim")
        table.add_column(width=22)
        table.add_column()
        total = self._planned.duration_s or 1.0
        done = total if run.end_state == "COMPLETE" else min(now, total)
        table.add_row("run", Text(run.state, style="bold"), f"{hours(now)} of about {hours(total)}")
        table.add_row("", ProgressBar(total=total, completed=done, width=20), "")
        for name, step in run.active.items():
            number = next(n for n, s in enumerate(self._plan.steps, 1) if s.id == name)
            place = f"step {number} of {len(self._plan.steps)}: {step.phase}, {hours(now - step.started_s)}"
            table.add_row("step", Text(name, style="bold"), place)
        shown: dict[str, list[str]] = {}
        for key, reading in self._controller.image.items():
            instrument, _, signal = key.partition(".")
            if signal in SHOWN and now - reading.t_s < 60.0:
                shown.setdefault(instrument, []).append(_shown(reading))
        for instrument, values in shown.items():
            table.add_row(instrument, "  ".join(values), "")
        for alarm in self._controller.state.alarms.values():
            if alarm["state"] in HIDDEN:
                continue
            table.add_row("alarm", Text(alarm["priority"], style="bold red"), alarm["message"])
        banner = "SIMULATED  " if self._plan.simulated else ""
        return Panel(table, title=f"{banner}{self._run_id}", title_align="left", border_style="dim")


def _shown(reading: Reading) -> str:
    if reading.value is None or reading.quality:
        return f"-- ({reading.quality.name.lower().replace('_', ' ')})"
    if reading.unit == "A":
        return f"{reading.value * 1e3:.4f} mA"
    if reading.unit == "ppm" and reading.value >= 1e4:
        return f"{reading.value / 1e4:.2f} %"
    return f"{reading.value:.3f} V" if reading.unit == "V" else quantity(reading.value, reading.unit)
