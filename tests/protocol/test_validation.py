"""A person's mistakes: each becomes a finding at its place, with what to write instead."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.bench.schema import Bench
from labctl.errors import Finding, ValidationError
from labctl.protocol.validation import check, check_text, load_plan
from tests.protocol.conftest import Check, bundled


def the(found: list[Finding], rule: str) -> Finding:
    """The one finding of a rule."""
    (finding,) = [f for f in found if f.rule == rule]
    return finding


@pytest.mark.parametrize(
    ("old", "new", "rule", "inside", "said", "hint"),
    [
        ("speed: 500 rpm", "speed: 500", "QTY-001", "500", "500 has no unit", "rpm"),
        ("speed: 500 rpm", "speed: 5 h", "QTY-001", "5 h", "is a time, a speed is wanted", "rpm"),
        ("speed: 500 rpm", "speed: nan rpm", "QTY-001", "nan", "not a finite number", "rpm"),
        ("speed: 500 rpm", "sped: 500 rpm", "SCH-001", "sped", "unknown key 'sped'", "did you mean speed?"),
        ("to: 40 degC", "to: 40 C", "QTY-001", "40 C", "C is a charge rate here", "write degC"),
        ("with: oven", "with: ovne", "ROLE-001", "ovne", "there is no role 'ovne'", "did you mean oven?"),
        ("with: dryer", "with: stirrer", "ROLE-003", "stirrer", "is a hotplate_stirrer", "mean dryer?"),
        ("tube_furnace", "tube_furnase", "ROLE-002", "tube_furnase", "no capability", "mean tube_furnace?"),
        ("id: pour", "id: mix", "STEP-003", "mix", "duplicate step id 'mix'", "first at line 35"),
        ("clock: continues", "clock: stops", "SCH-003", "stops", "'stops' is not", "valid: continues"),
        ("after: hold", "after: hald", "SCH-003", "hald", "step evaporate: heat.after", "mean hold?"),
        ('"{cycles}"', '"{cycle}"', "PAR-004", '"', "{cycle} refers to no parameter", "mean cycles?"),
        ('"{cycles}"', "0", "SCH-003", "0", "greater than or equal to 1", ""),
        ("solvent_loss: at", "solvent_los: at", "SCH-001", "solvent_los", "not a quantity", "solvent_loss"),
        ("at least 99 %", "about 99 %", "SCH-003", "about", "is not a requirement", "at least"),
        ("at least 99 %", "at least 99 g", "QTY-001", "at least", "is a mass, a percent", "%"),
        ("unit: ppm", "unit: ppmm", "QTY-001", "ppmm", "unknown unit", "did you mean ppm?"),
        ("[2.3 V, 3.8 V]", "[3.8 V, 2.3 V]", "SCH-003", "[", "lower voltage comes first", "[2.3 V, 3.8 V]"),
        ("thf: 10 mL", "thfe: 10 mL", "SCH-001", "thfe", "unknown key", "did you mean thf?"),
        ("stir: {with", "stri: {with", "SCH-001", "stri", "unknown key 'stri'", "did you mean stir?"),
        (", max: 4 h", ", max: 4 K", "QTY-001", "4 K", "is a temperature difference, a time", "min"),
        ("1.0 g", "1.0", "QTY-001", "1.0", "product.mass: 1.0 has no unit", "mg"),
        ("with: cycler, rate", "rate", "SCH-002", None, "'with' is missing in step test: cycle", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_found_at_its_line_and_column(
    findings: Check, paper: str, old: str, new: str, rule: str, inside: str | None, said: str, hint: str
) -> None:
    finding = the(findings((old, new)), rule)
    start = paper.index(old) + (new.index(inside) if inside else -1)
    text = paper.replace(old, new, 1)
    assert (finding.line, finding.column) == (
        text.count("\n", 0, start) + 1,
        start - text.rfind("\n", 0, start),
    )
    assert said in finding.message
    assert hint in (finding.hint or "")
    assert (finding.file, finding.severity) == ("p.yaml", "error")


def test_several_mistakes_are_found_at_once(findings: Check) -> None:
    found = findings(
        ("speed: 500 rpm", "speed: 500"), ("after: hold", "aftr: hold"), pyrolysis_hold="20 h", nope="1"
    )
    assert {f.rule for f in found} == {"QTY-001", "SCH-001", "PAR-001", "PAR-003"}


def test_a_step_that_cannot_be_read_hides_no_role_that_nothing_plays(findings: Check) -> None:
    found = findings(("speed: 500 rpm", "speed: 500"), ("with: oven", "with: ovne"))
    assert [(f.rule, f.line) for f in found] == [("QTY-001", 35), ("ROLE-001", 39)]


def test_a_parameter_outside_its_bounds_is_refused(findings: Check) -> None:
    finding = the(findings(pyrolysis_temperature="950 degC"), "PAR-003")
    assert finding.message == "parameter 'pyrolysis_temperature' is 950 degC, and must be at most 900 degC"
    assert (finding.line, finding.column) == (13, 3)
    assert "must be at least 700 degC" in the(findings(pyrolysis_temperature="900 K"), "PAR-003").message
    assert "must be at least 1" in the(findings(cycles="0"), "PAR-003").message


def test_a_parameter_of_the_wrong_kind_is_refused(findings: Check) -> None:
    assert "is a time" in the(findings(pyrolysis_temperature="6 h"), "QTY-001").message
    assert "has no unit" in the(findings(pyrolysis_temperature="850"), "QTY-001").message
    assert the(findings(cycles="3 h"), "PAR-003").message == "parameter 'cycles': '3 h' is not a number"


def test_an_unknown_parameter_names_the_nearest(findings: Check) -> None:
    finding = the(findings(pyrolysis_temp="850 degC"), "PAR-001")
    assert finding.hint == "did you mean pyrolysis_temperature?"


def test_a_parameter_without_default_must_be_given(findings: Check) -> None:
    edit = ("stir_time: {default: 30 min, ", "stir_time: {")
    assert the(findings(edit), "PAR-002").hint == "give it: -p stir_time=..."
    assert not [f for f in findings(edit, stir_time="1 h") if f.severity == "error"]


def test_a_parameter_that_nothing_uses_is_a_warning(findings: Check) -> None:
    assert the(findings(('"{stir_time}"', "30 min")), "PAR-005").severity == "warning"


def test_what_the_paper_does_not_say_must_be_confirmed_on_a_real_bench(findings: Check, bench: Bench) -> None:
    simulated = the(findings(), "FUR-013")
    assert (simulated.severity, simulated.line) == ("info", 14)
    assert not [f for f in findings(pyrolysis_hold="6 h") if f.rule == "FUR-013"]
    real = bench.model_copy(
        update={
            "instruments": {
                n: i.model_copy(update={"address": f"tcp://10.0.0.7:{5000 + k}"})
                for k, (n, i) in enumerate(bench.instruments.items())
            }
        }
    )
    assert the(findings(on=real), "FUR-013").severity == "error"


def test_a_role_that_nothing_fills_names_the_nearest_instruments(findings: Check, bench: Bench) -> None:
    instruments = dict(bench.instruments)
    instruments["furnace"] = instruments["furnace"].model_copy(update={"provides": ("thermometer",)})
    finding = the(findings(on=bench.model_copy(update={"instruments": instruments})), "BIND-001")
    assert "nothing on bench standard offers tube_furnace" in finding.message
    assert (finding.hint or "").startswith("nearest: ")


def test_two_instruments_for_one_role_need_a_default(findings: Check, bench: Bench) -> None:
    twin = bench.instruments["hotplate"]
    two = bench.model_copy(update={"instruments": {**bench.instruments, "hotplate-2": twin}})
    assert "hotplate, hotplate-2 all offer" in the(findings(on=two), "BIND-002").message
    chosen = twin.model_copy(update={"default": True})
    one = bench.model_copy(update={"instruments": {**bench.instruments, "hotplate-2": chosen}})
    assert not [f for f in findings(on=one) if f.severity == "error"]


def test_a_name_that_is_no_protocol_names_the_nearest(bench: Bench) -> None:
    plan, (finding,) = check("3dp-nvp-cc", {}, bench)
    assert plan is None
    assert "did you mean 3dp-nvp-c?" in finding.message


def test_a_path_is_a_path_and_the_folder_one_stands_in_comes_first(
    tmp_path: Path, paper: str, bench: Bench
) -> None:
    (tmp_path / "3dp-nvp-c.yaml").write_text(paper.replace("Hierarchically", "My"))
    plan, _ = check("3dp-nvp-c", {}, bench, tmp_path)
    assert plan is not None
    assert plan.title.startswith("My")
    assert check(str(tmp_path / "3dp-nvp-c.yaml"), {}, bench)[0] == plan
    assert check("./nowhere.yaml", {}, bench)[1][0].rule == "FILE-001"


def test_loading_a_wrong_protocol_raises_every_finding(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "x.yaml").write_text("protocol: x\nsteps:\n  - {id: a, wait: {for: 5}}\n  - {id: a}\n")
    with pytest.raises(ValidationError) as caught:
        load_plan("x", {}, bench, tmp_path)
    assert [(f.rule, f.line) for f in caught.value.findings] == [("QTY-001", 3), ("STEP-002", 4)]


@pytest.mark.parametrize(
    "content", ["", "[]", "x", "{}", "steps: 3", "parameters: []", "parameters: {a: 1}\nsteps: []"]
)
def test_what_is_no_protocol_at_all_gives_findings(content: str, bench: Bench) -> None:
    plan, found = check_text(content, "p.yaml", {"a": "1"}, bench)
    assert plan is None
    assert found


MINIMAL = "protocol: p\n{block}steps:\n  - {{id: rest, wait: {{for: 1 s}}}}\n"


@pytest.mark.parametrize(
    "block",
    [
        ("parameters", "p{i}: {{default: {i} s}}"),
        ("roles", "oven{i}: oven"),
        ("contents", "Na{i}Cl: 1 g"),
    ],
    ids=lambda block: block[0],
)
def test_a_block_of_more_names_than_any_synthesis_has_is_refused_unread(
    block: tuple[str, str], bench: Bench
) -> None:
    name, line = block
    for count in (200, 201):
        written = "".join(f"  {line.format(i=i)}\n" for i in range(1, count + 1))
        _, found = check_text(MINIMAL.format(block=f"{name}:\n{written}"), "p.yaml", {}, bench)
        refused = [(f.line, f.message) for f in found if "at most" in f.message]
        assert refused == ([] if count == 200 else [(3, f"{name}: at most 200 are taken")])


def test_nearest_names_are_looked_for_in_the_first_mistakes_only(bench: Bench) -> None:
    """Thousands of needs for steps that are almost there once took seconds."""
    needs = ", ".join(f"rest{i}" for i in range(300))
    text = MINIMAL.format(block="") + f"  - {{id: last, needs: [{needs}], wait: {{for: 1 s}}}}\n"
    _, found = check_text(text, "p.yaml", {}, bench)
    missing = [f for f in found if f.rule == "STEP-006"]
    assert len(missing) == 300
    assert [f.hint for f in missing] == ["did you mean rest?"] * 100 + [None] * 200
    assert missing[7].column == text.splitlines()[-1].index("rest7") + 1


_BENCH = bundled("standard")
_WORDS = st.sampled_from(
    ["{", "}", "[", "]", ": ", ", ", "\n", "  ", "- ", "id: a", "heat: ", "with: furnace", "to: 5 K",
     "steps:", "{a}", "protocol: p", "parameters:", "roles: {furnace: tube_furnace}", "default: 1", "purge",
     "cool: {}", "under: ", "!", "&a"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.lists(_WORDS, max_size=40).map("".join)))
def test_any_content_gives_a_plan_or_findings(content: str | bytes) -> None:
    plan, found = check_text(content, "p.yaml", {}, _BENCH)
    assert (plan is None) == any(f.severity == "error" for f in found)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_protocol_gives_a_plan_or_findings(paper: str, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, len(paper)))
    width = data.draw(st.integers(0, 30))
    text = paper[:where] + data.draw(st.text(max_size=8)) + paper[where + width :]
    plan, found = check_text(text, "p.yaml", {}, _BENCH)
    assert (plan is None) == any(f.severity == "error" for f in found)
