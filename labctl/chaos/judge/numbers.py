"""The judge's own numbers.

They are the safety contract's, written down here once more on purpose: a limit that is loosened in the product does not
loosen its judge.
"""

from __future__ import annotations

T_INERT_C, T_GAS_OFF_C, T_OPEN_C = 150.0, 100.0, 60.0
LOW_FRACTION = 0.80
SCAN_S = 1.0
GRACE_S = 5.0 + 2.0 + 1.0
"""N2 low, two scans of a furnace stage, and the second of the plant in which a command acts."""
SAFE_S = 10.0
"""G1: safe within 5 s of a trip, read back within 10 s."""
OVER_K = 25.0
OVERSHOOT_K = 40.0
"""Heat that is in the element of the small-mass furnace already when it is switched off at full power (measured)."""
WITNESS_S, WITNESS_K = 5.0, 40.0
"""A furnace whose own controller is not heard is seen by its witness alone, read every 5 s, and switched off by the
contactor once the controller's time-outs are over: later by so much, and, at full power, so much hotter (measured)."""
PERSON_S = 60.0
"""What labctl may take to bring gas back that can flow: the 60 s without progress after which it asks a person."""
TOLERANCE_K = 3.0
"""Thermocouples of a perturbed plant are off by up to 1.5 K each."""
FLOW_TOLERANCE = 0.98
"""Mass-flow controllers of a perturbed plant are off by 0.3 %."""
OXYGEN_TRIP_PPM = 1000.0
PURGE_VOLUMES = 8.0
STUCK_S = 60.0
ANALYSER_S = 20.0
"""Read every 5 s; twice before it acts; and what a zirconia cell lags (assumed)."""
WARM_UP_S = 330.0
"""A zirconia cell that lost its power warms up for 5 min (assumed), and reads nothing meanwhile; and a read more."""
CELL_S = 15.0
"""Two scans of cycling, 5 s each, and a command."""
UNSETTLED_S = 15.0
"""For so long after a fault a wire may still be out of step (three reads of the slowest)."""
CELL_LOW_V, CELL_HIGH_V = 2.0, 4.1
LATE_S = 2.0
"""By which a reading may be older or newer than the second of the plant that it shows; and an answer takes a scan."""
CREDIT_S = 30.0
"""By which a recorded soak may be longer than the seconds counted: three reads of an oven, 10 s apart."""
BYPASS_S = 15.0 + 15.0
"""Hot without protective flow for 15 s the bypass is opened; two reads of the module, two tries and a second."""
