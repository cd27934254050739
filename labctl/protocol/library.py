"""Where protocols are: the folder one stands in, then those that come with labctl."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from labctl.errors import UsageError
from labctl.protocol.diagnosis import nearest

PARTS = "parts"
"""The folder, below that of protocols, with what several of them share."""


def bundled_folder() -> Path:
    """The protocols that come with labctl: inside an installed package, or beside it in a checkout."""
    package = Path(str(files("labctl")))
    installed = package / "protocols"
    return installed if installed.is_dir() else package.parent / "protocols"


def protocols(folder: Path | None = None) -> dict[str, Path]:
    """Every protocol by name; the ones in `folder` (default: where one stands) hide bundled ones."""
    here = folder if folder is not None else Path()
    found: dict[str, Path] = {}
    for place in (bundled_folder(), here / "protocols"):
        found |= {file.stem: file for file in sorted(place.glob("*.yaml"))}
    return found


def find_protocol(name: str | Path, folder: Path | None = None) -> Path:
    """The file of a protocol: a path is a path, a name is looked up. Raises UsageError."""
    text = str(name)
    here = folder if folder is not None else Path()
    if isinstance(name, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        path = here / text
        if path.is_file():
            return path
        raise UsageError(f"no protocol file {text}")
    if (here / f"{text}.yaml").is_file():
        return here / f"{text}.yaml"
    named = protocols(folder)
    if text not in named:
        raise UsageError(f"no protocol {text!r} ({nearest(text, named) or 'see labctl protocols'})")
    return named[text]


def based_on(
    name: str, beside: Path, folder: Path | None = None, *, part: bool, without: Path | None = None
) -> Path | None:
    """The file that a protocol extends or includes: beside it, then in `folder`, then bundled; None if there is none.

    without: a file that is passed over, so that a protocol may extend the bundled one that it hides.
    """
    for place in _places(beside, folder, part=part):
        file = place / f"{name}.yaml"
        if file.is_file() and (without is None or file.resolve() != without):
            return file
    return None


def known(beside: Path, folder: Path | None = None, *, part: bool) -> list[str]:
    """The names of all protocols or parts that a protocol there may extend or include."""
    return sorted({f.stem for place in _places(beside, folder, part=part) for f in place.glob("*.yaml")})


def _places(beside: Path, folder: Path | None, *, part: bool) -> list[Path]:
    here = (folder if folder is not None else Path()) / "protocols"
    if not part:
        return [beside, here, bundled_folder()]
    own = [beside] if beside.name == PARTS else [beside / PARTS]
    return [*own, here / PARTS, bundled_folder() / PARTS]
