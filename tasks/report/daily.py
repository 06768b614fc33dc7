"""The report of a run, and of any past session as it was known then: read, written, and sent to the report's channels."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver
from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.report.exhibits.collect import collect
from market_rotation.tasks.report.files import write
from market_rotation.tasks.report.page import SIMULATED
from market_rotation.tasks.warehouse.rebuild import rebuild

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.report.exhibits.base import Report
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.report")


def write_latest(settings: Settings, folder: Path, now: datetime) -> tuple[Report, Path]:
    """Writes the report on the latest published session below `folder`; returns it and its page. Raises `RotationError` where that can't be."""
    log.info("Writing the report")
    with warehouse.reading(settings.published) as con:
        report = collect(con)
    return report, write(report, folder, now)


def write_past(settings: Settings, session: date, folder: Path, now: datetime) -> tuple[Report, Path]:
    """Writes the report on `session` as it was known then below `folder`; returns it and its page.

    What was known then is derived again from `raw`: at the last run that brought the warehouse up to this session, or where none did, at
    the first one that went beyond. Raises `RotationError` where the session is not in the warehouse.
    """
    report = collect_past(settings, session, now)
    log.info("Writing the report")
    return report, write(report, folder, now)


def collect_past(settings: Settings, session: date, now: datetime) -> Report:
    """The report on `session` as it was known then; raises as `write_past` does. It takes as long as deriving all tables once."""
    with _as_known_then(settings, session, now) as con:
        return collect(con, session, as_known_then=True)


def send(report: Report, page: Path, settings: Settings) -> list[str]:
    """Sends summary and picture to the channels of ROTATION_REPORT_URLS; returns those that did not take it, with the reason."""
    title = f"Rotation, {report.session}{f' ({SIMULATED})' if report.is_simulated else ''}"
    body = (page.parent / "summary.txt").read_text(encoding="utf-8")
    picture = page.parent / "report.png"
    outcomes = {
        channel.label: channel.notify(title, body, "report", picture)
        for channel in deliver.channels_of(settings.report_urls)
    }
    return [f"{label} ({error})" for label, error in outcomes.items() if error]


@contextmanager
def _as_known_then(settings: Settings, session: date, now: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.reading(settings.published) as con:
        moment = _known_at(con, session)
    with tempfile.TemporaryDirectory(dir=settings.home, prefix=".report-") as folder:
        made = rebuild(settings, moment, Path(folder) / "then.duckdb", now)
        with warehouse.reading(made.path) as con:
            yield con


def _known_at(con: duckdb.DuckDBPyConnection, session: date) -> datetime:
    first, last, is_known, moment = con.execute(
        """
        select
            (select min(session) from core.prices),
            (select max(session) from core.prices),
            exists (from core.prices where session = $1),
            coalesce(
                max(started_at) filter (session = $1),
                min(started_at) filter (session > $1)
            )
        from ops.runs
        where status in ('published', 'up_to_date')
        """,
        [session],
    ).fetchone() or (None, None, False, None)
    if first is None:
        raise RotationError("Nothing was published yet, so there is nothing to report; start with `rotation run`.")
    if not is_known:
        raise UsageError(
            f"{session} is not a session of the warehouse, which goes from {first} to {last}; choose a trading day between them."
        )
    found: datetime = moment
    return found
