import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from labctl.bench import discovery
from labctl.bench.api import CAPABILITIES, Driver, DriverEntry
from labctl.bench.discovery import drivers
from labctl.bench.loader import bundled_benches, check_bench, find_bench, load_bench
from labctl.errors import Finding, UsageError, ValidationError

STANDARD = bundled_benches()["standard"].read_text()


OPTIONS = ("profile", "unit", "gas", "model", "sim_pb_k", "sim_ti_s", "sim_td_s")


def entry(name: str, capabilities: tuple[str, ...], link: str = "serial", api: int = 1) -> DriverEntry:
    """A declaration without an instrument behind it."""
    return DriverEntry(
        name=name, title=name, capabilities=capabilities, factory=Driver, signals=(), device=None, link=link,
        on_comms_loss="", on_power_return="", options=dict.fromkeys(OPTIONS, ""), api=api,
    )  # type: ignore[abstract,unused-ignore]  # fmt: skip


ENTRIES: Mapping[str, DriverEntry] = {
    "ika": entry("ika", ("hotplate_stirrer",)),
    "binder": entry("binder", ("oven", "solvent_dryer"), "tcp"),
    "eurotherm": entry("eurotherm", ("tube_furnace", "thermometer")),
    "alicat": entry("alicat", ("gas_flow",)),
    "rapidox": entry("rapidox", ("oxygen",)),
    "keithley": entry("keithley", ("cycler",), "visa"),
    **{name: drivers()[name] for name in ("io", "mettler", "new-era")},
}


def found(*edits: tuple[str, str]) -> list[Finding]:
    """What is wrong with the standard bench after edits."""
    text = STANDARD
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    bench, findings = check_bench(text, "bench.yaml", ENTRIES)
    assert (bench is None) == any(f.severity == "error" for f in findings)
    return findings


@pytest.mark.parametrize("name", sorted(bundled_benches()))
def test_a_bundled_bench_is_sound(name: str) -> None:
    bench, findings = check_bench(bundled_benches()[name].read_bytes(), name, ENTRIES)
    assert findings == []
    assert bench is not None
    assert bench.simulated
    assert bench.bench == name


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "extraction: io.extraction\n",
            "extracton: io.extraction\n",
            "nothing protects by a signal 'extracton'",
        ),
        ("limiter: io.limiter", "limiter: oi.limiter", "'oi' is no I/O module"),
        ("limiter: io.limiter", "limiter: furnace.limiter", "'furnace' is no I/O module"),
        ("limiter: io.limiter", "limiter: io.limit", "io has no 'limit' of unit 1 wired"),
        ("limiter: io.limiter", "limiter: io.tube_pressure", "io has no 'tube_pressure' of unit 1 wired"),
        ("{watchdog_s: 30}", "{channels: {door: {input: 0}}}", "io has no 'limiter' of unit 1 wired"),
        ("gauge: io.cylinder_pressure", "gauge: io.tube_pressure", "is no pressure of an I/O module"),
        ("full_bar: 200, ", "", "a gauge says nothing without `full_bar`"),
    ],
)
def test_a_protective_signal_that_nobody_tells_is_refused(old: str, new: str, said: str) -> None:
    text = bundled_benches()["small"].read_text()
    assert old in text
    bench, findings = check_bench(text.replace(old, new, 1), "bench.yaml", ENTRIES)
    assert bench is None
    assert said in " ".join(f.message for f in findings if f.rule == "BENCH-013")


@pytest.mark.parametrize(
    ("old", "new", "rule", "said", "hint"),
    [
        ("driver: binder", "driver: bindr", "BENCH-001", "no driver 'bindr'", "did you mean binder?"),
        ("[cycler]", "[oxygen]", "BENCH-002", "driver keithley does not offer oxygen", "offers: cycler"),
        ("[gas_flow]", "[gas_flwo]", "BENCH-003", "no capability 'gas_flwo'", "did you mean gas_flow?"),
        (
            "chamber: drying-oven",
            "chamber: dryng-oven",
            "BENCH-004",
            "no chamber",
            "did you mean drying-oven?",
        ),
        (
            "labsim://standard/oven",
            "labsom://standard/oven",
            "BENCH-005",
            "is not an address",
            "serial:///dev",
        ),
        ("labsim://standard/oven", "/dev/ttyUSB0", "BENCH-005", "is not an address", "serial:///dev"),
        ("labsim://standard/oven", "serial:///dev/ttyUSB0", "BENCH-005", "speaks tcp, not serial", "tcp"),
        (
            "labsim://standard/oven",
            "tcp://10.0.0.7:502",
            "BENCH-008",
            "mixes simulated instruments",
            "one or the",
        ),
        ("{unit: A, gas: N2}", "{unti: A}", "BENCH-006", "has no option 'unti'", "did you mean unit?"),
        ("feeds: [nitrogen]", "feeds: [nitrogn]", "BENCH-007", "no instrument 'nitrogn'", "mean nitrogen?"),
        (
            "labsim://standard/furnace-monitor",
            "labsim://standard/furnace",
            "BENCH-009",
            "address and unit of",
            "",
        ),
        (
            "[heat_off, dosing_off, stir_slow]",
            "[heat_of, dosing_off, stir_slow]",
            "BENCH-010",
            "item 'heat_of'",
            "mean heat_off?",
        ),
        ("{guard: sensor}", "{guard: sensr}", "BENCH-011", "no guard 'sensr'", "did you mean sensor?"),
        (
            "{guard: nitrogen_low}",
            "{guard: nitrogen_low, limits: {nitrogen_low_fractn: 0.9}}",
            "BENCH-012",
            "no limit 'nitrogen_low_fractn'",
            "did you mean nitrogen_low_fraction?",
        ),
        (
            "{guard: nitrogen_low}",
            "{guard: nitrogen_low, limits: {nitrogen_low_fraction: 0.7}}",
            "BENCH-012",
            "0.7 1 is looser than 0.8 1",
            "a bench may tighten, never loosen",
        ),
        ("serial_number: SIM-IKA-1", "serial_number: 1234", "SCH-003", "must be text", "write it in quotes"),
        (
            "max_speed_rpm",
            "max_sped_rpm",
            "SCH-001",
            "unknown key 'max_sped_rpm'",
            "did you mean max_speed_rpm?",
        ),
        ("volume_cm3: 2290", "volume_cm3: .nan", "SCH-003", "valid number", ""),
        ("kind: vessel", "kind: vesel", "SCH-003", "'vesel'", "did you mean vessel?"),
        (
            "provides: [oven, solvent_dryer]\n",
            "\n",
            "SCH-002",
            "'provides' is missing in instruments.oven",
            "",
        ),
        ("bench: standard", "bench: !x standard", "YAML-002", "tag !x", "plain YAML"),
    ],
)
def test_a_mistake_in_a_bench_is_found_at_its_line(
    old: str, new: str, rule: str, said: str, hint: str
) -> None:
    findings = [f for f in found((old, new)) if f.rule == rule]
    assert findings
    assert said in findings[0].message
    assert hint in (findings[0].hint or "")
    line = STANDARD.count("\n", 0, STANDARD.index(old)) + 1
    if rule == "SCH-002":
        line = STANDARD[: STANDARD.index("  oven:\n")].count("\n") + 2
    assert findings[0].line == line


def test_a_guard_that_would_see_nothing_is_refused_where_it_stands() -> None:
    (finding,) = found(("    heating_k_per_min: 40\n", ""))
    assert (finding.rule, finding.severity) == ("BENCH-015", "error")
    assert "without which detached_sensor sees nothing" in finding.message
    assert finding.line == STANDARD.count("\n", 0, STANDARD.index("{guard: detached_sensor}"))


def test_only_an_oven_is_shared_by_several_runs() -> None:
    shared = yaml.safe_load(STANDARD)
    shared["chambers"]["drying-oven"]["shared"] = True
    bench, _ = check_bench(yaml.safe_dump(shared), "bench.yaml")
    assert bench is not None
    assert bench.chambers["drying-oven"].shared
    assert bench.identity != load_bench("standard").identity
    for name in ("tube", "vessel"):
        (finding,) = found((f"  {name}:\n", f"  {name}:\n    shared: true\n"))
        assert (finding.rule, finding.severity) == ("BENCH-017", "error")
        assert "only an oven has room for several runs" in finding.message


def test_a_bench_may_tighten_a_limit() -> None:
    assert (
        found(("{guard: nitrogen_low}", "{guard: nitrogen_low, limits: {nitrogen_low_fraction: 0.9}}")) == []
    )


def test_a_finding_names_the_column_of_the_value_or_of_the_unknown_key() -> None:
    (finding,) = found(("driver: binder", "driver: bindr"))
    assert (finding.line, finding.column) == (
        STANDARD[: STANDARD.index("driver: binder")].count("\n") + 1,
        13,
    )
    (finding,) = found(("{unit: A, gas: N2}", "{unti: A}"))
    assert finding.column == 15


def test_options_of_a_twin_are_for_simulated_instruments_only() -> None:
    (finding,) = found(("{unit: A, gas: N2}", "{unit: A, sim_pbk: 1}"))
    assert (finding.rule, finding.severity, finding.hint) == (
        "BENCH-006",
        "warning",
        "did you mean sim_pb_k?",
    )
    edits = ("labsim://standard/nitrogen", "tcp://10.0.0.7:4001"), ("gas: N2", "sim_pb_k: 1")
    assert "is an option of a simulator, and nitrogen is real" in found(*edits)[0].message


def test_several_mistakes_are_found_at_once() -> None:
    rules = {f.rule for f in found(("driver: binder", "driver: bindr"), ("feeds: [nitrogen]", "feeds: [x]"))}
    assert rules == {"BENCH-001", "BENCH-007"}


def test_a_bench_is_a_folder_a_file_or_a_bundled_name(tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text(STANDARD)
    assert find_bench(tmp_path) == tmp_path / "bench.yaml"
    assert find_bench(tmp_path / "bench.yaml") == tmp_path / "bench.yaml"
    assert find_bench("small") == bundled_benches()["small"]
    with pytest.raises(UsageError, match=r"did you mean standard\?"):
        find_bench("standrd")
    assert load_bench(tmp_path, ENTRIES) == load_bench("standard", ENTRIES)
    (tmp_path / "bench.yaml").write_text("bench: x\n")
    with pytest.raises(ValidationError, match="SCH-002"):
        load_bench(tmp_path, ENTRIES)


def test_the_bundled_benches_are_found_without_importing_the_simulators() -> None:
    code = (
        "import sys; from labctl.bench.loader import bundled_benches; assert bundled_benches()['standard'];"
        "sys.exit(any(m.startswith(('labctl_simulators', 'labctl_drivers')) for m in sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}
        ).returncode
        == 0
    )


def test_addresses_contents_and_titles_do_not_change_the_identity_of_a_bench() -> None:
    bench = load_bench("standard", ENTRIES)
    moved = STANDARD.replace("labsim://standard/", "labsim://elsewhere/").replace(
        "contents_l: 10000", "contents_l: 5"
    )
    other, _ = check_bench(moved.replace("title: Bundled", "title: Other"), "b", ENTRIES)
    assert other is not None
    assert other.identity == bench.identity
    hotter, _ = check_bench(STANDARD.replace("max_ramp_k_per_min: 10", "max_ramp_k_per_min: 9"), "b", ENTRIES)
    assert hotter is not None
    assert hotter.identity != bench.identity


@pytest.mark.parametrize(
    "content", ["", "[]", "bench: 1", b"\xff", "instruments: {a: 1}", "bench: b\ninstruments: []"]
)
def test_what_is_no_bench_gives_findings(content: str | bytes) -> None:
    bench, findings = check_bench(content, "b", ENTRIES)
    assert bench is None
    assert findings


def point(attr: str, module: str = __name__) -> EntryPoint:
    return EntryPoint("probe", f"{module}:{attr}", discovery.GROUP)


TOO_NEW = entry("probe", ("oxygen",), api=2)
PROBE = entry("probe", ("oxygen",))


def test_a_driver_of_another_api_is_refused_by_name() -> None:
    assert discovery.load(point("PROBE")) is PROBE
    with pytest.raises(UsageError, match=r"driver probe is written for DRIVER_API 2; this labctl has 1"):
        discovery.load(point("TOO_NEW"))


def test_what_cannot_be_imported_or_is_no_driver_is_refused_by_name() -> None:
    for broken in (point("NOTHING"), point("ENTRY", "labctl_drivers.nothing"), point("STANDARD")):
        with pytest.raises(UsageError, match="driver probe"):
            discovery.load(broken)


def test_every_built_in_driver_is_discovered_and_fits_the_bundled_benches() -> None:
    entries = discovery.drivers()
    assert set(discovery.BUILT_IN) <= set(entries)
    for name, found_entry in entries.items():
        assert found_entry.name == name
        assert set(found_entry.capabilities) <= set(CAPABILITIES)
    for name in bundled_benches():
        assert load_bench(name).bench == name


def test_the_bundled_benches_are_plain_yaml() -> None:
    for path in bundled_benches().values():
        assert yaml.safe_load(path.read_text())["bench"] == path.stem
