"""The dead man's switch: calls `ROTATION_PING_URL` when a run begins and ends, as healthchecks.io and compatible monitors expect.

The monitor alerts when no call arrives in time. So it notices what nothing here can report: a machine that is off, or a scheduler that is down.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.ping")

#: What is appended to the address; see https://healthchecks.io/docs/http_api/.
SUFFIXES = {"begin": "/start", "success": "", "failure": "/fail"}
#: The monitor must not hold up a run.
TIMEOUT_S = 10
#: Characters of a message that healthchecks.io keeps.
MAX_LENGTH = 10_000


def ping(settings: Settings, event: Literal["begin", "success", "failure"], message: str = "") -> bool:
    """Reports `event` with `message`; returns whether the monitor accepted it. Without an address, nothing is called.

    A failure changes nothing else: it is a warning, without the address, which is secret.
    """
    address = settings.ping_url.get_secret_value().strip().rstrip("/")
    if not address:
        return False
    import requests

    try:
        response = requests.post(address + SUFFIXES[event], data=message[:MAX_LENGTH].encode(), timeout=TIMEOUT_S)
    except (requests.RequestException, ValueError) as error:
        # The error's text holds the address.
        log.warning("ROTATION_PING_URL could not be called (%s).", type(error).__name__)
        return False
    if not response.ok:
        log.warning("ROTATION_PING_URL answered HTTP %s; check the address.", response.status_code)
    return response.ok
