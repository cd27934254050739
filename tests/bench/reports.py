"""What the report of a night costs, in CPU time: reading the record, working out its results and drawing it."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from labctl.report import write_report
from labctl.store import Reader
from tests.analysis import synthetic


def cpu_s() -> float:
    """CPU seconds of the report of a made-up synthesis that was read once a minute."""
    with TemporaryDirectory() as folder:
        database = synthetic.make(Path(folder) / "labctl.db", scan_s=60.0)
        with Reader.open(database) as reader:
            began = time.process_time()
            write_report(reader, synthetic.RUN, Path(folder) / "report.html")
            return time.process_time() - began
