"""Prefect's events of a run by hand: sent as long as the server accepts them, dropped once it does not."""

from __future__ import annotations

import logging
from typing import Any, Self

from prefect.events.clients import PrefectEventsClient
from prefect.events.schemas.events import Event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL

log = logging.getLogger("rotation.run")

#: Seconds to wait for queued events at the end of a run.
SEND_TIMEOUT_S = 5.0


class GivingUpEventsClient(PrefectEventsClient):
    """Sends events until the server does not accept one, then drops the rest.

    Prefect's own client reconnects for seven seconds per event. A run has dozens, and the process cannot exit before all are tried.
    """

    has_failed = False

    def __init__(self, api_url: str) -> None:
        super().__init__(api_url, reconnection_attempts=0)

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except Exception as error:
            self._give_up(error)
            return self

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await super().__aexit__(*raised)
        except Exception as error:
            self._give_up(error)

    async def _emit(self, event: Event) -> None:
        if self.has_failed:
            return
        try:
            await super()._emit(event)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.has_failed = True
        log.debug("Prefect's server does not accept events (%s); the rest is dropped.", type(error).__name__)


def use() -> None:
    """Makes this process send its events with `GivingUpEventsClient`."""
    EventsWorker.set_client_override(GivingUpEventsClient, api_url=str(PREFECT_API_URL.value()))


def send() -> None:
    """Sends the queued events now; at exit an unreachable server would be printed as an error."""
    try:
        EventsWorker.drain_all(timeout=SEND_TIMEOUT_S, at_exit=False)
    except Exception as error:
        log.debug("Prefect's events were not sent (%s).", type(error).__name__)
    EventsWorker.set_client_override(None)
