"""The exhibits that place the session among others: how unusual a ratio is, where a fund stands in its range, valuation, context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import points
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import NOT_KNOWN, day, listed, percent, plain, tenths
from market_rotation.tasks.report.words import signed, written

if TYPE_CHECKING:
    import pandas as pd


def percentiles(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How unusual each pair's ratio is, by percentile and by z-score; the first row is the headline pair."""
    title = "How unusual is it"
    pairs = plain(rows)
    known = [pair for pair in pairs if pair["ratio_percentile_5y"] is not None or pair["percentile_all"] is not None]
    finding = "No pair has a full year of ratios yet."
    if known:
        head = known[0]
        finding = f"The ratio {head['pair']} was lower on {_share(head['percentile_all'])} of the sessions since {day(head['first_session'])}"
        if head["ratio_percentile_5y"] is not None:
            finding += f" and on {_share(head['ratio_percentile_5y'])} of those in the last five years"
        if head["ratio_z252"] is not None:
            finding += f"; it is {_deviations(head['ratio_z252'])} its mean of a year"
        finding += "."
    unknown = [pair["pair"] for pair in pairs if pair["ratio_percentile_5y"] is None]
    return Exhibit(
        id="percentiles",
        title=title,
        finding=finding,
        note="A percentile says where the ratio stands among earlier ones, 0 the lowest, 100 the highest. A z-score says how far it is from its mean of 252 sessions, "
        "in standard deviations; with a trend it is far from it for long.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("pair", "Pair", "text"),
            Column("ratio_z252", "z-score, year", "ratio", bar=True),
            Column("ratio_percentile_5y", "Percentile, 5 years", "percent", bar=True),
            Column("percentile_all", "Percentile, all", "percent", bar=True),
            Column("first_session", "Since", "session"),
            Column("days_leading", "Sessions ahead in a row", "count"),
            Column("spread_1m", "Lead, 1 month", "fraction"),
            Column("spread_12m", "Lead, 12 months", "fraction"),
        ),
        chart=points.places(
            "percentiles",
            "pair",
            {"ratio_percentile_5y": "among five years", "percentile_all": "among all sessions"},
            [pair["pair"] for pair in pairs],
            "percentile, 0 lowest, 100 highest",
            f"{title}: {finding}",
            "isValid(datum.ratio_z252) ? 'z ' + format(datum.ratio_z252, '+.1f') : ''",
        )
        if known
        else None,
        missing=f"The window of five years is not full of {listed(unknown)}." if unknown and pairs else None,
    )


def _share(percentile: float | None) -> str:
    return NOT_KNOWN if percentile is None else written(percentile, "percent")


def _deviations(z_score: float) -> str:
    return f"{tenths(abs(z_score))} standard deviations {'above' if z_score > 0 else 'below'}"


def levels(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The close of each fund that is compared, and its place within the range of a year."""
    title = "Where the funds stand"
    funds = plain(rows)
    placed = [fund for fund in funds if fund["place_in_range"] is not None]
    finding = "No fund has 252 closes yet."
    if placed:
        highest, lowest = max(placed, key=_place), min(placed, key=_place)
        finding = (
            f"{highest['symbol']} is nearest to its high of 252 sessions, at {written(highest['place_in_range'], 'count')} of 100; "
            f"{lowest['symbol']} is the lowest in its range, at {written(lowest['place_in_range'], 'count')}."
        )
    return Exhibit(
        id="levels",
        title=title,
        finding=finding,
        note="Closes adjusted for splits; 0 is the low of 252 sessions, 100 the high. Returns include dividends.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("symbol", "Symbol", "text"),
            Column("name", "Fund", "text"),
            Column("close", "Close", "ratio"),
            Column("return_1d", "Day", "fraction", bar=True),
            Column("return_1m", "Month", "fraction", bar=True),
            Column("return_12m", "12 months", "fraction", bar=True),
            Column("low_252d", "Low, year", "ratio"),
            Column("high_252d", "High, year", "ratio"),
            Column("place_in_range", "Place in the range", "count", bar=True),
        ),
        chart=points.places(
            "levels",
            "symbol",
            {"place_in_range": "close"},
            [fund["symbol"] for fund in funds],
            "0 the low of a year, 100 the high",
            f"{title}: {finding}",
            "format(datum.close, ',.2f')",
        )
        if placed
        else None,
        missing=None if placed else "No fund that is compared has 252 closes.",
    )


def _place(fund: dict[str, Any]) -> float:
    return float(fund["place_in_range"])


def valuation(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Price over earnings of both legs of each pair; the first row is the headline pair."""
    title = "What small caps cost"
    pairs = plain(rows)
    known = [pair for pair in pairs if pair["pe_ratio"] is not None]
    missing = "No price over earnings of a fund is known that session." if not known else None
    finding = missing or ""
    if known:
        head = known[0]
        finding = (
            f"{head['small_symbol']} costs {written(head['small_trailing_pe'], 'ratio')} times the earnings of its companies, {head['large_symbol']} "
            f"{written(head['large_trailing_pe'], 'ratio')} times: small caps cost {written(head['pe_ratio'], 'level')} of what large caps do."
        )
        unknown = [pair["pair"] for pair in pairs if pair["pe_ratio"] is None]
        missing = f"Not known: {listed(unknown)}." if unknown else None
    return Exhibit(
        id="valuation",
        title=title,
        finding=finding,
        note="Price over earnings of the last four quarters, as the vendor states it of each fund's holdings; companies with a loss are mostly left out, which flatters "
        "small caps. Past values are known only from the first snapshot on.",
        sql=sql,
        rows=rows,
        table=rows if known else rows.head(0),
        columns=(
            Column("pair", "Pair", "text"),
            Column("small_trailing_pe", "P/E, small", "ratio"),
            Column("large_trailing_pe", "P/E, large", "ratio"),
            Column("pe_ratio", "Small to large", "ratio", bar=True),
            Column("small_as_of", "Small as of", "session"),
            Column("large_as_of", "Large as of", "session"),
        ),
        chart=points.two_sides(
            "pair",
            {"small_trailing_pe": "small caps", "large_trailing_pe": "large caps"},
            [pair["pair"] for pair in pairs],
            ".1f",
            f"{title}: {finding}",
        )
        if known
        else None,
        missing=missing,
    )


#: How a change is written, by its unit; a fraction as percent.
UNITS = {"percentage points": "pp", "index points": "points"}


def context(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Rates, curve, volatility, dollar and credit, with their changes and percentiles."""
    title = "Rates, volatility, dollar, credit"
    measures = plain(rows)
    finding = "None of these measures is known that session."
    if measures:
        finding = f"{'; '.join(map(_stands, measures[:4]))}."
    texts: dict[str, Any] = {
        f"{name}_text": [None if m[name] is None else _change(m[name], m["change_unit"]) for m in measures]
        for name in ("change_1m", "change_3m")
    }
    return Exhibit(
        id="context",
        title=title,
        finding=finding,
        note="They describe the market and have no vote in the regime. Credit is the total return of high-yield bonds over that of treasuries; it rises while lenders are "
        "calm. The percentile is the place of the level among the last 1260 sessions.",
        sql=sql,
        rows=rows,
        table=rows.assign(**texts),
        columns=(
            Column("measure_name", "Measure", "text"),
            Column("symbol", "Symbol", "text"),
            Column("close", "Level", "ratio"),
            Column("unit", "Unit", "text"),
            Column("change_1m_text", "Change, 1 month", "text"),
            Column("change_3m_text", "Change, 3 months", "text"),
            Column("percentile_5y", "Percentile, 5 years", "percent", bar=True),
            Column("session", "Session", "session"),
        ),
        chart=points.places(
            "context",
            "measure_name",
            {"percentile_5y": "level"},
            [measure["measure_name"] for measure in measures],
            "percentile of the level among five years",
            f"{title}: {finding}",
            "format(datum.close, ',.2f')",
        )
        if any(measure["percentile_5y"] is not None for measure in measures)
        else None,
        missing=None if measures else "The universe has no rates or indexes, or none has a value that session.",
    )


def _stands(measure: dict[str, Any]) -> str:
    """A level and its change of a month: 10-year rate 3.31, +0.06 pp in a month."""
    stands = f"{measure['measure_name']} {written(measure['close'], 'ratio')}"
    if measure["change_1m"] is None:
        return stands
    return f"{stands}, {_change(measure['change_1m'], measure['change_unit'])} in a month"


def _change(value: float, unit: str) -> str:
    """A change in its unit: +0.06 pp, -4.35 points, +2.1 %."""
    return f"{signed(value)} {UNITS[unit]}" if unit in UNITS else percent(value)
