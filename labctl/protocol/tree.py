"""A document as a tree whose every value knows where it was written, so that pieces of several can be put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from labctl.protocol.source import Document, Path, Place


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; `key`: where its key does.

    content: a plain scalar, or a dict or list of nodes, which nobody changes.
    """

    content: Any
    at: Place
    key: Place | None = None

    def get(self, name: str) -> Node | None:
        """What a mapping holds under a key; None for anything else."""
        return self.content.get(name) if isinstance(self.content, dict) else None

    def text(self, name: str) -> str | None:
        """As `get`, for a text."""
        found = self.get(name)
        return found.content if found is not None and isinstance(found.content, str) else None

    def items(self) -> list[Node]:
        """What a list holds; nothing for anything else."""
        return self.content if isinstance(self.content, list) else []

    def having(self, **changes: Node | None) -> Node:
        """A mapping with other values; None takes one away."""
        content = {k: v for k, v in (self.content | changes).items() if v is not None}
        return replace(self, content=content)


def plant(value: Any, at: Place) -> Node:
    """A tree of plain values that nobody wrote: all of it stands at one place."""
    if isinstance(value, dict):
        return Node({k: plant(v, at) for k, v in value.items()}, at, at)
    if isinstance(value, list):
        return Node([plant(v, at) for v in value], at, at)
    return Node(value, at, at)


def grown(document: Document) -> Node:
    """The tree of a document."""

    def node(value: Any, path: Path) -> Node:
        key = document.spot(path, key=True) if path in document.keys else None
        content = value
        if isinstance(value, dict):
            content = {k: node(v, (*path, k)) for k, v in value.items()}
        elif isinstance(value, list):
            content = [node(v, (*path, i)) for i, v in enumerate(value)]
        return Node(content, document.spot(path), key)

    return node(document.data, ())


def felled(root: Node, name: str, text: str) -> Document:
    """The document of a tree."""
    values: dict[Path, tuple[int, int]] = {}
    keys: dict[Path, tuple[int, int]] = {}
    files: dict[Path, str] = {}

    def plain(node: Node, path: Path, file: str) -> Any:
        values[path] = node.at[1:]
        if node.key is not None:
            keys[path] = node.key[1:]
        if node.at.file != file:
            file = files[path] = node.at.file
        if isinstance(node.content, dict):
            return {k: plain(v, (*path, k), file) for k, v in node.content.items()}
        if isinstance(node.content, list):
            return [plain(v, (*path, i), file) for i, v in enumerate(node.content)]
        return node.content

    return Document(name, text, plain(root, (), name), values, keys, files)


def plain(node: Node) -> Any:
    """The plain values of a tree."""
    if isinstance(node.content, dict):
        return {k: plain(v) for k, v in node.content.items()}
    return [plain(v) for v in node.content] if isinstance(node.content, list) else node.content


def size(node: Node) -> int:
    """How many values there are in a tree."""
    below = node.content.values() if isinstance(node.content, dict) else node.items()
    return 1 + sum(size(each) for each in below)
