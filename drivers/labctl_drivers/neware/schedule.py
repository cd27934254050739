"""From a cycling programme to the step file that a Neware channel carries out by itself.

Format: step file version 17 of BTS Client 8.0.0.478, as aurora-unicycler 0.4.6 writes it: voltage in
0.1 mV, time in ms, current in mA (positive in both directions; the step type is the direction).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from labctl.bench.api import RefusedError

PROTECTED_V = (2.0, 4.1)
"""The channel's own hard limits of a cell's voltage (safety contract, section 1: cell)."""
PROTECTED_CURRENT = 1.2
"""Its own limit of current of either sign, times the largest one of the schedule (the same)."""
PROTECTION_DELAY_S = 1.0
"""How long a limit may be passed before the channel trips (assumed: two scans of a furnace stage)."""
LONGEST_HALF = 1.5
"""A half cycle ends by time at this many times its nominal 1/rate hours: a shorted cell never reaches its
voltage (assumed; the paper's cells need at most 1.01)."""
RECORD_V = 0.005
"""A row of data at each change of voltage this large, besides those by time (reference: 5 mV)."""

SMALLEST_A = 1e-6
MOST_RATE_C = 20.0
MOST_CYCLES = 10_000
MOST_BLOCKS = 50
LONGEST_REST_S = 7 * 86400.0
"""Bounds of what makes sense of a programme (assumed)."""

CHARGE, DISCHARGE, REST, LOOP, FINISH = "1", "2", "4", "5", "6"
"""Step types of the file."""

_SAMPLE = re.compile(r"[A-Za-z0-9_.-]{1,24}")
_UNDATED = "20000101000000"
"""Step files carry a date. A driver has no calendar; what a file is, its name and Guid say."""


@dataclass(frozen=True, slots=True)
class Block:
    """`cycles` cycles at `rate_c` (1C: the specific current of the programme)."""

    rate_c: float
    cycles: int


@dataclass(frozen=True, slots=True)
class Programme:
    """Galvanostatic cycles between two voltages, block after block, charge first.

    The current of a block is `rate_c` x `specific_current_ma_per_g` (of 1C; the paper's is 117 mA/g) x
    `active_mass_mg`. rest_s: open circuit before the first cycle and after each half cycle.
    """

    blocks: tuple[Block, ...]
    specific_current_ma_per_g: float
    active_mass_mg: float
    upper_v: float
    lower_v: float
    rest_s: float = 0.0
    sample: str = "cell"

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Programme:
        """From the arguments of `start_schedule`, `blocks` as [rate_c, cycles] pairs. Raises RefusedError."""
        try:
            blocks = tuple(Block(float(rate), int(cycles)) for rate, cycles in args["blocks"])
            whole = all(int(n) == n for _, n in args["blocks"])
            programme = cls(
                blocks,
                float(args["specific_current_ma_per_g"]),
                float(args["active_mass_mg"]),
                float(args["upper_v"]),
                float(args["lower_v"]),
                float(args.get("rest_s", 0.0)),
                str(args.get("sample", "cell")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RefusedError(f"neware: this is no cycling programme: {error!r}; nothing was sent") from None
        if not whole:
            raise RefusedError("neware: cycles are counted in whole numbers; nothing was sent")
        return programme

    def current_a(self, block: Block) -> float:
        """Current of a block, A: mA/g x mg is µA."""
        return block.rate_c * self.specific_current_ma_per_g * self.active_mass_mg * 1e-6

    @property
    def largest_a(self) -> float:
        """The largest current of all blocks, A."""
        return max(self.current_a(block) for block in self.blocks)

    @property
    def record_s(self) -> float:
        """Seconds between rows of data: 360 in the shortest half cycle, between 1 and 10 (reference)."""
        fastest = max(block.rate_c for block in self.blocks)
        return min(10.0, max(1.0, round(10.0 / fastest)))

    def check(self, max_a: float) -> None:
        """Raise RefusedError for what no cell should be given; `max_a` is the bench's largest current."""
        low, high = PROTECTED_V
        wrong = ""
        if not 1 <= len(self.blocks) <= MOST_BLOCKS:
            wrong = f"{len(self.blocks)} blocks; there are 1..{MOST_BLOCKS}"
        elif not all(0.0 < b.rate_c <= MOST_RATE_C and 1 <= b.cycles <= MOST_CYCLES for b in self.blocks):
            wrong = f"a block outside 0..{MOST_RATE_C:g} C and 1..{MOST_CYCLES} cycles"
        elif not low < self.lower_v < self.upper_v < high:
            wrong = f"a window of {self.lower_v:g}..{self.upper_v:g} V is not within {low:g}..{high:g} V"
        elif not (self.specific_current_ma_per_g > 0.0 and self.active_mass_mg > 0.0):
            wrong = "no mass or no specific current"
        elif not all(SMALLEST_A <= self.current_a(b) <= max_a for b in self.blocks):
            wrong = f"a current of {self.largest_a:g} A; this bench allows {SMALLEST_A:g}..{max_a:g} A"
        elif not (isfinite(self.rest_s) and 0.0 <= self.rest_s <= LONGEST_REST_S):
            wrong = f"a rest of {self.rest_s:g} s"
        elif not _SAMPLE.fullmatch(self.sample):
            wrong = f"a sample named {self.sample!r}; letters, digits, . _ and - only, 24 at most"
        if wrong:
            raise RefusedError(f"neware: {wrong}; nothing was sent")


@dataclass(frozen=True, slots=True)
class StepFile:
    """A step file and what it is called: `barcode` marks the run on the cycler, `name` the file."""

    barcode: str
    content: bytes

    @property
    def name(self) -> str:
        """File name; the same programme has the same."""
        return f"{self.barcode}.xml"


@dataclass(frozen=True, slots=True)
class Protection:
    """The own limits that a step file arms: voltages in V, |current| in A, delay in s."""

    lower_v: float
    upper_v: float
    limit_a: float
    delay_s: float


def step_file(programme: Programme) -> StepFile:
    """The step file of a programme. Call `Programme.check` first."""
    content = _document(programme, "")
    digest = sha256(content).hexdigest()
    guid = str(uuid5(NAMESPACE_URL, f"labctl:{digest}"))
    return StepFile(f"labctl-{programme.sample}-{digest[:8]}", _document(programme, guid))


def protection(content: bytes) -> Protection:
    """The limits that are armed by a step file. Raises ValueError when it names not all of them."""
    try:
        main = ElementTree.fromstring(content).find("config/Whole_Prt/Protect/Main")
        if main is None:
            raise ValueError("a step file without protection")

        def limit(path: str, scale: float) -> float:
            found = main.find(path)
            if found is None:
                raise ValueError(f"a step file without {path}")
            return float(found.get("Value", "")) / scale

        return Protection(
            limit("Volt/Lower", 1e4),
            limit("Volt/Upper", 1e4),
            max(limit("Curr/Upper", 1e3), -limit("Curr/Lower", 1e3)),
            limit("Delay_Time", 1e3),
        )
    except ElementTree.ParseError as error:
        raise ValueError(f"not a step file: {error}") from None


Tree = ElementTree.Element
Step = tuple[str, dict[str, str], dict[str, str]]
"""Type, main limits and other limits of a step."""


def _document(programme: Programme, guid: str) -> bytes:
    root = ElementTree.Element("root")
    config = ElementTree.SubElement(
        root,
        "config",
        type="Step File",
        version="17",
        client_version="BTS Client 8.0.0.478(2024.06.24)(R3)",
        date=_UNDATED,
        Guid=guid,
    )
    head = ElementTree.SubElement(config, "Head_Info")
    _value(head, "Operate", "66")
    _value(head, "Scale", "1")
    _value(head, "Start_Step", "1").set("Hide_Ctrl_Step", "0")
    _value(head, "Creator", "labctl")
    _value(head, "Remark", programme.sample)
    _value(head, "RateType", "103")
    # capacity at 1C in mA s: mA/g x mg is µA
    _value(head, "MultCap", _decimal(programme.specific_current_ma_per_g * programme.active_mass_mg * 3.6))
    _protect(ElementTree.SubElement(config, "Whole_Prt"), programme)
    steps = _steps(programme)
    info = ElementTree.SubElement(config, "Step_Info", Num=str(len(steps)))
    for number, (kind, main, other) in enumerate(steps, 1):
        step = ElementTree.SubElement(info, f"Step{number}", Step_ID=str(number), Step_Type=kind)
        if main or other:
            limit = ElementTree.SubElement(step, "Limit")
            for part, values in (("Main", main), ("Other", other)):
                if values:
                    branch = ElementTree.SubElement(limit, part)
                    for name, value in values.items():
                        _value(branch, name, value)
    bus = ElementTree.SubElement(config, "SMBUS")
    ElementTree.SubElement(bus, "SMBUS_Info", Num="0", AdjacentInterval="0")
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _protect(whole: Tree, programme: Programme) -> None:
    main = ElementTree.SubElement(ElementTree.SubElement(whole, "Protect"), "Main")
    low, high = PROTECTED_V
    volt = ElementTree.SubElement(main, "Volt")
    _value(volt, "Upper", _decimal(high * 1e4))
    _value(volt, "Lower", _decimal(low * 1e4))
    limit_ma = PROTECTED_CURRENT * programme.largest_a * 1e3
    curr = ElementTree.SubElement(main, "Curr")
    _value(curr, "Upper", _decimal(limit_ma))
    _value(curr, "Lower", _decimal(-limit_ma))
    _value(main, "Delay_Time", _decimal(PROTECTION_DELAY_S * 1e3))
    ElementTree.SubElement(main, "Cap")
    record = ElementTree.SubElement(ElementTree.SubElement(whole, "Record"), "Main")
    _value(record, "Time", _decimal(programme.record_s * 1e3))
    _value(record, "Volt", _decimal(RECORD_V * 1e4))


def _steps(programme: Programme) -> list[Step]:
    rest: list[Step] = [(REST, {"Time": _decimal(programme.rest_s * 1e3)}, {})] if programme.rest_s else []
    steps = [*rest]
    for block in programme.blocks:
        first = str(len(steps) + 1)
        for kind, until_v in ((CHARGE, programme.upper_v), (DISCHARGE, programme.lower_v)):
            main = {
                "Curr": _decimal(programme.current_a(block) * 1e3),
                "Time": _decimal(LONGEST_HALF * 3600e3 / block.rate_c),
                "Stop_Volt": _decimal(until_v * 1e4),
            }
            steps += [(kind, main, {}), *rest]
        steps.append((LOOP, {}, {"Start_Step": first, "Cycle_Count": str(block.cycles)}))
    steps.append((FINISH, {}, {}))
    return steps


def _value(parent: Tree, name: str, value: str) -> Tree:
    return ElementTree.SubElement(parent, name, Value=value)


def _decimal(value: float) -> str:
    return f"{value:f}"
