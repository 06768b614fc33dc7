"""Why a run published nothing, as an incident: blocked by the audit, a mistake in the configuration, stopped from outside, or failed."""

from __future__ import annotations

import json
from datetime import date
from typing import Protocol

from market_rotation.tasks.alerts.incidents import QUARANTINE_LIST, Incident, spoken
from market_rotation.tasks.errors import AuditFailed, ConfigError, Failure


class Ended(Protocol):
    """What an alert says of a run; `market_rotation.tasks.run.ledger.Run` has it."""

    run_id: str
    session: date | None
    message: str


def of_failure(run: Ended | None, error: BaseException) -> Incident:
    """Why nothing was published: blocked by the audit, a mistake in the configuration, stopped from outside, or failed.

    `run` is None where none could begin, as with settings that cannot be read.
    """
    session = run.session if run else None
    subject = f"{session or 'the last session'} is not published"
    said = (run.message if run else "") or str(error) or type(error).__name__
    if isinstance(error, AuditFailed) and error.failures and error.failures[0].expectation == "session_has_bars":
        return _of_session_without_bars(subject, error.failures[0])
    if isinstance(error, AuditFailed) and error.failures:
        dataset = error.failures[0].dataset
        rows = (
            f" Their rows: `rotation sql \"select dataset, expectation, details from ops.validations where run_id = '{run.run_id}' and not success\"`."
            if run
            else ""
        )
        return Incident(
            f"blocked:{dataset}",
            "critical",
            f"Blocked: {subject}, {spoken(dataset)} failed the audit",
            "\n".join(f"- {failure.describe()}" for failure in error.failures),
            f"wait for the vendor's correction or correct the source, then `rotation run`.{rows} What would have been set aside: {QUARANTINE_LIST}.",
        )
    kind, title, next_step = _kind_of(error, subject)
    return Incident(kind, "critical", title, said, next_step)


def _kind_of(error: BaseException, subject: str) -> tuple[str, str, str]:
    """Fingerprint, title and next step of a failure that has no rows to show."""
    if isinstance(error, AuditFailed):
        return "blocked:audit", f"Blocked: {subject}, the audit failed", "correct the source, then `rotation run`."
    if isinstance(error, ConfigError):
        next_step = "correct it and check it with `rotation doctor`, then `rotation run`."
        return "configuration", f"Not started: {subject}, a setting or file is wrong", next_step
    if not isinstance(error, Exception):
        next_step = "find out what ended the process (a signal, a time limit, a shutdown), then `rotation run`."
        return "stopped", f"Stopped: {subject}", next_step
    return "failed", f"Failed: {subject}", "`rotation run` tries again; for details `rotation run --debug`."


def _of_session_without_bars(subject: str, failure: Failure) -> Incident:
    """The incident that no symbol has a bar for a session of the calendar: the exchange may have been closed at short notice."""
    days = [str(json.loads(example)["session"]) for example in failure.examples]
    accept = " and ".join(f'`rotation closures accept {day} --because "…"`' for day in days)
    return Incident(
        "blocked:closure",
        "critical",
        f"Blocked: was the exchange closed on {', '.join(days)}?",
        f"No symbol has a bar for {', '.join(days)}, which the installed calendar counts as a session; {subject}.",
        f"if the exchange was closed, {accept}, then `rotation run`. If it was open, the source is late or the clock of this machine is ahead: "
        f"check with `rotation doctor`, then `rotation run`.",
    )
