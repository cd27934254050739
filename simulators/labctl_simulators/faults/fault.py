"""What a fault is, and what a kind of fault is made of."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from labctl_simulators.twin import Twin

Layer = Literal["host", "wire", "protocol", "device", "physics"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""From the outside in."""

Undo = Callable[[], None]


class Condition(NamedTuple):
    """A fault may wait until the plant's truth is so: `of` is a path as in "furnace.tube_c"."""

    of: str
    above: float | None = None
    below: float | None = None

    @classmethod
    def said(cls, data: Any) -> Condition:
        """From plain data. Raises ValueError saying what is wrong with it."""
        if not isinstance(data, Mapping):
            raise ValueError(f"when is {{of: furnace.tube_c, above: 200}}, not {data!r}")
        for key, value in data.items():
            if key not in cls._fields:
                raise ValueError(f"when has no {key!r}{nearest(str(key), cls._fields)}")
            if wanted := _wanted(key, "" if key == "of" else 0.0, value):
                raise ValueError(f"{key} of when is {wanted}, not {value!r}")
        if "of" not in data or len(data) == 1:
            raise ValueError(f"when needs of, and above or below: {dict(data)!r}")
        return cls(**data)

    def holds(self, truth: Mapping[str, Any]) -> bool:
        """Whether it is so now. Raises KeyError when the truth has no such value."""
        value: Any = truth
        for part in self.of.split("."):
            value = value[part]
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. It begins and ends on whole seconds of plant time.

    instrument: whose wire, device, sensor or chamber. kind: one of `KINDS`.
    at_s: plant time at which it begins, or with `when` the seconds after that came true.
    for_s: how long it lasts; None: until it is cleared.
    parameters: the kind's own; what is left out has the kind's default.
    """

    instrument: str
    kind: str
    at_s: float = 0.0
    for_s: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    when: Condition | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Fault:
        """From plain data, with the parameters completed. Raises ValueError saying what is wrong with it."""
        known = {"instrument", "layer", "kind", "at_s", "for_s", "parameters", "when"}
        for key in data:
            if key not in known:
                raise ValueError(f"a fault has no {key!r}{nearest(key, known)}")
        for key in ("instrument", "kind"):
            if not isinstance(data.get(key), str):
                raise ValueError(f"a fault needs {key!r}: {dict(data)!r}")
        name = data["kind"]
        if name not in kinds:
            raise ValueError(f"there is no fault {name!r}{nearest(name, kinds)}")
        kind = kinds[name]
        if data.get("layer", kind.layer) != kind.layer:
            raise ValueError(f"{name} is a fault of the layer {kind.layer!r}, not {data['layer']!r}")
        given = data.get("parameters") or {}
        if not isinstance(given, Mapping):
            raise ValueError(f"parameters are names with values, not {given!r}")
        for parameter, value in given.items():
            if parameter not in kind.parameters:
                raise ValueError(
                    f"{name} has no parameter {parameter!r}{nearest(str(parameter), kind.parameters)}"
                )
            if wanted := _wanted(parameter, kind.parameters[parameter], value):
                raise ValueError(f"{parameter} of {name} is {wanted}, not {value!r}")
        lasts, when = data.get("for_s", kind.for_s), data.get("when")
        return cls(
            data["instrument"],
            name,
            _seconds("at_s", data.get("at_s", 0.0)),
            None if lasts is None else _seconds("for_s", lasts),
            {**kind.parameters, **given},
            None if when is None else Condition.said(when),
        )


class Overlays:
    """What faults have changed of models: the newest change shows, and each can end before or after the others."""

    def __init__(self) -> None:
        self._layers: dict[tuple[int, str], list[tuple[object, Any]]] = {}

    def change(self, model: Any, /, **values: Any) -> Undo:
        """Set attributes (of a dictionary, entries) until the returned function is called."""
        look, put = (dict.__getitem__, dict.__setitem__) if isinstance(model, dict) else (getattr, setattr)
        token = object()
        for name, value in values.items():
            layers = self._layers.setdefault((id(model), name), [(None, look(model, name))])
            layers.append((token, value))
            put(model, name, value)

        def undo() -> None:
            for name in values:
                layers = self._layers[id(model), name]
                layers[:] = [layer for layer in layers if layer[0] is not token]
                put(model, name, layers[-1][1])
                if len(layers) == 1:
                    del self._layers[id(model), name]

        return undo


@dataclass(frozen=True, slots=True)
class Target:
    """What a kind of fault gets to work with.

    name, device: the instrument and its simulated device. hit: call it for everything that the fault does, with a
    few words. draw: a number in [0, n), a new one each time, by seed. change: set attributes of a model until the
    returned function is called. each_tick: the same for something to do every second of plant time.
    """

    twin: Twin
    name: str
    device: Any
    fault: Fault
    hit: Callable[[str], None]
    draw: Callable[[int], int]
    change: Callable[..., Undo]
    each_tick: Callable[[Callable[[float], None]], Undo]

    def __getitem__(self, parameter: str) -> Any:
        """A parameter of the fault."""
        return self.fault.parameters[parameter]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    begin: does it, and returns what ends it. help: one line. parameters: with their defaults. devices: which
    simulated instruments can have it; None: all. for_s: how long it lasts unless the fault says so.
    """

    layer: Layer
    begin: Callable[[Target], Undo]
    help: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    devices: Collection[str] | None = None
    for_s: float | None = None


def nearest(word: str, known: Collection[str]) -> str:
    """The hint at the end of an error message: the nearest known word, or all of them."""
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known)) or 'none'}"


def nothing() -> None:
    """What ends a fault that leaves nothing to undo."""


CHOICES: Mapping[str, tuple[str, ...]] = {"side": ("reply", "request"), "on": ("any", "read", "write")}
TEXTS = ("match", "bytes")
"""Parameters that are bytes: text, or hexadecimal after `0x`."""


def _wanted(name: str, default: Any, value: Any) -> str | None:
    """What a value should be and is not; None when it is that. Found when a fault is asked for, not when it begins."""
    if value is None and default is None:
        return None
    if name in CHOICES:
        return None if value in CHOICES[name] else f"one of {', '.join(CHOICES[name])}"
    if isinstance(default, str) or (name in TEXTS and default is None):
        return None if isinstance(value, str) and _is_bytes(value) else "text, or bytes as in 0x01ff"
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if name == "chance":
        return None if number and 0 <= value <= 1 else "a number from 0 to 1"
    return None if number else "a number"


def _is_bytes(text: str) -> bool:
    try:
        bytes.fromhex(text.removeprefix("0x") if text.startswith("0x") else "")
    except ValueError:
        return False
    return True


def _seconds(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{what} is a number of seconds, not {value!r}")
    return float(value)
