"""`labctl samples`: the chain from the bottle to the cell, mass balance, results with their files, and the audit."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from labctl.analysis.capacity import CycleSummary
from labctl.analysis.samples import cycle_life
from labctl.bench.loader import find_bench
from labctl.cli import main
from labctl.model.samples import PROPERTIES
from tests.commandline import Labctl

HERE = Path(__file__).parent
RUN = "chain"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench folder on which a batch went from the bottle to the cell."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(("run", str(HERE / "chain.yaml"), "--simulate", "--bench", "synthesis", "--yes")) == 0
    return next((folder / "labctl-runs").iterdir())


@pytest.fixture
def bench(finished: Path, tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(finished, tmp_path / "bench"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A bench on which nothing has run."""
    (tmp_path / "new").mkdir()
    shutil.copy(find_bench("synthesis"), tmp_path / "new" / "bench.yaml")
    return tmp_path / "new"


def run_of(bench: Path) -> str:
    return bench.name if bench.name.startswith("chain") else next(iter(_runs(bench)))


def _runs(bench: Path) -> list[str]:
    from labctl.store.reader import Reader

    with Reader.open(bench / "labctl.db") as reader:
        return [run.run_id for run in reader.runs()]


def told(labctl: Labctl, bench: Path, *words: str) -> dict[str, Any]:
    code, out, err = labctl("samples", *words, "--bench", str(bench), "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def samples(labctl: Labctl, bench: Path) -> dict[str, dict[str, Any]]:
    return {s["id"]: s for s in told(labctl, bench, "list")["samples"]}


def test_a_run_leaves_every_kind_of_sample_each_made_of_the_one_before(labctl: Labctl, bench: Path) -> None:
    run, found = run_of(bench), samples(labctl, bench)
    chain = ["solution", "gel", "boat", "powder", "electrode", "cell"]
    for before, after in pairwise(chain):
        assert [p["sample"] for p in found[f"{run}/{after}"]["parents"]] == [f"{run}/{before}"]
        assert found[f"{run}/{after}"]["kind"] == after
    bottle, share = found["Na2CO3/L-77"], found[f"{run}/solution"]["parents"][0]
    assert (bottle["lot"], bottle["formula"], bottle["purity_wt_pct"]) == ("L-77", "Na2CO3", 100.0)
    assert (share["sample"], share["unit"]) == ("Na2CO3/L-77", "g")
    assert share["amount"] == pytest.approx(0.3488, abs=0.004)
    assert found[f"{run}/gel"]["mass_g"] == pytest.approx(1.77, abs=0.02)
    assert found[f"{run}/powder"]["results"][0]["quantity"] == "carbon"
    assert found[f"{run}/powder"]["left_g"] == pytest.approx(
        found[f"{run}/powder"]["mass_g"] - 1.7e-3, abs=1e-6
    )
    assert [s["at_utc_ms"] for s in found.values()] == sorted(s["at_utc_ms"] for s in found.values())


def test_one_view_shows_the_chain_from_the_bottle_to_the_life_of_the_cell(
    labctl: Labctl, bench: Path
) -> None:
    run = run_of(bench)
    code, out, _ = labctl("samples", "tree", f"{run}/gel", "--bench", str(bench))
    assert code == 0
    lines = out.splitlines()
    order = [next(i for i, line in enumerate(lines) if f"({kind}," in line) for kind in
             ("bottle", "solution", "gel", "boat", "powder", "electrode", "cell")]  # fmt: skip
    assert order == sorted(order)
    assert "lot L-77" in lines[order[0]]
    assert any("cycles 2" in line for line in lines)
    assert any("discharge capacity" in line and "mAh/g" in line for line in lines)
    depths = [node["depth"] for node in told(labctl, bench, "tree", f"{run}/cell")["tree"]]
    assert (depths[0], depths[-1]) == (0, 6)
    assert told(labctl, bench, "tree") == told(labctl, bench, "tree", f"{run}/cell")


def test_the_report_says_what_was_weighed_and_dispensed(bench: Path) -> None:
    (report,) = (bench / "reports").glob("*.html")
    text = report.read_text(encoding="utf-8")
    section = text[text.index("<h2>Weighed and dispensed</h2>") :]
    assert all(what in section for what in ("Na2CO3", "lot L-77", "5.0000 mL", "balance", "pump"))


def test_what_was_taken_is_judged_in_the_verdict(labctl: Labctl, bench: Path) -> None:
    code, out, _ = labctl("runs", "show", run_of(bench), "--bench", str(bench), "--json")
    assert code == 0
    rows = {r["quantity"]: r for r in json.loads(out.splitlines()[-1])["verdict"]["rows"]}
    weighed, poured = rows["carbonate: Na2CO3 taken"], rows["water: H2O taken"]
    assert (weighed["ok"], weighed["provenance"], weighed["unit"]) == (True, "recipe", "g")
    assert weighed["tolerance"] == pytest.approx(0.01 * weighed["planned"])
    assert (poured["ok"], poured["provenance"], poured["planned"]) == (True, "protocol", 5.0)


def test_bottles_powders_and_results_are_told_by_hand(labctl: Labctl, empty: Path) -> None:
    at = ("--bench", str(empty), "--by", "ann")
    assert labctl("samples", "add", "b/na2co3", "bottle", "--formula", "Na2CO3", "--lot", "X1", "--purity",
                  "99.5 wt%", "--mass", "500 g", *at)[0] == 0  # fmt: skip
    assert (
        labctl("samples", "add", "p1", "powder", "--of", "b/na2co3=2 g", "--label", "first try", *at)[0] == 0
    )
    assert labctl("samples", "result", "first try", "tap_density=0.93 g/cm3", *at)[0] == 0
    assert (
        labctl("samples", "result", "p1", "phase=NASICON, R-3c", "--method", "XRD, JCPDS 53-0018", *at)[0]
        == 0
    )
    found = samples(labctl, empty)
    assert (found["b/na2co3"]["purity_wt_pct"], found["b/na2co3"]["left_g"]) == (99.5, 498.0)
    assert (found["p1"]["mass_g"], found["p1"]["by"], found["p1"]["label"]) == (2.0, "ann", "first try")
    results = {r["quantity"]: (r["value"], r["unit"], r["method"]) for r in found["p1"]["results"]}
    assert results == {
        "tap_density": (0.93, "g/cm3", "tapping"),
        "phase": ("NASICON, R-3c", "", "XRD, JCPDS 53-0018"),
    }
    code, out, _ = labctl("samples", "show", "p1", "--bench", str(empty))
    assert code == 0
    assert "tap density 0.93 g/cm3  (tapping, ann)" in out


def test_a_lot_that_was_told_of_is_the_bottle_that_a_run_weighs_from(labctl: Labctl, bench: Path) -> None:
    at = ("--bench", str(bench))
    add = ("samples", "add", "bottle-7", "bottle", "--formula", "Na2CO3", "--lot", "L-77", "--mass", "100 g")
    assert labctl(*add, *at)[0] == 0
    found = samples(labctl, bench)
    assert "Na2CO3/L-77" not in found
    assert found["bottle-7"]["left_g"] == pytest.approx(100.0 - 0.3488, abs=0.005)
    assert found["bottle-7"]["children"] == [f"{run_of(bench)}/solution"]


def test_parts_cannot_be_more_than_the_whole_and_are_put_together_again(labctl: Labctl, bench: Path) -> None:
    powder, at = f"{run_of(bench)}/powder", ("--bench", str(bench))
    code, _, err = labctl("samples", "split", powder, "a=0.8 g", "b=0.7 g", *at)
    assert (code, "g left" in err) == (2, True)
    assert labctl("samples", "split", powder, "a=0.5 g", "b=0.3 g", *at)[0] == 0
    whole = samples(labctl, bench)[powder]
    assert whole["left_g"] == pytest.approx(whole["mass_g"] - 0.8 - 1.7e-3, abs=1e-6)
    code, _, err = labctl("samples", "split", powder, "c=0.3 g", *at)
    assert (code, "less than is taken" in err) == (2, True)
    assert labctl("samples", "merge", "blend", "a=0.2 g", "b", "--label", "mix", *at)[0] == 0
    blend = samples(labctl, bench)["blend"]
    assert (blend["mass_g"], blend["kind"]) == (0.5, "powder")
    assert samples(labctl, bench)["b"]["left_g"] == 0.0
    assert labctl("samples", "merge", "more", "a=0.4 g", "b", *at)[0] == 2
    kin = [node["id"] for node in told(labctl, bench, "tree", "mix")["tree"]]
    assert kin[-1] == "blend"
    assert {"Na2CO3/L-77", powder, "a", "b"} <= set(kin)


def test_the_file_of_a_result_is_kept_and_the_audit_tells_when_it_was_changed(
    labctl: Labctl, bench: Path, tmp_path: Path
) -> None:
    powder, at = f"{run_of(bench)}/powder", ("--bench", str(bench))
    (tmp_path / "bet.csv").write_text("p/p0,v\n0.1,12\n")
    add = ("samples", "result", powder, "bet_surface=51 m2/g", "--file", str(tmp_path / "bet.csv"))
    assert labctl(*add, *at)[0] == 0
    found = samples(labctl, bench)[powder]["results"][-1]
    kept = bench / found["file"]
    assert kept.read_text() == "p/p0,v\n0.1,12\n"
    assert len(found["sha256"]) == 64
    assert labctl("audit", "verify", *at)[0] == 0
    kept.write_text("p/p0,v\n0.1,99\n")
    code, _, err = labctl("audit", "verify", *at)
    assert (code, f"{found['file']} was changed" in err) == (3, True)
    kept.unlink()
    assert "is gone" in labctl("audit", "verify", *at)[2]


def test_a_vial_gets_its_label_once(labctl: Labctl, bench: Path) -> None:
    run, at = run_of(bench), ("--bench", str(bench))
    code, out, _ = labctl("samples", "label", f"{run}/powder", "--text", "NVP-800 #1", *at)
    assert code == 0
    assert out.splitlines()[:3] == ["NVP-800 #1", f"{run}/powder", "powder Na3V2(PO4)3"]
    assert told(labctl, bench, "show", "NVP-800 #1")["id"] == f"{run}/powder"
    assert labctl("samples", "label", f"{run}/gel", "--text", "NVP-800 #1", *at)[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nobody"), "no sample 'nobody'"),
        (("add", "x y", "powder"), "no name of a sample"),
        (("add", "x", "powder", "--of", "nobody"), "no sample 'nobody'"),
        (("result", "p", "tap_dens=1"), "did you mean tap_density?"),
        (("result", "p", "tap_density=1 g"), "given in g/cm3"),
        (("result", "p", "carbon=101 wt%"), "cannot be"),
        (("result", "p", "i_d_over_i_g=high"), "a number"),
        (("split", "p", "q"), "needs its mass"),
        (("split", "p", "q=0 g"), "is nothing"),
        (("merge", "q", "p"), "two samples"),
        (("add", "p", "powder"), "already"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_told(
    labctl: Labctl, empty: Path, words: tuple[str, ...], said: str
) -> None:
    assert labctl("samples", "add", "p", "powder", "--mass", "1 g", "--bench", str(empty))[0] == 0
    code, _, err = labctl("samples", *words, "--bench", str(empty))
    assert code == 2
    assert said in err
    assert list(samples(labctl, empty)) == ["p"]
    assert samples(labctl, empty)["p"]["results"] == []


def test_every_property_of_the_paper_can_be_told() -> None:
    asked = {"bet_surface", "pore_volume", "tap_density", "carbon", "i_d_over_i_g", "phase", "pore_diameter"}
    assert asked <= PROPERTIES.keys()


def test_the_life_of_a_cell_is_its_cycles_first_capacity_and_what_is_kept() -> None:
    cycles = [CycleSummary(n, 0.2, 0.2, 110.0, value, 1.0) for n, value in ((1, 100.0), (2, None), (3, 95.0))]
    assert [(r.quantity, r.value) for r in cycle_life(cycles)] == [
        ("cycles", 2.0),
        ("discharge_capacity", 100.0),
        ("capacity_retention", 95.0),
    ]
    assert cycle_life([]) == ()
