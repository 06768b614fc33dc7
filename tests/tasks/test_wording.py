"""Plain values in messages: rows, numbers, durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from market_rotation.tasks import wording
from market_rotation.tasks.errors import Failure


@pytest.mark.parametrize(
    ("values", "columns", "expected"),
    [
        (
            {"symbol": "IWM", "session": "2026-01-16", "close": 221.3, "open": 1.2},
            (),
            "IWM 2026-01-16: close 221.3, open 1.2",
        ),
        ({"close": None, "symbol": "IWM", "volume": 41234567.0}, (), "IWM: close missing, volume 41,234,567"),
        ({"symbol": "VB", "as_of": "2026-01-16"}, (), "VB 2026-01-16"),
        ({"fund_symbol": "IWM", "weight": 0.0312345678}, (), "IWM: weight 0.0312346"),
        ({"symbol": "IWM", "close": 1.0, "is_new": True, "rank": 2}, ("symbol", "close"), "IWM: close 1"),
        ({"symbol": "IWM", "ratio": 1.5}, ("close",), "IWM: ratio 1.5"),
        ({"share": 1e-300}, (), "share 1e-300"),
        ({}, (), ""),
    ],
)
def test_a_row(values: dict[str, object], columns: tuple[str, ...], expected: str) -> None:
    """Key first, then values by name; None is `missing`, never zero; only the requested columns, if the row has any of them."""
    assert wording.row(values, columns) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_a_duration(given: timedelta, expected: str) -> None:
    """The largest unit of which there are at least two."""
    assert wording.duration(given) == expected


def test_a_failure() -> None:
    """A failure is a sentence with examples as plain values; one that could not be checked says why."""
    row = '{"symbol": "IWM", "session": "2026-01-16", "close": 221.3, "open": 1.2}'
    one = Failure("prices", "bar_consistent", "The high is below the close.", 1, [row])
    assert (
        one.describe() == "The high is below the close. (bar_consistent: 1 row IWM 2026-01-16: close 221.3, open 1.2)"
    )
    many = Failure("prices", "bar_consistent", "The high is below the close.", 1234, [row])
    assert "(bar_consistent: 1,234 rows, such as IWM 2026-01-16: " in many.describe()
    assert Failure("prices", "x", "It could not be checked (no column).", None, []).describe() == (
        "x: It could not be checked (no column)."
    )
