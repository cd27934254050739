"""What docs/drivers.md says can be done as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.testing.children import ROOT, child, pytest_on

FILE = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page: Path) -> dict[str, str]:
    """The named code blocks of a page."""
    return {found[1]: found[2] for found in FILE.finditer(page.read_text(encoding="utf-8"))}


def test_the_driver_of_the_page_is_built_installed_found_conforms_and_bakes(tmp_path: Path) -> None:
    kelvin, installed, elsewhere = (tmp_path / name for name in ("kelvin", "installed", "elsewhere"))
    files = files_of(ROOT / "docs" / "drivers.md")
    for name, text in files.items():
        (kelvin / name).parent.mkdir(parents=True, exist_ok=True)
        (kelvin / name).write_text(text, encoding="utf-8")
    offline = ["--quiet", "--no-deps", "--no-index"]
    wheel = ["-m", "pip", "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(tmp_path), "."]
    done = child(wheel, kelvin)
    assert done.returncode == 0, done.stderr
    (built,) = tmp_path.glob("kelvin_oven-1.0-*.whl")
    done = child(["-m", "pip", "install", *offline, "--target", str(installed), str(built)], tmp_path)
    assert done.returncode == 0, done.stderr
    # the tests run where there is no package, so that only the installed one can be found
    elsewhere.mkdir()
    for name in set(files) - {"kelvin_oven/__init__.py", "kelvin_oven/driver.py", "kelvin_oven/simulator.py"}:
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (elsewhere / name).write_text(files[name], encoding="utf-8")
    done = pytest_on(elsewhere, "-rA", "-W", "error", path=[installed])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_kelvin.py::test_it_bakes_and_cools" in done.stdout
    assert "TestKelvin::test_a_spoilt_wire_is_silence_never_a_number[late by two seconds]" in done.stdout
    asked = "from kelvin_oven import driver; print(driver.__file__)"
    assert str(installed) in child(["-c", asked], elsewhere, installed).stdout
