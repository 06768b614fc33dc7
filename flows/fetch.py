"""The fetch flow: one batch of a backfill's requests, fetched by a worker into the cache of responses. It opens no warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from market_rotation.flows.pace import shared
from market_rotation.flows.parameters import Now, SourceName
from market_rotation.flows.steps import RunFailed
from market_rotation.tasks.run import batch
from market_rotation.tasks.run.fetch import Request
from market_rotation.tasks.settings import load_settings


def _run_name() -> str:
    requests: list[Any] = runtime.flow_run.parameters.get("requests") or []
    symbols = list(dict.fromkeys(r["symbol"] if isinstance(r, dict) else getattr(r, "symbol", "") for r in requests))
    return f"fetch {symbols[0]} to {symbols[-1]}, {len(symbols)}" if symbols else "fetch"


@flow(name="fetch", flow_run_name=_run_name, timeout_seconds=4 * 3600)
def fetch(
    requests: list[Request],
    source: SourceName = None,
    closures: list[date] | None = None,
    requests_per_minute: int | None = None,
    now: Now = None,
) -> State[Any]:
    """Fetches one batch of requests into the folder `fetched` of ROTATION_HOME, where the backfill that handed it out finds the answers.

    Args:
        requests: what to request: dataset, symbol, first and last session.
        source: the name of an installed source; empty for the setting ROTATION_SOURCE.
        closures: days on which the exchange was closed although the installed calendar has a session.
        requests_per_minute: requests per minute in all processes; empty for the setting ROTATION_REQUESTS_PER_MINUTE.
        now: the start time of the backfill; empty for the current time.
    """
    settings = load_settings(source=source, requests_per_minute=requests_per_minute)
    paces = partial(shared, is_worker=True)
    answers = batch.fetch_into_cache(settings, requests, closures or (), now or datetime.now(UTC), paces)
    failed = [answer for answer in answers if answer.error]
    message = f"{len(answers) - len(failed)} of {len(answers)} answers are in the cache."
    if failed:
        message += f" The first without one: {failed[0].error}"
    if failed and len(failed) == len(answers):
        return Failed(message=message, data=RunFailed(message))
    return Completed(message=message)
