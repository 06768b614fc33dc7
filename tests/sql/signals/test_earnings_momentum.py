"""signals.earnings_momentum: weighted growth of two funds' companies, from the files and estimates known by each session."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd
import pytest
from world import bars, days, derived, instrument, universe

from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

DAYS = days()
LAST = 40
MEMBERS = universe(instrument("SPY"), instrument("SML"), instrument("OTH"), pairs=[("SML", "SPY"), ("OTH", "SPY")])

Files = Mapping[tuple[str, int], Mapping[str | None, float]]
Estimates = Mapping[tuple[str, date | int], float | None]

#: Fund, session of the file → weights; None is cash.
FILES: Files = {
    ("SML", 0): {"A": 0.5, "B": 0.3, "C": 0.15, None: 0.05},
    ("SPY", 0): {"X": 0.6, "Y": 0.4},
    ("OTH", 0): {"Z": 1.0},
}
#: Company, session → expected growth.
ESTIMATES: Estimates = {("A", 2): 0.2, ("B", 2): -0.1, ("X", 2): 0.1, ("Y", 3): 0.05, ("Z", 2): 9.0}


def momentum(files: Files = FILES, estimates: Estimates = ESTIMATES, marked: int | None = 0) -> pd.DataFrame:
    """The table on the sessions up to `LAST`, with the pair of that number marked earnings."""
    held = [
        {"fund_symbol": fund, "as_of": pd.Timestamp(DAYS[i]), "symbol": name, "name": str(name), "weight": weight}
        for (fund, i), weights in files.items()
        for name, weight in weights.items()
    ]
    said = [
        {
            "symbol": name,
            "as_of": pd.Timestamp(DAYS[day] if isinstance(day, int) else day),
            "growth_current_year": 5.0,
            "growth_next_year": growth,
        }
        for (name, day), growth in estimates.items()
    ]
    pairs = tuple(pair.model_copy(update={"earnings": i == marked}) for i, pair in enumerate(MEMBERS.pairs))
    members = MEMBERS.model_copy(update={"pairs": pairs})
    holdings = typed(pd.DataFrame(held).assign(source="issuer"), HOLDINGS_COLUMNS)
    growth = typed(pd.DataFrame(said).assign(source="analysts"), EARNINGS_GROWTH_COLUMNS)
    with derived([bars("SPY", [100.0])], members, DAYS[LAST], holdings=holdings, earnings_growth=growth) as con:
        rows = con.sql("from signals.earnings_momentum order by session").df()
    return rows.set_index(rows.pop("session").dt.date)


def test_weighted_means_and_coverage():
    """Growth is weighted by what is held of those with an estimate; coverage is their part of all companies, cash left out."""
    row = momentum().loc[DAYS[3]]
    small, large = (0.5 * 0.2 - 0.3 * 0.1) / 0.8, 0.6 * 0.1 + 0.4 * 0.05
    assert row["small_growth_next_year"] == pytest.approx(small)
    assert row["large_growth_next_year"] == pytest.approx(large)
    assert row["gap"] == pytest.approx(small - large)
    assert row["small_coverage_pct"] == pytest.approx(100 * 0.8 / 0.95)
    assert row["large_coverage_pct"] == pytest.approx(100.0)


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
    # X was asked a session earlier than Y.
    last = rows.loc[DAYS[22]]
    assert (last["large_growth_next_year"], last["large_coverage_pct"]) == (pytest.approx(0.05), pytest.approx(40.0))
    assert last[["small_growth_next_year", "gap"]].isna().all()
    assert last["small_coverage_pct"] == 0.0
    after = rows.loc[DAYS[23] :]
    assert after[["small_growth_next_year", "large_growth_next_year", "gap"]].isna().all(axis=None)
    assert (after[["small_coverage_pct", "large_coverage_pct"]] == 0).all(axis=None)


def test_newer_estimate_takes_the_place_of_the_older():
    """A new estimate counts from its day, for twenty sessions; an empty one means that there is no estimate now."""
    rows = momentum(estimates={**ESTIMATES, ("A", 10): 0.6, ("B", 10): None})
    assert rows.loc[DAYS[9], "small_growth_next_year"] == pytest.approx(0.07 / 0.8)
    assert rows.loc[DAYS[10], "small_growth_next_year"] == pytest.approx(0.6)
    assert rows.loc[DAYS[10], "small_coverage_pct"] == pytest.approx(100 * 0.5 / 0.95)
    assert rows.loc[DAYS[29], "small_growth_next_year"] == pytest.approx(0.6)
    assert pd.isna(rows.loc[DAYS[30], "small_growth_next_year"])


def test_new_file_changes_the_weights():
    """From the day of a new file on its weights count, and companies that left do not."""
    files = {**FILES, ("SML", 12): {"B": 0.25, "C": 0.75}}
    rows = momentum(files, {**ESTIMATES, ("C", 2): 0.4})
    before, after = rows.loc[DAYS[11]], rows.loc[DAYS[12]]
    assert before["small_growth_next_year"] == pytest.approx((0.1 - 0.03 + 0.06) / 0.95)
    assert after["small_growth_next_year"] == pytest.approx(0.25 * -0.1 + 0.75 * 0.4)
    assert after["small_coverage_pct"] == pytest.approx(100.0)


def test_estimate_of_a_weekend():
    """An estimate asked on a day without a session counts from the next session on, and ages from the session before."""
    saturday = date(2024, 1, 6)
    assert saturday not in DAYS
    rows = momentum(estimates={("A", saturday): 0.3, ("X", saturday): 0.1})
    friday, monday = DAYS.index(date(2024, 1, 5)), DAYS.index(date(2024, 1, 8))
    assert rows.index[0] == DAYS[monday]
    assert rows.loc[DAYS[monday], "gap"] == pytest.approx(0.2)
    assert rows["gap"].last_valid_index() == DAYS[friday + 19]


def test_only_the_pair_marked_earnings():
    """The funds are those of the marked pair; without a marked pair there are no rows."""
    assert momentum(marked=1)["small_growth_next_year"].dropna().unique().tolist() == [9.0]
    assert momentum(marked=None).empty
