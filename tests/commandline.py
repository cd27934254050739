"""The command line as a test calls it."""

from __future__ import annotations

from collections.abc import Callable

Labctl = Callable[..., tuple[int, str, str]]
"""Words in; exit code, stdout and stderr out."""
