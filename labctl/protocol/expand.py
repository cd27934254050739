"""Steps that stand for several, written out before anything is judged: repeats, branches, one for each sample.

What is left is a flat list. A repeat becomes its rounds; `parallel` becomes steps that say what they need; `until` and
a `when` on a live signal become a step that decides, and steps that ask what it decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError as SchemaError

from labctl.errors import ValidationError
from labctl.protocol.blocks import WrittenRepeat
from labctl.protocol.compose import MOST_STEPS, MOST_VALUES, refused, renamed
from labctl.protocol.diagnosis import findings_of, nearest
from labctl.protocol.plan import Parameter
from labctl.protocol.source import Document, scalar
from labctl.protocol.tree import Node, felled, grown, plain, plant, size
from labctl.protocol.words import MOST_TEXT, REFERENCE

SAMPLE = "sample"
"""The word for one of the protocol's `samples`, in `each` and in texts."""

BESIDE = ("id", "title", "when")
"""What may stand beside `repeat` and `parallel`."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A document whose steps all are steps. used: parameters that said how often."""

    document: Document
    used: frozenset[str] = frozenset()


def expand(document: Document, parameters: Mapping[str, Parameter]) -> Expanded:
    """Write out all steps of a document. Raises ValidationError."""
    if not isinstance(document.data, dict) or not _folded(document.data.get("steps")):
        return Expanded(document)
    root = grown(document)
    steps = root.get("steps")
    assert steps is not None
    writer = _Writer(parameters, _samples(root.get("samples")))
    flat, _ = writer.line(steps.items(), None)
    whole = root.having(steps=replace(steps, content=flat))
    return Expanded(felled(whole, document.name, document.text), frozenset(writer.used))


def reordered(document: Document, order: list[int]) -> Document:
    """A document with its steps in another order."""
    root = grown(document)
    steps = root.get("steps")
    assert steps is not None
    moved = replace(steps, content=[steps.items()[i] for i in order])
    return felled(root.having(steps=moved), document.name, document.text)


def _folded(value: Any) -> bool:
    """Whether any step stands for several, or asks a live signal before it begins."""
    if not isinstance(value, list):
        return False
    return any(
        isinstance(step, dict)
        and ("repeat" in step or "parallel" in step or "per" in step or _asks_live(step.get("when")))
        for step in value
    )


def _asks_live(when: Any) -> bool:
    conditions = when if isinstance(when, list) else [when]
    return any(isinstance(each, dict) and "signal" in each for each in conditions)


def _samples(node: Node | None) -> list[Node]:
    """The names of the boats (electrodes, cells) that the protocol works on side by side."""
    for sample in node.items() if node is not None else ():
        if not isinstance(sample.content, str) or not re.fullmatch("[a-z0-9]+", sample.content, re.ASCII):
            message = f"{sample.content!r} is not the name of a sample"
            raise refused("SCH-003", sample, message, "small letters and digits: [a, b]")
    return node.items() if node is not None else []


@dataclass
class _Writer:
    parameters: Mapping[str, Parameter]
    samples: list[Node]
    used: set[str] = field(default_factory=set)
    steps: int = 0
    values: int = 0

    def line(self, steps: list[Node], after: list[str] | None) -> tuple[list[Node], list[str] | None]:
        """Steps one after the other, and the ids that whatever follows must wait for; None: just the one before.

        after: what the first one must wait for.
        """
        flat: list[Node] = []
        for step in self.rounds(steps):
            lanes = step.get("parallel")
            if lanes is None:
                for each in self.asked(step):
                    if after is not None and each.get("needs") is None:
                        each = each.having(needs=plant(after, each.at))
                    after = None
                    flat.append(self.counted(each))
                continue
            if not isinstance(lanes.content, dict) or len(lanes.content) < 2:
                message = "parallel wants two or more branches"
                raise refused("SCH-003", lanes, message, "write `parallel: {one: [...], other: [...]}`")
            asks = _beside(step, "parallel")
            before = after if after is not None else _ids(flat[-1:])
            ends: list[str] = []
            for name, lane in lanes.content.items():
                if not lane.items():
                    raise refused("SCH-003", lane, f"branch {name!r} has no steps")
                branch, last = self.line([_asking(each, asks) for each in lane.items()], before)
                flat += branch
                ends += last if last is not None else _ids(branch[-1:])
            after = ends
        return flat, after

    def counted(self, step: Node) -> Node:
        self.steps, self.values = self.steps + 1, self.values + size(step)
        if self.steps > MOST_STEPS or self.values > MOST_VALUES:
            raise refused("INC-005", step, f"more than {MOST_STEPS} steps or {MOST_VALUES} values in all")
        return step

    def rounds(self, steps: Iterable[Node]) -> Iterator[Node]:
        """Steps, with every round of a `repeat` instead of it."""
        for step in steps:
            per, repeat = step.get("per"), step.get("repeat")
            if per is not None:
                if per.content != SAMPLE:
                    raise refused("SCH-003", per, f"per: {per.content!r}", f"write `per: {SAMPLE}`")
                inner = [step.having(per=None)]
                yield from self.rounds(r for s in self._samples(per) for r in _for_sample(inner, s))
            elif repeat is not None:
                asks = _beside(step, "repeat")
                yield from self.rounds(_asking(each, asks) for each in self.repeated(step, repeat))
            else:
                yield step

    def repeated(self, step: Node, node: Node) -> Iterator[Node]:
        """The rounds of one repeat, with steps that decide between them where it ends by itself."""
        repeat, body = self._read(node), node.get("steps")
        assert body is not None
        values = node.get("in") or Node(self._samples(node) if repeat.each is not None else [], node.at)
        rounds = len(values.items()) if repeat.each is not None else repeat.times or repeat.at_most or 1
        if rounds * len(body.items()) > MOST_STEPS or rounds * size(body) > MOST_VALUES:
            raise refused("INC-005", node, f"more than {MOST_STEPS} steps or {MOST_VALUES} values in all")
        if repeat.each is not None:
            for value in values.items():
                if repeat.each == SAMPLE:
                    yield from _for_sample(body.items(), value)
                else:
                    named = _replaced(body.items(), repeat.each, value)
                    yield from renamed(named, f"-{_slug(value.content)}")
        elif repeat.times is not None:
            for number in range(1, repeat.times + 1):
                yield from _round(body.items(), number)
        else:
            yield from self._until(step, node, repeat, body.items())

    def _until(self, step: Node, node: Node, repeat: WrittenRepeat, body: list[Node]) -> Iterator[Node]:
        name, until = step.text("id"), node.get("until")
        if name is None or until is None or repeat.at_most is None:
            message = "a repeat until something holds has an `id` and says `at_most` how often"
            raise refused(
                "SCH-002", node, message, "{id: ..., repeat: {until: {...}, at_most: 5, steps: [...]}}"
            )
        decided: list[str] = []
        for number in range(1, repeat.at_most + 1):
            asks = [plant({"not_met": list(decided)}, node.at)] if decided else []
            suffix = f"-{number}"
            decides = {"if": until}
            if number == repeat.at_most:
                decides["otherwise"] = plant(repeat.otherwise, node.at)
            decide = Node({"id": plant(name, step.at), "decide": Node(decides, node.at, node.key)}, step.at)
            for each in renamed([*body, decide], suffix):
                yield _asking(each, asks)
            decided.append(name + suffix)

    def asked(self, step: Node) -> Iterator[Node]:
        """A step, after one that decides where its `when` asks a live signal."""
        when, name = step.get("when"), step.text("id")
        if when is None or name is None or not _asks_live(plain(when)):
            yield step
            return
        conditions = _conditions(step)
        live = [c for c in conditions if c.get("signal") is not None]
        rest = [c for c in conditions if c.get("signal") is None]
        for number, condition in enumerate(live):
            gate = f"{name}-when" + (f"-{number + 1}" if number else "")
            decide = Node({"if": condition}, condition.at, condition.key)
            made = Node({"id": plant(gate, condition.at), "decide": decide}, condition.at)
            if (needs := step.get("needs")) is not None and not number:
                made, step = made.having(needs=needs), step.having(needs=None)
            yield _asking(made, rest)
            rest = [*rest, plant({"met": gate}, condition.at)]
        yield step.having(when=replace(when, content=rest))

    def _samples(self, node: Node) -> list[Node]:
        if not self.samples:
            raise refused("SCH-002", node, "this protocol has no `samples`", "write `samples: [a, b]` above")
        return self.samples

    def _read(self, node: Node) -> WrittenRepeat:
        """The block of a repeat, its references to parameters replaced."""
        document = felled(node, node.at.file, "")
        data = document.data
        if isinstance(data, dict):
            data = {k: v if k in ("steps", "until", "in") else self._filled(v) for k, v in data.items()}
        try:
            repeat = WrittenRepeat.model_validate(data)
        except SchemaError as error:
            found = findings_of(error, document, WrittenRepeat)
            raise ValidationError(found) from None
        return repeat

    def _filled(self, value: Any) -> Any:
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[1] not in self.parameters:
            return value
        self.used.add(match[1])
        return scalar(self.parameters[match[1]].text)


def _ids(steps: list[Node]) -> list[str]:
    return [name for step in steps if (name := step.text("id")) is not None]


def _slug(value: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-") or "x"


def _round(steps: list[Node], number: int) -> list[Node]:
    return renamed(steps, f"-{number}")


def _asking(step: Node, asks: list[Node]) -> Node:
    """A step that is left out unless all of these hold too."""
    if not isinstance(step.content, dict) or not asks:
        return step
    return step.having(when=Node([*asks, *_conditions(step)], step.at, step.at))


def _conditions(step: Node) -> list[Node]:
    when = step.get("when")
    return [] if when is None else when.items() if isinstance(when.content, list) else [when]


def _beside(step: Node, kind: str) -> list[Node]:
    """What must hold for all steps of a block; nothing but names may stand beside it otherwise."""
    for key, node in step.content.items():
        if key not in (kind, *BESIDE):
            raise refused("SCH-001", node, f"unknown key {key!r} beside `{kind}`", nearest(key, BESIDE))
    asks = _conditions(step)
    for each in asks:
        if each.get("signal") is not None:
            hint = "put a `decide` step before it, and write `when: {met: ITS-ID}`"
            raise refused("SCH-003", each, f"a live signal cannot be asked for all of a `{kind}`", hint)
    return asks


def _replaced(steps: list[Node], name: str, value: Node) -> list[Node]:
    """Steps with what is written `{name}` replaced."""
    mark = f"{{{name}}}"

    def swap(node: Node) -> Node:
        if isinstance(node.content, dict):
            return replace(node, content={k: swap(v) for k, v in node.content.items()})
        if isinstance(node.content, list):
            return replace(node, content=[swap(v) for v in node.content])
        if not isinstance(node.content, str) or mark not in node.content:
            return node
        if node.content == mark:
            return replace(node, content=value.content)
        if node.content.count(mark) * len(str(value.content)) > MOST_TEXT:
            raise refused("PAR-007", node, f"grows by more than {MOST_TEXT} characters by its references")
        return replace(node, content=node.content.replace(mark, str(value.content)))

    return [swap(step) for step in steps]


def _for_sample(steps: list[Node], sample: Node) -> list[Node]:
    """Steps for one sample: `{sample}` is its name, and what is entered is entered for it."""
    named = renamed(_replaced(steps, SAMPLE, sample), f"-{sample.content}")
    return [
        step.having(sample=Node(sample.content, step.at, step.at)) if isinstance(step.content, dict) else step
        for step in named
    ]
