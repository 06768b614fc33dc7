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
    incidents: list[Incident] | None
    open_alerts: int | None
    quarantined: int | None
