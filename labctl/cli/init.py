"""`labctl init`: a bench folder to fill in."""

from __future__ import annotations

from argparse import Namespace

from labctl.bench.loader import bundled_benches
from labctl.cli.terminal import say
from labctl.cli.validate import BUNDLED_BENCH
from labctl.errors import UsageError


def main(arguments: Namespace) -> int:
    """Make `bench.yaml` and `protocols/` where there are none; nothing is ever overwritten."""
    folder = arguments.folder
    bench = folder / "bench.yaml"
    template = bundled_benches()[BUNDLED_BENCH].read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with bench.open("x", encoding="utf-8") as file:
            file.write(template)
    except FileExistsError:
        raise UsageError(f"{bench} exists already; nothing was changed") from None
    (folder / "protocols").mkdir(exist_ok=True)
    print(bench)
    say("It describes the bundled simulated bench. Put in your instruments and their addresses, then:")
    say(f"  labctl validate 3dp-nvp-c --bench {folder}")
    return 0
