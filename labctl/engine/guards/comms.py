"""The guard on instruments that fall silent."""

from __future__ import annotations

from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import ALARM, HOLD, TRIP, Guard, Seen, Stage
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.readings import SILENT


def silent(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """An instrument in use does not answer. Without a witness the heat may stay; without heater or gas it may not."""
    assert watch.pulse is not None
    name, key, max_age_s = watch.pulse
    reading = scan.image.get(key)
    if reading is not None and reading[2] is not SILENT and scan.now - reading[3] <= max_age_s:
        return None
    since = scan.tally.get(watch.timers[0], scan.now)
    message = f"{name} has not answered for {scan.now - since:.0f} s"
    heats = name == rig.heater and chamber.energised
    if name not in (rig.heater, rig.gas):
        return Seen(message, scan.now - since, max_age_s, worst=HOLD, how="maintain")
    return Seen(message, scan.now - since, max_age_s, worst=TRIP if heats else HOLD)


GUARDS = (
    Guard(
        "silent",
        silent,
        (Stage(ALARM, "silent_alarm"), Stage(HOLD, "silent_hold"), Stage(TRIP, "silent_abort")),
        on_bad="hold",
        priority="high",
    ),
)
