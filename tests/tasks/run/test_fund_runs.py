"""Runs of the daily job with fund data: the requests and their times, isolated failures, and alerts about dead sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.datasets import EARNINGS_GROWTH_COLUMNS, FUND_FACTS_COLUMNS, HOLDINGS_COLUMNS
from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
from market_rotation.tasks.operations import status
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe

DAYS = world.days(date(2024, 1, 2))
PUBLISHED = Path("warehouse/rotation.duckdb")
DATA = (
    *("raw.fund_nav", "raw.fund_facts", "raw.holdings", "raw.earnings_growth", "raw.prices"),
    *("core.prices", "core.fund_nav", "core.fund_flows", "core.fund_facts", "core.holdings", "core.earnings_growth"),
    *("signals.fund_flows_monthly", "signals.fund_comparison", "signals.earnings_momentum"),
)
ISSUERS = {"SPY": "ssga", "SMALL": "ssga", "IWM": "ishares", "VB": "vanguard"}
COMPANIES = {"SPY": ["BIG1", "BIG2", "BIG3", "BIG4"], "SMALL": ["TINY1", "TINY2", "TINY3", "TINY4"]}


class FundSource(world.FakeSource):
    """A fake source that knows funds as well. Issuers publish a session the day after; Vanguard's NAV is there at once.

    `records` are frames of fund records or exceptions to raise; the snapshots are the same every day.
    """

    datasets = frozenset({"prices", "fund_nav", "fund_facts", "holdings", "earnings_growth"})

    def __init__(self, frames: dict[str, Any], records: dict[str, Any], issuers: dict[str, str]) -> None:
        super().__init__(frames)
        self.records = dict(records)
        self.issuers = issuers
        self.questions: list[tuple[str, str]] = []

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        self.questions.append(("fund_nav", symbol))
        held = self.records[symbol]
        if isinstance(held, Exception):
            raise held
        lag = timedelta(days=self.issuers[symbol] != "vanguard")
        return held[(held["session"] >= pd.Timestamp(start)) & (held["session"] <= pd.Timestamp(end - lag))]

    def fund_facts(self, symbol: str, as_of: date) -> pd.DataFrame:
        self.questions.append(("fund_facts", symbol))
        row = {"symbol": [symbol], "as_of": pd.Timestamp(as_of), "expense_ratio": 0.001, "source": "vendor"}
        return typed(row, FUND_FACTS_COLUMNS)

    def holdings(self, symbol: str, as_of: date) -> pd.DataFrame:
        self.questions.append(("holdings", symbol))
        before = DAYS[DAYS.index(as_of) - 1]
        names = [*COMPANIES.get(symbol, ["ODD1", "ODD2", "ODD3", "ODD4"]), None]
        file = {
            "fund_symbol": symbol,
            "as_of": pd.Timestamp(before),
            "symbol": names,
            "name": names,
            "source": "issuer",
        }
        return typed({**file, "weight": [0.29, 0.28, 0.27, 0.15, 0.01]}, HOLDINGS_COLUMNS)

    def earnings_growth(self, symbol: str, as_of: date) -> pd.DataFrame:
        self.questions.append(("earnings_growth", symbol))
        if symbol == "BIG3":
            raise SymbolNotFound("BIG3 is followed by no analyst.")
        growth = 0.2 if symbol.startswith("TINY") else 0.1
        return typed(pd.DataFrame([world.estimate(symbol, as_of, growth)]), EARNINGS_GROWTH_COLUMNS)

    def asked_of(self, dataset: str) -> list[str]:
        """The symbols requested for a dataset since the last call of `forget`, in order."""
        return sorted(symbol for name, symbol in self.questions if name == dataset)

    def forget(self) -> None:
        self.questions.clear()
        self.asked.clear()


def settle(folder: Path, patch: pytest.MonkeyPatch, members: Universe) -> None:
    patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, members)))
    patch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    patch.setenv("ROTATION_SOURCE", "yahoo")


def moving(k: int, n: int) -> list[float]:
    """Prices that are new every day, in a way of their own for each `k`."""
    return [50.0 + k + 0.25 * ((i * (k + 3)) % 7) + 0.01 * i for i in range(n)]


def issued(symbol: str, k: int, n: int, source: str, frozen_from: int | None = None) -> pd.DataFrame:
    """Records of a fund that creates shares every day until its counts freeze."""
    at = [i if frozen_from is None else min(i, frozen_from) for i in range(n)]
    return world.records(symbol, moving(k, n), [1e6 + 1e3 * i for i in at], source=source)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FundSource:
    """A source of four funds, two of State Street's, and the settings that go with it; SMALL/SPY is the earnings pair."""
    funds = [
        world.instrument(
            symbol,
            issuer=issuer,
            issuer_id=None if issuer == "vanguard" else symbol.lower(),
            peer_group="large_cap" if symbol == "SPY" else "small_cap",
        )
        for symbol, issuer in ISSUERS.items()
    ]
    members = world.universe(*funds, pairs=[("SMALL", "SPY")])
    pairs = tuple(pair.model_copy(update={"earnings": True}) for pair in members.pairs)
    settle(tmp_path, monkeypatch, members.model_copy(update={"pairs": pairs}))
    frames = {symbol: world.bars(symbol, moving(k, 90)) for k, symbol in enumerate(ISSUERS)}
    given = {symbol: issued(symbol, k, 90, ISSUERS[symbol]) for k, symbol in enumerate(ISSUERS)}
    return FundSource(frames, given, ISSUERS)


@pytest.fixture
def begun(small: FundSource, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The warehouse after a good run of the sixtieth session. The source has been asked nothing yet."""
    world.copy_of_first_run(tmp_path_factory, "fund-runs", lambda: world.run(small, DAYS[59]))
    small.forget()


def rows(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


def test_first_run_asks_for_what_each_fund_offers(small: FundSource) -> None:
    """Records and facts of all funds, holdings of those whose issuer publishes them, estimates of the largest constituents."""
    run = world.run(small, DAYS[59])
    assert run.status == "published"
    assert small.asked_of("fund_nav") == small.asked_of("fund_facts") == ["IWM", "SMALL", "SPY", "VB"]
    assert small.asked_of("holdings") == ["IWM", "SMALL", "SPY"]
    assert small.asked_of("earnings_growth") == ["BIG1", "BIG2", "BIG3", "TINY1", "TINY2", "TINY3"]
    assert rows("select symbol, max(session) from core.fund_flows group by symbol order by symbol") == [
        ("IWM", DAYS[58]),
        ("SMALL", DAYS[58]),
        ("SPY", DAYS[58]),
        ("VB", DAYS[59]),
    ]


@pytest.mark.long_after(0)
def test_second_run_asks_nothing(small: FundSource, begun: None) -> None:
    """Issuers publish a session on the following day, so nothing is missing, requested or changed."""
    before = world.content(PUBLISHED, *DATA)
    # Only failed requests are repeated.
    small.forget()
    run = world.run(small, DAYS[59])
    assert run.status == "up_to_date"
    assert small.asked == []
    assert [question for question in small.questions if question != ("earnings_growth", "BIG3")] == []
    assert world.content(PUBLISHED, *DATA) == before


@pytest.mark.long_after(0)
def test_next_session_adds_one_record_of_each_fund(small: FundSource, begun: None) -> None:
    """On the next day each fund's file is requested again and has one new record, that of the previous session."""
    small.forget()
    run = world.run(small, DAYS[60])
    assert run.status == "published"
    assert small.asked_of("fund_nav") == ["IWM", "SMALL", "SPY", "VB"]
    wanted = [("IWM", DAYS[59]), ("SMALL", DAYS[59]), ("SPY", DAYS[59]), ("VB", DAYS[60])]
    assert rows(f"select symbol, session from raw.fund_nav where run_id = '{run.run_id}' order by symbol") == wanted
    assert (run.rows_new, run.rows_revised) == (4 + 4 + 4, 0)


@pytest.mark.long_after(0)
def test_corrected_count_is_a_new_version(small: FundSource, begun: None) -> None:
    """A count that the issuer corrects is added beside the old one, and flows follow the new one."""
    frame = small.records["IWM"].copy()
    frame.loc[50, "shares_outstanding"] += 500
    small.records["IWM"] = frame
    run = world.run(small, DAYS[60])
    assert run.status == "published"
    at = f"symbol = 'IWM' and session = '{DAYS[50]}'"
    assert rows(f"select shares_outstanding from raw.fund_nav where {at} order by known_at") == [(1.05e6,), (1.0505e6,)]
    ((flow,),) = rows(f"select net_flow_usd from core.fund_flows where {at}")
    assert flow == pytest.approx(1500 * frame["nav"][49])


@pytest.mark.long_after(0)
def test_issuer_that_fails_fails_alone_and_heals(small: FundSource) -> None:
    """When one issuer does not answer, its fund is set aside and all else is published; the next run asks it again."""
    good = small.records["IWM"]
    small.records["IWM"] = SourceUnavailable("iShares answered 503; try again later.")
    first = world.run(small, DAYS[59])
    assert first.status == "published"
    assert rows("select count(distinct symbol), max(session) from core.prices") == [(4, DAYS[59])]
    assert rows("select distinct symbol from core.fund_flows order by symbol") == [("SMALL",), ("SPY",), ("VB",)]
    entry = "select symbol, session, expectation, reason from ops.quarantine where dataset = 'fund_nav' and resolved_at is null"
    assert rows(entry) == [("IWM", None, "fetch", "iShares answered 503; try again later.")]

    small.forget()
    again = world.run(small, DAYS[59])
    assert again.status == "up_to_date"
    assert (small.asked, small.asked_of("fund_nav")) == ([], ["IWM"])
    assert len(rows(entry)) == 1

    small.records["IWM"] = good
    healed = world.run(small, DAYS[59])
    assert healed.status == "published"
    assert rows(entry) == []
    assert rows("select count(*) from core.fund_flows where symbol = 'IWM'") == [(59,)]
    assert rows("select count(*) from ops.quarantine where dataset = 'fund_nav'") == [(1,)]


@pytest.mark.long_after(0)
def test_known_records_survive_an_issuer_that_fails(small: FundSource, begun: None) -> None:
    """A fund whose issuer fails today keeps its known records and flows."""
    before = rows("select * exclude (run_id, known_at) from core.fund_nav where symbol = 'IWM' order by session")
    small.records["IWM"] = SourceUnavailable("iShares answered 503; try again later.")
    assert world.run(small, DAYS[60]).status == "published"
    after = rows("select * exclude (run_id, known_at) from core.fund_nav where symbol = 'IWM' order by session")
    assert after == before


@pytest.mark.long_after(0)
def test_duplicate_record_blocks(small: FundSource, begun: None) -> None:
    """A duplicate record blocks the run, prices included, since it is not known which one is true."""
    before = world.content(PUBLISHED, *DATA)
    frame = small.records["IWM"]
    extra = frame.iloc[[59]].assign(shares_outstanding=1.0)
    small.records["IWM"] = pd.concat([frame, extra])
    run = world.run(small, DAYS[60])
    assert run.status == "blocked"
    assert "one_row_per_record" in str(run.message)
    assert world.content(PUBLISHED, *DATA) == before
    assert rows("select status, published from ops.runs order by run_id") == [("published", True), ("blocked", False)]
    small.records["IWM"] = frame
    assert world.run(small, DAYS[60]).status == "published"


@pytest.mark.long_after(0)
def test_bad_record_is_set_aside_alone_and_heals(small: FundSource) -> None:
    """A NAV of zero takes only its record out; the next flow spans its session until the issuer corrects it."""
    good = small.records["IWM"]
    small.records["IWM"] = good.assign(nav=good["nav"].where(good.index != 40, 0.0))
    assert world.run(small, DAYS[59]).status == "published"
    entry = "select symbol, session, expectation from ops.quarantine where dataset = 'fund_nav' and resolved_at is null"
    assert rows(entry) == [("IWM", DAYS[40], "nav_positive")]
    missing = (
        "select session, null_reason from core.fund_flows where symbol = 'IWM' and net_flow_usd is null order by 1"
    )
    assert rows(missing) == [(DAYS[0], "no record before")]
    spanned = "select session, sessions_spanned from core.fund_flows where symbol = 'IWM' and sessions_spanned > 1"
    assert rows(spanned) == [(DAYS[41], 2)]
    small.records["IWM"] = good
    assert world.run(small, DAYS[60]).status == "published"
    assert rows(entry) == []
    assert rows(spanned) == []


@pytest.mark.long_after(0)
def test_snapshots_are_added_each_day(small: FundSource) -> None:
    """What vendors say of a fund today can't be asked tomorrow: each day adds a row, and none is replaced."""
    for day in DAYS[59:62]:
        world.run(small, day)
    world.run(small, DAYS[61])
    wanted = [(symbol, day) for symbol in sorted(ISSUERS) for day in DAYS[59:62]]
    assert rows("select symbol, as_of from raw.fund_facts order by all") == wanted
    assert rows("select symbol, as_of from core.fund_facts order by all") == wanted
    counted = "select distinct symbol, holdings_count from core.fund_facts order by all"
    assert rows(counted) == [("IWM", 4), ("SMALL", 4), ("SPY", 4), ("VB", None)]


@pytest.mark.long_after(0)
def test_estimates_and_holdings_are_asked_once_a_week(small: FundSource) -> None:
    """Estimates are requested for the largest constituents up to 60 % of the fund, and again when they are more than five sessions old."""
    asked = {}
    for i in range(59, 66):
        small.forget()
        world.run(small, DAYS[i])
        asked[i] = (
            [symbol for symbol in small.asked_of("earnings_growth") if symbol != "BIG3"],
            small.asked_of("holdings"),
        )
    largest, files = ["BIG1", "BIG2", "TINY1", "TINY2", "TINY3"], ["IWM", "SMALL", "SPY"]
    assert {i: names for i, (names, _) in asked.items() if names} == {59: largest, 65: largest}
    # The file asked first is dated a session earlier, so it comes of age a session sooner.
    assert {i: names for i, (_, names) in asked.items() if names} == {59: files, 64: files}
    assert rows("select distinct as_of from raw.earnings_growth order by 1") == [(DAYS[59],), (DAYS[65],)]
    last = "select small_growth_next_year, large_growth_next_year, small_coverage_pct, large_coverage_pct"
    ((small_growth, large_growth, small_pct, large_pct),) = rows(
        f"{last} from signals.earnings_momentum where session = '{DAYS[65]}'"
    )
    assert (small_growth, large_growth) == (pytest.approx(0.2), pytest.approx(0.1))
    assert (small_pct, large_pct) == (pytest.approx(100 * 0.84 / 0.99), pytest.approx(100 * 0.57 / 0.99))


@pytest.mark.long_after(0)
def test_the_setting_limits_the_number_of_estimates(small: FundSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most as many companies of each fund as the setting says are requested."""
    monkeypatch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "2")
    world.run(small, DAYS[59])
    assert small.asked_of("earnings_growth") == ["BIG1", "BIG2", "TINY1", "TINY2"]


@pytest.mark.long_after(0)
def test_no_estimates_without_an_earnings_pair(
    small: FundSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pair marked earnings no estimates are requested."""
    funds = [world.instrument(s, issuer=i, issuer_id=s.lower()) for s, i in ISSUERS.items() if i != "vanguard"]
    settle(tmp_path, monkeypatch, world.universe(*funds, pairs=[("SMALL", "SPY")]))
    assert world.run(small, DAYS[59]).status == "published"
    assert small.asked_of("earnings_growth") == []
    assert rows("from signals.earnings_momentum") == []


# ---------------------------------------------------------------------------------------------------------------------

#: Twenty funds of two issuers, and one that keeps moving.
MANY = {f"S{i:02}": "ssga" for i in range(10)} | {f"I{i:02}": "ishares" for i in range(10)} | {"SPY": "invesco"}
FROZEN_FROM = 65


def frozen(until: int | None = None, only: Sequence[str] = tuple(MANY)) -> dict[str, pd.DataFrame]:
    """Records of the many, whose counts freeze; from record `until` on those of `only` move again."""
    found = {}
    for k, (symbol, issuer) in enumerate(MANY.items()):
        frame = issued(symbol, k, 90, issuer, None if symbol == "SPY" else FROZEN_FROM)
        if until is not None and symbol in only:
            frame.loc[until:, "shares_outstanding"] += 1e4 + 1e3 * np.arange(90 - until)
        found[symbol] = frame
    return found


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FundSource:
    """A source of the many funds, all small-cap, and the settings that go with it."""
    funds = [
        world.instrument(symbol, issuer=issuer, issuer_id=symbol.lower(), peer_group="small_cap")
        for symbol, issuer in MANY.items()
    ]
    settle(tmp_path, monkeypatch, world.universe(*funds, pairs=[("S00", "SPY")]))
    frames = {symbol: world.bars(symbol, moving(k, 90)) for k, symbol in enumerate(MANY)}
    return FundSource(frames, frozen(), MANY)


def state_after(run: Run) -> status.Status:
    assert run.finished_at is not None
    return status.read(load_settings(), run.finished_at)


ALERTS = "select fingerprint, kind from ops.alerts order by created_at, fingerprint"


@pytest.mark.long_after(0)
def test_twenty_funds_of_dead_sources(many: FundSource) -> None:
    """Counts that freeze while NAV moves: flows are NULL, not zero; one alert per source, whatever the number of funds and runs."""
    # Three records with the same count may happen.
    quiet = world.run(many, DAYS[FROZEN_FROM + 4])
    assert quiet.status == "published"
    assert rows(ALERTS) == []
    assert state_after(quiet).healthy

    opened = [("dead-share-counts:ishares", "failure"), ("dead-share-counts:ssga", "failure")]
    for session in [*DAYS[FROZEN_FROM + 5 : FROZEN_FROM + 8], DAYS[FROZEN_FROM + 7]]:
        run = world.run(many, session)
        assert run.status in ("published", "up_to_date")
        assert sorted(rows(ALERTS)) == opened
        state = state_after(run)
        assert not state.healthy
        for name in ("ssga", "ishares"):
            assert name in " ".join(state.problems)
        assert "invesco" not in " ".join(state.problems)

    dead = f"select count(*), count(distinct symbol), count(net_flow_usd) from core.fund_flows where session >= '{DAYS[69]}' and symbol <> 'SPY'"
    assert rows(dead) == [(60, 20, 0)]
    assert rows(f"select distinct null_reason from core.fund_flows where session >= '{DAYS[69]}' order by 1") == [
        ("dead source",),
        (None,),
    ]
    ((body,),) = rows("select body from ops.alerts where fingerprint like '%ssga'")
    assert all(symbol in body for symbol, issuer in MANY.items() if issuer == "ssga")
    assert "20 funds" not in body
    # Prices are of no concern to it.
    assert rows("select count(distinct symbol) from core.prices") == [(21,)]
    assert rows("select max(session) from core.prices") == [(DAYS[72],)]
    entry = "select count(*), count(distinct symbol) from ops.quarantine where expectation = 'share_counts_alive' and resolved_at is null"
    assert rows(entry) == [(20, 20)]


@pytest.mark.long_after(0)
def test_source_that_recovers(many: FundSource) -> None:
    """When all counts of a source move again there is one recovery; while one fund's count stands still the incident stays open."""
    world.run(many, DAYS[71])
    assert len(rows(ALERTS)) == 2
    ssga = [symbol for symbol, issuer in MANY.items() if issuer == "ssga"]
    # All but one of State Street's funds move from the record of session 71 on.
    many.records = frozen(71, ssga[1:])
    partly = world.run(many, DAYS[72])
    assert len(rows(ALERTS)) == 2
    assert "ssga" in " ".join(state_after(partly).problems)
    many.records = frozen(71, ssga)
    for day in (DAYS[73], DAYS[74], DAYS[74]):
        run = world.run(many, day)
        assert sorted(rows(ALERTS)) == [
            ("dead-share-counts:ishares", "failure"),
            ("dead-share-counts:ssga", "failure"),
            ("dead-share-counts:ssga", "recovery"),
        ]
    problems = " ".join(state_after(run).problems)
    assert "ssga" not in problems
    assert "ishares" in problems
    flows = "select count(net_flow_usd) from core.fund_flows where symbol = 'S05' and session >= "
    assert rows(f"{flows} '{DAYS[71]}'") == [(3,)]
    open_entries = "select distinct left(symbol, 1) from ops.quarantine where expectation = 'share_counts_alive' and resolved_at is null"
    assert rows(open_entries) == [("I",)]


@pytest.mark.long_after(0)
def test_second_incident_is_told_again(many: FundSource) -> None:
    """A source that recovered and dies again is a new incident."""
    moved = {symbol: issued(symbol, k, 90, MANY[symbol]) for k, symbol in enumerate(MANY)}
    world.run(many, DAYS[71])
    many.records = moved
    recovered = world.run(many, DAYS[75])
    assert state_after(recovered).healthy
    many.records = {symbol: issued(symbol, k, 90, MANY[symbol], 75) for k, symbol in enumerate(MANY)}
    world.run(many, DAYS[85])
    kinds = "select kind from ops.alerts where fingerprint = 'dead-share-counts:ssga' order by created_at"
    assert rows(kinds) == [("failure",), ("recovery",), ("failure",)]


@pytest.mark.long_after(0)
def test_the_simulated_market_from_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run with the shipped universe fills every column of the comparison, both groups' flows and earnings momentum."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    session = date(2026, 1, 16)
    source = SampleSource(calendar.load(date(1993, 1, 29), date(2026, 11, 20)), load_universe().instruments)
    run = world.run(source, session, datetime(2026, 1, 16, 23, 30, tzinfo=UTC))
    assert run.status == "published", run.message
    with warehouse.reading(PUBLISHED) as con:
        compared = con.sql("from signals.fund_comparison qualify session = max(session) over ()").df()
        months = con.sql("from signals.fund_flows_monthly").df()
        earnings = con.sql(f"from signals.earnings_momentum where session = '{session}'").df()
        alerts = con.sql("from ops.alerts").fetchall()
    assert sorted(compared["symbol"]) == ["IJR", "IWM", "SPSM", "VB", "VTWO"]
    assert set(compared["session"].dt.date) == {session}
    # No source publishes spreads.
    assert compared.drop(columns="bid_ask_spread_pct").notna().any().all(), compared.T
    assert compared["beta_252d"].between(0.2, 3).all()
    assert (compared["max_drawdown_252d"] <= 0).all()
    groups = months[months["symbol"].str.startswith("group:")]
    assert set(groups["symbol"]) == {"group:small_cap", "group:small_cap_ex_iwm", "group:large_cap"}
    last = groups[groups["month"] == pd.Timestamp("2025-12-01")].set_index("symbol")
    assert last["net_flow_usd"].notna().all()
    assert (last["members_known"] == last["members"]).all()
    assert len(earnings) == 1
    assert earnings.notna().all(axis=None)
    assert alerts == []
