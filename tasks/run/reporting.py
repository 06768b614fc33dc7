"""The report at the end of a run. A failure of the report does not change the run: it becomes an incident."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import data_docs
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations import metrics

if TYPE_CHECKING:
    from pathlib import Path

    from market_rotation.tasks.run.context import Resolved, RunContext
    from market_rotation.tasks.run.ledger import Run

log = logging.getLogger("rotation.report")

#: The folder with a copy of the newest report.
LATEST = "latest"


def write(context: RunContext) -> None:
    """Writes and sends the report of the published data; sets `report_fault` of the run when it fails.

    A report that exists is written again only with new data, and is sent once per session. A report that a killed run or a
    power cut left incomplete is written by the next run.
    """
    run, settings = context.run, context.settings
    if not settings.report:
        return
    folder = settings.reports / str(run.session)
    # Written last, after which it is sent.
    exists = (folder / "report.json").exists()
    if run.status == "up_to_date" and _is_whole(folder) and _is_whole(settings.reports / LATEST):
        return
    try:
        from market_rotation.tasks.report import daily

        report, page = daily.write_latest(settings, settings.reports, context.clock())
        # A second report of the same session adds the fund records of the morning; its readers already have the message.
        refused = [] if exists else daily.send(report, page, settings)
        if refused:
            run.report_fault = f"It is written, but was not accepted by {', '.join(refused)}."
    except Exception as error:
        log.debug("The report could not be written.", exc_info=True)
        run.report_fault = str(error) if isinstance(error, RotationError) else f"{type(error).__name__}: {error}."


def _is_whole(folder: Path) -> bool:
    """Whether all files of the report in `folder` are there, with the content that was written."""
    try:
        note = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        # A report of an older version does not say what its files held.
        hashes: dict[str, str] = note.get("sha256", {})
        return all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected for name, expected in hashes.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def show_outcome(resolved: Resolved, run: Run) -> None:
    """Updates the Data Docs and, once anything is published, the metrics file with how `run` ended. A fault is a warning in the log."""
    settings = resolved.settings
    data_docs.update(settings.home / "data_docs", run.results, run.run_id, run.known_at)
    try:
        if not warehouse.exists(settings.published):
            return
        metrics.write(settings.published, settings, run.finished_at or run.known_at, resolved.calendar)
    except RotationError as error:
        log.warning("%s", error)
