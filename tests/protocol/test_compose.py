"""A protocol made of several files: what it says as a whole, and where mistakes in it are shown."""

from pathlib import Path

import pytest

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.compose import whole_text
from labctl.protocol.plan import Heat, Manual, Plan, Wait
from labctl.protocol.source import read
from labctl.protocol.validation import check

BASE = """\
protocol: base
title: The base
parameters:
  hold: {default: 10 min, min: 1 min, max: 2 h}
roles: {oven: oven}
steps:
  - {id: load, manual: {do: Put it in}}
  - {id: dry, heat: {with: oven, to: 80 degC, hold: "{hold}", band: 3 K, checkpoint: {at: 1 min, do: Look}}}
  - {id: weigh-it, manual: {do: Weigh it}}
"""
PART = """\
part: drying
parameters:
  hold: {default: 10 min, min: 1 min, max: 2 h}
roles: {oven: oven}
steps:
  - {id: dry, heat: {with: oven, to: 80 degC, hold: "{hold}", band: 3 K, after: cool}}
"""


@pytest.fixture
def bench_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "parts" / "drying.yaml").write_text(PART)
    return tmp_path


def validated(folder: Path, text: str, bench: Bench, **parameters: str) -> tuple[Plan | None, list[Finding]]:
    (folder / "p.yaml").write_text(text)
    return check(folder / "p.yaml", parameters, bench)


def planned(folder: Path, text: str, bench: Bench, **parameters: str) -> Plan:
    plan, findings = validated(folder, text, bench, **parameters)
    assert plan is not None, findings
    return plan


def refused(folder: Path, text: str, bench: Bench) -> Finding:
    plan, findings = validated(folder, text, bench)
    assert plan is None
    (finding,) = [f for f in findings if f.severity == "error"]
    return finding


def heat(plan: Plan, name: str = "dry") -> Heat:
    step = plan.step(name)
    assert isinstance(step, Heat)
    return step


def test_a_protocol_that_extends_another_says_only_what_differs(bench_of: Path, bench: Bench) -> None:
    text = """\
protocol: mine
extends: base
parameters: {hold: {default: 20 min}}
steps:
  - {id: dry, heat: {to: 90 degC, checkpoint: null}}
  - {id: look, after: dry, manual: {do: Look at it}}
  - {id: look-again, manual: {do: Look again}}
  - {id: look-once-more, manual: {do: Look once more}}
  - {id: weigh-it, remove: true}
"""
    plan = planned(bench_of, text, bench)
    assert (plan.protocol, plan.title) == ("mine", "The base")
    assert [step.id for step in plan.steps] == ["load", "dry", "look", "look-again", "look-once-more"]
    segment = heat(plan).segments[0]
    assert (segment.target_c, segment.hold_s, heat(plan).checkpoints) == (90.0, 1200.0, ())
    assert [f.rule for f in validated(bench_of, text, bench, hold="3 h")[1]] == ["PAR-003"]


def test_another_kind_takes_the_place_of_the_old_one(bench_of: Path, bench: Bench) -> None:
    text = "protocol: mine\nextends: base\nsteps:\n  - {id: dry, manual: {do: Leave it in the sun}}\n"
    plan = planned(bench_of, text, bench)
    assert plan.step("dry").kind == "manual"


def test_steps_inside_repeats_and_branches_are_changed_too(bench_of: Path, bench: Bench) -> None:
    (bench_of / "nested.yaml").write_text("""\
protocol: nested
roles: {oven: oven}
steps:
  - repeat:
      times: 2
      steps:
        - {id: look, manual: {do: Look}}
        - {id: gone, manual: {do: Leave}}
  - parallel:
      one: [{id: heat, heat: {with: oven, to: 60 degC, hold: 1 h, band: 3 K}}]
      other: [{repeat: {times: 1, steps: [{id: deep, wait: {for: 1 h}}]}}]
""")
    text = """\
protocol: mine
extends: nested
steps:
  - {id: look, manual: {do: Look well}}
  - {id: gone, remove: true}
  - {id: heat, heat: {to: 70 degC}}
  - {id: deep, wait: {for: 2 h}}
"""
    plan = planned(bench_of, text, bench)
    assert [step.id for step in plan.steps] == ["look-1", "look-2", "heat", "deep-1"]
    look, deep = plan.step("look-2"), plan.step("deep-1")
    assert isinstance(look, Manual)
    assert isinstance(deep, Wait)
    assert (look.do, heat(plan, "heat").segments[0].target_c, deep.duration_s) == ("Look well", 70.0, 7200.0)


def test_a_part_brings_its_steps_roles_and_parameters(bench_of: Path, bench: Bench) -> None:
    text = """\
protocol: mine
parameters: {hold: {default: 30 min}}
steps:
  - {id: load, manual: {do: Put it in}}
  - {include: drying}
  - {include: drying, as: again}
"""
    plan = planned(bench_of, text, bench)
    assert [step.id for step in plan.steps] == ["load", "dry", "dry-again"]
    assert {heat(plan, name).segments[0].hold_s for name in ("dry", "dry-again")} == {1800.0}


def test_a_part_may_come_into_a_protocol_that_extends_another(bench_of: Path, bench: Bench) -> None:
    text = "protocol: mine\nextends: base\nsteps:\n  - {include: drying, as: first, before: load}\n"
    assert [s.id for s in planned(bench_of, text, bench).steps] == ["dry-first", "load", "dry", "weigh-it"]


def test_the_hash_is_that_of_the_whole_text(bench_of: Path, bench: Bench) -> None:
    text = "protocol: mine\nsteps:\n  - {include: drying}\n"
    before = planned(bench_of, text, bench)
    whole = whole_text(read(text, str(bench_of / "p.yaml")))
    assert planned(bench_of, whole, bench).plan_hash == before.plan_hash
    part = bench_of / "parts" / "drying.yaml"
    part.write_text(PART.replace("80 degC", "81 degC"))
    assert planned(bench_of, text, bench).plan_hash != before.plan_hash


def test_a_mistake_in_a_part_is_shown_in_the_part(bench_of: Path, bench: Bench) -> None:
    (bench_of / "parts" / "drying.yaml").write_text(PART.replace("80 degC", "80 degX"))
    finding = refused(bench_of, "protocol: mine\nsteps:\n  - {include: drying}\n", bench)
    assert (finding.rule, finding.file, finding.line) == ("QTY-001", str(bench_of / "parts/drying.yaml"), 6)
    assert finding.column == PART.splitlines()[5].index("80") + 1


def test_what_is_changed_is_shown_where_it_is_changed(bench_of: Path, bench: Bench) -> None:
    text = "protocol: mine\nextends: base\nsteps:\n  - {id: dry, heat: {to: 900 degC}}\n"
    plan, findings = validated(bench_of, text, bench)
    assert plan is None
    (finding,) = [f for f in findings if f.rule == "LIM-001" and "oven" in f.message][:1]
    assert (finding.file, finding.line) == (str(bench_of / "p.yaml"), 4)


@pytest.mark.parametrize(
    ("text", "rule", "line", "said"),
    [
        ("protocol: p\nextends: bsae\nsteps: []\n", "INC-001", 2, "did you mean base?"),
        ("protocol: p\nsteps:\n  - {include: driyng}\n", "INC-001", 3, "did you mean drying?"),
        ("protocol: p\nextends: ../base\n", "INC-003", 2, "without a path"),
        ("protocol: p\nextends: /etc/passwd\n", "INC-003", 2, "without a path"),
        ("protocol: p\nsteps:\n  - {include: ../parts/drying}\n", "INC-003", 3, "without a path"),
        ("protocol: p\nsteps:\n  - {include: drying.yaml}\n", "INC-003", 3, "without a path"),
        ("protocol: p\nsteps:\n  - {include: [drying]}\n", "INC-003", 3, "without a path"),
        ("protocol: p\nextends: p\n", "INC-002", 2, "p -> p"),
        ("protocol: p\nsteps:\n  - {include: drying, until: 3}\n", "SCH-001", 3, "valid: after"),
        ("protocol: p\nextends: base\nsteps:\n  - {id: dyr, heat: {to: 90 degC}}\n", "EXT-001", 4, "mean dry?"),
        ("protocol: p\nextends: base\nsteps:\n  - {id: x, after: dyr, manual: {do: Look}}\n", "EXT-001", 4, "dry?"),
        ("protocol: p\nextends: base\nsteps:\n  - {id: dry, after: load, manual: {do: X}}\n", "EXT-002", 4, "away"),
        ("protocol: p\nextends: base\nsteps:\n  - {id: dry, remove: soon}\n", "EXT-002", 4, "remove: true"),
        ("protocol: p\nextends: base\nsteps:\n  - {heat: {to: 90 degC}}\n", "SCH-002", 4, "'id' is missing"),
        ("protocol: p\nsteps:\n  - {include: drying}\n  - {include: drying}\n", "STEP-003", 6, "first at line 6"),
        ("protocol: p\nsteps:\n  - {include: drying}\n  - {include: other}\n", "INC-004", 3, "one thing"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_together_is_refused_at_its_place(
    bench_of: Path, bench: Bench, text: str, rule: str, line: int, said: str
) -> None:
    other = PART.replace("default: 10 min", "default: 15 min").replace("part: drying", "part: other")
    (bench_of / "parts" / "other.yaml").write_text(other.replace("id: dry", "id: other"))
    finding = refused(bench_of, text, bench)
    assert (finding.rule, finding.line) == (rule, line)
    assert said in f"{finding.message} {finding.hint}"


def test_parts_that_include_each_other_are_refused_with_the_way_round(bench_of: Path, bench: Bench) -> None:
    (bench_of / "parts" / "a.yaml").write_text("part: a\nsteps:\n  - {include: b}\n")
    (bench_of / "parts" / "b.yaml").write_text("part: b\nsteps:\n  - {include: a}\n")
    finding = refused(bench_of, "protocol: p\nsteps:\n  - {include: a}\n", bench)
    assert (finding.rule, finding.file, finding.line) == ("INC-002", str(bench_of / "parts" / "b.yaml"), 3)
    assert "p -> a -> b -> a" in finding.message


def test_parts_that_multiply_are_stopped(bench_of: Path, bench: Bench) -> None:
    for level in range(1, 12):
        body = f"part: n{level}\nsteps:\n" + f"  - {{include: n{level - 1}}}\n" * 8
        (bench_of / "parts" / f"n{level}.yaml").write_text(body)
    (bench_of / "parts" / "n0.yaml").write_text("part: n0\nsteps:\n  - {id: x, wait: {for: 1 s}}\n")
    assert refused(bench_of, "protocol: p\nsteps:\n  - {include: n11}\n", bench).rule == "INC-005"


def test_a_protocol_may_extend_the_bundled_one_that_it_hides(bench_of: Path, small: Bench) -> None:
    own = bench_of / "protocols"
    own.mkdir()
    text = "protocol: short-furnace\nextends: short-furnace\nparameters: {hold: {default: 2 min}}\n"
    (own / "short-furnace.yaml").write_text(text)
    plan, findings = check("short-furnace", {}, small, bench_of)
    assert plan is not None, findings
    assert heat(plan, "heat").segments[0].hold_s == 120.0
