"""`rotation run` and `rotation backfill`: a run by hand, with progress and a summary table at the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.table import Table

from market_rotation.flows.cli import json_log
from market_rotation.flows.cli.console import SIMULATED, err, out
from market_rotation.flows.cli.progress import progress
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.fallback_settings import fallback_settings
from market_rotation.tasks.operations.prefect_api import answers, api_url
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from market_rotation.tasks.run.ledger import Run
    from market_rotation.tasks.warehouse import Published

log = logging.getLogger("rotation.run")

#: A running server answers within milliseconds; a person waits for this check.
SERVER_TIMEOUT_S = 5.0


def run_by_hand(parameters: Parameters, debug: bool = False, log_format: str = "text") -> int:
    """Runs the sequence in this process; returns the exit code: 0 published or up to date, 1 blocked or failed, 2 a wrong setting.

    If a Prefect server is configured and answers, the run is a flow run there. Otherwise the same sequence runs without Prefect.
    """
    shown = progress(debug) if log_format == "text" else json_log.use(sys.stderr, debug)
    with shown, _stopping_on_sigterm():
        url = api_url(os.environ)
        if url and not answers(url, SERVER_TIMEOUT_S):
            log.warning(
                "The Prefect server at %s does not answer; the run continues without Prefect and will not be listed there.",
                url,
            )
            url = None
        run = _as_flow(parameters, debug) if url else pipeline.run(parameters)
    if debug and run.error is not None:
        traceback.print_exception(run.error)
    if isinstance(run.error, ConfigError):
        err.print(f"Error: {run.message}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    settings = fallback_settings()
    show_run(run, settings.published, settings.reports)
    return 0 if run.status in ("published", "up_to_date") else 1


def _as_flow(parameters: Parameters, debug: bool) -> Run:
    # Reject a wrong parameter before a flow run is created.
    with suppress(ConfigError):
        resolve(parameters)
    from market_rotation.flows.cli.flow_run import run_as_flow

    return run_as_flow(parameters, debug)


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """Turns SIGTERM, which systemd and Kubernetes send to stop a process, into an exception, so that the run is recorded and alerted."""

    def stop(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def show_run(run: Run, published: Published, reports: Path | None = None) -> None:
    """Prints the outcome of a run and the paths of its results."""
    colour = {"published": "green", "up_to_date": "green", "blocked": "red", "failed": "red"}[run.status]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("status", f"[{colour}]{run.status.replace('_', ' ')}[/]")
    table.add_row("session", str(run.session))
    table.add_row("source", run.source)
    if run.status == "up_to_date":
        table.add_row("", run.message)
    else:
        table.add_row("rows", f"{run.rows_fetched:,} fetched, {run.rows_new:,} new, {run.rows_revised:,} revised")
    if run.rows_quarantined:
        table.add_row("quarantined", f"{run.rows_quarantined:,} rows or symbols; see `rotation quarantine list`")
    if run.finished_at:
        table.add_row("took", f"{(run.finished_at - run.known_at).total_seconds():.1f} s")
    if run.source == "sample":
        out.print(f"[bold yellow]{SIMULATED}[/]")
    out.print(table)
    # Outside the table, which would wrap a long path.
    out.print(f"warehouse  {published}", soft_wrap=True, markup=False, highlight=False)
    if reports and (page := reports / str(run.session) / "index.html").exists():
        out.print(f"report     {page}", soft_wrap=True, markup=False, highlight=False)
    if run.status not in ("published", "up_to_date"):
        err.print(
            f"{run.status.capitalize()}: {run.message}", style="red", markup=False, highlight=False, soft_wrap=True
        )
