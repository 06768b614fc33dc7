"""What readers must find after each evening of the soak campaign: the vendor's true bars and records, and nothing open once no fault is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from market_rotation.tasks import warehouse
from market_rotation.tasks.sources.simulated.faults import FROZEN_PRICES
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.warehouse import macros

#: Faults that block the batch of a daily run, and those that cost the symbol the bar of the session. The others cost nothing but the wrong row.
BLOCKING = frozenset({"duplicate-day", "future-date", "unfinished-bar"})
WITHOUT_BAR = frozenset(
    {
        "bad-tick",
        "sign-flip",
        "swapped-high-low",
        "missing-symbol",
        "frozen-price",
        "unannounced-split",
        "currency-switch",
    }
)
#: A known value is kept where a new one differs by less than one in a million (`fn.value_differs`).
ROUNDING = 2e-6


@dataclass(frozen=True)
class Evening:
    """The run of a session, the session before it, and the fault of one symbol that the run meets; None: it meets none."""

    session: date
    before: date
    fault: str | None = None
    symbol: str = ""

    @property
    def status(self) -> str:
        """How the run must end."""
        if self.fault == "source-down":
            return "failed"
        return "blocked" if self.fault in BLOCKING else "published"

    @property
    def reached(self) -> date:
        """The last session that readers must have after it."""
        return self.session if self.status == "published" else self.before

    def fault_of(self, symbol: str) -> str | None:
        return self.fault if symbol == self.symbol else None


def wrong_after(evening: Evening, path: Path, market: SampleSource, symbols: Sequence[str], start: date) -> list[str]:
    """What is wrong in the published file, in words; bars are compared from `start` on, records over their last twenty sessions."""
    found: list[str] = []
    with warehouse.reading(path) as con:
        for symbol in symbols:
            found += _wrong_bars(con, market, symbol, start, evening)
            if evening.fault_of(symbol) != "frozen-shares":
                found += _wrong_records(con, market, symbol, evening)
        if evening.fault is None:
            waiting = "select dataset, symbol, session, expectation from ops.quarantine where resolved_at is null"
            found += [f"{row} is still set aside" for row in con.execute(waiting).fetchall()]
            found += [f"the incident {row['fingerprint']} is open" for row in macros.rows(con, "from incidents()")]
    met = f", {evening.fault} of {evening.symbol}" if evening.fault else ""
    return [f"{evening.session}{met}: {sentence}" for sentence in found]


def _wrong_bars(
    con: duckdb.DuckDBPyConnection, market: SampleSource, symbol: str, start: date, evening: Evening
) -> list[str]:
    given, fault = market.prices(symbol, start, evening.reached).set_index("session"), evening.fault_of(symbol)
    true = given[["close", "split_ratio"]].assign(dividend=given["dividend"] + given["capital_gain"])
    if fault in WITHOUT_BAR or (fault == "dividend-twice" and given["dividend"].iloc[-1] > 0):
        true = true.iloc[:-1]
    query = "select session, close, split_ratio, dividend from core.prices where symbol = $1 order by session"
    found = con.execute(query, [symbol]).df()
    found = found.set_index(found.pop("session").astype(true.index.dtype))
    if differing := list(found.index.symmetric_difference(true.index)):
        return [f"{symbol} has {len(found)} bars and should have {len(true)}; they differ on {differing[0].date()}"]
    wrong = ~np.isclose(found[true.columns], true, rtol=ROUNDING, atol=0)
    if fault == "frozen-price":
        # A close that stood still for less than five sessions may be true, so it is believed.
        wrong[-(FROZEN_PRICES - 2) :] = False
    return [_wrong_value(symbol, found, true, row, true.columns[column]) for row, column in np.argwhere(wrong)[:1]]


def _wrong_records(con: duckdb.DuckDBPyConnection, market: SampleSource, symbol: str, evening: Evening) -> list[str]:
    """A fund's records are those that its issuer gave, except for a share count that it did not give."""
    query = (
        "select session, nav, shares_outstanding from core.fund_nav where symbol = $1 order by session desc limit 20"
    )
    found = con.execute(query, [symbol]).df()
    if found.empty:
        return []
    first = found["session"].min().date()
    given = market.fund_nav(symbol, first, evening.reached).set_index("session")[["nav", "shares_outstanding"]]
    found = found.set_index(found.pop("session").astype(given.index.dtype))
    if unknown := list(found.index.difference(given.index)):
        return [f"{symbol} has a record of {unknown[0].date()}, which its issuer did not give"]
    true = given.loc[found.index]
    wrong = ~np.isclose(found, true, rtol=ROUNDING, atol=0) & true.notna().to_numpy()
    return [_wrong_value(symbol, found, true, row, true.columns[column]) for row, column in np.argwhere(wrong)[:1]]


def _wrong_value(symbol: str, found: pd.DataFrame, true: pd.DataFrame, row: int, column: str) -> str:
    return f"{symbol} on {true.index[row].date()}: {column} is {found[column].iloc[row]}, and truly {true[column].iloc[row]}"
