"""The consoles of the command line, the label of simulated data, and the name of the user."""

from __future__ import annotations

import getpass
import os
import sys

from rich.console import Console

SIMULATED = "SIMULATED MARKET: these are not real prices."

# Do not wrap lines when the output is not a terminal, for example in a log.
out = Console(soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, soft_wrap=not sys.stderr.isatty())


def user() -> str:
    """The name under which a manual override is recorded: the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have no name.
        return str(os.getuid())
