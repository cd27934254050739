"""The wire of a BTS 8.0 server: XML documents, each ended by a line of `#`; replies spelt as captured ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from labctl_simulators.devices.api import Replies

TERMINATOR = b"\n\n#\r\n"
_MARK = b"#\r\n"
_PROLOG = b"<?xml"
LONGEST = 1_000_000
"""Bytes of a request after which what came is thrown away (assumed)."""

Element = ElementTree.Element
Answer = Callable[[str, Element, float], tuple[float, str] | None]
"""(command, request, plant time) -> delay in s and the inside of the reply, or None for silence."""


def element(tag: str, text: str = "", /, **values: object) -> str:
    """One element; without text it is empty."""
    attributes = "".join(
        f" {name}={quoteattr(value)}" if type(value) is str else f' {name}="{value}"'
        for name, value in values.items()
    )
    return f"<{tag}{attributes}>{escape(text)}</{tag}>" if text else f"<{tag}{attributes} />"


def listed(rows: list[str]) -> str:
    """Elements in a counted list."""
    if not rows:
        return '  <list count="0" />\r\n'
    inside = "".join(f"    {row}\r\n" for row in rows)
    return f'  <list count="{len(rows)}">\r\n{inside}  </list>\r\n'


class BtsSession:
    """Requests in any split, each answered by `answer`.

    A client that hung up in the middle of a request leaves half of it; the next client's begins with its
    own prolog, and there the request is taken to begin. What is not XML gets no answer (assumed).
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._held = b""

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes as they arrive; answer every request that they complete."""
        *whole, rest = (self._held + data).split(_MARK)
        self._held = rest if len(rest) < LONGEST else b""
        replies: Replies = []
        busy_s = 0.0
        for message in whole:
            root = _parsed(message[max(0, message.rfind(_PROLOG)) :])
            if root is None:
                continue
            command = root.findtext("cmd", "")
            answered = self._answer(command, root, now_s)
            if answered is None:
                continue
            # one request at a time
            busy_s += answered[0]
            reply = f'<?xml version="1.0" encoding="UTF-8"?>\r\n<bts version="1.0">\r\n{answered[1]}</bts>'
            replies.append((busy_s, reply.encode("utf-8") + TERMINATOR))
        return replies


@lru_cache(maxsize=64)
def _parsed(message: bytes) -> Element | None:
    try:
        return ElementTree.fromstring(message.strip())
    except ElementTree.ParseError:
        return None
