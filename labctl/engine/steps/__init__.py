"""Step behaviours: what one active step does in one scan, by the kind of the step.

A behaviour is a function of the scan, the run, the step's state, the plan's step and its chamber. It reads the image,
moves the step from phase to phase, sends commands and waits until they are confirmed. It keeps nothing: what it needs
next time is in the step's state or in the tally. Every behaviour begins in the phase "enter", at first and after each
RESUME or RESTART, and must be able to begin again from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.engine.steps import asking, cell, gas, heat, leak, mix, people, weighing

Behaviour = Callable[[Scan, RunState, StepState, Any, Any], None]

BEHAVIOURS: Mapping[str, Behaviour] = {
    "stir": mix.stir,
    "wait": asking.wait,
    "decide": asking.decide,
    "heat": heat.heat,
    "cool": heat.cool,
    "purge": gas.purge,
    "leak_check": leak.leak_check,
    "unload": gas.unload,
    "manual": people.manual,
    "measure": people.measure,
    "cycle": cell.cycle,
    "weigh": weighing.weigh,
    "dispense": weighing.dispense,
}
