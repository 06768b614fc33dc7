"""Retries through stamina, each logged at debug level: a retry is a detail of a good run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import stamina
    import stamina.instrumentation

log = logging.getLogger("rotation.retries")


def retrying(
    on: type[Exception],
    *,
    attempts: int | None,
    timeout_s: float | None,
    wait_initial_s: float,
    wait_max_s: float,
    wait_jitter_s: float = 1.0,
) -> Iterator[stamina.Attempt]:
    """Attempts to iterate over, until one does not raise `on`; raises the last error after `attempts` or `timeout_s`, whichever is first."""
    import stamina
    import stamina.instrumentation

    # stamina's own hooks would print a warning for each retry.
    stamina.instrumentation.set_on_retry_hooks([_log])
    yield from stamina.retry_context(
        on=on,
        attempts=attempts,
        timeout=timeout_s,
        wait_initial=wait_initial_s,
        wait_max=wait_max_s,
        wait_jitter=wait_jitter_s,
    )


def _log(details: stamina.instrumentation.RetryDetails) -> None:
    log.debug("Retrying in %.1f s: %s", details.wait_for, details.caused_by)
