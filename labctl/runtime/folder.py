"""A bench folder on disk: its files, the lock that makes its controller the only one, and the e-stop."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labctl.errors import BenchLockedError, UsageError
from labctl.runtime.clock import nap

DATABASE = "labctl.db"
BENCH_FILE = "bench.yaml"
LOCK = "lock"
ESTOP = "ESTOP"
ESTOP_SEEN = "ESTOP.seen"
FILES = "results"
"""Folder below the bench's in which files are kept that people bring, each by the digest of what is in it."""
FACTS_BYTES = 256
TRIES = 10
UNREACHABLE = "unreachable"
"""With this word begins the reason of a refusal because an instrument does not answer."""


class Lock:
    """Held by whoever owns the instruments of a bench, a controller but for moments; it ends with the process."""

    def __init__(self, folder: Path, doing: str | None = None) -> None:
        """Take it. `doing`: the verb of a person who is no controller. Raises BenchLockedError naming who has it."""
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        if not self._taken():
            os.close(self._file)
            raise locked(folder, controller_of(folder) or {})
        self.say({"pid": os.getpid()} | ({"doing": doing} if doing else {}))

    def _taken(self) -> bool:
        """Several tries: whoever asks `controller_of` holds the lock for a moment."""
        for _ in range(TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                nap(0.05)
            else:
                return True
        return False

    def say(self, facts: dict[str, Any]) -> None:
        """What others may know of this controller: its pid, whether it serves yet, the port of its truth."""
        # in one write and of one length, so that nobody ever reads half of it
        os.pwrite(self._file, json.dumps(facts).encode().ljust(FACTS_BYTES), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        os.close(self._file)


def controller_of(folder: Path) -> dict[str, Any] | None:
    """What the living controller of a bench says of itself; None when there is none."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        facts: dict[str, Any] = json.loads(os.pread(file, FACTS_BYTES, 0) or b"{}")
        return facts
    finally:
        os.close(file)
    return None


def locked(folder: Path, owner: dict[str, Any]) -> BenchLockedError:
    """The error that names who owns a bench. `owner`: what they say of themselves."""
    pid = owner.get("pid", "?")
    if doing := owner.get("doing"):
        return BenchLockedError(
            f"{folder}: process {pid} has the bench for `labctl {doing}`; wait for its end"
        )
    return BenchLockedError(
        f"{folder}: process {pid} controls this bench; see `labctl status --bench {folder}`"
    )


def press_estop(folder: Path, text: str) -> bool:
    """Create the e-stop file, on disk before this returns; False when it was there already."""
    try:
        file = os.open(folder / ESTOP, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    try:
        os.write(file, text.encode())
        os.fsync(file)
    finally:
        os.close(file)
    _sync_folder(folder)
    return True


def acknowledge_estop(folder: Path) -> None:
    """The controller's word that it has acted on the e-stop: its pid, whole or not at all."""
    draft = folder / f"{ESTOP_SEEN}.new"
    draft.write_text(str(os.getpid()), encoding="ascii")
    draft.replace(folder / ESTOP_SEEN)


def release_estop(folder: Path) -> None:
    """Take the e-stop back, after a person has cleared its cause."""
    for name in (ESTOP, ESTOP_SEEN):
        (folder / name).unlink(missing_ok=True)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def keep_file(folder: Path, file: Path) -> dict[str, str]:
    """Keep a copy of a file with the bench, named by the digest of what is in it; what the journal says of it.

    Raises UsageError when it cannot be read or kept.
    """
    try:
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        kept = folder / FILES / f"{digest[:16]}-{file.name}"
        kept.parent.mkdir(exist_ok=True)
        if not kept.exists():
            kept.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{file} cannot be kept: {error.strerror}") from error
    return {"file": f"{FILES}/{kept.name}", "sha256": digest}
