"""The exhibits about fund flows, earnings estimates, and returns after each label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import bars, lines
from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import (
    NOT_KNOWN,
    first_upper,
    funds_known,
    listed,
    percent,
    plain,
    plural,
    usd,
)
from market_rotation.tasks.report.words import written

if TYPE_CHECKING:
    import pandas as pd


def fund_flows(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Money into and out of the groups of funds by month."""
    title = "Money into and out of funds"
    months = plain(rows)
    groups = list(dict.fromkeys(row["flow_group"] for row in months))
    findings, missing = [], []
    for group in groups:
        findings.append(_last_month(group, [row for row in months if row["flow_group"] == group]))
        unknown = [
            written(row["month"], "month")
            for row in months
            if row["flow_group"] == group and row["net_flow_usd"] is None
        ]
        if unknown:
            missing.append(f"Not known of {group}: {listed(unknown)}.")
        last = [row for row in months if row["flow_group"] == group][-1]
        if last["members_known"] < last["members"]:
            missing.append(
                f"Of the {group}, {last['members_known']} of {last['members']} are known in {written(last['month'], 'month')}."
            )
    absent = [group for group in ("small-cap funds", "large-cap funds") if group not in groups]
    if absent:
        missing.append(f"No share counts are known of {listed(absent)}.")
    finding = " ".join(findings) or "Money into and out of funds is not known."
    drawn = bool(rows["net_flow_usd"].notna().any())
    recent = rows.groupby("symbol", sort=False).tail(7).iloc[::-1].sort_values("symbol", ascending=False, kind="stable")
    return Exhibit(
        id="fund_flows",
        title=title,
        finding=finding,
        note="Shares created less shares redeemed, at the NAV of the session before: bars by month, the line is the sum of the year so far. The pale bar is the running "
        "month. A ? is a month of which under 90 % is known; its year has no sum from there on. A group is the sum of the members known in the month: "
        "assets known is their part of the assets of all members. Flows of funds whose shares are derived from assets are estimates.",
        sql=sql,
        rows=rows,
        table=recent.reset_index(drop=True),
        columns=(
            Column("flow_group", "Funds", "text"),
            Column("month", "Month", "month"),
            Column("net_flow_usd", "Net flow", "usd", bar=True),
            Column("cumulative_ytd_usd", "Year so far", "usd"),
            Column("streak_months", "Months in a row", "count"),
            Column("covered_assets_pct", "Assets known", "percent"),
            Column("members_known", "Funds known", "count"),
            Column("members", "Of", "count"),
            Column("sessions_covered_pct", "Sessions known", "percent"),
            Column("is_partial", "Still running", "text"),
        ),
        chart=bars.fund_flows(groups, f"{title}: {finding}") if drawn else None,
        missing=" ".join(missing) or None,
    )


def fund_flows_yearly(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Money into and out of small-cap funds by year, with the assets that the sum covers."""
    years = plain(rows)
    completed = next((row for row in years if not row["is_partial"]), None)
    if completed is None:
        finding = "No completed year of small-cap funds is known."
    elif completed["net_flow_usd"] is None:
        finding = f"The year {completed['year']} of {completed['funds']} is not known."
    else:
        finding = f"{first_upper(funds_known(completed['funds'], completed))} {_took(completed['net_flow_usd'])} in {completed['year']}"
        alone = [row for row in years if row["year"] == completed["year"] and not row["symbol"].startswith("group:")]
        if alone and alone[0]["net_flow_usd"] is not None:
            finding += f"; {alone[0]['symbol']} alone {_took(alone[0]['net_flow_usd'])}"
        finding += "."
    unknown = [f"{row['funds']} in {row['year']}" for row in years if row["net_flow_usd"] is None]
    return Exhibit(
        id="fund_flows_yearly",
        title="Money into and out of small-cap funds by year",
        finding=finding,
        note="Shares created less shares redeemed over the year. The fund of the headline pair also stands apart, since traders use it: its flows soon "
        "revert. Assets known is the part of the group's assets that the funds known in the year hold: read a sum together with it.",
        sql=sql,
        rows=rows,
        table=rows.drop(columns="symbol"),
        columns=(
            Column("funds", "Funds", "text"),
            Column("year", "Year", "text"),
            Column("net_flow_usd", "Net flow", "usd", bar=True),
            Column("flow_pct_of_assets", "Of assets before", "percent"),
            Column("covered_assets_pct", "Assets known", "percent"),
            Column("members_known", "Funds known", "count"),
            Column("members", "Of", "count"),
            Column("is_partial", "Still running", "text"),
        ),
        missing=f"Not known: {listed(unknown)}."
        if unknown
        else None
        if years
        else "No flow of a small-cap fund is known.",
    )


def _last_month(group: str, months: list[dict[str, Any]]) -> str:
    """The last completed month, the year, and the streak in a sentence."""
    completed = [row for row in months if not row["is_partial"]]
    if not completed or completed[-1]["net_flow_usd"] is None:
        return f"{first_upper(group)}: the last completed month is not known."
    last = completed[-1]
    sentence = (
        f"{first_upper(funds_known(group, last))} {_took(last['net_flow_usd'])} in {written(last['month'], 'month')}"
    )
    if abs(last["streak_months"]) > 1:
        sentence += f", the {_ordinal(abs(last['streak_months']))} month of {'in' if last['streak_months'] > 0 else 'out'}flows in a row"
    latest = months[-1]
    so_far = latest["cumulative_ytd_usd"]
    year = f"{latest['month']:%Y}"
    return f"{sentence}; {year} so far {'is ' + NOT_KNOWN if so_far is None else 'the known funds ' + _took(so_far)}."


def _took(amount: float) -> str:
    return f"{'took in' if amount > 0 else 'lost'} {usd(amount)}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def earnings(rows: pd.DataFrame, sql: str) -> Exhibit:
    """Expected earnings growth of small and large companies; the last row of `rows` is that of the session."""
    title = "Expected earnings"
    last = plain(rows.tail(1))[0] if len(rows) else None
    missing = None
    if last is None:
        finding = missing = "There are no estimates for this session; past estimates are not available."
    else:
        finding = (
            f"Analysts expect earnings of small companies to grow by {percent(last['small_growth_next_year'])} in "
            f"{last['calendar_year']:.0f}, of large ones by {percent(last['large_growth_next_year'])}; "
            f"the gap is {percent(last['gap'])}."
        )
        if last["gap"] is None:
            missing = "There are no estimates of the last 20 sessions for both sides."
    return Exhibit(
        id="earnings",
        title=title,
        finding=finding,
        note="Analysts' estimates, which are revised and on the whole too high, added up in proportion to the funds' holdings, for "
        "the same calendar year on both sides. They cover the largest companies of each side, a small part of the small one. The "
        "line begins with the first snapshot, since past estimates are not available.",
        sql=sql,
        rows=rows,
        table=rows.tail(1).reset_index(drop=True),
        columns=(
            Column("session", "Session", "session"),
            Column("small_growth_next_year", "Small companies", "fraction"),
            Column("large_growth_next_year", "Large companies", "fraction"),
            Column("gap", "Gap", "fraction"),
            Column("small_median", "Median, small", "fraction"),
            Column("large_median", "Median, large", "fraction"),
            Column("small_coverage_pct", "Covered, small", "percent"),
            Column("large_coverage_pct", "Covered, large", "percent"),
        ),
        chart=lines.earnings(f"{title}: {finding}") if rows["gap"].notna().any() else None,
        missing=missing,
    )


def what_followed(rows: pd.DataFrame, sql: str) -> Exhibit:
    """What small caps returned beyond large caps after each label."""
    title = "What followed each label"
    summary = rows[rows["part"] == "summary"].reset_index(drop=True)
    by_horizon = {row["horizon"]: row for row in plain(summary) if row["in_force"]}
    now = by_horizon.get("3m")
    missing = None
    if now is None:
        finding = missing = "No label is in force, so there is nothing to look up."
    elif not now["independent_observations"]:
        finding = missing = f"No three months have passed after a session with the label {now['label']} yet."
    else:
        finding = (
            f"In the three months after {plural(now['independent_observations'], 'independent session')} with the label in force, {now['label']}, small caps did "
            f"{percent(now['independent_mean_spread'])} against large caps on average"
        )
        if now["t_stat"] is None:
            finding += "; too few to tell it from chance."
        else:
            verdict = "which may well be chance" if abs(now["t_stat"]) < 2 else "which is rarely chance alone"
            finding += f" (t {written(now['t_stat'], 'ratio')}, {verdict})."
    return Exhibit(
        id="what_followed",
        title=title,
        finding=finding,
        note="A point is a session with the label and what small caps returned beyond large caps from there; windows that overlap are left out. The bar is their mean, the dashed "
        "line the mean after any label. A t statistic under 2 in size can be chance, and among 15 cells one of 2 would be no surprise; with fewer than about "
        "ten observations it means nothing. The levels were set by people who knew this history. It describes; it does not forecast.",
        sql=sql,
        rows=rows,
        table=summary,
        columns=(
            Column("label", "Label", "text"),
            Column("horizon", "Over the next", "text"),
            Column("observations", "Sessions", "count"),
            Column("independent_observations", "Independent", "count"),
            Column("mean_spread", "Mean", "fraction", bar=True),
            Column("median_spread", "Median", "fraction"),
            Column("hit_rate_pct", "Small ahead", "percent"),
            Column("independent_mean_spread", "Mean, independent", "fraction", bar=True),
            Column("t_stat", "t statistic", "ratio"),
            Column("mean_spread_any_label", "After any label", "fraction"),
        ),
        chart=bars.what_followed(f"{title}: {finding}") if (rows["part"] == "observation").any() else None,
        missing=missing,
    )
