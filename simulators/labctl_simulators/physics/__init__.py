"""Pure models of what the instruments act on: no input or output, no clock, no chance but counted noise.

Each model holds its state in a slotted dataclass and moves by `step(dt)`. Numbers without another tag are
engineering defaults (assumed), tuned to plausible apparatus; those from the paper or derived from it say so.
"""
