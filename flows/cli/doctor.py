"""`rotation doctor`: prints one line per finding as each check ends."""

from __future__ import annotations

import json
import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from market_rotation.tasks.operations.doctor import examine as checks
from market_rotation.tasks.operations.doctor.findings import Finding

# Not the console of market_rotation.flows.cli.console: its import may fail because of a fault that a check should report.
out = Console()

COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red", "fixed": "cyan"}
SUBJECT_WIDTH = 9


def examine(now: datetime, as_json: bool = False, fix: bool = False) -> int:
    """Prints each finding and what to do next, or with `fix` what was repaired; returns 1 when one fails, else 0."""
    found = []
    for finding in checks.examine(now, fix=fix):
        found.append(finding)
        if not as_json:
            out.print(_line(finding))
    if as_json:
        sys.stdout.write(json.dumps([finding._asdict() for finding in found], indent=1) + "\n")
        return _code(found)
    fails, warns = (sum(finding.level == level for finding in found) for level in ("fail", "warn"))
    out.print()
    if fails:
        out.print(f"[bold red]{fails} failed[/], {warns} warnings.", highlight=False)
    elif warns:
        out.print(f"[green]Nothing failed[/], {warns} warnings.", highlight=False)
    else:
        out.print("[green]All checks passed.[/]")
    return _code(found)


def _code(found: list[Finding]) -> int:
    return 1 if any(finding.level == "fail" for finding in found) else 0


def _line(finding: Finding) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=5)
    table.add_column(width=SUBJECT_WIDTH)
    table.add_column(overflow="fold")
    table.add_row(
        Text(finding.level, style=COLOURS[finding.level]), Text(finding.subject, style="dim"), Text(finding.finding)
    )
    if finding.next_step:
        table.add_row("", "", Text(f"-> {finding.next_step}", style="cyan"))
    return table
