"""What is worked out of telemetry agrees with the readings themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.analysis.telemetry import gas_litres
from labctl.store import Row, Store
from labctl.store.reader import Reader


def litres(folder: Path, flows: list[tuple[float, float]], interval: tuple[float, float]) -> float | None:
    """Of a nitrogen line that was read at these times (s), with these flows (sccm)."""
    with Store.create(folder / "labctl.db", bench="b", bench_yaml="", simulated=True) as store:
        layout = store.layout([("nitrogen", "flow", "sccm")])
        store.commit([], lambda t_s: round(t_s * 1000), [Row(layout, t, (f,), b"\0", (0,)) for t, f in flows])
    with Reader.open(folder / "labctl.db") as reader:
        return gas_litres(reader, "nitrogen", interval)


@pytest.mark.parametrize("scan_s", [1.0, 10.0, 120.0])
def test_gas_is_counted_as_long_as_it_was_read_and_no_longer(tmp_path: Path, scan_s: float) -> None:
    times = [5000.0 + scan_s * n for n in range(int(6000 / scan_s))]
    flows = [(t, 500.0 if t < 8000.0 else 200.0) for t in times]
    used = litres(tmp_path, flows, (0.0, 20_000.0))
    assert used == pytest.approx((3000 * 500 + 3000 * 200) / 60e3, abs=0.3 if scan_s > 60.0 else 0.1)


def test_gas_is_counted_to_the_ends_of_an_interval_within_what_was_read(tmp_path: Path) -> None:
    flows = [(float(t), 500.0) for t in range(4000)]
    assert litres(tmp_path, flows, (1000.0, 3411.0)) == pytest.approx(500 * 2411 / 60e3, abs=0.01)


def test_a_line_that_was_never_read_has_used_nobody_knows_what(tmp_path: Path) -> None:
    assert litres(tmp_path, [], (0.0, 100.0)) is None
