"""Simulated instruments that speak the real wire protocols over models of the plant."""
