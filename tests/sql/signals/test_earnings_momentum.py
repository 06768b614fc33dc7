"""signals.earnings_momentum: aggregate growth of two funds' companies, from the files and estimates known by each session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, estimate, instrument, universe

from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

DAYS = days()
LAST = 40
MEMBERS = universe(instrument("SPY"), instrument("SML"), instrument("OTH"), pairs=[("SML", "SPY"), ("OTH", "SPY")])

Files = Mapping[tuple[str, int], Mapping[str | None, float]]
Snapshot = dict[str, Any]

#: Fund, session of the file → weights; None is cash.
FILES: Files = {
    ("SML", 0): {"A": 0.5, "B": 0.3, "C": 0.15, None: 0.05},
    ("SPY", 0): {"X": 0.6, "Y": 0.4},
    ("OTH", 0): {"Z": 1.0},
}


def snapshot(symbol: str, day: int | date, growth: float | None, **values: Any) -> Snapshot:
    """The estimate of a company on that session; see `world.estimate`."""
    return estimate(symbol, DAYS[day] if isinstance(day, int) else day, growth, **values)


ESTIMATES = (
    *(snapshot("A", 2, 0.2), snapshot("B", 2, -0.1), snapshot("X", 2, 0.1)),
    *(snapshot("Y", 3, 0.05), snapshot("Z", 2, 9.0)),
)


def momentum(
    files: Files = FILES, estimates: Iterable[Snapshot] = ESTIMATES, marked: int | None = 0, last: int | date = LAST
) -> pd.DataFrame:
    """The table on the sessions up to `last`, with the pair of that number marked earnings."""
    held = [
        {"fund_symbol": fund, "as_of": pd.Timestamp(DAYS[i]), "symbol": name, "name": str(name), "weight": weight}
        for (fund, i), weights in files.items()
        for name, weight in weights.items()
    ]
    pairs = tuple(pair.model_copy(update={"earnings": i == marked}) for i, pair in enumerate(MEMBERS.pairs))
    members = MEMBERS.model_copy(update={"pairs": pairs})
    holdings = typed(pd.DataFrame(held).assign(source="issuer"), HOLDINGS_COLUMNS)
    growth = typed(pd.DataFrame(list(estimates)), EARNINGS_GROWTH_COLUMNS)
    end = last if isinstance(last, date) else DAYS[last]
    wanted = ["signals.earnings_momentum"]
    with derived([bars("SPY", [100.0])], members, end, wanted=wanted, holdings=holdings, earnings_growth=growth) as con:
        rows = con.sql("from signals.earnings_momentum order by session").df()
    return rows.set_index(rows.pop("session").dt.date)


def test_growth_and_coverage():
    """Growth is of what all companies with an estimate earn together; coverage is their part of all companies, cash left out."""
    row = momentum().loc[DAYS[3]]
    small, large = (0.5 * 0.2 - 0.3 * 0.1) / 0.8, 0.6 * 0.1 + 0.4 * 0.05
    assert row["small_growth_next_year"] == pytest.approx(small)
    assert row["large_growth_next_year"] == pytest.approx(large)
    assert row["gap"] == pytest.approx(small - large)
    assert row["small_coverage_pct"] == pytest.approx(100 * 0.8 / 0.95)
    assert row["large_coverage_pct"] == pytest.approx(100.0)
    assert (row["small_median"], row["large_median"]) == (pytest.approx(0.05), pytest.approx(0.075))
    assert row["period_end"] == pd.Timestamp(2024, 12, 31)


def test_growth_of_an_aggregate_is_no_mean_of_growth():
    """A company that earns little for its price weighs little: shares are weight over price, and earnings are added up."""
    cheap = snapshot("X", 2, None, eps_current_year=8.0, eps_next_year=8.8, price=80.0)
    dear = snapshot("Y", 2, None, eps_current_year=1.0, eps_next_year=1.9, price=100.0)
    row = momentum(estimates=(snapshot("A", 2, 0.0), cheap, dear)).loc[DAYS[2]]
    before, after = 0.6 / 80 * 8.0 + 0.4 / 100 * 1.0, 0.6 / 80 * 8.8 + 0.4 / 100 * 1.9
    assert row["large_growth_next_year"] == pytest.approx(after / before - 1, rel=1e-12)
    assert row["large_growth_next_year"] == pytest.approx(0.15)


@pytest.mark.long_after(1)
@pytest.mark.parametrize(
    "outlier",
    [
        {"eps_current_year": 0.25, "eps_next_year": 4.0},  # from next to nothing
        {"eps_current_year": 5.0, "eps_next_year": 80.0},  # an error of the vendor
        {"eps_current_year": -5.0, "eps_next_year": 5.0},  # out of a loss
        {"eps_current_year": 5.0, "eps_next_year": -40.0},  # into one
    ],
)
def test_one_company_moves_the_aggregate_by_less_than_two_points(outlier: Snapshot):
    """One of forty companies at +1,500 %, or with any other figures: the growth of the side changes by less than two points."""
    names = [f"S{i:02d}" for i in range(40)]
    files: Files = {("SML", 0): dict.fromkeys(names, 1 / 40), ("SPY", 0): {"X": 1.0}}
    plain = [snapshot(name, 2, 0.10 + 0.003 * i) for i, name in enumerate(names)]
    changed = [*plain[:20], snapshot(names[20], 2, None, **outlier), *plain[21:]]
    before, after = (
        momentum(files, (*estimates, snapshot("X", 2, 0.1))).loc[DAYS[2], "small_growth_next_year"]
        for estimates in (plain, changed)
    )
    assert before == pytest.approx(0.1585)
    assert 0 < abs(after - before) < 0.02


def test_a_side_that_earns_nothing_has_no_growth():
    """From a loss of all companies together there is no growth to compute; the companies still count as covered."""
    losing = {"eps_current_year": -5.0, "eps_next_year": -2.0}
    row = momentum(estimates=(snapshot("A", 2, None, **losing), snapshot("X", 2, 0.1))).loc[DAYS[2]]
    assert row[["small_growth_next_year", "small_median", "gap"]].isna().all()
    assert row["small_coverage_pct"] == pytest.approx(100 * 0.5 / 0.95)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "lacking",
    ["period_end_current_year", "period_end_next_year", "eps_year_ago", "eps_current_year", "eps_next_year", "price"],
)
def test_an_estimate_that_lacks_what_it_needs_does_not_count(lacking: str):
    """Without the period that it is for, the earnings or the price an estimate says nothing of the aggregate."""
    # The year before the one under way is needed only where the calendar year begins in it.
    needed = {"period_end_current_year": pd.Timestamp(2024, 6, 30), "period_end_next_year": pd.Timestamp(2025, 6, 30)}
    row = momentum(estimates=(snapshot("A", 2, 0.1, **needed | {lacking: None}), snapshot("X", 2, 0.1))).loc[DAYS[2]]
    assert pd.isna(row["small_growth_next_year"])
    assert row["small_coverage_pct"] == 0.0


def test_fiscal_years_are_brought_to_the_calendar_year():
    """Of a fiscal year that ends in September, a quarter of the next belongs to the calendar year, 92 days of 365."""
    ends = {"period_end_current_year": pd.Timestamp(2024, 9, 30), "period_end_next_year": pd.Timestamp(2025, 9, 30)}
    row = momentum(estimates=(snapshot("A", 2, 0.4, **ends), snapshot("X", 2, 0.1))).loc[DAYS[2]]
    this, before = 5 + 92 / 365 * (7 - 5), 4 + 92 / 365 * (5 - 4)
    assert row["small_growth_next_year"] == pytest.approx(this / before - 1, rel=1e-12)


def test_from_july_on_the_next_calendar_year_counts():
    """Both sides change to the next year on the same day, and their period says so."""
    july = date(2024, 7, 1)
    ends = {"period_end_current_year": pd.Timestamp(2024, 12, 31), "period_end_next_year": pd.Timestamp(2025, 12, 31)}
    estimates = [snapshot(name, date(2024, 6, 24), 0.1, **ends) for name in ("A", "X")]
    rows = momentum(estimates=estimates, last=july)
    last, first = rows.loc[date(2024, 6, 28)], rows.loc[july]
    assert (last["period_end"].year, first["period_end"].year) == (2024, 2025)
    assert last["small_growth_next_year"] == pytest.approx(0.25)
    assert first["small_growth_next_year"] == pytest.approx(0.1)
    assert rows["gap"].tolist() == pytest.approx([0.0] * len(rows))


@pytest.mark.long_after(0)
@pytest.mark.parametrize("month", [1, 3, 6, 9, 12])
def test_nothing_jumps_when_a_fiscal_year_rolls_over(month: int):
    """On the day the estimates move on to the next fiscal year, with the same earnings for the same years, growth stays as it is."""
    earned = {2023: 3.0, 2024: 4.0, 2025: 5.0, 2026: 5.6, 2027: 6.9}
    # Session 20 of 2024 lies after the reports of all of these years but December's, and the calendar year asked for is 2024.
    first = 2023 if month == 12 else 2024

    def said(symbol: str, day: int, current: int) -> Snapshot:
        end = [pd.Timestamp(year, month, 1) + pd.offsets.MonthEnd(0) for year in (current, current + 1)]
        years = dict(
            zip(("eps_year_ago", "eps_current_year", "eps_next_year"), range(current - 1, current + 2), strict=True)
        )
        eps = {name: earned.get(year, 2.4) for name, year in years.items()}
        return snapshot(symbol, day, None, **eps, period_end_current_year=end[0], period_end_next_year=end[1])

    rows = momentum(estimates=[*(said(s, 2, first) for s in ("A", "X")), *(said(s, 20, first + 1) for s in ("A", "X"))])
    growth = rows["small_growth_next_year"]
    assert growth.loc[DAYS[2]] > 0.05
    assert growth.loc[DAYS[20]] == pytest.approx(growth.loc[DAYS[19]], rel=1e-12)


def test_a_split_between_two_snapshots_is_no_growth():
    """Where the two snapshots disagree on the year that both name, the older one is on another basis and is left out."""
    ends = {"period_end_current_year": pd.Timestamp(2025, 3, 31), "period_end_next_year": pd.Timestamp(2026, 3, 31)}
    older = {
        "period_end_current_year": pd.Timestamp(2024, 3, 31),
        "period_end_next_year": ends["period_end_current_year"],
    }
    split = {"eps_year_ago": 0.5, "eps_current_year": 0.55, "eps_next_year": 0.6}
    estimates = (snapshot("A", 2, 0.1, **older), snapshot("A", 9, None, **ends, **split), snapshot("X", 2, 0.1))
    # The nearest twelve months that the newer one knows end in March 2025.
    assert momentum(estimates=estimates).loc[DAYS[9], "small_growth_next_year"] == pytest.approx(0.1)


def test_estimates_of_another_year_do_not_count():
    """Estimates whose twelve months end more than half a year from the calendar year say nothing of it."""
    old = {"period_end_current_year": pd.Timestamp(2022, 12, 31), "period_end_next_year": pd.Timestamp(2023, 12, 31)}
    assert (
        momentum(estimates=(snapshot("A", 2, 0.1, **old), snapshot("X", 2, 0.1))).loc[DAYS[2], "small_coverage_pct"]
        == 0.0
    )


def test_revision_breadth():
    """Companies with more estimates raised than lowered, less those with more lowered, over all that have estimates."""
    raised, lowered = {"revisions_up_30d": 3.0, "revisions_down_30d": 1.0}, {"revisions_down_30d": 2.0}
    estimates = (
        *(snapshot("A", 2, 0.1, **raised), snapshot("B", 2, 0.1, **raised), snapshot("C", 2, 0.1, **lowered)),
        *(snapshot("X", 2, 0.1), snapshot("Y", 2, 0.1, revisions_up_30d=None)),
    )
    row = momentum(estimates=estimates).loc[DAYS[2]]
    assert row["small_revision_breadth"] == pytest.approx(1 / 3)
    assert row["large_revision_breadth"] == 0.0


def test_begins_with_the_first_estimate():
    """There are no rows before the first estimate, and one per session from then on; no estimate counts before its date."""
    rows = momentum()
    assert list(rows.index) == DAYS[2 : LAST + 1]
    assert rows.loc[DAYS[2], "large_growth_next_year"] == pytest.approx(0.1)
    assert rows.loc[DAYS[2], "large_coverage_pct"] == pytest.approx(60.0)


def test_begins_with_the_first_files():
    """There is no row before both funds have a holdings file."""
    later = {(fund, i + 7 if fund == "SPY" else i): weights for (fund, i), weights in FILES.items()}
    assert list(momentum(later).index) == DAYS[7 : LAST + 1]


def test_estimate_counts_for_twenty_sessions():
    """An estimate counts on its session and the nineteen after it, then it drops out, and a side without any is NULL."""
    rows = momentum()
    assert rows.loc[DAYS[21], "small_growth_next_year"] == pytest.approx(0.07 / 0.8)
    assert rows.loc[DAYS[21], "large_coverage_pct"] == pytest.approx(100.0)
    # The estimate of X is a session older than that of Y.
    last = rows.loc[DAYS[22]]
    assert (last["large_growth_next_year"], last["large_coverage_pct"]) == (pytest.approx(0.05), pytest.approx(40.0))
    assert last[["small_growth_next_year", "small_median", "small_revision_breadth", "gap"]].isna().all()
    assert last["small_coverage_pct"] == 0.0
    after = rows.loc[DAYS[23] :]
    assert after[["small_growth_next_year", "large_growth_next_year", "gap"]].isna().all(axis=None)
    assert (after[["small_coverage_pct", "large_coverage_pct"]] == 0).all(axis=None)


def test_newer_estimate_takes_the_place_of_the_older():
    """A new estimate counts from its day, for twenty sessions; an empty one means that there is no estimate now."""
    rows = momentum(estimates=(*ESTIMATES, snapshot("A", 10, 0.6), snapshot("B", 10, None)))
    assert rows.loc[DAYS[9], "small_growth_next_year"] == pytest.approx(0.07 / 0.8)
    assert rows.loc[DAYS[10], "small_growth_next_year"] == pytest.approx(0.6)
    assert rows.loc[DAYS[10], "small_coverage_pct"] == pytest.approx(100 * 0.5 / 0.95)
    assert rows.loc[DAYS[29], "small_growth_next_year"] == pytest.approx(0.6)
    assert pd.isna(rows.loc[DAYS[30], "small_growth_next_year"])


def test_new_file_changes_the_weights():
    """From the day of a new file on its weights count, and companies that left do not."""
    files = {**FILES, ("SML", 12): {"B": 0.25, "C": 0.75}}
    rows = momentum(files, (*ESTIMATES, snapshot("C", 2, 0.4)))
    before, after = rows.loc[DAYS[11]], rows.loc[DAYS[12]]
    assert before["small_growth_next_year"] == pytest.approx((0.1 - 0.03 + 0.06) / 0.95)
    assert after["small_growth_next_year"] == pytest.approx(0.25 * -0.1 + 0.75 * 0.4)
    assert after["small_coverage_pct"] == pytest.approx(100.0)


def test_estimate_of_a_weekend():
    """An estimate made on a day without a session counts from the next session on, and ages from the session before."""
    saturday = date(2024, 1, 6)
    assert saturday not in DAYS
    rows = momentum(estimates=(snapshot("A", saturday, 0.3), snapshot("X", saturday, 0.1)))
    friday, monday = DAYS.index(date(2024, 1, 5)), DAYS.index(date(2024, 1, 8))
    assert rows.index[0] == DAYS[monday]
    assert rows.loc[DAYS[monday], "gap"] == pytest.approx(0.2)
    assert rows["gap"].last_valid_index() == DAYS[friday + 19]


def test_only_the_pair_marked_earnings():
    """The funds are those of the marked pair; without a marked pair there are no rows."""
    assert momentum(marked=1)["small_growth_next_year"].dropna().unique().tolist() == pytest.approx([9.0])
    assert momentum(marked=None).empty


# ---- worked out independently, in pandas ----

NAMES = {"SML": [f"S{i:02d}" for i in range(30)], "SPY": [f"L{i:02d}" for i in range(30)]}


def market() -> tuple[Files, list[Snapshot]]:
    """Thirty companies a side over a year, with fiscal years of all months, losses, leaps, gaps and changes of fiscal year."""
    draw = np.random.default_rng(14)
    files: dict[tuple[str, int], dict[str | None, float]] = {}
    said: list[Snapshot] = []
    for fund, names in NAMES.items():
        for day in (0, 60, 130, 200):
            weights = draw.dirichlet(np.full(30, 3.0)) * 0.99
            files[fund, day] = dict(zip(names, weights.tolist(), strict=True)) | {None: 0.01}
        for i, name in enumerate(names):
            month, base = int(draw.choice([12, 12, 12, 9, 6, 3, 1])), draw.uniform(0.5, 6)
            yearly = base * np.cumprod(1 + draw.normal(0.1, 0.25, 7)) - (base * 1.2 if i % 7 == 0 else 0)
            split_day = 90 if i % 11 == 3 else 10_000
            for day in range(i % 5, 250, int(draw.choice([5, 8, 24]))):
                as_of = DAYS[day]
                end = next(e for y in (2023, 2024, 2025) if (e := ending(y, month)) + timedelta(days=40) > as_of)
                eps = (
                    yearly[end.year - 2022 : end.year - 2019]
                    * draw.uniform(0.98, 1.02)
                    / (4 if day >= split_day else 1)
                )
                said.append(
                    snapshot(
                        name,
                        day,
                        None,
                        eps_year_ago=eps[0],
                        eps_current_year=eps[1],
                        eps_next_year=eps[2],
                        period_end_current_year=pd.Timestamp(end) if draw.uniform() > 0.03 else None,
                        period_end_next_year=pd.Timestamp(ending(end.year + 1, month)),
                        revisions_up_30d=float(draw.integers(0, 4)),
                        revisions_down_30d=float(draw.integers(0, 4)),
                        price=base * draw.uniform(10, 30),
                    )
                )
    return files, said


def ending(year: int, month: int) -> date:
    return (pd.Timestamp(year, month, 1) + pd.offsets.MonthEnd(0)).date()


def independently(files: Files, said: list[Snapshot], fund: str, session: date) -> tuple[float, float, float, float]:
    """Growth, coverage, median and breadth of a side on a session, company by company."""
    day = DAYS.index(session)
    weights = files[fund, max(d for f, d in files if f == fund and d <= day)]
    target = date(session.year + (session.month > 6), 12, 31)
    companies, breadth = [], []
    for name, weight in weights.items():
        known = [s for s in said if s["symbol"] == name and s["as_of"].date() <= session]
        if name is None or not known:
            continue
        last = known[-1]
        if DAYS.index(last["as_of"].date()) <= day - 20:
            continue
        breadth.append(np.sign(last["revisions_up_30d"] - last["revisions_down_30d"]))
        if last["period_end_current_year"] is None:
            continue
        first, second = last["period_end_current_year"].date(), last["period_end_next_year"].date()
        year_ago = (last["period_end_current_year"] - pd.DateOffset(years=1)).date()
        line = {year_ago: last["eps_year_ago"], first: last["eps_current_year"], second: last["eps_next_year"]}
        earlier = [s for s in known if s["period_end_next_year"].date() == first and s["as_of"] < last["as_of"]]
        start = first
        if earlier and 1 / 1.4 <= last["eps_year_ago"] / earlier[-1]["eps_current_year"] <= 1.4:
            line[(pd.Timestamp(year_ago) - pd.DateOffset(years=1)).date()] = earlier[-1]["eps_year_ago"]
            start = year_ago
        end = max(start, min(target, second))
        if abs((end - target).days) > 184:
            continue
        knots = sorted(line)
        place = next(i for i in range(len(knots) - 1) if knots[i] <= end <= knots[i + 1] and knots[i] >= start)
        part = (end - knots[place]).days / (knots[place + 1] - knots[place]).days
        values = [line[k] for k in knots]
        eps = values[place] + part * (values[place + 1] - values[place])
        before = values[place - 1] + part * (values[place] - values[place - 1])
        companies.append((weight, weight / last["price"], eps, before))
    found = pd.DataFrame(companies, columns=["weight", "shares", "eps", "before"])
    total = (found["shares"] * found["before"]).sum()
    earning = found[found["before"] > 0]
    median = float((earning["eps"] / earning["before"] - 1).median())
    influence = found["shares"] * (found["eps"] - (1 + median) * found["before"]) / total
    ordinary = (found["eps"] >= found["before"] / 2) & (found["eps"] <= 2 * found["before"])
    growth = median + influence.where(ordinary, influence.clip(-0.015, 0.015)).sum()
    if influence.where(ordinary).notna().all():
        assert growth == pytest.approx((found["shares"] * found["eps"]).sum() / total - 1, rel=1e-9)
    return growth, 100 * found["weight"].sum() / 0.99, median, float(np.mean(breadth))


def test_an_independent_computation_agrees():
    """Company by company in pandas every tenth session is the same to 1e-9, of both sides."""
    files, said = market()
    rows = momentum(files, said, last=260)
    checked = list(rows.index)[5:250:10]
    for session in checked:
        row = rows.loc[session]
        for fund, side in (("SML", "small"), ("SPY", "large")):
            names = (f"{side}_growth_next_year", f"{side}_coverage_pct", f"{side}_median", f"{side}_revision_breadth")
            found = independently(files, said, fund, session)
            assert row[list(names)].astype(float).tolist() == pytest.approx(found, rel=1e-9, abs=1e-9), (session, side)
    assert rows.loc[checked, "gap"].notna().all()
    assert rows.loc[checked, "small_coverage_pct"].between(50, 99.9).any()


@pytest.mark.long_after(0)
def test_later_data_changes_no_row():
    """The rows up to a session are the same whether or not anything later is known."""
    files, said = market()
    whole = momentum(files, said, last=260)
    for last in (70, 131, 205):
        pd.testing.assert_frame_equal(momentum(files, said, last=last), whole.loc[: DAYS[last]])
