from labctl.engine.guards import GUARDS
from labctl.engine.safe import ITEMS
from labctl.model.limits import GUARD_NAMES, SAFE_ITEM_NAMES


def test_a_bench_file_can_name_every_guard_and_no_other() -> None:
    assert tuple(GUARDS) == GUARD_NAMES


def test_a_bench_file_can_name_every_safe_state_item_but_the_stops_own_ramp() -> None:
    assert set(ITEMS) == {*SAFE_ITEM_NAMES, "ramp_down"}
