"""Says in Prefect how a run went: events that automations can wait for, and tables on the run's page."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.settings import fallback_settings

if TYPE_CHECKING:
    from market_rotation.tasks.audit.run import Result
    from market_rotation.tasks.errors import Failure
    from market_rotation.tasks.run.ledger import Run

log = logging.getLogger("rotation.announce")

#: What every event is about.
RESOURCE = {"prefect.resource.id": "market-rotation.warehouse", "prefect.resource.name": "market-rotation warehouse"}

#: Rows in the table of failing rows; the rest is in ops.quarantine.
ROWS = 200

_INCIDENT = {"failure": "opened", "recovery": "recovered"}

_SEVERITIES = ("critical", "warning", "info")


def announce_run(run: Run) -> None:
    """Announces `run` with its failing rows, its alerts and links to its report and Data Docs."""
    settings = fallback_settings()
    alerts: list[Any] = []
    # Without a published file, or with an older one, there are no alerts to name.
    with suppress(RotationError), warehouse.reading(settings.published) as con:
        alerts = con.execute(
            "select {fingerprint: fingerprint, kind: kind, severity: severity, title: title, attempts: attempts, sent_at: sent_at} "
            "from ops.alerts where run_id = $1 order by created_at",
            [run.run_id],
        ).fetchall()
    home = settings.home.absolute()
    links = {
        "report": home / "reports" / str(run.session) / "index.html",
        "data-docs": home / "data_docs" / "index.html",
    }
    announce(run, run.failures, [alert for (alert,) in alerts], links)


def announce(
    run: Run, failures: Sequence[Failure] = (), alerts: Iterable[Any] = (), links: Mapping[str, Path] | None = None
) -> None:
    """Emits the events of `run` and puts its tables on the page of the flow run that goes on; does nothing outside of one.

    `failures` bring the failing rows. `alerts` are those written in this run, as objects or mappings with `fingerprint`, `kind`,
    `severity`, `title`, `attempts` and `sent_at`. `links` are files of the run by name; those that are there are linked. Never raises: what Prefect could not be told is a warning in the log, and the run is as it is.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        _emit(run, [_alert(alert) for alert in alerts], str(context.flow_run.id))
        # A server that is gone would otherwise be asked for more than a minute.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
            _show(run, failures)
            _link(run, links or {})
    except Exception as error:
        log.warning(
            "Prefect could not be told how the run went (%s: %s); the run itself is %s, see ops.runs.",
            type(error).__name__,
            error,
            run.status.replace("_", " "),
        )


def _emit(run: Run, alerts: Sequence[Mapping[str, Any]], flow_run_id: str) -> None:
    related = [{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}]
    about = {"run_id": run.run_id, "session": str(run.session), "source": run.source}

    def emit(name: str, **payload: Any) -> None:
        emit_event(f"market-rotation.{name}", resource=RESOURCE, related=related, payload={**about, **payload})

    emit(f"run.{run.status}", message=run.message, **_counts(run))
    for alert in alerts:
        emit(f"incident.{_INCIDENT.get(alert['kind'], 'continued')}", **_told(alert))
        # Where no channel is set nothing was attempted, and trying again would not help.
        if alert["attempts"] and alert["sent_at"] is None:
            emit("alert.undelivered", **_told(alert))


def _alert(alert: Any) -> Mapping[str, Any]:
    if isinstance(alert, Mapping):
        return alert
    return {name: getattr(alert, name) for name in ("fingerprint", "kind", "severity", "title", "attempts", "sent_at")}


def _told(alert: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of an alert: never its body or an error of its delivery, which may name where it was to go."""
    return {name: alert[name] for name in ("fingerprint", "kind", "severity", "title")}


def _counts(run: Run) -> dict[str, Any]:
    names = ("rows_fetched", "rows_new", "rows_revised", "rows_quarantined", "published")
    return {
        **{name: getattr(run, name) for name in names},
        "expectations_failed": sum(not r.success for r in run.results),
    }


def _show(run: Run, failures: Sequence[Failure]) -> None:
    if run.results:
        create_table_artifact(
            key="validation", table=_validation(run.results), description=f"What the audits of run {run.run_id} found."
        )
    if rows := _failing_rows(failures):
        create_table_artifact(
            key="failing-rows",
            table=rows[:ROWS],
            description=f"Rows that are not as expected: {min(len(rows), ROWS)} of {_all_failing(failures, len(rows))}.",
        )
    create_markdown_artifact(key="run-summary", markdown=_summary(run), description=f"Run {run.run_id}")


def _link(run: Run, links: Mapping[str, Path]) -> None:
    for key, path in links.items():
        if path.exists():
            create_link_artifact(
                key=key,
                link=path.as_uri(),
                link_text=str(path),
                description=f"Of run {run.run_id}, on the worker's machine",
            )


def _validation(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row per expectation, failures first, the gravest at the top."""
    ordered = sorted(results, key=lambda r: (r.success, not r.raised, _SEVERITIES.index(r.expectation.severity)))
    return [
        {
            "suite": result.suite.table,
            "expectation": result.expectation.id,
            "severity": result.expectation.severity,
            "outcome": "not checked" if result.raised else "passed" if result.success else "failed",
            "unexpected": result.unexpected_count,
            "elements": result.element_count,
            "sentence": result.details if result.raised else result.expectation.sentence,
        }
        for result in ordered
    ]


def _failing_rows(failures: Sequence[Failure]) -> list[dict[str, Any]]:
    found = []
    for failure in failures:
        for example in failure.examples:
            row = json.loads(example)
            found.append(
                {
                    "dataset": failure.dataset,
                    "symbol": row.get("symbol"),
                    "session": row.get("session"),
                    "expectation": failure.expectation,
                    "reason": failure.sentence,
                    "row": example,
                }
            )
    return found


def _all_failing(failures: Sequence[Failure], shown: int) -> int:
    return max(shown, sum(failure.rows or 0 for failure in failures))


def _summary(run: Run) -> str:
    failed = [result for result in run.results if not result.success]
    lines = [
        f"**{run.status.replace('_', ' ').capitalize()}**: {html.escape(run.message, quote=False)}",
        "",
        f"- session {run.session}, source {run.source}, run `{run.run_id}`",
        f"- {run.rows_fetched:,} rows fetched, {run.rows_new:,} new, {run.rows_revised:,} revised, {run.rows_quarantined:,} set aside",
    ]
    if run.results:
        lines.append(f"- {len(run.results) - len(failed)} of {len(run.results)} expectations passed")
    lines += [f"  - {r.expectation.severity}: `{r.expectation.id}` of {r.suite.table}" for r in failed]
    return "\n".join(lines)
