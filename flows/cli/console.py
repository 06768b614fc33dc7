"""The consoles of the command line, and the label of simulated data."""

from __future__ import annotations

import sys

from rich.console import Console

SIMULATED = "SIMULATED MARKET: these are not real prices."

# Where no terminal shows them, as in a log, lines are not wrapped.
out = Console(soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, soft_wrap=not sys.stderr.isatty())
