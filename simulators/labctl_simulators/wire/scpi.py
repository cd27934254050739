"""SCPI over a byte stream: messages end with a newline; headers, parameters and replies are text.

A device declares its commands in the notation of SCPI manuals, `:SOURce[1]:VOLTage[:LEVel]?`:
capitals are the short form, brackets may be left out, upper and lower case are alike. Commands of
one message are separated by semicolons, and a header without a leading colon continues the path of
the one before (SCPI 1999, 6.2.4).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import NamedTuple, Protocol

from labctl_simulators.devices.api import Replies

LONGEST_MESSAGE = 4096
"""Bytes without a newline after which the input is thrown away (assumed)."""

Handler = Callable[..., str | None]
"""(device, time in s, parameters) -> the reply, or None for a command that has none."""


class ScpiError(Exception):
    """A message the instrument does not take: number and text for its error queue."""

    def __init__(self, number: int, text: str) -> None:
        """Keep both."""
        super().__init__(number, text)
        self.number = number
        self.text = text


UNDEFINED_HEADER = (-113, "Undefined header")
MISSING_PARAMETER = (-109, "Missing parameter")
PARAMETER_NOT_ALLOWED = (-108, "Parameter not allowed")
DATA_TYPE = (-104, "Data type error")
OUT_OF_RANGE = (-222, "Data out of range")
ILLEGAL_VALUE = (-224, "Illegal parameter value")


class ScpiDevice(Protocol):
    """What the session needs of an instrument."""

    commands: Mapping[str, Handler]

    def error(self, number: int, text: str, now_s: float) -> None:
        """Put an error into the queue."""

    def takes_s(self, handler: Handler) -> float:
        """Seconds from the end of a query to its reply."""


class Call(NamedTuple):
    """One command of a message, looked up: its handler and parameters, or the error it is."""

    handler: Handler | None
    parameters: tuple[str, ...]
    query: bool
    error: tuple[int, str] | None


_TOKEN = re.compile(r"[A-Z]+[a-z]*|.")


@cache
def header_pattern(notation: str) -> re.Pattern[str]:
    """The regular expression of all spellings of a header in manual notation, for upper-case input."""
    parts = []
    for token in _TOKEN.findall(notation):
        if token == "[":
            parts.append("(?:")
        elif token == "]":
            parts.append(")?")
        elif token[0].isalpha():
            short = "".join(c for c in token if c.isupper())
            parts.append(short if short == token else f"(?:{short}|{token.upper()})")
        else:
            parts.append(re.escape(token))
    return re.compile("".join(parts))


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside of quoted strings, and strip the pieces."""
    pieces, quote, start = [], "", 0
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == separator:
            pieces.append(text[start:i].strip())
            start = i + 1
    pieces.append(text[start:].strip())
    return pieces


def parameter_count_error(handler: Handler, given: int) -> tuple[int, str] | None:
    """The error of giving a handler that many parameters, by its own signature; None when it takes them."""
    _device, _now, *takes = inspect.signature(handler).parameters.values()
    if given < sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in takes):
        return MISSING_PARAMETER
    if given > len(takes) and not any(p.kind is p.VAR_POSITIONAL for p in takes):
        return PARAMETER_NOT_ALLOWED
    return None


class ScpiSession:
    """Bytes in, timed bytes out, for one instrument."""

    def __init__(self, device: ScpiDevice) -> None:
        """Compile the device's command table."""
        self._device = device
        self._patterns = [(header_pattern(n), h) for n, h in device.commands.items()]
        self._parse = lru_cache(maxsize=512)(self._parse_message)
        self._input = b""

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Answer the complete messages; keep the rest for the next bytes."""
        pending = self._input + data if self._input else data
        *messages, rest = pending.split(b"\n")
        if len(rest) > LONGEST_MESSAGE:
            self._device.error(-363, "Input buffer overrun", now_s)
            rest = b""
        self._input = rest
        replies: Replies = []
        delay_s = 0.0
        for message in messages:
            answers = []
            for handler, parameters, query, wrong in self._parse(message):
                if handler is None or wrong is not None:
                    self._device.error(*(wrong or UNDEFINED_HEADER), now_s)
                    continue
                if query:
                    delay_s += self._device.takes_s(handler)
                try:
                    answer = handler(self._device, now_s + delay_s, *parameters)
                except ScpiError as error:
                    self._device.error(error.number, error.text, now_s)
                    continue
                if answer is not None:
                    answers.append(answer)
            if answers:
                replies.append((delay_s, (";".join(answers) + "\n").encode("ascii")))
        return replies

    def _parse_message(self, message: bytes) -> tuple[Call, ...]:
        calls, path = [], ""
        for command in split_outside_quotes(message.decode("latin-1"), ";"):
            if not command:
                continue
            header, _, rest = command.partition(" ")
            header = header.upper()
            if header.startswith("*"):
                full = header
            else:
                full = header if header.startswith(":") else f"{path}:{header}"
                path = full.rpartition(":")[0]
            parameters = tuple(split_outside_quotes(rest, ",")) if rest.strip() else ()
            handler = self._find(full)
            wrong = parameter_count_error(handler, len(parameters)) if handler else UNDEFINED_HEADER
            calls.append(Call(handler, parameters, full.endswith("?"), wrong))
        return tuple(calls)

    def _find(self, header: str) -> Handler | None:
        for pattern, handler in self._patterns:
            if pattern.fullmatch(header):
                return handler
        return None
