"""What the page on the language shows can be written so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labctl.bench.schema import Bench
from labctl.protocol.validation import check
from tests.docs.language import PAGE
from tests.protocol.conftest import bundled

FENCE = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
EXAMPLES = FENCE.findall(PAGE.read_text(encoding="utf-8"))
AROUND = """\
protocol: around
roles:
  {stirrer: hotplate_stirrer, oven: oven, furnace: tube_furnace, nitrogen: gas_flow, cycler: cycler}
samples: [a, b]
product: {formula: Na3V2(PO4)3, mass: 1 g}
steps:
"""
FIRST = """\
  - {id: boat, manual: {do: Load the alumina boat, confirm: [extraction on], into: furnace}}
  - {id: washed, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: preheated
    heat:
      {with: furnace, to: 350 degC, ramp: 2 K/min, hold: 5 h, atmosphere: inert, after: continue,
       under: {gas: nitrogen, flow: 200 sccm}}
  - {id: cell, manual: {do: Assemble the cell in argon, enter: {active_mass: {unit: mg, min: 0.1}}}}
"""


@pytest.fixture(scope="module")
def standard() -> Bench:
    return bundled("standard")


def test_there_are_examples_of_everything() -> None:
    said = "\n".join(EXAMPLES)
    for word in (
        "extends:",
        "part:",
        "repeat:",
        "each:",
        "per:",
        "parallel:",
        "until:",
        "decide:",
        "when:",
        "leak_check:",
    ):
        assert word in said, word


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_is_valid(number: int, tmp_path: Path, standard: Bench) -> None:
    text = EXAMPLES[number]
    bench = bundled("small") if "protocol: short-furnace" in text else standard
    file = tmp_path / "example.yaml"
    if text.startswith("part:"):
        (tmp_path / "parts").mkdir()
        name = text.splitlines()[0].removeprefix("part: ")
        (tmp_path / "parts" / f"{name}.yaml").write_text(text)
        file.write_text(f"protocol: whole\nsteps:\n  - {{include: {name}}}\n")
    elif text.startswith("protocol:"):
        file.write_text(text)
    else:
        body = "".join(f"  {line}\n" for line in text.splitlines())
        file.write_text(AROUND + FIRST + body)
    plan, findings = check(file, {}, bench)
    assert plan is not None, [str(f) for f in findings if f.severity == "error"]
