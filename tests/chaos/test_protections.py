"""What a protection is for: the observer sees what happens without it, and nothing while it is there."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

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
def setting(folder: Path) -> Setting:
    """That of a campaign on a copy of the standard bench, for a single run of each plan."""
    assert main(["init", str(folder)]) == 0
    return replace(Setting.of(folder), safety_s=(2900.0, 3000.0), last_run_s=0.0)


def without(whole: Setting, deleted: Deleted) -> Setting:
    """The same without a protection of its tube."""
    tube = whole.bench.chambers["tube"]
    less = tube.model_copy(
        update={
            "guards": [guard for guard in tube.guards if guard.guard not in deleted.guards],
            "safe_state": [item for item in tube.safe_state if item not in deleted.items],
        }
    )
    assert less != tube
    chambers = {**whole.bench.chambers, "tube": less}
    return replace(whole, bench=whole.bench.model_copy(update={"chambers": chambers}))


@pytest.mark.parametrize("name", DELETED)
def test_what_happens_without_a_protection_is_seen_and_does_not_happen_with_it(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deleted, whole = DELETED[name], setting(tmp_path_factory.getbasetemp() / "standard")
    broken = trial(without(whole, deleted), 1, [deleted.fault], stop_at=deleted.invariant)
    assert deleted.invariant in {violation.invariant for violation in broken.violations}
    sound = trial(whole, 1, [deleted.fault])
    assert sound.hits == {deleted.fault["kind"]: 1}
    assert sound.violations == ()
