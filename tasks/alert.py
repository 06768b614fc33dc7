"""Alerts go to the outbox first, `ops.alerts`: one when something begins, one when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from tasks.job import Job


def dead_sources(job: Job) -> None:
    """Opens one alert per source whose share counts stand still while NAV moves, and closes it when they move again."""
    found = job.con.execute(
        """
        with last_rows as (
            from core.fund_flows
            where source is not null
            qualify row_number() over (partition by symbol order by session desc) = 1
        )
        select source, count(*) as funds, string_agg(symbol, ', ' order by symbol) as symbols, max(session) as session
        from last_rows
        where null_reason = 'dead source'
        group by source
        """
    ).fetchall()
    dead = {f"dead-share-counts:{source}": row for source, *row in found}
    for fingerprint, (funds, symbols, session) in dead.items():
        source = fingerprint.partition(":")[2]
        title = f"The share counts of {source} stand still"
        body = (
            f"On {session} the share counts of {funds} funds had not moved for longer than they ever stand still, while NAV moved: {symbols}. "
            f"Their flows are NULL, not zero, until the counts move again. Look at {source}'s file of one of them."
        )
        _open(job, fingerprint, title, body)
    for fingerprint in set(_open_fingerprints(job, "dead-share-counts:")) - set(dead):
        source = fingerprint.partition(":")[2]
        _add(
            job,
            fingerprint,
            "recovery",
            f"The share counts of {source} move again",
            "Flows are computed again from here on.",
        )


def _open(job: Job, fingerprint: str, title: str, body: str) -> None:
    if fingerprint not in _open_fingerprints(job, fingerprint):
        _add(job, fingerprint, "failure", title, body)


def _open_fingerprints(job: Job, prefix: str) -> list[str]:
    """Fingerprints whose newest alert is a failure: incidents that are not over."""
    rows = job.con.execute(
        "select fingerprint from ops.alerts where starts_with(fingerprint, $1) group by fingerprint having arg_max(kind, created_at) = 'failure'",
        [prefix],
    ).fetchall()
    return [fingerprint for (fingerprint,) in rows]


def _add(job: Job, fingerprint: str, kind: str, title: str, body: str) -> None:
    job.con.execute(
        "insert into ops.alerts (alert_id, fingerprint, kind, severity, title, body, run_id, created_at, attempts) "
        "values ($1, $2, $3, 'warning', $4, $5, $6, $7, 0)",
        [uuid4().hex, fingerprint, kind, title, body, job.run.run_id, job.clock()],
    )
