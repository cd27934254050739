"""A file that a person brings to a manual step is kept with the bench, and the audit reads it again."""

from __future__ import annotations

import json
from pathlib import Path

from labctl.store.reader import Reader
from tests.cli.test_steering import eventually
from tests.cli.test_steering_served import process
from tests.commandline import Labctl
from tests.runtime.live import live_bench

PHOTOGRAPHED = """\
protocol: photographed
title: Look at the boat
steps:
  - {id: look, manual: {do: Photograph the boat, attach: [photo]}}
"""


def test_a_changed_photo_of_a_manual_step_is_found_by_the_audit(tmp_path: Path, labctl: Labctl) -> None:
    (tmp_path / "photographed.yaml").write_text(PHOTOGRAPHED)
    (photo := tmp_path / "boat.png").write_bytes(b"a boat of alumina")
    with live_bench(tmp_path / "small") as bench:
        at = ("--bench", str(bench.folder))

        def waits() -> bool:
            code, out, _ = labctl("status", "--json", *at)
            return code == 0 and any(run["prompts"] for run in json.loads(out.splitlines()[-1])["runs"])

        words = ("run", str(tmp_path / "photographed.yaml"), *at, "--yes", "--no-report", "--attended", "ada")
        with process(*words) as terminal:
            assert eventually(waits)
            assert labctl("manual", "look", *at)[0] == 8
            assert labctl("manual", "look", "--attach", f"photo={photo}", *at)[0] == 0
            _, said = terminal.communicate(timeout=60)
            assert terminal.returncode == 0, said
        with Reader.open(bench.folder / "labctl.db") as reader:
            (answer,) = [e.data for e in reader.every_event() if e.kind == "answered"]
        (brought,) = answer["files"]
        kept = bench.folder / brought["file"]
        assert labctl("audit", "verify", *at)[0] == 0
        content = bytearray(kept.read_bytes())
        content[3] ^= 1
        kept.write_bytes(content)
        code, _, said = labctl("audit", "verify", *at)
        assert (code, f"{brought['file']} was changed, photo of look" in said) == (3, True)
        kept.unlink()
        assert f"{brought['file']} is gone, photo of look" in labctl("audit", "verify", *at)[2]
