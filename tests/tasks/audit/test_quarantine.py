"""A person overrules the audit: what is set aside is listed, and a row that is accepted comes in with the next run, on record."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world
from rich.console import Console

from market_rotation.flows.cli import quarantine as command
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import accept as tasks_accept
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.accept import Entry
from market_rotation.tasks.audit.expectations import Severity, Suite
from market_rotation.tasks.audit.overrides import without_overridden
from market_rotation.tasks.datasets import FUND_FACTS_COLUMNS, Offer
from market_rotation.tasks.errors import ConfigError, RotationError, SourceUnavailable, WarehouseBusy
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.warehouse import database_file
from market_rotation.tasks.warehouse.publish import publish

DAYS = world.days(date(2024, 1, 2))
NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
PUBLISHED, BUILD = Path("warehouse/rotation.duckdb"), Path("warehouse/build.duckdb")


class FundSource(world.FakeSource):
    """A fake source of bars, of a fund's whole file of records up to the day before, and of facts of the day; IWM is the only fund it knows."""

    datasets = frozenset({"prices", "fund_nav", "fund_facts"})

    def __init__(self, frames: dict[str, Any]) -> None:
        super().__init__(frames)
        self.records: Any = world.records("IWM", list(frames["IWM"]["close"]), [1e6 + 1e3 * i for i in range(80)])
        self.trailing_pe = 20.0

    def offers(self, _: object) -> list[Offer]:
        return [Offer("fund_nav", "IWM", 1), Offer("fund_facts", "IWM", 0)]

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        return self.records[self.records["session"] < pd.Timestamp(end)]

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        row = {"symbol": [symbol], "as_of": pd.Timestamp(as_of), "trailing_pe": self.trailing_pe, "source": "vendor"}
        return typed(row, FUND_FACTS_COLUMNS)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> world.FakeSource:
    """A source of five symbols with open, high, low and volume, and the settings that go with it."""
    members = world.universe(
        world.instrument("SPY", size_bucket="large"),
        *map(world.instrument, ("IWM", "IJR", "MDY", "VB")),
        pairs=[("IWM", "SPY")],
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    monkeypatch.setattr(command, "out", Console(width=160))
    return world.FakeSource({symbol: bars(symbol, k) for k, symbol in enumerate(members.symbols)})


def begin_with(factory: pytest.TempPathFactory, name: str, make: Callable[[], object]) -> None:
    """Starts the test with the warehouse that `make` makes, which is done once for all tests."""

    def made(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            make()

    shutil.copytree(world.made_once(factory, name, made) / BUILD.parent, BUILD.parent)


@pytest.fixture
def blemished(source: world.FakeSource, tmp_path_factory: pytest.TempPathFactory) -> world.FakeSource:
    """The same source, whose high of IWM on the last session is too low; that bar is set aside by a first run."""
    set_bar(source, "IWM", 59, high=50.0)
    begin_with(tmp_path_factory, "blemished", lambda: world.run(source, DAYS[59]))
    return source


@pytest.fixture
def funds(source: world.FakeSource) -> FundSource:
    """The same source, with records and facts of IWM."""
    return FundSource(source.frames)


def bars(symbol: str, k: int) -> pd.DataFrame:
    closes = [100.0 + 10 * k + ((i * (k + 3)) % 11) * 0.7 + 0.1 * i for i in range(80)]
    quotes: dict[str, Any] = {
        "open": closes,
        "high": [c + 1 for c in closes],
        "low": [c - 1 for c in closes],
        "volume": [1000] * 80,
    }
    return world.bars(symbol, closes, **quotes)


def edit(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    frame = frame.copy()
    for column, value in values.items():
        frame.loc[frame.index[row], column] = value
    return frame


def set_bar(source: world.FakeSource, symbol: str, row: int, **values: object) -> None:
    """Changes values of one bar of the source."""
    source.frames[symbol] = edit(source.frames[symbol], row, **values)


def rows(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


def entries(*, resolved: bool = False) -> list[Entry]:
    with warehouse.reading(PUBLISHED) as con:
        return tasks_accept.entries(con, resolved=resolved)


def only_entry() -> Entry:
    (entry,) = entries()
    return entry


def accept(*given: str) -> None:
    for one in given:
        command.accept_row(one, "checked by hand", NOW)


def quotes(symbol: str, row: int) -> list[tuple[Any, ...]]:
    return rows(f"select high, volume from core.prices where symbol = '{symbol}' and session = '{DAYS[row]}'")


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, in one line."""
    return " ".join(capsys.readouterr().out.split())


# ---- accepted, and then ----


def test_accepted_bar_comes_in_with_the_next_run(source, capsys):
    """A bar that failed a warning is set aside, accepted, published as it is by the next run, and its entry closed."""
    set_bar(source, "IWM", 59, high=50.0)
    assert world.run(source, DAYS[59]).rows_quarantined == 1
    assert quotes("IWM", 59) == []
    entry = only_entry()
    assert (entry.dataset, entry.symbol, entry.session, entry.expectation) == (
        "prices",
        "IWM",
        DAYS[59],
        "bar_consistent",
    )

    accept(entry.id)
    assert shown(capsys) == (
        f"Accepted: prices of IWM on {DAYS[59]}, which fails bar_consistent. The next `rotation run` publishes the row as it is. "
        "If the source then gives another bad row, that one is set aside again."
    )
    assert quotes("IWM", 59) == []
    assert rows("select * exclude (row_json), row_json ->> '$.high' from ops.accepted") == [
        (entry.run_id, "prices", "IWM", DAYS[59], "bar_consistent", "checked by hand", "anna", NOW, "50.0")
    ]

    run = world.run(source, DAYS[59])
    assert (run.status, run.rows_quarantined, run.rows_new) == ("published", 0, 1)
    assert quotes("IWM", 59) == [(50.0, 1000)]
    assert rows("select resolved_at is not null from ops.quarantine") == [(True,)]
    checked = f"select success, unexpected_count from ops.validations where run_id = '{run.run_id}' and expectation = 'bar_consistent'"
    assert rows(checked) == [(True, 0)]
    assert world.run(source, DAYS[59]).status == "up_to_date"
    assert world.run(source, DAYS[60]).rows_quarantined == 0


@pytest.mark.long_after(0)
def test_only_the_accepted_row_passes(blemished):
    """Another bar of that symbol, and another symbol's bar of that day, that fail the same are set aside as ever."""
    accept(only_entry().id)
    set_bar(blemished, "IWM", 60, high=50.0)
    set_bar(blemished, "IJR", 59, high=50.0)
    assert world.run(blemished, DAYS[60]).rows_quarantined == 2
    assert quotes("IWM", 59) == [(50.0, 1000)]
    assert sorted((e.symbol, e.session) for e in entries()) == [("IJR", DAYS[59]), ("IWM", DAYS[60])]


def test_only_the_accepted_expectation_is_overruled(blemished):
    """An accepted bar that fails something else by now, with the same prices, is set aside for that."""
    accept(only_entry().id)
    set_bar(blemished, "IWM", 59, volume=-1)
    world.run(blemished, DAYS[59])
    assert quotes("IWM", 59) == []
    assert sorted(e.expectation for e in entries() if not e.accepted_at) == ["bar_consistent", "volume_not_negative"]


@pytest.mark.long_after(0)
def test_another_bad_value_is_set_aside_again(blemished):
    """What was accepted is the row as it was: a new bad one gets an entry of its own, that can be accepted in turn."""
    first = only_entry()
    accept(first.id)
    set_bar(blemished, "IWM", 59, high=51.0)
    run = world.run(blemished, DAYS[59])
    assert (run.status, run.rows_quarantined) == ("up_to_date", 1)
    second = only_entry()
    assert (second.id != first.id, second.row["high"], second.accepted_at) == (True, 51.0, None)
    assert rows("select count(*), count(resolved_at) from ops.quarantine") == [(2, 1)]
    accept(second.id)
    assert world.run(blemished, DAYS[59]).status == "published"
    assert quotes("IWM", 59) == [(51.0, 1000)]
    assert entries() == []


@pytest.mark.long_after(0)
def test_an_entry_shows_the_row_as_the_source_gives_it_now(blemished):
    """A bad bar that the source changes to another bad one is a new entry, so that an override never covers unseen values."""
    before = only_entry()
    world.run(blemished, DAYS[59])
    assert only_entry() == before
    set_bar(blemished, "IWM", 59, volume=2000)
    world.run(blemished, DAYS[59])
    assert only_entry().row["volume"] == 2000
    with pytest.raises(
        ConfigError, match=rf"^{before.id} .* was closed on {DAYS[59]}: a later row of the source took its place"
    ):
        accept(before.id)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("when", ["before the next run", "later"])
def test_a_correction_is_taken_as_usual(blemished, when):
    """Acceptance stands in no one's way: when the source gives a good bar, that is what is published."""
    good = bars("IWM", 1)
    accept(only_entry().id)
    if when == "later":
        world.run(blemished, DAYS[59])
        assert quotes("IWM", 59) == [(50.0, 1000)]
    blemished.frames["IWM"] = good
    assert world.run(blemished, DAYS[60]).status == "published"
    assert quotes("IWM", 59) == [(good["high"].iloc[59], 1000)]
    assert entries() == []
    revised = [(50.0, good["high"].iloc[59])] if when == "later" else []
    assert rows("select old_value, new_value from ops.revisions") == revised


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "values",
    [{"vendor_adj_close": 77.0}, {"close": 1 + 1e-8, "high": 50 * (1 + 1e-8)}],
    ids=["adjusted close", "last digits"],
)
def test_what_moves_from_answer_to_answer_is_no_other_row(source, values):
    """A dividend to come rescales the vendor's adjusted close, and last digits move: the bar is still the accepted one."""
    set_bar(source, "IWM", 59, high=50.0, vendor_adj_close=99.0)
    world.run(source, DAYS[59])
    accept(only_entry().id)
    if "close" in values:
        values = {**values, "close": source.frames["IWM"]["close"].iloc[59] * values["close"]}
    set_bar(source, "IWM", 59, **values)
    assert world.run(source, DAYS[59]).status == "published"
    assert len(quotes("IWM", 59)) == 1
    assert entries() == []


@pytest.mark.long_after(0)
def test_a_row_that_fails_two_checks_needs_both_accepted(source, capsys):
    """A bar held back by a second expectation stays out until that is accepted as well, of this bar and not of another."""
    set_bar(source, "IWM", 59, high=50.0, volume=-5)
    set_bar(source, "IJR", 59, volume=-5)
    world.run(source, DAYS[59])
    by = {(e.symbol, e.expectation): e.id for e in entries()}
    accept(by["IWM", "bar_consistent"])
    second = by["IWM", "volume_not_negative"]
    assert (
        f"The row also failed volume_not_negative ({second}: The volume is negative, or not a count of shares below 2^63.) and stays set aside until that is resolved or accepted."
        in shown(capsys)
    )
    accept(by["IJR", "volume_not_negative"])
    assert "also failed" not in shown(capsys)
    world.run(source, DAYS[59])
    assert (len(quotes("IJR", 59)), quotes("IWM", 59)) == (1, [])
    assert {e.symbol for e in entries()} == {"IWM"}
    accept(second)
    assert "also failed" not in shown(capsys)
    assert world.run(source, DAYS[59]).status == "published"
    assert quotes("IWM", 59) == [(50.0, -5)]
    assert entries() == []


@pytest.mark.long_after(0)
def test_every_warning_about_bars_can_be_overruled(source):
    """Whatever a warning finds in a bar, once accepted the bar comes in and neither stops the run nor what is derived."""
    faults: dict[str, dict[str, float | None]] = {
        "close_present": {"close": None},
        "prices_positive": {"low": -1.0},
        "bar_consistent": {"high": 50.0, "dividend": 1.0},
        "volume_not_negative": {"volume": -1.0},
        "actions_plausible": {"dividend": -0.5},
    }
    for row, values in enumerate(faults.values(), start=40):
        set_bar(source, "IWM", row, **values)
    closed = source.frames["IWM"].iloc[[30]].assign(session=pd.Timestamp("2024-03-09"))
    source.frames["IWM"] = pd.concat([source.frames["IWM"], closed])
    world.run(source, DAYS[59])
    assert sorted(e.expectation for e in entries()) == sorted([*faults, "on_a_session"])
    accept(*(e.id for e in entries()))
    # The bar of a closed day is requested again like any other.
    run = world.run(source, DAYS[60])
    assert (run.status, run.rows_quarantined) == ("published", 0), run.message
    assert entries() == []
    assert rows(f"select count(*) from raw.prices where run_id = '{run.run_id}' and symbol = 'IWM'") == [(7,)]
    # What has no close or session has no place among the prices.
    assert rows("select count(*), bool_and(isfinite(total_return_index)) from core.prices where symbol = 'IWM'") == [
        (60, True)
    ]


# ---- funds ----


@pytest.mark.long_after(0)
@pytest.mark.parametrize("session", [59, 60])
def test_accepted_records_of_a_fund_come_in(funds, session):
    """Accepted fund records come in with the next run: on the same day without asking the issuer again, on the next out of its file."""
    faults = {
        40: ("nav", None),
        45: ("shares_outstanding", 0.0),
        50: ("total_net_assets_usd", 1.0),
        55: ("distribution", -1.0),
    }
    for row, (column, value) in faults.items():
        funds.records = edit(funds.records, row, **{column: value})
    world.run(funds, DAYS[59])
    expectations = ["distribution_plausible", "assets_match", "shares_positive", "nav_positive"]
    assert [e.expectation for e in entries()] == expectations
    accept(*(e.id for e in entries()))
    for status in ("published", "up_to_date"):
        assert world.run(funds, DAYS[session]).status == status
        # Of the impossible count the flows make nothing, which is about a record that is in.
        assert [e.expectation for e in entries()] == ["share_count_possible"]
    world.run(funds, DAYS[61])
    for row, (column, value) in faults.items():
        assert rows(f"select {column} from raw.fund_nav where session = '{DAYS[row]}'") == [(value,)]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("taken_in", [False, True])
def test_a_corrected_record_is_taken_as_usual(funds, taken_in):
    """The issuer's correction of an accepted record wins, whether the accepted one is in already or not."""
    good = funds.records
    funds.records = edit(good, 40, distribution=-1.0)
    world.run(funds, DAYS[59])
    accept(only_entry().id)
    if taken_in:
        world.run(funds, DAYS[59])
    funds.records = edit(good, 40, distribution=1.0)
    assert world.run(funds, DAYS[60]).status == "published"
    assert rows(f"select distribution from core.fund_nav where session = '{DAYS[40]}'") == [(1.0,)]
    assert entries() == []


@pytest.mark.long_after(0)
def test_accepted_snapshot_of_a_past_day_comes_in(funds):
    """What a vendor said of a fund yesterday can't be asked today, so it comes in from the record, beside today's."""
    funds.trailing_pe = 0.03
    world.run(funds, DAYS[59])
    accept(only_entry().id)
    funds.trailing_pe = 33.0
    assert world.run(funds, DAYS[60]).status == "published"
    assert rows("select as_of, trailing_pe, source from raw.fund_facts order by 1") == [
        (DAYS[59], 0.03, "vendor"),
        (DAYS[60], 33.0, "vendor"),
    ]
    assert entries() == []


@pytest.mark.long_after(0)
def test_a_record_is_brought_back_only_when_all_is_accepted(funds):
    """A record that failed two checks does not come in from the record while one of them stands."""
    funds.records = edit(funds.records, 40, total_net_assets_usd=1.0, distribution=-1.0)
    world.run(funds, DAYS[59])
    first, second = entries()
    accept(first.id)
    world.run(funds, DAYS[59])
    assert rows(f"select count(*) from raw.fund_nav where session = '{DAYS[40]}'") == [(0,)]
    accept(second.id)
    world.run(funds, DAYS[59])
    assert rows(f"select count(*) from raw.fund_nav where session = '{DAYS[40]}'") == [(1,)]
    assert entries() == []


# ---- what the audit checks ----


@pytest.mark.long_after(0)
def test_the_suite_is_as_written_while_nothing_is_accepted(blemished):
    """Without an accepted row of the dataset, and always for what is derived, what is checked is the suite's own SQL."""

    def checked(table: str) -> dict[str, str]:
        with warehouse.writing(BUILD) as con:
            return {e.id: e.query for e in without_overridden(con, suites.load(table)).expectations}

    def written(table: str) -> dict[str, str]:
        return {e.id: e.query for e in suites.load(table).expectations}

    assert checked("stage.prices") == written("stage.prices")
    accept(only_entry().id)
    changed = [i for i, sql in checked("stage.prices").items() if sql != written("stage.prices")[i]]
    assert changed == ["bar_consistent"]
    for table in set(suites.names()) - {"stage.prices"}:
        assert checked(table) == written(table)


def test_what_has_become_critical_is_no_longer_overruled(blemished, monkeypatch):
    """An acceptance given to a warning is void once the expectation is critical: the run is blocked."""
    accept(only_entry().id)
    harsher = with_severity(suites.staged("prices"), "bar_consistent", "critical")
    monkeypatch.setattr("market_rotation.tasks.audit.suites.staged", lambda dataset: harsher)
    assert world.run(blemished, DAYS[59]).status == "blocked"


def with_severity(suite: Suite, expectation: str, severity: Severity) -> Suite:
    changed = (replace(e, severity=severity) if e.id == expectation else e for e in suite.expectations)
    return replace(suite, expectations=tuple(changed))


# ---- what cannot be accepted ----


def refused(given: str) -> str:
    """The sentence with which it is refused, having changed nothing."""
    before = world.content(PUBLISHED, "ops.accepted", "ops.quarantine")
    with pytest.raises(ConfigError) as caught:
        accept(given)
    assert world.content(PUBLISHED, "ops.accepted", "ops.quarantine") == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.long_after(0)
def test_what_the_source_did_not_give(source):
    """Where the source gave no answer, or left out a bar, there is nothing to accept."""
    source.frames["IJR"] = SourceUnavailable("Nobody answers; try later.")
    source.frames["MDY"] = source.frames["MDY"].drop(index=30)
    world.run(source, DAYS[59])
    missing, unanswered = entries()
    assert refused(unanswered.id) == (
        f"{unanswered.id} is about all prices of IJR: the source gave no usable answer, so there is no row to accept; "
        "every run requests it again."
    )
    assert missing.row == {"symbol": "MDY", "session": str(DAYS[30])}
    assert "is about a row that the source did not give, so there is nothing to accept" in refused(missing.id)


@pytest.mark.long_after(0)
def test_symbol_as_a_whole(source):
    """A truncated history has no row either."""
    world.run(source, DAYS[59])
    halved = source.frames["IWM"].copy()
    halved[["open", "high", "low", "close"]] /= 2
    source.frames["IWM"] = halved.iloc[45:]
    world.run(source, DAYS[60])
    assert only_entry().expectation == "history_not_truncated"
    assert "is about a row that the source did not give" in refused(only_entry().id)


@pytest.mark.long_after(0)
def test_derived_rows(funds):
    """What a check of derived tables found is published already, with NULL where it must be."""
    funds.records = edit(funds.records, 40, shares_outstanding=9e6)
    world.run(funds, DAYS[59])
    assert only_entry().expectation == "share_count_possible"
    assert "is about core.fund_nav, which is derived: the rows it comes from are published" in refused(only_entry().id)


@pytest.mark.long_after(0)
def test_bars_with_which_nothing_can_be_computed(source):
    """A bar from which no return can be computed cannot be accepted, since it would fail every later run."""
    before = source.frames["IWM"]["close"].iloc[47]
    faults = {
        "a close of 0.0": {"close": 0.0, "low": 0.0},
        "a close of -3.0": {"close": -3.0, "low": -3.0},
        "a high of inf": {"high": float("inf")},
        "a split_ratio of 0.0": {"split_ratio": 0.0},
        f"a distribution of 151.0 after a close of {before}": {"dividend": 150.0, "capital_gain": 1.0},
    }
    for row, values in enumerate(faults.values(), start=20):
        set_bar(source, "IWM", 2 * row, **values)
    world.run(source, DAYS[59])
    by_day = {e.session: e for e in entries()}
    for row, fault in enumerate(faults, start=20):
        assert f"cannot be accepted, since nothing can be computed with {fault};" in refused(by_day[DAYS[2 * row]].id)


@pytest.mark.long_after(0)
def test_a_nav_with_which_nothing_can_be_computed(funds):
    """A NAV of zero would end every run, as no flow can be computed from it."""
    funds.records = edit(funds.records, 40, nav=0.0)
    world.run(funds, DAYS[59])
    assert "nothing can be computed with a nav of 0.0;" in refused(only_entry().id)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("dataset", "expectation", "part"),
    [
        ("holdings", "weights_add_up", "is a file of holdings as a whole, so there is no row to accept"),
        ("prices", "one_row_per_bar", "failed a critical expectation, which cannot be overridden"),
        ("prices", "capital_gain_counted_once", "is no longer set aside by any expectation"),
        ("prices", "checked_in_old_times", "is no longer set aside by any expectation"),
    ],
)
def test_entries_that_no_row_can_answer_for(blemished, dataset, expectation, part):
    """A file of holdings is more than a row; what is critical is not overruled; what is only recorded, or not checked any more, need not be."""
    made_up(dataset, expectation)
    (entry,) = [e for e in entries() if e.expectation == expectation]
    assert part in refused(entry.id)


def made_up(dataset: str, expectation: str) -> None:
    """Adds an entry as an earlier version may have left it, with the row of the one that is there, and publishes it."""
    with warehouse.writing(BUILD) as con:
        con.execute(
            "insert into ops.quarantine select * replace ($1 as dataset, $2 as expectation) from ops.quarantine limit 1",
            [dataset, expectation],
        )
        publish(con, BUILD, PUBLISHED)


@pytest.mark.long_after(0)
def test_identifiers(blemished):
    """An entry goes by its digits or the first of them, in either case; what is none, unknown, or not one only is refused."""
    entry = only_entry()
    assert "There is no entry " in refused("0000" if not entry.id.startswith("0000") else "1111")
    for wrong in ("", "abc", "ghij", entry.id[:3], entry.id + "0", "%", f"{entry.id} "):
        assert refused(wrong).startswith(f"{wrong!r} is not an ID; give at least four of the digits")
    # Another symbol whose digits happen to begin alike.
    with warehouse.writing(BUILD) as con:
        con.execute(
            """
            insert into ops.quarantine
            select q.* replace ('X' || range as symbol)
            from ops.quarantine as q, range(500_000)
            where starts_with(md5(concat_ws('|', q.run_id, q.dataset, 'X' || range, q.session::varchar, q.expectation)), $1)
            limit 1
            """,
            [entry.id[:4]],
        )
        publish(con, BUILD, PUBLISHED)
    other = next(e for e in entries() if e.symbol != "IWM")
    sentence = refused(entry.id[:4])
    assert sentence.startswith(f"{entry.id[:4]} fits 2 entries: ")
    assert {entry.id, other.id} <= set(sentence.replace(";", " ").split())
    accept(entry.id[:7].upper())
    assert [e.symbol for e in entries() if e.accepted_at] == ["IWM"]


def test_a_prefix_is_of_the_open_entry(blemished):
    """Digits that also begin a resolved entry mean the open one, the only one that can be accepted."""
    closed = only_entry()
    set_bar(blemished, "IWM", 59, high=51.0)
    world.run(blemished, DAYS[59])
    found = [*entries(resolved=True)]
    assert {e.id for e in found} == {closed.id, only_entry().id}
    alike = [Entry(**{**vars(e), "id": f"abcd000{i}"}) for i, e in enumerate(found)]
    assert tasks_accept._find(alike, "abcd").row["high"] == 51.0


@pytest.mark.long_after(0)
def test_accepted_twice(blemished):
    """Until the next run an accepted entry is still open, and accepting it again says who did."""
    accept(only_entry().id)
    sentence = refused(only_entry().id)
    assert sentence.endswith("was already accepted on 2024-06-03 by anna; the next `rotation run` publishes it.")
    world.run(blemished, DAYS[59])
    assert "was closed on" in refused(entries(resolved=True)[0].id)


@pytest.mark.parametrize("because", ["", "  \n"])
def test_a_reason_is_needed(source, because):
    """Nothing is accepted without a reason, and nothing is even opened."""
    with pytest.raises(ConfigError, match=r"needs a reason, .* --because TEXT\.$"):
        command.accept_row("abcd", because, NOW)
    assert not BUILD.exists()


# ---- the warehouse ----


def test_while_a_run_is_going_on(blemished):
    """A run that is writing is not disturbed: the sentence names it, nothing is accepted, and afterwards it works."""
    entry = only_entry()
    hold = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(BUILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "open\n"
            with pytest.raises(
                WarehouseBusy, match=rf"is being written by process {process.pid}, which started at [0-9: -]+ UTC; wait"
            ):
                accept(entry.id)
            assert only_entry().accepted_at is None
            command.show_list(False, False)
        finally:
            process.stdin.close()
    accept(entry.id)
    assert only_entry().accepted_at == NOW


def test_without_a_warehouse(source):
    """Before the first publication both commands name the remedy and create nothing."""
    for act in (lambda: accept("abcd"), lambda: command.show_list(False, False)):
        with pytest.raises(RotationError, match=r"There is no warehouse at .* yet; create one with `rotation run`"):
            act()
    assert not Path("warehouse").exists()


def test_without_the_build_database(blemished):
    """It is recovered from the published file before the entry is accepted, so that nothing published is lost."""
    BUILD.unlink()
    before = world.content(PUBLISHED, "raw.prices", "core.prices")
    accept(only_entry().id)
    assert only_entry().accepted_at == NOW
    assert world.content(PUBLISHED, "raw.prices", "core.prices") == before
    assert world.content(BUILD, "raw.prices", "core.prices") == before


def test_nothing_unaudited_reaches_readers(blemished):
    """What a killed run had staged is not published along with an acceptance."""
    with warehouse.writing(BUILD) as con:
        con.execute("create table stage.prices as select 1 as unaudited")
    accept(only_entry().id)
    assert rows("select table_name from duckdb_tables() where schema_name = 'stage'") == []


@pytest.mark.long_after(0)
def test_a_full_disk(blemished, monkeypatch):
    """When the published file can't be replaced, the message says that the override is recorded, and the next run publishes it."""
    entry = only_entry()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(database_file, "copy", fail)
        with pytest.raises(
            RotationError,
            match=r"^The change is recorded in .*build\.duckdb, .*No space left on device.*run again\.$",
        ):
            accept(entry.id)
    assert only_entry().accepted_at is None
    assert world.run(blemished, DAYS[59]).status == "published"
    assert quotes("IWM", 59) == [(50.0, 1000)]
    assert [e.accepted_at for e in entries(resolved=True)] == [NOW]


def test_a_user_without_a_name(blemished, monkeypatch):
    """In a container the user need not have a name; then the number is on record."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    accept(only_entry().id)
    assert only_entry().accepted_by == "4711"


# ---- the list ----


@pytest.fixture
def several(source: world.FakeSource, tmp_path_factory: pytest.TempPathFactory) -> world.FakeSource:
    """Two runs: the first set aside two bars, one of which has come in as accepted since; the second a third and a symbol."""

    def make() -> None:
        set_bar(source, "IWM", 58, high=50.0)
        set_bar(source, "IJR", 59, volume=-1)
        world.run(source, DAYS[59])
        accept(next(e.id for e in entries() if e.symbol == "IWM"))
        set_bar(source, "IJR", 60, high=50.0)
        source.frames["MDY"] = SourceUnavailable("Nobody [answers] for MDY.")
        world.run(source, DAYS[60])

    begin_with(tmp_path_factory, "several", make)
    return source


@pytest.mark.long_after(0)
def test_list(several, capsys):
    """What is open is listed newest first with its reason, as it is, and what to do next; what is resolved only on demand."""
    capsys.readouterr()
    command.show_list(False, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "since", "dataset", "symbol", "session", "expectation", "reason"]
    found = entries()
    assert [line.split()[0] for line in lines[1:4]] == [e.id for e in found]
    assert [(e.symbol, e.session) for e in found] == [("IJR", DAYS[60]), ("MDY", None), ("IJR", DAYS[59])]
    assert lines[2].split() == [
        found[1].id,
        str(DAYS[60]),
        "prices",
        "MDY",
        "fetch",
        "Nobody",
        "[answers]",
        "for",
        "MDY.",
    ]
    assert lines[3].split()[1:6] == [str(DAYS[59]), "prices", "IJR", str(DAYS[59]), "volume_not_negative"]
    assert lines[4:] == [command.HINT]


def test_list_all(several, capsys):
    """With everything, resolved entries have the day they were resolved on, and an accepted one says by whom and why."""
    capsys.readouterr()
    command.show_list(True, False)
    lines = capsys.readouterr().out.splitlines()
    assert "resolved" in lines[0]
    (line,) = [line for line in lines if " IWM " in line]
    assert line.split()[1:7] == [str(DAYS[59]), "prices", "IWM", str(DAYS[58]), "bar_consistent", str(DAYS[60])]
    assert line.rstrip().endswith("Accepted by anna: checked by hand")
    assert len([line for line in lines if " prices " in line]) == 4


def test_an_accepted_entry_is_marked_until_it_comes_in(blemished, capsys):
    """Between acceptance and the next run the open entry is listed with who accepted it."""
    accept(only_entry().id)
    capsys.readouterr()
    command.show_list(False, False)
    assert "bar_consistent Accepted by anna: checked by hand" in shown(capsys)


def test_json(several, capsys):
    """For programs there is a list with everything known of each entry, the row included; what is no number is text."""
    capsys.readouterr()
    command.show_list(False, True)
    found = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in found] == [e.id for e in entries()]
    assert found[2]["row"]["volume"] == -1
    assert found[1]["row"] is None
    assert {k: found[2][k] for k in ("symbol", "session", "expectation", "resolved_at", "accepted_at")} == {
        "symbol": "IJR",
        "session": str(DAYS[59]),
        "expectation": "volume_not_negative",
        "resolved_at": None,
        "accepted_at": None,
    }
    assert datetime.fromisoformat(found[2]["since"]) == datetime(2024, 3, 27, 23, 30, tzinfo=UTC)
    command.show_list(True, True)
    (accepted,) = [entry for entry in json.loads(capsys.readouterr().out) if entry["accepted_at"]]
    assert (accepted["symbol"], accepted["accepted_by"], accepted["because"]) == ("IWM", "anna", "checked by hand")
    assert accepted["resolved_at"]


def test_json_has_only_numbers_that_json_knows(source, capsys):
    """An infinite price does not make the output unreadable for other programs."""
    set_bar(source, "IWM", 59, open=float("inf"), high=float("inf"))
    world.run(source, DAYS[59])
    command.show_list(False, True)

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    assert json.loads(capsys.readouterr().out, parse_constant=refuse)[0]["row"]["high"] == "inf"


@pytest.mark.parametrize("width", [80, 160])
def test_a_narrow_screen(several, capsys, monkeypatch, width):
    """Every entry stays on a line of its own: the reason is shortened, the ID and all else stay whole."""
    monkeypatch.setattr(command, "out", Console(width=width))
    capsys.readouterr()
    command.show_list(False, False)
    lines = capsys.readouterr().out.splitlines()
    for entry, line in zip(entries(), lines[1:4], strict=True):
        assert len(line) <= width
        assert line.split()[0] == entry.id
        assert f" {entry.expectation} " in line
        assert line.rstrip().endswith("…") or entry.reason in line
    assert any(line.rstrip().endswith("…") for line in lines[1:4]) == (width == 80)


def test_nothing_to_list(source, capsys):
    """An empty quarantine has a message of its own; as JSON it is an empty list."""
    world.run(source, DAYS[59])
    for everything, sentence in ((False, "Nothing is in quarantine."), (True, "Nothing has been in quarantine.")):
        command.show_list(everything, False)
        assert shown(capsys) == sentence
        command.show_list(everything, True)
        assert json.loads(capsys.readouterr().out) == []


def test_every_warning_is_about_rows_that_can_be_found():
    """Each warning on staged rows has `symbol` and `session`, which identify an accepted row."""
    for suite in suites.of_schema("stage"):
        for expectation in suite.expectations:
            if expectation.severity == "warning":
                assert "symbol" in expectation.query
                assert "session" in expectation.query


@pytest.mark.long_after(1)
@pytest.mark.parametrize("closed_day", [False, True])
def test_an_accepted_bar_of_long_ago_is_asked_for_again(source, closed_day):
    """The next run publishes an accepted bar even if it is older than the range that is requested again, and then stops requesting it.

    The session before it is requested too: the audit compares the two.
    """
    for k, symbol in enumerate(source.frames):
        closes = [100.0 + 10 * k + 0.1 * i for i in range(101)]
        source.frames[symbol] = world.bars(symbol, closes, high=[c + 1 for c in closes])
    if closed_day:
        extra = source.frames["IWM"].iloc[[5]].assign(session=pd.Timestamp("2024-01-13"))
        source.frames["IWM"] = pd.concat([source.frames["IWM"], extra])
    else:
        set_bar(source, "IWM", 5, high=50.0)
    world.run(source, DAYS[100])
    entry = only_entry()
    before = max(day for day in DAYS if day < entry.session)
    for act, asked in ((None, []), (accept, [("IWM", before, DAYS[100])]), (None, [])):
        if act:
            act(entry.id)
        source.asked.clear()
        world.run(source, DAYS[100])
        assert source.asked == asked
    assert entries() == []
