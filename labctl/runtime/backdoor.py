"""A simulator's backdoor as the product knows it: does it claim a bench, and what would its operator enter?

Nothing else of a simulator is ever asked by a controller; truth and faults are for tests and teaching.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from labctl.bench.schema import Bench
from labctl.engine.state import RunState
from labctl.errors import CommunicationError, ControllerError, UsageError
from labctl.protocol.plan import Plan

ANSWERS_WITHIN_S = 5.0
"""A simulator on this machine that takes longer is taken for none (assumed; a long step takes seconds)."""


class Backdoor:
    """The backdoor at an address of a bench file. A connection for each question: it may have gone meanwhile."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to one question.

        Raises ControllerError when nobody answers, UsageError with the simulator's own words when it refuses.
        """
        parts = urlsplit(self.address)
        try:
            place = (parts.hostname or "", parts.port or 0)
            with socket.create_connection(place, timeout=ANSWERS_WITHIN_S) as link:
                link.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
                link.shutdown(socket.SHUT_WR)
                text = b"".join(iter(lambda: link.recv(65536), b""))
            answer = json.loads(text)
            ok = answer["ok"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ControllerError(f"no simulator answers at {self.address}: {error}") from error
        if not ok:
            raise UsageError(str(answer.get("error")))
        return answer["result"]

    def claims(self, addresses: Mapping[str, str]) -> float | None:
        """The speed of the plant that claims each of these addresses (by instrument); None when none does."""
        try:
            answer = self.ask("claims", addresses=sorted(set(addresses.values())))
            claimed = set(answer["mine"]) >= set(addresses.values())
            return float(answer["speed"]) if claimed else None
        except (ControllerError, UsageError, KeyError, TypeError, ValueError):
            return None

    def admit(self, address: str) -> None:
        """Let a line of a simulated bench be opened. Raises CommunicationError unless it is claimed now."""
        if self.claims({"": address}) is None:
            raise CommunicationError(
                f"{address}: the simulator of this bench does not claim it now; it is not opened"
            )


def ascertained(bench: Bench) -> Bench:
    """The bench, marked simulated if its file names a backdoor that claims each of its addresses now, else not."""
    if bench.backdoor is None:
        return bench
    speed = Backdoor(bench.backdoor).claims({n: i.address for n, i in bench.instruments.items()})
    return bench.claimed(speed)


def batch(plan: Plan) -> dict[str, float]:
    """What the operator of a twin makes for a plan: g of product, solvents and polymer; nothing: the usual gram."""
    if plan.product is None:
        return {}
    made = {"product_mass_g": plan.product.mass_g} | plan.charge.model_dump()
    if plan.contents is not None:
        polymers = [substance.mass_g or 0.0 for substance in plan.contents if "polymer" in substance.kinds]
        made["polymer_g_per_g"] = sum(polymers) / plan.product.mass_g
    if plan.product.made_at_c is not None:
        made["fired_c"] = plan.product.made_at_c
    return made


Enter = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""What a simulated operator enters for a prompt: {"values": {...}, "note": "..."}."""


def answers(run: RunState, enter: Enter) -> list[tuple[str, dict[str, object]]]:
    """A simulated operator's answers to the open prompts of a run: key, and arguments of the request "answer"."""
    given = []
    for prompt in run.prompts.values():
        arguments: dict[str, object] = {"prompt": prompt["id"], "confirm": prompt["confirm"]}
        if prompt.get("attach"):
            arguments["files"] = [
                {"name": n, "file": "none: simulated", "sha256": ""} for n in prompt["attach"]
            ]
        if prompt.get("checked"):
            arguments["checked_by"] = "a second simulated operator"
        entered = enter({**prompt, "run": run.run_id})
        given.append((f"{run.run_id}/{prompt['id']}/{prompt['asked_s']}", {**arguments, **entered}))
    return given
