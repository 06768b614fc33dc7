"""Shows the outcome of a run in Prefect: events for automations, and artifacts on the run's page."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import duckdb
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.fallback_settings import fallback_settings

if TYPE_CHECKING:
    from market_rotation.tasks.audit.run import Result
    from market_rotation.tasks.errors import Failure
    from market_rotation.tasks.run.ledger import Run
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.announce")

#: The resource of every event.
RESOURCE = {"prefect.resource.id": "market-rotation.warehouse", "prefect.resource.name": "market-rotation warehouse"}

#: Maximum rows in the table of failing rows; ops.quarantine has all of them.
ROWS = 200

_INCIDENT = {"failure": "opened", "recovery": "recovered"}

_SEVERITIES = ("critical", "warning", "info")


def announce_run(run: Run) -> bool:
    """Announces `run` with its failing rows, its alerts and links to its report and Data Docs; returns as `announce` does."""
    settings = fallback_settings()
    alerts: list[Any] = []
    # Without a published file, or with one of an older version, there are no alerts to show.
    with suppress(RotationError), warehouse.reading(settings.published) as con:
        alerts = con.execute(
            "select {fingerprint: fingerprint, kind: kind, severity: severity, title: title, attempts: attempts, sent_at: sent_at} "
            "from ops.alerts where run_id = $1 order by created_at",
            [run.run_id],
        ).fetchall()
    pages = {"report": f"reports/{run.session}/index.html", "data-docs": "data_docs/index.html"}
    there = {key: page for key, page in pages.items() if (settings.home / page).exists()}
    links = {key: settings.address_of(page) or str((settings.home / page).absolute()) for key, page in there.items()}
    return announce(run, run.failures, [alert for (alert,) in alerts], links, _verdict(settings, run))


def announce(
    run: Run,
    failures: Sequence[Failure] = (),
    alerts: Iterable[Any] = (),
    links: Mapping[str, str] | None = None,
    verdict: str | None = None,
) -> bool:
    """Emits the events of `run` and adds its artifacts to the current flow run; does nothing outside a flow run.

    `failures` hold the failing rows. `alerts` are those written in this run, as objects or mappings with `fingerprint`, `kind`,
    `severity`, `title`, `attempts` and `sent_at`. `links` are the run's pages by name: addresses, or
    paths on the worker's machine, which the summary names as text. `verdict` is the regime of the session, in a sentence.
    Never raises: a failure of Prefect is a warning in the log and does not change the run. Returns whether there was none.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return True
    try:
        _emit(run, [_alert(alert) for alert in alerts], str(context.flow_run.id))
        # Otherwise Prefect retries an unreachable server for more than a minute.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
            _show(run, failures, links or {}, verdict)
    except Exception as error:
        log.warning(
            "The outcome of the run could not be sent to Prefect (%s: %s); the run itself is %s, see ops.runs.",
            type(error).__name__,
            error,
            run.status.replace("_", " "),
        )
        return False
    return True


def _emit(run: Run, alerts: Sequence[Mapping[str, Any]], flow_run_id: str) -> None:
    related = [{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}]
    about = {"run_id": run.run_id, "session": str(run.session), "source": run.source}

    def emit(name: str, **payload: Any) -> None:
        emit_event(f"market-rotation.{name}", resource=RESOURCE, related=related, payload={**about, **payload})

    emit(f"run.{run.status}", message=run.message, **_counts(run))
    for alert in alerts:
        emit(f"incident.{_INCIDENT.get(alert['kind'], 'continued')}", **_alert_payload(alert))
        # Without a channel nothing was attempted, and a retry would not help.
        if alert["attempts"] and alert["sent_at"] is None:
            emit("alert.undelivered", **_alert_payload(alert))


def _alert(alert: Any) -> Mapping[str, Any]:
    if isinstance(alert, Mapping):
        return alert
    return {name: getattr(alert, name) for name in ("fingerprint", "kind", "severity", "title", "attempts", "sent_at")}


def _alert_payload(alert: Mapping[str, Any]) -> dict[str, Any]:
    """The alert in an event's payload, without its body and delivery error, which may contain an address."""
    return {name: alert[name] for name in ("fingerprint", "kind", "severity", "title")}


def _counts(run: Run) -> dict[str, Any]:
    names = ("rows_fetched", "rows_new", "rows_revised", "rows_quarantined", "published")
    return {
        **{name: getattr(run, name) for name in names},
        "expectations_failed": sum(not r.success for r in run.results),
    }


def _show(run: Run, failures: Sequence[Failure], links: Mapping[str, str], verdict: str | None) -> None:
    if run.results:
        create_table_artifact(
            key="validation", table=_validation(run.results), description=f"Audit results of run {run.run_id}."
        )
    # An informational expectation that fails is a finding, not a fault of the row.
    informational = {(r.suite.dataset, r.expectation.id) for r in run.results if r.expectation.severity == "info"}
    found = [failure for failure in failures if (failure.dataset, failure.expectation) in informational]
    failing = [failure for failure in failures if failure not in found]
    _show_rows("failing-rows", "Rows that failed an expectation", failing)
    _show_rows("informational-findings", "Rows of informational findings; nothing is wrong with them", found)
    addresses = {key: link for key, link in links.items() if link.startswith(("http://", "https://"))}
    paths = {key: link for key, link in links.items() if key not in addresses}
    create_markdown_artifact(key="run-summary", markdown=_summary(run, verdict, paths), description=f"Run {run.run_id}")
    for key, address in addresses.items():
        create_link_artifact(key=key, link=address, link_text=address, description=f"Run {run.run_id}")


def _show_rows(key: str, what: str, failures: Sequence[Failure]) -> None:
    if rows := _failing_rows(failures):
        shown = f"{min(len(rows), ROWS)} of {_all_failing(failures, len(rows))}"
        create_table_artifact(key=key, table=rows[:ROWS], description=f"{what}: {shown}.")


def _verdict(settings: Settings, run: Run) -> str | None:
    """The regime that readers see for the session of `run`, in a sentence; None where it has none."""
    with suppress(RotationError, duckdb.Error), warehouse.reading(settings.published) as con:
        row = con.execute(
            "select label, size_state, leadership_state, support_state, label_since from signals.rotation_regime where session = $1",
            [run.session],
        ).fetchone()
        if row and row[0]:
            label, size, leadership, support, since = (each or "not known" for each in row)
            return f"{label} since {since}: size {size}, leadership {leadership}, support {support}"
    return None


def _validation(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row per expectation: failures first, most severe first."""
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


def _summary(run: Run, verdict: str | None, paths: Mapping[str, str]) -> str:
    failed = [result for result in run.results if not result.success]
    lines = [
        f"**{run.status.replace('_', ' ').capitalize()}**: {html.escape(run.message, quote=False)}",
        "",
        f"- session {run.session}, source {run.source}, run `{run.run_id}`",
        f"- {run.rows_fetched:,} rows fetched, {run.rows_new:,} new, {run.rows_revised:,} revised, {run.rows_quarantined:,} set aside",
    ]
    if verdict:
        lines.append(f"- regime {html.escape(verdict, quote=False)}")
    lines += [f"- {key}: `{path}` on the worker's machine" for key, path in paths.items()]
    if run.results:
        lines.append(f"- {len(run.results) - len(failed)} of {len(run.results)} expectations passed")
    lines += [f"  - {r.expectation.severity}: `{r.expectation.id}` of {r.suite.table}" for r in failed]
    return "\n".join(lines)
