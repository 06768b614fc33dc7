"""The state of the warehouse as Prometheus metrics, in a file for node_exporter's textfile collector.

What is not known has no metric. All numbers but the size of the published file come from its tables.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.status import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    from prometheus_client import CollectorRegistry

    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.settings import Settings

PREFIX = "market_rotation"


class Metrics(NamedTuple):
    """Gauges that one query fills: each column that is named as one; `label` columns tell its rows apart."""

    query: str
    labels: tuple[str, ...]
    gauges: dict[str, str]


LAST_RUN = "(from ops.runs order by run_id desc limit 1)"
METRICS = (
    Metrics(
        "select epoch(max(finished_at)) as last_success_timestamp_seconds from ops.runs where status in ('published', 'up_to_date')",
        (),
        {"last_success_timestamp_seconds": "When the last run ended that published or found all up to date."},
    ),
    Metrics(
        f"""
        select
            epoch(started_at) as last_run_timestamp_seconds,
            epoch(finished_at) - epoch(started_at) as last_run_duration_seconds,
            rows_quarantined as last_run_quarantined_rows
        from {LAST_RUN}
        """,
        (),
        {
            "last_run_timestamp_seconds": "When the last run started.",
            "last_run_duration_seconds": "How long the last run took.",
            "last_run_quarantined_rows": "Rows and symbols that the last run set aside.",
        },
    ),
    Metrics(
        f"""
        select s.status, (r.status = s.status)::int as last_run_status
        from {LAST_RUN} as r, (select unnest(['running', 'published', 'blocked', 'failed', 'up_to_date']) as status) as s
        """,
        ("status",),
        {"last_run_status": "1 for the status of the last run, 0 for the others."},
    ),
    Metrics(
        f"unpivot (select rows_fetched as fetched, rows_new as new, rows_revised as revised from {LAST_RUN}) "
        "on fetched, new, revised into name kind value last_run_rows",
        ("kind",),
        {"last_run_rows": "Rows that the last run fetched, and of these the new and the revised ones."},
    ),
    Metrics(
        f"""
        select v.severity, count(*) filter (not v.success) as last_run_failed_expectations
        from ops.validations as v
        semi join {LAST_RUN} as r using (run_id)
        group by v.severity
        """,
        ("severity",),
        {"last_run_failed_expectations": "Expectations that failed in the last run; absent where it checked none."},
    ),
    Metrics(
        "select count(*) as quarantine_open_rows from ops.quarantine where resolved_at is null",
        (),
        {"quarantine_open_rows": "Rows and symbols that are set aside at present."},
    ),
    Metrics(
        """
        select s.severity, count(i.fingerprint) as open_incidents
        from (select unnest(['critical', 'warning']) as severity) as s
        left join incidents() as i using (severity)
        group by s.severity
        """,
        ("severity",),
        {"open_incidents": "Incidents that were alerted and are not over."},
    ),
    Metrics(
        "select count(*) as unsent_alerts from ops.alerts where sent_at is null",
        (),
        {"unsent_alerts": "Alerts in the outbox that not every channel has taken."},
    ),
    Metrics(
        f"select code_version, source, 1 as info from {LAST_RUN}",
        ("code_version", "source"),
        {"info": "Version of the code and source of the last run; sample is a simulated market."},
    ),
)
DATASETS = Metrics(
    """
    select
        dataset,
        epoch(latest_session) as latest_session_timestamp_seconds,
        sessions_behind,
        symbols_behind
    from freshness($1)
    """,
    ("dataset",),
    {
        "latest_session_timestamp_seconds": "Midnight UTC of the latest session of the dataset.",
        "sessions_behind": "Sessions that the dataset was behind the calendar when this file was written.",
        "symbols_behind": "Symbols that lacked what was due at the last published run.",
    },
)


def write(
    warehouse_: duckdb.DuckDBPyConnection | Path, settings: Settings, now: datetime, days: Calendar | None = None
) -> Path:
    """Writes `metrics/rotation.prom` in ROTATION_HOME, replacing it in one step; returns its path.

    `warehouse_` is a connection to the warehouse or its path; `days`, where there is one already, a calendar from before the
    latest session up to `now`. Raises `RotationError` where there is no warehouse or the file can't be written.
    """
    from prometheus_client import CollectorRegistry, write_to_textfile

    days = days or calendar.load(min(settings.history_start, now.date()), now.date())
    last_closed = days.last_closed(now)
    due = days.sessions(min(settings.history_start, last_closed - timedelta(days=14)), last_closed)
    registry = CollectorRegistry()
    with warehouse.reading(warehouse_) if isinstance(warehouse_, Path) else nullcontext(warehouse_) as con:
        for metrics in METRICS:
            _fill(registry, metrics, tell(con, metrics.query))
        _fill(registry, DATASETS, tell(con, DATASETS.query, [due]))
    path = settings.home / "metrics" / "rotation.prom"
    try:
        size = settings.published.stat().st_size if settings.published.exists() else None
        sizes = Metrics("", (), {"published_size_bytes": "Size of the warehouse that readers open."})
        _fill(registry, sizes, [{"published_size_bytes": size}])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise RotationError(f"{path} cannot be written ({error.strerror}); check the folder and its disk.") from None
    return path


def _fill(registry: CollectorRegistry, metrics: Metrics, rows: Sequence[dict[str, Any]] | None) -> None:
    """Adds the gauges of `metrics` that have a value; None is not known, and no zero."""
    from prometheus_client import Gauge

    for name, told in metrics.gauges.items():
        known = [row for row in rows or [] if row[name] is not None]
        if not known:
            continue
        gauge = Gauge(f"{PREFIX}_{name}", told, metrics.labels, registry=registry)
        for row in known:
            (gauge.labels(*(row[label] for label in metrics.labels)) if metrics.labels else gauge).set(row[name])
