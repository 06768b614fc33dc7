"""The page of any funds and stocks side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import day, listed, percent, plain
from market_rotation.tasks.serve import charts, queries
from market_rotation.tasks.serve.pages.base import Page, groups, presets
from market_rotation.tasks.serve.parameters import MOST_SYMBOLS, Field, Parameters, period_fields

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from market_rotation.tasks.serve.published import Edition

#: The number of funds shown where none are chosen.
SHOWN = 8


def build(con: duckdb.DuckDBPyConnection, edition: Edition, asked: Parameters) -> Page:
    """The `symbols` side by side: their growth between `from` and `to`, and cost, risk and size at the last session up to `to`."""
    lists = groups(edition)
    default = lists.get("small cap") or next(iter(lists.values()), list(edition.symbols))
    symbols = asked.symbols("symbols", edition.symbols, default[:SHOWN])
    start, finish = asked.period(edition)
    asked.refuse_others()
    session = max((s for s in edition.sessions if s <= finish), default=edition.sessions[0])
    growth: dict[str, queries.Value] = {"symbols": symbols, "start": start, "finish": finish}
    return Page(
        title="Funds side by side",
        intro="Symbols separated by commas, at most 16. Total returns, dividends included.",
        name="funds",
        fields=(Field("symbols", "Symbols", "symbols", ", ".join(symbols), _options(edition)), *period_fields(asked)),
        exhibits=(_growth(con, symbols, growth), _compared(con, symbols, session)),
        pinned_by="to",
        presets=presets(asked, lists, MOST_SYMBOLS),
    )


def _options(edition: Edition) -> tuple[tuple[str, str], ...]:
    return tuple((row["symbol"], row["name"]) for row in edition.instruments)


def _growth(con: duckdb.DuckDBPyConnection, symbols: list[str], values: dict[str, queries.Value]) -> Exhibit:
    rows = queries.run(con, "growth", values)
    last = rows.groupby("symbol", sort=False).tail(1).sort_values("growth", ascending=False).reset_index(drop=True)
    ended = plain(last)
    finding = "These symbols have no session in common in this period."
    if ended:
        best, worst = ended[0], ended[-1]
        finding = f"100 invested became {best['growth']:.1f} with {best['symbol']}"
        finding += (
            f", the most, and {worst['growth']:.1f} with {worst['symbol']}, the least." if len(ended) > 1 else "."
        )
    return Exhibit(
        id="growth",
        title="Growth of 100",
        finding=finding,
        note="All lines begin on the first session of the period on which every symbol has a price.",
        sql=queries.shown("growth", values),
        rows=rows,
        table=last,
        columns=(
            Column("symbol", "Symbol", "text"),
            Column("session", "Last session", "session"),
            Column("growth", "100 became", "number", bar=True),
        ),
        chart=charts.by_symbol("growth", "growth", symbols, ".2f", 100, finding) if ended else None,
        missing=None if ended else finding,
    )


def _compared(con: duckdb.DuckDBPyConnection, symbols: list[str], session: date) -> Exhibit:
    values: dict[str, queries.Value] = {"symbols": symbols, "session": session}
    rows = queries.run(con, "funds", values)
    returned = sorted((row for row in plain(rows) if row["return_12m"] is not None), key=lambda row: -row["return_12m"])
    gone = [row["symbol"] for row in plain(rows) if row["return_1m"] is None]
    finding = "No return over twelve months is known."
    if returned:
        finding = f"{returned[0]['symbol']} returned most over twelve months, {percent(returned[0]['return_12m'])}."
    return Exhibit(
        id="compared",
        title=f"Cost, size and risk on {day(session)}",
        finding=finding,
        note="Volatility, worst fall and beta against SPY over 252 sessions; traded value: median of 30 sessions. Cost, companies and assets as of the last "
        "snapshot. Premium and flow are known of the small-cap funds only.",
        sql=queries.shown("funds", values),
        rows=rows,
        table=rows,
        columns=(
            Column("symbol", "Symbol", "text"),
            Column("name", "Name", "text"),
            Column("expense_pct", "Cost a year, %", "ratio", bar=True),
            Column("holdings_count", "Companies", "count"),
            Column("total_net_assets_usd", "Assets", "usd", bar=True),
            Column("return_1m", "1 month", "fraction"),
            Column("return_3m", "3 months", "fraction"),
            Column("return_12m", "12 months", "fraction", bar=True),
            Column("return_ytd", "Year to date", "fraction"),
            Column("volatility_252d", "Volatility", "level", bar=True),
            Column("max_drawdown_252d", "Worst fall", "fraction", bar=True),
            Column("beta_252d", "Beta", "ratio"),
            Column("median_dollar_volume_30d_usd", "Traded a day", "usd", bar=True),
            Column("premium_pct", "Premium, %", "ratio"),
            Column("net_flow_12m_usd", "Flow, 12 months", "usd", bar=True),
        ),
        missing=f"Returns not known that session: {listed(gone)}." if gone else None,
    )
