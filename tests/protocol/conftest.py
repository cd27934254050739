from collections.abc import Callable

import pytest
import yaml

from labctl.bench.loader import bundled_benches
from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.library import bundled_folder
from labctl.protocol.validation import check_text

Edit = tuple[str, str]
Check = Callable[..., list[Finding]]


def bundled(name: str) -> Bench:
    """A bundled bench, without asking whether its drivers are installed."""
    return Bench.model_validate(yaml.safe_load(bundled_benches()[name].read_text()))


@pytest.fixture(scope="session")
def bench() -> Bench:
    return bundled("standard")


@pytest.fixture(scope="session")
def small() -> Bench:
    return bundled("small")


@pytest.fixture(scope="session")
def paper() -> str:
    return (bundled_folder() / "3dp-nvp-c.yaml").read_text()


@pytest.fixture
def findings(paper: str, bench: Bench) -> Check:
    """What is found in the paper's protocol after edits (each must apply), with parameters and a bench."""

    def check(*edits: Edit, on: Bench | None = None, **parameters: str) -> list[Finding]:
        text = paper
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new, 1)
        plan, found = check_text(text, "p.yaml", parameters, on or bench)
        assert (plan is None) == any(f.severity == "error" for f in found)
        for finding in found:
            assert finding.line is not None
            assert finding.column is not None
        return found

    return check
