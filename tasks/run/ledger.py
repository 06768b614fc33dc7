"""The ledger of runs: what is being run, what came of it, and what each expectation found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from uuid import uuid4

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit.run import Result
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError, Failure
from market_rotation.tasks.warehouse.models import fingerprint

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings


#: What `finish` writes into a run's row.
_FINISHED = (
    "run_id",
    "finished_at",
    "status",
    "rows_fetched",
    "rows_new",
    "rows_revised",
    "rows_quarantined",
    "published",
    "message",
)


@dataclass
class Run:
    """One run, as `ops.runs` will say it. `known_at` is when it started and what it fetches counts as known, UTC."""

    run_id: str
    source: str
    session: date
    known_at: datetime
    flow_run_id: str | None = None
    status: str = "running"
    message: str = ""
    finished_at: datetime | None = None
    rows_fetched: int = 0
    rows_new: int = 0
    rows_revised: int = 0
    rows_quarantined: int = 0
    published: bool = False
    results: list[Result] = field(default_factory=list, repr=False)
    failures: list[Failure] = field(default_factory=list, repr=False)


def begin(
    con: duckdb.DuckDBPyConnection, settings: Settings, session: date, now: datetime, flow_run_id: str | None = None
) -> Run:
    """Opens the run's row, closes those of runs that were killed, and gives the SQL files their parameters.

    Raises `ConfigError` when real data would be mixed with simulated data.
    """
    _refuse_mixture(con, settings)
    # Strictly after all runs before it, also when the machine's clock went back: of two versions the later must win.
    (latest,) = con.execute("select max(started_at) from ops.runs").fetchone() or (None,)
    known_at = max(now.astimezone(UTC), latest + timedelta(microseconds=1)) if latest else now.astimezone(UTC)
    run_id = f"{known_at:%Y%m%dT%H%M%S%f}-{uuid4().hex[:6]}"
    run = Run(run_id, settings.source, session, known_at, flow_run_id)
    con.execute(
        "update ops.runs set status = 'failed', finished_at = $1, message = 'Ended without a word: killed, or the machine went down. "
        "Nothing of it was published; the next run does it again.' where status = 'running'",
        [known_at],
    )
    con.execute(
        "insert into ops.runs (run_id, flow_run_id, started_at, status, source, session, published, code_version) "
        "values ($1, $2, $3, 'running', $4, $5, false, $6)",
        [run_id, flow_run_id, known_at, settings.source, session, code_version()],
    )
    warehouse.parameters(
        con,
        run_id=run_id,
        known_at=known_at,
        source=settings.source,
        target_session=session,
        history_start=settings.history_start,
        earnings_constituents=settings.earnings_constituents,
    )
    return run


def newest_session(con: duckdb.DuckDBPyConnection) -> date | None:
    """The newest session that a run brought in; None before the first."""
    newest: tuple[date | None] | None = con.execute(
        "select max(session) from ops.runs where status in ('published', 'up_to_date')"
    ).fetchone()
    return newest[0] if newest else None


def finish(con: duckdb.DuckDBPyConnection, run: Run, finished_at: datetime) -> None:
    """Writes what came of `run`: its row, and every result of its audits."""
    run.finished_at = finished_at
    con.execute(
        """
        update ops.runs
        set finished_at = $finished_at, status = $status, rows_fetched = $rows_fetched, rows_new = $rows_new,
            rows_revised = $rows_revised, rows_quarantined = $rows_quarantined, published = $published, message = $message
        where run_id = $run_id
        """,
        {name: getattr(run, name) for name in _FINISHED},
    )
    _record(con, run.run_id, run.results)


def count_staged(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Counts the rows the sources gave, and of those staged the new and the revised ones."""
    fetched = " + ".join(f"(select count(*) from stage.fetched_{dataset})" for dataset in DATASETS)
    snapshots = " + ".join(f"(select count(*) from stage.{d})" for d in ("fund_facts", "holdings", "earnings_growth"))
    run.rows_fetched, run.rows_new, run.rows_revised = con.execute(
        f"""
        select
            {fetched},
            {snapshots} + (select count(*) filter (is_new) from stage.prices) + (select count(*) filter (is_new) from stage.fund_nav),
            (select count(*) filter (is_revised or is_withdrawn) from stage.prices)
                + (select count(*) filter (not is_new) from stage.fund_nav)
        """
    ).fetchone() or (0, 0, 0)


def _record(con: duckdb.DuckDBPyConnection, run_id: str, results: Sequence[Result]) -> None:
    rows = [
        {
            "run_id": run_id,
            "suite": result.suite.name,
            "dataset": result.suite.dataset,
            "expectation": result.expectation.id,
            "column_name": result.expectation.column,
            "severity": result.expectation.severity,
            "success": result.success,
            "raised": result.raised,
            "unexpected_count": result.unexpected_count,
            "element_count": result.element_count,
            "observed": None,
            "details": result.details,
        }
        for result in results
    ]
    if rows:
        names = ", ".join(rows[0])
        values = ", ".join(f"${name}" for name in rows[0])
        con.executemany(f"insert into ops.validations ({names}) values ({values})", rows)


def _refuse_mixture(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    simulated, real = con.execute(
        "select coalesce(bool_or(source = 'sample'), false), coalesce(bool_or(source <> 'sample'), false) from raw.prices"
    ).fetchone() or (False, False)
    if (simulated and settings.source != "sample") or (real and settings.source == "sample"):
        held = "simulated" if simulated else "real"
        raise ConfigError(
            f"{settings.build} holds {held} prices and the source is '{settings.source}'; simulated and real prices are never mixed: "
            f"set ROTATION_HOME to another folder."
        )


def code_version() -> str:
    """The installed version of market-rotation, and the fingerprint of its SQL files: either may change what is derived."""
    try:
        installed = version("market-rotation")
    except PackageNotFoundError:
        installed = "unknown"
    return f"{installed}+sql.{fingerprint()}"
