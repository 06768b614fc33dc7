"""Several sources of prices in order: the day that the first one is down, the day after it, and no step where the source changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import world
from vendor.app import CHART_FAULTS, COOKIE_FAULTS
from vendor.fixtures import two_vendors, vendor, vendor_server  # noqa: F401
from vendor.keyed import KEY
from vendor.server import Vendor

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import AccessRefused, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.run.fetch import Request, RetryPolicy, fetch_batch
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import SourceContext, source_class
from market_rotation.tasks.sources.fallback import DOWN_AFTER, QUIET_S, Ordered
from market_rotation.tasks.sources.yahoo.chart import YahooSource
from market_rotation.tasks.universe import load_universe

#: An ex-date of most funds, with the day before and the day after.
BEFORE, SESSION, NEXT = date(2025, 12, 15), date(2025, 12, 16), date(2025, 12, 17)
SYMBOLS = ("SPY", "IWM", "VB")
PUBLISHED = Path("warehouse/rotation.duckdb")
#: A bar that is wrong in itself is the audit's to judge: the source did answer. `holiday_row` adds a row that the audit sets aside.
ANSWERED = {"bad_tick", "holiday_row"}
#: Yahoo's adapter copes with these itself.
COPED = COOKIE_FAULTS | {"future_row", "live_row"}


class Named(world.FakeSource):
    """A source of prices with a name."""

    def __init__(self, name: str, frames: Any) -> None:
        super().__init__(frames)
        self.name = name


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_vendors(tmp_path, monkeypatch, *SYMBOLS)


def run(market: Vendor, session: date, kind: str = "") -> Run:
    """The job on the evening of `session`, for prices, through both genuine clients. Only where Yahoo hangs by `kind` is the wait short."""
    market.now = datetime.combine(session, time(23, 30), UTC)
    context = SourceContext(
        load_settings(), calendar.load(date(2005, 1, 3), session), load_universe(), datetime.now(UTC)
    )
    client = YahooSource(timeout_s={"hang": 0.7, "cookie_hang": 3.0}.get(kind, 20.0))
    yahoo = SimpleNamespace(name="yahoo", datasets=frozenset({"prices"}), prices=client.prices)
    return world.run(Ordered([yahoo, source_class("tiingo").open(context)]), session, market.now)


def rows(query: str, path: Path = PUBLISHED) -> list[tuple[Any, ...]]:
    with warehouse.reading(path) as con:
        return con.execute(query).fetchall()


@pytest.fixture
def begun(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Warehouses of an undisturbed Yahoo, on the day before and on the day after; this test's home holds the first."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            two_vendors(folder, patch, *SYMBOLS)
            assert run(vendor, BEFORE).status == "published"
            shutil.copytree("warehouse", "before")
            assert [run(vendor, session).status for session in (SESSION, NEXT)] == ["published"] * 2

    folder = world.made_once(tmp_path_factory, "fallback-begun", make)
    shutil.copytree(folder / "before", "warehouse")
    return folder / "warehouse" / "rotation.duckdb"


@pytest.mark.long_after(1)
@pytest.mark.parametrize("kind", sorted((CHART_FAULTS | COOKIE_FAULTS) - ANSWERED))
def test_a_day_without_yahoo_is_complete_and_the_next_equals_an_undisturbed_one(
    vendor: Vendor,  # noqa: F811
    kind: str,
    begun: Path,
) -> None:
    """Whatever Yahoo's fault, the second source gives the day the same evening; a day later all values are as if nothing had happened."""
    vendor.fault("*", kind)
    assert run(vendor, SESSION, kind).status == "published"
    given = rows(f"select symbol, source from core.prices where session = '{SESSION}' order by symbol")
    assert [symbol for symbol, _ in given] == sorted(SYMBOLS)
    assert {source for _, source in given} == ({"yahoo"} if kind in COPED else {"tiingo"})
    assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]
    (message,) = rows(f"select message from ops.runs where session = '{SESSION}'")
    assert ("Prices of 3 symbols are from tiingo." in message[0]) == (kind not in COPED)

    vendor.heal()
    assert run(vendor, NEXT).status == "published"
    assert_same_but_for_source(PUBLISHED, begun)
    assert rows("select count(*) from ops.revisions") == [(0,)]
    assert rows("select count(*) from ops.reconciliations") == [(0,)]


def assert_same_but_for_source(one: Path, other: Path) -> None:
    with warehouse.reading(one) as left, warehouse.reading(other) as right:
        names = [
            f"{schema}.{name}"
            for schema, name in left.execute(
                "select schema_name, table_name from duckdb_tables() where schema_name in ('core', 'signals') order by all"
            ).fetchall()
        ]
        assert {"core.prices", "core.returns", "signals.relative_strength", "signals.rotation_regime"} <= set(names)
        for name in names:
            frames = [
                con.sql(f"from {name}").df().drop(columns=["source", "known_at", "run_id"], errors="ignore")
                for con in (left, right)
            ]
            keys = [c for c in frames[0].columns if frames[0][c].dtype == object or "session" in c or "month" in c]
            frames = [frame.sort_values(keys).reset_index(drop=True) for frame in frames]
            assert len(frames[1]) or name not in ("core.prices", "signals.relative_strength")
            pd.testing.assert_frame_equal(*frames, rtol=1e-9, obj=name)


@pytest.mark.long_after(0)
def test_the_configured_sources_are_opened_in_order(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """As a user sets it: Tiingo, then EODHD; the one symbol that Tiingo fails for is EODHD's, and no key is in any file."""
    monkeypatch.setenv("ROTATION_SOURCE", "tiingo,eodhd")
    monkeypatch.setenv("EODHD_API_KEY", KEY)
    market: Any = None
    vendor.now = datetime.combine(SESSION, time(23, 30), UTC)
    vendor.keyed.fault("VB", "key_echo", 1)
    made = world.run(market, SESSION)
    assert made.status == "published", made.message
    assert "Prices of 1 symbol are from eodhd." in made.message
    assert rows("select distinct symbol, source from core.prices order by all") == [
        ("IWM", "tiingo"),
        ("SPY", "tiingo"),
        ("VB", "eodhd"),
    ]
    assert rows("select count(*) from ops.reconciliations") == [(0,)]
    # Each symbol is compared with the other vendor.
    assert vendor.count("eodhd.com/api/eod") == 3
    assert vendor.count("api.tiingo.com") == 4
    files = [path for path in Path("warehouse").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


# ---- which source is requested ----

DAYS = world.days()


def request(symbol: str, known_source: str | None = None) -> Request:
    return Request("prices", symbol, DAYS[0], DAYS[3], known_source=known_source)


def policy(attempts: int = 1, clock: Callable[[], float] = lambda: 0.0) -> RetryPolicy:
    return RetryPolicy(attempts, 0.0, 1e9, clock)


BARS = world.bars("IWM", [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    "held",
    [
        SourceUnavailable("Down."),
        AccessRefused("Used up."),
        SymbolNotFound("Not known."),
        BARS[:0],
        BARS[:3],
        world.bars("IWM", [1.0, 2.0, 3.0, None]),
        pd.concat([BARS, BARS[2:3]]),
    ],
    ids=["down", "refused", "unknown", "empty", "late", "no-close", "twice"],
)
def test_what_the_first_cannot_give_the_next_gives(held: Any) -> None:
    """Every typed failure, and every answer without the bar that is due, goes on to the next source, which is named in the answer."""
    first, second = Named("one", {"IWM": held}), Named("two", {"IWM": BARS})
    (answer,) = fetch_batch(Ordered([first, second]), [request("IWM")], policy())
    assert (answer.source, answer.frame is not None and len(answer.frame), answer.error) == ("two", 4, None)
    assert len(first.asked) == len(second.asked) == 1


def test_a_symbol_stays_with_the_source_of_its_newest_bar() -> None:
    """The second source is requested first where it gave the newest bar, and the first only when that one fails."""
    first, second = Named("one", {"IWM": BARS}), Named("two", {"IWM": BARS})
    sources = Ordered([first, second])
    assert fetch_batch(sources, [request("IWM", "two")], policy())[0].source == "two"
    assert first.asked == []
    second.frames["IWM"] = SourceUnavailable("Down.")
    assert fetch_batch(sources, [request("IWM", "two")], policy())[0].source == "one"


def test_all_reasons_are_named() -> None:
    """When no source gives a symbol, its error has the reason of each; a later retry may help if it may help one of them."""
    sources = Ordered(
        [Named("one", {"IWM": SourceUnavailable("It is down.")}), Named("two", {"IWM": AccessRefused("Used up.")})]
    )
    (answer,) = fetch_batch(sources, [request("IWM")], policy())
    assert answer.error == "No source gave prices of IWM. one: It is down. two: Used up."
    assert answer.is_unavailable


def test_an_incomplete_answer_is_kept_where_no_source_has_more() -> None:
    """Where nobody has the bar of the session, the first source's rows are the answer, and the audit judges them."""
    sources = Ordered([Named("one", {"IWM": BARS[:3]}), Named("two", {"IWM": BARS[:2]})])
    (answer,) = fetch_batch(sources, [request("IWM")], policy())
    assert (answer.source, answer.frame is not None and len(answer.frame)) == ("one", 3)


def test_a_source_that_is_down_costs_one_retry_schedule() -> None:
    """All attempts for the first symbol, one each for the next ones, then none for a while; and it is tried again later."""
    symbols = [f"S{i}" for i in range(10)]
    first = Named("one", dict.fromkeys(symbols, SourceUnavailable("It is down.")))
    second = Named("two", {symbol: world.bars(symbol, [1.0, 2.0, 3.0, 4.0]) for symbol in symbols})
    sources, now = Ordered([first, second]), [0.0]
    answers = fetch_batch(sources, [request(symbol) for symbol in symbols], policy(4, lambda: now[0]))
    assert {answer.source for answer in answers} == {"two"}
    assert len(first.asked) == 4 + (DOWN_AFTER - 1)
    now[0] = QUIET_S + 1
    first.frames["S0"] = second.frames["S0"]
    assert fetch_batch(sources, [request("S0")], policy(4, lambda: now[0]))[0].source == "one"


# ---- no step where the source changes ----


def market(**closes: list[float]) -> dict[str, pd.DataFrame]:
    return {symbol: world.bars(symbol, list(values), date(2025, 6, 2)) for symbol, values in closes.items()}


def two(n: int, one_is_down: bool, other: Callable[[str, list[float]], pd.DataFrame] | None = None) -> Ordered:
    """Two sources with `n` sessions; the second states them as `other` does."""
    plain = {symbol: [100 + 0.3 * ((7 * i) % 5) + i / 50 for i in range(n)] for symbol in SYMBOLS}
    stated = {s: other(s, closes) if other else world.bars(s, closes, date(2025, 6, 2)) for s, closes in plain.items()}
    one: Any = dict.fromkeys(SYMBOLS, SourceUnavailable("Down.")) if one_is_down else market(**plain)
    return Ordered([Named("yahoo", one), Named("tiingo", stated)])


SESSIONS = world.days(date(2025, 6, 2), date(2025, 12, 31))


@pytest.mark.long_after(0)
def test_rounding_of_the_second_source_is_no_restatement() -> None:
    """Closes in whole cents: the known bars stay, nothing is revised, no history is requested, and the seam shows no step."""

    def in_cents(symbol: str, closes: list[float]) -> pd.DataFrame:
        return world.bars(symbol, [round(close * 1.00004, 2) for close in closes], date(2025, 6, 2))

    assert world.run(two(60, False), SESSIONS[59]).status == "published"
    sources = two(61, True, in_cents)
    assert world.run(sources, SESSIONS[60]).status == "published"
    assert rows("select count(*) from ops.revisions") == [(0,)]
    assert rows("select source, count(*) from raw.prices group by all order by all") == [("tiingo", 3), ("yahoo", 180)]
    assert {start for _, start, _ in sources.witnesses("prices", "yahoo")[0].asked} == {SESSIONS[50]}
    (step,) = rows(f"select return_1d from core.prices where symbol = 'IWM' and session = '{SESSIONS[60]}'")
    assert abs(step[0]) < 0.013
    assert rows("select count(*) from ops.reconciliations") == [(0,)]


@pytest.mark.long_after(0)
def test_a_split_on_the_day_of_the_change_takes_the_history_from_the_new_source() -> None:
    """A split that only the second source can state puts all bars on one basis, its own; the total return does not step."""

    def split(symbol: str, closes: list[float]) -> pd.DataFrame:
        ratios = [1.0] * (len(closes) - 1) + [2.0]
        closes = [close / 2 for close in closes]
        return world.bars(symbol, closes, date(2025, 6, 2), split_ratio=ratios)

    assert world.run(two(60, False), SESSIONS[59]).status == "published"
    assert world.run(two(61, True, split), SESSIONS[60]).status == "published"
    assert rows("select source, count(*) from core.prices group by all") == [("tiingo", 183)]
    (largest,) = rows("select max(abs(return_1d)) from core.prices")
    assert largest[0] < 0.013


@pytest.mark.long_after(0)
def test_a_known_bar_that_the_new_source_denies_is_kept_and_both_values_are_listed() -> None:
    """Where the closes of the overlap disagree beyond rounding, the known one stays and the difference is recorded and alerted."""

    def wrong(symbol: str, closes: list[float]) -> pd.DataFrame:
        return world.bars(symbol, [c * (1.01 if i == 55 else 1) for i, c in enumerate(closes)], date(2025, 6, 2))

    assert world.run(two(60, False), SESSIONS[59]).status == "published"
    known = rows(f"select symbol, close from core.prices where session = '{SESSIONS[55]}' order by all")
    assert world.run(two(61, True, wrong), SESSIONS[60]).status == "published"
    assert rows(f"select symbol, close from core.prices where session = '{SESSIONS[55]}' order by all") == known
    found = rows(
        "select symbol, column_name, source, other_source, other_value / value, verdict from ops.reconciliations order by symbol"
    )
    assert [one[:4] for one in found] == [(s, "close", "yahoo", "tiingo") for s in sorted(SYMBOLS)]
    assert all(abs(one[4] - 1.01) < 1e-9 and one[5] == "undecided" for one in found)
    (alert,) = rows("select title from ops.alerts where fingerprint = 'prices-differ:tiingo:yahoo'")
    assert alert == ("tiingo and yahoo differ in 3 values of 3 symbols",)


@pytest.mark.long_after(0)
def test_a_difference_ends_when_the_other_sources_bar_takes_the_place_of_the_known_one() -> None:
    """A split puts the history on the new source's basis: nothing is kept of the one it differed from, so that the incident ends."""

    def wrong(symbol: str, closes: list[float]) -> pd.DataFrame:
        stated = [close * (1.01 if i == 55 else 1) for i, close in enumerate(closes)]
        ratios = [1.0] * len(closes)
        if len(closes) > 61:
            stated, ratios[-1] = [close / 2 for close in stated], 2.0
        return world.bars(symbol, stated, date(2025, 6, 2), split_ratio=ratios)

    assert world.run(two(60, False), SESSIONS[59]).status == "published"
    assert world.run(two(61, True, wrong), SESSIONS[60]).status == "published"
    assert rows("select count(*) from ops.reconciliations where resolved_at is null") == [(3,)]
    assert world.run(two(62, True, wrong), SESSIONS[61]).status == "published"
    assert rows("select source, count(*) from core.prices group by all") == [("tiingo", 186)]
    assert rows("select count(*) from ops.reconciliations where resolved_at is null") == [(0,)]
    ended = rows("select kind from ops.alerts where fingerprint = 'prices-differ:tiingo:yahoo' order by created_at")
    assert [kind for (kind,) in ended] == ["failure", "recovery"]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("sessions", [3, 15])
def test_a_split_puts_the_bars_of_a_day_without_yahoo_on_its_basis(sessions: int) -> None:
    """Two evenings came from the second source, `sessions` before a split that Yahoo states: those bars are restated with the others."""

    def split(symbol: str, n: int) -> pd.DataFrame:
        closes = [(100 + 0.3 * ((7 * i) % 5) + i / 50) / 2 for i in range(n)]
        return world.bars(symbol, closes, date(2025, 6, 2), split_ratio=[1.0] * (n - 1) + [2.0])

    def yahoo(n: int) -> world.FakeSource:
        return Named("yahoo", {s: two(n, False).candidates("prices", s, None)[0][0].frames[s] for s in SYMBOLS})

    assert world.run(two(40, False), SESSIONS[39]).status == "published"
    for n in (41, 42):
        assert world.run(two(n, True), SESSIONS[n - 1]).status == "published"
    for n in range(43, 42 + sessions):
        assert world.run(yahoo(n), SESSIONS[n - 1]).status == "published"
    assert rows("select source, count(*) from core.prices group by all order by all")[0] == ("tiingo", 6)
    n = 42 + sessions
    assert world.run(Named("yahoo", {s: split(s, n) for s in SYMBOLS}), SESSIONS[n - 1]).status == "published"
    assert rows("select source, count(*) from core.prices group by all") == [("yahoo", 3 * n)]
    (largest,) = rows("select max(abs(return_1d)) from core.prices")
    assert largest[0] < 0.013
    assert rows("select count(*) from ops.quarantine") == [(0,)]
