"""`rotation status`: the health of the published warehouse, its open incidents, and the freshness of each dataset."""

from __future__ import annotations

import json
import sys
from datetime import datetime

from rich.table import Table
from rich.text import Text

from market_rotation.flows.cli.console import SIMULATED, out
from market_rotation.tasks.operations import health, status
from market_rotation.tasks.operations.state import Status
from market_rotation.tasks.settings import load_settings


def show_status(now: datetime, as_json: bool) -> int:
    """Prints the state of the published warehouse; returns 0 when it is healthy, else 3."""
    state = status.read(load_settings(), now)
    code = 0 if state.healthy else 3
    if as_json:
        sys.stdout.write(json.dumps(state.model_dump(mode="json"), indent=1) + "\n")
        return code
    if state.simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    for problem in state.problems:
        out.print(problem, style="red", markup=False, highlight=False)
    if state.healthy:
        out.print("[green]Healthy.[/]")
    if state.running:
        out.print(_running(state, now), style="cyan", markup=False, highlight=False)
    for note in state.notes:
        out.print(note, style="yellow", markup=False, highlight=False)
    for fund in state.late_funds or []:
        out.print(health.late_fund(fund), style="yellow", markup=False, highlight=False)
    if state.last_run:
        last = state.last_run
        out.print(
            f"Last run: {last.status.replace('_', ' ')}, started {last.started_at:%Y-%m-%d %H:%M} UTC. {last.message or ''}",
            markup=False,
            highlight=False,
        )
    _show_incidents(state)
    _show_freshness(state)
    out.print(
        f"Alerts not sent: {_known(state.open_alerts)}. Rows and symbols in quarantine: {_known(state.quarantined)}.",
        highlight=False,
    )
    return code


def _running(state: Status, now: datetime) -> str:
    since = state.running_since
    form = "%H:%M" if since and since.date() == now.date() else "%Y-%m-%d %H:%M"
    when = f" since {since:{form}} UTC" if since else ""
    who = f" (process {state.running_process})" if state.running_process else ""
    return f"A run is in progress{when}{who}; until it ends, this page shows the state before it."


def _show_incidents(state: Status) -> None:
    if not state.incidents:
        return
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("open since (UTC)", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("incident", overflow="fold")
    for incident in state.incidents:
        colour = "red" if incident.severity == "critical" else "yellow"
        table.add_row(f"{incident.since:%Y-%m-%d %H:%M}", Text(incident.severity, style=colour), Text(incident.title))
    out.print(table)


def _show_freshness(state: Status) -> None:
    table = Table(
        "dataset", "latest session", "expected", "sessions behind", "symbols behind", box=None, header_style="dim"
    )
    for row in state.freshness:
        table.add_row(
            row.dataset,
            str(row.latest_session or "none"),
            str(row.expected_session),
            str(row.sessions_behind),
            _known(row.symbols_behind),
        )
    out.print(table)


def _known(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
