"""A run by hand as a flow run of the Prefect server that is configured."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from market_rotation.tasks.run.context import Parameters
    from market_rotation.tasks.run.ledger import Run

log = logging.getLogger("rotation.run")


def run_as_flow(parameters: Parameters, debug: bool) -> Run:
    """Runs the flow in this process; returns its run.

    A failure of Prefect itself, for example a server that stops, is a warning: the outcome is the run's.
    """
    _quiet(debug)
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from market_rotation.flows.steps import ENDED

    flow, arguments = _flow_of(parameters)
    ENDED.clear()
    # Each retry of an unreachable server waits longer, and a person is waiting for this run.
    settings: dict[Any, Any] = {PREFECT_CLIENT_MAX_RETRIES: 1, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(settings):
        _give_up_events_at_once()
        try:
            flow(**arguments, return_state=True)
        except Exception as error:
            if not ENDED:
                raise
            # Where its outcome could not be sent either, that was the warning.
            level = logging.WARNING if ENDED[-1][1] else logging.DEBUG
            log.log(level, "Prefect could not record how the run ended (%s).", type(error).__name__)
        finally:
            _send_events()
    return ENDED[-1][0]


def _flow_of(parameters: Parameters) -> tuple[Any, dict[str, Any]]:
    if parameters.start is None:
        from market_rotation.flows.daily import daily

        return daily, {"session": parameters.session, "source": parameters.source, "now": parameters.now}
    from market_rotation.flows.backfill import backfill

    return backfill, {
        "start": parameters.start,
        "end": parameters.session,
        "symbols": list(parameters.symbols),
        "source": parameters.source,
        "now": parameters.now,
    }


def _quiet(debug: bool) -> None:
    """Prefect's settings for a run by hand, set before Prefect is imported; the user's own settings are kept."""
    quiet = {
        # Otherwise Prefect prints a notice about usage data.
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "rotation",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    if not debug:
        quiet["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        quiet["PREFECT_LOGGING_INTERNAL_LEVEL"] = "CRITICAL"
        # Otherwise each batch of log lines that the server does not accept is printed as an error.
        logging.raiseExceptions = False
    for name, value in quiet.items():
        os.environ.setdefault(name, value)


def _give_up_events_at_once() -> None:
    """Makes this process try each event once. Prefect would reconnect for seven seconds per event, of which a run has dozens, before it exits."""
    from prefect.events.clients import PrefectEventsClient
    from prefect.events.worker import EventsWorker, emit_events_to_cloud

    # The client of Prefect Cloud needs its key, and is left as it is.
    if not emit_events_to_cloud():
        EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=0)


def _send_events() -> None:
    """Sends Prefect's queued events now; at exit an unreachable server would be printed as an error."""
    from prefect.events.worker import EventsWorker

    try:
        EventsWorker.drain_all(timeout=5, at_exit=False)
    except Exception as error:
        log.debug("Prefect's events were not sent (%s).", type(error).__name__)
    EventsWorker.set_client_override(None)
