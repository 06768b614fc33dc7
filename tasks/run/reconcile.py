"""Reconciliation: the prices of some symbols are also requested from a second source and compared. It never blocks a run.

The comparison is `stage.differences`, its result `ops.reconciliations`.
"""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.run.fetch import Answer, Request, RetryPolicy, fetch_symbol
from market_rotation.tasks.run.stage import put_second_prices
from market_rotation.tasks.sources.fallback import DOWN_AFTER, Ordered

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.sources.base import Source

log = logging.getLogger("rotation.reconcile")


def request_second(con: duckdb.DuckDBPyConnection, source: Source, settings: Settings, policy: RetryPolicy) -> None:
    """Fills `stage.second_prices` with what another source says of the symbols in turn; nothing where there is only one source of prices.

    One attempt per symbol, and none of a source that failed for several symbols in a row: it is requested again the next evening.
    """
    if not isinstance(source, Ordered) or not settings.reconcile_symbols:
        return
    warehouse.parameters(con, reconcile_symbols=settings.reconcile_symbols)
    warehouse.build(con, "stage.second_requests")
    chosen: list[tuple[str, date, date, str]] = con.execute("from stage.second_requests").fetchall()
    failures: dict[str, int] = {}
    given: list[Answer] = []
    once = RetryPolicy(1, 0.0, policy.deadline, policy.clock)
    for symbol, start, end, answered_by in chosen:
        for other in source.witnesses("prices", answered_by):
            if failures.get(other.name, 0) >= DOWN_AFTER:
                continue
            answer = fetch_symbol(other, Request("prices", symbol, start, end), once)
            failures[other.name] = failures.get(other.name, 0) + 1 if answer.is_unavailable else 0
            if answer.frame is not None and len(answer.frame):
                given.append(Answer(answer.request, answer.frame, None, source=other.name))
                break
            log.debug("%s is not compared with %s: %s", symbol, other.name, answer.error or "no rows")
    put_second_prices(con, given)
    if chosen:
        log.info("Compared prices of %d of %d symbols with a second source", len(given), len(chosen))
