"""A bench of hand-made readings: builds a context from a bundled bench, feeds `decide`, and answers its commands.

Every scan is judged: the same inputs give the same decision, and the events folded over the state before, with the
new tally, give the state after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.engine.context import Context, compile_bench
from labctl.engine.decide import Decision, Inputs, decide, period_s
from labctl.engine.evolve import evolve, with_tally
from labctl.engine.state import BenchState, ChamberState, RunState, StepState, empty
from labctl.model.commands import Command, Outcome, Request, Result
from labctl.model.events import Event
from labctl.model.readings import BAD, GOOD, SILENT, Image, Quality, Reading
from labctl.protocol.plan import (
    AnyStep,
    Charge,
    Cool,
    Cycle,
    Gas,
    Heat,
    Plan,
    Portion,
    Purge,
    Segment,
    Stir,
    Unload,
    Weigh,
)
from labctl.runtime.assembly import facts

COLD = {
    "hotplate.speed": 0.0, "hotplate.speed_setpoint": 0.0, "hotplate.temperature": 22.0, "hotplate.setpoint": 0.0,
    "oven.temperature": 22.0, "oven.setpoint": 20.0, "oven.working_setpoint": 20.0,
    "furnace.temperature": 22.0, "furnace.setpoint": 20.0, "furnace.working_setpoint": 20.0, "furnace.output": 0.0,
    "furnace-monitor.temperature": 22.0,
    "nitrogen.flow": 0.0, "nitrogen.flow_setpoint": 0.0, "nitrogen.pressure": 1.0,
    "oxygen.oxygen": 209500.0,
    "io.door": 1.0, "io.extraction": 1.0, "io.limiter": 1.0, "io.water": 1.0, "io.estop": 1.0,
    "io.room_oxygen": 20.9, "io.room_co": 0.0, "io.tube_pressure": 0.004, "io.cylinder_pressure": 200.0,
    "io.contactor": 0.0, "io.bypass": 1.0, "io.beacon": 0.0, "io.watchdog": 0.0,
    "balance.mass": 0.0, "balance.stable": 1.0, "balance.tare": 0.0,
    "pump.pumping": 0.0, "pump.dispensed": 0.0, "pump.rate": 1.0, "pump.volume": 0.0, "pump.alarm": 0.0,
    "cycler.voltage": 2.5, "cycler.current": 0.0, "cycler.elapsed": 0.0, "cycler.limited": 0.0, "cycler.output": 0.0,
}  # fmt: skip


@cache
def bundled(name: str) -> Bench:
    return load_bench(name)


AROUND = (
    "limiter", "estop_contact", "tube_pressure", "tube_integrity", "extraction", "water", "contactor", "door",
    "room_oxygen", "room_co", "gas_reserve",
)  # fmt: skip
"""Guards that need an I/O module, or that turn a step of oxygen into more than a hold."""


@cache
def bare(name: str) -> Bench:
    """A bundled bench without its I/O module and what that guards: most of the engine is about something else."""
    bench = bundled(name)
    chambers = {
        n: c.model_copy(update={"io": {}, "guards": tuple(g for g in c.guards if g.guard not in AROUND)})
        for n, c in bench.chambers.items()
    }
    instruments = {n: i for n, i in bench.instruments.items() if "io" not in i.provides}
    supplies = {n: s.model_copy(update={"gauge": None}) for n, s in bench.supplies.items()}
    return bench.model_copy(update={"chambers": chambers, "instruments": instruments, "supplies": supplies})


NEEDS_PHYSICS = frozenset(
    {"sensor_jump", "detached_sensor", "frozen_sensor", "thermometers_disagree", "ramp_deviation", "no_heat"}
)
"""Guards that hold readings against physics, which the hands of most tests do not obey."""


def without_physics(bench: Bench, *but: str) -> Bench:
    """The bench without them (but those named): its temperatures may be anywhere, at once."""
    gone = NEEDS_PHYSICS - set(but)
    chambers = {
        n: c.model_copy(update={"guards": tuple(g for g in c.guards if g.guard not in gone)})
        for n, c in bench.chambers.items()
    }
    return bench.model_copy(update={"chambers": chambers})


def plan_of(*steps: AnyStep, charge: Charge | None = None) -> Plan:
    """A plan of these steps and nothing else."""
    return Plan(
        protocol="test",
        title="test",
        steps=steps,
        charge=charge or Charge(),
        bench_identity="any",
        simulated=True,
    )


def stir(**changes: Any) -> Stir:
    given: dict[str, Any] = {
        "id": "stir",
        "instruments": ("hotplate",),
        "chamber": "vessel",
        "stirrer": "hotplate",
    }
    return Stir(**(given | {"speed_rpm": 300.0, "duration_s": 60.0, "timeout_s": 300.0} | changes))


def purge(**changes: Any) -> Purge:
    given: dict[str, Any] = {"id": "purge", "instruments": ("nitrogen", "oxygen"), "chamber": "tube"}
    given |= {"gas": "nitrogen", "analyser": "oxygen", "flow_sccm": 500.0, "oxygen_below_ppm": 100.0}
    return Purge(**(given | {"volume_cm3": 100.0, "expected_s": 400.0, "timeout_s": 900.0} | changes))


def ramp(target_c: float = 300.0, hold_s: float = 60.0) -> Segment:
    return Segment(target_c=target_c, ramp_k_per_min=20.0, hold_s=hold_s)


def inert(**changes: Any) -> Heat:
    """Heating of the tube under nitrogen."""
    under = Gas(instrument="nitrogen", flow_sccm=200.0)
    given: dict[str, Any] = {"id": "heat", "instruments": ("furnace", "nitrogen"), "chamber": "tube"}
    given |= {
        "heater": "furnace",
        "segments": (ramp(),),
        "band_k": 5.0,
        "atmosphere": "inert",
        "under": under,
    }
    return Heat(**(given | {"catch_up_s": 120.0, "timeout_s": 7200.0} | changes))


def dry(**changes: Any) -> Heat:
    """Heating in the oven, in air."""
    given: dict[str, Any] = {
        "id": "dry",
        "instruments": ("oven",),
        "chamber": "drying-oven",
        "heater": "oven",
    }
    given |= {"segments": (ramp(100.0, 600.0),), "band_k": 2.0, "atmosphere": "air"}
    return Heat(**(given | {"catch_up_s": 600.0, "timeout_s": 7200.0, "after": "off"} | changes))


def cool(**changes: Any) -> Cool:
    under = Gas(instrument="nitrogen", flow_sccm=200.0)
    given: dict[str, Any] = {
        "id": "cool",
        "instruments": ("furnace",),
        "chamber": "tube",
        "heater": "furnace",
    }
    return Cool(
        **(given | {"below_c": 60.0, "under": under, "expected_s": 900.0, "timeout_s": 1800.0} | changes)
    )


def unload(**changes: Any) -> Unload:
    given: dict[str, Any] = {
        "id": "unload",
        "instruments": ("nitrogen",),
        "chamber": "tube",
        "gas": "nitrogen",
    }
    return Unload(**(given | {"into": "powder", "below_c": 60.0} | changes))


def weigh(**changes: Any) -> Weigh:
    portion = Portion(reagent="Na2CO3", unit="g", amount=0.3488, tolerance_pct=1.0)
    given: dict[str, Any] = {"id": "weigh", "instruments": ("balance",), "chamber": "pan"}
    return Weigh(**(given | {"balance": "balance", "portion": portion} | changes))


def cycle(**changes: Any) -> Cycle:
    given: dict[str, Any] = {"id": "cycle", "instruments": ("cycler",), "chamber": "cell", "cycler": "cycler"}
    given |= {"rate_c": 0.5, "specific_current_ma_per_g": 117.6, "upper_v": 4.0, "lower_v": 2.0, "cycles": 2}
    return Cycle(**(given | {"timeout_s": 36000.0} | changes))


class Hands:
    """The bench in the hands of a test.

    physics: whether the guards that hold readings against physics stay on the bench.
    values: what each signal reads; quality: where it is not GOOD; absent: signals of which nothing was ever read.
    supply: whether nitrogen flows when it is commanded. person: who asks.
    outcome: what becomes of a verb, "ok" unless said otherwise;
    "acknowledged" is ok without effect, "never" leaves it in flight.
    """

    def __init__(
        self,
        *steps: AnyStep,
        bench: str | Bench = "small",
        charge: Charge | None = None,
        physics: bool = False,
    ) -> None:
        given = bare(bench) if isinstance(bench, str) else bench
        self.bench = given if physics else without_physics(given)
        self.plan = plan_of(*steps, charge=charge) if steps else None
        plans = [self.plan] if self.plan else []
        self.context: Context = compile_bench(self.bench, facts(self.bench, drivers()), plans)
        self.state: BenchState = empty(self.bench.chambers)
        self.values: dict[str, float | None] = dict(COLD)
        self.quality: dict[str, Quality] = {}
        self.absent: set[str] = set()
        self.outcome: dict[str, str] = {}
        self.now = 0.0
        self.estop = False
        self.supply = True
        self.person = "person"
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.settled: list[tuple[str, str, bool]] = []
        self._results: list[Result] = []
        self._asked = 0

    # -- what a test looks at ----------------------------------------------------------------------

    @property
    def run(self) -> RunState:
        return self.state.runs["run-1"]

    @property
    def tube(self) -> ChamberState:
        return self.state.chambers["tube"]

    @property
    def alarms(self) -> dict[str, dict[str, Any]]:
        """Those whose condition holds."""
        return {name: alarm for name, alarm in self.state.alarms.items() if alarm["active"]}

    def step(self, name: str) -> StepState:
        return self.run.active[name]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]

    def sent(self, *verbs: str) -> list[Command]:
        """Commands of these verbs that went out, renewals apart."""
        return [c for c in self.commands if c.verb in verbs and not c.renewal]

    def watch(self, guard: str, bench: Bench) -> None:
        """From now on the bench has this guard too, which needs physics."""
        self.bench = without_physics(bench, guard)
        plans = [self.plan] if self.plan else []
        self.context = compile_bench(self.bench, facts(self.bench, drivers()), plans)

    # -- what a test does --------------------------------------------------------------------------

    def image(self) -> Image:
        return {
            key: Reading(value, "", self.quality.get(key, GOOD), self.now)
            for key, value in self.values.items()
            if key not in self.absent
        }

    def scan(
        self, dt_s: float | None = None, requests: Sequence[Request] = (), recovered: bool = False
    ) -> Decision:
        """One scan, when it is due or after `dt_s`."""
        dt_s = period_s(self.context, self.state) if dt_s is None else dt_s
        self.now += dt_s
        results, self._results = self._results, []
        inputs = Inputs(self.now, dt_s, self.image(), results, requests, self.estop, recovered)
        decision = decide(self.context, self.state, inputs)
        assert decide(self.context, self.state, inputs) == decision
        folded = self.state
        for event in decision.events:
            folded = evolve(folded, event)
        assert with_tally(folded, decision.state.tally) == decision.state
        self.state = decision.state
        self.events += decision.events
        self.commands += decision.commands
        self.settled += decision.settled
        for command in decision.commands:
            if not command.renewal:
                self._carry_out(command)
            elif self.context.rigs[self.context.chamber_of[command.instrument]].host_ramp:
                for signal in ("setpoint", "working_setpoint"):
                    self.values[f"{command.instrument}.{signal}"] = command.args["target_c"]
        return decision

    def go(self, seconds: float) -> None:
        """Scan for that long."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.scan()

    def until(self, there: Callable[[], bool], within_s: float = 100_000.0) -> None:
        """Scan until `there`; fails when that is not within `within_s`."""
        end = self.now + within_s
        while not there():
            assert self.now < end, (self.state.runs, self.state.chambers)
            self.scan()

    def phase(self, step: str, phase: str, within_s: float = 100_000.0) -> None:
        self.until(lambda: step in self.run.active and self.step(step).phase == phase, within_s)

    def ask(self, verb: str, run: str | None = "run-1", /, **more: Any) -> tuple[str, bool]:
        """Ask for something in a scan of its own; its outcome and whether it was accepted."""
        self._asked += 1
        fields = {k: more.pop(k) for k in ("expected_state", "expired") if k in more}
        request = Request(f"r{self._asked}", verb, run, more, self.person, **fields)
        self.scan(0.0, [request])
        identity, outcome, accepted = self.settled[-1]
        assert identity == request.id
        return outcome, accepted

    def start(self, run: str = "run-1") -> None:
        assert self.plan is not None
        assert self.ask("submit", None, run=run, plan=self.plan.plan_hash)[1]
        assert self.ask("start", run)[1]

    def heated(self, celsius: float = 300.0) -> None:
        """Start; purge; heat to that temperature. The steps of the plan are those named here."""
        self.values["oxygen.oxygen"] = 5.0
        self.start()
        self.phase("heat", "ramp", 3000.0)
        self.scan()
        self.at(celsius)

    def at(self, celsius: float) -> None:
        """Both thermometers of the tube read that."""
        self.values["furnace.temperature"] = self.values["furnace-monitor.temperature"] = celsius

    def nitrogen(self, flows: bool) -> None:
        """The supply fails, or is back."""
        self.supply = flows
        self.values["nitrogen.flow"] = self.values["nitrogen.flow_setpoint"] if flows else 0.0

    def silence(self, instrument: str) -> None:
        for key in self.values:
            if key.startswith(f"{instrument}."):
                self.values[key], self.quality[key] = None, SILENT

    def broken(self, key: str) -> None:
        self.quality[key] = BAD

    def _carry_out(self, command: Command) -> None:
        outcome = self.outcome.get(command.verb, "ok")
        if outcome == "never":
            return
        if outcome == "ok" or outcome == "carried out, reply lost":
            self._effect(command)
        words: dict[str, Outcome] = {
            "ok": "ok",
            "acknowledged": "ok",
            "failed": "failed",
            "refused": "refused",
        }
        self._results.append(Result(command.id, words.get(outcome, "unknown"), outcome, {}))

    def _effect(self, command: Command) -> None:
        name, values, args = command.instrument, self.values, command.args
        match command.verb:
            case "heat":
                values[f"{name}.setpoint"] = values[f"{name}.working_setpoint"] = args["target_c"]
                if f"{name}.output" in values:
                    values[f"{name}.output"] = 50.0
            case "heat_off":
                values[f"{name}.setpoint"] = 20.0
                if f"{name}.output" in values:
                    values[f"{name}.output"] = 0.0
            case "set_flow":
                values[f"{name}.flow_setpoint"] = args["flow_sccm"]
                values[f"{name}.flow"] = args["flow_sccm"] if self.supply else 0.0
            case "set_output":
                values[f"{name}.{args['name']}"] = 1.0 if args["on"] else 0.0
            case "arm":
                values[f"{name}.watchdog"] = 1.0
            case "stir":
                values[f"{name}.speed"] = values[f"{name}.speed_setpoint"] = args["speed_rpm"]
            case "tare":
                values[f"{name}.mass"] = 0.0
            case "dispense":
                values[f"{name}.pumping"] = 1.0
            case "pump_off":
                values[f"{name}.pumping"] = 0.0
            case "stir_off":
                values[f"{name}.speed"] = values[f"{name}.speed_setpoint"] = 0.0
            case "source":
                towards = 1.0 if args["voltage_v"] > (values[f"{name}.voltage"] or 0.0) else -1.0
                values[f"{name}.current"] = towards * args["limit_a"]
                values[f"{name}.output"] = values[f"{name}.limited"] = 1.0
            case "open_circuit":
                values[f"{name}.current"] = values[f"{name}.output"] = values[f"{name}.limited"] = 0.0
