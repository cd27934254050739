"""evolve(state, event): the only way in which the discrete state of a bench changes.

One small function per kind of event, in one table. Kinds that are not in the table are facts for people (forecasts,
digests, anchors) and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labctl.engine.alarms import NORMAL, SOUNDS, fresh
from labctl.engine.state import BenchState, Data, Lease, RunState, StepState
from labctl.model.events import Event


def evolve(state: BenchState, event: Event) -> BenchState:
    """The state after `event`. Pure; raises KeyError on an event that does not fit the state."""
    change = _CHANGES.get(event.kind)
    return change(state, event.data, event) if change else state


def with_tally(state: BenchState, tally: dict[str, float]) -> BenchState:
    """The state with the accumulators of a newer scan (or of the last checkpoint)."""
    runs, chambers, alarms = state.runs, state.chambers, state.alarms
    kept = state.bypasses, state.reservations, state.commands
    return BenchState(runs, chambers, state.pending, alarms, *kept, tally)


def _put_run(state: BenchState, run: RunState) -> BenchState:
    return replace(state, runs={**state.runs, run.run_id: run})


def _put_chamber(state: BenchState, name: str, **changes: Any) -> BenchState:
    return replace(state, chambers={**state.chambers, name: replace(state.chambers[name], **changes)})


def _put_step(state: BenchState, run_id: str, step: StepState) -> BenchState:
    run = state.runs[run_id]
    return _put_run(state, replace(run, active={**run.active, step.id: step}))


# -- runs ------------------------------------------------------------------------------------------


def _run_created(state: BenchState, data: Data, event: Event) -> BenchState:
    values = data.get("values", {})  # of the run that it goes on from
    return _put_run(state, RunState(data["run"], data["plan"], state_s=event.t_s, values=values))


def _chamber_taken(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], run=data["run"])


def _chamber_released(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], run=None, claims={}, atmosphere="air", purged=False)


def _chamber_left(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], run=None, claims={})


def _chamber_claimed(state: BenchState, data: Data, event: Event) -> BenchState:
    claim = {what: data[what] for what in ("setpoint_c", "until_s", "contents")}
    claims = state.chambers[data["chamber"]].claims
    return _put_chamber(state, data["chamber"], claims={**claims, data["run"]: claim})


def _claim_released(state: BenchState, data: Data, event: Event) -> BenchState:
    claims = {run: kept for run, kept in state.chambers[data["chamber"]].claims.items() if run != data["run"]}
    return _put_chamber(state, data["chamber"], claims=claims)


def _lead_passed(state: BenchState, data: Data, event: Event) -> BenchState:
    """The heat goes on as it is, authorised for as long as the new leader may need it."""
    lease = state.chambers[data["chamber"]].lease
    kept = replace(lease, until_s=data["until_s"]) if lease else None
    return _put_chamber(state, data["chamber"], run=data["run"], lease=kept)


def _run_waits(state: BenchState, data: Data, event: Event) -> BenchState:
    waits_for = tuple(data.get("chambers", ()))
    return _put_run(state, replace(state.runs[event.stream], waits=data["for"], waits_for=waits_for))


def _reserved(state: BenchState, data: Data, event: Event) -> BenchState:
    return replace(state, reservations={**state.reservations, str(data.get("id", data["chamber"])): data})


def _reservation_ended(state: BenchState, data: Data, event: Event) -> BenchState:
    ended = data.get("id", data["chamber"])
    others = {name: kept for name, kept in state.reservations.items() if name != ended}
    return replace(state, reservations=others)


def _plan_revised(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    active = {name: step for name, step in run.active.items() if name not in data["dropped"]}
    prompts = {name: p for name, p in run.prompts.items() if p["step"] not in data["dropped"]}
    return _put_run(state, replace(run, plan_hash=data["new"], active=active, prompts=prompts))


def _state_changed(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[data["run"]]
    trigger = data["trigger"]
    return _put_run(
        state,
        replace(
            run,
            state=data["to"],
            state_s=event.t_s,
            started_s=event.t_s if trigger == "START" else run.started_s,
            hold=data.get("hold", run.hold),
            reason=data.get("reason", run.reason),
            actor=data.get("actor", run.actor),
            by_person=data.get("by_person", run.by_person),
            cleared=run.cleared or trigger == "CLEAR",
        ),
    )


def _run_ended(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    return _put_run(
        state, replace(run, end_state=data["end_state"], active={}, prompts={}, waits=None, waits_for=())
    )


# -- steps -----------------------------------------------------------------------------------------


def _step_started(state: BenchState, data: Data, event: Event) -> BenchState:
    state = _put_step(
        state, event.stream, StepState(data["id"], "enter", event.t_s, event.t_s, entered_s=event.t_s)
    )
    if data.get("atmosphere"):
        state = _put_chamber(state, data["chamber"], atmosphere=data["atmosphere"])
    return state


def _step_phase(state: BenchState, data: Data, event: Event) -> BenchState:
    step = state.runs[event.stream].active[data["id"]]
    merged = {**step.data, **data.get("data", {})}
    entered_s = event.t_s if data["phase"] == "enter" else step.entered_s
    changes = {"phase": data["phase"], "phase_s": event.t_s, "entered_s": entered_s, "data": merged}
    return _put_step(state, event.stream, replace(step, **changes, failed=None))


def _step_waits(state: BenchState, data: Data, event: Event) -> BenchState:
    step = state.runs[event.stream].active[data["id"]]
    return _put_step(state, event.stream, replace(step, data={**step.data, "waits_for": data["waits_for"]}))


def _step_done(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    active = {k: v for k, v in run.active.items() if k != data["id"]}
    return _put_run(state, replace(run, active=active, done={**run.done, data["id"]: data["summary"]}))


def _step_skipped(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    skipped = {"skipped": True, "because": data["because"], "ended_s": event.t_s}
    return _put_run(state, replace(run, done={**run.done, data["id"]: skipped}))


def _prompt(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    return _put_run(state, replace(run, prompts={**run.prompts, data["id"]: {**data, "asked_s": event.t_s}}))


def _prompt_taken_back(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    return _put_run(
        state, replace(run, prompts={k: v for k, v in run.prompts.items() if k != data["prompt"]})
    )


def _answered(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    prompts = {k: v for k, v in run.prompts.items() if k != data["prompt"]}
    state = _put_run(state, replace(run, prompts=prompts, values={**run.values, **data["values"]}))
    if "lot" in data:
        step = run.active[run.prompts[data["prompt"]]["step"]]
        state = _put_step(state, event.stream, replace(step, data={**step.data, "lot": data["lot"]}))
    return state


def _taken(state: BenchState, data: Data, event: Event) -> BenchState:
    run = state.runs[event.stream]
    return _put_run(state, replace(run, taken={**run.taken, data["of"]: data}))


# -- commands --------------------------------------------------------------------------------------


def _intent(state: BenchState, data: Data, event: Event) -> BenchState:
    pending = {**state.pending, data["id"]: {**data, "t_s": event.t_s, "stream": event.stream}}
    state = replace(state, pending=pending, commands=state.commands + 1)
    chamber, args = data["chamber"], data["args"]
    match data["verb"]:
        case "heat":
            lease = Lease(
                data["instrument"],
                args["target_c"],
                args["ramp_k_per_min"],
                event.t_s,
                data["until_s"],
                data.get("from_c"),
            )
            state = _put_chamber(state, chamber, lease=lease, energised=True)
        case "heat_off":
            state = _put_chamber(state, chamber, lease=None)
        case "set_flow":
            state = _put_chamber(state, chamber, flow_sccm=args["flow_sccm"])
            custody = state.chambers[chamber].custody
            if custody is not None and args["flow_sccm"] > 0.0:
                state = _put_chamber(state, chamber, custody={**custody, "gas": True})
        case "source":
            state = _put_chamber(state, chamber, programmed_a=args["limit_a"], energised=True)
        case "stir":
            state = _put_chamber(state, chamber, energised=True, speed_rpm=args["speed_rpm"])
        case "dispense":
            state = _put_chamber(state, chamber, energised=True, dosing=True)
        case "stir_off":
            state = _put_chamber(state, chamber, speed_rpm=0.0)
        case _:
            pass
    step = data.get("step")
    if step is not None:
        waiting = state.runs[event.stream].active[step]
        state = _put_step(state, event.stream, replace(waiting, awaits=(*waiting.awaits, data["id"])))
    return state


def _result(state: BenchState, data: Data, event: Event) -> BenchState:
    command = state.pending.get(data["id"])
    if command is None:
        return state
    if data["outcome"] == "unknown":
        return replace(state, pending={**state.pending, data["id"]: {**command, "unknown_s": event.t_s}})
    pending = {k: v for k, v in state.pending.items() if k != data["id"]}
    state = replace(state, pending=pending)
    if data["outcome"] == "ok" and command["verb"] in ("open_circuit", "stir_off"):
        dosing = state.chambers[command["chamber"]].dosing
        state = _put_chamber(state, command["chamber"], programmed_a=0.0, energised=dosing)
    if data["outcome"] == "ok" and command["verb"] == "pump_off":
        turns = state.chambers[command["chamber"]].speed_rpm > 0.0
        state = _put_chamber(state, command["chamber"], dosing=False, energised=turns)
    if data["outcome"] == "ok" and command["verb"] == "audit":
        still = tuple(n for n in state.chambers[command["chamber"]].unaudited if n != command["instrument"])
        state = _put_chamber(state, command["chamber"], unaudited=still)
    state = _acknowledge(state, command, data["outcome"] == "ok")
    run = state.runs.get(command["stream"])
    step = run.active.get(command.get("step") or "") if run else None
    if run is None or step is None:
        return state
    awaits = tuple(i for i in step.awaits if i != data["id"])
    failed = step.failed if data["outcome"] == "ok" else f"{command['verb']}: {data['detail']}"
    return _put_step(state, run.run_id, replace(step, awaits=awaits, failed=failed))


def _acknowledge(state: BenchState, command: Data, ok: bool) -> BenchState:
    safe = state.chambers[command["chamber"]].safe
    if safe is None:
        return state
    for name, item in safe["items"].items():
        if item["command"] == command["id"]:
            items = {**safe["items"], name: {**item, "acked": ok}}
            return _put_chamber(state, command["chamber"], safe={**safe, "items": items})
    return state


# -- chambers --------------------------------------------------------------------------------------


def _purge(proven: bool) -> Callable[[BenchState, Data, Event], BenchState]:
    return lambda state, data, event: _put_chamber(state, data["chamber"], purged=proven)


def _contents(state: BenchState, data: Data, event: Event) -> BenchState:
    """A batch is in one place: where it is put, it has left the chamber that it was in.

    Beside others in a chamber that is shared; else it is alone. None: the batch of this run is taken out.
    """
    moved = data["contents"]
    for name, chamber in state.chambers.items():
        if moved in chamber.contents:
            state = _put_chamber(state, name, contents=tuple(b for b in chamber.contents if b != moved))
    chamber = state.chambers[data["chamber"]]
    others = tuple(b for b in chamber.contents if b != event.stream) if len(chamber.claims) > 1 else ()
    return _put_chamber(state, data["chamber"], contents=(*others, moved) if moved else others)


def _chamber_cold(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], energised=False)


def _tripped(state: BenchState, data: Data, event: Event) -> BenchState:
    chamber = state.chambers[data["chamber"]]
    latched, distrusted = chamber.latched, chamber.distrusted
    tripped_run = chamber.tripped_run
    if data["latched"]:
        latched, tripped_run = (*latched, data["guard"]), data["run"]
    if data.get("distrust"):
        distrusted = tuple(dict.fromkeys((*distrusted, data["distrust"])))
    changes: Data = {"latched": latched, "tripped_run": tripped_run, "distrusted": distrusted}
    if data.get("recheck"):
        changes["unaudited"] = tuple(dict.fromkeys((*chamber.unaudited, data["recheck"])))
    return _put_chamber(state, data["chamber"], **changes)


def _trips_reset(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], latched=(), tripped_run=None)


def _commissioned(state: BenchState, data: Data, event: Event) -> BenchState:
    """A person stands for the instrument again: as a thermometer it has its vote back."""
    name = data["instrument"]
    for chamber, known in state.chambers.items():
        if name in known.distrusted and not data["failed"]:
            distrusted = tuple(n for n in known.distrusted if n != name)
            state = _put_chamber(state, chamber, distrusted=distrusted)
    return state


def _adopted(state: BenchState, data: Data, event: Event) -> BenchState:
    """The instrument's setpoint is what labctl commanded, and what the steps under way want."""
    chamber, value = state.chambers[data["chamber"]], data["value"]
    match data["argument"]:
        case "target_c" if chamber.lease is not None:
            state = _put_chamber(state, data["chamber"], lease=replace(chamber.lease, target_c=value))
        case "flow_sccm" | "speed_rpm":
            state = _put_chamber(state, data["chamber"], **{data["argument"]: value})
        case _:
            pass
    for name in data["steps"]:
        step = state.runs[event.stream].active[name]
        adopted = {**step.data.get("adopted", {}), data["argument"]: value}
        state = _put_step(state, event.stream, replace(step, data={**step.data, "adopted": adopted}))
    return state


def _safe_started(state: BenchState, data: Data, event: Event) -> BenchState:
    items = {
        name: {
            "confirmed": False,
            "tries": 0,
            "first_s": None,
            "last_s": None,
            "command": None,
            "acked": False,
        }
        for name in data["items"]
    }
    safe = {"cause": data["cause"], "then": data["then"], "since_s": event.t_s, "items": items}
    return _put_chamber(state, data["chamber"], safe=safe)


def _safe_item(state: BenchState, data: Data, event: Event) -> BenchState:
    safe = state.chambers[data["chamber"]].safe
    if safe is None:
        return state
    changed = {
        k: data[k] for k in ("confirmed", "tries", "first_s", "last_s", "command", "acked") if k in data
    }
    items = {**safe["items"], data["item"]: {**safe["items"][data["item"]], **changed}}
    return _put_chamber(state, data["chamber"], safe={**safe, "items": items})


def _safe_left(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], safe=None)


def _custody_opened(state: BenchState, data: Data, event: Event) -> BenchState:
    custody = {"cause": data["cause"], "run": data["run"], "since_s": event.t_s, "gas": data["gas"]}
    return _put_chamber(state, data["chamber"], custody=custody, run=None, claims={}, safe=None)


def _custody_gas_stopped(state: BenchState, data: Data, event: Event) -> BenchState:
    custody: Data = {**(state.chambers[data["chamber"]].custody or {}), "gas": False}
    return _put_chamber(state, data["chamber"], custody=custody)


def _custody_closed(state: BenchState, data: Data, event: Event) -> BenchState:
    return _put_chamber(state, data["chamber"], custody=None, energised=False, purged=False, atmosphere="air")


# -- alarms ----------------------------------------------------------------------------------------


_STAMPS = {"active": "since_s", "ack": "acked_s", "clear": "rtn_s"}


def _alarm(state: BenchState, data: Data, event: Event) -> BenchState:
    name = data["id"]
    others = {k: v for k, v in state.alarms.items() if k != name}
    if data["to"] == NORMAL:
        return replace(state, alarms=others)
    kept = {k: v for k, v in data.items() if k not in ("trigger", "from", "to")}
    alarm = fresh(name) | state.alarms.get(name, {}) | kept | {"state": data["to"]}
    if stamp := _STAMPS.get(data["trigger"]):
        alarm[stamp] = event.t_s
    if data["to"] in SOUNDS:
        alarm["told_s"] = event.t_s
    return replace(state, alarms={**state.alarms, name: alarm})


def _bypassed(state: BenchState, data: Data, event: Event) -> BenchState:
    return replace(state, bypasses={**state.bypasses, data["id"]: {**data, "since_s": event.t_s}})


def _bypass_ended(state: BenchState, data: Data, event: Event) -> BenchState:
    return replace(state, bypasses={k: v for k, v in state.bypasses.items() if k != data["id"]})


_CHANGES: dict[str, Callable[[BenchState, Data, Event], BenchState]] = {
    "run_created": _run_created,
    "plan_revised": _plan_revised,
    "chamber_taken": _chamber_taken,
    "chamber_released": _chamber_released,
    "chamber_left": _chamber_left,
    "chamber_claimed": _chamber_claimed,
    "claim_released": _claim_released,
    "lead_passed": _lead_passed,
    "run_waits": _run_waits,
    "reserved": _reserved,
    "reservation_ended": _reservation_ended,
    "state_changed": _state_changed,
    "run_ended": _run_ended,
    "step_started": _step_started,
    "step_phase": _step_phase,
    "step_waits": _step_waits,
    "step_done": _step_done,
    "step_skipped": _step_skipped,
    "prompt": _prompt,
    "answered": _answered,
    "prompt_taken_back": _prompt_taken_back,
    "taken": _taken,
    "intent": _intent,
    "result": _result,
    "purge_proven": _purge(True),
    "purge_voided": _purge(False),
    "contents_moved": _contents,
    "chamber_cold": _chamber_cold,
    "tripped": _tripped,
    "trips_reset": _trips_reset,
    "commissioned": _commissioned,
    "adopted": _adopted,
    "safe_started": _safe_started,
    "safe_item": _safe_item,
    "safe_left": _safe_left,
    "custody_opened": _custody_opened,
    "custody_gas_stopped": _custody_gas_stopped,
    "custody_closed": _custody_closed,
    "alarm": _alarm,
    "bypassed": _bypassed,
    "bypass_ended": _bypass_ended,
}
