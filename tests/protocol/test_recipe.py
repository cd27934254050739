"""Recipes: equal to the reference, refused when they do not balance, corrected to what was weighed."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from fractions import Fraction
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import UsageError, ValidationError
from labctl.model.quantity import QuantityError
from labctl.protocol.batch import Batch, batch, preparation_of, reaction_of
from labctl.protocol.chemistry import formula
from labctl.protocol.cookbook import BUNDLED, find_recipe, load_recipe, recipes
from labctl.protocol.reaction import BalanceError, balance

# Reference table: per 1.000 g of product, with H3PO4 of 85 wt% (1.685 g/mL) and VOC2O4 of 0.5 mol/L.
# name: g/mol, mmol, (carbonate, mmol, g), H3PO4 (mmol, g, mL), V2O5 g, H2C2O4.2H2O g, VOC2O4 mL, extra, mAh/g
REFERENCE = {
    "na3v2": (
        455.762, 2.1941, ("Na2CO3", 3.2912, 0.3488), (6.5824, 0.7589, 0.450), 0.3991, 0.8298, 8.777,
        None, 117.61,
    ),
    "li3v2": (
        407.612, 2.4533, ("Li2CO3", 3.6800, 0.2719), (7.3599, 0.8485, 0.504), 0.4462, 0.9278, 9.813,
        None, 131.50,
    ),
    "k3v2": (
        504.087, 1.9838, ("K2CO3", 2.9757, 0.4113), (5.9514, 0.6861, 0.407), 0.3608, 0.7503, 7.935,
        None, 106.34,
    ),
    "na4mnv": (
        482.748, 2.0715, ("Na2CO3", 4.1429, 0.4391), (6.2144, 0.7164, 0.425), 0.1884, 0.3917, 4.143,
        ("Mn-acetate", 2.0715, 0.5077), 111.04,
    ),
    "na2tiv": (
        429.697, 2.3272, ("Na2CO3", 2.3272, 0.2467), (6.9817, 0.8049, 0.478), 0.2116, 0.4401, 4.654,
        ("Ti-butoxide", 2.3272, 0.7920), 62.37,
    ),
}  # fmt: skip


def like(value: float) -> object:
    """Equal to the reference to 0.1 %."""
    return pytest.approx(value, rel=1e-3)


recipe = cache(find_recipe)


def nvp(grams: float = 1.0) -> Batch:
    return batch(recipe("na3v2"), grams)


def edited(tmp_path: Path, name: str, *edits: tuple[str, str]) -> str:
    """Load a bundled recipe after edits (each must apply), and return why it is refused."""
    text = (BUNDLED / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationError) as caught:
        load_recipe(file)
    assert caught.value.exit_code == 3
    assert all(f.line for f in caught.value.findings)
    return str(caught.value)


# -- equal to the reference ---------------------------------------------------------------------------


def test_the_five_products_are_there() -> None:
    assert set(recipes()) == set(REFERENCE)


@pytest.mark.parametrize("name", REFERENCE)
def test_every_figure_of_the_reference_is_met_to_a_tenth_of_a_percent(name: str) -> None:
    g_per_mol, mmol, alkali, acid, v2o5_g, oxalic_g, vanadyl_ml, extra, mah_per_g = REFERENCE[name]
    made = batch(recipe(name), 1.0)
    assert made.recipe.molar_mass.g_per_mol == like(g_per_mol)
    assert 1000 / made.recipe.molar_mass.g_per_mol == like(mmol)
    assert made.recipe.capacity_mah_per_g == like(mah_per_g)
    assert made.recipe.charge == 0
    for salt in (alkali, extra):
        if salt is not None:
            line = made.lines[salt[0]]
            assert (1000 * line.mol, line.mass_g) == (like(salt[1]), like(salt[2]))
    h3po4 = made.lines["H3PO4"]
    assert (1000 * h3po4.mol, h3po4.mass_g, h3po4.volume_ml) == tuple(map(like, acid))
    assert made.lines["V2O5"].mass_g == like(v2o5_g)
    assert made.lines["oxalic-acid"].mass_g == like(oxalic_g)
    assert made.lines["VOC2O4"].volume_ml == like(vanadyl_ml)


@pytest.mark.parametrize("name", REFERENCE)
def test_what_a_recipe_quotes_of_the_reference_is_the_reference(name: str) -> None:
    g_per_mol, _, alkali, acid, v2o5_g, oxalic_g, vanadyl_ml, extra, mah_per_g = REFERENCE[name]
    quoted = recipe(name).reference
    assert quoted is not None
    assert (quoted.molar_mass_g_per_mol, quoted.capacity_mah_per_g) == (g_per_mol, mah_per_g)
    grams = {alkali[0]: alkali[2], "H3PO4": acid[1], "V2O5": v2o5_g, "oxalic-acid": oxalic_g}
    if extra is not None:
        grams[extra[0]] = extra[2]
    said = quoted.amounts.items()
    assert {n: amount.value for n, amount in said if amount.unit == "g"} == grams
    assert {n: amount.value for n, amount in said if amount.unit == "mL"} == {"VOC2O4": vanadyl_ml}


def test_the_paper_s_reaction_is_the_reference_s_and_so_is_the_carbon_monoxide() -> None:
    made = nvp()
    assert {n: float(x) for n, x in made.reaction.takes.items()} == {"VOC2O4": 2, "Na2CO3": 1.5, "H3PO4": 3}
    assert {n: float(x) for n, x in made.reaction.gives.items()} == {"CO2": 4.5, "CO": 1, "H2O": 4.5}
    assert 1000 * made.off_gas_mol("CO") == like(2.1941)
    prepared = preparation_of(made.recipe, "VOC2O4")
    assert {n: float(x) for n, x in prepared.takes.items()} == {"V2O5": 0.5, "oxalic-acid": 1.5}
    assert {n: float(x) for n, x in prepared.gives.items()} == {"CO2": 1, "H2O": 4.5}


@pytest.mark.parametrize("name", REFERENCE)
def test_every_reaction_has_the_same_atoms_on_both_sides(name: str) -> None:
    of = recipe(name)
    for reaction in (reaction_of(of), preparation_of(of, "VOC2O4")):
        left: dict[str, Fraction] = defaultdict(Fraction)
        right = defaultdict(Fraction, {e: Fraction(n) for e, n in reaction.product.atoms.items()})
        for source, moles in reaction.takes.items():
            for element, n in of.reagents[source].formula.value.atoms.items():
                left[element] += n * moles
        for species, moles in reaction.gives.items():
            for element, n in formula(species).atoms.items():
                right[element] += n * moles
        assert left == right


def test_what_departs_whole_is_given_off() -> None:
    assert reaction_of(recipe("na4mnv")).gives["CH3COOH"] == 2
    assert reaction_of(recipe("na2tiv")).gives["C4H9OH"] == 4


@given(grams=st.floats(0.001, 1000))
@settings(max_examples=25)
def test_twice_the_product_takes_twice_of_everything(grams: float) -> None:
    one, two = nvp(grams), nvp(2 * grams)
    for name in one.lines:
        assert two.wanted(name) == pytest.approx(2 * one.wanted(name), rel=1e-12)


def test_what_is_less_pure_takes_more(tmp_path: Path) -> None:
    text = (BUNDLED / "na3v2.yaml").read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    bottle = "Na2CO3: {formula: [Na2CO3, paper], role: precursor, purity: [99.5 wt%, paper], lot: MKCX1234}"
    old = "Na2CO3: {formula: [Na2CO3, paper], role: precursor, purity: [100 wt%, assumed]}"
    assert old in text
    file.write_text(text.replace(old, bottle), encoding="utf-8")
    mine = batch(load_recipe(file), 1.0)
    assert mine.lines["Na2CO3"].mass_g == like(0.3488 / 0.995)
    assert mine.lines["Na2CO3"].mol == nvp().lines["Na2CO3"].mol
    assert mine.lines["Na2CO3"].reagent.lot == "MKCX1234"


# -- refused when it does not balance -----------------------------------------------------------------

SODA = "  Na2CO3: {formula: [Na2CO3, paper], role: precursor, purity: [100 wt%, assumed]}\n"
QUOTE = ("Na2CO3: 0.3488 g, ", "")


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ([(SODA, ""), QUOTE], "nothing brings the Na of Na3V2(PO4)3"),
        ([("[Na2CO3, paper]", "[K2CO3, paper]")], "nothing brings the Na of Na3V2(PO4)3"),
        ([(SODA, SODA + SODA.replace("Na2CO3:", "lye:").replace("[Na2CO3,", "[NaOH,"))],
         "the share of lye is not determined: Na is also in Na2CO3"),
        ([(SODA, SODA + SODA.replace("Na2CO3:", "potash:").replace("[Na2CO3,", "[K2CO3,"))],
         "potash brings K, which is not in Na3V2(PO4)3 and does not leave"),
        ([(SODA, ""), QUOTE, ("[H3PO4, paper]", "[Na2HPO4, paper]")], "of Na3V2(PO4)3 cannot be balanced with"),
        ([("leaving: [CO2, CO, H2O]", "leaving: [CO2, H2O]")], "of Na3V2(PO4)3 cannot be balanced with"),
        ([("leaving: [CO2, CO, H2O]", "leaving: [CO2, CO, H2O, O2]")], "the share of O2 is not determined"),
        ([("[3 per V2O5, derived]", "[2 per V2O5, derived]")], "V of VOC2O4 cannot be balanced with CO2, H2O, V2O5"),
        ([("V: 3, P: 5", "V: 4, P: 5")], "the oxidation states of Na3V2(PO4)3 add up to +2, not to zero"),
        ([("V: 3, P: 5", "P: 5")], "V needs an oxidation state"),
        ([("V: 3, P: 5", "V: 3, P: 5, S: 6")], "S has an oxidation state and is not in"),
        ([("[VOC2O4, paper]", "[VOC2.O4, paper]")], "a full stop may be a hydrate or a decimal"),
        ([("[100 wt%, assumed]", "[120 wt%, assumed]")], "a purity of 120 wt% cannot be"),
        ([("[100 wt%, assumed]", "[0 wt%, assumed]")], "a purity of 0 wt% cannot be"),
        ([("[100 wt%, assumed]", "[100 g, assumed]")], "'100 g' is a mass, a weight percent is wanted"),
        ([("[100 wt%, assumed]", "100 wt%")], "is not [VALUE, PROVENANCE]"),
        ([("[100 wt%, assumed]", "[100 wt%, rumour]")], "provenance: paper, derived, assumed, unverified"),
        ([("density: [1.685 g/mL, assumed]", "lot: A")], "a liquid needs a density"),
        ([("concentration: [0.5 mol/L, assumed], ", "")], "a solution needs a concentration"),
        ([("[0.5 mol/L, assumed]", "[0 mol/L, assumed]")], "a concentration of zero cannot be"),
        ([("[3 per V2O5, derived]", "[3 per V2O6, derived]")], "no other reagent 'V2O6' (did you mean V2O5?)"),
        ([("[3 per V2O5, derived]", "[3 per THF, derived]")], "in proportion to THF, which the elements do not fix"),
        ([("[3 per V2O5, derived]", "[3, derived]")], "3 is no proportion"),
        ([("[0.30 g per g, assumed]", "[0.30 g per mol, assumed]")], "is not for a gram of product"),
        ([(", amount: [0.30 g per g, assumed]", "")], "a template polymer needs an amount"),
        ([("made_from: [V2O5, ", "made_from: [V2O4, ")], "no other reagent 'V2O4'"),
        ([("role: chelator", "role: chelater")], "did you mean chelator?"),
        ([("purity: [100", "purety: [100")], "unknown key 'purety' (did you mean purity?)"),
        ([("tolerance: [1 %,", "tolerance: [-1 %,")], "'-1 %' is no tolerance"),
        ([("tolerance: [1 %,", "tolerance: [1 g,")], "'1 g' is a mass, a percent is wanted"),
        ([("electrons: [2,", "electrons: [0.5,")], "0.5 is not a whole number above zero"),
        ([("made_from: [V2O5, oxalic-acid]", "made_from: [V2O5, Na2CO3]")], "nothing brings the Na"),
        ([("mass: [1 g, assumed]", "mass: [0 g, assumed]")], "0 g of product cannot be weighed"),
        ([("{V2O5: 0.3991 g,", "{V205: 0.3991 g,")], "reference: no reagent 'V205'"),
        ([("{V2O5: 0.3991 g,", "{V2O5: 0.3991 mL,")], "V2O5 is a solid (give a mass in g)"),
        ([("{V2O5: 0.3991 g,", "{V2O5: 0 g,")], "'0 g' is nothing"),
        ([("{V2O5: 0.3991 g,", "{V2O5: much,")], "'much' is not a quantity"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_followed_says_why(
    tmp_path: Path, edits: list[tuple[str, str]], reason: str
) -> None:
    assert reason in edited(tmp_path, "na3v2", *edits)


NVP_TEXT = (BUNDLED / "na3v2.yaml").read_text(encoding="utf-8")
WORDS = sorted(set(re.findall(r"[^\s\[\]{},:]+", NVP_TEXT)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(WORDS),
            st.one_of(st.sampled_from([*WORDS, "", "0", "-1", "[", "{}", "1e400 g"]), st.text(max_size=4)),
        ),
        min_size=1,
        max_size=2,
    )
)
def test_any_slip_in_a_recipe_is_harmless_or_a_finding(tmp_path: Path, slips: list[tuple[str, str]]) -> None:
    text = NVP_TEXT
    for word, slip in slips:
        text = text.replace(word, slip, 1)
    file = tmp_path / "slip.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    with suppress(ValidationError):
        made = batch(load_recipe(file))
        assert all(made.to_add(name) > 0 for name in made.lines)


def test_an_unbalanced_element_is_named() -> None:
    with pytest.raises(BalanceError) as caught:
        balance(formula("NaCl"), {"Na": {"Na": Fraction(1)}}, [])
    assert caught.value.element == "Cl"


# -- corrected to what was weighed --------------------------------------------------------------------


def test_what_remains_follows_what_was_weighed() -> None:
    # By hand: 0.4031 g V2O5 / 181.878 = 2.21632 mmol, so 4.43264 mmol V.
    made = nvp().weighed("V2O5", "0.4031 g")
    assert made.scale * made.product_g == pytest.approx(2.21632e-3 * 455.762, rel=1e-5)
    assert made.to_add("oxalic-acid") == pytest.approx(3 * 2.21632e-3 * 126.064, rel=1e-5)
    assert made.to_add("Na2CO3") == pytest.approx(1.5 * 2.21632e-3 * 105.988, rel=1e-5)
    assert made.to_add("H3PO4") == pytest.approx(3 * 2.21632e-3 * 97.994 / 0.85, rel=1e-5)
    assert made.to_add("VOC2O4") == pytest.approx(4.43264 / 0.5, rel=1e-5)
    assert made.to_add("PEO-b-PS") == pytest.approx(0.30 * 1.01012, rel=1e-4)
    assert made.to_add("V2O5") == 0.0
    assert made.weighings["V2O5"].verdict == "over"
    assert made.weighings["V2O5"].deviation_pct == pytest.approx(100 * (0.4031 / 0.399064 - 1), abs=1e-3)


def test_a_later_reading_is_judged_against_the_corrected_mass() -> None:
    made = nvp().weighed("V2O5", "0.3900 g")
    assert made.weighings["V2O5"].verdict == "short"
    wanted = made.wanted("H3PO4")
    assert wanted == pytest.approx(3 * 0.3900 / 181.878 * 97.994 / 0.85, rel=1e-5)
    made = made.weighed("H3PO4", f"{wanted * 1.005:.6f} g")
    assert made.weighings["H3PO4"].verdict == "ok"
    assert made.to_add("V2O5") == 0.0


def test_what_was_weighed_before_is_topped_up_when_too_much_of_another_was_taken() -> None:
    made = nvp().weighed("Na2CO3", "0.3488 g").weighed("H3PO4", "0.8348 g")  # a tenth too much
    assert made.weighings["H3PO4"].verdict == "over"
    assert made.scale == pytest.approx(1.1, abs=1e-3)
    assert made.to_add("Na2CO3") == pytest.approx(0.1 * 0.3488, rel=1e-2)


def test_too_much_chelator_polymer_or_solvent_makes_no_more_product() -> None:
    made = nvp().weighed("oxalic-acid", "0.9 g").weighed("PEO-b-PS", "0.4 g").weighed("THF", "20 mL")
    assert made.scale == 1.0
    assert [w.verdict for w in made.weighings.values()] == ["over", "over", "over"]


def test_a_reading_at_the_edge_of_its_tolerance_is_taken() -> None:
    for factor, verdict in ((1.01, "ok"), (0.99, "ok"), (1.0101, "over"), (0.9899, "short")):
        made = nvp().weighed("PEO-b-PS", f"{0.3 * factor:.8f} g")
        assert made.weighings["PEO-b-PS"].verdict == verdict


def test_a_liquid_may_be_weighed_or_poured() -> None:
    by_mass = nvp().weighed("H3PO4", "0.7797 g")
    by_volume = nvp().weighed("H3PO4", f"{0.7797 / 1.685:.8f} mL")
    assert by_volume.scale == pytest.approx(by_mass.scale, rel=1e-6)


@settings(max_examples=20)
@given(st.tuples(*[st.floats(0.9, 1.1)] * 3))
def test_the_end_does_not_depend_on_the_order_of_weighing(factors: tuple[float, float, float]) -> None:
    start = nvp()
    readings = [
        (name, f"{start.wanted(name) * factor:.6f} g")
        for name, factor in zip(("V2O5", "Na2CO3", "H3PO4"), factors, strict=True)
    ]
    ends = []
    for order in permutations(readings):
        made = start
        for name, reading in order:
            made = made.weighed(name, reading)
        ends.append((made.scale, {name: made.to_add(name) for name in made.lines}))
    assert all(end == ends[0] for end in ends)
    assert ends[0][0] == pytest.approx(max(factors), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "reading", "error", "said"),
    [
        ("V2O6", "1 g", UsageError, "did you mean V2O5?"),
        ("V2O5", "-1 g", QuantityError, "below the lowest possible mass"),
        ("V2O5", "0 g", QuantityError, "is nothing"),
        ("V2O5", "1", QuantityError, "has no unit"),
        ("V2O5", "1 degC", QuantityError, "is a temperature, a mass is wanted"),
        ("V2O5", "1 mL", QuantityError, "V2O5 is a solid (give a mass in g)"),
        ("VOC2O4", "9 g", QuantityError, "VOC2O4 is a solution (give a volume in mL)"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(
    name: str, reading: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        nvp().weighed(name, reading)
    assert said in str(caught.value)


def test_a_reagent_is_weighed_once_by_name_or_formula() -> None:
    made = nvp().weighed("H2C2O4·2H2O", "0.83 g")
    assert made.weighings["oxalic-acid"].verdict == "ok"
    with pytest.raises(UsageError, match="given twice"):
        made.weighed("oxalic-acid", "0.01 g")
