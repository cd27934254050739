"""One example that fails and one that passes for every rule: small edits of the paper's protocol, or of its bench."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from labctl.bench.schema import Bench, Guard
from tests.protocol.conftest import Edit, bundled

STANDARD = bundled("standard")


def changed(part: str, name: str, of: Bench = STANDARD, **update: Any) -> Bench:
    """A bench with one instrument, chamber or supply changed; `limits` are changed one by one."""
    old = getattr(of, part)[name]
    if "limits" in update:
        update["limits"] = old.limits.model_copy(update=update["limits"])
    return of.model_copy(update={part: {**getattr(of, part), name: old.model_copy(update=update)}})


def without(*guards: str, of: str = "tube", bench: Bench = STANDARD, **update: Any) -> Bench:
    """A bench with fewer guards on a chamber."""
    kept = tuple(guard for guard in bench.chambers[of].guards if guard.guard not in guards)
    return changed("chambers", of, bench, guards=kept, **update)


def wired(signal: str, *guards: str) -> Bench:
    """A tube with one protective signal, and perhaps the guard that acts on it."""
    tube = STANDARD.chambers["tube"]
    more = tuple(Guard(guard=guard) for guard in guards)
    return changed("chambers", "tube", io={signal: f"io.{signal}"}, guards=(*tube.guards, *more))


class Case(NamedTuple):
    """The paper's protocol after edits (each must apply), with these parameters, on this bench."""

    edits: tuple[Edit, ...] = ()
    bench: Bench = STANDARD
    parameters: Mapping[str, str] = {}


class Example(NamedTuple):
    """What a rule objects to, on the line in which `at` stands, and what it lets pass."""

    rule: str
    severity: str
    fails: Case
    at: str
    passes: Case


def contents(*substances: str) -> Edit:
    """Declare what is in the batch."""
    return ("charge: {", f"contents: {{{', '.join(substances)}}}\ncharge: {{")


def manual(text: str) -> Edit:
    """One more step of a person, first of all."""
    return ("steps:\n", f"steps:\n  - {{id: said, manual: {{do: {text}}}}}\n")


PLAIN = Case()
FLOW = 'under: {gas: nitrogen, flow: "{run_flow}"}'
PURGE = '  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: "{purge_flow}"}}\n'
COOL = "  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, " + FLOW + "}}\n"
PREHEAT = (
    '  - {id: preheat, heat: {with: furnace, to: "{preheat_temperature}", ramp: 2 K/min, hold: "{preheat_hold}", '
    f"atmosphere: inert, {FLOW}, after: continue}}}}\n"
)
DRIED = ", require: {solvent_loss: at least 99 %}"
ADDED = "Na2CO3: 0.3488 g", "H3PO4: 0.645 g", "VOC2O4: 0.68 g"
SLOW = manual("Add the carbonate slowly")
PLATE = changed("instruments", "hotplate", provides=("hotplate_stirrer", "solvent_dryer"))
NO_DRYER = changed("instruments", "oven", PLATE, provides=("oven",))
VESSEL = changed("chambers", "vessel", NO_DRYER, kind="vessel", flammable_rated=True)
COOL_PLATE = changed("instruments", "hotplate", VESSEL, limits={"max_temperature_c": 150})
QUARTZ = changed("chambers", "tube", material="quartz", max_temperature_c=None)
ORDINARY = changed("chambers", "drying-oven", flammable_rated=False)
WASHED = changed("chambers", "drying-oven", exhaust_l_per_min=500.0)
DRAUGHTY = changed("chambers", "drying-oven", exhaust_l_per_min=2.0)
CYLINDER = "nitrogen-cylinder"
OPEN = ("boat is alumina, trap empty, non-return valve fitted, extraction on", "boat is alumina")
DOWN = (
    "  - {id: cool,",
    "  - {id: down, heat: {with: furnace, to: 300 degC, ramp: 4 K/min, atmosphere: inert, "
    f"{FLOW}, after: continue}}}}\n  - {{id: cool,",
)
PYROLYSIS = 'to: "{pyrolysis_temperature}", ramp: 5 K/min, hold: "{pyrolysis_hold}"'
UNRAMPED_DOWN = (PYROLYSIS, f"segments: [{{{PYROLYSIS}}}, {{to: 300 degC, hold: 10 min}}]")
GLOVE_BOX = "confirm: [glove box below 1 ppm of oxygen and water], "
NVP = "formula: Na3V2(PO4)3"
CALCINE = (f"atmosphere: inert, {FLOW}, after: continue", "after: continue")

EXAMPLES: tuple[Example, ...] = (
    # solvents
    Example("SOL-001", "error", Case(bench=ORDINARY), "id: evaporate", PLAIN),
    Example("SOL-002", "error", Case(bench=ORDINARY), "id: evaporate", PLAIN),
    Example("SOL-002", "warning", Case(bench=DRAUGHTY), "id: evaporate", Case(bench=WASHED)),
    Example("SOL-003", "error", Case((("peroxide: {", "colour: {"),)), "id: evaporate", PLAIN),
    Example("SOL-003", "error", Case((("max: 20}", "max: 200}"),)), "id: peroxide-test",
            Case((("max: 20}", "max: 100}"),))),
    Example("SOL-004", "warning", Case(((f"product: {{{NVP}, mass: 1.0 g}}\n", ""),)), "id: evaporate",
            Case(((f"product: {{{NVP}, mass: 1.0 g}}\n", "contents: {Na2CO3: 0.35 g}\n"), SLOW))),
    Example("SOL-005", "error", Case(((DRIED, ""),)), "id: age", PLAIN),
    Example("SOL-006", "warning", Case((("to: 40 degC", "to: 62 degC"),), COOL_PLATE), "id: evaporate",
            Case((("to: 40 degC", "to: 60 degC"),), COOL_PLATE)),
    Example("SOL-007", "error", Case(bench=VESSEL), "id: evaporate", Case(bench=COOL_PLATE)),
    # what is in the pot
    Example("MIX-001", "warning", Case((contents(*ADDED),)), "contents:", Case((contents(*ADDED), SLOW))),
    Example("MIX-002", "error", Case((contents("Na2CO3: 0.3 g", *ADDED[1:]), SLOW)), "contents:",
            Case((contents(*ADDED), SLOW))),
    Example("MIX-002", "warning", Case((contents("Na2CO3: 0.34 g", *ADDED[1:]), SLOW)), "contents:",
            Case((contents("Na2CO3: 0.36 g", *ADDED[1:]), SLOW))),
    Example("MIX-003", "warning", Case((contents("V2O5: 0.4 g"),)), "contents:",
            Case((contents("V2O5: 0.4 g"), manual("Dissolve it in the hood")))),
    Example("MIX-004", "warning", Case((contents("Ti(OBu)4: 0.8 g"),)), "contents:",
            Case((contents("Ti(OBu)4: 0.8 g", "citric acid: 0.5 g"),))),
    Example("MIX-005", "error", Case((contents("NaNO3: 1 g", "F127: 0.3 g"),)), "contents:",
            Case((contents("NaNO3: 1 g", "SiO2: 0.3 g"),))),
    # gas
    Example("GAS-001", "error", Case(((PURGE, ""),)), "id: preheat", PLAIN),
    Example("GAS-001", "error", Case((CALCINE,)), "id: preheat",
            Case((CALCINE, contents("V2O5: 0.4 g"), ("charge: {thf: 10 mL, ethanol: 5 mL, ", "charge: {")))),
    Example("GAS-002", "error", Case((("until_oxygen_below: 100", "until_oxygen_below: 10"),)), "id: purge", PLAIN),
    Example("GAS-003", "warning", Case(((FLOW, "under: {gas: nitrogen, flow: 45 sccm}"),)), "id: preheat", PLAIN),
    Example("GAS-004", "warning", Case((("hold: \"{pyrolysis_hold}\", atmosphere: inert, " + FLOW,
            "hold: \"{pyrolysis_hold}\", atmosphere: inert, under: {gas: nitrogen, flow: 600 sccm}"),)),
            "id: pyrolyse", PLAIN),
    Example("GAS-005", "warning", Case((("until_oxygen_below: 100", "until_oxygen_below: 500"),)), "id: purge", PLAIN),
    Example("GAS-005", "error", Case((("until_oxygen_below: 100", "until_oxygen_below: 2000"),)), "id: purge", PLAIN),
    Example("GAS-005", "warning", Case(((PREHEAT, ""), ("ramp: 5 K/min", "ramp: 50 K/min"))), "id: pyrolyse",
            Case(((PREHEAT, ""),))),
    Example("GAS-006", "error", Case(bench=without("nitrogen_lost")), "id: preheat", PLAIN),
    Example("GAS-007", "error", Case(bench=wired("tube_pressure")), "id: preheat",
            Case(bench=wired("tube_pressure", "tube_pressure"))),
    Example("GAS-008", "warning", Case(bench=without("flow_deviation")), "id: preheat", PLAIN),
    Example("GAS-009", "error", Case(bench=changed("supplies", CYLINDER, contents_l=300)), "id: purge", PLAIN),
    Example("GAS-009", "warning", Case(bench=changed("supplies", CYLINDER, feeds=())), "id: purge", PLAIN),
    Example("GAS-010", "error", Case((OPEN,)), "id: preheat", Case((OPEN,), wired("extraction", "extraction"))),
    Example("GAS-011", "warning", Case((("mass: 1.0 g", "mass: 6 g"),)), "id: preheat",
            Case((("mass: 1.0 g", "mass: 6 g"), ), parameters={"run_flow": "300 sccm"})),
    Example("GAS-012", "warning", Case(bench=wired("room_oxygen")), "id: preheat",
            Case(bench=wired("room_oxygen", "room_oxygen"))),
    Example("GAS-012", "info", PLAIN, "id: preheat",
            Case(bench=changed("supplies", CYLINDER, contents_l=900))),
    Example("GAS-013", "warning", Case((contents("NH4H2PO4: 0.7 g"),)), "contents:",
            Case((contents("NH4H2PO4: 0.7 g"), manual("Fill the ammonia trap")))),
    # furnaces
    Example("FUR-001", "error", Case((('"{pyrolysis_temperature}"', "1150 degC"),), QUARTZ), "id: pyrolyse",
            Case((('"{pyrolysis_temperature}"', "1100 degC"),), QUARTZ)),
    Example("FUR-002", "warning", Case((("ramp: 5 K/min", "ramp: 8 K/min"),)), "id: pyrolyse", PLAIN),
    Example("FUR-002", "error", Case(bench=changed("chambers", "tube", inner_diameter_mm=130)), "id: pyrolyse", PLAIN),
    Example("FUR-002", "error", Case((("ramp: 5 K/min, ", ""),)), "id: pyrolyse", PLAIN),
    Example("FUR-003", "error", Case((("ramp: 5 K/min, ", ""),)), "id: pyrolyse", PLAIN),
    Example("FUR-003", "warning", Case((("ramp: 5 K/min", "ramp: 6 K/min"),)), "id: pyrolyse",
            Case((("ramp: 5 K/min", "ramp: 6 K/min"),), QUARTZ)),
    Example("FUR-003", "error", Case((("ramp: 5 K/min", "ramp: 11 K/min"),)), "id: pyrolyse",
            Case(bench=changed("chambers", "tube", inner_diameter_mm=20))),
    Example("FUR-003", "info", PLAIN, "id: preheat", Case(bench=QUARTZ)),
    Example("FUR-004", "error", Case((("alumina boat", "boat"), ("boat is alumina, ", "")), QUARTZ), "id: pyrolyse",
            Case(bench=QUARTZ)),
    Example("FUR-005", "info", Case(bench=QUARTZ), "id: pyrolyse", PLAIN),
    Example("FUR-006", "warning", Case((DOWN,)), "id: down",
            Case(((DOWN[0], DOWN[1].replace("4 K/min", "1 K/min")),))),
    Example("FUR-007", "warning", Case(bench=changed("chambers", "tube", heating_k_per_min=4)), "id: pyrolyse", PLAIN),
    Example("FUR-008", "error", Case(((COOL, ""),)), "id: unload", PLAIN),
    Example("FUR-009", "error", Case(((f", natural: true, {FLOW}", ""),)), "id: cool", PLAIN),
    Example("FUR-010", "error", Case(bench=without("over_temperature")), "id: preheat", PLAIN),
    Example("FUR-010", "error", Case(bench=changed("chambers", "tube", QUARTZ, max_temperature_c=1300,
            ).model_copy(update={"instruments": changed("instruments", "furnace", limits={"max_temperature_c": 1200}
            ).instruments})), "id: preheat", Case(bench=QUARTZ)),
    Example("FUR-010", "warning", Case(bench=changed("instruments", "furnace", QUARTZ,
            limits={"max_temperature_c": None})), "id: preheat", Case(bench=QUARTZ)),
    Example("FUR-011", "error", Case(bench=without("sensor")), "id: preheat", PLAIN),
    Example("FUR-011", "warning", Case(bench=without("thermometers_disagree")), "id: preheat", PLAIN),
    Example("FUR-012", "warning", Case((contents("F127: 0.3 g"), (PREHEAT, ""))), "id: pyrolyse",
            Case((contents("F127: 0.3 g"),))),
    Example("FUR-014", "warning", Case((contents("F127: 0.3 g"), ('to: "{preheat_temperature}"', "to: 250 degC"))),
            "id: preheat", Case((contents("F127: 0.3 g"),))),
    Example("FUR-015", "error", Case(bench=without("silent")), "id: preheat", PLAIN),
    # cells
    Example("CEL-001", "warning", Case((("3.8 V]", "3.9 V]"),)), "id: test", PLAIN),
    Example("CEL-001", "error", Case((("3.8 V]", "4.3 V]"),)), "id: test", PLAIN),
    Example("CEL-001", "warning", Case((("[2.3 V", "[2.0 V"),)), "id: test", PLAIN),
    Example("CEL-001", "error", Case((("[2.3 V", "[1.9 V"),)), "id: test", PLAIN),
    Example("CEL-002", "warning", Case((("rate: 1C", "rate: 21C"),)), "id: test", Case((("rate: 1C", "rate: 10C"),))),
    Example("CEL-002", "error", Case((("rate: 1C", "rate: 30C"),)), "id: test", PLAIN),
    Example("CEL-003", "info", Case(parameters={"cycles": "100"}), "id: test", PLAIN),
    Example("CEL-004", "error", Case(bench=without("cell_limits", of="cell")), "id: test", PLAIN),
    Example("CEL-005", "warning", Case(((NVP, "recipe: none, formula: NaTi2(PO4)3"),)), "id: test", PLAIN),
    Example("CEL-006", "warning", Case(((GLOVE_BOX, ""),)), "id: assemble-cell",
            Case((("half-cell, " + GLOVE_BOX, "half-cell in argon, "),))),
    Example("CEL-006", "error", Case((("half-cell, " + GLOVE_BOX, "half-cell in air, "),)), "id: assemble-cell", PLAIN),
    Example("CEL-007", "warning", Case((("117 mA/g", "117.6 mA/g"),)), "id: test", PLAIN),
    Example("CEL-008", "warning", Case(parameters={"cycles": "1000"}), "id: test",
            Case((("rate: 1C", "rate: 5C"),), parameters={"cycles": "1000"})),
    Example("GAS-014", "error", Case(bench=changed("chambers", "tube", leak_sccm=0.3)), "id: purge",
            Case(bench=changed("chambers", "tube", leak_sccm=0.01))),
    Example("GAS-014", "warning", Case(bench=changed("chambers", "tube", leak_sccm=0.03)), "id: pyrolyse",
            Case(bench=changed("chambers", "tube", leak_sccm=0.01))),
    # the bench's limits, and what it lacks
    Example("LIM-001", "error", Case((("to: 40 degC", "to: 310 degC"),)), "id: evaporate", PLAIN),
    Example("LIM-002", "error", Case((("ramp: 5 K/min", "ramp: 11 K/min"),)), "id: pyrolyse", PLAIN),
    Example("LIM-002", "error", Case((("ramp: 5 K/min, ", ""),)), "id: pyrolyse", PLAIN),
    Example("LIM-002", "error", Case((("ramp: 5 K/min", "ramp: 0 K/min"),)), "id: pyrolyse", Case((UNRAMPED_DOWN,))),
    Example("LIM-003", "error", Case((('flow: "{purge_flow}"', "flow: 2 slm"),)), "id: purge", PLAIN),
    Example("LIM-004", "error", Case((("speed: 500 rpm", "speed: 1600 rpm"),)), "id: mix", PLAIN),
    Example("LIM-005", "error", Case((("to: 40 degC", "to: 20 degC"),)), "id: evaporate", PLAIN),
    Example("LIM-006", "error", Case(bench=changed("instruments", "nitrogen", limits={"min_flow_sccm": 250.0})),
            "id: preheat", Case(bench=changed("instruments", "nitrogen", limits={"min_flow_sccm": 10.0}))),
    Example("SAFE-001", "error", Case(((FLOW, "under: {gas: nitrogen, flow: 110 sccm}"),)), "id: preheat", PLAIN),
    Example("SAFE-005", "warning", PLAIN, "id: preheat", Case(bench=bundled("small"))),
    Example("SAFE-007", "error", Case(bench=changed("supplies", CYLINDER, gas="H2")), "id: purge",
            Case(bench=changed("supplies", CYLINDER, gas="Ar"))),
    Example("SAFE-008", "warning", PLAIN, "id: preheat", Case(bench=bundled("small"))),
    # notes
    Example("PAPER-001", "info", PLAIN, "id: age", Case((("advs.202004943", "own"),))),
    Example("PAPER-002", "info", PLAIN, "id: test", Case((("rate: 1C", "rate: 2C"),))),
    Example("PAPER-003", "info", PLAIN, "id: test", Case((("advs.202004943", "own"),))),
    Example("PAPER-004", "info", PLAIN, "id: assemble-cell", Case((("active_mass: {", "cell_mass: {"),))),
    Example("PAPER-005", "info", Case((("expected:\n", "expected:\n  - {quantity: diffusion_coefficient, value: 1, "
            "unit: mAh/g, tolerance: 1, provenance: paper}\n"),)), "diffusion", PLAIN),
    Example("PAPER-006", "info", PLAIN, "id: pyrolyse", Case((('to: "{pyrolysis_temperature}"', "to: 600 degC"),))),
    Example("PAPER-007", "info", PLAIN, "id: unload", Case((("advs.202004943", "own"),))),
    Example("PAPER-008", "info", PLAIN, "id: preheat", Case(((NVP, "recipe: none, formula: LiFePO4"),))),
    Example("PLAN-001", "info", PLAIN, "id: peroxide-test",
            Case((('hold: "{evaporation_hold}"', "hold: 5 h"), ('hold: "{ageing_hold}"', "hold: 1 h"),
                  ("below: 60 degC", "below: 700 degC"), ('hold: "{preheat_hold}"', "hold: 1 h"),
                  ('cycles: "{cycles}"', "cycles: 1")))),
)  # fmt: skip
