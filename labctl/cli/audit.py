"""`labctl audit`: is the record what was once written?"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from labctl.cli.memory import DATABASE, open_memory
from labctl.cli.samples import misfiled
from labctl.cli.terminal import print_json, say
from labctl.errors import ValidationError
from labctl.store.verify import verify as verify_file


def verify(arguments: Namespace) -> int:
    """Recompute every hash; return 0 when the record is whole and 3 when it is not."""
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
