"""What a protection is for: the observer sees what happens without it, and nothing while it is there."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from labctl.chaos.setting import Setting
from labctl.chaos.trial import trial
from labctl.cli import main


class Deleted(NamedTuple):
    """guards, items: taken from the tube. fault: what then goes wrong, on a hot tube. invariant: what it breaks."""

    guards: tuple[str, ...]
    items: tuple[str, ...]
    fault: dict[str, Any]
    invariant: str


def fault(instrument: str, kind: str, above: float, **parameters: float) -> dict[str, Any]:
    when = {"of": "furnace.tube_c", "above": above}
    return {
        "instrument": instrument, "kind": kind, "when": when, "at_s": 0.0, "for_s": 200.0, "parameters": parameters,
    }  # fmt: skip


DELETED = {
    "nitrogen interlock": Deleted(
        ("nitrogen_low",), (), fault("nitrogen", "valve_stuck", 300.0, flow_sccm=130.0), "I1 inert heating"
    ),
    "over-temperature trip": Deleted(
        ("over_temperature",), (), fault("furnace", "panel_setpoint", 560.0, value=850.0), "over-temperature"
    ),
    "gas of the safe state": Deleted(
        (), ("safe_flow",), fault("furnace", "sensor_open", 300.0), "G1 safe state"
    ),
}


@cache
def standard(folder: Path) -> dict[str, Any]:
    """What `labctl init` writes."""
    assert main(["init", str(folder)]) == 0
    data: dict[str, Any] = yaml.safe_load((folder / "bench.yaml").read_text())
    return data


def setting(folder: Path, bench: dict[str, Any]) -> Setting:
    """That of a campaign on this bench, for a single run of each plan."""
    folder.mkdir()
    (folder / "bench.yaml").write_text(yaml.safe_dump(bench))
    return replace(Setting.of(folder), safety_s=(2900.0, 3000.0), last_run_s=0.0)


def without(bench: dict[str, Any], deleted: Deleted) -> dict[str, Any]:
    """The bench without a protection of its tube."""
    less = deepcopy(bench)
    tube = less["chambers"]["tube"]
    tube["guards"] = [guard for guard in tube["guards"] if guard["guard"] not in deleted.guards]
    tube["safe_state"] = [item for item in tube["safe_state"] if item not in deleted.items]
    assert less != bench
    return less


@pytest.mark.parametrize("name", DELETED)
def test_what_happens_without_a_protection_is_seen_and_does_not_happen_with_it(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deleted, whole = DELETED[name], standard(tmp_path_factory.getbasetemp() / "standard")
    less = setting(tmp_path / "less", without(whole, deleted))
    broken = trial(less, 1, [deleted.fault], stop_at=deleted.invariant)
    assert deleted.invariant in {violation.invariant for violation in broken.violations}
    sound = trial(setting(tmp_path / "whole", whole), 1, [deleted.fault])
    assert sound.hits == {deleted.fault["kind"]: 1}
    assert sound.violations == ()
