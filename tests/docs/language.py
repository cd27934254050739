"""The page on the protocol language: its tables are made from the models and from the files of the library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from labctl.protocol.compose import compose
from labctl.protocol.editor import protocol_json_schema
from labctl.protocol.library import bundled_folder
from labctl.protocol.schema import AWAITED, KINDS
from labctl.protocol.source import read
from tests.docs.markdown import table

PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"
BLOCKS = {
    "a protocol": "", "a parameter": "WrittenParameter", "product": "WrittenProduct", "charge": "WrittenCharge",
    "a content": "WrittenContent", "expected": "WrittenExpected", "every step": "WrittenStep",
    "a segment of `heat`": "WrittenSegment", "`checkpoint`": "WrittenCheckpoint", "`under`": "Under",
    "`enter`": "WrittenEntry", "`repeat`": "WrittenRepeat", "a condition": "WrittenCondition", "`when`": "WrittenWhen",
}  # fmt: skip
"""What the keys are told of, besides those of the step kinds, and the models that have them."""


def page() -> str:
    """The page with its made parts renewed."""
    text = PAGE.read_text(encoding="utf-8")
    for name, make in (("kinds", kinds), ("keys", keys), ("library", library)):
        begin = re.search(f"<!-- {name}: made from the (code|files) by `make docs` -->", text)
        assert begin is not None, name
        after = text.index(f"<!-- /{name} -->")
        text = f"{text[: begin.end()]}\n\n{make()}\n\n{text[after:]}"
    return text


def kinds() -> str:
    """The step kinds with what they do."""
    definitions = protocol_json_schema()["$defs"]
    rows = [(f"`{kind}`", _said(definitions[_model(kind)])) for kind in (*KINDS, *AWAITED)]
    awaited = " and ".join(f"`{kind}`" for kind in AWAITED)
    return (
        f"{table(('kind', 'what it does'), rows)}\n\n"
        f"{awaited} are read and checked; nothing carries them out yet."
    )


def keys() -> str:
    """Every block with its keys: which are needed, and what they hold."""
    schema = protocol_json_schema()
    blocks = {f"`{kind}`": _model(kind) for kind in (*KINDS, *AWAITED)}
    whole = {"properties": schema["else"]["properties"], "required": ["protocol", "steps"]}
    parts = []
    for title, name in (BLOCKS | blocks).items():
        block = schema["$defs"][name] if name else whole
        block = next((b for b in block.get("anyOf", ()) if "properties" in b), block)
        shown = [
            (f"**{key}**" if key in block.get("required", ()) else key, _holds(value), _default(value))
            for key, value in block["properties"].items()
            if key not in (*KINDS, *AWAITED)
        ]
        parts.append(f"**{title}**\n\n{table(('key', 'holds', 'without it'), shown)}")
    return "\n\n".join(parts)


def library() -> str:
    """The protocols that come with labctl."""
    rows = []
    for file in sorted(bundled_folder().glob("*.yaml")):
        document = read(file.read_bytes(), str(file))
        base = document.data.get("extends")
        link = f"[`{file.stem}`](../protocols/{file.name})"
        rows.append((link, str(compose(document).data["title"]), f"`{base}`" if base else ""))
    return table(("protocol", "what it is", "extends"), rows)


def _model(kind: str) -> str:
    return "Written" + "".join(word.capitalize() for word in kind.split("_"))


def _said(block: dict[str, Any]) -> str:
    return " ".join(str(block.get("description", "")).split())


def _holds(value: dict[str, Any]) -> str:
    """What a key holds, in words."""
    found = [_one(each) for each in value.get("anyOf", [value])]
    return " or ".join(dict.fromkeys(word for word in found if word))


def _one(value: dict[str, Any]) -> str:
    if "anyOf" in value:
        return _holds(value)
    if "$ref" in value or "allOf" in value:
        return "a block"
    if "enum" in value and len(value["enum"]) <= 8:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "with its unit" in value.get("description", ""):
        return str(value["description"]).partition(",")[0].replace("_", " ")
    match value.get("type"):
        case "array":
            return f"[{_holds(value.get('items', {})) or 'values'}, ...]"
        case "object":
            return "`{name: ...}`" if value.get("additionalProperties") else "a block"
        case "integer" | "number":
            return "a number"
        case "boolean":
            return "`true` or `false`"
        case "string" if str(value.get("pattern", "")).startswith("^\\{"):
            return ""
        case "string":
            return "text"
    return ""


def _default(value: dict[str, Any]) -> str:
    inner = value.get("anyOf", [{}])[0]
    default = value.get("default", inner.get("default"))
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    described = value.get("description") or inner.get("description", "")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    _, _, example = described.partition("e.g. 5 ")
    return f"`{default:g} {example}`" if example else f"`{default}`"
