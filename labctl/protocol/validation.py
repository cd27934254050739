"""From the name of a protocol to a plan: everything that can be wrong is found, several things at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError as SchemaError

from labctl.bench.schema import Bench
from labctl.errors import Finding, UsageError, ValidationError
from labctl.protocol.binding import bind
from labctl.protocol.compose import compose
from labctl.protocol.diagnosis import misnamed
from labctl.protocol.expand import expand, reordered
from labctl.protocol.library import find_protocol
from labctl.protocol.order import other_way
from labctl.protocol.parameters import Filled, Resolved, fill, resolve, written
from labctl.protocol.plan import Plan
from labctl.protocol.revision import without
from labctl.protocol.rules import judge
from labctl.protocol.schema import WrittenProtocol
from labctl.protocol.source import Document, read

MOST_LOOKED_THROUGH = 10_000
"""Values of a protocol with mistakes that is read once more without them."""
_ORDER = {"error": 0, "warning": 1, "info": 2}


def check(
    protocol: str | Path, parameters: Mapping[str, str], bench: Bench, folder: Path | None = None
) -> tuple[Plan | None, list[Finding]]:
    """The plan, or None when any finding is an error, and all findings. A person's mistake never raises."""
    try:
        path = find_protocol(protocol, folder)
        content = path.read_bytes()
    except UsageError as error:
        return None, [Finding("FILE-001", "error", str(error))]
    except OSError as error:
        return None, [Finding("FILE-002", "error", f"{protocol} cannot be read: {error.strerror}")]
    return check_text(content, str(path), parameters, bench, folder)


def check_text(
    content: str | bytes,
    file: str,
    parameters: Mapping[str, str],
    bench: Bench,
    folder: Path | None = None,
    left_out: Collection[str] = (),
) -> tuple[Plan | None, list[Finding]]:
    """As `check`, for the content of a file that findings call `file`, without the steps that are left out."""
    try:
        document = compose(read(content, file), folder)
    except ValidationError as error:
        return None, error.findings
    resolved, findings = resolve(document, parameters)
    try:
        expanded = expand(document, resolved)
    except ValidationError as error:
        return None, findings + error.findings
    document = expanded.document
    findings += misnamed(document)
    filled = fill(document, resolved)
    findings += filled.findings
    protocol, found = written(filled)
    findings += found
    plan = None
    if protocol is None:
        findings += _besides(filled, resolved, bench)
    else:
        findings += _asides(document, protocol, resolved, filled, expanded.used, bench)
        plan, found = bind(protocol, document, resolved, bench)
        findings += found
        if plan is not None and left_out:
            document = reordered(document, [n for n, s in enumerate(plan.steps) if s.id not in left_out])
            plan = without(plan, left_out)
        if plan is not None:
            findings += judge(plan, bench, document)
            findings += _judged_the_other_way(plan, bench, document, findings)
    findings.sort(key=lambda f: (_ORDER[f.severity], f.line or 0, f.column or 0))
    return (None if any(f.severity == "error" for f in findings) else plan), findings


def _besides(filled: Filled, resolved: Resolved, bench: Bench) -> list[Finding]:
    """What is wrong with the roles of steps that can be read, beside others that cannot be."""
    data = filled.document.data
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list) or len(filled.document.values) > MOST_LOOKED_THROUGH:
        return []
    try:
        WrittenProtocol.model_validate(data)
    except SchemaError as error:
        places = [tuple(each["loc"]) for each in error.errors(include_url=False, include_input=False)]
        broken = {place[1] for place in places if place[0] == "steps" and len(place) > 1}
        sound = [i for i in range(len(steps)) if i not in broken]
        if all(place[0] == "steps" and len(place) > 1 for place in places) and sound:
            return _roles(reordered(filled.document, sound), resolved, bench)
    return []


def _roles(document: Document, resolved: Resolved, bench: Bench) -> list[Finding]:
    try:
        protocol = WrittenProtocol.model_validate(document.data)
    except SchemaError:
        return []
    _, found = bind(protocol, document, resolved, bench)
    return [f for f in found if f.rule.startswith(("ROLE-", "BIND-"))]


def load_plan(
    protocol: str | Path, parameters: Mapping[str, str], bench: Bench, folder: Path | None = None
) -> tuple[Plan, list[Finding]]:
    """The plan, and the warnings and notes about it. Raises ValidationError with every finding."""
    plan, findings = check(protocol, parameters, bench, folder)
    if plan is None:
        raise ValidationError(findings)
    return plan, findings


def _judged_the_other_way(
    plan: Plan, bench: Bench, document: Document, known: list[Finding]
) -> list[Finding]:
    """What the rules find besides when the later of two branches goes first: what must come before comes in both."""
    order = other_way(plan)
    if order is None:
        return []
    other = plan.model_copy(update={"steps": tuple(plan.steps[i] for i in order)})
    return [f for f in judge(other, bench, reordered(document, order)) if f not in known]


def _asides(
    document: Document,
    protocol: WrittenProtocol,
    resolved: Resolved,
    filled: Filled,
    counts: frozenset[str],
    bench: Bench,
) -> list[Finding]:
    """Parameters that nothing refers to, and those that a person has to stand for."""
    findings = []
    judged = {name for e in protocol.expected for name in e.when}
    for name in protocol.parameters:
        if name not in filled.used and name not in judged | counts:
            message, path = f"parameter {name!r} is used nowhere", ("parameters", name)
            findings.append(document.finding("PAR-005", path, message, severity="warning", key=True))
    furnaces = {r for r, capability in protocol.roles.items() if capability == "tube_furnace"}
    for name, parameter in resolved.items():
        if not parameter.confirm or parameter.given:
            continue
        holds = [p for p in filled.used.get(name, ()) if p[0] == "steps" and p[-1] == "hold"]
        steps = [protocol.steps[p[1]] for p in holds if isinstance(p[1], int)]
        pyrolysis = any(s.heat is not None and s.heat.with_ in furnaces for s in steps)
        severity = "info" if bench.simulated else "error"
        message = f"{name} = {parameter.text} is {parameter.provenance}, not published; confirm it"
        rule = "FUR-013" if pyrolysis else "PAR-006"
        path, hint = ("parameters", name), f"-p {name}={parameter.text!r}"
        findings.append(document.finding(rule, path, message, hint, severity, key=True))
    return findings
