"""The protocols that come with labctl: every system of the paper, checked, with what is assumed marked so, and run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.cli import main
from labctl.forecast import forecast
from labctl.protocol.batch import batch
from labctl.protocol.chemistry import formula, molar_mass
from labctl.protocol.compose import compose
from labctl.protocol.cookbook import find_recipe
from labctl.protocol.library import bundled_folder, protocols
from labctl.protocol.plan import Heat, Plan
from labctl.protocol.source import read
from labctl.protocol.validation import check, load_plan

SYNTHESES = (
    "3dp-nvp-c", "npb-nvp", "porous-nvp-etoh-h2o", "porous-nvp-thf-etoh-h2o", "3dp-lvp", "3dp-kvp", "3dp-nmvp",
    "3dp-ntvp", "3dp-nvp-f127", "3dp-nvp-p123", "3dp-nvp-peo5000",
)  # fmt: skip
CELLS = ("gcd-1c-100", "rate-capability", "long-cycling-5c-1000")
WAITING = ("cv-scan-rates", "eis")
STATED = {
    "3dp-nvp-c": {"pyrolysis_temperature", "preheat_temperature", "preheat_hold", "evaporation_hold", "ageing_hold"},
    "npb-nvp": {"pyrolysis_temperature"},
    "porous-nvp-etoh-h2o": {"pyrolysis_temperature"},
    "porous-nvp-thf-etoh-h2o": {"pyrolysis_temperature"},
    "gcd-1c-100": {"fired_at", "cycles"},
    "long-cycling-5c-1000": {"fired_at", "cycles"},
    "rate-capability": {"fired_at"},
}  # fmt: skip
"""What the paper states; everything else of a protocol is assumed."""
ASIDE = ("stir_time", "run_flow", "purge_flow", "cycles")
"""Assumed values that nobody needs to stand for: they change no product."""
SHORT = {
    "pyrolysis_hold": "1 h",
    "preheat_hold": "1 h",
    "ageing_hold": "12 h",
    "rest": "10 min",
    "cycles": "1",
    "cycles_per_rate": "1",
}


@pytest.fixture(scope="module")
def standard() -> Bench:
    return load_bench("standard")


def planned(name: str, bench: Bench, **parameters: str) -> Plan:
    return load_plan(bundled_folder() / f"{name}.yaml", parameters, bench)[0]


def test_every_system_and_test_of_the_paper_is_there() -> None:
    assert set(protocols(Path("/nowhere"))) >= {*SYNTHESES, *CELLS}


@pytest.mark.parametrize("name", [*SYNTHESES, *CELLS])
def test_it_is_valid_and_what_the_paper_does_not_state_is_marked_and_confirmed(
    name: str, standard: Bench
) -> None:
    plan, findings = check(bundled_folder() / f"{name}.yaml", {}, standard)
    assert plan is not None, findings
    stated = {p.name for p in plan.parameters if p.provenance == "paper"}
    assert stated == STATED.get(name, set())
    unconfirmed = {p.name for p in plan.parameters if p.provenance != "paper" and not p.confirm}
    assert unconfirmed <= set(ASIDE)
    assert {f.rule for f in findings if f.severity != "info"} <= {"SAFE-005", "SAFE-008", "CEL-006"}


@pytest.mark.parametrize("name", SYNTHESES)
def test_what_goes_in_is_what_its_recipe_says(name: str, standard: Bench) -> None:
    plan = planned(name, standard)
    assert plan.product is not None
    lines = batch(find_recipe(plan.product.formula)).lines
    weighed = {str(line.reagent.formula.value): line for line in lines.values()}
    for substance in plan.contents or ():
        if "polymer" in substance.kinds:
            assert substance.mass_g == pytest.approx(0.30)
            continue
        line = weighed[substance.name]
        wanted_g = line.mol * molar_mass(formula(substance.name)).g_per_mol / substance.purity
        assert substance.mass_g == pytest.approx(wanted_g, rel=1e-3), substance.name
    assert plan.contents is not None or name == "3dp-nvp-c"


@pytest.mark.parametrize(
    ("name", "peak_c", "thf", "ethanol", "polymer"),
    [
        ("npb-nvp", 900.0, False, False, False),
        ("porous-nvp-etoh-h2o", 700.0, False, True, False),
        ("porous-nvp-thf-etoh-h2o", 700.0, True, True, False),
        ("3dp-nvp-p123", 800.0, True, True, True),
        ("3dp-kvp", 800.0, True, True, True),
    ],
)
def test_a_variant_differs_as_the_paper_says(
    name: str, peak_c: float, thf: bool, ethanol: bool, polymer: bool, standard: Bench
) -> None:
    plan = planned(name, standard)
    assert max(s.target_c for h in plan.steps if isinstance(h, Heat) for s in h.segments) == peak_c
    assert (plan.charge.thf_g > 0, plan.charge.ethanol_g > 0) == (thf, ethanol)
    assert any("polymer" in s.kinds for s in plan.contents or ()) is polymer
    assert any(step.id == "peroxide-test" for step in plan.steps) is thf


@pytest.mark.parametrize("name", [*SYNTHESES, *CELLS])
def test_it_runs_to_the_end_on_the_bundled_bench(name: str, standard: Bench) -> None:
    text = read((bundled_folder() / f"{name}.yaml").read_bytes(), str(bundled_folder() / f"{name}.yaml"))
    declared = compose(text).data["parameters"]
    plan = planned(name, standard, **{k: v for k, v in SHORT.items() if k in declared})
    assert forecast(standard, drivers(), plan).steps[-1].id == plan.steps[-1].id


def test_cells_give_what_is_published_about_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the rates from 1C on: those below take days."""
    monkeypatch.chdir(tmp_path)
    text = (bundled_folder() / "rate-capability.yaml").read_text()
    shorter = text.replace("in: [0.1C, 0.2C, 0.5C, ", "in: [").replace("rate: 0.1C", "rate: 1C")
    kept = [line for line in shorter.splitlines() if not ("step: at-0-" in line or "step: back" in line)]
    Path("rates.yaml").write_text("\n".join(kept))
    arguments = ["-p", "cycles_per_rate=1", "-p", "rest=10 min", "--simulate", "--yes", "--json"]
    assert main(["run", "rates.yaml", *arguments]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["state"] == "COMPLETE"
    rows = {row["quantity"]: row for row in done["verdict"]["rows"] if row["provenance"] == "paper"}
    assert len(rows) == 4
    assert all(row["ok"] for row in rows.values()), rows
    assert done["results"]["at-10c/discharge_capacity_mah_per_g"] == pytest.approx(96.8, abs=3.0)


@pytest.mark.parametrize("name", WAITING)
def test_what_no_instrument_can_do_yet_is_written_and_checked_and_not_planned(
    name: str, standard: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan, findings = check(bundled_folder() / f"{name}.yaml", {}, standard)
    assert plan is None
    assert [f.rule for f in findings if f.severity == "error"] == ["BIND-007"]
    assert main(["validate", name]) == 0
    assert "no bench can carry it out yet" in capsys.readouterr().err
    assert main(["plan", name]) == 3
    assert "drives no potentiostat" in capsys.readouterr().err
    wrong = (bundled_folder() / f"{name}.yaml").read_text().replace("2.3 V", "2.3 A").replace("kHz", "km")
    (tmp_path / "wrong.yaml").write_text(wrong)
    assert main(["validate", str(tmp_path / "wrong.yaml")]) == 3


def test_a_product_wants_a_recipe_or_the_word_that_there_is_none(standard: Bench, tmp_path: Path) -> None:
    text = "protocol: p\nproduct: {formula: NaFePO4, mass: 1 g}\nsteps:\n  - {id: look, manual: {do: Look}}\n"
    for changed, rule, said in (
        (text, "RCP-005", "no recipe 'NaFePO4'"),
        (text.replace("1 g", "1 g, recipe: na3v3"), "RCP-005", "did you mean na3v2?"),
        (text.replace("1 g", "1 g, recipe: na3v2"), "RCP-005", "makes Na3V2(PO4)3, not NaFePO4"),
        (text.replace("NaFePO4", "Xx2"), "RCP-005", "no recipe"),
    ):
        (tmp_path / "p.yaml").write_text(changed)
        plan, findings = check(tmp_path / "p.yaml", {}, standard)
        assert plan is None
        (finding,) = [f for f in findings if f.severity == "error"]
        assert (finding.rule, finding.line) == (rule, 2)
        assert said in finding.message
    (tmp_path / "p.yaml").write_text(text.replace("1 g", "1 g, recipe: none"))
    assert check(tmp_path / "p.yaml", {}, standard)[0] is not None
