"""Balancing: how much of each source makes one product, and what leaves. Exact, in fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from labctl.errors import LabctlError
from labctl.protocol.chemistry import Formula

Atoms = Mapping[str, Fraction]
"""How many atoms of each element; what departs whole is subtracted, so that some may be negative."""


class BalanceError(LabctlError):
    """Reagents do not make the product. `element` is the one that shows it."""

    exit_code = 3

    def __init__(self, element: str, reason: str) -> None:
        """Keep both; the text is the reason, which names the element."""
        self.element = element
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one mole of a product takes (by name of the source) and gives off, in moles."""

    product: Formula
    takes: Mapping[str, Fraction]
    gives: Mapping[str, Fraction]


def balance(product: Formula, sources: Mapping[str, Atoms], leaving: Sequence[Formula]) -> Reaction:
    """The one way in which `sources` make `product` while `leaving` goes off. Raises BalanceError."""
    volatile = {element for species in leaving for element in species.atoms}
    _each_element_comes_from_somewhere(product, sources, volatile)
    unknowns: dict[str, Atoms] = {
        str(species): {element: Fraction(-n) for element, n in species.atoms.items()} for species in leaving
    }
    unknowns |= sources
    # What may leave is eliminated first: the element that is left over, and named, is one that has to stay.
    elements = sorted({e for atoms in unknowns.values() for e in atoms}, key=lambda e: (e not in volatile, e))
    moles = _solved(product, unknowns, elements)
    for name, amount in moles.items():
        if amount < 0 or (amount == 0 and name in sources):
            element = next(e for e in reversed(elements) if unknowns[name].get(e))
            verb = "take" if name in sources else "give off"
            raise BalanceError(
                element, f"{element} balances only if {product} were to {verb} {amount} mol {name}"
            )
    return Reaction(
        product,
        {name: moles[name] for name in sources},
        {str(species): moles[str(species)] for species in leaving if moles[str(species)]},
    )


def _each_element_comes_from_somewhere(
    product: Formula, sources: Mapping[str, Atoms], volatile: set[str]
) -> None:
    brought = {element for atoms in sources.values() for element, n in atoms.items() if n}
    for element in product.atoms:
        if element not in brought:
            raise BalanceError(element, f"nothing brings the {element} of {product}")
    for name, atoms in sources.items():
        for element in atoms:
            if element not in product.atoms and element not in volatile:
                raise BalanceError(
                    element, f"{name} brings {element}, which is not in {product} and does not leave"
                )


def _solved(product: Formula, unknowns: Mapping[str, Atoms], elements: Sequence[str]) -> dict[str, Fraction]:
    """Moles of each unknown: one equation for each element, by Gauss and Jordan."""
    rows = {
        e: [*(Fraction(atoms.get(e, 0)) for atoms in unknowns.values()), Fraction(product.atoms.get(e, 0))]
        for e in elements
    }
    left = list(elements)
    pivots: dict[str, str] = {}
    for column, name in enumerate(unknowns):
        pivot = next((e for e in left if rows[e][column]), None)
        if pivot is None:
            element = next(e for e in reversed(elements) if unknowns[name].get(e))
            others = [other for other in unknowns if other != name and unknowns[other].get(element)]
            raise BalanceError(
                element,
                f"the share of {name} is not determined: {element} is also in {' and '.join(others)}",
            )
        left.remove(pivot)
        pivots[name] = pivot
        divisor = rows[pivot][column]
        rows[pivot] = [value / divisor for value in rows[pivot]]
        for e in elements:
            if e != pivot and (factor := rows[e][column]):
                rows[e] = [a - factor * b for a, b in zip(rows[e], rows[pivot], strict=True)]
    for e in left:
        if rows[e][-1]:
            raise BalanceError(e, f"{e} of {product} cannot be balanced with {', '.join(unknowns)}")
    return {name: rows[pivot][-1] for name, pivot in pivots.items()}
