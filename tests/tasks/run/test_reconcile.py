"""Reconciliation: errors planted at either of two vendors are found, with both values, judged by a witness, alerted once, and block nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import world
from vendor.fixtures import two_vendors, vendor, vendor_server  # noqa: F401
from vendor.keyed import KEY
from vendor.server import Vendor

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.datasets import Offer
from market_rotation.tasks.errors import AccessRefused, SourceUnavailable
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import SourceContext, source_class
from market_rotation.tasks.sources.fallback import DOWN_AFTER, Ordered
from market_rotation.tasks.sources.yahoo.chart import YahooSource
from market_rotation.tasks.universe import load_universe

SYMBOLS = ("IWM", "SPY", "VB")
#: IWM pays on the 16th.
BEFORE, SESSION, NEXT = date(2025, 12, 15), date(2025, 12, 16), date(2025, 12, 17)
PUBLISHED = Path("warehouse/rotation.duckdb")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_vendors(tmp_path, monkeypatch, *SYMBOLS)


def rows(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


# ---- through both genuine clients ----


class Planted:
    """The market of `source` with an error planted in the bars of IWM."""

    name = "planted"
    datasets = frozenset({"prices"})

    def __init__(self, source: Any, plant: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        self._source, self._plant = source, plant

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        frame: pd.DataFrame = self._source.prices(symbol, start, end)
        return self._plant(frame.copy()) if symbol == "IWM" else frame


def close_1_pct(frame: pd.DataFrame) -> pd.DataFrame:
    """One close 1 % too high."""
    frame.loc[frame["session"] == str(SESSION), ["close", "high"]] *= 1.01
    return frame


def no_dividend(frame: pd.DataFrame) -> pd.DataFrame:
    """A dividend left out."""
    frame.loc[frame["session"] == str(SESSION), "dividend"] = 0.0
    return frame


def with_split(ratio: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A split on the session, with all bars before it divided by its ratio."""

    def plant(frame: pd.DataFrame) -> pd.DataFrame:
        before = frame["session"] < str(SESSION)
        frame.loc[before, ["open", "high", "low", "close", "dividend", "vendor_adj_close"]] /= ratio
        frame.loc[frame["session"] == str(SESSION), "split_ratio"] = ratio
        # As traded, it falls by two: the true split.
        frame.loc[~before, ["open", "high", "low", "close", "vendor_adj_close"]] /= 2.0
        return frame

    return plant


def as_stated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


CASES = {
    "close": (close_1_pct, as_stated, "close"),
    "dividend": (no_dividend, as_stated, "distribution"),
    "split": (with_split(4.0), with_split(2.0), "split_ratio"),
}


@pytest.mark.long_after(1)
@pytest.mark.parametrize("wrong_one", ["yahoo", "tiingo"])
@pytest.mark.parametrize("case", sorted(CASES))
def test_an_error_planted_at_either_vendor_is_found_with_both_values(
    vendor: Vendor,  # noqa: F811
    case: str,
    wrong_one: str,
) -> None:
    """A close 1 % off, a missing dividend, a doubled split: recorded with both values, in one alert, and the day is published."""
    market, now = vendor.source, datetime.combine(SESSION, time(23, 30), UTC)
    wrong, right, column = CASES[case]
    vendor.now = now
    days = calendar.load(date(2005, 1, 3), SESSION)
    context = SourceContext(load_settings(), days, load_universe(), datetime.now(UTC))
    clients: dict[str, Callable[[str, date, date], pd.DataFrame]] = {
        "yahoo": YahooSource(timeout_s=5).prices,
        "tiingo": source_class("tiingo").open(context).prices,
    }

    def through(name: str) -> SimpleNamespace:
        def prices(symbol: str, start: date, end: date) -> pd.DataFrame:
            vendor.source = Planted(market, wrong if name == wrong_one else right)
            return clients[name](symbol, start, end)

        return SimpleNamespace(name=name, datasets=frozenset({"prices"}), prices=prices)

    made = world.run(Ordered([through("yahoo"), through("tiingo")]), SESSION, now)
    assert made.status == "published", made.message
    found = rows(
        f"select symbol, session, source, other_source, value, other_value, verdict from ops.reconciliations where column_name = '{column}'"
    )
    expected = {name: through(name).prices("IWM", SESSION, SESSION) for name in ("yahoo", "tiingo")}
    name = "dividend" if column == "distribution" else column
    values = [pytest.approx(float(expected[one][name].iloc[0])) for one in ("yahoo", "tiingo")]
    assert found == [("IWM", SESSION, "yahoo", "tiingo", *values, "undecided")]
    ((fingerprint, body),) = rows("select fingerprint, body from ops.alerts where fingerprint like 'prices-differ:%'")
    assert fingerprint == "prices-differ:tiingo:yahoo"
    assert f"{found[0][4]:.6g} by yahoo, {found[0][5]:.6g} by tiingo" in body
    assert KEY not in body


# ---- with two sources written by hand ----

SESSIONS = world.days(date(2025, 6, 2), date(2025, 12, 31))


class Named(world.FakeSource):
    """A source of prices, and of fund records where there are any."""

    def __init__(self, name: str, frames: Any, records: dict[str, pd.DataFrame] | None = None) -> None:
        super().__init__(frames)
        self.name, self.records = name, records or {}
        self.datasets = frozenset({"prices", "fund_nav"} if records else {"prices"})

    def offers(self, instruments: Any) -> list[Offer]:
        return [Offer("fund_nav", symbol, 1) for symbol in self.records]

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        held = self.records[symbol]
        return held[held["session"] <= pd.Timestamp(end)]


def closes(n: int) -> list[float]:
    return [100 + 0.3 * ((7 * i) % 5) + i / 50 for i in range(n)]


def frames(n: int, **changes: Any) -> dict[str, Any]:
    """Bars of `n` sessions; `changes` are values by column of the last bar of IWM but one."""
    made: dict[str, Any] = {symbol: world.bars(symbol, list(closes(n)), SESSIONS[0]) for symbol in SYMBOLS}
    for column, value in changes.items():
        made["IWM"].loc[58, column] = value
    return made


def run(one: Named, two: Named, n: int) -> Run:
    made = world.run(Ordered([one, two]), SESSIONS[n - 1])
    assert made.status == "published", made.message
    return made


@pytest.mark.long_after(0)
@pytest.mark.parametrize("wrong_one", ["yahoo", "tiingo"])
@pytest.mark.parametrize("column", ["close", "dividend"])
def test_a_third_source_decides(column: str, wrong_one: str) -> None:
    """The fund's NAV decides on a close, the issuer's distribution on a dividend: two against one."""
    records = world.records("IWM", [c * 1.0005 for c in closes(60)], [1e6] * 60, SESSIONS[0])
    records.loc[[20, 58], "distribution"] = [0.4, 0.5]
    right: dict[str, Any] = {"dividend": 0.5}
    wrong = {"dividend": 0.5, "close": closes(60)[58] * 1.01} if column == "close" else {"dividend": 0.0}
    said = {name: wrong if name == wrong_one else right for name in ("yahoo", "tiingo")}
    run(
        Named("yahoo", frames(60, **said["yahoo"]), {"IWM": records}), Named("tiingo", frames(60, **said["tiingo"])), 60
    )
    ((witness, value, verdict),) = rows("select witness, witness_value, verdict from ops.reconciliations")
    nav = column == "close"
    assert witness == ("issuer NAV" if nav else "issuer distribution")
    assert value == pytest.approx(closes(60)[58] * 1.0005 if nav else 0.5)
    assert verdict == ("source_wrong" if wrong_one == "yahoo" else "other_source_wrong")
    ((body,),) = rows("select body from ops.alerts where fingerprint like 'prices-differ:%'")
    assert f"{wrong_one} is wrong by issuer" in body


@pytest.mark.long_after(0)
def test_a_witness_that_comes_a_day_late_decides_then() -> None:
    """Issuers publish on the following day: a difference that was undecided is decided then, and the earlier judgement stays on record."""
    records = world.records("IWM", list(closes(60)), [1e6] * 60, SESSIONS[0])
    wrong = {"close": closes(60)[58] * 1.01}
    run(Named("yahoo", frames(60, **wrong), {"IWM": records[:57]}), Named("tiingo", frames(60)), 60)
    run(Named("yahoo", frames(61, **wrong), {"IWM": records}), Named("tiingo", frames(61)), 61)
    judged = "select verdict, resolved_at is null from ops.reconciliations order by run_id"
    assert rows(judged) == [("undecided", False), ("source_wrong", True)]


@pytest.mark.long_after(0)
def test_one_incident_and_one_recovery() -> None:
    """A difference is one incident however often it is found, and over when the vendors agree; both stay on record."""
    bad = {"close": closes(60)[58] * 1.01}
    run(Named("yahoo", frames(60, **bad)), Named("tiingo", frames(60)), 60)
    run(Named("yahoo", frames(61, **bad)), Named("tiingo", frames(61)), 61)
    kinds = "select kind from ops.alerts where fingerprint = 'prices-differ:tiingo:yahoo' order by created_at"
    assert rows(kinds) == [("failure",)]
    run(Named("yahoo", frames(62)), Named("tiingo", frames(62)), 62)
    assert rows(kinds) == [("failure",), ("recovery",)]
    assert rows("select count(*), count(resolved_at) from ops.reconciliations") == [(1, 1)]


@pytest.mark.long_after(0)
def test_each_symbol_has_its_turn_and_an_open_difference_is_always_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """One symbol a session goes round the universe; the one with a difference comes first, from its oldest difference on."""
    monkeypatch.setenv("ROTATION_RECONCILE_SYMBOLS", "1")
    seen = []
    for n in (60, 61, 62):
        second = Named("tiingo", frames(n))
        run(Named("yahoo", frames(n)), second, n)
        seen += [symbol for symbol, _, _ in second.asked]
    assert sorted(seen) == sorted(SYMBOLS)
    bad = frames(65, close=closes(60)[58] * 1.01)
    for n in (63, 64, 65):
        second = Named("tiingo", {symbol: frame[:n] for symbol, frame in bad.items()})
        run(Named("yahoo", frames(n)), second, n)
        asked = second.asked
        if rows("select count(*) from ops.reconciliations") == [(1,)]:
            break
    second = Named("tiingo", bad | {"IWM": world.bars("IWM", list(closes(75)), SESSIONS[0])})
    run(Named("yahoo", frames(75)), second, 75)
    assert asked[0][0] == "IWM"
    assert [one[:2] for one in second.asked] == [("IWM", SESSIONS[58])]
    assert rows("select count(*), count(resolved_at) from ops.reconciliations") == [(1, 1)]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("error", [SourceUnavailable("Down."), AccessRefused("Used up.")])
def test_a_second_source_that_fails_changes_nothing(error: Exception) -> None:
    """Without an answer nothing is compared, the day is published, and a source that is down is left alone after a few symbols."""
    second = Named("tiingo", dict.fromkeys(SYMBOLS, error))
    run(Named("yahoo", frames(60)), second, 60)
    assert len(second.asked) <= DOWN_AFTER
    assert rows("select count(*) from ops.reconciliations") == [(0,)]
    assert rows("select count(*) from ops.alerts where fingerprint like 'prices-differ:%'") == [(0,)]


@pytest.mark.long_after(0)
def test_core_is_the_same_with_and_without_a_second_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing changes no value, not even where the second source differs."""
    run(Named("yahoo", frames(60)), Named("tiingo", frames(60, close=1.0)), 60)
    compared = rows("select * exclude (run_id) from core.prices order by symbol, session")
    monkeypatch.setenv("ROTATION_HOME", "alone")
    assert world.run(Named("yahoo", frames(60)), SESSIONS[59]).status == "published"
    with warehouse.reading(Path("alone/rotation.duckdb")) as con:
        assert con.execute("select * exclude (run_id) from core.prices order by symbol, session").fetchall() == compared
        assert con.execute("select count(*) from ops.reconciliations").fetchone() == (0,)
