"""Which steps of a plan have which chambers."""

from __future__ import annotations

from labctl.bench.loader import load_bench
from labctl.protocol.plan import Manual
from labctl.protocol.spans import Span, spans
from labctl.protocol.validation import load_plan
from tests.engine.bench import cool, cycle, dry, inert, purge, stir, unload


def test_steps_in_a_row_that_share_a_chamber_are_one_span() -> None:
    found = spans([stir(), dry(), purge(), inert(), cool(), unload(), cycle()])
    assert found == (
        Span(("stir",), frozenset({"vessel"})),
        Span(("dry",), frozenset({"drying-oven"})),
        Span(("purge", "heat", "cool", "unload"), frozenset({"tube"})),
        Span(("cycle",), frozenset({"cell"})),
    )


def test_a_step_that_needs_no_chamber_goes_with_what_follows() -> None:
    weigh = Manual(id="weigh", do="Weigh the dish")
    assert spans([dry(), weigh, dry(id="again")])[0].steps == ("dry", "weigh", "again")
    assert [span.steps for span in spans([dry(), weigh, purge()])] == [("dry",), ("weigh", "purge")]
    assert spans([weigh]) == ()
    assert spans([dry(), weigh]) == (Span(("dry",), frozenset({"drying-oven"})),)


def test_a_span_begins_where_a_person_carries_the_batch_in() -> None:
    load = Manual(id="load", do="Load the boat", into="tube")
    assert spans([dry(), load, purge()])[1].steps == ("load", "purge")


def test_the_papers_protocol_has_four_spans() -> None:
    plan, _ = load_plan("3dp-nvp-c", {}, load_bench("standard"))
    assert plan is not None
    assert [(sorted(span.chambers), span.steps[0], span.steps[-1]) for span in spans(plan.steps)] == [
        (["vessel"], "peroxide-test", "mix"),
        (["drying-oven"], "pour", "age"),
        (["tube"], "load-tube", "unload"),
        (["cell"], "carbon", "test"),
    ]
