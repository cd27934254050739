"""What is in a batch, by declaration and by what its steps take."""

from __future__ import annotations

import pytest

from labctl.protocol.contents import kinds_of
from labctl.protocol.validation import check_text
from tests.protocol.conftest import bundled

WEIGHED = """\
protocol: weighed
roles: {scales: balance}
product: {formula: Na3V2(PO4)3, mass: 1 g, recipe: none}
steps:
  - {id: salt, weigh: {with: scales, reagent: NaNO3, mass: 0.5 g}}
  - {id: polymer, weigh: {with: scales, reagent: F127, mass: 0.3 g}}
"""


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Na2CO3", {"carbonate", "alkali"}),
        ("NaNO3", {"oxidiser", "alkali"}),
        ("LiClO4", {"oxidiser", "alkali"}),
        ("Na2O2", {"oxidiser", "alkali"}),
        ("H2C2O4·2H2O", {"oxalate", "organic", "acid"}),
        ("VOC2O4", {"oxalate", "organic"}),
        ("NH4H2PO4", {"ammonium"}),
        ("V2O5", {"vanadium pentoxide"}),
        ("Ti(OC4H9)4", {"alkoxide", "organic"}),
        ("PEO117-b-PS190", {"polymer", "organic"}),
        ("Al2O3", set()),
    ],
)
def test_what_a_substance_is_follows_from_its_formula_or_usual_name(name: str, kinds: set[str]) -> None:
    assert set(kinds_of(name) or ()) == kinds


@pytest.mark.parametrize("name", ["vanadyl stuff", "", "x", "NaNO33x", "../Na2CO3"])
def test_a_name_that_says_nothing_is_known_to_say_nothing(name: str) -> None:
    assert kinds_of(name) is None


def test_what_steps_weigh_is_in_the_batch_without_being_declared() -> None:
    plan, findings = check_text(WEIGHED, "p.yaml", {}, bundled("synthesis"))
    assert plan is None
    assert [(f.rule, f.line) for f in findings if f.severity == "error"] == [("MIX-005", 5)]
