"""Protections that a chamber must have: a bench file that lacks one is refused by all that would run it."""

from __future__ import annotations

import pytest

from labctl.bench.loader import bundled_benches, check_bench
from labctl.bench.required import GUARDS, ITEMS, missing
from labctl.model.limits import GUARD_NAMES, SAFE_ITEM_NAMES

STANDARD = bundled_benches()["standard"].read_text()


def test_everything_that_is_required_exists() -> None:
    assert {name for kind in GUARDS.values() for names in kind.values() for name in names} <= set(GUARD_NAMES)
    assert {name for kind in ITEMS.values() for names in kind.values() for name in names} <= set(
        SAFE_ITEM_NAMES
    )


@pytest.mark.parametrize("name", sorted(bundled_benches()))
def test_the_bundled_benches_lack_nothing(name: str) -> None:
    bench, _ = check_bench(bundled_benches()[name].read_bytes(), name)
    assert bench is not None
    assert list(missing(bench)) == []


@pytest.mark.parametrize(
    ("deleted", "put", "what"),
    [
        ("{guard: nitrogen_low}, ", "", "tube lacks the interlock 'nitrogen_low'"),
        (
            "safe_state: [heat_off, safe_flow]",
            "safe_state: [heat_off]",
            "tube lacks the safe-state item 'safe_flow'",
        ),
    ],
)
def test_a_bench_without_a_required_protection_is_refused_unless_it_is_to_be_shown(
    deleted: str, put: str, what: str
) -> None:
    text = STANDARD.replace(deleted, put)
    assert text != STANDARD
    bench, findings = check_bench(text, "bench.yaml")
    assert bench is None
    (finding,) = [f for f in findings if f.severity == "error"]
    assert (finding.rule, finding.message) == ("BENCH-020", what)
    assert finding.line is not None
    bench, findings = check_bench(text, "bench.yaml", unprotected=True)
    assert bench is not None
    assert not [f for f in findings if f.severity == "error"]
