"""core.fund_nav and core.fund_flows: what counts as a flow, what can't be known, and when a source is dead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import START, bars, days, derived, instrument, records, universe

DAYS = days()
MEMBERS = universe(instrument("SPY"), *(instrument(symbol) for symbol in ("AAA", "BBB", "CCC", "DDD")))
SPY = bars("SPY", [100.0] * 3)


def tables(
    *frames: pd.DataFrame, prices: Sequence[pd.DataFrame] = (SPY,), session: date | None = None, start: date = START
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """core.fund_nav and core.fund_flows of these records."""
    given = pd.concat(frames)
    session = session or given["session"].max().date()
    with derived(prices, MEMBERS, session, start, wanted=["core.fund_flows"], fund_nav=given) as con:
        return tuple(con.sql(f"from core.{t} order by symbol, session").df() for t in ("fund_nav", "fund_flows"))


def flows(*frames: pd.DataFrame, **more: Any) -> pd.DataFrame:
    return tables(*frames, **more)[1]


def values(column: pd.Series) -> list[Any]:
    """The column with None for NULL."""
    return [None if pd.isna(value) else value for value in column]


def moving(n: int, step: float = 0.25) -> list[float]:
    """NAVs that are new every day."""
    return [50.0 + step * (i % 7) + 0.01 * i for i in range(n)]


def growing(n: int) -> list[float]:
    """Share counts that are new every day."""
    return [1_000.0 + 10 * i for i in range(n)]


def test_golden_table():
    """A flow is the shares created, at the NAV of the session before, and its percentage is of the assets then."""
    rows = flows(records("AAA", [10.0, 11.0, 12.0, 8.0, 9.0], [100.0, 110.0, 110.0, 88.0, 90.2]))
    assert list(rows["session"].dt.date) == DAYS[:5]
    assert values(rows["net_flow_usd"]) == pytest.approx([None, 100.0, 0.0, -264.0, 17.6])
    assert values(rows["flow_pct_of_assets"]) == pytest.approx([None, 10.0, 0.0, -20.0, 2.5])
    assert values(rows["is_large"]) == [None, False, False, True, False]
    assert values(rows["null_reason"]) == ["no record before", None, None, None, None]
    assert set(rows["source"]) == {"issuer"}


def test_one_fund_is_nothing_to_another():
    """Each fund has a first record of its own, wherever it begins."""
    rows = flows(records("AAA", [10.0, 10.0], [5.0, 6.0]), records("BBB", [20.0, 20.0], [7.0, 9.0], DAYS[1]))
    assert values(rows["net_flow_usd"]) == [None, 10.0, None, 40.0]
    assert values(rows["null_reason"]) == ["no record before", None, "no record before", None]


def test_missing_session():
    """A flow across a session without a record is that of both sessions, at the NAV of the last known count."""
    whole = records("AAA", [10.0, 11.0, 12.0, 13.0, 14.0], [100.0, 101.0, 102.0, 104.0, 105.0])
    rows = flows(whole[whole["session"] != pd.Timestamp(DAYS[2])])
    assert list(rows["session"].dt.date) == [DAYS[0], DAYS[1], DAYS[3], DAYS[4]]
    assert values(rows["net_flow_usd"]) == [None, 10.0, 33.0, 13.0]
    assert values(rows["flow_pct_of_assets"])[2] == pytest.approx(100 * 3 / 101)
    assert values(rows["sessions_spanned"]) == [None, 1, 2, 1]
    assert values(rows["quality"]) == [None, "daily_count", "spanned", "daily_count"]
    assert values(rows["null_reason"]) == ["no record before", None, None, None]


@pytest.mark.parametrize(("missing", "spanned"), [(22, 23), (23, None)])
def test_longest_gap(missing: int, spanned: int | None):
    """A flow over 23 sessions is known; over 24 it is not, and the next one is."""
    whole = records("AAA", moving(40), growing(40))
    rows = flows(whole.drop(index=range(5, 5 + missing))).reset_index(drop=True)
    assert values(rows["sessions_spanned"])[4:7] == [1, spanned, 1]
    wanted = None if spanned is None else pytest.approx(10 * 23 * moving(40)[4])
    assert values(rows["net_flow_usd"])[5] == wanted
    assert values(rows["null_reason"])[4:7] == [None, None if spanned else "gap too long", None]


def test_month_end_counts():
    """The issuer's month-end counts give one flow a month, and daily NAVs between them none."""
    ends = [i for i in range(1, 64) if DAYS[i].month != DAYS[i + 1].month]
    shares = [None if i not in ends else 1_000.0 + 10 * i for i in range(64)]
    rows = flows(records("AAA", moving(64), shares, share_count_basis="monthly_count"))
    known = rows[rows["net_flow_usd"].notna()]
    assert list(known.index) == ends[1:]
    for before, end in pairwise(ends):
        assert known.loc[end, "net_flow_usd"] == pytest.approx(10 * (end - before) * moving(64)[before])
        assert known.loc[end, "sessions_spanned"] == end - before
    assert set(known["quality"]) == {"monthly_count"}


def test_count_of_the_issuer_beats_assets():
    """Assets of all share classes, three times the fund's, are not taken for the fund's beside or after an issuer's count."""
    counted = records("AAA", moving(40), [*growing(10), *[None] * 20, *growing(40)[30:]])
    nav, rows = tables(
        counted.assign(total_net_assets_usd=[3 * n * s for n, s in zip(moving(40), growing(40), strict=True)])
    )
    assert nav["is_superseded"].tolist() == [False] * 10 + [True] * 20 + [False] * 10
    assert values(nav["assets_ratio"])[:10] == pytest.approx([3.0] * 10)
    assert values(rows["null_reason"])[10:30] == ["issuer count preferred"] * 20
    assert rows["net_flow_usd"][30] == pytest.approx(10 * 21 * moving(40)[9])
    assert nav["total_net_assets_usd"][9] == pytest.approx(moving(40)[9] * growing(40)[9])


def test_weekends_and_holidays_are_no_gap():
    """From Friday to the Tuesday after a holiday there is one step."""
    friday = date(2024, 1, 12)
    rows = flows(records("AAA", [10.0, 11.0], [100.0, 103.0], friday))
    assert list(rows["session"].dt.date) == [friday, date(2024, 1, 16)]
    assert values(rows["net_flow_usd"]) == [None, 30.0]


def test_record_on_no_session_is_left_out():
    """A record dated on a holiday neither shows nor stands between the sessions around it."""
    plain = records("AAA", [10.0, 11.0], [100.0, 103.0], date(2024, 1, 12))
    extra = plain.iloc[[0]].assign(session=pd.Timestamp("2024-01-15"), shares_outstanding=999.0)
    nav, rows = tables(pd.concat([plain, extra]).sort_values("session"))
    assert list(nav["session"].dt.date) == [date(2024, 1, 12), date(2024, 1, 16)]
    assert values(rows["net_flow_usd"]) == [None, 30.0]


def test_unpublished_count():
    """Without a count there is no flow on that day and no substitute; the next count's flow is that of both sessions."""
    nav, rows = tables(records("AAA", [10.0] * 5, [100.0, 101.0, None, 104.0, 105.0]))
    assert values(nav["shares_outstanding"]) == [100.0, 101.0, None, 104.0, 105.0]
    assert values(nav["total_net_assets_usd"]) == [1000.0, 1010.0, None, 1040.0, 1050.0]
    assert values(rows["net_flow_usd"]) == [None, 10.0, None, 30.0, 10.0]
    assert values(rows["sessions_spanned"]) == [None, 1, None, 2, 1]
    assert values(rows["null_reason"])[2:4] == ["no share count", None]


def test_distribution_is_no_flow():
    """A fund that distributes a tenth of its NAV has fewer assets and the same shares: no outflow."""
    nav, rows = tables(records("AAA", [10.0, 9.0, 9.0], [100.0] * 3, distribution=[None, 1.0, None]))
    assert values(nav["distribution"]) == [None, 1.0, None]
    assert values(rows["net_flow_usd"]) == [None, 0.0, 0.0]


#: State Street's fund of technology at its split of December 2025, twelve sessions before and three from it on.
XLK_FIRST = DAYS.index(date(2025, 12, 5)) - 12
XLK_NAV = [285.5, 286.0, 288.25, 287.1, 286.4, 284.9, 289.3, 290.0, 288.8, 289.9, 290.3, 291.04, 146.62, 146.1, 147.3]
XLK_SHARES = [*[325_905_897.0 + 10_000 * i for i in range(11)], 325_805_897.0, 650_611_794.0, 650_611_794.0, 651e6]


def xlk_prices() -> list[pd.DataFrame]:
    """Prices as a vendor gives them after the split: adjusted for it throughout."""
    closes = [value / 2 if value > 200 else value for value in XLK_NAV]
    ratios = [2.0 if i == 12 else 1.0 for i in range(15)]
    return [SPY, bars("AAA", closes, DAYS[XLK_FIRST], split_ratio=ratios)]


def test_split_as_published():
    """At the split of 2025-12-05 the count doubles and the NAV halves: the flow is the remainder, and no count is suspect."""
    nav, rows = tables(records("AAA", XLK_NAV, XLK_SHARES, DAYS[XLK_FIRST]), prices=xlk_prices())
    assert values(nav["split_ratio"]) == [1.0] * 12 + [2.0] + [1.0] * 2
    assert not nav["is_suspect"].any()
    at = rows[rows["session"] == "2025-12-05"].iloc[0]
    assert at["net_flow_usd"] == pytest.approx((650_611_794 - 2 * 325_805_897) * 291.04 / 2, rel=1e-12)
    assert at["net_flow_usd"] == pytest.approx(-145_520_000.0, rel=1e-12)
    assert at["flow_pct_of_assets"] == pytest.approx(-100 * 1_000_000 / 2 / 325_805_897, rel=1e-12)
    assert values(rows["net_flow_usd"])[13:] == pytest.approx([0.0, (651e6 - 650_611_794) * 146.1])
    assert rows["flow_pct_of_assets"].abs().max() < 1


def test_split_of_a_history_restated_by_the_issuer():
    """An issuer that halves its NAVs and doubles its counts of the past at the split has no split left in its records."""
    halved = [value / 2 if value > 200 else value for value in XLK_NAV]
    doubled = [count * 2 if i < 12 else count for i, count in enumerate(XLK_SHARES)]
    nav, rows = tables(records("AAA", halved, doubled, DAYS[XLK_FIRST]), prices=xlk_prices())
    published = flows(records("AAA", XLK_NAV, XLK_SHARES, DAYS[XLK_FIRST]), prices=xlk_prices())
    assert set(nav["split_ratio"]) == {1.0}
    for column in ("net_flow_usd", "flow_pct_of_assets"):
        assert values(rows[column])[1:] == pytest.approx(values(published[column])[1:], rel=1e-12)


def test_reverse_split_as_published():
    """One new share for four old ones: a quarter of the count at four times the NAV is no redemption."""
    closes = [40.0, 41.0, 42.0, 42.0]
    prices = [SPY, bars("AAA", closes, split_ratio=[1.0, 1.0, 0.25, 1.0])]
    rows = flows(records("AAA", [10.0, 10.25, 42.0, 42.0], [400.0, 400.0, 101.0, 101.0]), prices=prices)
    assert values(rows["net_flow_usd"]) == pytest.approx([None, 0.0, 41.0, 0.0])


def test_shares_from_assets():
    """Where a vendor gives assets only, shares are assets / NAV, and flows follow as from published counts."""
    nav, rows = tables(records("AAA", [10.0, 10.0, 11.0], None, total_net_assets_usd=[1000.0, 1100.0, 1320.0]))
    assert values(nav["shares_outstanding"]) == pytest.approx([100.0, 110.0, 120.0])
    assert values(nav["total_net_assets_usd"]) == [1000.0, 1100.0, 1320.0]
    assert values(rows["net_flow_usd"]) == pytest.approx([None, 100.0, 100.0])


def test_assets_that_did_not_change_say_nothing():
    """The same assets at another NAV are yesterday's, not a redemption: no flow until they change, and then that of the gap."""
    assets = [1000.0, 1100.0, 1100.0, 1100.0, 1320.0, 1386.0]
    nav, rows = tables(records("AAA", [10.0, 10.0, 11.0, 9.0, 11.0, 11.0], None, total_net_assets_usd=assets))
    assert values(nav["shares_outstanding"]) == pytest.approx([100.0, 110.0, None, None, 120.0, 126.0])
    assert values(nav["total_net_assets_usd"]) == [1000.0, 1100.0, None, None, 1320.0, 1386.0]
    # Ten shares more than at the last update, at the NAV of 10 then.
    assert values(rows["net_flow_usd"]) == pytest.approx([None, 100.0, None, None, 100.0, 66.0])
    assert values(rows["sessions_spanned"]) == [None, 1, None, None, 3, 1]
    assert values(rows["quality"])[4] == "derived"
    assert values(rows["null_reason"])[2:5] == ["no share count", "no share count", None]


def test_published_count_needs_no_new_assets():
    """A count that is published counts, whether or not the assets beside it moved."""
    rows = flows(records("AAA", [10.0, 10.0, 10.0], [100.0, 101.0, 102.0], total_net_assets_usd=[1000.0] * 3))
    assert values(rows["net_flow_usd"]) == [None, 10.0, 10.0]


@pytest.mark.parametrize(
    ("count", "is_suspect"), [(1700.0, True), (1699.0, False), (1000 / 1.7, True), (1000 / 1.699, False), (0.0, True)]
)
def test_impossible_count(count: float, is_suspect: bool):
    """A count 1.7 times the median of the eleven before it, either way, gives no flow that day; the next flow spans both. Its NAV stays."""
    shares = [*[900.0] * 5, 1000.0, *[1100.0] * 5, count, 1100.0, 1100.0, 1110.0]
    nav, rows = tables(records("AAA", moving(15), shares))
    assert values(nav["is_suspect"]) == [False] * 11 + [is_suspect] + [False] * 3
    assert nav["nav"].notna().all()
    assert values(nav["published_shares_outstanding"]) == shares
    assert pd.isna(nav["shares_outstanding"][11]) == is_suspect
    assert pd.isna(nav["total_net_assets_usd"][11]) == is_suspect
    reason = "share count not possible" if is_suspect else None
    assert values(rows["null_reason"])[10:] == [None, reason, None, None, None]
    assert values(rows["net_flow_usd"].isna())[10:] == [False, is_suspect, False, False, False]
    assert rows["net_flow_usd"][12] == pytest.approx(0.0 if is_suspect else (1100 - count) * moving(15)[11])
    assert rows["sessions_spanned"][12] == 1 + is_suspect
    assert rows["net_flow_usd"].iloc[14] == pytest.approx(10 * moving(15)[13])


def test_jump_within_the_first_eleven_records_is_kept():
    """A young fund multiplies: with fewer than eleven counts before it none is called impossible."""
    nav, rows = tables(records("AAA", [10.0] * 13, [100.0] * 10 + [400.0] * 3))
    assert not nav["is_suspect"].iloc[:11].any()
    assert rows["net_flow_usd"][10] == 3000.0
    assert bool(rows["is_large"][10])


def test_lasting_jump_is_believed_in_the_end():
    """After six records of a new level the median of eleven is the new level, and the next count ends the gap."""
    nav, rows = tables(records("AAA", moving(25), [1000.0] * 12 + [2000.0 + i for i in range(13)]))
    assert values(nav["is_suspect"]) == [False] * 12 + [True] * 6 + [False] * 7
    assert values(rows["null_reason"])[12:20] == ["share count not possible"] * 6 + [None] * 2
    assert rows["net_flow_usd"][18] == pytest.approx((2006 - 1000) * moving(25)[11])
    assert rows["sessions_spanned"][18] == 7
    assert rows["net_flow_usd"].iloc[19:].tolist() == pytest.approx(moving(25)[18:24])


def test_split_is_no_impossible_count():
    """Across a split as published counts are compared on one basis, so that even one of 3:1 is not suspect."""
    navs = [60.0 + 0.1 * i for i in range(12)] + [21.0 + 0.1 * i for i in range(13)]
    shares = [1000.0 + i for i in range(12)] + [3100.0 + i for i in range(13)]
    prices = [SPY, bars("AAA", [20.0] * 25, split_ratio=[3.0 if i == 12 else 1.0 for i in range(25)])]
    nav, rows = tables(records("AAA", navs, shares), prices=prices)
    assert not nav["is_suspect"].any()
    assert rows["null_reason"].iloc[1:].isna().all()
    assert rows["net_flow_usd"][12] == pytest.approx((3100 - 3 * 1011) * navs[11] / 3)


def test_split_on_a_session_without_a_record():
    """Where the record of the split's own session is missing, the next one is the first on the new basis, and not suspect."""
    navs = [60.0 + 0.1 * i for i in range(12)] + [31.0 + 0.1 * i for i in range(13)]
    shares = [1000.0 + i for i in range(12)] + [2100.0 + i for i in range(13)]
    prices = [SPY, bars("AAA", [30.0] * 25, split_ratio=[2.0 if i == 12 else 1.0 for i in range(25)])]
    nav, rows = tables(records("AAA", navs, shares).drop(index=12), prices=prices)
    assert nav["split_ratio"][12] == 2.0
    assert not nav["is_suspect"].any()
    assert values(rows["null_reason"])[11:] == [None] * 13
    assert rows["net_flow_usd"].iloc[12] == pytest.approx((2101 - 2 * 1011) * navs[11] / 2)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("count", "is_large"), [(1150.0, False), (1151.0, True), (850.0, False), (849.0, True)])
def test_large_flow_is_kept_and_marked(count: float, is_large: bool):
    """More than 15 % of assets in a day is marked, in or out, and its value stays."""
    row = flows(records("AAA", [10.0, 10.0], [1000.0, count])).iloc[1]
    assert bool(row["is_large"]) == is_large
    assert row["net_flow_usd"] == pytest.approx(10 * (count - 1000))


def test_dead_source_of_a_fund_that_moved_daily():
    """A fund that moved every day is dead on the fourth record with the same count; the count that moves ends the gap."""
    shares = growing(70)
    shares += [shares[-1]] * 6
    shares += [shares[-1] + 30, shares[-1] + 50]
    rows = flows(records("AAA", moving(78), shares))
    assert values(rows["sessions_unchanged"])[69:] == [0, 1, 2, 3, 4, 5, 6, 0, 0]
    assert values(rows["null_reason"])[69:] == [None] * 4 + ["dead source"] * 3 + [None] * 2
    navs = moving(78)
    wanted = [10 * navs[68], 0.0, 0.0, 0.0, None, None, None, 30 * navs[72], 20 * navs[76]]
    assert values(rows["net_flow_usd"])[69:] == pytest.approx(wanted)
    assert rows["flow_pct_of_assets"].isna().equals(rows["net_flow_usd"].isna())


@pytest.mark.long_after(0)
@pytest.mark.parametrize("every", [2, 5, 10])
def test_dead_source_of_a_fund_that_seldom_moves(every: int):
    """The rarer a fund moves, the longer it may stand still: dead on the first record n with p ** n below one in a million."""
    shares = [1000.0 + 10 * (i // every) for i in range(every * 20 + 64)]
    # In the 63 records up to the last move so many stood still; the count before it is that of `every` records.
    last_move = max(i for i in range(1, len(shares)) if shares[i] != shares[i - 1])
    still = sum(shares[i] == shares[i - 1] for i in range(last_move - 62, last_move + 1))
    allowed = next(n for n in range(1, 400) if n * log((1 + still) / 65) < log(1e-6))
    shares = shares[: last_move + 1] + [shares[last_move]] * (allowed + 2)
    rows = flows(records("AAA", moving(len(shares)), shares), start=START)
    dead = values(rows["null_reason"] == "dead source")
    assert dead[: last_move + allowed] == [False] * (last_move + allowed)
    assert dead[last_move + allowed :] == [True] * 3
    assert allowed > 6


def test_fund_that_seldom_moves_is_left_alone():
    """Forty records of the same count are nothing unusual in a fund that moves once in thirty."""
    rows = flows(records("AAA", moving(160), [1000.0 + 10 * (i // 30) for i in range(120)] + [1030.0] * 40))
    assert rows["null_reason"].iloc[1:].isna().all()
    assert rows["net_flow_usd"].iloc[120:].tolist() == [0.0] * 40


def test_nav_that_stands_still_as_well():
    """Where NAV does not move either, nothing happened in the fund, and an unchanged count is a flow of zero."""
    shares, navs = growing(70), moving(70)
    rows = flows(records("AAA", navs + [navs[-1]] * 20, shares + [shares[-1]] * 20))
    assert values(rows["null_reason"])[70:] == [None] * 20
    assert rows["net_flow_usd"].iloc[70:].tolist() == [0.0] * 20


def test_nav_that_repeats_once_does_not_revive_a_dead_source():
    """An unchanged NAV gives no information about the count: the source stays dead until the count moves."""
    shares, navs = growing(70), moving(90)
    navs[80] = navs[79]
    rows = flows(records("AAA", navs, shares + [shares[-1]] * 20))
    assert values(rows["null_reason"])[69:80] == [None] * 4 + ["dead source"] * 7
    assert values(rows["null_reason"])[81:] == ["dead source"] * 9


def test_too_short_a_history_calls_nobody_dead():
    """Before 63 records nothing is known of what is usual; with the 63rd it is."""
    for known, dead in ((62, 0), (63, 5)):
        rows = flows(records("AAA", moving(known + 8), growing(known) + [growing(known)[-1]] * 8))
        assert (rows["null_reason"] == "dead source").sum() == dead


def test_dead_source_through_a_split():
    """A count that only follows the split stands still."""
    shares, navs = growing(70), moving(76)
    frozen = [shares[-1]] * 2 + [2 * shares[-1]] * 4
    navs = navs[:72] + [value / 2 for value in navs[72:]]
    ratios = [2.0 if i == 72 else 1.0 for i in range(76)]
    rows = flows(records("AAA", navs, shares + frozen), prices=[SPY, bars("AAA", [25.0] * 76, split_ratio=ratios)])
    assert values(rows["sessions_unchanged"])[70:] == [1, 2, 3, 4, 5, 6]
    assert values(rows["net_flow_usd"])[70:] == [0.0, 0.0, 0.0, None, None, None]


def random_world(seed: int, n: int = 200) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Four funds with all that can happen: splits, impossible counts, gaps, frozen counts, assets instead of counts."""
    rng = np.random.default_rng(seed)
    prices, given = [bars("SPY", [100.0] * n)], []
    for k, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")):
        navs = 50 * np.cumprod(1 + rng.normal(0, 0.01, n))
        shares = np.round(1e6 * np.cumprod(1 + rng.normal(0, 0.01, n) * (rng.random(n) < [1, 0.5, 0.9, 0.1][k])))
        ratios = np.ones(n)
        ratios[90 + k] = 2.0
        prices.append(bars(symbol, list(navs / np.where(np.arange(n) < 90 + k, 2, 1)), split_ratio=list(ratios)))
        shares[40 + 3 * k] *= 2
        shares[120 + k : 150 + k] = shares[120 + k]
        if k != 1:
            # As published; the second fund restates its history.
            shares = np.where(np.arange(n) < 90 + k, shares, 2 * shares)
            navs = np.where(np.arange(n) < 90 + k, navs, navs / 2)
        frame = records(symbol, list(navs), list(shares))
        if k == 2:
            frame = frame.assign(total_net_assets_usd=np.round(navs * shares), shares_outstanding=np.nan)
            frame.loc[70:74, "total_net_assets_usd"] = frame.loc[69, "total_net_assets_usd"]
        given.append(frame.drop(index=rng.choice(np.arange(5, n - 5), 5, replace=False)))
    return prices, given


@pytest.mark.long_after(0)
@pytest.mark.parametrize("seed", [1, 2])
def test_later_records_change_no_earlier_row(seed: int):
    """Derived with the records up to a cut, every row is the same up to there as with all records."""
    prices, given = random_world(seed)
    whole = tables(*given, prices=prices)
    assert {*values(whole[1]["null_reason"])} == {
        *(None, "no record before", "gap too long", "no share count", "share count not possible", "dead source")
    }
    for cut in (35, 41, 91, 93, 125, 145, 160):
        day = DAYS[cut]
        for before, after in zip(tables(*given, prices=prices, session=day), whole, strict=True):
            after = after[after["session"] <= pd.Timestamp(day)].reset_index(drop=True)
            assert len(before)
            pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-12, atol=0)


@pytest.mark.long_after(0)
@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(0.01, 10_000, allow_nan=False), st.integers(1, 10_000_000)), min_size=2, max_size=11
    )
)
def test_flow_is_the_change_of_assets_that_the_market_does_not_explain(rows: list[tuple[float, int]]):
    """flow x NAV_t / NAV_(t-1) = assets_t - assets_(t-1) x NAV_t / NAV_(t-1), which holds exactly without a split."""
    navs, shares = [nav for nav, _ in rows], [float(count) for _, count in rows]
    nav, found = tables(records("AAA", navs, shares))
    assets = [n * s for n, s in zip(navs, shares, strict=True)]
    assert values(nav["total_net_assets_usd"]) == pytest.approx(assets, rel=1e-12)
    for t in range(1, len(rows)):
        growth = navs[t] / navs[t - 1]
        explained = assets[t - 1] * growth
        tolerance = 1e-12 * max(assets[t], explained)
        assert found["net_flow_usd"][t] * growth == pytest.approx(assets[t] - explained, rel=0, abs=tolerance)
        pct = 100 * found["net_flow_usd"][t] / assets[t - 1]
        assert found["flow_pct_of_assets"][t] == pytest.approx(pct, rel=1e-9, abs=1e-12)


def test_assets_that_stand_still_are_a_dead_source():
    """A vendor that gives only assets, new every day, and then the same for twenty sessions, is found dead and not merely silent."""
    navs = moving(100)
    assets = [nav * count for nav, count in zip(navs, growing(100), strict=True)]
    assets[80:] = [assets[79]] * 20
    rows = flows(records("AAA", navs, None, total_net_assets_usd=assets))
    assert rows["net_flow_usd"][80:].isna().all()
    assert rows["null_reason"].iloc[-1] == "dead source"
    assert "dead source" not in set(rows["null_reason"][:80])
