"""What `rotation doctor` shows: a line per finding, as they come."""

from __future__ import annotations

import json
import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from market_rotation.tasks.operations.doctor import examine as checks
from market_rotation.tasks.operations.doctor.findings import Finding

# Not that of market_rotation.flows.cli.console, which imports what a check is to tell about.
out = Console()

COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
SUBJECT_WIDTH = 9


def examine(now: datetime, as_json: bool = False) -> int:
    """Prints what each check found and what to do next; returns 1 when one fails, else 0."""
    found = []
    for finding in checks.examine(now):
        found.append(finding)
        if not as_json:
            out.print(_line(finding))
    if as_json:
        sys.stdout.write(json.dumps([finding._asdict() for finding in found], indent=1) + "\n")
        return _code(found)
    fails, warns = (sum(finding.level == level for finding in found) for level in ("fail", "warn"))
    out.print()
    if fails:
        out.print(f"[bold red]{fails} to correct[/], {warns} to look at.", highlight=False)
    elif warns:
        out.print(f"[green]Nothing fails[/], {warns} to look at.", highlight=False)
    else:
        out.print("[green]All is well.[/]")
    return _code(found)


def _code(found: list[Finding]) -> int:
    return 1 if any(finding.level == "fail" for finding in found) else 0


def _line(finding: Finding) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=4)
    table.add_column(width=SUBJECT_WIDTH)
    table.add_column(overflow="fold")
    table.add_row(
        Text(finding.level, style=COLOURS[finding.level]), Text(finding.subject, style="dim"), Text(finding.finding)
    )
    if finding.next_step:
        table.add_row("", "", Text(f"-> {finding.next_step}", style="cyan"))
    return table
