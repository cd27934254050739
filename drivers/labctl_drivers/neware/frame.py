"""The wire of a BTS 8.0 server: XML documents that end in a line of `#`. Bytes to rows, no sockets.

Framing and replies after captures from a real server (aurora-neware 0.2.3). A reply is read by a grammar
of its own, which forgives what that server is known to do (blanks, line ends, a stray quote between
elements) and nothing else: what is not wholly understood is no reply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from xml.sax.saxutils import unescape

END = b"\n\n#\r\n"
"""What every message ends with, both ways."""

_HEAD = b'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0">'
_DOCUMENT = re.compile(
    r'\s*<\?xml[^<>]*\?>\s*<bts version="[\d.]+"\s*>\s*<cmd>\s*(\w+)\s*</cmd>(.*)</bts>\s*', re.DOTALL
)
_ELEMENT = re.compile(r'[\s"]*<(/?)(\w+)((?:\s+\w+\s*=\s*"[^"<]*")*)\s*(/?)>([^<>]*)')
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"<]*)"')
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,18})?([eE][+-]?\d{1,2})?", re.ASCII)


class Row(NamedTuple):
    """One element of a reply: its name, attributes and text."""

    tag: str
    values: Mapping[str, str]
    text: str

    def word(self, name: str) -> str:
        """Text of it. Raises ValueError when it is missing."""
        if name not in self.values:
            raise ValueError(f"{self.tag} without {name}")
        return self.values[name]

    def number(self, name: str) -> float:
        """A number of it. Raises ValueError when it is missing or is none."""
        text = self.word(name)
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{self.tag} {name}={text!r} is no number")
        return float(text)

    def count(self, name: str) -> int:
        """A whole number of it. Raises ValueError."""
        value = self.number(name)
        if value != int(value) or value < 0:
            raise ValueError(f"{self.tag} {name}={value:g} is no count")
        return int(value)


class Reply(NamedTuple):
    """What a server answered: the command it names, and every element after it in order."""

    command: str
    rows: tuple[Row, ...]

    def all(self, tag: str) -> tuple[Row, ...]:
        """The elements of that name."""
        return tuple(row for row in self.rows if row.tag == tag)

    def one(self, tag: str) -> Row:
        """The only element of that name. Raises ValueError when there are none or several."""
        rows = self.all(tag)
        if len(rows) != 1:
            raise ValueError(f"{len(rows)} elements <{tag}> where there is one")
        return rows[0]


@lru_cache(maxsize=64)
def request(body: str) -> bytes:
    """The bytes of one request."""
    return _HEAD + body.encode("utf-8") + b"</bts>" + END


@lru_cache(maxsize=64)
def parse(raw: bytes) -> Reply:
    """One whole reply, its end included. Raises ValueError for anything that is not just that."""
    if not raw.endswith(END) or raw.find(END) != len(raw) - len(END):
        raise ValueError("not one whole reply")
    document = _DOCUMENT.fullmatch(raw[: -len(END)].decode("utf-8"))
    if document is None:
        raise ValueError("not a reply of a BTS server")
    command, body = document.groups()
    rows: list[Row] = []
    open_tags: list[str] = []
    at = 0
    while match := _ELEMENT.match(body, at):
        closing, tag, attributes, empty, text = match.groups()
        at = match.end()
        if (closing or empty) and text.strip(' \t\r\n"'):
            raise ValueError(f"{text[:40]!r} between elements")
        if closing:
            if attributes or empty or not open_tags or open_tags.pop() != tag:
                raise ValueError(f"</{tag}> closes nothing")
            continue
        rows.append(Row(tag, _values(attributes), unescape(text).strip()))
        if not empty:
            open_tags.append(tag)
    if open_tags or body[at:].strip():
        raise ValueError(f"a reply that ends at {body[at : at + 40]!r}")
    return Reply(command, tuple(rows))


def _values(attributes: str) -> dict[str, str]:
    pairs = _ATTRIBUTE.findall(attributes)
    values = dict(pairs)
    if "&" in attributes:
        values = {name: unescape(text, {"&quot;": '"', "&apos;": "'"}) for name, text in pairs}
    if len(values) != len(pairs):
        raise ValueError(f"an attribute twice in {attributes!r}")
    return values
