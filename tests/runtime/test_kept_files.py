"""Files that people bring are kept with the bench, by what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from labctl.errors import UsageError
from labctl.runtime.folder import keep_file


def test_a_file_is_kept_once_by_the_digest_of_what_is_in_it(tmp_path: Path) -> None:
    photo = tmp_path / "boat.png"
    photo.write_bytes(b"a boat")
    bench = tmp_path / "bench"
    bench.mkdir()
    told = keep_file(bench, photo)
    assert told["sha256"] == hashlib.sha256(b"a boat").hexdigest()
    assert (bench / told["file"]).read_bytes() == b"a boat"
    assert keep_file(bench, photo) == told
    photo.write_bytes(b"another boat")
    assert keep_file(bench, photo)["file"] != told["file"]
    assert len(list((bench / "results").iterdir())) == 2


def test_a_file_that_is_not_there_is_a_mistake_of_the_person(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be kept: No such file"):
        keep_file(tmp_path, tmp_path / "nothing.png")
