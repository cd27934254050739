"""`labctl protocols`: which protocols there are, and what they say."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from labctl.cli.terminal import print_json, print_table
from labctl.errors import UsageError, ValidationError
from labctl.protocol.library import bundled_folder, find_protocol, protocols
from labctl.protocol.source import read


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
    """Print a protocol as it is written."""
    file = find_protocol(arguments.protocol)
    try:
        print(file.read_text(encoding="utf-8"), end="")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text") from None
    return 0


def _title(file: Path) -> str:
    try:
        data = read(file.read_bytes(), str(file)).data
    except ValidationError:
        return "(cannot be read; see labctl validate)"
    return str(data.get("title", "")) if isinstance(data, dict) else ""
