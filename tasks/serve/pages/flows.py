"""The page of the flows of any funds and groups of funds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import first_upper, listed, plain, plural, usd
from market_rotation.tasks.serve import charts, queries
from market_rotation.tasks.serve.pages.base import Page
from market_rotation.tasks.serve.parameters import Field, Parameters, period_fields

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from market_rotation.tasks.serve.published import Edition

STEPS = {"month": "by month", "session": "by session"}

#: The number of rows of each symbol shown as a table; the chart and the downloads have all.
SHOWN = 13


def build(con: duckdb.DuckDBPyConnection, edition: Edition, asked: Parameters) -> Page:
    """Money into and out of the `symbols` between `from` and `to`, `by` month or session."""
    groups = [symbol for symbol in edition.flow_symbols if symbol.startswith("group:")]
    symbols = asked.symbols("symbols", edition.flow_symbols, groups or list(edition.flow_symbols[:1]))
    by = asked.choice("by", STEPS, "month")
    start, finish = asked.period(edition)
    asked.refuse_others()
    if by == "session" and (only_months := [symbol for symbol in symbols if symbol in groups]):
        if asked.has("symbols"):
            raise UsageError(f"Flows of {only_months[0]} are known by month; choose by=month, or a fund.")
        symbols = [symbol for symbol in edition.flow_symbols if symbol not in groups][:1]
    values: dict[str, queries.Value] = {"symbols": symbols, "start": start, "finish": finish}
    return Page(
        title="Money into and out of funds",
        intro="Shares created less shares redeemed, in USD at the NAV of the session before. Funds and groups separated by commas, at most 16.",
        name="flows",
        fields=(
            Field(
                "symbols",
                "Funds and groups",
                "symbols",
                ", ".join(symbols),
                tuple((s, s) for s in edition.flow_symbols),
            ),
            Field("by", "Steps", "choice", by, tuple(STEPS.items())),
            *period_fields(asked),
        ),
        exhibits=_exhibits(con, symbols, by, values) if symbols else (),
        pinned_by="to",
        presets=tuple(
            (first_upper(g.removeprefix("group:").replace("_", " ")), asked.address(symbols=g, by="month"))
            for g in groups
        ),
    )


def _exhibits(
    con: duckdb.DuckDBPyConnection, symbols: list[str], by: str, values: dict[str, queries.Value]
) -> tuple[Exhibit, ...]:
    name = "flows_monthly" if by == "month" else "flows_daily"
    rows = queries.run(con, name, values)
    finding, missing = _finding(rows, symbols, by)
    drawn = [symbol for symbol in symbols if rows.loc[rows["symbol"] == symbol, "net_flow_usd"].notna().any()]
    recent = rows.groupby("symbol", sort=False).tail(SHOWN).iloc[::-1].reset_index(drop=True)
    columns = (
        Column("symbol", "Fund or group", "text"),
        Column(by, first_upper(by), "month" if by == "month" else "session"),
        Column("net_flow_usd", "Net flow", "usd", bar=True),
        Column("flow_pct_of_assets", "Percent of assets", "number"),
        Column("sum_usd", "Sum since the start", "usd"),
    )
    counted = (
        Column("sessions_covered_pct", "Sessions known", "percent"),
        Column("members_known", "Funds known", "count"),
        Column("members", "Of", "count"),
        Column("is_partial", "Still running", "text"),
    )
    flows = Exhibit(
        id=name,
        title=f"Net flow {STEPS[by]}",
        finding=finding,
        note="A gap is a flow that is not known. A group is the sum of its known members. Flows of funds whose shares are derived from assets are estimates.",
        sql=queries.shown(name, values),
        rows=rows,
        table=recent,
        columns=(*columns, *(counted if by == "month" else (Column("source", "Source", "text"),))),
        chart=charts.flows(name, drawn, finding) if drawn else None,
        missing=missing,
    )
    if not drawn:
        return (flows,)
    total = Exhibit(
        id="flows_sum",
        title="Sum since the start",
        finding="The flows of each fund or group added up over the period.",
        note="A line ends at the first month that is not known, or while under 90 % of the sessions are.",
        sql="",
        rows=rows[["symbol", by, "sum_usd"]],
        table=rows.head(0),
        columns=(),
        chart=charts.by_symbol("flows_sum", "sum_usd", drawn, "money", 0, "Sum of the flows since the start", by),
    )
    return flows, total


def _finding(rows: pd.DataFrame, symbols: list[str], by: str) -> tuple[str, str | None]:
    """What each fund or group took in, and what is not known."""
    told, gaps = [], []
    for symbol in symbols:
        own = plain(rows[rows["symbol"] == symbol])
        unknown = sum(row["net_flow_usd"] is None for row in own)
        if not own:
            gaps.append(f"{symbol} has no records in this period")
        elif unknown:
            gaps.append(f"{symbol} in {plural(unknown, by)} of {len(own)}")
        if own and own[-1]["sum_usd"] is not None:
            total = own[-1]["sum_usd"]
            told.append(f"{symbol} {'took in' if total > 0 else 'lost'} {usd(total)}")
    finding = f"Over the period, {listed(told)}." if told else "No sum over the period is known."
    return finding, f"Not known: {'; '.join(gaps)}." if gaps else None
