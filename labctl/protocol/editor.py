"""JSON Schemas of the files that people write, for editors that complete and check while one types.

They are made from the models of the language, with the blocks that are gone once a protocol is put together. An editor
sees one file at a time: what a protocol extends may lack keys that its base has, and any value may be a reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.bench.schema import Bench
from labctl.protocol.blocks import WrittenRepeat
from labctl.protocol.compose import NAMED, PART_KEYS
from labctl.protocol.schema import WrittenProtocol

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
NOTHING: Schema = {"type": "null"}
REFERENCE: Schema = {"type": "string", "pattern": r"^\{.*\}$"}
NAME: Schema = {"type": "string", "pattern": f"^{NAMED.pattern}$"}
STEPS: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Entry"}}
CHANGE = "Change"
"""Ends the names of blocks as an extending protocol may write them: in part, and null where something goes."""


def protocol_json_schema() -> Schema:
    """The JSON schema of a protocol file."""
    whole = _language()
    definitions = whole.pop("$defs")
    changes = {f"{name}{CHANGE}": _in_part(block) for name, block in definitions.items()}
    properties = whole["properties"]
    properties["extends"] = NAME | {"description": "the protocol that this one changes"}
    properties["steps"] = {"type": "array"}
    merged = {n: {"anyOf": [_renamed(p), NOTHING]} for n, p in properties.items() if n != "steps"}
    return {
        "$schema": DRAFT,
        "title": "labctl protocol",
        "description": whole["description"],
        "type": "object",
        "properties": dict.fromkeys(properties, True),
        "additionalProperties": False,
        "required": ["protocol"],
        "if": {"required": ["extends"]},
        "then": {"properties": merged | {"steps": STEPS | {"items": {"$ref": f"#/$defs/Entry{CHANGE}"}}}},
        "else": {"properties": properties | {"steps": STEPS}, "required": ["steps"]},
        "$defs": definitions | changes,
    }


def part_json_schema() -> Schema:
    """The JSON schema of a part, which protocols include."""
    whole = _language()
    properties = {name: whole["properties"].get(name, {"type": "string"}) for name in PART_KEYS}
    return {
        "$schema": DRAFT,
        "title": "labctl part",
        "description": "Steps that several protocols share, with their roles and parameters.",
        "type": "object",
        "properties": properties | {"part": NAME, "steps": STEPS},
        "additionalProperties": False,
        "required": ["part", "steps"],
        "$defs": whole["$defs"],
    }


def bench_json_schema() -> Schema:
    """The JSON schema of a bench file."""
    return {"$schema": DRAFT, **Bench.model_json_schema(by_alias=True), "title": "labctl bench"}


SCHEMAS = {"protocol": protocol_json_schema, "part": part_json_schema, "bench": bench_json_schema}
"""The schema of each kind of file."""


def _language() -> Schema:
    """The language as its models have it, and what is written out before they see it."""
    whole = WrittenProtocol.model_json_schema(by_alias=True)
    repeat = WrittenRepeat.model_json_schema(by_alias=True)
    blocks: Schema = whole["$defs"]
    step = blocks["WrittenStep"]
    when = {"anyOf": [{"$ref": "#/$defs/WrittenWhen"}, {"$ref": "#/$defs/WrittenCondition"}]}
    step["properties"]["when"] = {"anyOf": [*when["anyOf"], {"type": "array", "items": when}]}
    step["properties"]["per"] = {"const": "sample", "description": "once for each of the protocol's samples"}
    for block in ("parameters", "roles"):
        whole["properties"][block] = _may_go(whole["properties"][block])
    content = blocks["WrittenContent"]
    kinds = content["properties"]["is"]
    content["properties"]["is"] = {"anyOf": [kinds, kinds["items"]]}
    blocks["WrittenContent"] = {"anyOf": [content["properties"]["mass"], content]}
    repeat["properties"] |= {"steps": STEPS, "until": {"$ref": "#/$defs/WrittenCondition"}}
    beside = {name: step["properties"][name] for name in ("id", "title", "when")}
    lanes = {"type": "object", "minProperties": 2, "additionalProperties": STEPS}
    include: Schema = {"include": NAME, "as": NAME, "before": NAME, "after": NAME}
    blocks |= {
        "WrittenRepeat": repeat,
        "Repeat": _block(beside | {"repeat": {"$ref": "#/$defs/WrittenRepeat"}}, "repeat"),
        "Parallel": _block(beside | {"parallel": lanes}, "parallel"),
        "Include": _block(include, "include"),
    }
    blocks["Entry"] = {
        "if": {"required": ["include"]},
        "then": {"$ref": "#/$defs/Include"},
        "else": {
            "if": {"required": ["repeat"]},
            "then": {"$ref": "#/$defs/Repeat"},
            "else": {
                "if": {"required": ["parallel"]},
                "then": {"$ref": "#/$defs/Parallel"},
                "else": {"$ref": "#/$defs/WrittenStep"},
            },
        },
    }
    return {key: _with_references(value) for key, value in whole.items()}


def _block(properties: Mapping[str, Any], required: str) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [required],
        "additionalProperties": False,
    }


def _with_references(node: Any) -> Any:
    """Numbers, words and truths may be written as references to parameters too; texts have no bounds of numbers."""
    if isinstance(node, list):
        return [_with_references(each) for each in node]
    if not isinstance(node, dict):
        return node
    bounds = ("gt", "ge", "lt", "le") if node.get("type") == "string" else ()
    found = {key: _with_references(value) for key, value in node.items() if key not in bounds}
    plain = found.get("type") in ("integer", "number", "boolean") or "enum" in found
    return {"anyOf": [found, REFERENCE]} if plain else found


def _renamed(node: Any) -> Any:
    """What is said of a block, said of it as it may be changed."""
    if isinstance(node, list):
        return [_renamed(each) for each in node]
    if not isinstance(node, dict):
        return node
    changed = {k: f"{v}{CHANGE}" if k == "$ref" else _renamed(v) for k, v in node.items()}
    return _may_go(changed)


def _may_go(block: Schema) -> Schema:
    """A mapping of names of which some may be null, and so go."""
    named = block.get("additionalProperties")
    return block | {"additionalProperties": {"anyOf": [named, NOTHING]}} if isinstance(named, dict) else block


def _in_part(block: Any) -> Any:
    """A block of which an extending protocol may write any part."""
    changed = _renamed(block)
    if "properties" in changed:
        changed["properties"] = {n: {"anyOf": [p, NOTHING]} for n, p in changed["properties"].items()}
        if {"id", "when"} <= changed["properties"].keys():
            moves: Schema = {"remove": {"const": True}, "before": NAME, "after": NAME}
            changed["properties"] |= moves
        if "required" in changed:
            kept = [name for name in changed["required"] if name in ("id", "include", "repeat", "parallel")]
            changed["required"] = kept
    elif "anyOf" in changed:
        changed["anyOf"] = [_in_part(each) for each in block["anyOf"]]
    return changed
