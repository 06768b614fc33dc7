"""signals.fund_overlap: the weight that each two funds have in common, by the last file of each."""

from __future__ import annotations

import pandas as pd
import pytest
from world import bars, days, derived, instrument, universe

from market_rotation.tasks.datasets import HOLDINGS_COLUMNS
from market_rotation.tasks.sources.base import typed

#: The tables that are derived here.
WANTED = ["signals.fund_overlap"]
DAYS = days()
MEMBERS = universe(
    instrument("SPY", peer_group="large_cap"),
    *(instrument(symbol, peer_group="small_cap") for symbol in ("AAA", "BBB", "CCC")),
)
#: Fund, session of the file → weights by company; None is cash.
FILES: dict[tuple[str, int], dict[str | None, float]] = {
    ("AAA", 3): {"X": 0.5, "Y": 0.3, "Z": 0.1, None: 0.1},
    ("AAA", 10): {"X": 0.4, "Y": 0.6},
    ("BBB", 5): {"X": 0.2, "Y": 0.2, "W": 0.4},
    ("CCC", 8): {"V": 1.0},
    ("SPY", 5): {"X": 1.0},
}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    files = [
        {
            "fund_symbol": fund,
            "as_of": pd.Timestamp(DAYS[day]),
            "symbol": company,
            "name": company or "cash",
            "weight": weight,
            "source": "issuer",
        }
        for (fund, day), weights in FILES.items()
        for company, weight in weights.items()
    ]
    holdings = typed(pd.DataFrame(files), HOLDINGS_COLUMNS)
    frames = [bars(symbol, [100.0] * 15) for symbol in MEMBERS.symbols]
    with derived(frames, MEMBERS, DAYS[14], holdings=holdings, wanted=WANTED) as con:
        return con.sql("from signals.fund_overlap order by all").df()


def shares(weights: dict[str | None, float]) -> dict[str, float]:
    """Weights of what has a ticker, which together are 1."""
    known = {company: weight for company, weight in weights.items() if company}
    return {company: weight / sum(known.values()) for company, weight in known.items()}


def test_overlap_by_hand(rows: pd.DataFrame) -> None:
    """Of each two funds, on each day one of them has a file and both had one: the lower weights, added up."""
    wanted = {}
    for a, b in (("AAA", "BBB"), ("AAA", "CCC"), ("BBB", "CCC")):
        for day in sorted({day for fund, day in FILES if fund in (a, b)}):
            earlier = [[d for f, d in FILES if f == fund and d <= day] for fund in (a, b)]
            if not all(earlier):
                continue
            one, other = (shares(FILES[fund, max(found)]) for fund, found in zip((a, b), earlier, strict=True))
            common = one.keys() & other.keys()
            share = 100 * sum(min(one[c], other[c]) for c in common)
            wanted[a, b, DAYS[day]] = wanted[b, a, DAYS[day]] = (share, len(common))
    given = {
        (r["symbol"], r["other_symbol"], r["as_of"].date()): (r["overlap_weight_pct"], r["common_holdings"])
        for r in rows.to_dict("records")
    }
    assert given.keys() == wanted.keys()
    for key, (weight, count) in wanted.items():
        assert given[key] == (pytest.approx(weight), count), key
    assert len(given) == 10


def test_nothing_in_common_is_zero(rows: pd.DataFrame) -> None:
    """Two funds without a common company overlap by 0, which is known."""
    apart = rows[(rows["symbol"] == "BBB") & (rows["other_symbol"] == "CCC")]
    assert list(apart["overlap_weight_pct"]) == [0.0]


def test_only_funds_that_are_compared(rows: pd.DataFrame) -> None:
    """Funds of other peer groups are not there, nor a fund with itself."""
    assert set(rows["symbol"]) == {"AAA", "BBB", "CCC"}
    assert (rows["symbol"] != rows["other_symbol"]).all()
