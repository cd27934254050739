"""What labctl must never say of itself: in its journal, and in its telemetry."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.chaos.judge.numbers import CREDIT_S, LATE_S
from labctl.chaos.judge.observer import Observer, OnTelemetry, OnWord
from labctl.chaos.judge.told import ANY, Said, Seen

TABLE: Mapping[str, frozenset[str]] = {
    "IDLE": frozenset({"RUNNING"}),
    "RUNNING": frozenset({"PAUSING", "HOLDING", "STOPPING", "ABORTING", "COMPLETE"}),
    "PAUSING": frozenset({"PAUSED", "HOLDING", "STOPPING", "ABORTING"}),
    "PAUSED": frozenset({"RUNNING", "HOLDING", "STOPPING", "ABORTING"}),
    "HOLDING": frozenset({"HELD", "STOPPING", "ABORTING"}),
    "HELD": frozenset({"RESTARTING", "STOPPING", "ABORTING"}),
    "RESTARTING": frozenset({"RUNNING", "HOLDING", "STOPPING", "ABORTING"}),
    "STOPPING": frozenset({"STOPPED", "ABORTING"}),
    "STOPPED": frozenset({"ABORTING", "IDLE"}),
    "ABORTING": frozenset({"ABORTED"}),
    "ABORTED": frozenset({"IDLE", "ABORTED"}),
    "COMPLETE": frozenset({"IDLE"}),
}
"""ISA-88 as reliability 1.1 has it, with CLEAR in ABORTED."""


def transitions_in_the_table(o: Observer, word: Said) -> str | None:
    """I8: every change of a run's state is one of the table, from the state that it had."""
    if word.kind != "state_changed":
        return None
    before, after = o.states.get(word.data["run"], "IDLE"), word.data["to"]
    if word.data["from"] != before or after not in TABLE[before]:
        return f"{word.data['run']}: {before} became {after} (says: from {word.data['from']})"
    return None


def an_end_is_cold_handed(o: Observer, word: Said) -> str | None:
    """I2: a run ends only when nothing asks its furnace or its oven to heat any more.

    One that may not have heard that it was to heat need not be switched off; nor is one judged whose relay is stuck.
    """
    if word.kind != "run_ended":
        return None
    for role in ("furnace", "oven"):
        if o.bounds.chambers[role] in o.taken.get(word.stream, ()):
            asked = role in o.heating and role not in o.unsure
            if asked and not o.acts(role, "heater_stuck"):
                return f"{word.data['end_state']}, and the {role} was not asked to be off"
    return None


def complete_is_true(o: Observer, word: Said) -> str | None:
    """COMPLETE is said only when the sample really spent its soaks, near the temperature that the protocol says."""
    fired = word.kind == "run_ended" and o.bounds.tube in o.taken.get(word.stream, ())
    if not fired or word.data["end_state"] != "COMPLETE":
        return None
    for target, band, hold_s in o.bounds.soaks:
        spent = o.soaked_s[target, band]
        if spent < 0.9 * hold_s:
            return f"the sample was at {target:g} degC for {spent:.0f} s, wanted {hold_s:.0f} s"
    return None


def an_end_is_final(o: Observer, word: Said) -> str | None:
    """A run ends once, and its end state never changes."""
    if word.kind == "run_ended" and word.stream in o.ended:
        return f"{word.stream} was {o.ended[word.stream]} and became {word.data['end_state']}"
    return None


def soaks_were_seen(o: Observer, word: Said) -> str | None:
    """I11: no more soak is recorded than telemetry shows the heater's thermometer good and in band, within reads."""
    soak = o.bounds.steps.get(word.data.get("id", "")) if word.kind == "step_done" else None
    if soak is None:
        return None
    for target, recorded in zip(soak.targets_c, word.data["summary"].get("soaks_s", ()), strict=False):
        counted = o.counted_s.get((soak.role, target, soak.band_k), 0.0)
        if recorded > counted + CREDIT_S:
            return f"{word.data['id']}: {recorded:.0f} s at {target:g} degC, and {counted:.0f} s were read"
    return None


def requests_say_who(o: Observer, word: Said) -> str | None:
    """I10: the one outcome of a request says whether it was accepted, and who asked."""
    if word.kind != "request":
        return None
    request, accepted = word.data["request"], word.data["accepted"]
    if o.outcomes[request] or request not in o.requests:
        return f"{request} has another outcome, or was never asked"
    worded = word.data["outcome"].startswith("accepted" if accepted else "refused: ")
    return None if worded and word.data["actor"] else f"{request}: {word.data['outcome']!r}"


ON_WORD: OnWord = {
    "I8 transitions": transitions_in_the_table,
    "I2 end": an_end_is_cold_handed,
    "complete is true": complete_is_true,
    "end state": an_end_is_final,
    "I11 soak": soaks_were_seen,
    "I10 outcome": requests_say_who,
}


def nothing_is_made_up(o: Observer, seen: Seen) -> str | None:
    """I13: of an instrument that answers nothing, telemetry has no good value that is newer than its silence.

    I14: what an instrument calls wrong, an open thermocouple or a dead cell, is not called good.
    """
    if not seen.good:
        return None
    since = o.blind.get((seen.role, seen.signal), o.blind.get((seen.role, ANY)))
    if since is None or seen.t_s <= since + LATE_S:
        return None
    return (
        f"{seen.role}: {seen.signal} {seen.value:g} is called good {seen.t_s - since:.0f} s after it was lost"
    )


ON_TELEMETRY: OnTelemetry = {"I13 I14 telemetry": nothing_is_made_up}
