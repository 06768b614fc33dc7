"""`rotation rebuild`: runs a rebuild and prints the result."""

from __future__ import annotations

import time
from datetime import datetime

from rich.table import Table

from market_rotation.flows.cli.console import SIMULATED, out
from market_rotation.flows.cli.progress import progress
from market_rotation.tasks.settings import load_settings


def run_rebuild(as_of: datetime | None, target: str | None, now: datetime) -> None:
    """Rebuilds, shows progress, and prints what was written."""
    from market_rotation.tasks.warehouse.rebuild import rebuild

    started = time.monotonic()
    with progress():
        made = rebuild(load_settings(), as_of, target, now)
    if made.is_simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    table.add_row("as known at", f"{as_of:%Y-%m-%d %H:%M} UTC" if as_of else "now")
    table.add_row("session", str(made.session))
    table.add_row("from", f"{made.rows:,} raw prices, the last fetched {made.known_at:%Y-%m-%d %H:%M} UTC")
    table.add_row("took", f"{time.monotonic() - started:.1f} s")
    out.print(table)
    out.print(f"warehouse  {made.path}", soft_wrap=True, markup=False, highlight=False)
