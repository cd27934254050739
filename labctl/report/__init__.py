"""What people read: a run as one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.analysis.model import Analysis
from labctl.report import charts, page

if TYPE_CHECKING:
    from labctl.store.reader import Reader


def write_report(reader: Reader, run_id: str, path: Path) -> Path:
    """Write the report of a run to `path`, whole or not at all (but into a device or pipe), and return it.

    Raises:
        UsageError: there is no such run.
        OSError: the file cannot be written.
    """
    from labctl.analysis import analyse

    plain = path.is_file() or not path.exists()
    draft = path.with_name(path.name + ".new") if plain else path
    try:
        draft.write_text(render(analyse(reader, run_id)), encoding="utf-8")
        if plain:
            draft.replace(path)
    except OSError as error:
        if plain:
            draft.unlink(missing_ok=True)
        error.filename = str(path)
        raise
    return path


def render(analysis: Analysis) -> str:
    """The whole page. Plotly's script, style and data stand inside it."""
    here = files("labctl.report")
    plotly = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    title = f"{'SIMULATED ' if analysis.simulated else ''}{analysis.run_id} {analysis.state}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{(here / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
{page.body(analysis)}
<script type="application/json" id="data">{charts.figures(analysis)}</script>
<script>{plotly}</script>
<script>{(here / "charts.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""
