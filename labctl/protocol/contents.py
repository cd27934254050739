"""What is in the batch, as far as safety asks: which kinds of substances, by their formulae or well-known names.

A substance that is neither a formula nor known here must say what it `is`: a name that no rule understands would
switch rules off without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from labctl.protocol.chemistry import Formula, FormulaError, formula

KINDS = (
    "polymer", "oxidiser", "oxalate", "carbonate", "acid", "ammonium", "alkoxide", "chelator", "organic",
    "vanadium pentoxide", "alkali", "inert",
)  # fmt: skip
"""What a substance may be said to be. oxidiser: nitrate, chlorate, perchlorate, permanganate, peroxide."""

POLYMERS = re.compile(r"(PEO|PEG|PS|PVP|PVA|PVDF|PMMA|PAN|P123|F127|F108|Pluronic)([0-9-].*)?|.*-b-.*", re.I)
"""Polymers by the names that laboratories give them; a block copolymer has `-b-` in its name."""

NAMED: Mapping[str, tuple[str, ...]] = {
    "oxalic acid": ("oxalate", "acid", "organic"),
    "citric acid": ("chelator", "acid", "organic"),
    "acetylacetone": ("chelator", "organic"),
    "sucrose": ("organic",),
    "glucose": ("organic",),
    "carbon black": ("organic",),
    "super p": ("organic",),
    "graphite": ("organic",),
    "hydrogen peroxide": ("oxidiser",),
    "phosphoric acid": ("acid",),
    "nitric acid": ("oxidiser", "acid"),
    "ti(obu)4": ("alkoxide", "organic"),
    "ti(oipr)4": ("alkoxide", "organic"),
    "ti(oet)4": ("alkoxide", "organic"),
    "ttip": ("alkoxide", "organic"),
    "alumina": ("inert",),
    "silica": ("inert",),
}  # fmt: skip

GROUPS: Mapping[str, tuple[str, ...]] = {
    "NO3": ("oxidiser",),
    "ClO3": ("oxidiser",),
    "ClO4": ("oxidiser",),
    "MnO4": ("oxidiser",),
    "S2O8": ("oxidiser",),
    "C2O4": ("oxalate", "organic"),
    "CO3": ("carbonate",),
    "NH4": ("ammonium",),
    "OC4H9": ("alkoxide",),
    "OC3H7": ("alkoxide",),
    "OC2H5": ("alkoxide",),
}
"""Kinds by the ions that a formula is written with."""

PEROXIDES = ("H2O2", "Li2O2", "Na2O2", "K2O2", "KO2", "CaO2", "SrO2", "BaO2")
PENTOXIDES = ("V2O5", "NH4VO3", "NaVO3", "KVO3", "LiVO3")
"""V(V): toxic as dust (rules MIX-003)."""
ACIDS = ("H3PO4", "H2SO4", "HNO3", "HCl", "HF", "CH3COOH", "HCOOH")


def kinds_of(name: str) -> tuple[str, ...] | None:
    """What a substance is, by its name or formula; None when that says nothing. Empty for a plain salt or oxide."""
    if name.lower() in NAMED:
        return NAMED[name.lower()]
    if POLYMERS.fullmatch(name):
        return ("polymer", "organic")
    try:
        parsed = formula(name)
    except FormulaError:
        return None
    return tuple(dict.fromkeys(_by_formula(name, parsed)))


def _by_formula(text: str, parsed: Formula) -> Iterable[str]:
    for group, kinds in GROUPS.items():
        if group in text:
            yield from kinds
    salt = re.split(r"[·*•⋅∙]", text)[0]
    if salt in PEROXIDES:
        yield "oxidiser"
    if salt in PENTOXIDES:
        yield "vanadium pentoxide"
    if salt in ACIDS or salt.startswith("H2C2O4"):
        yield "acid"
    if parsed.atoms.keys() & {"Li", "Na", "K", "Rb", "Cs"}:
        yield "alkali"
    if "C" in parsed.atoms and "CO3" not in text:
        yield "organic"
