"""`rotation status` names each fund whose records stand still or lag, with the number of sessions."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest
import world

from market_rotation.tasks.operations import health
from market_rotation.tasks.operations.state import LateFund
from market_rotation.tasks.warehouse import macros

DAYS = world.days()
N = 110
FUNDS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
MEMBERS = world.universe(world.instrument("SPY"), *(world.instrument(symbol) for symbol in FUNDS))
#: Assets / NAV of Yahoo are due on the same day, records of an issuer one session later.
YAHOO = "yahoo: assets / NAV"


def navs(count: int) -> list[float]:
    return [50 + 0.25 * (i % 7) + 0.01 * i for i in range(count)]


def counts(count: int) -> list[float]:
    return [1_000.0 + 10 * i for i in range(count)]


@pytest.fixture(scope="module")
def found() -> dict[str, LateFund]:
    """The late funds of a made-up warehouse, by symbol."""
    frozen = counts(N - 7) + [counts(N - 7)[-1]] * 7
    given = [
        # On time: yesterday's record; unchanged for long; three sessions late; a count 30 sessions ago and NAV since; no count ever.
        world.records("AAA", navs(N - 1), counts(N - 1)),
        world.records("BBB", navs(N), frozen),
        world.records("CCC", navs(N - 3), counts(N - 3)),
        world.records("DDD", navs(N), [*counts(N - 30), *[None] * 30]),
        world.records("EEE", navs(N), None),
    ]
    # FFF has no record at all, which coverage shows and no age can.
    frames = [world.bars("SPY", [100.0 + i % 3 for i in range(N)])]
    with world.derived(frames, MEMBERS, DAYS[N - 1], fund_nav=pd.concat(given)) as con:
        rows = macros.rows(con, "from late_funds()")
        assert rows == macros.rows(con, "from ops.late_funds()")
    return {row["symbol"]: LateFund(**row) for row in rows}


def test_which_funds_are_late(found: dict[str, LateFund]) -> None:
    """The fund on time, the one without counts and the one without records are not named."""
    assert {symbol: fund.reason for symbol, fund in found.items()} == {
        "BBB": "unchanged",
        "CCC": "late",
        "DDD": "no share count",
    }


@pytest.mark.parametrize(
    ("symbol", "values", "sentence"),
    [
        (
            "BBB",
            {"sessions_unchanged": 7, "record_age_sessions": 0, "last_session": DAYS[N - 1]},
            f"BBB: records of issuer unchanged for 7 sessions, to {DAYS[N - 1]}; its flows are not known until the share count changes.",
        ),
        (
            "CCC",
            {"record_age_sessions": 3, "max_age_sessions": 1, "last_session": DAYS[N - 4]},
            f"CCC: last record of issuer 3 sessions old, of {DAYS[N - 4]}; 1 session is usual.",
        ),
        (
            "DDD",
            {"count_age_sessions": 30, "last_count_session": DAYS[N - 31]},
            f"DDD: last share count of issuer 30 sessions old, of {DAYS[N - 31]}; its flows are not known from then on.",
        ),
    ],
)
def test_numbers_and_sentence_of_each(
    found: dict[str, LateFund], symbol: str, values: dict[str, Any], sentence: str
) -> None:
    """Each fund has the numbers of its own records, and one sentence that says them."""
    assert {name: getattr(found[symbol], name) for name in values} == values
    assert health.late_fund(found[symbol]) == sentence


def test_the_bound_is_that_of_the_source() -> None:
    """Yahoo's record of the session before is late, an issuer's is not; two sessions old both are."""
    for age, late in ((0, set()), (1, {"BBB"}), (2, {"AAA", "BBB"})):
        given = [world.records("AAA", navs(N - age), counts(N - age))]
        assets = [nav * count for nav, count in zip(navs(N - age), counts(N - age), strict=True)]
        given.append(world.records("BBB", navs(N - age), None, total_net_assets_usd=assets, source=YAHOO))
        frames = [world.bars("SPY", [100.0 + i % 3 for i in range(N)])]
        with world.derived(frames, MEMBERS, DAYS[N - 1], fund_nav=pd.concat(given)) as con:
            assert {row["symbol"] for row in macros.rows(con, "from late_funds()")} == late, age


def test_a_last_session_is_a_date(found: dict[str, LateFund]) -> None:
    """Dates are dates, as `rotation status --json` prints them."""
    assert isinstance(found["CCC"].last_session, date)
