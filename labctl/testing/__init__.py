"""What a lab tests with: a pytest plugin for its bench, and a conformance suite for its drivers.

`labctl.testing.plugin` is loaded by pytest itself and imports nothing until one of its fixtures is used.
"""
