"""What people tell of samples while a controller has the bench: into the journal, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.engine.scan import Scan
from labctl.engine.silencing import Verb
from labctl.model.commands import Request
from labctl.model.samples import FACTS

LONGEST = 10_000
"""Characters of one fact: values and a digest, never a file (assumed)."""


def _cannot_tell(scan: Scan, request: Request) -> str | None:
    kind, data = request.args.get("kind"), request.args.get("data")
    if kind not in FACTS or not isinstance(data, dict) or not data:
        return f"of samples can be told: {', '.join(FACTS)}"
    return "it is too long" if len(repr(data)) > LONGEST else None


def _tell(scan: Scan, request: Request) -> None:
    scan.emit(str(request.args["kind"]), {**request.args["data"], "by": request.actor})


VERBS: Mapping[str, Verb] = {"sample": Verb(_cannot_tell, _tell)}
"""Requests of the bench, not of a run."""
