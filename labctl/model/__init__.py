"""Quantities, readings, events and commands: frozen data that every room of the house shares."""
