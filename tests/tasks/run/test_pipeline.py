"""Runs of the daily job against a source with settable data: promises 2, 3, 4, 6 and 7."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.expectations import Suite
from market_rotation.tasks.errors import ConfigError, SourceUnavailable
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters, RunContext

DAYS = world.days(date(2024, 1, 2))
DATA = ("core.prices", "core.returns", "signals.relative_strength", "signals.sector_leadership")
PUBLISHED = Path("warehouse/rotation.duckdb")


@pytest.fixture(autouse=True)
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A universe of the benchmark, two small funds and a sector, with two pairs."""
    universe = world.universe(
        world.instrument("SPY", size_bucket="large"),
        world.instrument("IWM"),
        world.instrument("IJR"),
        world.instrument("XLK", kind="sector", sector="technology"),
        world.instrument("XLE", kind="sector", sector="energy"),
        world.instrument("XLF", kind="sector", sector="financials"),
        pairs=[("IWM", "SPY"), ("IJR", "SPY")],
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, universe)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")


def market(sessions: int = 80) -> world.FakeSource:
    """A source with six symbols that move every day, each in its own way."""
    symbols = ["SPY", "IWM", "IJR", "XLK", "XLE", "XLF"]
    closes = {
        s: [100.0 + 10 * k + ((i * (k + 3)) % 11) * 0.7 + 0.1 * i for i in range(sessions)]
        for k, s in enumerate(symbols)
    }
    return world.FakeSource({symbol: world.bars(symbol, values) for symbol, values in closes.items()})


@pytest.fixture
def begun(members: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The warehouse after a good run of the sixtieth session."""
    world.copy_of_first_run(tmp_path_factory, "pipeline", lambda: world.run(market(), DAYS[59]))


def edit(source: world.FakeSource, symbol: str, row: int, **values: object) -> None:
    """Changes values of one bar of the source."""
    frame = source.frames[symbol].copy()
    for column, value in values.items():
        frame.loc[frame.index[row], column] = value
    source.frames[symbol] = frame


def rows(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


def test_first_run_publishes_everything_it_was_given() -> None:
    """Every bar up to the session of the run is published, and none after it."""
    run = world.run(market(), DAYS[59])
    assert (run.status, run.rows_fetched, run.rows_new, run.rows_revised) == ("published", 360, 360, 0)
    assert rows("select symbol, count(*), max(session) from core.prices group by symbol order by symbol") == [
        (symbol, 60, DAYS[59]) for symbol in sorted(market().frames)
    ]


def test_nothing_unaudited_reaches_readers() -> None:
    """The published file holds no staged table, neither after a good run nor after a blocked one."""
    source = market()
    for close in (None, 100.0):
        edit(source, "SPY", 59, close=close)
        world.run(source, DAYS[59])
        assert rows("select schema_name, table_name from duckdb_tables() where schema_name = 'stage'") == []


def test_second_run_asks_nothing(begun: None) -> None:
    """A session that is already in is up to date without troubling the source, and all tables stay as they were."""
    before = world.content(PUBLISHED, *DATA)
    source = market()
    run = world.run(source, DAYS[59])
    assert run.status == "up_to_date"
    assert source.asked == []
    assert world.content(PUBLISHED, *DATA) == before


@pytest.mark.long_after(0)
def test_next_session_asks_ten_sessions_of_overlap_and_stages_only_what_is_new(begun: None) -> None:
    """After the first run each symbol is asked from ten known sessions back, and one new bar of each is added."""
    source = market()
    run = world.run(source, DAYS[60])
    assert source.asked == [(symbol, DAYS[50], DAYS[60]) for symbol in sorted(source.frames)]
    assert (run.rows_fetched, run.rows_new, run.rows_revised) == (66, 6, 0)


@pytest.mark.long_after(0)
def test_changed_bar_in_the_overlap_is_a_revision() -> None:
    """A bar the vendor corrects is added as a new version, listed with old and new value, and the old one can still be read."""
    source = market()
    first = world.run(source, DAYS[59])
    old = source.frames["IWM"]["close"].iloc[57]
    edit(source, "IWM", 57, close=old + 1)
    run = world.run(source, DAYS[60])
    assert (run.rows_new, run.rows_revised) == (6, 1)
    assert rows("select dataset, symbol, session, column_name, old_value, new_value, run_id from ops.revisions") == [
        ("prices", "IWM", DAYS[57], "close", old, old + 1, run.run_id)
    ]
    assert rows(f"select close from core.prices where symbol = 'IWM' and session = '{DAYS[57]}'") == [(old + 1,)]
    as_of = f"core.prices_as_of('{first.known_at.isoformat()}'::timestamptz)"
    assert rows(f"select close from {as_of} where symbol = 'IWM' and session = '{DAYS[57]}'") == [(old,)]


@pytest.mark.long_after(0)
def test_restatement_by_a_constant_ratio_fetches_the_whole_history(begun: None) -> None:
    """After a 2:1 split the overlap is halved: everything is fetched again, listed, and returns show no jump."""
    source = market()
    returns = rows("select session, return_1d from core.prices where symbol = 'XLK' order by session")
    halved = source.frames["XLK"].copy()
    halved["close"] /= 2
    halved.loc[halved.index[60], "split_ratio"] = 2.0
    source.frames["XLK"] = halved
    source.asked.clear()
    run = world.run(source, DAYS[60])
    assert [call for call in source.asked if call[0] == "XLK"] == [
        ("XLK", DAYS[50], DAYS[60]),
        ("XLK", DAYS[0], DAYS[60]),
    ]
    assert (run.rows_new, run.rows_revised) == (6, 60)
    assert rows("select count(*), bool_and(new_value = old_value / 2) from ops.revisions where symbol = 'XLK'") == [
        (60, True)
    ]
    after = rows(
        f"select session, return_1d from core.prices where symbol = 'XLK' and session <= '{DAYS[59]}' order by session"
    )
    assert [r[1] for r in after[1:]] == pytest.approx([r[1] for r in returns[1:]], rel=1e-12)
    assert abs(rows(f"select return_1d from core.prices where symbol = 'XLK' and session = '{DAYS[60]}'")[0][0]) < 0.1


@pytest.mark.long_after(0)
def test_bar_the_vendor_no_longer_gives_is_withdrawn_on_a_whole_history(begun: None) -> None:
    """A restated history that leaves out a bar withdraws it, so that no bar on the old scale is left among the new ones."""
    source = market()
    halved = source.frames["XLK"].copy()
    halved["close"] /= 2
    source.frames["XLK"] = halved.drop(halved.index[20])
    run = world.run(source, DAYS[60])
    assert run.status == "published"
    assert rows(f"from core.prices where symbol = 'XLK' and session = '{DAYS[20]}'") == []
    assert rows("select count(*) from raw.prices where is_withdrawn") == [(1,)]
    assert rows(
        f"select new_value from ops.revisions where symbol = 'XLK' and session = '{DAYS[20]}' and column_name = 'close'"
    ) == [(None,)]


@pytest.mark.long_after(0)
def test_truncated_history_is_set_aside_and_the_old_one_stays(begun: None) -> None:
    """A restated history that has lost most of its bars does not take the known ones with it."""
    source = market()
    halved = source.frames["XLK"].copy()
    halved["close"] /= 2
    source.frames["XLK"] = halved.iloc[45:]
    run = world.run(source, DAYS[60])
    assert run.status == "published"
    assert rows("select symbol, session, expectation from ops.quarantine") == [("XLK", None, "history_not_truncated")]
    assert rows("select count(*), max(session) from core.prices where symbol = 'XLK'") == [(60, DAYS[59])]
    source.frames["XLK"] = halved
    assert world.run(source, DAYS[60]).status == "published"
    assert rows("select count(*), max(session) from core.prices where symbol = 'XLK'") == [(61, DAYS[60])]
    assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]


@pytest.mark.long_after(0)
def test_bar_without_close_is_set_aside_and_heals() -> None:
    """A null close is quarantined with its reason and the rest is published; when the vendor corrects it, it is published automatically."""
    source = market()
    good = source.frames["IWM"]["close"].iloc[60]
    edit(source, "IWM", 60, close=None)
    world.run(source, DAYS[59])
    run = world.run(source, DAYS[60])
    assert (run.status, run.rows_quarantined, run.rows_new) == ("published", 1, 6)
    assert rows(f"select count(*) from core.prices where session = '{DAYS[60]}'") == [(5,)]
    ((reason, kept),) = rows(f"select reason, row_json ->> '$.symbol' from ops.quarantine where session = '{DAYS[60]}'")
    assert (reason, kept) == ("The bar has no close.", "IWM")
    edit(source, "IWM", 60, close=good)
    healed = world.run(source, DAYS[60])
    assert healed.status == "published"
    assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]
    assert rows(f"select close from core.prices where symbol = 'IWM' and session = '{DAYS[60]}'") == [(good,)]


@pytest.mark.long_after(0)
def test_bar_still_missing_is_one_entry_and_not_a_new_version() -> None:
    """Asking again for a bar the vendor still lacks changes nothing: one open entry, up to date, exit as after a good run."""
    source = market()
    source.frames["IJR"] = source.frames["IJR"].iloc[:60]
    world.run(source, DAYS[60])
    before = world.content(PUBLISHED, *DATA)
    again = world.run(source, DAYS[60])
    assert (again.status, again.rows_quarantined) == ("up_to_date", 0)
    assert rows("select symbol, session, expectation, resolved_at from ops.quarantine") == [
        ("IJR", DAYS[60], "no_session_missing", None)
    ]
    assert world.content(PUBLISHED, *DATA) == before


@pytest.mark.long_after(0)
def test_failing_symbol_is_set_aside_and_heals() -> None:
    """A symbol without an answer is in quarantine with the vendor's sentence, the others are published; later it comes in whole."""
    source = market()
    held, source.frames["IJR"] = source.frames["IJR"], SourceUnavailable("Nobody answers for IJR; try later.")
    run = world.run(source, DAYS[59])
    assert (run.status, run.rows_quarantined) == ("published", 1)
    assert rows("select symbol, session, expectation, reason from ops.quarantine") == [
        ("IJR", None, "fetch", "Nobody answers for IJR; try later.")
    ]
    assert rows("select distinct pair from signals.relative_strength") == [("IWM/SPY",)]
    source.frames["IJR"] = held
    world.run(source, DAYS[59])
    assert rows("select count(*) from core.prices where symbol = 'IJR'") == [(60,)]
    assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("broken", "expectation", "cause"),
    [
        pytest.param(lambda s: edit(s, "SPY", 60, close=None), "benchmark_complete", "close_present", id="benchmark without close"),
        pytest.param(
            lambda s: s.frames.update(IWM=pd.concat([s.frames["IWM"], s.frames["IWM"].iloc[[60]]])), "one_row_per_bar", "one_row_per_bar", id="duplicate bar"
        ),
        pytest.param(
            lambda s: s.frames.update(IWM=SourceUnavailable("Gone."), IJR=SourceUnavailable("Gone.")), "most_symbols_answered", "fetch", id="third of symbols silent"
        ),
    ],
)  # fmt: skip
def test_critical_failure_blocks(broken: object, expectation: str, cause: str, begun: None) -> None:
    """A batch that fails a critical expectation changes no published row and names the cause; a good batch recovers."""
    source = market()
    before = world.content(PUBLISHED, *DATA, "raw.prices")
    broken(source)  # type: ignore[operator]
    run = world.run(source, DAYS[60])
    assert run.status == "blocked"
    assert {r.expectation.id for r in run.results if r.blocks} == {expectation}
    assert f"({cause}: " in run.message
    assert "Nothing was published" in run.message
    assert world.content(PUBLISHED, *DATA, "raw.prices") == before
    # What it would have set aside is on record, and sets nothing aside.
    assert rows("select count(*) from ops.quarantine where resolved_at is null or not is_blocked") == [(0,)]
    assert rows("select status, published from ops.runs order by run_id") == [("published", True), ("blocked", False)]
    assert (expectation,) in rows(
        f"select expectation from ops.validations where run_id = '{run.run_id}' and not success and severity = 'critical'"
    )
    assert world.run(market(), DAYS[60]).status == "published"


@pytest.mark.long_after(0)
def test_check_of_what_is_derived_that_raises_blocks(monkeypatch: pytest.MonkeyPatch, begun: None) -> None:
    """When the suite on the derived tables cannot be checked, the run is blocked, nothing changes, and the ledger records it."""
    before = world.content(PUBLISHED, *DATA, "raw.prices")

    suite = suites.load("core.fund_flows")
    broken = replace(suite.expectations[-1], id="unreadable", query="select no_such_column from core.fund_flows")
    whole = [*suites.derived(), Suite(suite.table, suite.dataset, suite.about, (broken,))]
    monkeypatch.setattr("market_rotation.tasks.audit.suites.derived", lambda: whole)
    run = world.run(market(), DAYS[60])
    assert (run.status, run.published) == ("blocked", False)
    assert world.content(PUBLISHED, *DATA, "raw.prices") == before
    assert rows("select status, published from ops.runs order by run_id") == [("published", True), ("blocked", False)]


def test_silent_source_is_a_failure(begun: None) -> None:
    """A source that answers for no symbol is a failed run with its own words, never an empty success."""
    source = market()
    before = world.content(PUBLISHED, *DATA)
    dead = world.FakeSource(dict.fromkeys(source.frames, SourceUnavailable("The line is dead; try later.")))
    run = world.run(dead, DAYS[60])
    assert run.status == "failed"
    assert "The line is dead; try later." in run.message
    assert world.content(PUBLISHED, *DATA) == before


def test_source_without_the_session_is_no_success(begun: None) -> None:
    """A vendor that has not brought out the session yet leaves the benchmark incomplete, which blocks."""
    source = market(sessions=60)
    assert world.run(source, DAYS[60]).status == "blocked"


@pytest.mark.long_after(0)
def test_catching_up_equals_daily_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four sessions brought in at once, a correction among them, end in the same tables as four daily runs."""
    tables = {}
    for home, sessions in {"daily": DAYS[60:64], "once": DAYS[63:64]}.items():
        monkeypatch.setenv("ROTATION_HOME", str(tmp_path / home))
        source = market()
        world.run(source, DAYS[59])
        edit(source, "IWM", 55, close=123.0)
        for session in sessions:
            assert world.run(source, session).status == "published"
        with warehouse.reading(tmp_path / home / "rotation.duckdb") as con:
            tables[home] = [
                world.table(con, name).drop(columns=["known_at", "run_id"], errors="ignore") for name in DATA
            ]
    for daily, once in zip(*tables.values(), strict=True):
        pd.testing.assert_frame_equal(daily, once, rtol=1e-12)


@pytest.mark.long_after(0)
def test_killed_run_is_on_record_and_does_no_harm(begun: None) -> None:
    """A run that is killed leaves readers the previous state; the next run records it and ends in the same tables."""
    source = market()
    before = world.content(PUBLISHED, *DATA)

    def interrupted(context: RunContext) -> None:
        context.con.execute("delete from raw.prices")
        raise KeyboardInterrupt

    steps = pipeline.Steps(fetch=world.fetch_in_order, load=interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(Parameters(datetime(2025, 1, 1, tzinfo=UTC), DAYS[60]), steps, source)
    assert world.content(PUBLISHED, *DATA) == before
    # A kill leaves no time to write anything down: the row still says running.
    with warehouse.writing(Path("warehouse/build.duckdb")) as con:
        con.execute("update ops.runs set status = 'running', finished_at = null where status = 'failed'")
    world.run(source, DAYS[60], datetime(2025, 1, 2, tzinfo=UTC))
    assert rows("select status from ops.runs order by run_id") == [("published",), ("failed",), ("published",)]
    assert rows("select count(*) from core.prices") == [(366,)]


def test_edited_universe_is_taken_in_without_new_prices(begun: None) -> None:
    """A new name in the universe file reaches readers at the next run, although no price changed."""
    path = Path("universe.csv")
    path.write_text(path.read_text().replace("IJR,IJR", "IJR,Another name"))
    assert world.run(market(), DAYS[59]).status == "published"
    assert rows("select name from core.instruments where symbol = 'IJR'") == [("Another name",)]
    assert rows("select count(distinct known_at) from raw.universe") == [(2,)]


@pytest.mark.long_after(0)
def test_clock_that_went_back_does_not_hide_the_newer_version() -> None:
    """Versions are ordered by when they came in, also when the machine's clock was set back in between."""
    source = market()
    world.run(source, DAYS[59], datetime(2026, 5, 1, tzinfo=UTC))
    edit(source, "IWM", 57, close=99.0)
    world.run(source, DAYS[60], datetime(2026, 4, 1, tzinfo=UTC))
    assert rows(f"select close from core.prices where symbol = 'IWM' and session = '{DAYS[57]}'") == [(99.0,)]


def test_simulated_and_real_prices_are_not_mixed(monkeypatch: pytest.MonkeyPatch, begun: None) -> None:
    """A warehouse of one kind refuses a source of the other, in one sentence, before anything is fetched."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    with pytest.raises(ConfigError, match=r"holds real prices and the source is 'sample'"):
        world.run(market(), DAYS[60])
