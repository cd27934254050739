"""What samples are, what may be found out about one, and the facts about them that the journal of a bench keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SAMPLE_KINDS = ("bottle", "solution", "gel", "boat", "powder", "electrode", "cell")
"""From the precursor's bottle to the cell, in the order in which one is made of the others."""

ADDED, SPLIT, MERGED, LABELLED, FOUND = (
    "sample_added",
    "sample_split",
    "sample_merged",
    "sample_labelled",
    "sample_result",
)
FACTS = (ADDED, SPLIT, MERGED, LABELLED, FOUND)
"""Kinds of the events, in the stream of the bench, by which people tell of samples."""

BALANCE_TOLERANCE = 0.01
"""Of a mass, by which parts may together be more than the whole: weighing and sticking (assumed)."""


class Property(NamedTuple):
    """What a characterisation gives: its unit ("" for words), and between what it can lie.

    method: how it is usually found, in words.
    """

    unit: str
    low: float
    high: float
    method: str


PROPERTIES: Mapping[str, Property] = {
    "bet_surface": Property("m2/g", 0.0, 5000.0, "N2 sorption, BET"),
    "pore_volume": Property("cm3/g", 0.0, 20.0, "N2 sorption"),
    "pore_diameter": Property("nm", 0.1, 1e6, "NLDFT of sorption, or Hg porosimetry"),
    "tap_density": Property("g/cm3", 0.0, 25.0, "tapping"),
    "carbon": Property("wt%", 0.0, 100.0, "TG and CHN"),
    "i_d_over_i_g": Property("1", 0.0, 10.0, "Raman"),
    "phase": Property("", 0.0, 0.0, "XRD"),
    "space_group": Property("", 0.0, 0.0, "XRD"),
    "crystallite_size": Property("nm", 0.1, 1e6, "XRD, Scherrer"),
    "grain_size": Property("nm", 0.1, 1e9, "TEM"),
    "oxidation_states": Property("", 0.0, 0.0, "XPS"),
    "active_mass": Property("mg", 0.0, 1e4, "balance"),
    "solids": Property("wt%", 0.0, 100.0, "drying"),
    "discharge_capacity": Property("mAh/g", 0.0, 5000.0, "galvanostatic cycling"),
    "charge_capacity": Property("mAh/g", 0.0, 5000.0, "galvanostatic cycling"),
    "coulombic_efficiency": Property("%", 0.0, 200.0, "galvanostatic cycling"),
    "capacity_retention": Property("%", 0.0, 200.0, "galvanostatic cycling"),
    "cycles": Property("1", 0.0, 1e6, "galvanostatic cycling"),
    "diffusion_coefficient": Property("cm2/s", 0.0, 1.0, "Randles-Sevcik"),
    "remark": Property("", 0.0, 0.0, "eye"),
}
"""By quantity: those of the paper, and what people ask besides. Bounds are physical, or assumed."""
