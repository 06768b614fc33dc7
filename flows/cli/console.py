"""The consoles of the command line, and the label of simulated data."""

from __future__ import annotations

import sys

from rich.console import Console

SIMULATED = "SIMULATED MARKET: these are not real prices."

# Do not wrap lines when the output is not a terminal, for example in a log.
out = Console(soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, soft_wrap=not sys.stderr.isatty())
