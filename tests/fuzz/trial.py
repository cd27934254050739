"""One document tried: what must hold of every answer, and what it may cost."""

from __future__ import annotations

import re
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NamedTuple

from labctl.bench.loader import bundled_benches, check_bench
from labctl.bench.schema import Bench
from labctl.cli.findings import SEVERITIES, describe
from labctl.errors import Finding, LabctlError, ValidationError
from labctl.protocol.batch import batch
from labctl.protocol.cookbook import load_recipe
from labctl.protocol.rules import CATALOGUE
from labctl.protocol.validation import check_text
from tests.fuzz.documents import Fuzzed

MOST_MB = 200.0
NAMES = ("p.yaml", "bench.yaml", "recipe.yaml")
"""What findings call the document itself."""
STOPPED_S = 20.0
"""After so long of CPU a document is given up: it hangs, however slow the machine and what traces it."""


class Broken(AssertionError):
    """A document was answered wrongly, never, or with too much memory."""


class Cost(NamedTuple):
    """CPU seconds, and by how many MB the process has grown at its highest."""

    seconds: float
    grown_mb: float


def highest_mb() -> float:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bench() -> Bench:
    """The bench that protocols are judged on."""
    found, findings = check_bench(bundled_benches()["small"].read_bytes(), "bench.yaml")
    assert found is not None, findings
    return found


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Give up after so many CPU seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        at = traceback.extract_stack(frame)[-6:]
        way = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(at))
        raise Broken(f"still at work after {seconds:g} s: {way}")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def trial(document: Fuzzed, on: Bench, plan_text: str) -> tuple[bool, Cost]:
    """Whether a document is accepted, and what it took. Raises Broken."""
    before, began = highest_mb(), time.process_time()
    try:
        with _no_longer_than(STOPPED_S):
            accepted, findings = JUDGES[document.what](document.content, on, plan_text)
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    cost = Cost(time.process_time() - began, highest_mb() - before)
    if accepted == any(f.severity == "error" for f in findings):
        raise Broken(f"accepted: {accepted}, with {[str(f) for f in findings][:5]}")
    lines = _lines(document.content)
    for finding in findings[:50]:
        _sound(finding, lines)
    if cost.grown_mb > MOST_MB:
        raise Broken(f"{cost.grown_mb:.0f} MB")
    return accepted, cost


def _lines(content: str | bytes) -> int:
    """Lines as YAML counts them: it knows more ends of a line than one."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    return len(re.findall("\r\n|[\n\r\x85\u2028\u2029]", text)) + 1


def _sound(finding: Finding, lines: int) -> None:
    """A finding is of a known rule, says something, and stands in the file."""
    if finding.rule not in CATALOGUE or finding.severity not in SEVERITIES or not finding.message.strip():
        raise Broken(f"no such finding: {finding!r}")
    here = finding.file in NAMES
    if here and finding.line is not None and not 1 <= finding.line <= lines + 1:
        raise Broken(f"outside the {lines} lines of the file: {finding}")
    if "Traceback" in (shown := describe(finding)) or len(shown) > 100_000:
        raise Broken(f"shown as {shown[:300]!r}")


def _protocol(content: str | bytes, on: Bench, plan_text: str) -> tuple[bool, list[Finding]]:
    plan, findings = check_text(content, "p.yaml", {}, on)
    if plan is not None:
        assert len(plan.plan_hash) == 64
    return plan is not None, findings


def _bench(content: str | bytes, on: Bench, plan_text: str) -> tuple[bool, list[Finding]]:
    """A bench that is accepted must also bear being planned for."""
    found, findings = check_bench(content, "bench.yaml")
    if found is not None:
        assert len(found.identity) == 64
        check_text(plan_text, "p.yaml", {}, found)
    return found is not None, findings


def _recipe(content: str | bytes, on: Bench, plan_text: str) -> tuple[bool, list[Finding]]:
    with TemporaryDirectory(prefix="labctl-fuzz-") as folder, chdir(folder):
        file = Path("recipe.yaml")
        file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        try:
            batch(load_recipe(file))
        except ValidationError as error:
            return False, error.findings
        except LabctlError as error:
            return False, [Finding("RCP-004", "error", str(error) or "refused")]
    return True, []


JUDGES: dict[str, Callable[[str | bytes, Bench, str], tuple[bool, list[Finding]]]] = {
    "protocol": _protocol,
    "bench": _bench,
    "recipe": _recipe,
}
