import json

from labctl.errors import Finding
from labctl.protocol.diagnosis import nearest, render
from labctl.protocol.schema import KINDS, bench_json_schema, protocol_json_schema


def test_an_excerpt_points_at_the_column() -> None:
    finding = Finding("SCH-001", "error", "unknown key 'sped'", "p.yaml", 2, 5, "did you mean speed?")
    assert render(finding, "a: 1\nb: {sped: 5}\n") == (
        "p.yaml:2:5: error SCH-001: unknown key 'sped'\n"
        "    2 | b: {sped: 5}\n"
        "      |     ^\n"
        "  hint: did you mean speed?"
    )


def test_an_excerpt_of_a_long_line_shows_the_part_around_the_column() -> None:
    text = "x" * 300 + "HERE" + "y" * 300
    lines = render(Finding("R", "error", "m", "f", 1, 301), text).splitlines()
    assert lines[1][lines[2].index("^") :].startswith("HERE")
    assert len(lines[1]) < 120


def test_a_finding_without_a_place_is_one_line() -> None:
    assert render(Finding("R", "warning", "m"), "a: 1") == "warning R: m"
    assert render(Finding("R", "error", "m", "f", 99, 1), "a: 1") == "f:99:1: error R: m"


def test_the_nearest_name_is_offered_or_all_when_they_are_few() -> None:
    assert nearest("furnce", ["furnace", "oven"]) == "did you mean furnace?"
    assert nearest("xyz", ["furnace", "oven"]) == "valid: furnace, oven"
    assert nearest("xyz", []) is None


def test_editors_get_json_schemas_of_both_languages() -> None:
    protocol = protocol_json_schema()
    assert json.loads(json.dumps(protocol)) == protocol
    step = protocol["$defs"]["WrittenStep"]["properties"]
    assert set(KINDS) < set(step)
    assert "with" in protocol["$defs"]["WrittenHeat"]["properties"]
    assert protocol["$defs"]["WrittenStir"]["properties"]["speed"]["type"] == "string"
    assert "tube_furnace" in protocol["properties"]["roles"]["additionalProperties"]["enum"]
    assert set(bench_json_schema()["properties"]) >= {"bench", "instruments", "chambers"}
