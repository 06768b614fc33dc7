"""signals.fund_flows_monthly by hand: sums, coverage and streaks. Loops over all periods are in test_flows_by_period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import bars, calendar, days, derived, instrument, records, universe

COLUMNS = [
    *("symbol", "month", "net_flow_usd", "flow_pct_of_assets", "cumulative_ytd_usd", "streak_months"),
    *("sessions_covered_pct", "is_partial", "members_known", "members", "covered_assets_pct", "percentile", "flow_z"),
    *("estimated_flow_usd", "uncertainty_usd", "quality", "known_symbols", "is_provisional", "settled_session"),
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
    wanted = ["signals.fund_flows_monthly"]
    with derived([bars("SPY", [100.0], begin)], members, sessions[-1], begin, wanted=wanted, fund_nav=frame) as con:
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
    # 24 records are missing, so that the flow that ends on 5 April spans 25 sessions.
    missing = [day.isoformat() for day in days(date(2024, 3, 1), date(2024, 4, 4))]
    assert len(missing) == 24
    rows = one_fund(flows, "2025-02-14", date(2023, 11, 30), missing).set_index("month")
    assert values(rows.loc["2023-12":"2024-06", "streak_months"]) == [1, 2, 3, 0, 0, 1, 0]
    assert values(rows.loc["2024-01":"2024-05", "cumulative_ytd_usd"]) == pytest.approx([1.0, 2.0, None, None, None])
    assert values(rows.loc["2024-06":"2024-12", "cumulative_ytd_usd"]) == [None] * 7
    assert values(rows.loc["2025-01":, "cumulative_ytd_usd"]) == pytest.approx([4.0, 8.0])
    # Of April's 22 sessions the first five are in the gap; the one flow known of it is only an estimate of the month.
    assert values(rows.loc["2024-03":"2024-04", "sessions_covered_pct"]) == pytest.approx([0.0, 100 * 17 / 22])
    assert values(rows.loc["2024-03":"2024-04", "estimated_flow_usd"]) == pytest.approx([None, 1.0])


def test_short_gap_leaves_its_month_whole():
    """A flow over a gap inside a month counts wholly for it, so that the month is known to the cent."""
    rows = one_fund({"2024-03-12": 70.0}, "2024-04-05", date(2024, 2, 1), ["2024-03-11", "2024-03-12", "2024-03-13"])
    march = rows.set_index("month").loc["2024-03-01"]
    assert (march["net_flow_usd"], march["sessions_covered_pct"]) == (pytest.approx(70.0), 100.0)
    assert (march["uncertainty_usd"], march["quality"]) == (0.0, "spanned")


def test_gap_over_the_end_of_a_month_is_split_by_sessions():
    """Of a flow over four sessions, one in March and three in April, a quarter counts for March."""
    missing = ["2024-03-28", "2024-04-01", "2024-04-02"]
    rows = one_fund({"2024-03-14": 6.0, "2024-04-02": 80.0}, "2024-04-12", date(2024, 2, 1), missing).set_index("month")
    assert values(rows.loc["2024-03":, "net_flow_usd"]) == pytest.approx([6.0 + 20.0, 60.0])
    # The day of the creations is not known: up to all of the other part may belong here.
    assert rows.loc["2024-03-01", "uncertainty_usd"] == pytest.approx(80 * 3 / 4)
    assert rows.loc["2024-03-01", "settled_session"] == pd.Timestamp("2024-04-03")


@pytest.mark.parametrize(
    ("first", "last", "covered", "known"),
    [
        ("2024-01-26", "2024-03-01", 18, True),
        ("2024-01-26", "2024-03-04", 17, False),
        ("2024-03-27", "2024-04-05", 18, True),
        ("2024-03-26", "2024-04-05", 17, False),
    ],
    ids=["18 of 20 from the start", "17 of 20 from the start", "18 of 20 to the end", "17 of 20 to the end"],
)
def test_ninety_percent(first: str, last: str, covered: int, known: bool):
    """A completed month with exactly 90 % of its sessions is known; with one session less it is not.

    Records are missing for so long that the flow after the gap is not known, or to the end.
    """
    missing = [day.isoformat() for day in days(date.fromisoformat(first), date.fromisoformat(last))]
    rows = one_fund({"2024-03-14": 70.0}, "2024-04-05", date(2024, 1, 4), missing).set_index("month")
    march = rows.loc["2024-03-01"]
    assert march["sessions_covered_pct"] == pytest.approx(100 * covered / 20)
    assert (march["net_flow_usd"] == pytest.approx(70.0)) if known else pd.isna(march["net_flow_usd"])
    assert march["estimated_flow_usd"] == pytest.approx(70.0)
    assert march["members_known"] == int(known)
    # As long as a record can still end the gap, the month may change.
    assert march["is_provisional"] == (last == "2024-04-05")


@pytest.mark.long_after(0)
def test_running_month_needs_ninety_percent():
    """The running month is known with 90 % of its sessions so far, like any other; its streak is the one reached before it."""
    flows = {"2024-02-12": 5.0, "2024-03-01": 3.0}
    begin = date(2024, 1, 31)
    whole = one_fund(flows, "2024-03-08", begin, ["2024-03-04", "2024-03-06"]).set_index("month").loc["2024-03-01"]
    assert (whole["net_flow_usd"], whole["streak_months"], whole["is_partial"]) == (pytest.approx(3.0), 1, True)
    assert whole["sessions_covered_pct"] == 100.0
    for missing, covered in ((["2024-03-08"], 5), (["2024-03-07", "2024-03-08"], 4)):
        march = one_fund(flows, "2024-03-08", begin, missing).set_index("month").loc["2024-03-01"]
        assert pd.isna(march["net_flow_usd"])
        assert march["sessions_covered_pct"] == pytest.approx(100 * covered / 6)
        assert march["estimated_flow_usd"] == pytest.approx(3.0)
    none = one_fund({"2024-02-12": 5.0}, "2024-03-01", begin, ["2024-03-01"]).set_index("month")
    assert values(none.loc["2024-03-01", ["net_flow_usd", "estimated_flow_usd"]]) == [None, None]
    assert none.loc["2024-03-01", "sessions_covered_pct"] == 0.0


def test_month_is_complete_once_a_later_session_is_known():
    """On the last session of a month the month is still running; on the next session it is complete and counts."""
    flows = {"2024-02-12": 5.0, "2024-03-12": 3.0}
    for last, partial, streak in (("2024-03-28", True, 1), ("2024-04-01", False, 2)):
        march = one_fund(flows, last, date(2024, 1, 31)).set_index("month").loc["2024-03-01"]
        assert (march["is_partial"], march["streak_months"]) == (partial, streak)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("peer_group", "flow_group", "symbols"),
    [
        ("mid_cap", "small_cap", {"AAA", "group:small_cap"}),
        ("small_cap", "micro_cap", {"AAA", "group:micro_cap"}),
        ("small_cap", None, {"AAA"}),
    ],
)
def test_groups_are_those_of_the_universe(peer_group: str, flow_group: str | None, symbols: set[str]):
    """The funds of a flow group are summed, whichever funds they are compared with."""
    more = {"peer_group": peer_group, "flow_group": flow_group}
    assert set(one_fund({}, "2024-01-10", date(2024, 1, 2), more=more)["symbol"]) == symbols


def test_the_calendar_has_twenty_sessions_in_march_2024():
    """What the tests of 90 % rest on."""
    assert len(calendar.load(date(2005, 1, 3), date(2026, 11, 20)).sessions(date(2024, 3, 1), date(2024, 3, 31))) == 20
