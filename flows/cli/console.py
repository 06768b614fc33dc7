"""The consoles of the command line, and the label of simulated data."""

from __future__ import annotations

from rich.console import Console

SIMULATED = "SIMULATED MARKET: these are not real prices."

out = Console()
err = Console(stderr=True)
