"""Faults as data: what goes wrong, on which layer, when, for how long, and proof that it did.

Five layers: the host that carries bytes, the wire, the protocol, the device, and matter itself. A schedule is a list
of `Fault`; `Faults` carries it out on a twin, in virtual time and over real links alike. A bench without faults pays
nothing: a session is wrapped, and a plant asked each tick, only once a fault is scheduled.
"""

from labctl_simulators.faults.fault import LAYERS, Condition, Fault, Kind
from labctl_simulators.faults.kinds import KINDS
from labctl_simulators.faults.schedule import Faults

__all__ = ["KINDS", "LAYERS", "Condition", "Fault", "Faults", "Kind"]
