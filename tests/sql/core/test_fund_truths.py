"""The flow layer on the real records of IWM, 2000 … 2026: the rows set aside, the rows kept, and every value recomputed."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.sources.files import FilesSource

SESSION = date(2026, 1, 16)
IMPOSSIBLE = [
    *[date(2001, 2, 13), date(2001, 2, 14), date(2001, 3, 16), date(2001, 9, 21), date(2004, 4, 30)],
    *[date(2007, 6, 21), date(2007, 6, 22), date(2007, 6, 25), date(2007, 6, 28)],
]
#: The record of the Friday before once more, while the close rose by 0.7 %.
REPEATED = date(2010, 11, 1)
#: Memorial Day, a Sunday, Good Friday and Easter Sunday.
NO_SESSIONS = [date(2010, 5, 31), date(2013, 6, 30), date(2024, 3, 29), date(2024, 3, 31)]
DATA = (
    *("core.prices", "core.fund_nav", "core.fund_flows"),
    *("signals.fund_flows_monthly", "signals.fund_flows_yearly", "signals.fund_comparison"),
)


@dataclass(frozen=True)
class Seen:
    """What two runs in a row for the same session left behind."""

    runs: tuple[Run, Run]
    hashes: tuple[dict[str, str], dict[str, str]]
    tables: dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def seen(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Two runs on the real files with the part of the shipped universe that they have."""
    home = tmp_path_factory.mktemp("home")
    universe = world.write_universe(tmp_path_factory.mktemp("universe"), world.counted_universe())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_HOME", str(home))
        patch.setenv("ROTATION_SOURCE", "files")
        patch.setenv("ROTATION_UNIVERSE", str(universe))
        patch.setenv("ROTATION_FILES", str(real_data / "files"))
        source = FilesSource(real_data / "files")
        first = world.run(source, SESSION)
        before = world.content(home / "rotation.duckdb", *DATA)
        second = world.run(source, SESSION)
        after = world.content(home / "rotation.duckdb", *DATA)
    with warehouse.reading(home / "rotation.duckdb") as con:
        names = (*DATA[1:5], "ops.quarantine", "ops.alerts")
        tables = {name: world.table(con, name) for name in names}
    return Seen((first, second), (before, after), tables)


@pytest.fixture(scope="module")
def sessions() -> list[date]:
    return calendar.load(date(2000, 5, 1), SESSION).sessions(date(2000, 5, 1), SESSION)


@pytest.fixture(scope="module")
def published(real_data: Path, sessions: list[date]) -> dict[date, tuple[float, float]]:
    """Session → NAV and share count, read from the file with nothing of the project; days without a session left out."""
    with (real_data / "files" / "fund_nav.csv").open() as file:
        rows = {date.fromisoformat(row["session"]): row for row in csv.DictReader(file)}
    assert sorted(set(rows) - set(sessions)) == NO_SESSIONS
    return {
        day: (float(rows[day]["nav"]), float(rows[day]["shares_outstanding"]))
        for day in sorted(set(rows) & set(sessions))
    }


@dataclass(frozen=True)
class Flow:
    """A flow in USD and the sessions it covers, the last of which is that of its record."""

    usd: float
    covered: list[date]


@pytest.fixture(scope="module")
def flows(published: dict[date, tuple[float, float]], sessions: list[date]) -> dict[date, Flow | None]:
    """Session → flow, as a person would work it out down a sheet; IWM's NAVs and counts are on one split basis throughout."""
    days = [day for day in published if day != REPEATED]
    suspect = {
        day
        for i, day in enumerate(days)
        if i >= 11
        for usual in [median(published[d][1] for d in days[i - 11 : i])]
        if max(published[day][1] / usual, usual / published[day][1]) >= 1.7
    }
    assert suspect == set(IMPOSSIBLE)
    found: dict[date, Flow | None] = {}
    last: date | None = None
    for day in days:
        found[day] = None
        if day in suspect:
            continue
        if last is not None:
            nav, shares = published[last]
            covered = sessions[sessions.index(last) + 1 : sessions.index(day) + 1]
            assert len(covered) <= 23
            found[day] = Flow((published[day][1] - shares) * nav, covered)
        last = day
    return found


@pytest.fixture(scope="module")
def months(
    published: dict[date, tuple[float, float]], flows: dict[date, Flow | None], sessions: list[date]
) -> list[dict[str, object]]:
    """One row per month, month by month."""
    by_month: dict[date, list[date]] = defaultdict(list)
    for day in sessions:
        by_month[day.replace(day=1)].append(day)
    first_month = min(flows).replace(day=1)
    # A flow over a gap belongs to each of its sessions in equal parts.
    by_session = {
        day: flow.usd / len(flow.covered) for flow in flows.values() if flow is not None for day in flow.covered
    }
    rows: list[dict[str, object]] = []
    streak, year, so_far = 0, None, 0.0
    for month, members in sorted(by_month.items()):
        if month < first_month:
            continue
        known = [by_session[day] for day in members if day in by_session]
        is_partial = month == SESSION.replace(day=1)
        total = sum(known) if len(known) / len(members) >= 0.9 else None
        if month.year != year:
            year, so_far = month.year, 0.0
        so_far = None if so_far is None or total is None else so_far + total
        earlier = [day for day in published if day < month and day not in (*IMPOSSIBLE, REPEATED)]
        assets = published[earlier[-1]][0] * published[earlier[-1]][1] if earlier else None
        if not is_partial:
            direction = 0 if not total else 1 if total > 0 else -1
            streak = 0 if direction == 0 else streak + direction if streak * direction > 0 else direction
        rows.append(
            {
                "month": pd.Timestamp(month),
                "net_flow_usd": total,
                "flow_pct_of_assets": 100 * total / assets if total is not None and assets else None,
                "cumulative_ytd_usd": so_far,
                "streak_months": streak,
                "sessions_covered_pct": 100 * len(known) / len(members),
                "is_partial": is_partial,
            }
        )
    return rows


@pytest.mark.long_after(0)
def test_impossible_counts_and_closed_days_are_set_aside(seen: Seen) -> None:
    """Of the fund's records exactly nine impossible share counts, one repeated and four on days without a session are in quarantine."""
    rows = seen.tables["ops.quarantine"]
    rows = rows[rows["symbol"] == "IWM"]
    assert set(rows["dataset"]) == {"fund_nav", "core.fund_nav"}
    assert rows["resolved_at"].isna().all()
    found = {name: [day.date() for day in sorted(days)] for name, days in rows.groupby("expectation")["session"]}
    assert found == {
        "share_count_possible": IMPOSSIBLE,
        "record_not_repeated": [REPEATED],
        "on_a_session": NO_SESSIONS,
    }


def test_flows_are_null_on_them_and_the_next_spans_them(seen: Seen) -> None:
    """Besides the first record nothing but the impossible counts has no flow; the next flow spans the gap; NAV stays."""
    flows = seen.tables["core.fund_flows"].set_index("session")
    missing = flows[flows["net_flow_usd"].isna()]
    assert {day.date() for day in missing.index} == {*IMPOSSIBLE, date(2000, 5, 22)}
    assert set(missing["null_reason"][1:]) == {"share count not possible"}
    spanned = flows[flows["quality"] == "spanned"]["sessions_spanned"]
    assert {day.date().isoformat(): int(number) for day, number in spanned.items()} == {
        **{"2001-02-15": 3, "2001-03-19": 2, "2001-09-24": 2, "2004-05-03": 2},
        **{"2007-06-26": 4, "2007-06-29": 2, "2010-11-02": 2},
    }
    nav = seen.tables["core.fund_nav"].set_index("session").loc[[pd.Timestamp(day) for day in IMPOSSIBLE]]
    assert nav["nav"].notna().all()
    assert nav[["shares_outstanding", "total_net_assets_usd"]].isna().all(axis=None)
    assert nav["is_suspect"].all()


@pytest.mark.parametrize(
    ("day", "flow", "pct"),
    [
        # 4,200,000 shares on top of 300,000, at 45.744157 the session before.
        ("2000-05-30", 192_125_459.40, 1400.0),
        # 44,000,000 shares on top of 67,650,000, at 62.46.
        ("2005-06-28", 2_748_240_000.00, 100 * 44_000 / 67_650),
    ],
)
def test_large_flows_that_happened_are_kept(seen: Seen, day: str, flow: float, pct: float) -> None:
    """The fund's first creations and those around the end of a quarter are no errors: kept, and marked large."""
    row = seen.tables["core.fund_flows"].set_index("session").loc[day]
    assert row["net_flow_usd"] == pytest.approx(flow, abs=0.005)
    assert row["flow_pct_of_assets"] == pytest.approx(pct, rel=1e-9)
    assert bool(row["is_large"])


def test_every_flow_to_the_cent(seen: Seen, flows: dict[date, Flow | None]) -> None:
    """The flow of each session of 26 years is that of an independent calculation, and no other rows exist."""
    rows = seen.tables["core.fund_flows"]
    assert {day.date() for day in rows["session"]} == set(flows)
    assert len(rows) == len(flows) == 6452
    wanted = [flows[day.date()] for day in rows["session"]]
    found = [None if pd.isna(value) else value for value in rows["net_flow_usd"]]
    assert [value is None for value in found] == [value is None for value in wanted]
    assert max(abs(f - w.usd) for f, w in zip(found, wanted, strict=True) if f is not None and w) < 0.005
    assert [w and len(w.covered) for w in wanted] == [None if pd.isna(n) else n for n in rows["sessions_spanned"]]


def test_net_redemptions_of_2025(seen: Seen, flows: dict[date, Flow | None]) -> None:
    """Holders redeemed 4.64 bn USD net from IWM in 2025: the sum of 250 daily flows, all from the issuer's counts."""
    rows = seen.tables["signals.fund_flows_yearly"]
    row = rows[(rows["symbol"] == "IWM") & (rows["year"] == 2025)].iloc[0]
    of_2025 = [flow.usd for day, flow in flows.items() if day.year == 2025 and flow]
    assert row["net_flow_usd"] == pytest.approx(sum(of_2025), abs=0.01)
    assert row["net_flow_usd"] == pytest.approx(-4_641_113_997.70, abs=0.01)
    assert (len(of_2025), row["sessions_covered_pct"], row["quality"]) == (250, 100.0, "daily_count")


@pytest.mark.parametrize("symbol", ["IWM", "group:small_cap"])
def test_every_month(seen: Seen, months: list[dict[str, object]], symbol: str) -> None:
    """Each month's flow, percentage, year to date, streak and coverage equal a loop over the months; the group is its one known member."""
    rows = seen.tables["signals.fund_flows_monthly"]
    found = rows[rows["symbol"] == symbol].sort_values("month").reset_index(drop=True)
    wanted = pd.DataFrame(months)
    assert (found["members_known"] == found["net_flow_usd"].notna()).all()
    pd.testing.assert_frame_equal(
        found[list(wanted.columns)], wanted, check_dtype=False, check_index_type=False, rtol=1e-9, atol=0.005
    )


def test_members_of_the_group_are_those_listed_by_then(seen: Seen) -> None:
    """The small-cap group has as many members as funds had been listed by the end of each month."""
    listed = [i.inception for i in world.counted_universe().instruments if i.flow_group == "small_cap"]
    assert len(listed) == 5
    rows = seen.tables["signals.fund_flows_monthly"]
    assert set(rows["symbol"]) == {"IWM", "group:small_cap"}
    for row in rows[rows["symbol"] == "group:small_cap"].itertuples():
        end = (row.month + pd.offsets.MonthEnd(0)).date()
        assert row.members == sum(day <= end for day in listed), row.month


def test_second_run_changes_nothing(seen: Seen) -> None:
    """The same session again is up to date, and every table keeps its content."""
    assert [run.status for run in seen.runs] == ["published", "up_to_date"]
    assert seen.runs[1].rows_fetched == 0
    assert seen.hashes[0] == seen.hashes[1]


def test_nothing_is_taken_for_a_dead_source(seen: Seen) -> None:
    """In 26 years the issuer's counts never stood still for longer than they do; of the fund's records only what was set aside is alerted, once."""
    assert (seen.tables["core.fund_flows"]["null_reason"] != "dead source").all()
    of_funds = [name for name in sorted(seen.tables["ops.alerts"]["fingerprint"]) if "fund" in name]
    assert of_funds == ["set-aside:core.fund_nav", "set-aside:fund_nav"]
