"""The short form of the fuzz: documents that nobody would write are accepted or refused with findings."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from labctl.bench.loader import bundled_benches, check_bench
from labctl.bench.schema import Bench
from labctl.protocol.validation import check_text
from tests.fuzz.documents import BOMBS, MISTAKES, Fuzzed, documents
from tests.fuzz.trial import bench, trial

GOOD = (MISTAKES / "good.yaml").read_text(encoding="utf-8")
SMALL = bundled_benches()["small"].read_text(encoding="utf-8")
SHORT = 800
"""Documents; the hundred thousand are `make fuzz`."""


@pytest.fixture(scope="module")
def on() -> Bench:
    return bench()


def test_hundreds_of_documents_are_accepted_or_refused(on: Bench) -> None:
    accepted = sum(trial(document, on, GOOD)[0] for document in islice(documents(20261122), SHORT))
    assert SHORT / 20 < accepted < SHORT / 2


def test_the_same_seed_makes_the_same_documents() -> None:
    first, second = (list(islice(documents(7), 60)) for _ in range(2))
    assert first == second != list(islice(documents(8), 60))


@pytest.mark.parametrize("make", BOMBS, ids=lambda make: make.__name__.strip("_"))
def test_a_bomb_is_answered(on: Bench, make: object) -> None:
    assert callable(make)
    for seed in range(3):
        document = Fuzzed("protocol", "bomb", make(Random(seed)))
        trial(document, on, GOOD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("protocol: good", "protocol: ../good"),
        ("protocol: good", "protocol: good\nextends: ../good"),
        ("steps:\n", "steps:\n  - include: ../../etc/passwd\n"),
        ("steps:\n", "steps:\n  - include: parts/../../x\n"),
        ("  - id: mix", "  - id: ../mix"),
        ("  soak: {", "  ../soak: {"),
        ("  stirrer: hot", "  ../stirrer: hot"),
        ("steps:\n", "samples: [../a]\nsteps:\n"),
        ("      enter: {active_mass", "      enter: {../active_mass"),
        ("quantity: carbon", "quantity: ../carbon"),
        ("  Na2CO3: 0", "  ../Na2CO3: 0"),
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(on: Bench, old: str, new: str) -> None:
    assert old in GOOD
    plan, findings = check_text(GOOD.replace(old, new, 1), "p.yaml", {}, on)
    line = GOOD.replace(old, new, 1).split("..")[0].count("\n") + 1
    assert plan is None
    assert line in [f.line for f in findings if f.severity == "error"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bench: small", "bench: ../small"),
        ("  hotplate:\n", "  ../hotplate:\n"),
        ("  vessel:\n", "  ../vessel:\n"),
        ("  nitrogen-cylinder:", "  ../nitrogen-cylinder:"),
    ],
)
def test_a_name_of_a_bench_that_leads_out_of_the_folder_is_refused(old: str, new: str) -> None:
    assert old in SMALL
    text = SMALL.replace(old, new, 1)
    found, findings = check_bench(text, "bench.yaml")
    assert found is None
    assert text.split("..")[0].count("\n") + 1 in [f.line for f in findings if f.severity == "error"]
