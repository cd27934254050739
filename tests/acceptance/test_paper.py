"""The published synthesis in virtual time over wire bytes: what comes out is what was published.

Carbon and capacity are those that the operator entered and the cycler measured, read back from the record. The plant is
calibrated to the paper, so agreement on the nominal plant is by construction; the perturbed plants and the point that
the paper does not have are what is tested.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest

from labctl import cli
from labctl.engine.state import empty, to_json
from labctl.runtime.record import replayed
from labctl.store import Store
from tests.acceptance.conftest import SHORTER, Runner

pytestmark = pytest.mark.acceptance

CARBON, CAPACITY = "carbon_wt_pct", "discharge_capacity_mah_per_g"
PAPER = {"700 degC": (4.2, 99.2), "800 degC": (2.7, 110.1), "900 degC": (1.9, 116.4)}
"""Carbon in wt% and first discharge at 1C in mAh/g (paper)."""


@pytest.mark.parametrize(
    ("temperature", "seed", "shorter", "carbon_within"),
    [
        ("700 degC", None, True, 0.03),
        ("800 degC", None, True, 0.03),
        ("900 degC", None, True, 0.03),
        ("800 degC", 7, False, 0.06),
        ("900 degC", 8, True, 0.06),
    ],
)
def test_carbon_and_capacity_are_the_published_ones(
    carried_out: Runner, temperature: str, seed: int | None, shorter: bool, carbon_within: float
) -> None:
    parameters = {"pyrolysis_temperature": temperature} | (SHORTER if shorter else {})
    result = carried_out(seed=seed, **parameters).result
    assert result["state"] == "COMPLETE"
    assert result["alarms"] == []
    carbon, capacity = PAPER[temperature]
    assert result["results"][CARBON] == pytest.approx(carbon, abs=carbon_within)
    assert result["results"][CAPACITY] == pytest.approx(capacity, abs=0.9)
    judged = {row["quantity"]: row for row in result["verdict"]["rows"]}
    assert judged[CARBON]["provenance"] == judged[CAPACITY]["provenance"] == "paper"
    assert judged[CARBON]["actual"] == result["results"][CARBON]


def test_a_hold_that_the_paper_has_not_burns_off_what_the_model_says(carried_out: Runner) -> None:
    result = carried_out(pyrolysis_hold="10 h", **SHORTER).result
    assert result["results"][CARBON] == pytest.approx(
        2.21, abs=0.05
    )  # derived: fitted to the three published points


def test_the_whole_paper_run_has_every_step_and_a_short_journal(carried_out: Runner) -> None:
    done = carried_out(seed=7, pyrolysis_temperature="800 degC")
    assert done.lines == []
    assert done.said.index("SIMULATED run") < done.said.index("peroxide-test done")
    assert 70 * 3600 < done.result["virtual_s"] < 85 * 3600
    assert done.result["results"]["purge_s"] == pytest.approx(35.1 * 60, rel=0.15)
    assert done.result["verdict"]["outcome"] == "pass"
    with sqlite3.connect(done.folder / "labctl.db") as database:
        ((rows,),) = database.execute("SELECT count(*) FROM journal")
        ((scans,),) = database.execute("SELECT count(*) FROM telemetry_1")
    assert rows < 2000
    assert scans > 80_000
    with Store.open(done.folder / "labctl.db") as store:
        state = replayed(store, ["vessel", "drying-oven", "tube", "cell"])
    (run,) = state.runs.values()
    assert run.end_state == run.state == "COMPLETE"
    assert to_json(state)["chambers"] == to_json(empty(state.chambers))["chambers"], (
        "everything is cold and released"
    )


@pytest.mark.parametrize("seed", [None, 7], ids=["nominal plant", "perturbed plant"])
def test_a_fault_free_run_through_its_cool_down_raises_no_trip_and_no_alarm(
    carried_out: Runner, seed: int | None
) -> None:
    done = carried_out(seed=seed, pyrolysis_temperature="800 degC", **(SHORTER if seed is None else {}))
    with sqlite3.connect(done.folder / "labctl.db") as database:
        kinds = dict(database.execute("SELECT kind, count(*) FROM journal GROUP BY kind"))
        steps = {
            name
            for (name,) in database.execute(
                "SELECT json_extract(data, '$.id') FROM journal WHERE kind = 'step_done'"
            )
        }
    assert done.result["state"] == "COMPLETE"
    assert {"pyrolyse", "cool", "unload"} <= steps
    assert (kinds.get("tripped", 0), kinds.get("alarm", 0)) == (0, 0)


def test_the_same_plan_bench_and_seed_make_the_same_journal(carried_out: Runner) -> None:
    parameters = {"pyrolysis_temperature": "900 degC"} | SHORTER
    once = carried_out(seed=8, **parameters).result
    again = carried_out(seed=8, place="elsewhere", hash_seed="4242", **parameters).result
    assert again["journal_head"] == once["journal_head"]
    assert again["virtual_s"] == once["virtual_s"]
    assert again["verdict"] == once["verdict"]
    assert os.path.dirname(again["bench"]) != os.path.dirname(once["bench"])
    assert carried_out(**parameters).result["journal_head"] != once["journal_head"]


def test_anyone_can_recompute_the_head_from_the_exported_journal(
    carried_out: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    done = carried_out(seed=7, pyrolysis_temperature="800 degC")
    assert cli.main(["runs", "export", "--journal", "--bench", str(done.folder)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    head = rows[0]["prev_hash"]
    for row in rows:
        hashed = [row[key] for key in ("stream", "seq", "mono_s", "utc_ms", "kind", "data")]
        text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        head = hashlib.sha256((head + text).encode()).hexdigest()
    assert head == done.result["journal_head"]


def test_the_audit_sees_one_changed_byte_anywhere(
    carried_out: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = carried_out(seed=7, pyrolysis_temperature="800 degC")
    assert cli.main(["audit", "verify", "--bench", str(done.folder)]) == 0
    with sqlite3.connect(done.folder / "labctl.db") as database:
        ((fact,),) = database.execute("SELECT data FROM journal WHERE kind = 'purge_proven'")
        ((state,),) = database.execute("SELECT state FROM checkpoint")
        ((value,),) = database.execute(
            "SELECT value FROM readings WHERE instrument = 'furnace' AND signal = 'temperature' AND value > 799.05"
            " AND value <> round(value) LIMIT 1"
        )
    places = {
        "journal": str(fact).encode(),
        "telemetry": struct.pack(">d", value),
        "documents": b"# The paper's sequence.",
        "checkpoint": str(state)[:40].encode(),
    }
    for place, found in places.items():
        changed = tmp_path / place
        changed.mkdir()
        shutil.copy(done.folder / "labctl.db", changed / "labctl.db")
        content = bytearray((changed / "labctl.db").read_bytes())
        content[content.index(found) + len(found) - 2] ^= 0x01
        (changed / "labctl.db").write_bytes(content)
        assert cli.main(["audit", "verify", "--bench", str(changed)]) != 0, place
        assert "Traceback" not in capsys.readouterr().err
