"""Flows by week, month and year against loops over the periods of a random world: every value of every fund and group."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import date, timedelta
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, records, universe

from market_rotation.tasks.datasets import FUND_FACTS_COLUMNS
from market_rotation.tasks.sources.base import typed

Row = dict[str, Any]

BEGIN, END = date(2020, 9, 1), date(2025, 3, 14)
SESSIONS = days(BEGIN, END)
SPY = bars("SPY", [100.0] * 3, BEGIN)
MEMBERS = universe(
    instrument("SPY", peer_group="large_cap", inception=BEGIN),
    instrument("OLD", peer_group="small_cap", inception=BEGIN),
    instrument("NEW", peer_group="small_cap", inception=date(2023, 3, 13)),
    instrument("EOM", peer_group="small_cap", inception=BEGIN),
    # Without records: a member with unknown flows, and for three months with unknown assets.
    instrument("MUM", peer_group="small_cap", inception=date(2024, 6, 28)),
    instrument("VEN", peer_group="mid_cap"),
    pairs=[("OLD", "SPY")],
)
GROUPS = {
    "group:large_cap": ["SPY"],
    "group:small_cap": ["EOM", "MUM", "NEW", "OLD"],
    "group:small_cap_ex_old": ["EOM", "MUM", "NEW"],
}
FACTS = typed(
    pd.DataFrame([{"symbol": "MUM", "as_of": pd.Timestamp(2024, 9, 3), "total_net_assets_usd": 9e7, "source": "v"}]),
    FUND_FACTS_COLUMNS,
)
PERIODS: dict[str, Callable[[date], date]] = {
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
    "year": lambda day: day.replace(month=1, day=1),
}
TABLES = {"week": "weekly", "month": "monthly", "year": "yearly"}
WEAKEST = ("derived", "monthly_count", "spanned", "daily_count")


def random_records(symbol: str, start: date, rng: np.random.Generator) -> pd.DataFrame:
    """Random records from `start` to the end, a few missing, with months in, months out and two without any flow."""
    sessions = days(start, END)
    quiet = np.array([day.replace(day=1) in (date(2024, 2, 1), date(2022, 9, 1)) for day in sessions])
    mood = {month: rng.choice([-1, 1]) for month in sorted({day.replace(day=1) for day in sessions})}
    created = [mood[day.replace(day=1)] * 2_000 + rng.integers(-3_000, 3_000) for day in sessions]
    shares = 1e6 + np.cumsum(np.where(quiet, 0, created))
    navs = 40 * np.cumprod(1 + np.where(quiet, 0, rng.normal(0, 0.01, len(sessions))))
    gone = rng.random(len(sessions)) < 0.015
    gone[[0, -1]] = False
    return records(symbol, list(navs), list(shares), start)[~gone]


def make() -> pd.DataFrame:
    """The records: of each day, with two gaps of weeks, of month ends, and assets that are new on some days only."""
    rng = np.random.default_rng(11)
    old, month_ends, vendor = (random_records(symbol, BEGIN, rng) for symbol in ("OLD", "EOM", "VEN"))
    old = old[~old["session"].between("2021-05-05", "2021-06-18") & ~old["session"].between("2024-11-20", "2024-12-11")]
    month_ends["share_count_basis"] = "monthly_count"
    ends = month_ends.groupby(month_ends["session"].dt.strftime("%Y-%m"))["session"].transform("max")
    month_ends.loc[month_ends["session"] != ends, "shares_outstanding"] = np.nan
    assets = (vendor["nav"] * vendor["shares_outstanding"]).where(rng.random(len(vendor)) < 0.8).ffill()
    # A year in which only money flows, so that its months are known however seldom the assets are new.
    calm = vendor["session"].dt.year == 2023
    vendor.loc[calm, "nav"] = vendor.loc[calm, "nav"].iloc[0]
    assets = assets.where(~calm, vendor["nav"] * vendor["shares_outstanding"])
    vendor = vendor.assign(total_net_assets_usd=assets, shares_outstanding=np.nan)
    new = random_records("NEW", date(2023, 3, 13), rng)
    return pd.concat([random_records("SPY", BEGIN, rng), old, new, month_ends, vendor[assets.notna()]])


@pytest.fixture(scope="module")
def found() -> dict[str, pd.DataFrame]:
    """The tables of the random world."""
    with derived([SPY], MEMBERS, END, BEGIN, fund_nav=make(), fund_facts=FACTS) as con:
        names = ("core.fund_flows", "core.fund_nav", *(f"signals.fund_flows_{name}" for name in TABLES.values()))
        return {name: con.sql(f"from {name} order by 1, 2").df() for name in names}


def fund_rows(found: dict[str, pd.DataFrame], symbol: str, start_of: Callable[[date], date]) -> list[Row]:
    """The periods of one fund, from the one of its first record on."""
    numbers = {pd.Timestamp(day): i for i, day in enumerate(SESSIONS)}
    own = found["core.fund_flows"].query("symbol == @symbol")
    nav = found["core.fund_nav"].query("symbol == @symbol and shares_outstanding.notna()")
    assets = [(r.session.date(), r.nav * r.shares_outstanding) for r in nav.itertuples()]
    inside: dict[date, list[int]] = {}
    for i, day in enumerate(SESSIONS):
        inside.setdefault(start_of(day), []).append(i)
    flows: dict[date, list[tuple[int, Any]]] = {start: [] for start in inside}
    for r in own.itertuples():
        if not np.isnan(r.net_flow_usd):
            number = numbers[r.session]
            covered = SESSIONS[number - int(r.sessions_spanned) + 1 : number + 1]
            for start in {start_of(day) for day in covered}:
                flows[start].append((number, r))
    counted = [numbers[r.session] for r in own.itertuples() if r.is_counted]
    rows: list[Row] = []
    for start in sorted(start for start in inside if start >= start_of(own["session"].min().date())):
        first, last = inside[start][0], inside[start][-1]
        sessions = last - first + 1
        flow = uncertainty = 0.0
        known, qualities, used = 0, set(), []
        for number, r in flows[start]:
            span = int(r.sessions_spanned)
            within = min(number, last) - max(number - span + 1, first) + 1
            part = within / span
            flow += r.net_flow_usd * part
            uncertainty += r.gross_flow_usd * (r.nav_change if part == 1 else max(part, 1 - part))
            known += within
            qualities.add(r.quality)
            used.append(number)
        is_known = known >= 0.9 * sessions and ("derived" not in qualities or uncertainty <= 0.01 * abs(flow))
        before = bisect_left(assets, start, key=itemgetter(0))
        count = max((number for number in counted if number <= last), default=None)
        open_end = not used or max(used) < last
        settled = max(used) if used and max(used) > last else None if not open_end or count is None else count + 23
        rows.append(
            {
                "period": start,
                "last_session": SESSIONS[last],
                "net_flow_usd": flow if is_known else None,
                "assets": assets[before - 1][1] if before else None,
                "sessions_covered_pct": 100 * known / sessions,
                "covered_assets_pct": None,
                "is_partial": start == start_of(END),
                "members_known": int(is_known),
                "members": 1,
                "known_symbols": symbol if is_known else None,
                "estimated_flow_usd": flow if used else None,
                "uncertainty_usd": uncertainty if used else None,
                "quality": next((q for q in WEAKEST if q in qualities), None),
                "is_provisional": open_end and count is not None and len(SESSIONS) - 1 - count < 23,
                "settled_session": SESSIONS[settled] if settled is not None and settled < len(SESSIONS) else None,
            }
        )
    return rows


def total(values: list[float | None]) -> float | None:
    """The sum of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def last_assets(found: dict[str, pd.DataFrame], symbol: str) -> Callable[[date], float | None]:
    """The assets of a fund as last known on a day: the issuer's, else the vendor's."""
    nav = found["core.fund_nav"].query("symbol == @symbol and total_net_assets_usd.notna()")
    issued = [(r.session.date(), r.total_net_assets_usd) for r in nav.itertuples()]
    stated = [(r.as_of.date(), r.total_net_assets_usd) for r in FACTS.itertuples() if r.symbol == symbol]

    def on(day: date) -> float | None:
        places = ((values, bisect_right(values, day, key=itemgetter(0))) for values in (issued, stated))
        return next((float(values[place - 1][1]) for values, place in places if place), None)

    return on


def group_rows(found: dict[str, pd.DataFrame], symbols: list[str], start_of: Callable[[date], date]) -> list[Row]:
    """The periods of a group, added up over the members that are known."""
    by_symbol = {
        symbol: {row["period"]: row for row in fund_rows(found, symbol, start_of)}
        for symbol in symbols
        if symbol in set(found["core.fund_flows"]["symbol"])
    }
    assets_of = {symbol: last_assets(found, symbol) for symbol in symbols}
    inceptions = {i.symbol: i.inception for i in MEMBERS.instruments}
    rows: list[Row] = []
    for start in sorted({start for own in by_symbol.values() for start in own}):
        present = {symbol: own[start] for symbol, own in by_symbol.items() if start in own}
        end = next(iter(present.values()))["last_session"]
        members = [s for s in symbols if s in present or (inceptions[s] and inceptions[s] <= end)]
        known = [symbol for symbol in members if symbol in present and present[symbol]["members_known"]]
        held = {symbol: assets_of[symbol](end) for symbol in members}
        assets = [present[symbol]["assets"] for symbol in known]
        qualities = {present[symbol]["quality"] for symbol in known}
        settled = [row["settled_session"] for row in present.values() if row["settled_session"]]
        provisional = any(row["is_provisional"] for row in present.values())
        rows.append(
            {
                "period": start,
                "net_flow_usd": total([present[symbol]["net_flow_usd"] for symbol in known]),
                "assets": sum(assets) if known and None not in assets else None,
                "sessions_covered_pct": np.mean([row["sessions_covered_pct"] for row in present.values()]),
                "covered_assets_pct": None
                if None in held.values()
                else 100 * sum(held[symbol] for symbol in known) / sum(held.values()),
                "is_partial": start == start_of(END),
                "members_known": len(known),
                "members": len(members),
                "known_symbols": ", ".join(known) or None,
                "estimated_flow_usd": total([row["estimated_flow_usd"] for row in present.values()]),
                "uncertainty_usd": total([row["uncertainty_usd"] for row in present.values()]),
                "quality": None if not known else qualities.pop() if len(qualities) == 1 else "mixed",
                "is_provisional": provisional,
                "settled_session": max(settled) if settled and not provisional else None,
            }
        )
    return rows


def comparable(a: Row, b: Row) -> bool:
    """Whether two periods are of the same members, or both of at least half of the group's assets."""
    if a["known_symbols"] is not None and a["known_symbols"] == b["known_symbols"]:
        return True
    return all(row["covered_assets_pct"] is not None and row["covered_assets_pct"] >= 50 for row in (a, b))


def with_percentages(rows: list[Row]) -> list[Row]:
    """The flow in percent of the assets before."""
    for row in rows:
        flow, assets = row["net_flow_usd"], row["assets"]
        row["flow_pct_of_assets"] = None if flow is None or assets is None else 100 * flow / assets
    return rows


def monthly(rows: list[Row]) -> list[Row]:
    """What a month has besides: the year so far, the streak, and its place among the earlier months."""
    streak, so_far, year = 0, None, None
    for i, row in enumerate(rows):
        flow = row["net_flow_usd"]
        if row["period"].year != year:
            year, so_far = row["period"].year, 0.0
        so_far = None if so_far is None or flow is None else so_far + flow
        if not row["is_partial"]:
            sign = int(np.sign(flow)) if flow is not None else 0
            goes_on = sign * streak > 0 and comparable(row, rows[i - 1])
            streak = streak + sign if goes_on else sign
        pct = row["flow_pct_of_assets"]
        earlier = [
            e["flow_pct_of_assets"] for e in rows[:i] if e["flow_pct_of_assets"] is not None and comparable(e, row)
        ]
        judged = not row["is_partial"] and pct is not None and len(earlier) >= 36
        row |= {
            "cumulative_ytd_usd": so_far,
            "streak_months": streak,
            "percentile": 100 * sum(e < pct for e in earlier) / len(earlier) if judged else None,
            "flow_z": (pct - np.mean(earlier)) / np.std(earlier, ddof=1) if judged else None,
        }
    return rows


def yearly(rows: list[Row]) -> list[Row]:
    """What a year has besides: the last earlier year with a lower flow of the same members."""
    for i, row in enumerate(rows):
        lower = [
            e["period"].year
            for e in rows[:i]
            if e["known_symbols"] == row["known_symbols"]
            and row["known_symbols"]
            and e["net_flow_usd"] < row["net_flow_usd"]
        ]
        row["last_lower_year"] = lower[-1] if lower and not row["is_partial"] else None
    return rows


@pytest.mark.parametrize("unit", TABLES)
def test_every_value_of_every_fund_and_group(found: dict[str, pd.DataFrame], unit: str) -> None:
    """Every value equals a loop over the periods, for each fund and each group, and no other rows exist."""
    start_of = PERIODS[unit]
    by_symbol = {symbol: fund_rows(found, symbol, start_of) for symbol in ("EOM", "NEW", "OLD", "SPY", "VEN")}
    by_symbol |= {name: group_rows(found, symbols, start_of) for name, symbols in GROUPS.items()}
    more = {"month": monthly, "year": yearly}.get(unit, lambda rows: rows)
    wanted = pd.DataFrame(
        [{"symbol": symbol, **row} for symbol, rows in by_symbol.items() for row in more(with_percentages(rows))]
    )
    wanted[unit] = wanted["period"].map(lambda day: day.year if unit == "year" else pd.Timestamp(day))
    rows = found[f"signals.fund_flows_{TABLES[unit]}"].copy()
    assert set(wanted.columns) - set(rows.columns) == {"period", "last_session", "assets"}
    wanted = wanted.sort_values(["symbol", unit]).reset_index(drop=True)[list(rows.columns)]
    for frame in (rows, wanted):
        frame[["known_symbols", "quality"]] = frame[["known_symbols", "quality"]].fillna("none")
        if unit == "year":
            frame["last_lower_year"] = frame["last_lower_year"].astype(float)
        frame["settled_session"] = pd.to_datetime(frame["settled_session"]).astype("datetime64[s]")
    pd.testing.assert_frame_equal(rows, wanted, check_dtype=False, rtol=1e-9, atol=1e-5)


def test_the_random_world_has_it_all(found: dict[str, pd.DataFrame]) -> None:
    """What the comparison above rests on does occur: gaps, quiet months, streaks, percentiles, members and assets not known."""
    rows = found["signals.fund_flows_monthly"]
    funds = rows[~rows["symbol"].str.startswith("group")]
    assert funds["net_flow_usd"].isna().groupby(funds["symbol"]).sum().gt(0)[["OLD", "VEN"]].all()
    assert funds[funds["symbol"] == "VEN"]["net_flow_usd"].notna().sum() >= 10
    assert (funds["net_flow_usd"] == 0).sum() >= 2
    assert funds["streak_months"].max() >= 2
    assert funds["streak_months"].min() <= -2
    assert set(funds["quality"]) >= {"daily_count", "spanned", "monthly_count", "derived"}
    assert (funds["uncertainty_usd"] > 0).sum() > 10
    small = rows[rows["symbol"] == "group:small_cap"]
    assert {1, 2, 3} <= set(small["members_known"])
    assert {2, 3, 4} == set(small["members"])
    assert small["covered_assets_pct"].isna().sum() == 3
    assert small["percentile"].notna().sum() > 10
    assert "mixed" in set(small["quality"])
    assert rows.groupby("symbol")["is_partial"].sum().eq(1).all()
    assert found["signals.fund_flows_yearly"]["last_lower_year"].notna().any()


@pytest.mark.long_after(0)
@pytest.mark.parametrize("cut", [date(2023, 3, 31), date(2024, 9, 16), date(2025, 1, 2)])
def test_later_sessions_change_no_settled_period(found: dict[str, pd.DataFrame], cut: date) -> None:
    """Derived from the data known at a cut, every completed period that is not provisional is the same as from all data."""
    facts = FACTS[FACTS["as_of"] <= pd.Timestamp(cut)]
    with derived([SPY], MEMBERS, cut, BEGIN, fund_nav=make(), fund_facts=facts) as con:
        for unit, name in TABLES.items():
            before = con.sql(f"from signals.fund_flows_{name} order by 1, 2").df()
            keys = ["symbol", unit]
            settled = before[~before["is_partial"] & ~before["is_provisional"]]
            assert len(settled) > 10
            after = settled[keys].merge(found[f"signals.fund_flows_{name}"], on=keys)
            pd.testing.assert_frame_equal(
                after[list(settled.columns)], settled.reset_index(drop=True), check_dtype=False, rtol=1e-10, atol=1e-6
            )
