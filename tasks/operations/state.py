"""The state of the published warehouse as data: what `rotation status --json` prints."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel


class LastRun(BaseModel):
    """The newest row of `ops.runs`."""

    run_id: str
    status: str
    session: date | None
    started_at: datetime
    finished_at: datetime | None
    message: str | None


class Freshness(BaseModel):
    """How far a dataset is behind the calendar; `symbols_behind` lack data that was due at the last published run, None when unknown."""

    dataset: str
    latest_session: date | None
    expected_session: date
    sessions_behind: int
    symbols_behind: int | None


class LateFund(BaseModel):
    """A fund whose records stand still or lag: a row of `ops.late_funds()`. Ages are in sessions."""

    symbol: str
    reason: str
    last_session: date
    record_age_sessions: int
    max_age_sessions: int
    sessions_unchanged: int
    last_count_session: date | None
    count_age_sessions: int | None
    source: str | None


class Incident(BaseModel):
    """An open incident: a row of `ops.incidents()`."""

    fingerprint: str
    severity: str
    title: str
    since: datetime
    alerted_at: datetime
    session: date | None
    alerts: int


class Status(BaseModel):
    """The state at one time. A value is None when the warehouse is of an older version that does not have it.

    `running_since` and `running_process` are also None during a run on another machine or in another container.
    """

    healthy: bool
    simulated: bool
    problems: list[str]
    notes: list[str]
    last_run: LastRun | None
    last_published_run_id: str | None
    running: bool
    running_since: datetime | None
    running_process: int | None
    freshness: list[Freshness]
    late_funds: list[LateFund] | None
    incidents: list[Incident] | None
    open_alerts: int | None
    quarantined: int | None
