"""A cycling programme becomes the step file that the cycler carries out, with its own limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.bench.api import RefusedError
from labctl_drivers.neware import PROTECTED_V, Block, Programme
from labctl_drivers.neware.schedule import protection, step_file
from labctl_simulators.devices.neware_steps import CHARGE, DISCHARGE, END, LOOP, REST, read

ONE_C = Programme((Block(1.0, 2),), 117.0, 1.7, 3.8, 2.3)
"""Two cycles at 1C of 1.7 mg."""
RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 0.1)
"""The paper's rate test."""

STEPS = """\
    <Step_Info Num="4">
      <Step1 Step_ID="1" Step_Type="1">
        <Limit>
          <Main>
            <Curr Value="0.198900" />
            <Time Value="5400000.000000" />
            <Stop_Volt Value="38000.000000" />
          </Main>
        </Limit>
      </Step1>
      <Step2 Step_ID="2" Step_Type="2">
        <Limit>
          <Main>
            <Curr Value="0.198900" />
            <Time Value="5400000.000000" />
            <Stop_Volt Value="23000.000000" />
          </Main>
        </Limit>
      </Step2>
      <Step3 Step_ID="3" Step_Type="5">
        <Limit>
          <Other>
            <Start_Step Value="1" />
            <Cycle_Count Value="2" />
          </Other>
        </Limit>
      </Step3>
      <Step4 Step_ID="4" Step_Type="6" />
    </Step_Info>
"""
PROTECT = """\
      <Protect>
        <Main>
          <Volt>
            <Upper Value="41000.000000" />
            <Lower Value="20000.000000" />
          </Volt>
          <Curr>
            <Upper Value="0.238680" />
            <Lower Value="-0.238680" />
          </Curr>
          <Delay_Time Value="1000.000000" />
          <Cap />
        </Main>
      </Protect>
      <Record>
        <Main>
          <Time Value="10000.000000" />
          <Volt Value="50.000000" />
        </Main>
      </Record>
"""
"""As aurora-unicycler 0.4.6 writes the same method, safety and record parameters."""


def test_two_cycles_are_written_as_a_published_writer_writes_them() -> None:
    text = step_file(ONE_C).content.decode("utf-8")
    assert STEPS in text
    assert PROTECT in text
    assert '<MultCap Value="716.040000" />' in text


def test_the_same_programme_is_the_same_file_and_another_is_another() -> None:
    assert step_file(ONE_C) == step_file(replace(ONE_C))
    assert step_file(ONE_C).barcode != step_file(replace(ONE_C, active_mass_mg=1.8)).barcode


def test_the_papers_rate_test_is_one_file_with_a_loop_for_each_rate() -> None:
    programme = replace(ONE_C, blocks=tuple(Block(rate, 10) for rate in RATES))
    schedule = read(step_file(programme).content)
    kinds = [step.kind for step in schedule.steps]
    assert kinds == [CHARGE, DISCHARGE, LOOP] * 8 + [END]
    assert [s.start for s in schedule.steps if s.kind == LOOP] == [1 + 3 * i for i in range(8)]
    assert {s.count for s in schedule.steps if s.kind == LOOP} == {10}
    currents = [s.current_a for s in schedule.steps if s.kind == CHARGE]
    assert currents == pytest.approx([rate * 117e-3 * 1.7e-3 for rate in RATES])
    assert schedule.record_s == 1.0


def test_a_rest_comes_first_and_after_each_half_cycle() -> None:
    schedule = read(step_file(replace(ONE_C, rest_s=600.0)).content)
    assert [s.kind for s in schedule.steps] == [REST, CHARGE, REST, DISCHARGE, REST, LOOP, END]
    assert [s.start for s in schedule.steps if s.kind == LOOP] == [2]
    assert {s.time_s for s in schedule.steps if s.kind == REST} == {600.0}


masses = st.floats(0.5, 20.0)
blocks = st.lists(st.builds(Block, st.floats(0.05, 10.0), st.integers(1, 1000)), min_size=1, max_size=10).map(
    tuple
)


@given(blocks, masses, st.floats(3.5, 4.09), st.floats(2.01, 3.0))
def test_every_file_arms_the_limits_of_a_cell_around_every_current_and_voltage_it_asks_for(
    blocks: tuple[Block, ...], mass_mg: float, upper_v: float, lower_v: float
) -> None:
    programme = Programme(blocks, 117.0, mass_mg, upper_v, lower_v)
    programme.check(max_a=0.1)
    file = step_file(programme)
    schedule, armed = read(file.content), protection(file.content)
    assert (schedule.lower_v, schedule.upper_v) == PROTECTED_V == (armed.lower_v, armed.upper_v)
    assert schedule.upper_a == -schedule.lower_a == armed.limit_a
    assert armed.limit_a == pytest.approx(1.2 * programme.largest_a, abs=1e-9)
    assert schedule.delay_s == 1.0
    for step in schedule.steps:
        if step.kind in (CHARGE, DISCHARGE):
            assert step.current_a <= armed.limit_a
            assert step.volt_v is not None
            assert armed.lower_v < step.volt_v < armed.upper_v
            # a cell that never reaches its voltage takes at most one and a half times its charge
            nominal_s = 3600.0 * programme.specific_current_ma_per_g * mass_mg * 1e-6 / step.current_a
            assert step.time_s == pytest.approx(1.5 * nominal_s, rel=1e-3)


def test_arguments_become_a_programme() -> None:
    args = {
        "blocks": [[0.1, 3], [1, 5]],
        "specific_current_ma_per_g": 117,
        "active_mass_mg": 1.7,
        "upper_v": 3.8,
        "lower_v": 2.3,
        "sample": "900-A",
    }
    programme = Programme.of(args)
    assert programme.blocks == (Block(0.1, 3), Block(1.0, 5))
    assert step_file(programme).name.startswith("labctl-900-A-")


def test_an_argument_that_is_missing_is_refused() -> None:
    with pytest.raises(RefusedError, match="upper_v"):
        Programme.of({"blocks": [[1, 1]], "specific_current_ma_per_g": 117, "active_mass_mg": 1.7})


@pytest.mark.parametrize(
    "lost", ["Volt", "Upper", "Lower", "Curr", "Delay_Time", "Protect", "Whole_Prt", "config"]
)
def test_a_file_without_all_of_its_limits_arms_none(lost: str) -> None:
    content = step_file(ONE_C).content
    tag = lost.encode()
    damaged = content.replace(b"<" + tag, b"<No").replace(b"</" + tag, b"</No")
    with pytest.raises(ValueError, match=r"without|step file"):
        protection(damaged)


@given(st.binary(max_size=200))
def test_what_is_no_step_file_arms_nothing(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        protection(content)
