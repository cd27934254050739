"""`labctl schema`: what may stand in a file, for editors that complete and check while one types."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from labctl.cli.terminal import naming, say
from labctl.errors import UsageError
from labctl.protocol.editor import SCHEMAS

FOLDER = Path(".labctl")
SETTINGS = Path(".vscode") / "settings.json"
FILES = {"protocol": "protocols/*.yaml", "part": "protocols/parts/*.yaml", "bench": "bench.yaml"}
"""Which files each schema is for, in the folder of a bench."""


def main(arguments: Namespace) -> int:
    """Print a JSON Schema or write it to a file; or write all of them where editors find them."""
    if arguments.write:
        if arguments.what or arguments.output:
            raise UsageError("--write writes every schema into .labctl/ here; say nothing else with it")
        return _write()
    if arguments.what is None:
        raise UsageError(f"say of which file: {', '.join(SCHEMAS)}; or --write for all of them")
    text = _text(arguments.what)
    if arguments.output is None:
        print(text, end="")
    else:
        with naming(arguments.output):
            arguments.output.write_text(text, encoding="utf-8")
        print(arguments.output)
    return 0


def modeline(what: str, folder: str = "") -> str:
    """The line at the head of a file by which yaml-language-server finds its schema."""
    return f"# yaml-language-server: $schema={folder}{_file(what).as_posix()}"


def _write() -> int:
    """Schemas into `.labctl/`, and the settings of VS Code pointed at them; what else is set there stays."""
    settings = _settings()
    for what in SCHEMAS:
        with naming(_file(what)):
            FOLDER.mkdir(exist_ok=True)
            _file(what).write_text(_text(what), encoding="utf-8")
        print(_file(what))
    wanted = {f"./{_file(what).as_posix()}": pattern for what, pattern in FILES.items()}
    with naming(SETTINGS):
        SETTINGS.parent.mkdir(exist_ok=True)
        merged = settings | {"yaml.schemas": {**settings.get("yaml.schemas", {}), **wanted}}
        SETTINGS.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")
    print(SETTINGS)
    say(f"In other editors, at the head of a protocol: {modeline('protocol', '../')}")
    return 0


def _settings() -> dict[str, Any]:
    """The settings that are there. Raises UsageError where they cannot be read as plain JSON."""
    if not SETTINGS.exists():
        return {}
    try:
        found = json.loads(SETTINGS.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("yaml.schemas", {}), dict):
        raise UsageError(
            f"{SETTINGS} is not plain JSON, and stays as it is; point `yaml.schemas` at {FOLDER}/"
        )
    return found


def _file(what: str) -> Path:
    return FOLDER / f"{what}.schema.json"


def _text(what: str) -> str:
    return json.dumps(SCHEMAS[what](), indent=2, ensure_ascii=False) + "\n"
