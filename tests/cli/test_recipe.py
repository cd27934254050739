"""`labctl recipe` prints what to weigh, and takes no reading that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labctl import cli
from labctl.protocol.cookbook import BUNDLED

LINES = 60
"""One screen."""


def test_the_table_of_the_five_products_is_the_reference_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe"]) == 0
    rows = {line[:29].strip(): line[29:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["for 1 g"] == ["k3v2", "li3v2", "na2tiv", "na3v2", "na4mnv"]
    assert rows["molar mass, g/mol"] == ["504.087", "407.612", "429.697", "455.762", "482.748"]
    assert rows["V2O5, g"] == ["0.3608", "0.4462", "0.2116", "0.3991", "0.1884"]
    assert rows["H3PO4 85 wt%, mL"] == ["0.407", "0.504", "0.478", "0.450", "0.425"]
    assert rows["Li2CO3, g"] == ["0.2719"]
    assert rows["theoretical capacity, mAh/g"] == ["106.34", "131.50", "62.37", "117.61", "111.04"]
    assert rows["sum of oxidation states"] == ["0"] * 5
    off = [float(number) for number in rows["furthest from the reference"] if number != "%"]
    assert len(off) == 5
    assert max(off) < 0.1


def test_the_table_in_the_manual_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe"]) == 0
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out in page


def test_one_recipe_is_shown_with_its_reactions_tolerances_and_reference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["recipe", "na3v2"]) == 0
    said = capsys.readouterr().out
    assert "2 VOC2O4 + 1.5 Na2CO3 + 3 H3PO4 -> Na3V2(PO4)3 + 4.5 CO2 + CO + 4.5 H2O" in said
    assert "0.5 V2O5 + 1.5 H2C2O4·2H2O -> VOC2O4 + CO2 + 4.5 H2O" in said
    assert "gives off CO: 61.5 mg, 53.7 mL at 25 degC" in said
    (acid,) = (line for line in said.splitlines() if line.startswith("H3PO4"))
    for part in ("6.5824", "0.7589 g, 0.450 mL", "1 %  0.7589 g", "+0.00 %", "assumed"):
        assert part in acid
    assert max(map(len, said.splitlines()[4:])) <= 80
    assert said.count("\n") <= LINES


def test_a_product_may_be_named_by_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe", "Na4MnV(PO4)3", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["recipes"]
    assert shown["recipe"] == "na4mnv"


def test_what_was_weighed_corrects_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["recipe", "na3v2", "--mass", "2 g", "--weighed", "V2O5=0.8022 g", "--json"]
    assert cli.main(call) == 0
    (shown,) = json.loads(capsys.readouterr().out)["recipes"]
    reagents = {r["name"]: r for r in shown["reagents"]}
    # By hand: 0.8022 g / 181.878 g/mol = 4.410649 mmol of V2O5 and of product.
    assert shown["corrected_product_g"] == pytest.approx(4.410649e-3 * 455.762, rel=1e-5)
    assert reagents["Na2CO3"]["to_add"] == pytest.approx(1.5 * 4.410649e-3 * 105.988, rel=1e-5)
    assert reagents["V2O5"]["weighed"]["verdict"] == "ok"
    assert reagents["V2O5"]["to_add"] == 0
    assert reagents["Na2CO3"]["reference"]["value"] == pytest.approx(0.6976)
    assert abs(reagents["Na2CO3"]["reference"]["off_pct"]) < 0.1
    assert reagents["THF"]["reference"] is None
    assert shown["reference"]["molar_mass_g_per_mol"] == 455.762


def test_a_reading_beyond_its_tolerance_is_told_and_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe", "na3v2", "--weighed", "V2O5=0.41 g", "--weighed", "Na2CO3=0.36 g"]) == 3
    said = capsys.readouterr().out
    assert "corrected to what was weighed: 1.03203 g of product" in said  # 0.36/0.348826
    assert "over (within 1 %)" in said
    assert "nothing" in said


def test_a_recipe_of_one_s_own_hides_the_bundled_one_and_shows_its_lot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    text = (BUNDLED / "na3v2.yaml").read_text(encoding="utf-8")
    mine = text.replace("[V2O5, assumed], role: precursor,", "[V2O5, assumed], role: precursor, lot: BCBZ77,")
    (tmp_path / "recipes" / "na3v2.yaml").write_text(mine, encoding="utf-8")
    assert cli.main(["recipe", "na3v2"]) == 0
    assert "BCBZ77" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["recipe", "na3v3"], 2, "no recipe 'na3v3' (did you mean na3v2?)"),
        (["recipe", "Na3V2(PO4)4"], 2, "did you mean Na3V2(PO4)3?"),
        (["recipe", "nowhere.yaml"], 2, "no recipe file nowhere.yaml"),
        (["recipe", "na3v2", "--mass=-1 g"], 2, "below the lowest possible mass"),
        (["recipe", "na3v2", "--mass", "0 g"], 2, "is nothing to make"),
        (["recipe", "na3v2", "--mass", "1 mL"], 2, "is a volume, a mass is wanted"),
        (["recipe", "na3v2", "--mass", "1"], 2, "has no unit"),
        (["recipe", "na3v2", "--weighed", "V2O5"], 2, "is not REAGENT=MASS"),
        (["recipe", "na3v2", "--weighed", "V205=1 g"], 2, "no reagent 'V205' (did you mean V2O5?)"),
        (["recipe", "na3v2", "--weighed", "V2O5=1 mL"], 3, "V2O5 is a solid (give a mass in g)"),
        (["recipe", "na3v2", "--weighed", "V2O5=-1 g"], 3, "below the lowest possible mass"),
        (["recipe", "na3v2", "--weighed", "V2O5=one"], 3, "is not a quantity"),
        (["recipe", "--weighed", "V2O5=1 g"], 2, "--weighed needs a PRODUCT"),
    ],
)
def test_what_cannot_be_is_refused_in_one_screen(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == code
    captured = capsys.readouterr()
    assert said in " ".join(captured.err.split())
    assert captured.out == ""
    assert 0 < captured.err.count("\n") <= LINES
