"""Where recipes are: the folder one stands in, then those that come with labctl."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import pydantic

from labctl.errors import LabctlError, UsageError, ValidationError
from labctl.protocol.batch import batch
from labctl.protocol.chemistry import FormulaError, formula
from labctl.protocol.diagnosis import findings_of, nearest
from labctl.protocol.recipe import Recipe
from labctl.protocol.source import read

BUNDLED = Path(str(files("labctl.protocol"))) / "recipes"


def recipes(folder: Path | None = None) -> dict[str, Path]:
    """Every recipe by name; the ones in `folder`/recipes (default: where one stands) hide bundled ones."""
    here = (folder if folder is not None else Path()) / "recipes"
    return {file.stem: file for place in (BUNDLED, here) for file in sorted(place.glob("*.yaml"))}


def find_recipe(name: str, folder: Path | None = None) -> Recipe:
    """The recipe of that name, of the product of that formula, or in that file.

    Raises UsageError when there is none, ValidationError when it cannot be followed.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UsageError(f"no recipe file {name}")
        return load_recipe(Path(name))
    known = recipes(folder)
    if name in known:
        return load_recipe(known[name])
    try:
        wanted = formula(name)
    except FormulaError:
        wanted = None
    made = []
    for file in sorted(known.values(), key=lambda file: name not in file.read_text("utf-8", "replace")):
        if wanted is None:
            break
        recipe = load_recipe(file)
        if recipe.product.formula.value == wanted:
            return recipe
        made.append(str(recipe.product.formula.value))
    raise UsageError(f"no recipe {name!r} ({nearest(name, [*known, *made]) or 'see labctl recipe'})")


def load_recipe(file: Path) -> Recipe:
    """The recipe in a file, proven to balance. Raises ValidationError."""
    return _proven(file.read_bytes(), str(file))


@lru_cache(32)
def _proven(content: bytes, name: str) -> Recipe:
    """The recipe in `content`. One is followed by many protocols, and proving it takes longer than judging them."""
    document = read(content, name)
    try:
        recipe = Recipe.model_validate(document.data)
    except pydantic.ValidationError as error:
        raise ValidationError(findings_of(error, document, Recipe)) from None
    try:
        batch(recipe).beside_reference()
    except LabctlError as error:
        raise ValidationError([document.finding("RCP-004", ("product",), str(error))]) from None
    return recipe
