"""Every verb of the command line, as data. A handler is a name until its verb is called."""

from __future__ import annotations

from labctl.cli.verbs.looking import LOOKING
from labctl.cli.verbs.parts import Command
from labctl.cli.verbs.preparing import PREPARING
from labctl.cli.verbs.running import RUNNING
from labctl.cli.verbs.tools import TOOLS
from labctl.cli.verbs.watching import WATCHING

COMMANDS: tuple[Command, ...] = (*PREPARING, *RUNNING, *WATCHING, *LOOKING, *TOOLS)
