"""The exhibits about leadership: sectors and sizes on the relative rotation graph, ranks of the sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import bars, lines, points
from market_rotation.tasks.report.charts.rotation import QUADRANTS, rotation
from market_rotation.tasks.report.exhibits.base import Column, Exhibit, Kind
from market_rotation.tasks.report.phrases import NOT_KNOWN, first_upper, listed, percent, plain
from market_rotation.tasks.report.words import written

if TYPE_CHECKING:
    import pandas as pd


def sector_rotation(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The sectors on the relative rotation graph."""
    return _rotation("sector_rotation", "Where the sectors are heading", "Sector", rows, sql)


def size_rotation(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The size ladder on the relative rotation graph."""
    return _rotation("size_rotation", "Where the sizes are heading", "Index", rows, sql)


def _rotation(name: str, title: str, what: str, rows: pd.DataFrame, sql: str) -> Exhibit:
    last = rows[rows["weeks_back"] == 0].reset_index(drop=True)
    stands = plain(last)
    known = [row for row in stands if row["quadrant"]]
    groups = {quadrant: [_stand(row, what) for row in known if row["quadrant"] == quadrant] for quadrant in QUADRANTS}
    finding = "; ".join(f"{quadrant}: {listed(names)}" for quadrant, names in groups.items() if names)
    unknown = [row["symbol"] for row in stands if not row["quadrant"]]
    missing = None
    if not known:
        missing = "Nothing has the 27 weeks of history that a place on the graph takes."
    elif unknown:
        missing = f"Not known: {listed(unknown)}, with less than 27 weeks of history."
    finding = first_upper(finding) + "." if known else "No place on the graph is known."
    return Exhibit(
        id=name,
        title=title,
        finding=finding,
        note="A relative rotation graph against the market (SPY), weekly. To the right: stronger than usual; upwards: gaining. Both "
        "are standard deviations of the symbol's own last 14 weeks, so compare directions and quadrants, not distances. The tail holds completed weeks; a hollow "
        "point is the running week, which can still change. Click a point or a symbol to see it alone, twice to see all.",
        sql=sql,
        rows=rows,
        table=last,
        columns=(
            Column("symbol", "Symbol", "text"),
            Column("name", what, "text"),
            Column("quadrant", "Quadrant", "text"),
            Column("rs_ratio", "Strength", "number"),
            Column("rs_momentum", "Momentum", "number"),
            Column("heading_deg", "Heading, degrees", "count"),
            Column("session", "Week to", "session"),
            Column("is_provisional", "Provisional", "text"),
        ),
        chart=rotation(name, f"{title}: {finding}") if known else None,
        missing=missing,
    )


def _stand(row: dict[str, Any], what: str) -> str:
    return row["name"] if what == "Sector" else row["symbol"]  # type: ignore[no-any-return]


def sector_ranks(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The sectors' ranks at the ends of months."""
    title = "Which sectors lead"
    now = rows[rows["session"] == rows["session"].max()].reset_index(drop=True)
    sectors = plain(now)
    ranked = [row for row in sectors if row["rank_3m"] is not None]
    unranked = [row["name"] for row in sectors if row["rank_3m"] is None]
    missing = None
    if not ranked:
        finding = missing = "No sector has a full window of three months."
    else:
        finding = (
            f"{first_upper(ranked[0]['name'])} leads over three months with {percent(ranked[0]['return_3m'])}, "
            f"{ranked[-1]['name']} is last with {percent(ranked[-1]['return_3m'])}."
        )
        technology = [row for row in ranked if row["sector"] == "technology"]
        if technology:
            finding += f" Technology ranks {technology[0]['rank_3m']} of {technology[0]['sectors']}."
        if unranked:
            missing = f"Not known: {listed(unranked)}."
    names = [row["name"] for row in sectors]
    return Exhibit(
        id="sector_ranks",
        title=title,
        finding=finding,
        note="Ranks by total return over three months at the ends of the last 24 months and at the session; 1 is the best. A rotation out of technology shows as its row "
        "turning from one colour to the other.",
        sql=sql,
        rows=rows,
        table=now,
        columns=(
            Column("name", "Sector", "text"),
            Column("symbol", "Symbol", "text"),
            Column("rank_3m", "Rank, 3 months", "rank"),
            Column("return_3m", "Return, 3 months", "fraction", bar=True),
            Column("excess_3m", "Beyond the market", "fraction", bar=True),
            Column("rank_1m", "Rank, 1 month", "rank"),
            Column("rank_6m", "6 months", "rank"),
            Column("rank_12m", "12 months", "rank"),
        ),
        chart=bars.sector_ranks(names, f"{title}: {finding}") if ranked else None,
        missing=missing,
    )


def sector_day(rows: pd.DataFrame, sql: str) -> Exhibit:
    """What each sector returned on the session, the best first."""
    title = "The sectors that day"
    sectors = plain(rows)
    known = [sector for sector in sectors if sector["return_1d"] is not None]
    unknown = [sector["name"] for sector in sectors if sector["return_1d"] is None]
    finding = "No sector has a return that session."
    if known:
        best, worst = known[0], known[-1]
        finding = (
            f"{best['sectors_up']} of {best['sectors_known']} sectors rose; {best['name']} did best with {percent(best['return_1d'])}, "
            f"{worst['name']} worst with {percent(worst['return_1d'])}"
        )
        market = best["market_return_1d"]
        finding += "." if market is None else f"; the market returned {percent(market)}."
    return Exhibit(
        id="sector_day",
        title=title,
        finding=finding,
        note="Total returns of the sector funds; the dashed line is the market (SPY).",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("name", "Sector", "text"),
            Column("symbol", "Symbol", "text"),
            Column("return_1d", "Day", "fraction", bar=True),
            Column("excess_1d", "Beyond the market", "fraction", bar=True),
            Column("return_1w", "Week", "fraction"),
            Column("excess_1w", "Beyond the market", "fraction"),
            Column("return_1m", "Month", "fraction"),
            Column("excess_1m", "Beyond the market", "fraction"),
        ),
        chart=points.day_returns([sector["name"] for sector in known], f"{title}: {finding}") if known else None,
        missing=f"Not known: {listed(unknown)}." if unknown else None if known else finding,
    )


def dispersion(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How alike the sectors move and how far apart their returns are; the last row of `rows` is that of the session."""
    title = "Do the sectors move as one"
    known = rows[["mean_correlation_63d", "return_dispersion_1m"]].notna().any(axis=None)
    finding = missing = "No two sectors have 63 returns yet."
    if known:
        last = plain(rows.tail(1))[0]
        finding = (
            f"The sectors' correlation is {_or_not(last['mean_correlation_63d'], 'ratio')} on average over 63 sessions"
        )
        if last["correlation_percentile_5y"] is not None:
            finding += f", higher than on {written(last['correlation_percentile_5y'], 'percent')} of the sessions of the last five years"
        finding += f"; their one-month returns are {_or_not(last['return_dispersion_1m'], 'level')} apart"
        if last["dispersion_percentile_5y"] is not None:
            finding += f" (percentile {written(last['dispersion_percentile_5y'], 'count')})"
        finding, missing = f"{finding}.", ""
    return Exhibit(
        id="dispersion",
        title=title,
        finding=finding,
        note="Correlation: the mean over each two sectors, of daily returns over 63 sessions; near 1 all sectors move together and choosing among them matters little. Dispersion: the "
        "standard deviation of the sectors' returns of a month; a rotation shows as high dispersion at low correlation.",
        sql=sql,
        rows=rows,
        table=rows.tail(1).reset_index(drop=True),
        columns=(
            Column("session", "Session", "session"),
            Column("mean_correlation_63d", "Mean correlation", "ratio"),
            Column("correlation_percentile_5y", "Percentile, 5 years", "percent"),
            Column("return_dispersion_1m", "Dispersion, month", "level"),
            Column("dispersion_percentile_5y", "Percentile, 5 years", "percent"),
            Column("return_dispersion_1d", "Dispersion, day", "level"),
            Column("sectors", "Sectors", "count"),
        ),
        chart=lines.dispersion(
            {
                "mean_correlation_63d": ("mean correlation, 63 sessions", ".2f"),
                "return_dispersion_1m": ("dispersion of monthly returns", ".1%"),
            },
            f"{title}: {finding}",
        )
        if known
        else None,
        missing=missing or None,
    )


def _or_not(value: float | None, kind: Kind) -> str:
    return NOT_KNOWN if value is None else written(value, kind)
