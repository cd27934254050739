import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import Finding, ValidationError
from labctl.protocol.source import MAX_BYTES, MAX_DEPTH, read


def refused(content: str | bytes) -> Finding:
    with pytest.raises(ValidationError) as caught:
        read(content, "p.yaml")
    (finding,) = caught.value.findings
    return finding


def test_every_value_and_key_has_its_line_and_column() -> None:
    document = read("a: 1\nb:\n  - {c: x, d: [2, y]}\n", "p.yaml")
    assert document.data == {"a": 1, "b": [{"c": "x", "d": [2, "y"]}]}
    assert document.place(("b", 0, "c")) == (3, 9)
    assert document.place(("b", 0, "c"), key=True) == (3, 6)
    assert document.place(("b", 0, "d", 1)) == (3, 19)
    assert document.place(("b", 0, "missing")) == (3, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("12:30", "12:30"), ("1_000", "1_000"), ("007", "007"),
        ("0x1f", "0x1f"), (".nan", ".nan"), (".inf", ".inf"), ("2026-01-01", "2026-01-01"), ("1C", "1C"),
        ("True", "True"), ("true", True), ("false", False), ("null", None), ("~", None), ("42", 42),
        ("-1", -1), ("1.5", 1.5), ("1e3", 1000.0), ("'1.5'", "1.5"), ('"true"', "true"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_scalars_stay_what_was_written(text: str, value: object) -> None:
    found = read(f"x: {text}\n", "p.yaml").data["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"),
    [
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "YAML-002", 2, 4),
        ("a: !secret x\n", "YAML-002", 1, 4),
        ("a: &x 1\nb: 2\n", "YAML-003", 1, 4),
        ("a: 1\nb: [*x]\n", "YAML-003", 2, 5),
        ("a:\n  <<: {b: 1}\n", "YAML-004", 2, 3),
        ("a: 1\nb: 2\na: 3\n", "YAML-005", 3, 1),
        ("a: {b: 1,\n    b: 2}\n", "YAML-005", 2, 5),
        ("a: 1\nb: 1e999\n", "YAML-009", 2, 4),
        ("a: 1\n---\nb: 2\n", "YAML-010", 2, 1),
        ('a: 1\nb: "\\e[2J"\n', "YAML-011", 2, 4),
        ("a: 1\n\u202eb: 2\n", "YAML-011", 2, 1),
        ("? [a]\n: 1\n", "YAML-001", 1, 3),
        ("a: [1, 2\nb: 3\n", "YAML-001", 2, 2),
        ("a: 1\n\tb: 2\n", "YAML-001", 2, 1),
        ("a: \x00\n", "YAML-001", 1, 4),
    ],
)
def test_what_is_not_taken_is_refused_where_it_stands(text: str, rule: str, line: int, column: int) -> None:
    finding = refused(text)
    assert (finding.rule, finding.line, finding.column) == (rule, line, column)


def test_a_duplicate_key_says_where_the_first_one_is() -> None:
    assert refused("a: 1\nb: 2\na: 3\n").hint == "it stands at line 1, column 1 already"


def test_a_depth_bomb_is_refused_at_the_level_too_many() -> None:
    finding = refused("[" * 200_000)
    assert (finding.rule, finding.line, finding.column) == ("YAML-007", 1, MAX_DEPTH + 1)
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH, "p.yaml").data


def test_a_file_of_two_mebibytes_is_refused_unread() -> None:
    assert refused("a: " + "x" * 2 * MAX_BYTES).rule == "YAML-006"


def test_bytes_that_are_no_text_are_refused_where_they_stand() -> None:
    finding = refused(b"a: 1\nb: \xff\n")
    assert (finding.rule, finding.line, finding.column) == ("YAML-008", 2, 4)
    assert refused("a: \ud800").rule == "YAML-008"


def test_a_byte_order_mark_is_no_content() -> None:
    assert read(b"\xef\xbb\xbfa: 1\n", "p.yaml").data == {"a": 1}


@settings(max_examples=150)
@given(st.one_of(st.text(), st.binary(), st.text(alphabet="{}[]:,-&*!<>'\"|?# \n\tab1.~%@")))
def test_any_content_gives_a_document_or_findings(content: str | bytes) -> None:
    found: list[Finding] = []
    try:
        read(content, "p.yaml")
    except ValidationError as error:
        found = error.findings
    assert all(f.line and f.column for f in found)


@pytest.mark.parametrize(
    ("text", "place", "said", "hint"),
    [
        ("a: [1, 2\nb: 3\n", (2, 2), "a list is not closed; it begins at line 1", "`]`"),
        ("a: {x: 1\nb: 3\n", (2, 2), "a block in braces is not closed; it begins at line 1", "`}`"),
        ("a:\n\tb: 1\n", (2, 1), "nothing may begin with this character", "indent with spaces"),
        ("do: Mix: then wait\n", (1, 8), "a `: ` stands where no value may", "in quotes"),
        ("a: 'x\nb: 1\n", (3, 1), "a quote is never closed; it begins at line 1", "close it"),
        ("a:\n  - 1\n  b: 2\n", (3, 3), "this line fits none of the lists", "`- `"),
        ('a: "\\q"\n', (1, 5), "an escape that YAML does not know", "single quotes"),
        ("{a: 1}}\n", (1, 7), "something stands after the end", "bracket"),
    ],
)
def test_what_is_not_yaml_is_told_in_plain_words(
    text: str, place: tuple[int, int], said: str, hint: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        read(text, "p.yaml")
    (finding,) = refused.value.findings
    assert (finding.line, finding.column) == place
    assert said in finding.message
    assert hint in (finding.hint or "")
