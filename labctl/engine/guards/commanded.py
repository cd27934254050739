"""Guards on instruments that do something else than labctl commanded: a hand at the panel, a reset, a stuck valve."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import HOLD, Guard, Seen, Stage
from labctl.engine.guards.gas import needs_gas
from labctl.engine.scan import Scan, named
from labctl.engine.state import ChamberState, Lease
from labctl.model.limits import limit
from labctl.model.readings import Reading

NEAR, NEAR_SHARE = 0.5, 0.005
"""Within which a setpoint is the one that was commanded, in its unit and of its value (as `confirm` reads back)."""
FALLBACK_C = limit("instrument_off_c") + NEAR
"""Setpoint up to which a heater counts as off."""

ACTING = "working_setpoint"
LOST_STEPS = 3.0
"""Steps of a ramp that the host carries out may be lost on the way; the next one makes up for them (assumed)."""


class Difference(NamedTuple):
    """A setpoint that is not what labctl commanded. verb, argument: of the command that sets it."""

    instrument: str
    signal: str
    wanted: float
    found: float
    verb: str
    argument: str

    def __str__(self) -> str:
        return f"{self.instrument}: {self.signal} is {self.found:g}, labctl commanded {self.wanted:g}"


def differences(scan: Scan, rig: Rig, chamber: ChamberState) -> Iterator[Difference]:
    """Every target setpoint of a chamber that differs, of instruments that no command is on its way to.

    Never the working setpoint, which moves. A heater that fell back is `controller_reset`'s; gas that is missing where
    it is needed is the nitrogen guards'; a chamber that is made safe is told again by its safe state.
    """
    lease = chamber.lease
    for one in _setpoints(scan, rig, chamber):
        near = max(NEAR, NEAR_SHARE * one.wanted)
        if rig.host_ramp and lease is not None and one.instrument == rig.heater:
            near = max(near, LOST_STEPS * lease.ramp_k_per_min * rig.scan_s / 60.0)
        if abs(one.found - one.wanted) > near and not _is_told(scan, one.instrument):
            yield one


def _setpoints(scan: Scan, rig: Rig, chamber: ChamberState) -> Iterator[Difference]:
    """Each target setpoint that labctl answers for, beside what it commanded last.

    A heater whose ramp the host carries out has no working setpoint of its own: where one acts that is not the one set,
    somebody has chosen another mode.
    """
    lease, made_safe = chamber.lease, chamber.safe is not None or chamber.custody is not None
    if lease is not None and rig.heater is not None and rig.host_ramp:
        asked, acts = scan.good(rig, rig.heater, "setpoint"), scan.good(rig, rig.heater, "working_setpoint")
        if asked is not None and acts is not None and asked > FALLBACK_C:
            yield Difference(rig.heater, ACTING, asked, acts, "heat", "target_c")
    if lease is not None and rig.heater is not None:
        wanted = _stepped_to(scan, rig, lease) if rig.host_ramp else lease.target_c
        found = scan.good(rig, rig.heater, "setpoint")
        if wanted is not None and found is not None and found > FALLBACK_C:
            yield Difference(rig.heater, "setpoint", wanted, found, "heat", "target_c")
    if chamber.flow_sccm > 0.0 and rig.gas is not None and not made_safe:
        found = scan.good(rig, rig.gas, "flow_setpoint")
        needed = limit("nitrogen_low_fraction") * chamber.flow_sccm if needs_gas(scan, rig, chamber) else 0.0
        if found is not None and found >= needed:
            yield Difference(rig.gas, "flow_setpoint", chamber.flow_sccm, found, "set_flow", "flow_sccm")
    if chamber.speed_rpm > 0.0 and rig.stirrer is not None and not made_safe:
        found = scan.good(rig, rig.stirrer, "speed_setpoint")
        if found is not None:
            yield Difference(rig.stirrer, "speed_setpoint", chamber.speed_rpm, found, "stir", "speed_rpm")


def is_dialled(scan: Scan, rig: Rig, chamber: ChamberState) -> bool:
    """Somebody set the heater at its panel."""
    return any(one.instrument == rig.heater for one in differences(scan, rig, chamber))


def _stepped_to(scan: Scan, rig: Rig, lease: Lease) -> float | None:
    """Where labctl last moved the setpoint of a ramp that it carries out; None before its first step."""
    names = _names(rig.name)
    if scan.tally.get(names.renewed_s, -math.inf) <= lease.since_s:
        return None
    return scan.tally.get(names.sent_c)


@dataclass(frozen=True, slots=True)
class _Names:
    """In the tally and the image, made once. answered_s: when the heater was last known to follow labctl."""

    sent_c: str
    renewed_s: str
    answered_s: str


_names = named(_Names)


def _is_told(scan: Scan, instrument: str) -> bool:
    """A command is on its way: what it reads may be from before."""
    return any(command["instrument"] == instrument for command in scan.state.pending.values())


def panel_change(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """A setpoint is not what labctl commanded, and no command is on its way: somebody else changed it.

    labctl does not fight: it holds with the heat as it is, until a person says which of the two is to be.
    """
    if _is_as_commanded(scan, rig, chamber):
        return None
    first = next(differences(scan, rig, chamber), None)
    if first is None:
        return None
    run = scan.state.runs.get(chamber.run or "")
    if run is not None and run.state == "RESTARTING":
        return None  # its step is about to say again what it wants
    message = f"{first}. Adopt it with a reason, or restore it"
    return Seen(message, first.found, first.wanted, how="maintain")


def _is_as_commanded(scan: Scan, rig: Rig, chamber: ChamberState) -> bool:
    """The short way to see that nothing differs, for nearly every scan."""
    image, keys, lease = scan.image, rig.keys, chamber.lease
    if lease is not None:
        reading = image.get(keys.setpoint)
        if rig.host_ramp or reading is None or not _reads(reading, lease.target_c):
            return False
    if chamber.flow_sccm > 0.0 and not _reads(image.get(keys.flow_setpoint), chamber.flow_sccm):
        return False
    return chamber.speed_rpm == 0.0 or _reads(image.get(keys.speed_setpoint), chamber.speed_rpm)


def _reads(reading: Reading | None, wanted: float) -> bool:
    return reading is not None and reading[0] is not None and -NEAR <= reading[0] - wanted <= NEAR


def controller_reset(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """The heater's controller came back while it was to heat: in manual, at its fall-back, or out of its lease.

    One that lost its lease because nobody reached it for that long has not been reset: silence has a guard of its own.
    """
    lease = chamber.lease
    if lease is None or rig.heater is None:
        return None
    image, keys = scan.image, rig.keys
    lapsed, taken = _is_set(image.get(keys.remote_fail)), _is_set(image.get(keys.manual))
    reading = image.get(keys.setpoint)
    setpoint = None if reading is None or reading[2] else reading[0]
    fell_back = setpoint is not None and setpoint <= FALLBACK_C < lease.target_c and not lapsed
    tally, key = scan.tally, _names(rig.name).answered_s
    if not (lapsed or taken or (fell_back and not rig.host_ramp)):
        if setpoint is not None:
            tally[key] = scan.now
        return None
    if scan.now <= lease.since_s + rig.scan_s or _is_told(scan, rig.heater):
        return None
    if lapsed and not taken and scan.now - tally.get(key, lease.since_s) >= (rig.lease_s or 0.0):
        return None
    how = "in manual" if taken else "out of its lease" if lapsed else f"at its fall-back of {setpoint:g} degC"
    message = (
        f"{rig.name}: {rig.heater} is {how} while labctl heats with it: reset, or taken over. Heater off"
    )
    return Seen(message, setpoint, lease.target_c, recheck=rig.heater)


def _is_set(reading: Reading | None) -> bool:
    return reading is not None and reading[0] == 1.0


def flow_deviation(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Measured flow off the controller's own setpoint while it heats, to either side: its valve does not follow."""
    if chamber.lease is None or chamber.flow_sccm == 0.0:
        return None
    if (
        _follows(scan.image.get(rig.keys.flow), scan.image.get(rig.keys.flow_setpoint))
        and not watch.tightened
    ):
        return None
    flow, setpoint = scan.value(rig.flow), scan.good(rig, rig.gas, "flow_setpoint")
    if flow is None or setpoint is None:
        return None
    bound = limit("flow_deviation", watch.tightened) * setpoint
    if abs(flow - setpoint) <= bound or _is_told(scan, rig.gas or ""):
        return None
    message = f"{rig.name}: {rig.gas} measures {flow:.0f} sccm at a setpoint of {setpoint:.0f}: valve stuck?"
    return Seen(message, flow, setpoint + (bound if flow > setpoint else -bound), how="maintain")


def _follows(flow: Reading | None, setpoint: Reading | None) -> bool:
    """The short way to see it, for nearly every scan: within a twentieth."""
    if flow is None or setpoint is None or flow[0] is None or setpoint[0] is None:
        return False
    return abs(flow[0] - setpoint[0]) <= 0.05 * setpoint[0]


GUARDS = (
    Guard("controller_reset", controller_reset, (Stage(HOLD),), on_bad="hold", priority="high"),
    Guard(
        "flow_deviation",
        flow_deviation,
        (Stage(HOLD, "flow_deviation_for"),),
        on_bad="hold",
        priority="high",
        hidden_by=("nitrogen_lost", "nitrogen_low"),
    ),
    Guard(
        "panel_change",
        panel_change,
        (Stage(HOLD, "panel_scans"),),
        on_bad="hold",
        priority="high",
        hidden_by=("controller_reset",),
        bypass=True,
    ),
)
