"""A small fake market behind the issuers' endpoints, and what the tests of both issuers share."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest

from market_rotation.tasks.datasets import FUND_NAV_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.errors import RotationError, SourceUnavailable
from market_rotation.tasks.sources.base import typed

START, END = date(2025, 12, 1), date(2026, 1, 16)
EVER = (date(1970, 1, 1), date(2099, 1, 1))


class Market:
    """A `FundSource` with the same seven weeks for every fund: a split, a gap, a payment, a Saturday and a doubled row."""

    name = "market"

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        days = [*pd.bdate_range(START, END), pd.Timestamp("2026-01-17")]
        days.insert(3, days[2])
        count = len(days)
        columns = {
            "symbol": [symbol] * count,
            "session": days,
            # Six decimals, as the issuers publish; openpyxl itself writes no more than 16 digits.
            "nav": [
                round(291.04 - n / 7 if d < pd.Timestamp("2025-12-05") else 146.62 - n / 7, 6)
                for n, d in enumerate(days)
            ],
            "shares_outstanding": [float(325_805_897 + 50_000 * n) for n in range(count)],
            "total_net_assets_usd": [94_822_548_262.88 + n for n in range(count)],
            "distribution": [0.437521 if n == 15 else math.nan for n in range(count)],
            "source": [self.name] * count,
        }
        frame = typed(columns, FUND_NAV_COLUMNS)
        frame.loc[7, "shares_outstanding"] = frame.loc[8, "nav"] = math.nan
        return frame[(frame["session"] >= str(start)) & (frame["session"] <= str(end))].reset_index(drop=True)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        held = pd.DataFrame(
            {
                "symbol": pd.Series(["AAPL", "BRK-B", None, "MA"], dtype="object"),
                "name": ["APPLE INC", "BERKSHIRE HATHAWAY INC CLASS B", "US DOLLAR", "MASTERCARD INC CLASS A"],
                "weight": [0.61, 0.33, 0.04, 0.02],
            }
        )
        return typed(held.assign(fund_symbol=symbol, as_of=pd.Timestamp(END), source=self.name), HOLDINGS_COLUMNS)


def same_nav(got: pd.DataFrame, expected: pd.DataFrame, absent: str | None = None, basis: str = "daily_count") -> None:
    """`got` is `expected`, bit for bit, but for its source and the column that the issuer does not publish."""
    assert dict(got.dtypes.astype(str)) == FUND_NAV_COLUMNS
    assert absent is None or got[absent].isna().all()
    assert set(got["share_count_basis"]) <= {basis}
    kept = [name for name in FUND_NAV_COLUMNS if name not in ("source", "share_count_basis", absent)]
    pd.testing.assert_frame_equal(got[kept], expected[kept].reset_index(drop=True), check_exact=True)


def refused(call: Callable[[], object], *says: str, error: type[RotationError] = SourceUnavailable) -> None:
    """`call` raises exactly `error` with one readable sentence that has each of `says` in it."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    message = str(caught.value)
    assert [part for part in says if part not in message] == [], message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 250
