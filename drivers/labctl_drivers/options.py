"""The options of a bench file, checked by name before anything is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def check_options(driver: str, options: Mapping[str, Any], valid: Iterable[str]) -> None:
    """Refuse an option that the driver does not know. Raises ValueError naming the nearest valid one."""
    names = sorted(valid)
    for name in options:
        if name in names:
            continue
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(names)}"
        raise ValueError(f"{driver}: unknown option {name!r}; {hint}")
