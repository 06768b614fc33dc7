"""Whole runs against a simulated vendor that goes wrong, in each of the ways of `market_rotation.tasks.sources.simulated.faults`: promises 2, 3 and 7."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.sources.simulated.faults import FAULTS, FaultySource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe

SYMBOLS = ["SPY", "IWB", "IWM", "XLK", "XLE", "VB", "IWC"]
#: The session of the fault is an ex-date of most of these funds. Between the early start and it lies a split of XLK.
EARLY, BEFORE, SESSION, NEXT = date(2025, 12, 4), date(2025, 12, 15), date(2025, 12, 16), date(2025, 12, 17)
SATURDAY = date(2025, 12, 13)
PUBLISHED = Path("warehouse/rotation.duckdb")


@dataclass(frozen=True)
class Case:
    """A fault of a symbol, the expectation that must find it and on which rows, the session known before, and the one it heals with.

    `believed` are wrong sessions that cannot be recognised yet.
    """

    name: str
    expectation: str
    symbol: str = "IWM"
    dataset: str = "prices"
    before: date = BEFORE
    rows: tuple[date | None, ...] = (SESSION,)
    heals: date = SESSION
    believed: tuple[date, ...] = ()


CRITICAL = [
    Case("duplicate-day", "one_row_per_bar"),
    Case("future-date", "not_after_session"),
    Case("unfinished-bar", "not_after_session"),
]
WARNING = [
    Case("bad-tick", "return_plausible"),
    Case("sign-flip", "prices_positive"),
    Case("swapped-high-low", "bar_consistent"),
    Case("missing-symbol", "fetch", rows=(None,)),
    Case("missing-day", "no_session_missing", before=EARLY, rows=(BEFORE,)),
    # A day without a session is never missing, so it is requested again only with the next session.
    Case("stray-holiday", "on_a_session", rows=(SATURDAY,)),
    # A close that stood still for less than five sessions may be true, and was published, as on each of those days.
    Case("frozen-price", "price_moves", before=EARLY, believed=(date(2025, 12, 11), date(2025, 12, 12), BEFORE)),
    # The issuer's file is requested again only for a new session.
    Case("frozen-shares", "share_counts_alive", dataset="core.fund_flows", before=EARLY, rows=(BEFORE,), heals=NEXT),
    Case("unannounced-split", "split_announced"),
    Case("dividend-twice", "adj_close_as_vendor"),
    Case("currency-switch", "return_plausible"),
    # Without its split the doubled share count of the fund looks impossible, and its file is also requested again only for a new session.
    Case("truncated-history", "history_not_truncated", symbol="XLK", before=EARLY, rows=(None,)),
]

Clean = Callable[[date], Path]


def members() -> Universe:
    shipped = load_universe()
    chosen = tuple(i for i in shipped.instruments if i.symbol in SYMBOLS)
    pairs = tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= set(SYMBOLS))
    return Universe(instruments=chosen, pairs=pairs)


@cache
def vendor() -> SampleSource:
    return SampleSource(calendar.load(date(1993, 1, 29), date(2026, 11, 20)), members().instruments)


def faulty(case: Case) -> FaultySource:
    return FaultySource(vendor(), case.name, case.symbol, SESSION)


def settle(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, members())))
    patch.setenv("ROTATION_HISTORY_START", "2024-10-16")
    patch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "0")
    patch.setenv("ROTATION_SOURCE", "sample")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """The folder with warehouses of good runs that began with a session: one after that session, the fault's and the next."""

    def make(first: date, folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            settle(folder, patch)
            for session in (first, SESSION, NEXT):
                assert world.run(vendor(), session).status == "published"
                shutil.copytree(folder / "warehouse", folder / str(session))

    return lambda first: world.made_once(tmp_path_factory, f"clean-market-{first}", partial(make, first))


def start(clean: Clean, case: Case) -> None:
    """The warehouse as it was before the fault."""
    shutil.copytree(clean(case.before) / str(case.before), "warehouse")


def rows(query: str, path: Path = PUBLISHED) -> list[tuple[Any, ...]]:
    with warehouse.reading(path) as con:
        return con.execute(query).fetchall()


def content() -> dict[str, str]:
    """A hash of every table that holds data."""
    return world.content(PUBLISHED, *tables("raw", "core", "signals"))


def tables(*schemas: str) -> list[str]:
    names = rows(
        f"select schema_name || '.' || table_name from duckdb_tables() where schema_name in {schemas} order by 1"
    )
    return [name for (name,) in names]


def derived(path: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and content of each derived table, apart from which run fetched it when."""
    with warehouse.reading(path) as con:
        for name in tables("core", "signals"):
            yield name, world.table(con, name).drop(columns=["known_at", "run_id"], errors="ignore")


def assert_as_if_nothing_had_happened(clean: Clean, case: Case, session: date) -> None:
    """core and signals are those of good runs, and nothing is left in quarantine."""
    expected = dict(derived(clean(case.before) / str(session) / "rotation.duckdb"))
    for name, found in derived(PUBLISHED):
        pd.testing.assert_frame_equal(found, expected[name], rtol=1e-12, obj=name)
    assert rows("from ops.quarantine where resolved_at is null") == []


def test_each_fault_has_a_case() -> None:
    """Every fault that can be chosen is tested here; the outage of a whole vendor in a test of its own."""
    assert sorted(case.name for case in [*CRITICAL, *WARNING]) == sorted(set(FAULTS) - {"source-down"})


@pytest.mark.long_after(0)
@pytest.mark.parametrize("case", CRITICAL, ids=lambda case: case.name)
def test_batch_that_cannot_be_trusted(clean: Clean, case: Case) -> None:
    """It blocks, again and again, with no table changed; with the fault gone the next run ends where good runs would have."""
    start(clean, case)
    before = content()
    for _ in range(2):
        run = world.run(faulty(case), SESSION)
        assert (run.status, run.published) == ("blocked", False)
        assert case.expectation in run.message
        assert case.symbol in run.message
        found = f"select severity, unexpected_count from ops.validations where run_id = '{run.run_id}' and expectation = '{case.expectation}'"
        assert rows(f"{found} and dataset = 'prices'") == [("critical", 1)]
        assert content() == before
    assert rows("from ops.quarantine where resolved_at is null or not is_blocked") == []
    assert world.run(vendor(), SESSION).status == "published"
    assert_as_if_nothing_had_happened(clean, case, SESSION)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("case", WARNING, ids=lambda case: case.name)
def test_rows_that_can_be_set_aside(clean: Clean, case: Case) -> None:
    """They wait in quarantine while all else is published; asking again changes nothing, and with the fault gone all is as if it had not been."""
    start(clean, case)
    before = known_of(case)
    run = world.run(faulty(case), SESSION)
    assert run.status == "published", run.message
    check_quarantine(case)
    assert known_of(case) == before
    check_published(clean(case.before) / str(SESSION) / "rotation.duckdb", case)

    after, entries = content(), rows("from ops.quarantine")
    assert world.run(faulty(case), SESSION).status == "up_to_date"
    assert content() == after
    assert rows("from ops.quarantine") == entries

    assert world.run(vendor(), case.heals).status in ("published", "up_to_date")
    assert_as_if_nothing_had_happened(clean, case, case.heals)
    assert len(rows("from ops.quarantine")) == len(entries)


def known_of(case: Case) -> list[tuple[Any, ...]]:
    """The published data of the symbol before the fault. A new dividend rescales the adjusted close; an issuer is a day late."""
    exclude, until = (" exclude (adj_close)", "<=") if case.dataset == "prices" else ("", "<")
    table = case.dataset if "." in case.dataset else f"core.{case.dataset}"
    return rows(
        f"select *{exclude} from {table} where symbol = '{case.symbol}' and session {until} '{case.before}' order by session"
    )


def check_quarantine(case: Case) -> None:
    """The fault is found where it is by what should find it, no other symbol is set aside, and each entry shows the bar as it was given."""
    entries = rows(
        "select expectation, dataset, symbol, session, row_json from ops.quarantine where resolved_at is null"
    )
    assert {symbol for _, _, symbol, _, _ in entries} == {case.symbol}
    found = [(dataset, session) for expectation, dataset, _, session, _ in entries if expectation == case.expectation]
    assert set(found) >= {(case.dataset, session) for session in case.rows}
    assert len(found) == len(set(found))
    # Without a delivered row the entry has the row of the expectation; without any data it has none.
    assert {json.loads(kept)["symbol"] for *_, kept in entries if kept} <= {case.symbol}
    bars = {session: json.loads(kept) for _, dataset, _, session, kept in entries if dataset == "prices" and session}
    for session, bar in bars.items():
        given = faulty(case).prices(case.symbol, EARLY, SESSION).set_index("session")
        if pd.Timestamp(session) in given.index:
            expected = given.loc[pd.Timestamp(session)]
            names = ["open", "high", "low", "close", "volume", "dividend"]
            assert [bar[name] for name in names] == pytest.approx([expected[name] for name in names])


def check_published(good: Path, case: Case) -> None:
    """What is published is what good runs publish, less what was set aside."""
    others = (
        f"select * exclude (known_at, run_id) from core.prices where symbol <> '{case.symbol}' order by symbol, session"
    )
    assert rows(others) == rows(others, good)
    own = f"select session, open, high, low, close, volume, dividend from core.prices where symbol = '{case.symbol}' and session > '{case.before}'"
    assert {row for row in rows(own) if row[0] not in case.believed} <= set(rows(own, good))
    ratios = "select pair, session, ratio from signals.relative_strength"
    true = {(pair, session): ratio for pair, session, ratio in rows(ratios, good)}
    for pair, session, ratio in rows(ratios):
        if session not in case.believed:
            # Over a missing session the total return reinvests a dividend at another close, hence not quite the same.
            assert ratio == pytest.approx(true[pair, session], rel=1e-4)
    if case.dataset == "core.fund_flows":
        flow = f"select net_flow_usd, null_reason from core.fund_flows where symbol = '{case.symbol}' and session = '{case.rows[0]}'"
        assert rows(flow) == [(None, "dead source")]


@pytest.mark.long_after(0)
def test_vendor_that_answers_nobody(clean: Clean) -> None:
    """An outage is a failed run that changes nothing, and the next run catches up."""
    case = Case("source-down", "")
    start(clean, case)
    before = content()
    run = world.run(faulty(case), SESSION)
    assert run.status == "failed"
    assert "answers 503" in run.message
    assert content() == before
    assert world.run(vendor(), SESSION).status == "published"
    assert_as_if_nothing_had_happened(clean, case, SESSION)


def test_only_the_named_symbol_has_the_fault() -> None:
    """Other symbols, other datasets, and what ends before the fault are given as they are."""
    source = FaultySource(vendor(), "bad-tick", "IWM", SESSION)
    pd.testing.assert_frame_equal(source.prices("VB", EARLY, SESSION), vendor().prices("VB", EARLY, SESSION))
    pd.testing.assert_frame_equal(source.prices("IWM", EARLY, BEFORE), vendor().prices("IWM", EARLY, BEFORE))
    pd.testing.assert_frame_equal(source.fund_nav("IWM", EARLY, SESSION), vendor().fund_nav("IWM", EARLY, SESSION))
    assert source.prices("IWM", EARLY, SESSION)["close"].iloc[-1] > 10_000


def test_stray_holiday_is_the_last_one_of_the_range() -> None:
    """Where the range holds an exchange holiday, the stray bar is on it: yesterday's close, and nothing traded."""
    bars = (
        FaultySource(vendor(), "stray-holiday", "IWM").prices("IWM", date(2025, 11, 20), SESSION).set_index("session")
    )
    thanksgiving, before = bars.loc["2025-11-27"], bars.loc["2025-11-26"]
    assert (thanksgiving["close"], thanksgiving["volume"]) == (before["close"], 0)


def test_faulty_vendor_offers_what_the_vendor_offers() -> None:
    """A vendor without fund data has none with a fault either."""
    prices_only = world.FakeSource({})
    assert not hasattr(FaultySource(prices_only, "frozen-shares", "IWM"), "fund_nav")
    assert hasattr(FaultySource(vendor(), "frozen-shares", "IWM"), "holdings")


def test_unknown_fault_is_named() -> None:
    """A misspelt fault is refused in a sentence with the names there are."""
    with pytest.raises(ConfigError, match=r"Unknown fault 'bad-tik'; choose one of bad-tick, sign-flip"):
        FaultySource(vendor(), "bad-tik", "IWM")
