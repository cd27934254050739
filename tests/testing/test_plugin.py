"""The pytest plugin as a lab meets it."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from labctl.errors import UsageError, ValidationError
from labctl.testing.bench import BenchInTest
from labctl_simulators.devices import attach_function
from tests.testing.children import ROOT, child, pytest_on


def test_the_example_to_copy_passes_on_the_bundled_bench() -> None:
    done = pytest_on(ROOT / "examples", "-W", "error", "test_my_bench.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_what_is_short_of_it_passes_on_a_perturbed_large_bench_too() -> None:
    options = ("--labctl-bench", "standard", "--labctl-seed", "4", "-k", "lost or stop")
    done = pytest_on(ROOT / "examples", *options, "test_my_bench.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_pytest_finds_it_by_the_entry_point_of_the_package() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"labctl": "labctl.testing.plugin"}
    assert callable(import_module(points["labctl"]).pytest_addoption)


def test_it_imports_nothing_of_labctl_before_a_fixture_is_used() -> None:
    asked = (
        "import sys, labctl.testing.plugin;"
        "print(sorted(m for m in sys.modules if m.partition('.')[0].startswith('labctl')))"
        "; print({'serial', 'pydantic', 'numpy', 'yaml'} & set(sys.modules))"
    )
    done = child(["-c", asked], ROOT)
    assert done.stdout.splitlines() == ["['labctl', 'labctl.testing', 'labctl.testing.plugin']", "set()"]


def test_a_bench_folder_of_ones_own_is_simulated_with_its_own_protocols(tmp_path: Path) -> None:
    folder = tmp_path / "our bench"
    (folder / "protocols").mkdir(parents=True)
    bundled = (ROOT / "simulators/labctl_simulators/benches/small.yaml").read_text()
    ours = bundled.replace("bench: small", "bench: ours").replace(
        ", sim_pb_k: 60, sim_ti_s: 200, sim_td_s: 5", ""
    )
    real = re.sub(r"labsim://small/([a-z-]+)", r"tcp://\1.example:4001", ours)
    assert "labsim" not in real
    (folder / "bench.yaml").write_text(real)
    (folder / "protocols/idle.yaml").write_text(
        "protocol: idle\nroles: {}\nsteps:\n  - {id: a, wait: {for: 1 min}}\n"
    )
    (tmp_path / "test_ours.py").write_text(
        "def test_it_waits(bench):\n"
        "    assert bench.description.bench == 'ours'\n"
        "    assert bench.description.in_process\n"
        "    bench.start('idle')\n"
        "    assert bench.finish() == 'COMPLETE'\n"
        "    assert bench.now() >= 60.0\n"
    )
    done = pytest_on(tmp_path, "--labctl-bench", "our bench", "--labctl-seed", "7", "test_ours.py")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def small() -> BenchInTest:
    return BenchInTest("small")


def test_nothing_can_be_asked_of_a_bench_before_a_protocol_is_started(small: BenchInTest) -> None:
    with pytest.raises(UsageError, match=r"bench\.start"):
        small.now()
    small.close()


def test_a_protocol_that_is_not_valid_is_refused_with_its_findings(small: BenchInTest) -> None:
    with pytest.raises(ValidationError, match="hold"):
        small.start("short-furnace", hold="9 h")


def test_a_misspelt_signal_is_refused_with_the_nearest_and_a_second_run_is_refused(
    small: BenchInTest,
) -> None:
    small.start("short-furnace")
    with pytest.raises(UsageError, match=r"furnace\.temperature"):
        small.value("furnace.temprature")
    with pytest.raises(UsageError, match="already"):
        small.start("short-furnace")
    small.close()
    small.close()


def test_a_device_that_nobody_simulates_is_refused_with_those_that_are() -> None:
    with pytest.raises(KeyError, match="binder_mb1"):
        attach_function("flux_capacitor")
