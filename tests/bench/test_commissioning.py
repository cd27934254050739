"""Which instruments may heat: what was recorded of them counts for that serial number, those items, and a year."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.bench.api import DriverEntry, Unverified
from labctl.bench.commissioning import (
    COMMISSIONED,
    DAY_MS,
    VOIDED,
    Commission,
    barred,
    commissions,
    needs_commission,
    why_not,
)
from labctl.bench.discovery import drivers
from labctl.bench.loader import check_bench, find_bench, load_bench
from labctl.bench.schema import Instrument

ENTRY = replace(
    drivers()["eurotherm"],
    unverified=(Unverified("falls back"), Unverified("decimals"), Unverified("colour", safety=False)),
)
FURNACE = load_bench("small").instruments["furnace"]
DAY_1 = 1_000 * DAY_MS


def event(**changes: Any) -> tuple[str, dict[str, Any], int]:
    data: dict[str, Any] = {"instrument": "furnace", "driver": "eurotherm", "serial_number": "SIM-3216-1"}
    data |= {"by": "ada", "items": [{"item": "falls back"}, {"item": "decimals"}], "failed": []}
    return COMMISSIONED, {**data, **changes}, DAY_1


def void(reason: str = "new thermocouple") -> tuple[str, dict[str, Any], int]:
    return VOIDED, {"instrument": "furnace", "by": "bob", "reason": reason}, DAY_1 + 1


def found(*events: tuple[str, dict[str, Any], int]) -> Commission | None:
    return commissions(events).get("furnace")


def reason(
    commission: Commission | None,
    *,
    day: int | None = 1,
    entry: DriverEntry = ENTRY,
    instrument: Instrument = FURNACE,
) -> str | None:
    return why_not(instrument, entry, commission, None if day is None else DAY_1 + (day - 1) * DAY_MS)


def test_a_commissioned_instrument_may_heat_for_a_year() -> None:
    assert reason(found(event())) is None
    assert reason(found(event()), day=365) is None
    assert reason(found(event()), day=366) == "was commissioned more than 365 days ago"
    assert reason(found(event()), day=None) is None, "a run that is under way goes on"


def test_one_that_nobody_has_commissioned_may_not() -> None:
    assert reason(None) == "is not commissioned: 2 unverified items of its driver are relevant for safety"


def test_another_serial_number_driver_or_unverified_item_voids_it() -> None:
    other = FURNACE.model_copy(update={"serial_number": "SIM-3216-9"})
    assert reason(found(event()), instrument=other) == (
        "was commissioned as SIM-3216-1, and is SIM-3216-9 now"
    )
    assert reason(found(event(driver="ika"))) == "was commissioned with driver ika, and has eurotherm now"
    newer = replace(ENTRY, unverified=(*ENTRY.unverified, "a new enumeration"))
    assert reason(found(event()), entry=newer) == (
        "has unverified items that nobody has confirmed yet: a new enumeration"
    )
    fewer = replace(ENTRY, unverified=ENTRY.unverified[:1])
    assert reason(found(event()), entry=fewer) is None, "what is no longer doubted needs nobody"


def test_without_a_serial_number_nothing_can_be_recorded() -> None:
    nameless = FURNACE.model_copy(update={"serial_number": ""})
    assert "no serial number" in str(reason(found(event()), instrument=nameless))


def test_the_newest_word_counts() -> None:
    assert reason(found(event(), void())) == "is not commissioned: bob voided it: new thermocouple"
    assert reason(found(event(), void(), event())) is None
    assert reason(found(event(), event(failed=["cable: not confirmed"]))) == (
        "is not commissioned: cable: not confirmed"
    )
    assert found(void()) is None, "nothing to void"


def test_an_instrument_without_a_doubt_that_matters_needs_nobody() -> None:
    harmless = replace(ENTRY, unverified=(Unverified("colour", safety=False),))
    assert not needs_commission(harmless)
    assert reason(None, entry=harmless) is None


def test_plain_text_counts_as_relevant() -> None:
    assert needs_commission(replace(ENTRY, unverified=("everything",)))


def test_only_what_is_real_is_barred() -> None:
    bench = load_bench("small")
    assert barred(bench, drivers(), {}, Path("lab"), DAY_1) == {}
    real = bench.model_copy(
        update={"instruments": {"furnace": FURNACE.model_copy(update={"address": "serial:///dev/ttyUSB0"})}}
    )
    assert barred(real, drivers(), {}, Path("lab"), DAY_1) == {
        "furnace": "furnace is not commissioned: 6 unverified items of its driver are relevant for safety "
        "(`labctl commission furnace --bench lab --by NAME`)"
    }


@pytest.mark.parametrize(
    ("due", "lasts_days", "why"),
    [
        (None, 1e4, None),
        ("1972-09-27", 0.0, None),
        ("1972-09-26", 0.0, "furnace is due for calibration on 1972-09-26, before the run would end"),
        ("1972-10-06", 9.0, None),
        ("1972-10-06", 10.0, "furnace is due for calibration on 1972-10-06, before the run would end"),
    ],
)
def test_a_calibration_holds_to_the_end_of_its_day_and_must_outlast_the_run(
    due: str | None, lasts_days: float, why: str | None
) -> None:
    bench = load_bench("small")
    furnace = FURNACE.model_copy(update={"address": "serial:///dev/ttyUSB0", "calibration_due": due})
    real = bench.model_copy(update={"instruments": {"furnace": furnace}})
    known = commissions([event()])
    entries = {"eurotherm": ENTRY}
    found = barred(real, entries, known, Path("lab"), DAY_1, lasts_days * 86_400.0)
    assert found == ({"furnace": why} if why else {})
    assert barred(real, entries, known, Path("lab"), None, lasts_days * 86_400.0) == {}


def test_a_calibration_is_no_part_of_what_a_bench_is() -> None:
    bench = load_bench("small")
    furnace = FURNACE.model_copy(update={"calibration_due": "2027-03-31"})
    later = bench.model_copy(update={"instruments": {**bench.instruments, "furnace": furnace}})
    assert later.identity == bench.identity
    assert "calibration_due" not in bench.model_dump(mode="json")["instruments"]["furnace"]


@pytest.mark.parametrize("day", ["2027-02-30", "next spring", "2027-3-1"])
def test_what_is_no_day_is_refused(day: str) -> None:
    text = find_bench("small").read_text().replace("SIM-3216-1", f"SIM-3216-1\n    calibration_due: {day}")
    bench, findings = check_bench(text, "bench.yaml")
    assert bench is None
    assert [f.line for f in findings] == [1 + text[: text.index("calibration_due")].count("\n")]


@pytest.mark.parametrize(
    "name", ["eurotherm", "eurotherm-epc", "binder", "ika", "io", "alicat", "bronkhorst", "neware"]
)
def test_whatever_heats_drives_gas_or_guards_rests_on_something_unverified(name: str) -> None:
    assert needs_commission(drivers()[name])


def test_what_shows_an_unverified_item_is_a_signal_or_an_audit_item_of_its_driver() -> None:
    """Audit items are checked against a live instrument in tests/cli/test_commission.py."""
    for entry in drivers().values():
        for item in entry.unknowns:
            assert len(set(item.shown_by)) == len(item.shown_by), item.text
            assert item.shown_by == () or item.safety, item.text
