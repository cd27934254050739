import pytest

from labctl.bench.schema import Bench
from labctl.protocol import estimates
from labctl.protocol.plan import Cool, Cycle, Gas, Heat, Manual, Plan, Purge, Unload
from labctl.protocol.validation import check, check_text


def planned(name: str, bench: Bench, **parameters: str) -> Plan:
    plan, findings = check(name, parameters, bench)
    assert plan is not None, findings
    return plan


def of(text: str, bench: Bench) -> Plan:
    plan, findings = check_text(text, "p.yaml", {}, bench)
    assert plan is not None, findings
    return plan


def test_sixty_minutes_and_one_hour_give_the_same_hash(paper: str, bench: Bench) -> None:
    same = [
        ("hold: 24 h, band: 2 K", "hold: 1440 min, band: 2 K"),
        ("default: 800 degC", "default: 1073.15 K"),
        ("default: 6 h", "default: 0.25 d"),
        ("default: 200 sccm", "default: 0.2 slm"),
        ("speed: 500 rpm", "speed: 500.0 rpm"),
        ("10 mL", "10 cm3"),
        ("rate: 1C", "rate: C/1"),
        ("title: ", "title:  "),
    ]
    text = paper.replace('"{evaporation_hold}"', "24 h").replace("  evaporation_hold: ", "  # ")
    first = of(text, bench).plan_hash
    for old, new in same:
        assert old in text
        text = text.replace(old, new, 1)
    assert of(text, bench).plan_hash == first
    assert of(text.replace("hold: 1440 min", "hold: 1441 min"), bench).plan_hash != first


def test_a_given_value_hashes_like_the_same_default(bench: Bench) -> None:
    default = planned("3dp-nvp-c", bench)
    given = planned("3dp-nvp-c", bench, pyrolysis_hold="360 min")
    assert given.plan_hash == default.plan_hash
    assert [p.name for p in given.parameters if p.given] == ["pyrolysis_hold"]
    assert [p.name for p in given.parameters if p.confirm] == ["pyrolysis_hold"]
    assert planned("3dp-nvp-c", bench, pyrolysis_hold="5 h").plan_hash != default.plan_hash


def test_the_papers_sequence_is_planned_in_its_order(bench: Bench) -> None:
    plan = planned("3dp-nvp-c", bench)
    assert [f"{s.id}:{s.kind}" for s in plan.steps] == [
        "peroxide-test:manual", "mix:stir", "pour:manual", "evaporate:heat", "weigh-dry:manual", "age:heat",
        "load-tube:manual", "purge:purge", "preheat:heat", "pyrolyse:heat", "cool:cool", "unload:unload",
        "carbon:measure", "assemble-cell:manual", "test:cycle",
    ]  # fmt: skip
    assert plan.roles == {
        "stirrer": "hotplate", "dryer": "oven", "oven": "oven", "furnace": "furnace", "nitrogen": "nitrogen",
        "cycler": "cycler",
    }  # fmt: skip
    assert plan.charge.flammable_solvent_g == pytest.approx(10 * 0.883 + 5 * 0.789)
    assert plan.simulated


def test_a_heating_step_carries_its_gas_its_crew_and_what_follows(bench: Bench) -> None:
    plan = planned("3dp-nvp-c", bench)
    heats = {s.id: s for s in plan.steps if isinstance(s, Heat)}
    assert {n: h.after for n, h in heats.items()} == {
        "evaporate": "hold", "age": "cool", "preheat": "continue", "pyrolyse": "continue",
    }  # fmt: skip
    pyrolyse = heats["pyrolyse"]
    assert pyrolyse.under == Gas(instrument="nitrogen", flow_sccm=200.0)
    assert pyrolyse.instruments == ("furnace", "nitrogen", "furnace-monitor", "oxygen")
    assert pyrolyse.chamber == "tube"
    ramp = (800 - 350) / 5 * 60
    assert pyrolyse.timeout_s > ramp + 6 * 3600 + pyrolyse.catch_up_s
    assert heats["evaporate"].checkpoints[0].at_s == 4 * 3600


def test_the_purge_follows_the_washout_law(bench: Bench) -> None:
    purge = planned("3dp-nvp-c", bench).step("purge")
    assert isinstance(purge, Purge)
    assert purge.analyser == "oxygen"
    assert purge.expected_s == pytest.approx((2290 / 500 * 7.667) * 60 + 300, rel=1e-3)
    assert purge.timeout_s == pytest.approx(2 * purge.expected_s + 300)


@pytest.mark.parametrize(
    ("volume", "flow", "ppm", "minutes"),
    [
        (2290, 200, 100, 87.8),
        (2290, 200, 10, 117),
        (295, 100, 100, 23),
        (5030, 1000, 10, 51),
        (1660, 500, 100, 25),
    ],
)
def test_the_washout_law_gives_the_tabled_minutes(
    volume: float, flow: float, ppm: float, minutes: float
) -> None:
    assert estimates.washout_s(volume, flow, ppm) / 60 == pytest.approx(minutes, rel=0.025)


def test_cooling_is_scaled_from_the_measured_curve(bench: Bench) -> None:
    tube = bench.chambers["tube"]
    assert estimates.cooling_s(tube, 22, 900, 100) == pytest.approx(tube.cooldown_s)
    assert estimates.cooling_s(tube, 22, 900, 60) / 3600 == pytest.approx(7.9, abs=0.1)
    assert estimates.cooling_s(tube, 22, 50, 60) == 0
    step = planned("3dp-nvp-c", bench, pyrolysis_temperature="900 degC").step("cool")
    assert isinstance(step, Cool)
    assert step.expected_s == pytest.approx(estimates.cooling_s(tube, 22, 900, 60))


def test_unloading_stops_the_gas_that_was_used_and_cycling_knows_what_1c_means(bench: Bench) -> None:
    plan = planned("3dp-nvp-c", bench)
    unload, cycle, load = plan.step("unload"), plan.step("test"), plan.step("load-tube")
    assert isinstance(unload, Unload)
    assert (unload.gas, unload.below_c, unload.into) == ("nitrogen", 60.0, "powder")
    assert isinstance(cycle, Cycle)
    assert (cycle.rate_c, cycle.specific_current_ma_per_g, cycle.lower_v, cycle.upper_v) == (
        1.0,
        117.0,
        2.3,
        3.8,
    )
    assert isinstance(load, Manual)
    assert load.into == "tube"


@pytest.mark.parametrize(
    ("degc", "carbon", "capacity"), [(700, 4.2, 99.2), (800, 2.7, 110.1), (900, 1.9, 116.4)]
)
def test_published_results_are_expected_at_published_temperatures(
    bench: Bench, degc: int, carbon: float, capacity: float
) -> None:
    plan = planned("3dp-nvp-c", bench, pyrolysis_temperature=f"{degc + 273.15} K")
    assert {(e.quantity, e.value, e.unit, e.provenance) for e in plan.expected} == {
        ("carbon", carbon, "wt%", "paper"),
        ("discharge_capacity", capacity, "mAh/g", "paper"),
    }


def test_between_published_temperatures_nothing_is_judged_and_that_is_said(bench: Bench) -> None:
    plan, findings = check("3dp-nvp-c", {"pyrolysis_temperature": "850 degC"}, bench)
    assert plan is not None
    assert plan.expected == ()
    assert [f.severity for f in findings if f.rule == "EXP-001"] == ["info", "info"]


def test_the_rehearsal_takes_less_than_two_hours_on_the_small_bench(small: Bench) -> None:
    plan = planned("short-furnace", small)
    warm, total = small.ambient_c, 0.0
    for step in plan.steps:
        total += estimates.duration_s(step, warm, small)
        warm = step.segments[-1].target_c if isinstance(step, Heat) else warm
    assert 1800 < total < 7200


def test_several_segments_are_one_step(small: Bench) -> None:
    text = """
protocol: two
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: heat
    heat:
      with: furnace
      segments: [{to: 200 degC, ramp: 10 K/min, hold: 5 min}, {to: 300 degC, ramp: 5 K/min, hold: 10 min}]
      atmosphere: inert
      under: {gas: nitrogen, flow: 200 sccm}
"""
    heat = of(text, small).step("heat")
    assert isinstance(heat, Heat)
    assert [(s.target_c, s.ramp_k_per_min, s.hold_s) for s in heat.segments] == [
        (200, 10, 300),
        (300, 5, 600),
    ]
    assert heat.after == "cool"
    _, findings = check_text(
        text.replace("to: 300 degC, ramp: 5", "to: 1200 degC, ramp: 500"), "p.yaml", {}, small
    )
    errors = [(f.rule, f.line, f.column) for f in findings if f.severity == "error"]
    assert ("LIM-001", 9, 68) in errors
    assert ("LIM-002", 9, 85) in errors


def test_the_plan_survives_its_own_json(bench: Bench) -> None:
    plan = planned("3dp-nvp-c", bench)
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert again.plan_hash == plan.plan_hash
