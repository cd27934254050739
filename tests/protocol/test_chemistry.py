"""Formulae are counted atom by atom, or refused with a reason."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.protocol.chemistry import FormulaError, atomic_weights, formula, molar_mass

Written = tuple[str, Counter[str]]

ELEMENTS = st.sampled_from(sorted(atomic_weights()))
COUNTS = st.integers(1, 12)


def _times(n: int) -> str:
    return str(n) if n > 1 else ""


def _scaled(atoms: Counter[str], n: int) -> Counter[str]:
    return Counter({element: count * n for element, count in atoms.items()})


atom: st.SearchStrategy[Written] = st.builds(
    lambda e, n: (f"{e}{_times(n)}", Counter({e: n})), ELEMENTS, COUNTS
)


def _joined(parts: list[Written]) -> Written:
    return "".join(text for text, _ in parts), sum((atoms for _, atoms in parts), Counter())


def _grouped(inner: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    def group(parts: list[Written], n: int, brackets: str) -> Written:
        text, atoms = _joined(parts)
        return f"{brackets[0]}{text}{brackets[1]}{_times(n)}", _scaled(atoms, n)

    return st.builds(group, st.lists(inner, min_size=1, max_size=3), COUNTS, st.sampled_from(["()", "[]"]))


salts = st.lists(st.recursive(atom, _grouped, max_leaves=5), min_size=1, max_size=4).map(_joined)


@st.composite
def formulae(draw: st.DrawFn) -> Written:
    """A salt, or one with water or another salt behind a dot."""
    text, atoms = draw(salts)
    if draw(st.booleans()):
        (other, more), n, dot = draw(salts), draw(COUNTS), draw(st.sampled_from("·*"))
        return f"{text}{dot}{_times(n)}{other}", atoms + _scaled(more, n)
    return text, atoms


@settings(max_examples=40)
@given(formulae())
def test_every_atom_of_a_formula_is_counted(written: Written) -> None:
    text, atoms = written
    if len(text) <= 200:
        assert dict(formula(text).atoms) == dict(atoms)


@settings(max_examples=40)
@given(formulae())
def test_a_formula_in_hills_order_is_the_same_formula(written: Written) -> None:
    if len(written[0]) <= 200:
        once = formula(written[0])
        again = formula(once.hill)
        assert again == once
        assert again.hill == once.hill
        assert molar_mass(again) == molar_mass(once)


@settings(max_examples=100)
@given(st.one_of(st.text(max_size=30), st.text("NaVPOH()[]0123456789·*. ₂", max_size=250)))
def test_any_text_is_a_formula_or_is_refused_as_none(text: str) -> None:
    with suppress(FormulaError):
        assert molar_mass(formula(text)).g_per_mol > 0


@pytest.mark.parametrize(
    ("text", "hill"),
    [
        ("Na3V2(PO4)3", "Na3O12P3V2"),
        (" Na₃V₂(PO₄)₃ ", "Na3O12P3V2"),
        ("H2C2O4·2H2O", "C2H6O6"),
        ("H2C2O4*2H2O", "C2H6O6"),
        ("Mn(CH3COO)2·4H2O", "C4H14MnO8"),
        ("K4[Fe(CN)6]", "C6FeK4N6"),
        ("Ti(O(CH2)3CH3)4", "C16H36O4Ti"),
        ("CO", "CO"),
        ("Co", "Co"),
    ],
)
def test_a_formula_is_read_as_chemists_write_it(text: str, hill: str) -> None:
    assert formula(text).hill == hill


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a formula is wanted"),
        ("CuSO4.5H2O", "a full stop may be a hydrate or a decimal"),
        ("Na2.9V2(PO4)3", "a full stop may be a hydrate or a decimal"),
        ("na3v2(po4)3", "begins with a capital letter"),
        ("Na3V2(PO4", "( is never closed"),
        ("Na3V2PO4)3", ") closes nothing"),
        ("K4[Fe(CN]6)", "] closes nothing"),
        ("V()2", "nothing stands in the brackets"),
        ("H2C2O4·", "nothing stands beside the dot"),
        ("Nq3", "Nq is no element with a standard atomic weight (did you mean N"),
        ("H0", "0 is no count of atoms"),
        ("H02", "02 is no count of atoms"),
        ("H99999999", "is no count of atoms"),
        ("(H9999)9999", "more than 1,000,000 atoms"),
        ("Na+", "'+' has no place in a formula"),
        ("C" * 201, "too long"),
    ],
)
def test_what_is_no_formula_is_refused_by_its_reason(text: str, reason: str) -> None:
    with pytest.raises(FormulaError) as caught:
        formula(text)
    assert reason in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "g_per_mol"),
    [
        ("H3PO4", 97.994), ("V2O5", 181.878), ("H2C2O4·2H2O", 126.064), ("VOC2O4", 154.959),
        ("Na2CO3", 105.988), ("Li2CO3", 73.888), ("K2CO3", 138.205), ("Mn(CH3COO)2·4H2O", 245.086),
        ("MnCO3", 114.946), ("Ti(OC4H9)4", 340.327), ("Ti(OCH(CH3)2)4", 284.219),
    ],
)  # fmt: skip
def test_molar_masses_are_those_of_the_reference(text: str, g_per_mol: float) -> None:
    assert molar_mass(formula(text)).g_per_mol == pytest.approx(g_per_mol, abs=0.001)


def test_the_uncertainty_of_a_molar_mass_is_that_of_rectangles_in_quadrature() -> None:
    # LiH: 6.94 +- 0.06 and 1.0080 +- 0.0002; 0.06/sqrt(3) = 0.034641, 0.0002/sqrt(3) = 0.000115.
    assert molar_mass(formula("LiH")).u_g_per_mol == pytest.approx(0.0346412, abs=1e-6)
    assert molar_mass(formula("Li2")).u_g_per_mol == pytest.approx(0.0692820, abs=1e-6)


def test_every_atomic_weight_is_known_better_than_one_percent_and_stands_once() -> None:
    weights = atomic_weights()
    assert len(weights) == 84
    assert all(0 < uncertainty < 0.01 * value for value, uncertainty in weights.values())
    assert isclose(weights["V"][0], 50.9415)
