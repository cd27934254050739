import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.model.quantity import (
    DIMENSIONS,
    LEAST,
    MOST,
    UNITS,
    QuantityError,
    canonical_unit,
    dimension_of,
    parse,
    result_key,
)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("800 degC", "temperature", 800.0),
        ("800degC", "temperature", 800.0),
        ("300 K", "temperature", 26.85),
        ("1472 degF", "temperature", 800.0),
        ("-20 °C", "temperature", -20.0),
        ("2 K", "temperature_difference", 2.0),
        ("60 K/h", "ramp", 1.0),
        ("2 °C/min", "ramp", 2.0),
        ("1 h", "time", 3600.0),
        ("60 min", "time", 3600.0),
        ("1.5e1 min", "time", 900.0),
        ("2 d", "time", 172800.0),
        ("0.2 slm", "flow", 200.0),
        ("0.01 %", "concentration", 100.0),
        ("500 rpm", "speed", 500.0),
        ("2300 mV", "voltage", 2.3),
        ("199 uA", "current", 0.000199),
        ("199 µA", "current", 0.000199),
        ("1C", "rate", 1.0),
        ("0.1C", "rate", 0.1),
        ("C/10", "rate", 0.1),
        ("0.117 A/g", "specific_current", 117.0),
        ("1.7 mg", "mass", 0.0017),
        ("1.7 mg", "small_mass", 1.7),
        ("9 cm³", "volume", 9.0),
        ("54 mm", "length", 54.0),
        ("99 %", "percent", 99.0),
        ("4.2 wt%", "weight_percent", 4.2),
    ],
)
def test_a_quantity_is_read_into_its_canonical_unit(text: str, dimension: str, value: float) -> None:
    assert parse(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "dimension", "reason", "hint"),
    [
        ("800", "temperature", "'800' has no unit", "degC or K"),
        (800, "temperature", "800 has no unit", "degC or K"),
        (True, "time", "True is not a quantity", "min"),
        ("800 C", "temperature", "C is a charge rate here", "write degC"),
        ("5 h", "temperature", "is a time, a temperature is wanted", "degC"),
        ("5 degC", "temperature_difference", "is a temperature", "in K"),
        ("nan degC", "temperature", "not a finite number", "degC"),
        (".inf s", "time", "not a finite number", "min"),
        ("1e999 s", "time", "not a finite number", "min"),
        ("C/0", "rate", "not a finite number", "C/10"),
        ("-5 s", "time", "below the lowest possible", "min"),
        ("-300 degC", "temperature", "below the lowest possible", "degC"),
        ("5 mim", "time", "unknown unit 'mim'", "did you mean min?"),
        ("2,5 K", "temperature_difference", "decimal comma", "write 2.5 K"),
        ("10² K", "temperature_difference", "unknown unit", "K"),
        ("2*400 degC", "temperature", "unknown unit", "degC"),
        ("__import__('os').system('x') s", "time", "is not a quantity", "min"),
    ],
)
def test_what_is_wrong_with_a_quantity_is_said(text: object, dimension: str, reason: str, hint: str) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(text, dimension)
    assert reason in caught.value.reason
    assert hint in (caught.value.hint or "")


@given(st.one_of(st.text(), st.floats(), st.none(), st.booleans()), st.sampled_from(sorted(DIMENSIONS)))
def test_nothing_but_a_quantity_error_ever_comes_of_a_text(text: object, dimension: str) -> None:
    try:
        parse(text, dimension)
    except QuantityError:
        return


@given(st.just(0.0) | st.floats(LEAST, MOST), st.sampled_from(sorted(DIMENSIONS)))
def test_every_canonical_unit_reads_back_its_own_value(value: float, dimension: str) -> None:
    assert parse(f"{value!r} {DIMENSIONS[dimension].unit}", dimension) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize("text", ["1e300 h", "9e9 s", "1e-300 h", "5e-324 s"])
def test_what_no_laboratory_has_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match=r"too (large|small) for a time"):
        parse(text, "time")


def test_every_unit_of_every_dimension_converts() -> None:
    for name, dimension in DIMENSIONS.items():
        for unit in dimension.units:
            assert unit in UNITS
            parse(f"300 {unit}", name)


def test_units_have_one_spelling() -> None:
    assert canonical_unit("°C") == "degC"
    assert canonical_unit("µL") == "uL"
    with pytest.raises(QuantityError, match="did you mean"):
        canonical_unit("mlL")


def test_two_kelvin_alone_is_a_difference_and_a_temperature_beside_one() -> None:
    assert dimension_of("2 K") == "temperature_difference"
    assert dimension_of("1073 K", "900 degC") == "temperature"
    assert dimension_of("blue") is None


def test_a_result_is_named_after_its_quantity_and_unit() -> None:
    assert result_key("carbon", "wt%") == "carbon_wt_pct"
    assert result_key("discharge_capacity", "mAh/g") == "discharge_capacity_mah_per_g"


def test_importing_the_module_does_not_import_pint() -> None:
    code = "import sys, labctl.model.quantity; sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
