"""Weighing and dispensing: what is really taken of each reagent, and the rest of the batch corrected to it.

A weight is what the balance itself says at rest, net of the vessel that it tared; nobody types it. What was taken
stays in the pot: too much of a precursor, if a person keeps it, makes the batch larger, and what lags behind then is
topped up (`labctl.protocol.weighing`).
"""

from __future__ import annotations

from typing import Any

from labctl.engine import procedure
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.engine.steps.confirm import confirmed
from labctl.engine.steps.people import ask
from labctl.model.limits import limit
from labctl.protocol.plan import Dispense, Entry, Portion, Weigh
from labctl.protocol.weighing import Weighing, scale_of

RESTED_S = 3.0
"""How long a balance must have called its value stable before it is believed (assumed)."""
REST_WITHIN_S = 300.0
"""How long a balance may take to come to rest: longer is a draught (assumed)."""
TRIES = 5
"""How often a person is asked to correct what was weighed before the run is held (assumed)."""
TARE_DRIFT_G = 0.0005
"""By which a tare that nobody touched may seem to change: five digits of an analytical balance (assumed)."""
COUNTED_ML = 0.01
"""By which a pump's counter may be short of what it was asked: its last digit above 10 mL (manual, second-hand)."""
KEEP = Entry(name="keep", unit="1", min=0.0, max=1.0)
"""What a person enters for too much: 1 keeps it, and the rest follows; 0 says that some was taken out again."""
STOPPED_BY = {
    1: "its power was off",
    2: "it stalled",
    3: "nobody spoke to it",
    4: "program error",
    5: "phase",
}
"""By the alarm of a pump."""


def scale(run: RunState) -> float:
    """By how much what was taken has made the batch larger or smaller."""
    return scale_of(t["taken"] / t["planned"] for t in run.taken.values() if t["precursor"])


def wanted(run: RunState, portion: Portion) -> float:
    """How much of a reagent the batch takes now, in the portion's unit."""
    return portion.amount * scale(run) if portion.follows else portion.amount


def weigh(scan: Scan, run: RunState, state: StepState, step: Weigh, rig: Rig) -> None:
    """Vessel, tare, reagent, reading; then whatever lags behind it."""
    match state.phase:
        case "enter":
            if _is_still_tared(scan, state, step, rig):
                _ask_for(scan, run, state, step, rig, scan.good(rig, step.balance, "mass") or 0.0)
            else:
                _ask_vessel(scan, run, state, step, rig, state.data.get("of", step.id))
        case "vessel":
            if step.id not in run.prompts:
                scan.phase(run, state, "rest")
        case "rest":
            if _at_rest(scan, run, state, step, rig) is not None:
                scan.phase(run, state, "tare")
                scan.send(rig, step.balance, "tare", run=run.run_id, step=step.id)
        case "tare":
            if confirmed(scan, rig, state):
                tare_g = scan.good(rig, step.balance, "tare")
                _ask_for(scan, run, state, step, rig, 0.0, tare_g=tare_g, tries=0)
        case "add":
            if step.id not in run.prompts:
                scan.phase(run, state, "read")
        case "over":
            if step.id not in run.prompts:
                scan.phase(run, state, "read", keep=run.values.get("keep", 0.0) >= 0.5)
        case "read":
            net_g = _at_rest(scan, run, state, step, rig)
            if net_g is not None:
                _judge(scan, run, state, step, rig, net_g)


def _ask_vessel(scan: Scan, run: RunState, state: StepState, step: Weigh, rig: Rig, of: str) -> None:
    portion = _portion(scan, run, of)
    known = [*run.taken.get(of, {}).get("lots", ())]
    lot = known[0] if len(known) == 1 else ""
    scan.phase(run, state, "vessel", of=of, tare_g=None, keep=False, lot=lot, lots={})
    do = f"Put an empty, dry vessel for {portion.reagent} on {step.balance} and close its doors; labctl tares it"
    ask(scan, run, step.id, "weigh", do, more={"pan": rig.name, "put_g": None})


def _ask_for(
    scan: Scan, run: RunState, state: StepState, step: Weigh, rig: Rig, shown_g: float, **data: Any
) -> None:
    """Ask for what is missing in the vessel, of which the balance shows `shown_g` already."""
    portion = _portion(scan, run, state.data["of"])
    before = _before(run, state.data["of"])
    target = wanted(run, portion)
    margin = target * portion.tolerance_pct / 100.0
    missing = target - before - shown_g
    scan.phase(run, state, "add", **data)
    lot = state.data.get("lot") or portion.lot
    what = " ".join(filter(None, (portion.reagent, f"lot {lot}" if lot else "")))
    upto = f"{target - before - margin:.4f} to {target - before + margin:.4f} g"
    do = f"Put {missing:.4f} g of {what} into the vessel: {upto} in it are within tolerance"
    ask(scan, run, step.id, "weigh", do, more={"pan": rig.name, "put_g": round(missing, 6), "lot": lot})


def _judge(scan: Scan, run: RunState, state: StepState, step: Weigh, rig: Rig, net_g: float) -> None:
    """Take it, or ask for more or less of it."""
    of = state.data["of"]
    portion, before = _portion(scan, run, of), _before(run, of)
    said = Weighing(portion.reagent, wanted(run, portion), before + net_g, "g", portion.tolerance_pct)
    lots, tries = _by_lot(state, portion, net_g), state.data["tries"] + 1
    if said.verdict == "ok" or (said.verdict == "over" and state.data.get("keep")):
        _take(scan, run, of, portion, said, net_g, step.balance, lots)
        _go_on(scan, run, state, step, rig)
    elif tries >= TRIES:
        reason = f"{step.id}: {portion.reagent} is {said.deviation_pct:+.1f} % off after {tries} tries"
        procedure.fault(scan, run.run_id, reason, hold="maintain")
    elif said.verdict == "short":
        _ask_for(scan, run, state, step, rig, net_g, tries=tries, lots=lots)
    else:
        excess = said.read - said.wanted
        scan.phase(run, state, "over", tries=tries, lots=lots)
        do = (
            f"{excess:.4f} g too much of {portion.reagent} ({said.deviation_pct:+.1f} %): take it out and say "
            "keep=0, or keep=1 to keep it, and the rest of the batch follows"
        )
        more = {"pan": rig.name, "put_g": round(-excess, 6)}
        ask(scan, run, step.id, "weigh", do, enter=(KEEP,), more=more)


def _by_lot(state: StepState, portion: Portion, net_g: float) -> dict[str, float]:
    """What is in the vessel, g of each lot: what came since the last reading is of the lot that was told last.

    What was taken out again was of all in proportion.
    """
    lots: dict[str, float] = dict(state.data.get("lots", {}))
    before_g = sum(lots.values())
    if net_g < before_g:
        return {lot: round(grams * net_g / before_g, 6) for lot, grams in lots.items()}
    lot = state.data.get("lot") or portion.lot
    return lots | {lot: round(lots.get(lot, 0.0) + net_g - before_g, 6)}


def _go_on(scan: Scan, run: RunState, state: StepState, step: Weigh, rig: Rig) -> None:
    """Top up whatever lags behind now; when nothing does, the step is done."""
    run = scan.state.runs[run.run_id]
    behind = [taken for taken in run.taken.values() if taken["follows"] and _lag(run, taken).missing > 0.0]
    lagging = next((taken["of"] for taken in behind if taken["unit"] == "g"), None)
    if lagging is not None:
        _ask_vessel(scan, run, state, step, rig, lagging)
        return
    mine = run.taken[step.id]
    told = {t["reagent"]: round(_lag(run, t).missing, 4) for t in behind}
    kept = {key: mine[key] for key in ("reagent", "unit", "wanted", "taken", "deviation_pct", "lots")}
    scan.finish(run, state, **kept, scale=scale(run), lags_ml=told)


def _lag(run: RunState, taken: dict[str, Any]) -> Weighing:
    target = taken["planned"] * scale(run)
    return Weighing(taken["reagent"], target, taken["taken"], taken["unit"], taken["tolerance_pct"])


def _take(
    scan: Scan,
    run: RunState,
    of: str,
    portion: Portion,
    said: Weighing,
    read: float,
    instrument: str,
    lots: dict[str, float],
) -> None:
    """What was taken of a reagent goes to the record, with what is known of its bottles. lots: how much of each."""
    data: dict[str, Any] = {"of": of, "reagent": portion.reagent, "formula": portion.formula}
    data |= {"unit": portion.unit, "planned": portion.amount, "wanted": round(said.wanted, 6)}
    data |= {"read": round(read, 6), "taken": round(said.read, 6), "instrument": instrument}
    data |= {"deviation_pct": round(said.deviation_pct, 4), "tolerance_pct": portion.tolerance_pct}
    data |= {"verdict": said.verdict, "follows": portion.follows, "precursor": portion.precursor}
    data |= {"purity_wt_pct": portion.purity_wt_pct, "lots": lots}
    scan.emit("taken", data, run.run_id)


def _portion(scan: Scan, run: RunState, of: str) -> Portion:
    step = scan.context.steps[run.plan_hash][of]
    assert isinstance(step, Weigh | Dispense)
    return step.portion


def _before(run: RunState, of: str) -> float:
    """What was taken of it before this weighing, when it is topped up."""
    return float(run.taken[of]["taken"]) if of in run.taken else 0.0


def _at_rest(scan: Scan, run: RunState, state: StepState, step: Weigh, rig: Rig) -> float | None:
    """The net mass in g once the balance has been at rest; None before. A tare that changed holds the run."""
    key = f"{run.run_id}/{step.id}/rests_s"
    mass, stable = scan.good(rig, step.balance, "mass"), scan.good(rig, step.balance, "stable")
    fresh = mass is not None and scan.image[f"{step.balance}.mass"].t_s > state.phase_s
    rested_s = scan.lasting(key, fresh and stable == 1.0)
    tared_g, tare_g = state.data.get("tare_g"), scan.good(rig, step.balance, "tare")
    if tared_g is not None and tare_g is not None and abs(tare_g - tared_g) > TARE_DRIFT_G:
        reason = f"{step.id}: the tare of {step.balance} was changed at its panel; begin with an empty vessel"
        procedure.fault(scan, run.run_id, reason, hold="maintain")
    elif rested_s >= RESTED_S:
        scan.tally.pop(key, None)
        return mass
    elif scan.now - state.phase_s > REST_WITHIN_S:
        reason = f"{step.id}: {step.balance} does not come to rest within {REST_WITHIN_S / 60.0:.0f} min"
        procedure.fault(scan, run.run_id, reason, hold="maintain")
    return None


def _is_still_tared(scan: Scan, state: StepState, step: Weigh, rig: Rig) -> bool:
    """A step that was held goes on with the vessel that it tared, if that still stands there."""
    tared_g, tare_g = state.data.get("tare_g"), scan.good(rig, step.balance, "tare")
    return tared_g is not None and tare_g is not None and abs(tare_g - tared_g) <= TARE_DRIFT_G


# -- dispensing ------------------------------------------------------------------------------------


def dispense(scan: Scan, run: RunState, state: StepState, step: Dispense, rig: Rig) -> None:
    """Wait for a cool plate and a hood that draws, pump, see the whole volume counted, stop.

    A step that was held pumps the rest.
    """
    match state.phase:
        case "enter" | "cool":
            missing = _missing(scan, step, rig)
            if missing is None:
                _start(scan, run, state, step, rig)
            elif state.phase == "enter":
                scan.phase(run, state, "cool")
            elif scan.now - state.phase_s >= limit("permissive_told") and not state.data.get("waits_for"):
                told = {"id": step.id, "waits_for": [missing[0]], "why": missing[1]}
                scan.emit("step_waits", told, run.run_id)
        case "start":
            if confirmed(scan, rig, state):
                scan.phase(run, state, "pump", pumps=True)
        case "pump":
            _pump(scan, run, state, step, rig)
        case "stop":
            if confirmed(scan, rig, state):
                _poured(scan, run, state, step)
                return
    if scan.now - state.entered_s > step.timeout_s:
        reason = f"{step.id}: {step.portion.reagent} is not dispensed within {step.timeout_s:.0f} s"
        procedure.fault(scan, run.run_id, reason, hold="maintain")


def _missing(scan: Scan, step: Dispense, rig: Rig) -> tuple[str, str] | None:
    """What keeps a flammable liquid out of the vessel now, and why; None when it may come."""
    if not step.flammable:
        return None
    if "extraction" in rig.io and scan.told(rig, "extraction") != 1.0:
        return "extraction", f"{rig.io['extraction'][0]} does not tell that the hood draws"
    if rig.heater is None:
        return None
    plate = scan.good(rig, rig.heater, "temperature")
    if plate is None:
        return "flammable_plate", f"no good temperature from {rig.heater}"
    if plate >= limit("flammable_plate"):
        why = f"{rig.heater} is at {plate:.0f} degC, not below {limit('flammable_plate'):g} degC"
        return "flammable_plate", why
    return None


def _start(scan: Scan, run: RunState, state: StepState, step: Dispense, rig: Rig) -> None:
    """Pump what is still missing; what an earlier try counted is in the vessel."""
    before = state.data.get("before_ml", 0.0)
    if state.data.get("pumps"):  # else the counter still shows what another step pumped
        before += _counted_ml(scan, run, state, step, rig)
    rest = wanted(run, step.portion) - before
    scan.tally.pop(_counter(run, step), None)
    if rest <= COUNTED_ML:
        scan.phase(run, state, "stop", before_ml=before, asked_ml=0.0, pumps=False)
        scan.send(rig, step.pump, "pump_off", run=run.run_id, step=step.id)
        return
    scan.phase(run, state, "start", before_ml=before, asked_ml=rest, pumps=False)
    args = {"volume_ml": round(rest, 6), "rate_ml_per_min": step.rate_ml_per_min}
    until = scan.now + step.timeout_s
    scan.send(rig, step.pump, "dispense", args, run=run.run_id, step=step.id, until_s=until)


def _pump(scan: Scan, run: RunState, state: StepState, step: Dispense, rig: Rig) -> None:
    counted = _counted_ml(scan, run, state, step, rig)
    alarm = scan.good(rig, step.pump, "alarm")
    if alarm:
        reason = f"{step.id}: {step.pump} stopped by itself ({STOPPED_BY.get(int(alarm), 'alarm')})"
        procedure.fault(scan, run.run_id, f"{reason} after {counted:.2f} mL", hold="maintain")
    elif counted >= state.data["asked_ml"] - COUNTED_ML:
        scan.phase(run, state, "stop")
        scan.send(rig, step.pump, "pump_off", run=run.run_id, step=step.id)
    elif scan.good(rig, step.pump, "pumping") == 0.0 and scan.now - state.phase_s > 2.0 * rig.scan_s:
        asked = state.data["asked_ml"]
        reason = f"{step.id}: {step.pump} was stopped after {counted:.2f} of {asked:.2f} mL"
        procedure.fault(scan, run.run_id, reason, hold="maintain")


def _poured(scan: Scan, run: RunState, state: StepState, step: Dispense) -> None:
    portion = step.portion
    target, counted = wanted(run, portion), scan.tally.get(_counter(run, step), 0.0)
    poured = min(state.data["before_ml"] + counted, state.data["before_ml"] + state.data["asked_ml"])
    said = Weighing(portion.reagent, target, poured, "mL", portion.tolerance_pct)
    lots = {portion.lot: round(poured, 6)}
    _take(scan, run, step.id, portion, said, poured, step.pump, lots)
    scan.finish(run, state, reagent=portion.reagent, unit="mL", wanted=target, taken=poured, lots=lots)


def _counter(run: RunState, step: Dispense) -> str:
    return f"{run.run_id}/{step.id}/counted_ml"


def _counted_ml(scan: Scan, run: RunState, state: StepState, step: Dispense, rig: Rig) -> float:
    """What the pump has counted since it was started: the most it has shown, for its power may have been off."""
    key, shown = _counter(run, step), scan.good(rig, step.pump, "dispensed")
    since_s = (
        state.phase_s if state.phase == "pump" else 0.0
    )  # before, it showed what it pumped the last time
    counted = shown if shown is not None and scan.image[f"{step.pump}.dispensed"].t_s > since_s else 0.0
    scan.tally[key] = max(scan.tally.get(key, 0.0), counted)
    return scan.tally[key]
