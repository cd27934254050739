"""`python -m labctl`: the same as the command `labctl`."""

from __future__ import annotations

import sys

from labctl.cli import main

if __name__ == "__main__":
    sys.exit(main())
