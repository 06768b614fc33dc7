"""The page of the relative rotation graph of any symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market_rotation.tasks.report.charts.rotation import QUADRANTS
from market_rotation.tasks.report.charts.rotation import rotation as graph
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import first_upper, listed, plain
from market_rotation.tasks.serve import queries
from market_rotation.tasks.serve.pages.base import Page, groups, presets
from market_rotation.tasks.serve.parameters import MOST_SYMBOLS, Field, Parameters

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.serve.published import Edition

LONGEST_TAIL = 26
TIMEFRAMES = {"weekly": "weeks", "daily": "sessions"}


def build(con: duckdb.DuckDBPyConnection, edition: Edition, asked: Parameters) -> Page:
    """The `symbols` on the graph at `date`, with a `tail` of weeks or sessions."""
    lists = groups(edition)
    default = lists.get("sectors") or list(edition.symbols)
    symbols = asked.symbols("symbols", edition.symbols, default[:MOST_SYMBOLS])
    timeframe = asked.choice("timeframe", TIMEFRAMES, "weekly")
    tail = asked.number("tail", 1, LONGEST_TAIL, 8)
    session = asked.day("date", edition.session)
    asked.refuse_others()
    values: dict[str, queries.Value] = {"symbols": symbols, "timeframe": timeframe, "tail": tail, "session": session}
    return Page(
        title="Relative rotation graph",
        intro="To the right: stronger than usual against the benchmark; upwards: gaining. Symbols separated by commas, at most 16.",
        name="rotation",
        fields=(
            Field(
                "symbols",
                "Symbols",
                "symbols",
                ", ".join(symbols),
                tuple((r["symbol"], r["name"]) for r in edition.instruments),
            ),
            Field("timeframe", "Steps", "choice", timeframe, tuple(TIMEFRAMES.items())),
            Field("tail", "Tail, steps", "range", str(tail), low=1, high=LONGEST_TAIL),
            Field("date", "Date", "day", asked.given.get("date", "")),
        ),
        exhibits=(_graph(con, symbols, values),),
        pinned_by="date",
        presets=presets(asked, lists, MOST_SYMBOLS),
    )


def _graph(con: duckdb.DuckDBPyConnection, symbols: list[str], values: dict[str, queries.Value]) -> Exhibit:
    rows = queries.run(con, "rotation", values)
    last = rows[rows["weeks_back"] == 0].reset_index(drop=True)
    known = [row for row in plain(last) if row["quadrant"]]
    placed = {row["symbol"] for row in known}
    unknown = [symbol for symbol in symbols if symbol not in placed]
    named = {quadrant: [row["symbol"] for row in known if row["quadrant"] == quadrant] for quadrant in QUADRANTS}
    finding = "; ".join(f"{quadrant}: {listed(found)}" for quadrant, found in named.items() if found)
    finding = f"{first_upper(finding)}." if known else "No place on the graph is known."
    steps = TIMEFRAMES[str(values["timeframe"])]
    return Exhibit(
        id="rotation",
        title=f"Tails of {values['tail']} {steps}",
        finding=finding,
        note="Both axes are standard deviations of the symbol's own last 14 rows: compare directions and quadrants, not distances. Click a point to see its "
        "tail alone. The running week is provisional, a hollow point apart from the tail.",
        sql=queries.shown("rotation", values),
        rows=rows,
        table=last,
        columns=(
            Column("symbol", "Symbol", "text"),
            Column("name", "Name", "text"),
            Column("quadrant", "Quadrant", "text"),
            Column("rs_ratio", "Strength", "number"),
            Column("rs_momentum", "Momentum", "number"),
            Column("heading_deg", "Heading, degrees", "count"),
            Column("session", "Up to", "session"),
            Column("is_provisional", "Provisional", "text"),
        ),
        chart=graph(
            "rotation", finding, int(str(values["tail"])), "Week to" if values["timeframe"] == "weekly" else "Session"
        )
        if known
        else None,
        missing=f"Not known: {listed(unknown)}; 27 {steps} of history and a benchmark are needed." if unknown else None,
    )
