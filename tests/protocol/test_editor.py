"""The schemas that editors check with take what labctl takes, and object to what it refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from labctl.bench.loader import bundled_benches
from labctl.protocol.editor import SCHEMAS
from labctl.protocol.library import bundled_folder
from labctl.protocol.source import read

TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip
KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "properties", "additionalProperties",
    "required", "items", "anyOf", "enum", "const", "pattern", "minLength", "maxLength", "minItems", "maxItems",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minProperties", "maxProperties", "if", "then",
    "else",
}  # fmt: skip
"""Words of JSON Schema that the schemas use and `fits` understands."""


def fits(value: Any, schema: Any, root: dict[str, Any]) -> bool:
    """Whether a value is what a schema wants: as much of JSON Schema as ours use."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "if" in schema and not fits(
        value, schema["then" if fits(value, schema["if"], root) else "else"], root
    ):
        return False
    if "anyOf" in schema and not any(fits(value, each, root) for each in schema["anyOf"]):
        return False
    wanted = TYPES.get(schema.get("type", ""), object)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted not in (bool, object)):
        return False
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return False
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, list):
        items = schema.get("items", True)
        return len(value) >= schema.get("minItems", 0) and all(fits(each, items, root) for each in value)
    if isinstance(value, dict):
        named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        return (
            set(schema.get("required", ())) <= set(value)
            and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))
            and all(fits(v, named.get(k, others), root) for k, v in value.items())
        )
    return True


def objects(kind: str, text: str) -> bool:
    schema = SCHEMAS[kind]()
    return not fits(read(text, "x.yaml").data, schema, schema)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_what_comes_with_labctl_is_taken(kind: str) -> None:
    folder = bundled_folder()
    files = {
        "protocol": list(folder.glob("*.yaml")),
        "part": list((folder / "parts").glob("*.yaml")),
        "bench": list(bundled_benches().values()),
    }[kind]
    assert files
    for file in files:
        assert not objects(kind, file.read_text(encoding="utf-8")), file.name


WHOLE = """\
protocol: p
parameters: {n: {default: 2}, on: {default: true}}
roles: {stirrer: hotplate_stirrer, furnace: tube_furnace}
contents: {Na2CO3: 1 g, F127: {is: polymer}}
samples: [a]
steps:
  - {include: some-part, as: again}
  - {id: mix, when: {entered: x, above: 1 g}, stir: {with: stirrer, speed: "{n}", for: 1 min}}
  - {id: look, per: sample, when: [{met: y}, {signal: furnace.temperature, below: 60 degC}], manual: {do: Look}}
  - {id: dry, repeat: {until: {entered: x, below: 1 g}, at_most: 3, steps: [{id: w, wait: {for: 1 h}}]}}
  - {parallel: {one: [{id: a, wait: {for: 1 h}}], other: [{id: b, repeat: {times: "{n}", steps: [{include: c}]}}]}}
"""
CHANGES = """\
protocol: p
extends: q
parameters: {n: null, m: {default: 3}}
contents: {F127: null}
steps:
  - {id: heat, heat: {to: 90 degC, checkpoint: null}}
  - {id: look, after: heat, manual: {do: Look}}
  - {id: gone, remove: true}
  - {include: some-part, before: look}
"""


@pytest.mark.parametrize("text", [WHOLE, CHANGES])
def test_all_that_can_be_written_is_taken(text: str) -> None:
    assert not objects("protocol", text)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (WHOLE, "speed:", "sped:"),
        (WHOLE, "for: 1 min", "for: 1 degC"),
        (WHOLE, "for: 1 min", "for: 60"),
        (WHOLE, "hotplate_stirrer", "stirrer"),
        (WHOLE, "steps:\n", "step:\n"),
        (WHOLE, "include: some-part", "include: ../some-part"),
        (WHOLE, "as: again", "like: again"),
        (WHOLE, "at_most: 3", "at_most: often"),
        (WHOLE, "other: [{id: b", "other: [{name: b"),
        (WHOLE, "with: stirrer, ", ""),
        (WHOLE, "is: polymer", "is: poison"),
        (CHANGES, "to: 90 degC", "to: 90"),
        (CHANGES, "remove: true", "remove: soon"),
        (CHANGES, "id: gone", "named: gone"),
        (CHANGES, "extends: q", "extends: [q]"),
        ("part: a\nsteps:\n  - {id: x, wait: {for: 1 h}}\n", "part: a", "protocol: a"),
    ],
)
def test_mistakes_are_seen_while_one_types(text: str, old: str, new: str) -> None:
    kind = "part" if text.startswith("part") else "protocol"
    assert old in text
    assert not objects(kind, text)
    assert objects(kind, text.replace(old, new, 1))
