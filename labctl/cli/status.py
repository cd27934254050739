"""`labctl status`: what the bench and its runs are doing, and what may be asked of them."""

from __future__ import annotations

from argparse import Namespace

from labctl.cli.memory import open_memory
from labctl.cli.standing import phase_of, shared, standing
from labctl.cli.terminal import print_json, print_table, say
from labctl.engine.machine import allowed_commands
from labctl.model.events import clock as hours
from labctl.runtime.folder import ESTOP, controller_of


def main(arguments: Namespace) -> int:
    """Print it."""
    owner = controller_of(arguments.bench)
    controller = None if owner is None or "doing" in owner else owner
    with open_memory(arguments.bench) as reader:
        state = standing(reader)
        identity = reader.identity()
        latest = reader.latest()
    runs = [
        {
            "run_id": run.run_id,
            "state": run.state,
            "end_state": run.end_state,
            "reason": run.reason if run.state != "RUNNING" else None,
            "steps": [{"id": s.id, "phase": s.phase, "since_s": s.phase_s} for s in run.active.values()],
            "waits": run.waits,
            "prompts": list(run.prompts.values()),
            "allowed_commands": list(allowed_commands(run.state, cleared=run.cleared)),
        }
        for run in state.runs.values()
    ]
    custody = [{"chamber": name, **c.custody} for name, c in state.chambers.items() if c.custody]
    if arguments.json:
        live = [run for run in runs if run["end_state"] is None] or runs[-1:]
        data = {
            "bench": identity.bench,
            "simulated": identity.simulated,
            "controller_pid": controller["pid"] if controller else None,
            "guard_pid": None,
            "estop": (arguments.bench / ESTOP).exists(),
            "runs": runs,
            "custody": custody,
            "alarms": list(state.alarms.values()),
            "bypasses": list(state.bypasses.values()),
            "reservations": list(state.reservations.values()),
            "shared": [
                {"chamber": name, "leader": c.run, "claims": c.claims, "contents": list(c.contents)}
                for name, c in state.chambers.items()
                if c.claims
            ],
            "latched": {name: list(c.latched) for name, c in state.chambers.items() if c.latched},
            "allowed_commands": live[0]["allowed_commands"] if len(live) == 1 else [],
            "readings": {f"{r.instrument}.{r.signal}": r.value if not r.quality else None for r in latest},
        }
        print_json(data)
        return 0
    banner = "SIMULATED bench" if identity.simulated else "bench"
    who = f"controller {controller['pid']}" if controller else "no controller"
    if owner is not None and "doing" in owner:
        who += f", `labctl {owner['doing']}` (process {owner['pid']}) has it"
    print(f"{banner} {identity.bench}: {who}")
    if (arguments.bench / ESTOP).exists():
        print("E-STOP is set; `labctl clear --reason ...` takes it back")
    print_table(
        ("run", "state", "step", "allowed"),
        [
            (run.run_id, run.state, phase_of(run), " ".join(allowed_commands(run.state, cleared=run.cleared)))
            for run in state.runs.values()
        ],
    )
    for run_state in state.runs.values():
        for prompt in run_state.prompts.values():
            asked = ", ".join(f"{e['name']} ({e['unit']})" for e in prompt["enter"])
            print(f"waits for a person: {prompt['id']}: {prompt['do']}{f' [{asked}]' if asked else ''}")
    for line in shared(state):
        print(line)
    for kept in state.reservations.values():
        at = f" at {kept['setpoint_c']:g} degC for {kept['contents']}" if "setpoint_c" in kept else ""
        until = hours(kept["until_s"])
        print(f"reserved: {kept['chamber']}{at} until {until} by {kept['by']}: {kept['reason']}")
    for each in custody:
        gas = "gas on" if each["gas"] else "gas off"
        print(f"custody: {each['chamber']}, {gas}, since {each['cause']}")
    for bypass in state.bypasses.values():
        left = f"{(bypass['until_s'] - bypass['since_s']) / 3600:.1f} h from {hours(bypass['since_s'])} on"
        print(f"BYPASS: {bypass['id']} only tells, {left}, by {bypass['by']}: {bypass['reason']}")
    for alarm in state.alarms.values():
        print(f"alarm ({alarm['priority']}, {alarm['state']}): {alarm['message']} [{alarm['id']}]")
    if not custody and not state.alarms:
        say("no custody, no alarms")
    return 0
