"""The exhibits for choosing a fund: the small-cap funds side by side, and how much of each two is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_rotation.tasks.report.charts import points
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import listed, percent, plain
from market_rotation.tasks.report.words import written

if TYPE_CHECKING:
    import pandas as pd

#: The two funds that are shown first where there is room for two.
COMPARED = ("SPSM", "VB")

#: The columns in the order in which a buyer asks: what it is, what it costs, what it holds, what it returned, its risk, its trade, its flows.
COLUMNS = (
    Column("symbol", "Fund", "text"),
    Column("index_name", "Index", "text"),
    Column("expense_pct", "Cost a year, %", "ratio", bar=True),
    Column("total_net_assets_usd", "Assets", "usd", bar=True),
    Column("holdings_count", "Companies", "count", bar=True),
    Column("top10_weight_pct", "Ten heaviest", "percent", bar=True),
    Column("effective_holdings", "Effective holdings", "count", bar=True),
    Column("trailing_pe", "Price over earnings", "ratio", bar=True),
    Column("dividend_yield", "Yield, 12 months", "level", bar=True),
    Column("return_12m", "Return, 12 months", "fraction", bar=True),
    Column("return_3y", "Return, 3 years", "fraction", bar=True),
    Column("return_5y", "Return, 5 years", "fraction", bar=True),
    Column("return_10y", "Return, 10 years", "fraction", bar=True),
    Column("beta_3y_monthly", "Monthly beta, 3 years", "ratio"),
    Column("beta_5y_monthly", "Monthly beta, 5 years", "ratio"),
    Column("beta_252d", "Daily beta, 12 months", "ratio"),
    Column("volatility_252d", "Volatility, 12 months", "level", bar=True),
    Column("max_drawdown_252d", "Worst fall, 12 months", "fraction", bar=True),
    Column("max_drawdown_5y", "Worst fall, 5 years", "fraction", bar=True),
    Column("median_dollar_volume_30d_usd", "Traded a day", "usd", bar=True),
    Column("median_share_volume_30d", "Shares traded a day", "count", bar=True),
    Column("bid_ask_spread_pct", "Bid-ask spread, %", "ratio"),
    Column("premium_pct", "Premium, %", "ratio"),
    Column("premium_session", "Premium of", "session"),
    Column("net_flow_12m_usd", "Flow, 12 months", "usd", bar=True),
    Column("shares_source", "Shares from", "text"),
)
#: Columns that say where another one is from, so that a gap in them is not listed.
NOTES = ("premium_session", "shares_source")


def funds(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The small-cap funds side by side."""
    compared = plain(rows)
    costs = [row for row in compared if row["expense_ratio"] is not None]
    returned = sorted((row for row in compared if row["return_12m"] is not None), key=lambda row: -row["return_12m"])
    parts = []
    if costs:
        parts.append(f"{costs[0]['symbol']} costs least, {written(costs[0]['expense_pct'], 'ratio')} % a year")
    if returned:
        parts.append(f"{returned[0]['symbol']} did best over twelve months with {percent(returned[0]['return_12m'])}")
    finding = "; ".join(parts) + "." if parts else "Neither cost nor return of a small-cap fund is known."
    gaps = {
        column.label: [row["symbol"] for row in compared if row[column.name] is None]
        for column in COLUMNS
        if column.name not in NOTES
    }
    # What is known of none is named once, and takes no row.
    of_none = [label for label, symbols in gaps.items() if len(symbols) == len(compared)]
    of_some = [f"{label} of {listed(symbols)}" for label, symbols in gaps.items() if symbols and label not in of_none]
    missing = " ".join(
        f"Not known {of}: {'; '.join(labels)}."
        for of, labels in (("of any fund", of_none), ("of some", of_some))
        if labels
    )
    return Exhibit(
        id="funds",
        title="Small-cap funds side by side",
        finding=finding,
        note="Returns are total returns, those of 3, 5 and 10 years a year; 12 months are 252 sessions. Monthly beta is against SPY over calendar months, as fact sheets print it. "
        "Traded a day: the median of 30 sessions. A premium is the close against the NAV of the same session, which issuers publish a day later. Where shares "
        "are derived from assets and NAV, assets and flows are estimates. Cost, companies, price over earnings and assets are as of the last snapshot; no source "
        "publishes bid-ask spreads. Effective holdings: as many equal ones would be as concentrated.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=tuple(column for column in COLUMNS if rows[column.name].notna().any()),
        side_by_side=COMPARED,
        missing=(missing or None) if compared else "No small-cap fund has a price that session.",
    )


def overlap(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How much of each two funds is the same."""
    title = "How much of each two funds is the same"
    two = [pair for pair in plain(rows) if pair["symbol"] < pair["other_symbol"]]
    finding = missing = "The holdings of no two small-cap funds are known that session."
    if two:
        most, least = (
            max(two, key=lambda pair: pair["overlap_weight_pct"]),
            min(two, key=lambda pair: pair["overlap_weight_pct"]),
        )
        finding = f"{most['symbol']} and {most['other_symbol']} have most in common, {written(most['overlap_weight_pct'], 'percent')} of their weight"
        if least is not most:
            finding += f"; {least['symbol']} and {least['other_symbol']} least, {written(least['overlap_weight_pct'], 'percent')}"
        finding, missing = f"{finding}.", ""
    symbols = list(dict.fromkeys(rows["symbol"]))
    return Exhibit(
        id="overlap",
        title=title,
        finding=finding,
        note="The lower of the two weights of each company that both hold, added up, by the last holdings file of each fund. Two funds of one index share nearly all.",
        sql=sql,
        rows=rows,
        table=rows[rows["symbol"] < rows["other_symbol"]].reset_index(drop=True),
        columns=(
            Column("symbol", "Fund", "text"),
            Column("other_symbol", "And", "text"),
            Column("overlap_weight_pct", "Weight in common", "percent", bar=True),
            Column("common_holdings", "Companies in common", "count", bar=True),
            Column("as_of", "Holdings of", "session"),
        ),
        chart=points.shares(symbols, f"{title}: {finding}") if len(two) > 1 else None,
        missing=missing or None,
    )
