"""The exhibits about leadership: sectors and sizes on the relative rotation graph, ranks of the sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import bars
from market_rotation.tasks.report.charts.rotation import QUADRANTS, rotation
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import first_upper, listed, percent, plain

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
        note="A relative rotation graph against the market (SPY), weekly, with the last nine weeks as a tail. To the right: stronger than usual; upwards: gaining. Both "
        "are standard deviations of the symbol's own last 14 weeks, so compare directions and quadrants, not distances. Things usually turn clockwise. "
        "Click the legend to see a quadrant, a point to see its tail. The running week is provisional.",
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
