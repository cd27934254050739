"""Alicat MC and MCS mass-flow controllers over their serial ASCII protocol."""

from labctl_drivers.alicat.driver import ENTRY, Alicat
from labctl_drivers.alicat.frame import Frame, FrameReader, Layout, parse_layout

__all__ = ["ENTRY", "Alicat", "Frame", "FrameReader", "Layout", "parse_layout"]
