"""`labctl report`: a run as one HTML file."""

from __future__ import annotations

from argparse import Namespace

from labctl.cli.memory import open_memory, report_path, run_of
from labctl.report import write_report


def main(arguments: Namespace) -> int:
    """Write the report and print its path."""
    with open_memory(arguments.bench) as reader:
        run_id = run_of(reader, arguments.run)
        path = arguments.output or report_path(arguments.bench, run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        print(write_report(reader, run_id, path))
    return 0
