"""Step files of a BTS client as the cycler takes them: steps, limits, rules of recording.

Format after files of version 17 (BTS Client 8.0.0.478): voltage in 0.1 mV, time in ms, current in mA.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from xml.etree import ElementTree

Element = ElementTree.Element

CHARGE, DISCHARGE, CHARGE_CV, REST, LOOP, END, DISCHARGE_CV = 1, 2, 3, 4, 5, 6, 19
KINDS = {CHARGE: "cc", DISCHARGE: "dc", CHARGE_CV: "cv", REST: "rest", DISCHARGE_CV: "cv"}
"""Step types that are simulated, besides loop and end, as replies call them."""

FULL_SCALE_A = 0.1
"""Current of a constant-voltage step that names none (assumed)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `volt_v`: held (constant voltage) or stopped at. start, count: of a loop, in all."""

    kind: int
    current_a: float = 0.0
    volt_v: float | None = None
    time_s: float = inf
    stop_a: float = 0.0
    start: int = 1
    count: int = 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole step file. Protection: limits of voltage, of current with its sign, and their delay.

    record_s, record_v, record_a: a row of data at each such change; inf: not by this.
    """

    steps: tuple[Step, ...]
    upper_v: float = inf
    lower_v: float = -inf
    upper_a: float = inf
    lower_a: float = -inf
    delay_s: float = 0.0
    record_s: float = 60.0
    record_v: float = inf
    record_a: float = inf

    def violates(self, voltage_v: float, current_a: float) -> bool:
        """True outside of the protection limits."""
        inside = self.lower_v <= voltage_v <= self.upper_v and self.lower_a <= current_a <= self.upper_a
        return not inside


def read(content: bytes) -> Schedule:
    """A step file. Raises ValueError for one that the cycler would not take."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"not a step file: {error}") from None
    config = root.find("config")
    info = None if config is None else config.find("Step_Info")
    if config is None or info is None or config.get("type") != "Step File":
        raise ValueError("not a step file")
    steps = tuple(_step(step, number) for number, step in enumerate(info, 1))
    if not steps or steps[-1].kind != END or str(len(steps)) != info.get("Num"):
        raise ValueError("a step file without its end")
    for number, step in enumerate(steps, 1):
        if step.kind == LOOP and not (1 <= step.start < number and step.count >= 1):
            raise ValueError(f"step {number} loops to {step.start}")
    protect, record = "Whole_Prt/Protect/Main/", "Whole_Prt/Record/Main/"
    return Schedule(
        steps,
        upper_v=_value(config, protect + "Volt/Upper", inf) / 1e4,
        lower_v=_value(config, protect + "Volt/Lower", -inf) / 1e4,
        upper_a=_value(config, protect + "Curr/Upper", inf) / 1e3,
        lower_a=_value(config, protect + "Curr/Lower", -inf) / 1e3,
        delay_s=_value(config, protect + "Delay_Time", 0.0) / 1e3,
        record_s=_value(config, record + "Time", 60e3) / 1e3,
        record_v=_value(config, record + "Volt", inf) / 1e4,
        record_a=_value(config, record + "Curr", inf) / 1e3,
    )


def _step(step: Element, number: int) -> Step:
    if step.get("Step_ID") != str(number):
        raise ValueError(f"step {number} is numbered {step.get('Step_ID')}")
    kind = int(step.get("Step_Type", ""))
    if kind not in (*KINDS, LOOP, END):
        raise ValueError(f"step {number} is of a type that is not simulated: {kind}")
    main, other = "Limit/Main/", "Limit/Other/"
    held = kind in (CHARGE_CV, DISCHARGE_CV)
    current = _value(step, main + "Curr", FULL_SCALE_A * 1e3 if held else 0.0) / 1e3
    volt = _value(step, main + ("Volt" if held else "Stop_Volt"), inf) / 1e4
    if kind in (CHARGE, DISCHARGE) and not 0.0 < current < inf:
        raise ValueError(f"step {number} has no current")
    if held and volt == inf:
        raise ValueError(f"step {number} has no voltage")
    return Step(
        kind,
        current,
        None if volt == inf else volt,
        _value(step, main + "Time", inf) / 1e3,
        _value(step, main + "Stop_Curr", 0.0) / 1e3,
        int(_value(step, other + "Start_Step", 1)),
        int(_value(step, other + "Cycle_Count", 1)),
    )


def _value(parent: Element, path: str, missing: float) -> float:
    found = parent.find(path)
    return missing if found is None else float(found.get("Value", ""))
