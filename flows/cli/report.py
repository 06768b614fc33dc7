"""`rotation report`: writes a report and prints its summary."""

from __future__ import annotations

import time
from datetime import date, datetime
from pathlib import Path

from market_rotation.flows.cli.console import SIMULATED, out
from market_rotation.flows.cli.progress import progress
from market_rotation.tasks.settings import load_settings


def write_report(session: date | None, output: Path | None, now: datetime) -> None:
    """Writes the report; prints its summary and its path. Raises `RotationError` when there is no data to report."""
    started = time.monotonic()
    settings = load_settings()
    folder = output or settings.reports
    with progress():
        from market_rotation.tasks.report import daily
        from market_rotation.tasks.report.summary import summary

        if session is None:
            report, page = daily.write_latest(settings, folder, now)
        else:
            report, page = daily.write_past(settings, session, folder, now)
    if report.is_simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    said = summary(report).removeprefix(f"{SIMULATED}\n")
    out.print(said, soft_wrap=True, markup=False, highlight=False, end="")
    out.print(f"\nreport  {page}  ({time.monotonic() - started:.1f} s)", soft_wrap=True, markup=False, highlight=False)
