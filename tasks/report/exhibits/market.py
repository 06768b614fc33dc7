"""The exhibits about prices: small against large, mega caps, breadth, drawdowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import bars, lines
from market_rotation.tasks.report.charts.parts import PERCENT
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import NOT_KNOWN, day, lead, listed, plain, plural, size
from market_rotation.tasks.report.words import written

if TYPE_CHECKING:
    import pandas as pd

THINNED = "Every session of the last three years, before that the last of each week."


def relative_strength(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The headline pair's ratio; the last row of `rows` is that of the session."""
    title = "Small against large"
    last = _last(rows)
    missing = None
    if not last:
        finding = missing = "The universe has no pairs, or the headline pair has no price up to that session."
        chart = None
    else:
        finding = f"The ratio {last['pair']} stands at {written(last['ratio'], 'ratio')}, "
        if last["ratio_to_ma200"] is None:
            missing = "The window of 200 sessions is not full yet."
            finding += f"its 200-session average is {NOT_KNOWN}"
        else:
            side = "above" if last["ratio_to_ma200"] > 0 else "below"
            finding += f"{size(last['ratio_to_ma200'])} {side} its 200-session average"
        if last["ratio_z252"] is not None:
            above = "above" if last["ratio_z252"] > 0 else "below"
            finding += (
                f", and {written(abs(last['ratio_z252']), 'ratio')} standard deviations {above} its mean of a year"
            )
        finding += "."
        if last["percentile_all"] is not None:
            finding += f" It was lower on {written(last['percentile_all'], 'percent')} of the sessions since {day(last['first_session'])}."
        if last["days_leading"]:
            small, large = last["pair"].split("/")
            run = "the last session" if last["days_leading"] == 1 else f"{last['days_leading']} sessions in a row"
            finding += f" {small} has returned more than {large} on {run}."
        chart = lines.relative_strength(last["pair"], f"{title}: {finding}")
    return Exhibit(
        id="relative_strength",
        title=title,
        finding=finding,
        note="The ratio of the two total-return indices, 100 on the first session that both have; it rises while small caps lead. The shading is the "
        f"label in force. {THINNED} Averages and deviations look back only.",
        sql=sql,
        rows=rows,
        table=rows.tail(1).reset_index(drop=True),
        columns=(
            Column("session", "Session", "session"),
            Column("pair", "Pair", "text"),
            Column("ratio", "Ratio", "ratio"),
            Column("ratio_ma50", "50-session average", "ratio"),
            Column("ratio_ma200", "200-session average", "ratio"),
            Column("ratio_to_ma200", "Against the 200", "fraction"),
            Column("ratio_z252", "Deviations from the year's mean", "ratio"),
            Column("percentile_all", "Lower ratios so far", "percent"),
            Column("ratio_percentile_5y", "Lower ratios, 5 years", "percent"),
            Column("days_leading", "Sessions ahead in a row", "count"),
            Column("spread_3m", "Lead over 3 months", "fraction"),
        ),
        chart=chart,
        missing=missing,
    )


def returns(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Both legs of every pair over all horizons; the first row is the headline pair."""
    title = "Returns of small and large caps"
    pairs = plain(rows)
    missing = None
    if not pairs:
        finding = missing = "The universe has no pairs, or none has a price on both sides that session."
    else:
        head = pairs[0]
        small, large = head["small_symbol"], head["large_symbol"]
        finding = f"Over three months {small} {lead(head['spread_3m'], large)}, over twelve it {lead(head['spread_12m'], large)}"
        if head["low_session"] is not None:
            finding += f", since the low of {day(head['low_session'])} it {lead(head['spread_since_low'], large)}"
        finding += "."
        if head["pairs_known_3m"]:
            finding += (
                f" The small side is ahead over three months in {head['pairs_ahead_3m']} of "
                f"{plural(head['pairs_known_3m'], 'pair')}."
            )
        unknown = [
            pair["pair"] for pair in pairs if None in (pair["spread_12m"], pair["spread_ytd"], pair["spread_since_low"])
        ]
        if unknown:
            missing = f"Not every horizon is known of {listed(unknown)}, whose window is not full."
    return Exhibit(
        id="returns",
        title=title,
        finding=finding,
        note="Total returns, dividends included; the table has what the small leg returned beyond the large one. The low is that of the large leg in the "
        "last 252 sessions. QTD and YTD: the quarter and the year to date.",
        sql=sql,
        rows=rows,
        table=rows,
        columns=(
            Column("pair", "Pair", "text"),
            *(Column(f"spread_{key}", words, "fraction", bar=True) for key, words in bars.HORIZONS.items()),
            Column("low_session", "Low", "session"),
        ),
        chart=bars.returns([pair["pair"] for pair in pairs], f"{title}: {finding}") if pairs else None,
        missing=missing,
    )


def mega_cap(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The Magnificent Seven and technology against the rest."""
    title = "The Magnificent Seven against the rest"
    now = rows[rows["session"] == rows["session"].max()].reset_index(drop=True)
    by_horizon = {row["horizon"]: row for row in plain(now)}
    last = by_horizon.get("3m", {"mag7_minus_rest": None, "tech_minus_ex_tech": None})
    finding = (
        f"Over three months the Magnificent Seven {lead(last['mag7_minus_rest'], 'the average large company')}, technology "
        f"{lead(last['tech_minus_ex_tech'], 'the other sectors')}."
    )
    known = bool(rows[["mag7_minus_rest", "tech_minus_ex_tech"]].notna().any().any())
    unknown = last["mag7_minus_rest"] is None or last["tech_minus_ex_tech"] is None
    series = {
        "mag7_minus_rest": "Magnificent Seven less the rest",
        "tech_minus_ex_tech": "technology less the other sectors",
    }
    return Exhibit(
        id="mega_cap",
        title=title,
        finding=finding,
        note="The seven at equal weight against the equal-weight S&P 500 (RSP); technology (XLK) against the mean of the other sectors. The lines are differences of "
        f"three-month returns; below zero, leadership is broader. {THINNED}",
        sql=sql,
        rows=rows,
        table=now,
        columns=(
            Column("horizon", "Over", "text"),
            Column("mag7_return", "Magnificent Seven", "fraction"),
            Column("rest_return", "The rest", "fraction"),
            Column("mag7_minus_rest", "Difference", "fraction", bar=True),
            Column("tech_return", "Technology", "fraction"),
            Column("ex_tech_return", "Other sectors", "fraction"),
            Column("tech_minus_ex_tech", "Difference", "fraction", bar=True),
        ),
        chart=lines.over_time("mega_cap", series, 0, PERCENT, ".0%", f"{title}: {finding}", "datum.horizon == '3m'")
        if known
        else None,
        missing="A side has no full window of three months that session." if unknown else None,
    )


def breadth(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How many take part; the last row of `rows` is that of the session."""
    title = "How many take part"
    last: dict[str, Any] = _last(rows) or dict.fromkeys(rows.columns)
    missing = []
    if last["universe_above_200d_pct"] is None:
        missing.append("No symbol has a full window of 200 sessions.")
    if last["sectors_beating_spy_3m"] is None:
        missing.append("No sector has a full window of three months.")
    if last["missing"]:
        missing.append(f"No price that session of {last['missing_symbols']}.")
    above, sectors = NOT_KNOWN, NOT_KNOWN
    if last["universe_above_200d_pct"] is not None:
        above = f"{written(last['universe_above_200d_pct'], 'percent')} of {plural(last['counted'], 'symbol')}"
    if last["sectors_beating_spy_3m"] is not None:
        sectors = f"{last['sectors_beating_spy_3m']} of {last['sectors_counted_3m']}"
    series = {
        "universe_above_200d_pct": "symbols above their 200-session average",
        "sectors_beating_spy_3m_pct": "sectors ahead of the market over 3 months",
    }
    finding = (
        f"Above their 200-session average: {above}. Sectors ahead of the market over three months: {sectors}. "
        f"The average large company {lead(last['equal_minus_cap_3m'], 'the market')} over three months."
    )
    known = bool(rows[list(series)].notna().any().any())
    return Exhibit(
        id="breadth",
        title=title,
        finding=finding,
        note=f"Percent of the symbols, and of the sectors, that are known that session. {THINNED} The universe is what this warehouse follows, not the whole market.",
        sql=sql,
        rows=rows,
        table=rows.tail(1).reset_index(drop=True),
        columns=(
            Column("session", "Session", "session"),
            Column("universe_above_200d_pct", "Above the 200-session average", "percent"),
            Column("counted", "Symbols counted", "count"),
            Column("sectors_above_200d", "Sectors above it", "count"),
            Column("sectors_beating_spy_3m", "Sectors ahead of the market", "count"),
            Column("sectors_counted_3m", "Of", "count"),
            Column("equal_minus_cap_3m", "Equal weight less the market, 3 months", "fraction"),
            Column("missing", "Without a price", "count"),
        ),
        chart=lines.over_time("breadth", series, 50, ".0f", ".0f", f"{title}: {finding}") if known else None,
        missing=" ".join(missing) or None,
    )


def drawdowns(rows: pd.DataFrame, sql: str) -> Exhibit:
    """How far each is below its highest; the last row of each symbol has its high and its worst."""
    title = "Below the high"
    now = rows[rows["peak_session"].notna()].reset_index(drop=True)
    parts = [
        f"{row['symbol']} is at its high"
        if row["drawdown"] == 0
        else f"{row['symbol']} is {size(row['drawdown'])} below its high of {day(row['peak_session'])}"
        for row in plain(now)
    ]
    finding = f"{listed(parts)}." if parts else "No price is known."
    return Exhibit(
        id="drawdowns",
        title=title,
        finding=finding,
        note=f"Total return against its highest so far, dividends included. {THINNED} The worst is over all sessions, so a line thinned to weeks may not reach it.",
        sql=sql,
        rows=rows,
        table=now,
        columns=(
            Column("symbol", "Symbol", "text"),
            Column("name", "Fund", "text"),
            Column("drawdown", "Below the high", "fraction", bar=True),
            Column("peak_session", "High of", "session"),
            Column("worst", "Worst so far", "fraction", bar=True),
            Column("worst_session", "On", "session"),
            Column("session", "Session", "session"),
        ),
        chart=lines.drawdowns(f"{title}: {finding}") if parts else None,
        missing=None if parts else "No price is known of the funds that are compared.",
    )


def _last(rows: pd.DataFrame) -> dict[str, Any] | None:
    """The last row, None when it has no rows."""
    return plain(rows.tail(1))[0] if len(rows) else None
