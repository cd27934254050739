"""`labctl protocols`: which protocols there are, what they say, and the beginning of a new one."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from labctl.cli.terminal import naming, print_json, print_table, say
from labctl.errors import UsageError, ValidationError
from labctl.protocol.compose import compose, is_name, whole_text
from labctl.protocol.library import bundled_folder, find_protocol, protocols
from labctl.protocol.source import read

EMPTY = """\
protocol: {name}
title: What it makes
parameters:
  hold: {{default: 1 h, min: 10 min, max: 24 h, provenance: assumed}}
roles: {{oven: oven}}
steps:
  - {{id: load, manual: {{do: Put the sample into the oven, confirm: [sample is dry], into: oven}}}}
  - {{id: heat, heat: {{with: oven, to: 80 degC, ramp: 2 K/min, hold: "{{hold}}", band: 3 K}}}}
"""
CHANGED = """\
protocol: {name}
extends: {base}
title: {title}
parameters: {{}}
steps: []
"""


def list_all(arguments: Namespace) -> int:
    """List the protocols of the folder one stands in, and those that come with labctl."""
    found = [
        {"name": name, "title": _title(file), "file": str(file), "bundled": file.parent == bundled_folder()}
        for name, file in sorted(protocols().items())
    ]
    if arguments.json:
        print_json({"protocols": found})
    else:
        rows = [
            (str(p["name"]), "bundled" if p["bundled"] else str(p["file"]), str(p["title"])) for p in found
        ]
        print_table(("name", "where", "title"), rows)
    return 0


def show(arguments: Namespace) -> int:
    """Print a protocol as it is written, or with all that it extends and includes."""
    file = find_protocol(arguments.protocol)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text") from None
    print(whole_text(read(text, str(file))) if arguments.whole else text, end="")
    return 0


def new(arguments: Namespace) -> int:
    """Write the beginning of a protocol into `protocols/` of the folder one stands in; nothing is overwritten."""
    name, base = arguments.name, arguments.base
    if not is_name(name):
        raise UsageError(f"{name!r} is not a name: small letters, digits, `-` and `_`")
    text = EMPTY.format(name=name)
    if base is not None:
        if not is_name(base):
            raise UsageError(f"{base!r} is not the name of a protocol; it is looked up by name")
        text = CHANGED.format(name=name, base=base, title=_title(find_protocol(base)))
    file = Path("protocols") / f"{name}.yaml"
    with naming(file):
        file.parent.mkdir(exist_ok=True)
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError:
            raise UsageError(f"{file} exists already; nothing was changed") from None
    print(file)
    say(f"Write down what it does, then: labctl validate {name}")
    return 0


def _title(file: Path) -> str:
    try:
        data = compose(read(file.read_bytes(), str(file))).data
    except ValidationError:
        return "(cannot be read; see labctl validate)"
    return str(data.get("title", "")) if isinstance(data, dict) else ""
