"""What tests in more than one folder stand on."""

from __future__ import annotations

import pytest

from labctl import cli
from tests.commandline import Labctl


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str]) -> Labctl:
    """The command line in this process: exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(words)
        return (code, *capsys.readouterr())

    return call
