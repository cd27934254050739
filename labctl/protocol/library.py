"""Where protocols are: the folder one stands in, then those that come with labctl."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from labctl.errors import UsageError
from labctl.protocol.diagnosis import nearest


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
    known = protocols(folder)
    if text not in known:
        raise UsageError(f"no protocol {text!r} ({nearest(text, known) or 'see labctl protocols'})")
    return known[text]
