"""The ledger of runs: each run with its outcome, and the result of each expectation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit.run import Result
from market_rotation.tasks.errors import ConfigError, Failure, RotationError
from market_rotation.tasks.own import files
from market_rotation.tasks.run import clock
from market_rotation.tasks.warehouse.formats import installed
from market_rotation.tasks.warehouse.models import fingerprint

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.warehouse import Published


#: The columns that `finish` writes into a run's row.
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
    """One run, as its row in `ops.runs`.

    `known_at`: its start, from which its data counts as known, UTC. `error`: why it ended badly.
    `report_fault`: why there is no report, or which channels did not accept it.
    `is_built`: its derived tables are committed to the build database. `own_faults` are the faults of the user's own files, None where
    these were not read. `has_corrected_clock`: it corrected the times of earlier runs, which tables derived from `raw` repeat.
    """

    run_id: str
    source: str
    session: date | None
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
    error: BaseException | None = field(default=None, repr=False)
    report_fault: str | None = None
    is_built: bool = False
    own_faults: list[files.Fault] | None = None
    has_corrected_clock: bool = False

    @property
    def has_reached_readers(self) -> bool:
        """Readers see how it ended: its data is published, or there was nothing new and its row is published."""
        return self.published or (self.status == "up_to_date" and self.finished_at is not None)

    results: list[Result] = field(default_factory=list, repr=False)
    failures: list[Failure] = field(default_factory=list, repr=False)


def new_run(now: datetime, source: str = "", session: date | None = None, flow_run_id: str | None = None) -> Run:
    """A run that starts at `now`; it is not in the warehouse yet."""
    known_at = now.astimezone(UTC)
    return Run(_run_id(known_at), source, session, known_at, flow_run_id)


def begin(con: duckdb.DuckDBPyConnection, settings: Settings, run: Run) -> None:
    """Opens the row of `run`, closes those of runs that were killed, and sets the variables that the SQL files read.

    Raises `ConfigError` when real data would be mixed with simulated data.
    """
    refuse_mixture(con, settings)
    _close_killed(con, settings.published, run.known_at)
    run.has_corrected_clock = clock.correct_future(con, run.known_at)
    # Strictly after all earlier runs and alerts, even if the machine's clock went back: the later of two versions must win, and an incident
    # that begins must not seem to end with an earlier recovery.
    (latest,) = con.execute(
        "select greatest((select max(started_at) from ops.runs), (select max(created_at) from ops.alerts))"
    ).fetchone() or (None,)
    if latest and latest >= run.known_at:
        run.known_at = latest + timedelta(microseconds=1)
        run.run_id = _run_id(run.known_at)
    insert(con, run, settings.home)
    warehouse.parameters(
        con,
        run_id=run.run_id,
        known_at=run.known_at,
        # Prices are the first source's; rows of other datasets name theirs.
        source=settings.sources[0],
        target_session=run.session,
        history_start=settings.history_start,
        earnings_constituents=settings.earnings_constituents,
    )


def insert(con: duckdb.DuckDBPyConnection, run: Run, home: Path) -> None:
    """Opens the row of `run`, with the status `running`."""
    con.execute(
        "insert into ops.runs (run_id, flow_run_id, started_at, status, source, session, published, code_version) "
        "values ($1, $2, $3, 'running', $4, $5, false, $6)",
        [run.run_id, run.flow_run_id, run.known_at, run.source, run.session, code_version(home)],
    )


def _run_id(known_at: datetime) -> str:
    return f"{known_at:%Y%m%dT%H%M%S%f}-{uuid4().hex[:6]}"


def _close_killed(con: duckdb.DuckDBPyConnection, published: Published, now: datetime) -> None:
    """Ends the rows of killed runs. A run that was killed after publishing is recorded as in the published file."""
    killed = [run_id for (run_id,) in con.execute("select run_id from ops.runs where status = 'running'").fetchall()]
    if not killed:
        return
    with suppress(RotationError), warehouse.reading(published) as readers:
        names = ", ".join(_FINISHED)
        for row in readers.execute(
            f"select {names} from ops.runs where published and run_id in (select unnest($1))", [killed]
        ).fetchall():
            _update(con, dict(zip(_FINISHED, row, strict=True)))
    con.execute(
        "update ops.runs set status = 'failed', finished_at = $1, message = 'It was killed, or the machine went down, before it had "
        "published anything. The next run repeats it.' where status = 'running'",
        [now],
    )


def newest_session(con: duckdb.DuckDBPyConnection) -> date | None:
    """The newest session of any run; None before the first run."""
    newest: tuple[date | None] | None = con.execute(
        "select max(session) from ops.runs where status in ('published', 'up_to_date')"
    ).fetchone()
    return newest[0] if newest else None


def finish(con: duckdb.DuckDBPyConnection, run: Run, finished_at: datetime) -> None:
    """Writes the outcome into the row of `run`."""
    run.finished_at = finished_at
    _update(con, {name: getattr(run, name) for name in _FINISHED})


def _update(con: duckdb.DuckDBPyConnection, values: dict[str, object]) -> None:
    assignments = ", ".join(f"{name} = ${name}" for name in _FINISHED if name != "run_id")
    con.execute(f"update ops.runs set {assignments} where run_id = $run_id", values)


def count_staged(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Counts the rows that the sources gave, and of those staged the new and the revised ones; see `stage.counts`."""
    warehouse.build(con, "stage.counts")
    run.rows_fetched, run.rows_new, run.rows_revised = con.execute(
        "select sum(rows_fetched)::bigint, sum(rows_new)::bigint, sum(rows_revised)::bigint from stage.counts"
    ).fetchone() or (0, 0, 0)


def record_results(con: duckdb.DuckDBPyConnection, run_id: str, results: Sequence[Result]) -> None:
    """Adds the audit results of a run to `ops.validations`."""
    rows = [
        {
            "run_id": run_id,
            "suite": result.suite.table,
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


def refuse_mixture(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Raises `ConfigError` when the warehouse holds simulated prices and the source is real, or the reverse."""
    simulated, real = con.execute(
        "select coalesce(bool_or(source = 'sample'), false), coalesce(bool_or(source <> 'sample'), false) from raw.prices"
    ).fetchone() or (False, False)
    if (simulated and settings.source != "sample") or (real and settings.source == "sample"):
        held = "simulated" if simulated else "real"
        raise ConfigError(
            f"{settings.build} holds {held} prices and the source is '{settings.source}'; simulated and real prices are never mixed: "
            f"set ROTATION_HOME to another folder."
        )


def code_version(home: Path) -> str:
    """The installed version of market-rotation, and the fingerprints of its SQL files and of the user's own: each may change what is derived."""
    own = files.fingerprint(home)
    return f"{installed()}+sql.{fingerprint()}" + (f"+own.{own}" if own else "")
