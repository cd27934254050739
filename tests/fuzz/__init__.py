"""Documents that nobody would write: accepted or refused with findings, never a traceback; `make fuzz` times them."""
