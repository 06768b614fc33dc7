"""signals.fund_flows_monthly: sums, coverage, streaks and groups, against loops over months and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import bars, calendar, days, derived, instrument, records, universe

BEGIN = date(2023, 9, 1)
SPY = bars("SPY", [100.0] * 3, BEGIN)
COLUMNS = [
    *("symbol", "month", "net_flow_usd", "flow_pct_of_assets", "cumulative_ytd_usd", "streak_months"),
    *("sessions_covered_pct", "is_partial", "members_known", "members"),
]


def values(column: pd.Series) -> list[Any]:
    """The column with None for NULL."""
    return [None if pd.isna(value) else value for value in column]


def one_fund(
    flows: dict[str, float], last: str, begin: date, missing: Sequence[str] = (), more: dict[str, Any] | None = None
) -> pd.DataFrame:
    """The months of a fund with NAV 10 whose count changes by the given flows on those sessions only, up to `last`."""
    sessions = days(begin, date.fromisoformat(last))
    changes = np.zeros(len(sessions))
    for day, flow in flows.items():
        changes[sessions.index(date.fromisoformat(day))] = flow / 10
    frame = records("AAA", [10.0] * len(sessions), list(1000 + np.cumsum(changes)), begin)
    frame = frame[~frame["session"].isin(pd.to_datetime(list(missing)))]
    members = universe(instrument("SPY", peer_group="other"), instrument("AAA", **(more or {})))
    with derived([bars("SPY", [100.0], begin)], members, sessions[-1], begin, fund_nav=frame) as con:
        return con.sql("from signals.fund_flows_monthly order by symbol, month").df()


def test_months_of_one_fund_by_hand():
    """Flows add up by month, against the assets before the month and since the start of the year."""
    flows = {"2024-01-10": 100.0, "2024-01-31": 50.0, "2024-02-01": -30.0, "2024-03-04": 10.0}
    rows = one_fund(flows, "2024-03-08", date(2023, 12, 29))
    assert list(rows.columns) == COLUMNS
    assert list(rows["symbol"]) == ["AAA"] * 4
    assert list(rows["month"].dt.date) == [date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)]
    # The first record has no flow, and December has no other.
    assert values(rows["net_flow_usd"]) == pytest.approx([None, 150.0, -30.0, 10.0])
    wanted = [None, 100 * 150 / 10_000, -100 * 30 / 10_150, 100 * 10 / 10_120]
    assert values(rows["flow_pct_of_assets"]) == pytest.approx(wanted)
    assert values(rows["cumulative_ytd_usd"]) == pytest.approx([None, 150.0, 120.0, 130.0])
    assert values(rows["streak_months"]) == [0, 1, -1, -1]
    assert values(rows["sessions_covered_pct"]) == [0.0, 100.0, 100.0, 100.0]
    assert values(rows["is_partial"]) == [False, False, False, True]
    assert values(rows["members_known"]) == [0, 1, 1, 1]
    assert values(rows["members"]) == [1, 1, 1, 1]


def test_streak():
    """Months of one sign count up, negative for outflows; a change of sign starts again, and a zero has no streak."""
    flows = {
        **{"2024-01-10": 10.0, "2024-02-12": 20.0, "2024-03-12": 5.0},  # inflows
        **{"2024-04-10": -10.0, "2024-05-10": -1.0},  # outflows
        # June: none.
        **{"2024-07-10": -1.0, "2024-08-12": 7.0, "2024-09-10": 7.0, "2024-09-12": -7.0},  # September nets to zero.
        **{"2024-10-10": 3.0, "2024-11-12": 3.0, "2024-12-02": -50.0},
    }
    rows = one_fund(flows, "2024-12-05", date(2023, 12, 28))
    assert values(rows["streak_months"]) == [0, 1, 2, 3, -1, -2, 0, -1, 1, 0, 1, 2, 2]
    assert values(rows["net_flow_usd"])[6] == 0.0
    assert values(rows["net_flow_usd"])[9] == pytest.approx(0.0, abs=1e-9)


def test_null_breaks_a_streak_and_the_year():
    """A month that isn't known ends the streak, and the sum of the year is not known from there on; the next year is."""
    flows = {"2023-12-11": 1.0, "2024-01-10": 1.0, "2024-02-12": 1.0, "2024-03-12": 1.0, "2024-04-10": 1.0}
    flows |= {"2024-05-10": 1.0, "2024-12-10": 1.0, "2025-01-10": 4.0, "2025-02-10": 4.0}
    missing = ["2024-03-05", "2024-03-07", "2024-03-20"]
    rows = one_fund(flows, "2025-02-14", date(2023, 11, 30), missing).set_index("month")
    assert values(rows.loc["2023-12":"2024-06", "streak_months"]) == [1, 2, 3, 0, 1, 2, 0]
    assert values(rows.loc["2024-01":"2024-05", "cumulative_ytd_usd"]) == pytest.approx([1.0, 2.0, None, None, None])
    assert values(rows.loc["2024-06":"2024-12", "cumulative_ytd_usd"]) == [None] * 7
    assert values(rows.loc["2025-01":, "cumulative_ytd_usd"]) == pytest.approx([4.0, 8.0])
    # A missing session leaves its own flow and that of the session after unknown: 14 of March's 20 are left.
    assert rows.loc["2024-03-01", "sessions_covered_pct"] == pytest.approx(70.0)


@pytest.mark.parametrize(
    ("missing", "known"),
    [(["2024-03-05"], True), (["2024-03-05", "2024-03-06"], False), (["2024-03-28"], True)],
    ids=["18 of 20", "17 of 20", "the last of the month"],
)
def test_ninety_percent(missing: list[str], known: bool):
    """A completed month with exactly 90 % of its sessions is known; with one session less it is not."""
    rows = one_fund({"2024-03-14": 70.0}, "2024-04-05", date(2024, 2, 1), missing).set_index("month")
    march = rows.loc["2024-03-01"]
    assert march["sessions_covered_pct"] == pytest.approx({18: 90.0, 17: 85.0, 19: 95.0}[known_sessions(missing)])
    assert (march["net_flow_usd"] == pytest.approx(70.0)) if known else pd.isna(march["net_flow_usd"])
    assert march["members_known"] == int(known)


def known_sessions(missing: list[str]) -> int:
    """How many of the 20 flows of March 2024 are known; that after a gap at the end of the month is April's."""
    sessions = days(date(2024, 3, 1), date(2024, 3, 28))
    gone = {sessions.index(date.fromisoformat(day)) for day in missing}
    return len(sessions) - len({i for gap in gone for i in (gap, gap + 1) if i < len(sessions)})


def test_running_month_is_known_however_little_of_it_is():
    """The running month shows what there is of it, with its coverage; it is NULL only when nothing is known."""
    missing = ["2024-03-04", "2024-03-06"]
    rows = one_fund({"2024-02-12": 5.0, "2024-03-01": 3.0}, "2024-03-08", date(2024, 1, 31), missing)
    march = rows.set_index("month").loc["2024-03-01"]
    assert (march["net_flow_usd"], march["streak_months"], march["is_partial"]) == (pytest.approx(3.0), 1, True)
    assert march["sessions_covered_pct"] == pytest.approx(100 * 2 / 6)
    none = one_fund({"2024-02-12": 5.0}, "2024-03-01", date(2024, 1, 31), ["2024-03-01"]).set_index("month")
    assert pd.isna(none.loc["2024-03-01", "net_flow_usd"])
    assert none.loc["2024-03-01", "sessions_covered_pct"] == 0.0


def test_month_is_complete_once_a_later_session_is_known():
    """On the last session of a month the month is still running; on the next session it is complete and counts."""
    flows = {"2024-02-12": 5.0, "2024-03-12": 3.0}
    for last, partial, streak in (("2024-03-28", True, 1), ("2024-04-01", False, 2)):
        march = one_fund(flows, last, date(2024, 1, 31)).set_index("month").loc["2024-03-01"]
        assert (march["is_partial"], march["streak_months"]) == (partial, streak)


def test_only_two_groups():
    """Only small-cap and large-cap funds are added up."""
    for group, symbols in (("small_cap", 2), ("large_cap", 2), ("mid_cap", 1), (None, 1)):
        rows = one_fund({}, "2024-01-10", date(2024, 1, 2), more={"peer_group": group})
        assert rows["symbol"].nunique() == symbols


# ---------------------------------------------------------------------------------------------------------------------


MEMBERS = universe(
    instrument("SPY", peer_group="large_cap", inception=BEGIN),
    instrument("OLD", peer_group="small_cap", inception=BEGIN),
    instrument("NEW", peer_group="small_cap", inception=date(2024, 3, 12)),
    # Without records: a member with unknown flows.
    instrument("MUM", peer_group="small_cap", inception=date(2024, 6, 28)),
    instrument("MID", peer_group="mid_cap"),
)
END = date(2025, 3, 14)
SESSIONS = days(BEGIN, END)


def random_records(symbol: str, start: date, rng: np.random.Generator, quiet: tuple[date, ...]) -> pd.DataFrame:
    """Random records from `start`, some missing, those of two months mostly; nothing moves in the `quiet` months."""
    sessions = days(start, END)
    still = np.array([day.replace(day=1) in quiet for day in sessions])
    steps = np.where(still, 0, rng.normal(0, 0.01, len(sessions)))
    # In and out with the month, so that there are streaks.
    mood = {month: rng.choice([-1, 1]) for month in sorted({day.replace(day=1) for day in sessions})}
    created = [mood[day.replace(day=1)] * 2_000 + rng.integers(-3_000, 3_000) for day in sessions]
    shares = 1e6 + np.cumsum(np.where(still, 0, created))
    frame = records(symbol, list(40 * np.cumprod(1 + steps)), list(shares), start)
    gone = np.array([rng.random() < (0.1 if day.month in (5, 11) else 0.015) for day in sessions])
    gone[[0, -1]] = False
    return frame[~gone]


@pytest.fixture(scope="module")
def found() -> dict[str, pd.DataFrame]:
    """A random world of three funds, derived."""
    rng = np.random.default_rng(11)
    quiet = (date(2024, 2, 1), date(2024, 9, 1))
    given = [
        random_records("SPY", BEGIN, rng, quiet[:1]),
        random_records("OLD", BEGIN, rng, quiet),
        random_records("NEW", date(2024, 3, 12), rng, quiet),
        random_records("MID", BEGIN, rng, ()),
    ]
    with derived([SPY], MEMBERS, END, BEGIN, fund_nav=pd.concat(given)) as con:
        names = ("signals.fund_flows_monthly", "core.fund_flows", "core.fund_nav")
        return {name: con.sql(f"from {name} order by 1, 2").df() for name in names}


def fund_rows(found: dict[str, pd.DataFrame], symbol: str) -> list[dict[str, Any]]:
    """Month, flow, assets before and coverage of one fund, month by month."""
    flows = found["core.fund_flows"].query("symbol == @symbol").set_index("session")["net_flow_usd"]
    nav = found["core.fund_nav"].query("symbol == @symbol").set_index("session")
    rows = []
    for month in sorted({day.replace(day=1) for day in SESSIONS if day >= flows.index[0].date().replace(day=1)}):
        sessions = [pd.Timestamp(day) for day in SESSIONS if day.replace(day=1) == month]
        known = [flows[day] for day in sessions if day in flows.index and not np.isnan(flows[day])]
        partial = month == END.replace(day=1)
        enough = len(known) * 10 >= len(sessions) * 9 or (partial and bool(known))
        before = nav[nav.index < pd.Timestamp(month)].dropna(subset="shares_outstanding")
        last = before.iloc[-1] if len(before) else None
        rows.append(
            {
                "month": month,
                "flow": sum(known) if enough else None,
                "assets": None if last is None else last["nav"] * last["shares_outstanding"],
                "coverage": 100 * len(known) / len(sessions),
            }
        )
    return rows


def finished(symbol: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table of one symbol from its months: percentages, years and streaks."""
    out, streak, year, so_far = [], 0, None, None
    for row in rows:
        flow, partial = row["flow"], row["month"] == END.replace(day=1)
        if row["month"].year != year:
            year, so_far = row["month"].year, 0.0
        so_far = None if so_far is None or flow is None else so_far + flow
        if not partial:
            if flow is None or flow == 0:
                streak = 0
            elif flow > 0:
                streak = max(streak, 0) + 1
            else:
                streak = min(streak, 0) - 1
        pct = None if flow is None or row["assets"] is None else 100 * flow / row["assets"]
        known = int(flow is not None)
        out.append(
            (
                *(symbol, pd.Timestamp(row["month"]), flow, pct, so_far, streak, row["coverage"], partial),
                *(row.get("members_known", known), row.get("members", 1)),
            )
        )
    return pd.DataFrame(out, columns=COLUMNS)


def group_rows(found: dict[str, pd.DataFrame], symbols: list[str], group: str) -> list[dict[str, Any]]:
    """The months of a group, added up over the members that are known."""
    members = {symbol: {row["month"]: row for row in fund_rows(found, symbol)} for symbol in symbols}
    rows = []
    for month in sorted({month for rows in members.values() for month in rows}):
        present = [rows[month] for rows in members.values() if month in rows]
        known = [row for row in present if row["flow"] is not None]
        last = max(day for day in SESSIONS if day.replace(day=1) == month)
        listed = [i for i in MEMBERS.instruments if i.peer_group == group and i.inception <= last]
        complete = known and all(row["assets"] is not None for row in known)
        rows.append(
            {
                "month": month,
                "flow": sum(row["flow"] for row in known) if known else None,
                "assets": sum(row["assets"] for row in known) if complete else None,
                "coverage": np.mean([row["coverage"] for row in present]),
                "members_known": len(known),
                "members": len(listed),
            }
        )
    return rows


def test_random_funds_and_groups(found):
    """Every value of every month equals a loop over the months, for each fund and both groups, and no other rows exist."""
    wanted = [finished(symbol, fund_rows(found, symbol)) for symbol in ("MID", "NEW", "OLD", "SPY")]
    groups = {"large_cap": ["SPY"], "small_cap": ["OLD", "NEW"]}
    wanted += [finished(f"group:{name}", group_rows(found, symbols, name)) for name, symbols in groups.items()]
    rows = found["signals.fund_flows_monthly"].sort_values(["symbol", "month"]).reset_index(drop=True)
    everything = pd.concat(wanted).sort_values(["symbol", "month"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, everything, check_dtype=False, rtol=1e-9, atol=1e-6)


def test_the_random_world_has_it_all(found):
    """What the comparison above rests on does occur: gaps, quiet months, streaks, breaks and members that are not known."""
    rows = found["signals.fund_flows_monthly"]
    funds = rows[~rows["symbol"].str.startswith("group")]
    assert funds["net_flow_usd"].isna().sum() > 5
    assert (funds["net_flow_usd"] == 0).sum() >= 2
    assert funds["streak_months"].max() >= 2
    assert funds["streak_months"].min() <= -2
    assert funds["sessions_covered_pct"].between(80, 99.9).sum() > 10
    small = rows[rows["symbol"] == "group:small_cap"]
    assert {(1, 1), (1, 2), (2, 2), (2, 3), (1, 3)} & set(zip(small["members_known"], small["members"], strict=True))
    assert set(small["members"]) == {1, 2, 3}
    assert rows.groupby("symbol")["is_partial"].sum().eq(1).all()


def test_later_sessions_change_no_completed_month(found):
    """Derived from the data known at a cut, every completed month is the same as from all data."""
    given = found["core.fund_nav"].assign(shares_outstanding=lambda f: f["published_shares_outstanding"])
    given = given[["symbol", "session", "nav", "shares_outstanding", "source"]].assign(
        total_net_assets_usd=np.nan, distribution=np.nan
    )
    for cut in (date(2024, 3, 28), date(2024, 9, 16), date(2025, 1, 2)):
        with derived([SPY], MEMBERS, cut, BEGIN, fund_nav=given) as con:
            before = con.sql("from signals.fund_flows_monthly where not is_partial order by symbol, month").df()
        after = found["signals.fund_flows_monthly"]
        after = after[after["month"] < pd.Timestamp(cut.replace(day=1))].reset_index(drop=True)
        pd.testing.assert_frame_equal(before, after, check_dtype=False, rtol=1e-12, atol=1e-9)


def test_the_calendar_has_twenty_sessions_in_march_2024():
    """What the tests of 90 % rest on."""
    assert len(calendar.load(date(2005, 1, 3), date(2026, 11, 20)).sessions(date(2024, 3, 1), date(2024, 3, 31))) == 20
