"""Alarm statistics: counted by hand on small journals."""

from __future__ import annotations

from labctl.analysis.annunciations import statistics
from labctl.model.events import Event


def told(t_s: float, name: str = "tube/oxygen_high", trigger: str = "active", to: str = "UNACK") -> Event:
    return Event("bench", "alarm", {"id": name, "trigger": trigger, "to": to}, t_s)


def over(t_s: float, name: str = "tube/oxygen_high") -> Event:
    return told(t_s, name, "clear", "RTN_UNACK")


def test_a_quiet_bench_has_none() -> None:
    nothing = statistics([], 3600.0)
    assert (nothing.annunciations, nothing.floods, nothing.chattering, nothing.stale) == (0, 0, (), ())


def test_annunciations_are_counted_by_alarm_and_an_hour() -> None:
    events = [told(0.0), over(10.0), told(7000.0, "tube/nitrogen_low"), told(7100.0, trigger="realarm")]
    found = statistics(events, 7200.0)
    assert found.annunciations == 3
    assert found.per_hour == 1.5
    assert found.by_alarm == {"tube/oxygen_high": 2, "tube/nitrogen_low": 1}


def test_what_is_suppressed_annunciates_nothing() -> None:
    assert statistics([told(0.0, to="SUPPRESSED")], 60.0).annunciations == 0


def test_eleven_in_ten_minutes_are_a_flood_and_ten_are_not() -> None:
    names = [f"tube/{n}" for n in range(11)]
    assert statistics([told(n * 60.0, name) for n, name in enumerate(names)], 700.0).floods == 1
    assert statistics([told(n * 61.0, name) for n, name in enumerate(names)], 700.0).floods == 0


def test_three_times_in_a_minute_is_chattering() -> None:
    assert statistics([told(0.0), told(30.0), told(60.0)], 100.0).chattering == ("tube/oxygen_high",)
    assert statistics([told(0.0), told(30.0), told(61.0)], 100.0).chattering == ()


def test_what_stands_for_more_than_a_day_is_stale() -> None:
    assert statistics([told(0.0)], 86_401.0).stale == ("tube/oxygen_high",)
    assert statistics([told(0.0), over(86_000.0)], 200_000.0).stale == ()
