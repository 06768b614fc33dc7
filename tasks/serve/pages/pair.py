"""The page of any pair: the ratio of two symbols, and what each returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import day, percent, plain
from market_rotation.tasks.serve import charts, queries
from market_rotation.tasks.serve.pages.base import Page
from market_rotation.tasks.serve.parameters import Field, Parameters, period_fields

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from market_rotation.tasks.serve.published import Edition

#: The number of sessions shown as a table; the chart and the downloads have all.
SHOWN = 21


def build(con: duckdb.DuckDBPyConnection, edition: Edition, asked: Parameters) -> Page:
    """The ratio and the returns of `small` and `large` between `from` and `to`."""
    default = edition.pairs[0] if edition.pairs else (edition.symbols[0], edition.symbols[-1])
    small = asked.symbol("small", edition.symbols, default[0])
    large = asked.symbol("large", edition.symbols, default[1])
    start, finish = asked.period(edition)
    asked.refuse_others()
    if small == large:
        raise UsageError(f"small and large are both {small}; choose two different symbols.")
    values: dict[str, queries.Value] = {"small": small, "large": large, "start": start, "finish": finish}
    options = tuple((row["symbol"], f"{row['symbol']}  {row['name']}") for row in edition.instruments)
    return Page(
        title=f"{small} against {large}",
        intro="Total returns, dividends included. The ratio rises while the first symbol returns more.",
        name=f"{small}-{large}",
        fields=(
            Field("small", "First symbol", "choice", small, options),
            Field("large", "Second symbol", "choice", large, options),
            *period_fields(asked),
        ),
        exhibits=(
            _returns(con, small, large, values),
            *_over_time(small, large, queries.run(con, "pair", values), queries.shown("pair", values)),
        ),
        pinned_by="to",
        presets=tuple((f"{a}/{b}", asked.address(small=a, large=b)) for a, b in edition.pairs),
    )


def _over_time(small: str, large: str, rows: pd.DataFrame, sql: str) -> tuple[Exhibit, Exhibit]:
    """The ratio, and the returns since the start, session by session."""
    is_known = len(rows) > 1
    ratio = returned = f"{small} and {large} have fewer than two sessions in common in this period."
    if is_known:
        first, last = plain(rows.iloc[[0, -1]])
        ratio = f"From {day(first['session'])} to {day(last['session'])} the ratio went from {first['ratio']:.2f} to {last['ratio']:.2f}."
        returned = f"{small} returned {percent(last['small_return'])} and {large} {percent(last['large_return'])}."
    recent = rows.tail(SHOWN).iloc[::-1].reset_index(drop=True)
    missing = None if is_known else ratio
    return (
        Exhibit(
            id="ratio",
            title=f"Ratio of {small} to {large}",
            finding=ratio,
            note="100 on the first session that both symbols have. The averages are of the last 50 and 200 common sessions.",
            sql=sql,
            rows=rows,
            table=recent,
            columns=(
                Column("session", "Session", "session"),
                Column("ratio", "Ratio", "ratio"),
                Column("ratio_ma50", "50-session average", "ratio"),
                Column("ratio_ma200", "200-session average", "ratio"),
            ),
            chart=charts.ratio(ratio) if is_known else None,
            missing=missing,
        ),
        Exhibit(
            id="returns",
            title="Returns since the start",
            finding=returned,
            note="Dividends included, from the first session of the period that both symbols have.",
            sql=sql,
            rows=rows,
            table=recent,
            columns=(
                Column("session", "Session", "session"),
                Column("small_return", small, "fraction"),
                Column("large_return", large, "fraction"),
                Column("spread", "Difference", "fraction"),
            ),
            chart=charts.returns(small, large, returned) if is_known else None,
            missing=missing,
        ),
    )


def _returns(con: duckdb.DuckDBPyConnection, small: str, large: str, values: dict[str, queries.Value]) -> Exhibit:
    rows = queries.run(con, "pair_returns", values)
    known = [row for row in plain(rows) if row["spread"] is not None]
    ahead = [row for row in known if row["spread"] > 0]
    unknown = [row["horizon"] for row in plain(rows) if row["spread"] is None]
    return Exhibit(
        id="pair_returns",
        title="Returns by horizon",
        finding=f"{small} is ahead over {len(ahead)} of {len(known)} horizons."
        if known
        else "No return of both is known.",
        note="1, 3, 6 and 12 months are 21, 63, 126 and 252 sessions.",
        sql=queries.shown("pair_returns", values),
        rows=rows,
        table=rows,
        columns=(
            Column("horizon", "Horizon", "text"),
            Column("small_return", small, "fraction", bar=True),
            Column("large_return", large, "fraction", bar=True),
            Column("spread", "Difference", "fraction", bar=True),
            Column("session", "Up to", "session"),
        ),
        missing=f"Not known: {', '.join(unknown)}." if unknown else None,
    )
