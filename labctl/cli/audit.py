"""`labctl audit`: is the record what was once written?"""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from labctl.cli.memory import DATABASE, open_memory
from labctl.cli.terminal import print_json, say
from labctl.errors import ValidationError
from labctl.model.events import Event
from labctl.model.samples import FOUND
from labctl.store.verify import verify as verify_file


def verify(arguments: Namespace) -> int:
    """Recompute every hash, of files kept with the record too; return 0 when all is whole and 3 when it is not."""
    open_memory(arguments.bench).close()
    found = verify_file(arguments.bench / DATABASE)
    if found.ok and (problems := misfiled(arguments.bench)):
        found = replace(found, ok=False, problems=problems)
    if arguments.json:
        heads = {stream: {"seq": seq, "hash": own} for stream, (seq, own) in found.heads.items()}
        print_json({"ok": found.ok, "problems": found.problems, "counts": found.counts, "heads": heads})
    else:
        for problem in found.problems:
            say(f"DAMAGED: {problem}")
        for stream, (seq, own) in found.heads.items():
            print(f"{stream} {seq} {own}")
        checked = ", ".join(f"{number} {name}" for name, number in found.counts.items())
        say(f"{'The record is whole' if found.ok else 'The record is not whole'}: checked {checked}.")
    return 0 if found.ok else ValidationError.exit_code


def misfiled(folder: Path) -> list[str]:
    """Files that are gone, or are not what the journal has the digest of."""
    with open_memory(folder) as reader:
        told = [one for event in reader.every_event() for one in _kept(event)]
    problems = []
    for file, sha256, about in told:
        path = folder / file
        if not path.is_file():
            problems.append(f"{file} is gone, {about}")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            problems.append(f"{file} was changed, {about}")
    return problems


def _kept(event: Event) -> Iterator[tuple[str, str, str]]:
    """Each file that an event brought: its path in the bench folder, its digest, and what it is of."""
    data = event.data
    if event.kind == FOUND and data.get("sha256"):
        yield data["file"], data["sha256"], f"a result of {data['quantity']}"
    if event.kind == "answered":
        for brought in data.get("files", ()):
            if brought.get("sha256"):
                yield brought["file"], brought["sha256"], f"{brought['name']} of {data['prompt']}"
