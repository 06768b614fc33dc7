"""The Prometheus metrics of the warehouse: each query, and the gauges it fills."""

from __future__ import annotations

from typing import NamedTuple


class Metrics(NamedTuple):
    """Gauges filled by one query: `gauges` are its columns with their help texts, `labels` the columns used as labels."""

    query: str
    labels: tuple[str, ...]
    gauges: dict[str, str]


LAST_RUN = "(from ops.runs order by run_id desc limit 1)"
METRICS = (
    Metrics(
        "select epoch(max(finished_at)) as last_success_timestamp_seconds from ops.runs where status in ('published', 'up_to_date')",
        (),
        {"last_success_timestamp_seconds": "End of the last run that published or was up to date."},
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
            "last_run_timestamp_seconds": "Start of the last run.",
            "last_run_duration_seconds": "Duration of the last run.",
            "last_run_quarantined_rows": "Rows and symbols that the last run quarantined.",
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
        {"last_run_rows": "Rows that the last run fetched; of these, new and revised rows."},
    ),
    Metrics(
        f"""
        select v.severity, count(*) filter (not v.success) as last_run_failed_expectations
        from ops.validations as v
        semi join {LAST_RUN} as r using (run_id)
        group by v.severity
        """,
        ("severity",),
        {"last_run_failed_expectations": "Expectations that failed in the last run; absent when it checked none."},
    ),
    Metrics(
        "select count(*) as quarantine_open_rows from ops.quarantine where resolved_at is null",
        (),
        {"quarantine_open_rows": "Rows and symbols in quarantine now."},
    ),
    Metrics(
        """
        select s.severity, count(i.fingerprint) as open_incidents
        from (select unnest(['critical', 'warning']) as severity) as s
        left join incidents() as i using (severity)
        group by s.severity
        """,
        ("severity",),
        {"open_incidents": "Open incidents."},
    ),
    Metrics(
        "select count(*) as unsent_alerts from ops.alerts where sent_at is null",
        (),
        {"unsent_alerts": "Alerts in the outbox that at least one channel has not accepted yet."},
    ),
    Metrics(
        f"select code_version, source, 1 as info from {LAST_RUN}",
        ("code_version", "source"),
        {"info": "Code version and source of the last run; sample is a simulated market."},
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
