"""The content of the report: every exhibit at a session, read from a warehouse."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.report import queries
from market_rotation.tasks.report.exhibits import data, evidence, funds, market, money, own, places, regime, sectors
from market_rotation.tasks.report.exhibits.base import Exhibit, Report
from market_rotation.tasks.report.phrases import plain

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Builder = Callable[["pd.DataFrame", str], Exhibit]

#: The exhibits by the names of their queries, and what makes them of the rows and the text of the query.
TOP: dict[str, Builder] = {
    "headline": regime.headline,
    "compass": regime.compass,
    "evidence": evidence.evidence,
    "watch": evidence.watch,
    "turns": evidence.turns,
    "changes": evidence.changes,
    "certainty": evidence.certainty,
    "freshness": data.freshness,
    "problems": data.problems,
}
SECTIONS: dict[str, Builder] = {
    "relative_strength": market.relative_strength,
    "returns": market.returns,
    "percentiles": places.percentiles,
    "levels": places.levels,
    "drawdowns": market.drawdowns,
    "sector_day": sectors.sector_day,
    "sector_ranks": sectors.sector_ranks,
    "sector_rotation": sectors.sector_rotation,
    "size_rotation": sectors.size_rotation,
    "mega_cap": market.mega_cap,
    "breadth": market.breadth,
    "dispersion": sectors.dispersion,
    "fund_flows": money.fund_flows,
    "fund_flows_yearly": money.fund_flows_yearly,
    "earnings": money.earnings,
    "valuation": places.valuation,
    "funds": funds.funds,
    "overlap": funds.overlap,
    "context": places.context,
    "what_followed": money.what_followed,
}


def collect(con: duckdb.DuckDBPyConnection, session: date | None = None, as_known_then: bool = False) -> Report:
    """The report on `session` (default: the latest), from a published or rebuilt warehouse that is only read.

    Nothing dated after the session is in it. `as_known_then` is said of the report, not checked. Raises `RotationError` when
    nothing was published, or the session is not in the warehouse.
    """
    from altair.utils.schemapi import debug_mode

    origin = _origin(con, session)
    found, is_latest = origin["session"].date(), bool(origin["is_latest"])
    # Altair would check each part of each chart against its schema, which takes as long as all the rest; the tests compile every chart.
    with debug_mode(False), ThreadPoolExecutor(1) as pool:
        builders = {**TOP, **SECTIONS}
        # A thread runs the queries in advance while the charts are made here: each takes about half of the time.
        asked = {name: pool.submit(queries.run, con, name, found, is_latest) for name in builders}
        made = {
            name: build(asked[name].result(), queries.shown(name, found, is_latest)) for name, build in builders.items()
        }
    return Report(
        session=found,
        known_at=origin["known_at"].to_pydatetime().astimezone(UTC),
        run_id=origin["run_id"],
        code_version=origin["code_version"] or "not known",
        source=origin["source"],
        is_simulated=bool(origin["is_simulated"]),
        as_known_then=as_known_then,
        **{name: made[name] for name in TOP},
        exhibits=(*(made[name] for name in SECTIONS), *own.exhibits(con, found)),
    )


def _origin(con: duckdb.DuckDBPyConnection, session: date | None) -> dict[str, Any]:
    import duckdb

    try:
        (origin,) = plain(queries.run(con, "origin", session))
    except duckdb.CatalogException:
        raise RotationError(
            "Nothing was published yet, so there is nothing to report; start with `rotation run`."
        ) from None
    if origin["last_session"] is None:
        raise RotationError("Nothing was published yet, so there is nothing to report; start with `rotation run`.")
    if session and (origin["session"] is None or origin["session"].date() != session):
        raise UsageError(
            f"{session} is not a session of the warehouse, which goes from {origin['first_session']:%Y-%m-%d} to "
            f"{origin['last_session']:%Y-%m-%d}; choose a trading day between them."
        )
    return origin
