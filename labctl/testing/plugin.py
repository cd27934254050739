"""The pytest plugin: fixtures `bench`, `plant`, `replay`; options `--labctl-bench`, `--labctl-seed`, `--labctl-speed`.

Loaded by every pytest of an environment that has labctl, so nothing else is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from labctl.bench.api import DriverEntry
    from labctl.testing.bench import BenchInTest, PlantInTest
    from labctl.testing.transcripts import Replay

pytest.register_assert_rewrite("labctl.testing.conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("labctl", "simulated benches")
    group.addoption(
        "--labctl-bench",
        default="small",
        metavar="NAME_OR_DIR",
        help="bench of the fixture `bench`: a bundled one, a bench folder or a bench file (default: small)",
    )
    group.addoption(
        "--labctl-seed",
        type=int,
        default=None,
        metavar="N",
        help="plant perturbed by this seed: another room, heater and sensors (default: the nominal plant)",
    )
    group.addoption(
        "--labctl-speed",
        type=float,
        default=None,
        metavar="X",
        help="bench seconds a real second (default: as fast as it goes)",
    )


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[BenchInTest]:
    """The simulated twin of `--labctl-bench`, in virtual time: start a protocol on it and let time pass."""
    from labctl.testing.bench import BenchInTest

    option = request.config.getoption
    made = BenchInTest(option("--labctl-bench"), seed=option("--labctl-seed"), speed=option("--labctl-speed"))
    yield made
    made.close()


@pytest.fixture
def plant(bench: BenchInTest) -> PlantInTest:
    """The plant behind `bench`: `truth()` and `faults`."""
    from labctl.testing.bench import PlantInTest

    return PlantInTest(bench)


@pytest.fixture
def replay(request: pytest.FixtureRequest) -> Iterator[Callable[..., Replay]]:
    """`labctl.testing.replay` for transcripts beside the test; what was not replayed when the test ends fails it."""
    from labctl.testing import replay

    with ExitStack() as open_ones:

        def beside(path: str, instrument: str | None = None, *, entry: DriverEntry | None = None) -> Replay:
            file = request.path.parent / path
            return open_ones.enter_context(replay(file, instrument, entry=entry))

        yield beside
