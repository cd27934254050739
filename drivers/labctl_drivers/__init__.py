"""Instrument drivers that ship with labctl, one module per instrument family."""
