"""What tests in more than one folder stand on."""

from __future__ import annotations

import pytest
from hypothesis import settings

from labctl import cli
from tests.commandline import Labctl

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
"""No example is judged by its time: a tracer, or a busy machine, makes any of them slow."""


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str]) -> Labctl:
    """The command line in this process: exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(words)
        return (code, *capsys.readouterr())

    return call
