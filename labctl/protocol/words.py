"""The words that all blocks of the protocol language are made of: quantities, names, and what a block is."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from labctl.model.quantity import DIMENSIONS, UNITS, QuantityError, canonical_unit, parse

MOST_TEXT = 2000
"""Characters by which references let a text grow: they would else fill the memory (assumed)."""
MOST_NAMED = 200
"""Parameters, roles, samples, substances or expected results of one protocol; segments of one step (assumed)."""
REFERENCE = re.compile(r"\{([^{}]*)\}")
NAME = r"[a-z][a-z0-9_-]*"


def problem(rule: str, reason: str, hint: str = "", key: str = "") -> PydanticCustomError:
    """A complaint that becomes a finding of `rule` at the value, or at one of the keys in it."""
    return PydanticCustomError(
        "finding", "{reason}", {"rule": rule, "reason": reason, "hint": hint, "key": key}
    )


def _quantity(dimension: str) -> Any:
    """The annotation of a quantity of that dimension: text in the document, canonical float in the model."""

    def read(value: object) -> float:
        try:
            return parse(value, dimension)
        except QuantityError as error:
            raise PydanticCustomError(
                "quantity", "{reason}", {"reason": error.reason, "hint": error.hint or ""}
            ) from None

    kind = DIMENSIONS[dimension]
    units = "|".join(re.escape(u) for u in kind.units)
    pattern = rf"^\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*({units})\s*$|^\{{.*\}}$"
    if dimension == "rate":
        pattern += r"|^\s*C\s*/\s*[0-9.]+\s*$"
    example = f"5 {kind.unit}"
    schema = {
        "type": "string",
        "pattern": pattern,
        "description": f"{dimension} with its unit, e.g. {example}",
    }
    return (BeforeValidator(read), WithJsonSchema(schema))


def _unit(value: object) -> str:
    try:
        return canonical_unit(value if isinstance(value, str) else str(value))
    except QuantityError as error:
        raise PydanticCustomError(
            "quantity", "{reason}", {"reason": error.reason, "hint": error.hint or ""}
        ) from None


Relation = Literal["at_least", "at_most"]


Temperature = Annotated[float, *_quantity("temperature")]
Difference = Annotated[float, *_quantity("temperature_difference")]
Ramp = Annotated[float, *_quantity("ramp")]
Time = Annotated[float, *_quantity("time")]
Flow = Annotated[float, *_quantity("flow")]
Concentration = Annotated[float, *_quantity("concentration")]
Speed = Annotated[float, *_quantity("speed")]
Voltage = Annotated[float, *_quantity("voltage")]
Rate = Annotated[float, *_quantity("rate")]
SpecificCurrent = Annotated[float, *_quantity("specific_current")]
ScanRate = Annotated[float, *_quantity("scan_rate")]
Frequency = Annotated[float, *_quantity("frequency")]
Mass = Annotated[float, *_quantity("mass")]
Volume = Annotated[float, *_quantity("volume")]
Percent = Annotated[float, *_quantity("percent")]
Pumping = Annotated[float, *_quantity("pumping_rate")]
"""Quantities: degC, K, K/min, s, sccm, ppm, rpm, V, C, mA/g, g, mL, % and mL/min in the model."""

Unit = Annotated[str, BeforeValidator(_unit), WithJsonSchema({"type": "string", "enum": sorted(UNITS)})]
Count = Annotated[
    int,
    Field(ge=1, le=100_000),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\{.*\}$"}]}
    ),
]
Provenance = Literal["paper", "derived", "assumed", "unverified"]
Scalar = str | bool | int | float
Role = str


class Written(BaseModel):
    """A block of the language: unknown keys, NaN and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
