"""Taking in the plan that a request brings: its documents are kept, and a reason against it goes with the request."""

from __future__ import annotations

from collections.abc import Callable

from labctl.bench.schema import Bench
from labctl.errors import StoreError
from labctl.model.commands import Request
from labctl.protocol.plan import Plan
from labctl.store import Store

BRING_PLANS = frozenset({"submit", "revise"})


def admitted(
    request: Request, store: Store, bench: Bench, against: Callable[[Plan], str | None]
) -> tuple[Request, Plan | None]:
    """The request as it is decided, and its plan, None when it cannot be read or is another bench's.

    against: what else speaks against a plan here and now.
    """
    args = dict(request.args)
    documents = args.pop("documents", {})
    try:
        plan = Plan.model_validate_json(documents["plan"])
        kept = {f"{kind}_document": store.put_document(kind, text) for kind, text in documents.items()}
    except (KeyError, ValueError, StoreError) as error:
        return request._replace(args={**args, "against": f"its plan cannot be read: {error}"}), None
    args["about"] = {**args.get("about", {}), **kept}
    if plan.bench_identity != bench.identity or plan.simulated != bench.simulated:
        reason: str | None = "its plan was made for another bench; plan it anew"
        return request._replace(args={**args, "against": reason}), None
    reason = against(plan)
    if reason is not None:
        args["against"] = reason
    return request._replace(args=args), plan
