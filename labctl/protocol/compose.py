"""One protocol out of several files: `extends` another protocol and changes it, `include`s parts among its steps.

Everything is resolved before anything is judged: what is checked, hashed and run is the whole text, and each value
still knows the file, line and column where it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from labctl.errors import Finding, ValidationError
from labctl.protocol.diagnosis import nearest
from labctl.protocol.library import based_on, known
from labctl.protocol.schema import AWAITED, KINDS
from labctl.protocol.source import Document, read
from labctl.protocol.tree import Node, felled, grown, plain, size

NAMED = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
MOST_STEPS, MOST_VALUES = 1000, 100_000
"""Of a whole protocol: parts in parts and repeats in repeats would else fill the memory (assumed)."""
PART_KEYS = ("part", "title", "parameters", "roles", "steps")
INCLUDE_KEYS = ("include", "as", "before", "after")
SORTS = (*KINDS, *AWAITED, "repeat", "parallel")
"""What a step may be: one of these."""
CHANGE_KEYS = ("remove", "before", "after")
"""What only a step of an extending protocol may say: that it goes, or where it comes in."""


def compose(document: Document, folder: Path | None = None) -> Document:
    """The document with everything that it extends and includes. Raises ValidationError with what is wrong.

    folder: where protocols are looked up besides the document's own place (default: where one stands).
    """
    if not is_composed(document.data):
        return document
    whole = _Composer(folder).protocol(grown(document), (_own(document.name),))
    return felled(whole, document.name, document.text)


def is_composed(data: Any) -> bool:
    """Whether a protocol is made of more than itself."""
    return isinstance(data, dict) and ("extends" in data or _includes(data.get("steps")))


def _includes(value: Any) -> bool:
    if isinstance(value, dict):
        return "include" in value or any(_includes(each) for each in value.values())
    return isinstance(value, list) and any(_includes(each) for each in value)


def _own(name: str) -> Path:
    return Path(name).resolve()


def refused(rule: str, node: Node, message: str, hint: str | None = None) -> ValidationError:
    """An error at a node."""
    return ValidationError([finding(rule, node, message, hint)])


def finding(rule: str, node: Node, message: str, hint: str | None = None) -> Finding:
    """A finding at a node."""
    return Finding(rule, "error", message, *node.at, hint)


@dataclass
class _Composer:
    folder: Path | None
    steps: int = 0
    values: int = 0

    def protocol(self, root: Node, chain: tuple[Path, ...]) -> Node:
        """A protocol with its parts, over the one that it extends."""
        extends = root.get("extends")
        steps = root.get("steps")
        parts: list[Node] = []
        if steps is not None and isinstance(steps.content, list):
            steps = replace(steps, content=list(self.included(steps.items(), chain, parts)))
        root = root.having(steps=steps)
        for block in ("parameters", "roles"):
            root = root.having(**{block: _declared(root.get(block), [p.get(block) for p in parts], block)})
        if extends is None:
            return root
        base, chain = self.file(extends, chain, part=False)
        return _extended(self.protocol(base, chain), root.having(extends=None))

    def included(self, steps: list[Node], chain: tuple[Path, ...], parts: list[Node]) -> Iterator[Node]:
        """Steps, with those of a part instead of each `include`, at any depth."""
        for step in steps:
            name = step.get("include")
            if name is None:
                step = self._inside(step, chain, parts)
                self.steps, self.values = self.steps + 1, self.values + size(step)
                if self.steps > MOST_STEPS or self.values > MOST_VALUES:
                    message = f"more than {MOST_STEPS} steps or {MOST_VALUES} values with all parts"
                    raise refused("INC-005", step, message)
                yield step
                continue
            for key in step.content:
                if key not in INCLUDE_KEYS:
                    raise refused(
                        "SCH-001", step.content[key], f"unknown key {key!r}", nearest(key, INCLUDE_KEYS)
                    )
            part, within = self.file(name, chain, part=True)
            for key, value in part.content.items():
                if key not in PART_KEYS:
                    raise refused("SCH-001", value, f"unknown key {key!r}", nearest(key, PART_KEYS))
            body = part.get("steps")
            if body is None or not isinstance(body.content, list):
                raise refused("SCH-002", part, "a part is made of `steps`")
            inner = list(self.included(body.items(), within, parts))
            parts.append(part)
            suffix = step.get("as")
            if suffix is not None and not is_name(suffix.content):
                raise refused(
                    "SCH-003", suffix, f"as: {suffix.content!r} is not a name", "write `as: second`"
                )
            inner = renamed(inner, f"-{suffix.content}") if suffix is not None else inner
            if inner:
                inner[0] = inner[0].having(**{k: step.get(k) for k in ("before", "after") if step.get(k)})
            yield from inner

    def _inside(self, step: Node, chain: tuple[Path, ...], parts: list[Node]) -> Node:
        """A step that has steps inside."""
        repeat, parallel = step.get("repeat"), step.get("parallel")
        if repeat is not None and (body := repeat.get("steps")) is not None:
            inner = replace(body, content=list(self.included(body.items(), chain, parts)))
            step = step.having(repeat=repeat.having(steps=inner))
        if parallel is not None and isinstance(parallel.content, dict):
            lanes = {
                name: replace(lane, content=list(self.included(lane.items(), chain, parts)))
                if isinstance(lane.content, list)
                else lane
                for name, lane in parallel.content.items()
            }
            step = step.having(parallel=replace(parallel, content=lanes))
        return step

    def file(self, name: Node, chain: tuple[Path, ...], *, part: bool) -> tuple[Node, tuple[Path, ...]]:
        """The tree of a part or protocol, and the chain of files that led to it."""
        kind = "part" if part else "protocol"
        if not is_name(name.content):
            hint = f"{kind}s are looked up by name, without a path or an ending"
            raise refused("INC-003", name, f"{name.content!r} is not the name of a {kind}", hint)
        beside = Path(name.at.file).parent
        path = based_on(name.content, beside, self.folder, part=part, without=chain[-1])
        if path is None:
            if (self_named := based_on(name.content, beside, self.folder, part=part)) is not None:
                raise _circular(name, (*chain, self_named.resolve()))
            near = nearest(name.content, known(beside, self.folder, part=part))
            raise refused("INC-001", name, f"there is no {kind} {name.content!r}", near)
        own = path.resolve()
        if own in chain:
            raise _circular(name, (*chain, own))
        try:
            root = grown(read(path.read_bytes(), str(path)))
        except OSError as error:
            raise refused("FILE-002", name, f"{path} cannot be read: {error.strerror}") from None
        if not isinstance(root.content, dict):
            raise refused("SCH-003", root, f"a {kind} is made of `key: value`")
        return root, (*chain, own)


def is_name(value: object) -> bool:
    """Whether protocols and parts may be called so: no path, no ending."""
    return isinstance(value, str) and NAMED.fullmatch(value) is not None


def _circular(name: Node, chain: tuple[Path, ...]) -> ValidationError:
    way = " -> ".join(path.stem for path in chain)
    return refused("INC-002", name, f"{name.content!r} leads back to itself: {way}", "take one of them out")


def _declared(own: Node | None, parts: list[Node | None], block: str) -> Node | None:
    """A block of declarations: of the parts, which must agree, and over them the protocol's own."""
    found = [part for part in parts if part is not None and isinstance(part.content, dict)]
    if not found or (own is not None and not isinstance(own.content, dict)):
        return own
    merged: dict[str, Node] = {}
    for part in found:
        for name, node in part.content.items():
            first = merged.setdefault(name, node)
            if plain(first) != plain(node):
                message = f"{name!r} of {block} is declared otherwise at {first.at.file}:{first.at.line}"
                raise refused("INC-004", node, message, "one name means one thing in a whole protocol")
    base = replace(found[0], content=merged)
    return base if own is None else _merged(base, own)


def _merged(base: Node, over: Node) -> Node:
    """`over` laid upon `base`: mappings key by key, everything else whole; null takes a key away."""
    if not isinstance(base.content, dict) or not isinstance(over.content, dict):
        return over
    content = dict(base.content)
    for key, node in over.content.items():
        if node.content is None:
            content.pop(key, None)
        else:
            content[key] = _merged(content[key], node) if key in content else node
    return replace(over, content=content)


def _extended(base: Node, over: Node) -> Node:
    """A protocol laid upon the one that it extends; its steps change those of the same id, or come in besides."""
    steps = over.get("steps")
    if steps is None:
        return _merged(base, over)
    under = base.get("steps")
    whole = _merged(base, over.having(steps=None))
    if under is None or not isinstance(steps.content, list):
        return whole.having(steps=steps)
    return whole.having(steps=replace(steps, content=_changed(list(under.items()), steps.items())))


def _changed(steps: list[Node], changes: list[Node]) -> list[Node]:
    """Steps after the changes of an extending protocol, in the order in which it says them."""
    findings: list[Finding] = []
    last: str | None = None
    for change in changes:
        try:
            steps, last = _one_changed(steps, change, last)
        except ValidationError as error:
            findings += error.findings
            last = change.text("id") if change.get("before") or change.get("after") else None
    if findings:
        raise ValidationError(findings)
    return steps


def _one_changed(steps: list[Node], change: Node, last: str | None) -> tuple[list[Node], str | None]:
    """Steps after one change, and the id of the step that it brought in, if it did.

    last: what came in just before, behind which another new step comes.
    """
    name = change.text("id")
    if name is None:
        raise refused("SCH-002", change, "'id' is missing: which step is changed, or comes in?")
    ids = [step.text("id") for step in steps]
    new = change.having(**dict.fromkeys(CHANGE_KEYS))
    place = change.get("before") or change.get("after")
    if place is not None:
        if name in ids:
            message = f"step {name!r} is there already; a change stays where the step is"
            raise refused("EXT-002", change, message, "take `before` or `after` away")
        if place.content not in ids:
            near = nearest(place.content, [each for each in ids if each])
            raise refused("EXT-001", place, f"there is no step {place.content!r}", near)
        index = ids.index(place.content) + (change.get("before") is None)
        return [*steps[:index], new, *steps[index:]], name
    if name in ids:
        index = ids.index(name)
        kept = [] if _goes(change) else [_step_changed(steps[index], new)]
        return [*steps[:index], *kept, *steps[index + 1 :]], None
    for index, step in enumerate(steps):
        if name in ids_in(step):
            return [*steps[:index], _changed_inside(step, name, change), *steps[index + 1 :]], None
    if last is not None:
        index = (
            ids.index(last) + 1 if last in ids else len(ids)
        )  # that its place is not there was said before
        return [*steps[:index], new, *steps[index:]], name
    near = nearest(name, [each for each in ids if each])
    message = f"there is no step {name!r} to change; a new one says `before:` or `after:`"
    raise refused("EXT-001", change.content["id"], message, near)


def _goes(change: Node) -> bool:
    """Whether a change takes its step away."""
    remove = change.get("remove")
    if remove is not None and (remove.content is not True or len(change.content) > 2):
        raise refused("EXT-002", remove, "write `{id: ..., remove: true}`, and nothing else")
    return remove is not None


def _changed_inside(step: Node, name: str, change: Node) -> Node:
    """A block with a step inside it changed."""

    def body(steps: Node) -> Node:
        inside = steps.items() and name in ids_in(steps)
        return replace(steps, content=_one_changed(steps.items(), change, None)[0]) if inside else steps

    repeat, parallel = step.get("repeat"), step.get("parallel")
    if repeat is not None and (steps := repeat.get("steps")) is not None:
        return step.having(repeat=repeat.having(steps=body(steps)))
    if parallel is not None and isinstance(parallel.content, dict):
        lanes = {key: body(lane) for key, lane in parallel.content.items()}
        return step.having(parallel=replace(parallel, content=lanes))
    return step


def _step_changed(step: Node, change: Node) -> Node:
    """A step changed key by key; another kind takes the place of the old one."""
    kinds = [key for key in change.content if key in SORTS]
    other = {key: None for key in step.content if key in SORTS and kinds and key not in kinds}
    return _merged(step.having(**other), change)


def renamed(steps: list[Node], suffix: str) -> list[Node]:
    """Steps whose ids end in a suffix, and what they say of each other follows."""
    ids = {name for step in steps for name in ids_in(step)}

    def follow(node: Node, *, inside: bool = False) -> Node:
        if isinstance(node.content, str) and inside and node.content in ids:
            return replace(node, content=node.content + suffix)
        if isinstance(node.content, list):
            return replace(node, content=[follow(each, inside=inside) for each in node.content])
        if isinstance(node.content, dict):
            return replace(
                node, content={k: follow(v, inside=k in ("id", *REFER)) for k, v in node.content.items()}
            )
        return node

    return [follow(step) for step in steps]


def ids_in(node: Node) -> Iterator[str]:
    """The ids of a step and of all steps inside it."""
    name = node.text("id")
    if name is not None:
        yield name
    for each in node.content.values() if isinstance(node.content, dict) else node.items():
        yield from ids_in(each)


REFER = ("needs", "met", "not_met")
"""Keys whose values are ids of steps."""


def whole_text(document: Document, folder: Path | None = None) -> str:
    """A protocol as one file: the text as written, or everything together where it is made of several.

    Raises ValidationError.
    """
    if not is_composed(document.data):
        return document.text
    composed = compose(document, folder)
    head = f"# {Path(document.name).stem}, with all that it extends and includes.\n"
    return head + yaml.safe_dump(composed.data, sort_keys=False, allow_unicode=True, width=200)
