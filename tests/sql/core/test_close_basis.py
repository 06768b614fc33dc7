"""core.close_basis, and what rests on it: closes that a vendor adjusted for distributions are noticed, and no premium is computed from them."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest
from world import bars, days, derived, instrument, records, universe

from market_rotation.tasks.alerts import close_basis
from market_rotation.tasks.audit import suites
from market_rotation.tasks.datasets import FUND_NAV_COLUMNS
from market_rotation.tasks.sources.base import typed

N = 440
DAYS = days()[:N]
#: A distribution of 0.4 % each quarter.
EX = np.zeros(N)
EX[40::63] = 0.4
MOVES = np.cumprod(1 + 0.01 * np.sin(np.arange(N) * 1.7))
PLAIN = 100 * MOVES * np.cumprod(1 - EX / 100)
PAID = np.where(EX > 0, EX / 100 * PLAIN / (1 - EX / 100), 0.0)
#: Every close times the fall of each later distribution, as vendors adjust.
ADJUSTED = 100 * MOVES * np.prod(1 - EX / 100)
NAVS = PLAIN * (1 + 0.0005 * np.cos(np.arange(N) * 2.3))
#: Fund → its closes, the distributions they come with, its NAVs and the distributions of its issuer; None = no record.
FUNDS: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]] = {
    "PLAIN": (PLAIN, PAID, NAVS, PAID),
    "SILENT": (PLAIN, PAID, NAVS, 0 * PAID),
    "ADJ": (ADJUSTED, 0 * PAID, NAVS, PAID),
    "ADJSILENT": (ADJUSTED, 0 * PAID, NAVS, 0 * PAID),
    "TWICE": (ADJUSTED, PAID, NAVS, PAID),
    "NOTHING": (100 * MOVES, 0 * PAID, 100 * MOVES, 0 * PAID),
    "LOST": (PLAIN, 0 * PAID, NAVS, PAID),
    "PENCE": (100 * PLAIN, PAID, NAVS, PAID),
    "NONAV": (PLAIN, 0 * PAID, None, PAID),
    "NONAVPAYS": (PLAIN, PAID, None, PAID),
}
MEMBERS = universe(
    instrument("SPY", peer_group="large_cap"), *(instrument(symbol, peer_group="small_cap") for symbol in FUNDS)
)


def frames() -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """The bars of all funds, and their records."""
    prices = [bars("SPY", list(PLAIN), dividend=list(PAID))]
    given = []
    for symbol, (closes, paid, navs, issued) in FUNDS.items():
        prices.append(bars(symbol, list(closes), dividend=list(paid)))
        if navs is not None:
            given.append(records(symbol, list(navs), None, distribution=[x or None for x in issued]))
    return prices, pd.concat(given)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    prices, given = frames()
    with derived(prices, MEMBERS, DAYS[-1], fund_nav=given) as con:
        yield con


def basis(con: duckdb.DuckDBPyConnection, symbol: str, row: int) -> str:
    (found,) = con.execute(
        "select basis from core.close_basis where symbol = $1 and session = $2", [symbol, DAYS[row]]
    ).fetchone() or (None,)
    return str(found)


#: Fund → its basis within two months, after ten months, and after eighteen.
EXPECTED = {
    "PLAIN": ("unadjusted", "unadjusted", "unadjusted"),
    "SILENT": ("unadjusted", "unadjusted", "unadjusted"),
    "ADJ": ("differs from NAV", "differs from NAV", "adjusted"),
    "ADJSILENT": ("differs from NAV", "differs from NAV", "adjusted"),
    # Until a year of it is known, closes that come with distributions may be 3 % from NAV.
    "TWICE": ("unadjusted", "unadjusted", "adjusted"),
    "NOTHING": ("unadjusted", "unadjusted", "unadjusted"),
    "LOST": ("distributions missing", "distributions missing", "unadjusted"),
    "PENCE": ("differs from NAV", "differs from NAV", "differs from NAV"),
    "NONAV": ("not known", "not known", "no distributions"),
    "NONAVPAYS": ("unadjusted", "unadjusted", "unadjusted"),
}


@pytest.mark.parametrize("symbol", FUNDS)
def test_basis(con: duckdb.DuckDBPyConnection, symbol: str) -> None:
    """Closes that rise against NAV by the distributions are adjusted, whether or not either side states distributions."""
    assert tuple(basis(con, symbol, row) for row in (45, 200, 400)) == EXPECTED[symbol]


def test_premium_is_withheld_with_its_reason(con: duckdb.DuckDBPyConnection) -> None:
    """A premium is given exactly where the closes are plain and the NAV is known; else the reason is."""
    rows = con.sql(
        "select f.*, k.basis, n.nav, p.close from signals.fund_comparison as f join core.close_basis as k using (symbol, session)"
        " join core.prices as p using (symbol, session) left join core.fund_nav as n using (symbol, session)"
    ).df()
    given = (rows["basis"] == "unadjusted") & rows["nav"].notna()
    assert given.sum() > 1_000
    assert (~given).sum() > 1_000
    assert (rows["premium_pct"].notna() == given).all()
    assert (rows["premium_null_reason"].isna() == given).all()
    wanted = 100 * (rows["close"] / rows["nav"] - 1)
    assert rows["premium_pct"][given].tolist() == wanted[given].tolist()
    last = rows[rows["session"] == pd.Timestamp(DAYS[-1])].set_index("symbol")["premium_null_reason"]
    assert last["ADJ"] == "adjusted"
    assert last["NONAV"] == "no distributions"
    assert last["NONAVPAYS"] == "NAV not published"


def test_later_data_changes_no_row(con: duckdb.DuckDBPyConnection) -> None:
    """The rows up to a session are the same without the sessions after it."""
    prices, given = frames()
    query = "from core.close_basis where session <= $1 order by symbol, session"
    with derived(prices, MEMBERS, DAYS[300], fund_nav=given) as earlier:
        assert earlier.execute(query, [DAYS[300]]).fetchall() == con.execute(query, [DAYS[300]]).fetchall()


@pytest.mark.parametrize("restated", [False, True])
def test_premium_across_a_split(restated: bool) -> None:
    """NAVs before a split are on the basis of their day, or restated by the issuer; closes are restated. The premium is the same."""
    ratios = np.ones(N)
    ratios[100] = 2.0
    navs = NAVS.copy() if restated else np.where(np.arange(N) < 100, 2 * NAVS, NAVS)
    frame = bars("SPY", list(PLAIN), dividend=list(PAID), split_ratio=list(ratios))
    issued = typed(records("SPY", list(navs), None), FUND_NAV_COLUMNS)
    with derived([frame], universe(instrument("SPY")), DAYS[-1], fund_nav=issued) as con:
        found = con.sql(
            "select max(abs(premium_pct)), count(*) filter (basis = 'unadjusted') from core.close_basis"
        ).fetchone()
    assert found is not None
    assert found[0] == pytest.approx(0.05, abs=0.01)
    assert found[1] == N


def test_one_incident_for_each_source(con: duckdb.DuckDBPyConnection) -> None:
    """Adjusted closes are one incident, which is no news tomorrow, says what is withheld and which returns count distributions twice."""
    (found,) = close_basis.incidents_of(con)
    assert (found.fingerprint, found.severity, found.is_news) == ("adjusted-closes:test", "warning", False)
    for words in ("3 funds move away from NAV", "1 fund come with distributions", "ADJ, ADJSILENT, TWICE", "NULL"):
        assert words in found.what


@pytest.mark.parametrize(("paying", "expected"), [(0, 1), (2, 1), (6, 0)])
def test_one_fund_that_pays_nothing_is_no_incident(paying: int, expected: int) -> None:
    """Five funds without distributions are one, if they are most of the funds of the source."""
    symbols = [f"F{i}" for i in range(5 + paying)]
    given = [bars(s, list(PLAIN), dividend=list(PAID if i >= 5 else 0 * PAID)) for i, s in enumerate(symbols)]
    with derived(given, universe(*map(instrument, symbols)), DAYS[-1]) as con:
        assert len(close_basis.incidents_of(con)) == expected
        con.execute("delete from core.close_basis where symbol = 'F0'")
        assert close_basis.incidents_of(con) == []


def test_expectations_name_the_funds(con: duckdb.DuckDBPyConnection) -> None:
    """Each expectation names the funds whose last closes it is meant for, and none whose closes are plain."""
    found = {
        e.id: [symbol for (symbol,) in con.execute(f"select symbol from ({e.query}) order by all").fetchall()]
        for e in suites.load("core.close_basis").expectations
        if "one_row" not in e.id
    }
    assert found == {
        "closes_are_plain_prices": ["ADJ", "ADJSILENT", "PENCE", "TWICE"],
        "funds_pay_distributions": ["NONAV"],
    }
