"""`plan`: clock times, people, cylinders with what other runs take, money, margins; as text, JSON and a page."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.cli.attach import tell_plan
from labctl.cli.stock import remaining_l, stock_of
from labctl.engine.state import RunState, StepState, empty
from labctl.forecast import Forecast, Rehearsal, forecast
from labctl.forecast.margins import Margins
from labctl.forecast.outlook import Stock, outlook
from labctl.protocol.plan import canonical
from labctl.protocol.validation import check
from labctl.runtime.clock import VirtualClock
from labctl.runtime.record import InStore
from labctl.store import Store
from tests.commandline import Labctl

SITE = """\
working_hours: Mon-Fri 06:00-22:00
prices: {electricity: 0.30 EUR/kWh, nitrogen: 12 EUR/m3}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with the small bench of a site in `small`, and a small cylinder without a gauge."""
    (tmp_path / "small").mkdir()
    text = find_bench("small").read_text()
    small = re.sub(
        r"(nitrogen-cylinder: \{gas: N2), .*, feeds", r"\1, contents_l: 1000, full_bar: 100, feeds", text
    )
    assert small != text
    (tmp_path / "small" / "bench.yaml").write_text(small + SITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def last_json(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_a_plan_is_told_on_the_clock_of_the_wall(here: Path, labctl: Labctl) -> None:
    words = ("plan", "short-furnace", "--bench", "small", "--start", "2026-01-05 05:30")
    code, out, said = labctl(*words, "--html", "pages/plan.html")
    assert code == 0, said
    assert "Mon 5 Jan 05:30 to Mon 5 Jan 06:" in out
    assert re.search(r"^Mon 05:30  Mon 05:\d\d  purge", out, re.M)
    assert "Start the run (outside working hours)" in out
    assert re.search(r"^people +\d moments, 1 outside working hours \(Mon-Fri 06:00-22:00\)", out, re.M)
    assert re.search(r"^best start +Mon 5 Jan 06:00: everybody", out, re.M)
    assert re.search(r"of N2; of 1000 L now \d+ L = 9\d bar are left", out)
    assert re.search(r"^cost +[\d.]+ EUR \(electricity [\d.]+, gas 0\.1\d\)", out, re.M)
    assert re.search(r"^oxygen +at most .* ppm in tube above 200 degC, of 100 ppm", out, re.M)
    assert out.splitlines()[-1] == "pages/plan.html"
    page = Path("pages/plan.html").read_text()
    assert "Mon-Fri 06:00-22:00" in page
    assert '"nights":[["2026-01-05 05:30:00","2026-01-05 06:00:00"]]' in page


def test_the_same_as_json(here: Path, labctl: Labctl) -> None:
    code, out, _ = labctl(
        "plan", "short-furnace", "--bench", "small", "--finish", "2026-01-06 12:00", "--json"
    )
    assert code == 0
    planned = last_json(out)
    assert planned["end"] == "2026-01-06T12:00:00"
    begun = datetime.fromisoformat(planned["start"])
    assert (datetime(2026, 1, 6, 12) - begun).total_seconds() == planned["duration_s"]
    assert planned["latest_start"] == planned["start"]
    assert datetime.fromisoformat(planned["latest_staffed_start"]) <= begun
    (gas,) = planned["gas"]
    assert gas["left_l"] == pytest.approx(1000.0 - planned["nitrogen_l"])
    assert planned["cost"]["electricity"] == pytest.approx(0.3 * planned["energy_kwh"])
    assert planned["moments"][0]["what"] == "Start the run"
    assert planned["margins"]["oxygen"][0]["ok"]
    assert planned["lost_protections"] == {}
    heat = next(step for step in planned["steps"] if step["setpoint"] == 300.0)
    assert heat["end_c"] == pytest.approx(300.0, abs=3.0)


def test_what_the_bench_has_no_power_for_is_refused_with_what_was_known_before(
    here: Path, labctl: Labctl
) -> None:
    text = (here / "small" / "bench.yaml").read_text()
    for strong, weak in (("full_power_w: 900", "full_power_w: 120"), ("_k_per_min: 170", "_k_per_min: 8")):
        assert strong in text
        text = text.replace(strong, weak)
    (here / "small" / "bench.yaml").write_text(text)
    code, out, said = labctl("plan", "short-furnace", "--bench", "small")
    assert (code, out) == (3, "")
    assert "20 K/min; tube rises by 8 K/min at full output" in said
    assert "the forecast is HELD" in said


def test_a_time_that_is_none_is_refused(labctl: Labctl) -> None:
    for text in ("soon", "2026-13-01 09:00", "0001-01-01 00:00"):
        code, _, said = labctl("plan", "short-furnace", "--start", text)
        assert code == 2
        assert text in said


def test_a_cylinder_that_will_be_nearly_empty_is_said(here: Path, labctl: Labctl) -> None:
    assert stock_of(load_bench(here / "small"), here / "small") == Stock({"nitrogen-cylinder": 1000.0})
    text = (here / "small" / "bench.yaml").read_text()
    (here / "small" / "bench.yaml").write_text(
        text.replace("full_bar: 100", "full_bar: 100, reserve_bar: 99.5")
    )
    code, out, said = labctl("plan", "short-furnace", "--bench", "small")
    assert code == 0, out
    assert "warning GAS-009: have a full cylinder ready" in said
    assert "below the 99.5 bar to be left in it" in said


def test_a_cylinder_that_was_used_up_since_the_file_was_written_is_refused(
    here: Path, labctl: Labctl
) -> None:
    """The file tells what a cylinder held; the bench's memory, what is left of it."""
    code, out, _ = labctl("run", "short-furnace", "--simulate", "--bench", "small", "--no-report", "--json")
    assert code == 0
    shutil.copy(Path(last_json(out)["bench"]) / "labctl.db", here / "small" / "labctl.db")
    text = (here / "small" / "bench.yaml").read_text()
    (here / "small" / "bench.yaml").write_text(text.replace("contents_l: 1000", "contents_l: 20"))
    code, out, said = labctl("plan", "short-furnace", "--bench", "small")
    assert code == 3, out
    assert "error GAS-009: connect a full cylinder first: `labctl gas swap nitrogen-cylinder`" in said
    assert "nitrogen-cylinder holds 9 L" in said


def test_a_run_under_way_still_takes_what_its_steps_take_that_are_not_over() -> None:
    bench = load_bench("standard")
    plan, _ = check("3dp-nvp-c", {}, bench)
    assert plan is not None
    hours = {"preheat": 8.0, "pyrolyse": 7.5, "cool": 7.5, "purge": 0.7}
    forecast = {"steps": [{"id": i, "start_s": 0.0, "end_s": h * 3600.0} for i, h in hours.items()]}
    begun = StepState("preheat", "ramp", started_s=1000.0, phase_s=1000.0)
    run = RunState("run-1", plan.plan_hash, "RUNNING", done={"purge": {}}, active={"preheat": begun})
    after_2_h = remaining_l(plan, forecast, run, 1000.0 + 7200.0)
    assert after_2_h == {"nitrogen": pytest.approx(0.2 * 60.0 * (6.0 + 7.5 + 7.5))}


def test_a_run_in_the_memory_of_a_bench_takes_its_gas_before_the_next(here: Path) -> None:
    """Used by now, and still to be used, are what it was forecast to take."""
    bench = load_bench(here / "small")
    plan, _ = check("short-furnace", {}, bench)
    assert plan is not None
    planned = forecast(bench, drivers(), plan)
    clock = VirtualClock()
    with Store.create(
        here / "small" / "labctl.db", bench=bench.bench, bench_yaml="", simulated=True
    ) as store:
        document = store.put_document("plan", canonical(plan.model_dump(mode="json")))
        record = InStore(store, clock, empty(bench.chambers))
        with Rehearsal(bench, drivers(), plan, seed=None, record=record, clock=clock) as rehearsal:
            rehearsal.submit("run-1", {"simulated": True, "plan_document": document}, planned.to_json())
            rehearsal.controller.run(lambda: clock.now() > 900.0)
    stock = stock_of(bench, here / "small")
    used_l = 1000.0 - stock.held_l["nitrogen-cylinder"]
    assert used_l > 2.0
    (take,) = stock.takes
    assert take.run_id == "run-1"
    # the last bit flows while somebody opens the tube, and is no step's own
    assert used_l + take.litres["nitrogen"] == pytest.approx(planned.nitrogen_l, rel=0.15)
    view = outlook(bench, plan, planned, stock, start=None, finish=None, now=datetime(2026, 1, 5, 9))
    assert view.gas[0].others_l == {"run-1": take.litres["nitrogen"]}


def test_a_simulated_run_leaves_its_cylinder_as_it_used_it(here: Path, labctl: Labctl) -> None:
    code, out, _ = labctl("run", "short-furnace", "--simulate", "--bench", "small", "--no-report", "--json")
    assert code == 0
    done = last_json(out)
    bench = load_bench(here / "small")
    (left,) = stock_of(bench, Path(done["bench"])).held_l.values()
    assert left == pytest.approx(1000.0 - done["results"]["nitrogen_l"], abs=0.2)
    shutil.copy(Path(done["bench"]) / "labctl.db", here / "small" / "labctl.db")
    _, out, _ = labctl("plan", "short-furnace", "--bench", "small", "--json")
    assert last_json(out)["gas"][0]["held_l"] == pytest.approx(left)


def test_a_plan_without_heat_is_not_said_to_reach_0_degrees(capsys: pytest.CaptureFixture[str]) -> None:
    bench = load_bench("standard")
    plan, _ = check("3dp-nvp-c", {}, bench)
    assert plan is not None
    cold = Forecast(3600.0, (), 0.0, 0.0, (), {}, {}, Margins((), ()))
    tell_plan(plan, cold, Path("lab"))
    assert "on bench lab: 1 h, without heat" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("hotter", "said"),
    [
        ("40 degC", "drying-oven at 40 degC, with other runs that want it so"),
        ("60 degC", "drying-oven, but not with this: it is heated to several temperatures, or cooled, there"),
    ],
)
def test_a_plan_says_whether_other_runs_may_share_its_oven(
    here: Path, labctl: Labctl, hotter: str, said: str
) -> None:
    heats = "".join(
        f"  - {{id: dry-{n}, heat: {{with: oven, to: {to}, hold: 5 min, band: 5 K, atmosphere: air, after: hold}}}}\n"
        for n, to in enumerate(("40 degC", hotter))
    )
    Path("dry.yaml").write_text(f"protocol: dry\nroles: {{oven: oven}}\nsteps:\n{heats}")
    code, out, err = labctl("plan", "dry.yaml", "--bench", "synthesis")
    assert code == 0, err
    assert re.search(rf"^shared +{re.escape(said)}$", out, re.M)
    assert "shared" not in labctl("plan", "dry.yaml", "--bench", "small")[1]
