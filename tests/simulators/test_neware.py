from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl_simulators.devices.api import Bindings, Session
from labctl_simulators.devices.neware import Bts8, attach
from labctl_simulators.devices.neware_channel import ENDED, STARTED, TRIPPED, Channel
from labctl_simulators.devices.neware_steps import Schedule, Step, read
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell

STEPS = """<?xml version="1.0" ?>
<root><config type="Step File" version="17">
  <Whole_Prt>
    <Protect><Main><Volt><Upper Value="41000"/><Lower Value="20000"/></Volt>
      <Curr><Upper Value="2.4"/></Curr><Delay_Time Value="2000"/></Main></Protect>
    <Record><Main><Time Value="10000"/></Main></Record>
  </Whole_Prt>
  <Step_Info Num="5">
    <Step1 Step_ID="1" Step_Type="4"><Limit><Main><Time Value="20000"/></Main></Limit></Step1>
    <Step2 Step_ID="2" Step_Type="1"><Limit><Main><Curr Value="2"/><Stop_Volt Value="38000"/></Main></Limit></Step2>
    <Step3 Step_ID="3" Step_Type="2"><Limit><Main><Curr Value="2"/><Stop_Volt Value="23000"/></Main></Limit></Step3>
    <Step4 Step_ID="4" Step_Type="5"><Limit><Other><Start_Step Value="2"/><Cycle_Count Value="3"/></Other></Limit></Step4>
    <Step5 Step_ID="5" Step_Type="6"/>
  </Step_Info>
</config></root>"""  # noqa: E501
"""Rest of 20 s, three cycles at 10C."""

ASK = '<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>{}</cmd>{}</bts>\n\n#\r\n'
PLACE = 'devtype="27" devid="21" subdevid="1" chlid="2"'


class Rig(NamedTuple):
    cell: HalfCell
    server: Bts8
    channel: Channel
    session: Session
    file: Path

    def ask(self, command: str, body: str = "", now_s: float = 0.0) -> str:
        (reply,) = self.session.feed(ASK.format(command, body).encode(), now_s)
        return reply[1].decode()

    def start(self, barcode: str = "a cell") -> str:
        return self.ask(
            "start",
            f'<list count = "1"><start ip="127.0.0.1" {PLACE} barcode="{barcode}">{self.file}</start></list>',
        )

    def live(self, seconds: int) -> None:
        for now in range(int(self.server.now_s) + 1, int(self.server.now_s) + seconds + 1):
            self.cell.step(1.0)
            self.server.tick(float(now))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    cell = HalfCell()
    cell.assemble(Electrode(), active_mass_mg=1.7)
    server, session = attach(Bindings(now=lambda: 0.0, cell=cell), {"device": 21, "channel": 2}, "")
    assert isinstance(server, Bts8)
    (tmp_path / "steps.xml").write_text(STEPS, "utf-8")
    rig = Rig(cell, server, server.channels[1, 2], session, tmp_path / "steps.xml")
    rig.ask("connect")
    return rig


def test_login_and_devices_are_answered_as_captured(rig: Rig) -> None:
    assert rig.ask("connect") == (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<bts version="1.0">\r\n'
        "  <cmd>connect_resp</cmd>\r\n  <result>ok</result>\r\n</bts>\n\n#\r\n"
    )
    listed = rig.ask("getdevinfo")
    assert '  <middle count="16">\r\n' in listed
    captured = (
        '    <channel ip="127.0.0.1" devtype="27" devid="21" subdevid="1" Channelid="2">true</channel>\r\n'
    )
    assert captured in listed
    rig.start()
    assert captured.replace("true", "false") in rig.ask("getdevinfo")


def test_an_idle_channel_is_inquired_as_captured(rig: Rig) -> None:
    asked = f'<list count = "1"><inquire ip="127.0.0.1" {PLACE} aux="0" barcode="1">true</inquire></list>'
    assert (
        '    <inquire dev="27-21-1-2-0" cycle_id="1" step_type="--" workstatus="finish" barcode="" current="0"'
        ' voltage="3.094" capacity="0" energy="0" totaltime="0" relativetime="0" open_or_close="0"'
        ' log_code="0" />\r\n'
    ) in rig.ask("inquire", asked)


def test_a_working_channel_is_inquired_in_four_decimals(rig: Rig) -> None:
    rig.start("251203_kigr_gen17_02")
    rig.live(50)
    asked = f'<list count = "1"><inquire ip="127.0.0.1" {PLACE} aux="0" barcode="1">true</inquire></list>'
    reply = rig.ask("inquire", asked)
    assert 'cycle_id="1" step_id="2" step_type="cc" workstatus="working"' in reply
    assert 'barcode="251203_kigr_gen17_02" current="0.002"' in reply
    assert 'totaltime="50" relativetime="30" open_or_close="0" log_code="102000" />' in reply


def test_rows_of_data_and_their_answer_are_spelt_as_captured(rig: Rig) -> None:
    rig.start()
    rig.live(60)
    reply = rig.ask("download", f'<download {PLACE} auxid="0" testid="0" startpos="5" count="2"/>')
    assert "  <cmd>donwload_resp</cmd>\r\n" in reply
    assert f'  <download {PLACE} testid="143" startpos="5" count="2" auxid="0" />\r\n' in reply
    rows = re.findall(r"<data [^>]*/>", reply)
    assert rows[0].startswith(
        '<data seqid="5" stepid="2" cycleid="1" steptype="cc" testtime="10000" atime="2026-01-01 00:00:30"'
    )
    assert len(rows) == 2
    assert ' curr="0.002" ' in rows[0]


def test_no_rows_are_an_empty_list_that_still_tells_the_test(rig: Rig) -> None:
    reply = rig.ask("download", f'<download {PLACE} auxid="0" testid="0" startpos="0" count="0"/>')
    assert 'testid="0"' in reply
    assert '  <list count="0" />\r\n' in reply


def test_nobody_is_answered_before_the_login(rig: Rig) -> None:
    rig.server.restart(away_s=0.0)
    assert rig.session.feed(ASK.format("getdevinfo", "").encode(), 0.0) == []


def test_a_schedule_ends_by_itself_after_its_rest_and_its_cycles(rig: Rig) -> None:
    rig.start()
    rig.live(3600)
    channel = rig.channel
    assert channel.state == "finish"
    done = [(layer.last.cycle, layer.last.step, layer.last.kind) for layer in channel.layers]
    cycles = [(cycle, step, kind) for cycle in (1, 2, 3) for step, kind in ((2, "cc"), (3, "dc"))]
    assert done == [(1, 1, "rest"), *cycles]
    assert [layer.last.volt for layer in channel.layers if layer.last.kind == "dc"] == [2.3] * 3
    assert [code for _, code, _ in channel.log] == [STARTED, ENDED]
    assert rig.cell.current_a == 0.0
    # the paper: 96.8 mAh/g at 10C, of a cell that 60 cycles had faded by 4 %
    assert channel.layers[-1].last.cap == pytest.approx(1.7e-6 * 96.8, rel=0.04)


def test_layers_and_log_are_answered(rig: Rig) -> None:
    rig.start()
    rig.live(3600)
    layers = rig.ask("downloadStepLayer", f"<downloadStepLayer {PLACE} />")
    assert '<data startseqid="1" endseqid="3" stepindex="1" stepid="1" cycleid="1" steptype="rest"' in layers
    log = rig.ask("downloadlog", f'<download {PLACE} testid="0"/>')
    assert '<data seqid="1" log_code="100000" atime="2026-01-01 00:00:00" />' in log


@pytest.mark.parametrize(
    ("limits", "trips"),
    [
        ({"upper_v": 3.3}, True),
        ({"lower_v": 3.5}, True),
        ({"upper_a": 1e-3}, True),
        ({"upper_v": 3.9, "lower_v": 2.0, "upper_a": 3e-3, "lower_a": -3e-3}, False),
    ],
)
def test_its_own_limits_trip_a_channel_after_their_delay(
    rig: Rig, limits: dict[str, float], trips: bool
) -> None:
    steps = (Step(1, current_a=2e-3, volt_v=3.8), Step(6))
    rig.channel.start(Schedule(steps, delay_s=3.0, **limits), "x", 7, 0.0)
    rig.server._started = [rig.channel]
    rig.live(2)
    assert rig.channel.state == "working"
    rig.live(5)
    assert (rig.channel.state == "protect") is trips
    assert (rig.cell.current_a == 0.0) is trips
    assert (rig.channel.log[-1][1] == TRIPPED) is trips


def test_open_terminals_trip_the_lower_limit(rig: Rig) -> None:
    rig.channel.cell = None
    rig.start()
    rig.live(3)
    assert rig.channel.state == "protect"


def test_a_constant_voltage_step_ends_at_its_current(rig: Rig) -> None:
    steps = (Step(1, current_a=1e-3, volt_v=3.6), Step(3, current_a=1e-3, volt_v=3.6, stop_a=1e-4), Step(6))
    rig.channel.start(Schedule(steps), "x", 7, 0.0)
    rig.server._started = [rig.channel]
    rig.live(7200)
    assert rig.channel.state == "finish"
    last = rig.channel.layers[-1].last
    assert last.kind == "cv"
    assert last.volt == pytest.approx(3.6, abs=1e-4)
    assert last.curr <= 1e-4


def test_a_loop_within_a_loop_begins_anew_each_time(rig: Rig) -> None:
    rest = Step(4, time_s=1.0)
    steps = (rest, rest, Step(5, start=2, count=2), Step(5, start=1, count=3), Step(6))
    rig.channel.start(Schedule(steps), "x", 7, 0.0)
    rig.server._started = [rig.channel]
    rig.live(60)
    assert [layer.last.step for layer in rig.channel.layers] == [1, 2, 2] * 3


def test_a_start_is_refused_while_a_channel_works_and_for_what_is_no_step_file(rig: Rig) -> None:
    assert ">ok</start>" in rig.start()
    assert ">false</start>" in rig.start()
    rig.channel.end("stop", 0)
    rig.file.write_text(STEPS.replace('Step_Type="6"', 'Step_Type="25"'), "utf-8")
    assert ">false</start>" in rig.start()
    rig.file.unlink()
    assert ">false</start>" in rig.start()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</config></root>", ""),
        ('type="Step File"', 'type="Something"'),
        ('Num="5"', 'Num="4"'),
        ('Step_ID="3"', 'Step_ID="7"'),
        ('Start_Step Value="2"', 'Start_Step Value="4"'),
        ('<Curr Value="2"/>', ""),
        ('Step_Type="6"', 'Step_Type="six"'),
        ('Value="38000"', 'Value="high"'),
    ],
)
def test_a_broken_step_file_is_refused(old: str, new: str) -> None:
    assert old in STEPS
    with pytest.raises(ValueError, match=r".+"):
        read(STEPS.replace(old, new).encode())


def test_a_power_failure_ends_a_schedule_without_its_newest_data(rig: Rig) -> None:
    rig.start()
    rig.live(100)
    rows = len(rig.channel.rows)
    rig.server.power_cycle()
    rig.live(10)
    assert rig.channel.state == "finish"
    assert len(rig.channel.rows) < rows
    assert rig.cell.current_a == 0.0


def test_a_server_that_restarts_is_away_while_the_cycler_goes_on(rig: Rig) -> None:
    rig.start()
    rig.live(100)
    rig.server.restart(away_s=30.0)
    assert rig.session.feed(ASK.format("connect", "").encode(), 110.0) == []
    rig.live(40)
    rig.ask("connect", now_s=140.0)
    assert rig.channel.total_s == 140.0
    assert rig.channel.test == 144
