"""Whether an instrument may heat: what a person recorded of it, and for how long that holds.

An instrument whose driver rests on something that nobody has confirmed (`Unverified.safety`) reads, but nothing is
energised with it before a person has compared it with its panel and tripped it cold (`labctl commission`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from labctl.bench.api import DriverEntry
from labctl.bench.schema import Bench, Instrument

COMMISSIONED = "commissioned"
VOIDED = "commission_voided"
KINDS = (COMMISSIONED, VOIDED)
"""Kinds of the events, in the stream of the bench, that say so; the newest of an instrument counts."""

VALID_DAYS = 365
"""A commission is renewed yearly (safety contract, section 6)."""
DAY_MS = 86_400_000


class Commission(NamedTuple):
    """The newest word on an instrument.

    confirmed: the unverified items that a person stood for. against: why nothing may be energised with it in spite of
    the record (a test that failed, a repair); "" when nothing speaks against it. utc_ms: when it was recorded.
    """

    driver: str
    serial_number: str
    by: str
    confirmed: frozenset[str]
    against: str
    utc_ms: int

    @property
    def expires_utc_ms(self) -> int:
        """From then on it has to be renewed, Unix ms."""
        return self.utc_ms + VALID_DAYS * DAY_MS

    @property
    def expires(self) -> str:
        """The same as a day, UTC."""
        return datetime.fromtimestamp(self.expires_utc_ms / 1000.0, UTC).date().isoformat()


def commissions(facts: Iterable[tuple[str, Mapping[str, Any], int]]) -> dict[str, Commission]:
    """The newest commission of each instrument, from (kind, data, Unix ms) of its events, oldest first."""
    newest: dict[str, Commission] = {}
    for kind, data, utc_ms in facts:
        name = data["instrument"]
        if kind == COMMISSIONED:
            items = frozenset(item["item"] for item in data["items"])
            against = "; ".join(data["failed"])
            newest[name] = Commission(
                data["driver"], data["serial_number"], data["by"], items, against, utc_ms
            )
        elif name in newest:
            newest[name] = newest[name]._replace(
                against=f"{data['by']} voided it: {data['reason']}", utc_ms=utc_ms
            )
    return newest


def needs_commission(entry: DriverEntry) -> bool:
    """Whether a driver rests on something unverified that is relevant for safety."""
    return any(item.safety for item in entry.unknowns)


def why_not(
    instrument: Instrument, entry: DriverEntry, found: Commission | None, now_utc_ms: int | None
) -> str | None:
    """Why nothing may be energised with a real instrument; None when nothing speaks against it.

    now_utc_ms: Unix ms; None does not ask whether the commission has expired, as for a run that is under way.
    """
    items = {item.text for item in entry.unknowns if item.safety}
    if not items:
        return None
    if not instrument.serial_number:
        return "has no serial number in the bench file, so nothing can be recorded for it"
    if found is None:
        return f"is not commissioned: {len(items)} unverified items of its driver are relevant for safety"
    if found.against:
        return f"is not commissioned: {found.against}"
    if found.driver != entry.name:
        return f"was commissioned with driver {found.driver}, and has {entry.name} now"
    if found.serial_number != instrument.serial_number:
        return f"was commissioned as {found.serial_number}, and is {instrument.serial_number} now"
    if new := sorted(items - found.confirmed):
        return f"has unverified items that nobody has confirmed yet: {'; '.join(new)}"
    if now_utc_ms is not None and now_utc_ms >= found.expires_utc_ms:
        return f"was commissioned more than {VALID_DAYS} days ago"
    return None


def overdue(instrument: Instrument, until_utc_ms: int) -> str | None:
    """Why a calibration does not last until then (Unix ms); None when it does, or when the bench file names none.

    It holds to the end of its day, UTC.
    """
    due = instrument.calibration_due
    if due is None:
        return None
    ends = datetime.combine(date.fromisoformat(due), time.max, UTC).timestamp() * 1000.0
    return None if until_utc_ms <= ends else f"is due for calibration on {due}, before the run would end"


def command(name: str, folder: Path) -> str:
    """What to type so that an instrument may heat."""
    return f"labctl commission {name} --bench {folder} --by NAME"


def barred(
    bench: Bench,
    entries: Mapping[str, DriverEntry],
    known: Mapping[str, Commission],
    folder: Path,
    now_utc_ms: int | None,
    lasts_s: float = 0.0,
) -> dict[str, str]:
    """The instruments of a bench with which nothing may be energised, and why, with the command that changes it.

    Simulated ones are never barred. `folder`: of the bench, for the command. `now_utc_ms`: Unix ms, None for a run that
    is under way: neither a commission nor a calibration ends it. `lasts_s`: how long it is forecast to take, s.
    """
    if bench.simulated:
        return {}
    bars = {}
    for name, instrument in bench.instruments.items():
        late = None if now_utc_ms is None else overdue(instrument, now_utc_ms + round(lasts_s * 1000.0))
        if reason := why_not(instrument, entries[instrument.driver], known.get(name), now_utc_ms):
            bars[name] = f"{name} {reason} (`{command(name, folder)}`)"
        elif late:
            bars[name] = f"{name} {late}"
    return bars
