"""The daily job against the vendor server: the genuine yfinance client, then the whole flow in a Prefect of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import world
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import Vendor

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.sources.yahoo.chart import YahooSource
from market_rotation.tasks.sources.yahoo.source import MarketSource
from market_rotation.tasks.universe import Universe, load_universe

DAYS = world.days(date(2025, 9, 2), date(2025, 12, 31))
BEFORE, SPLIT = date(2025, 12, 4), date(2025, 12, 5)
#: The shipped universe without its indexes, which have no row in core.prices, and eight more funds.
FOLLOWED = sum(instrument.kind != "index" for instrument in load_universe().instruments) + 8
PUBLISHED = Path("warehouse/rotation.duckdb")
DATA = ("core.prices", "core.sector_returns", "signals.relative_strength", "signals.sector_leadership")


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Universe:
    """The shipped universe and eight more funds, followed since September 2025."""
    shipped = world.with_file_issuers(load_universe())
    extra = [world.instrument(f"SIM{i}", inception=date(2010, 1, 4)) for i in range(8)]
    members = Universe(instruments=(*shipped.instruments, *extra), pairs=shipped.pairs)
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", str(DAYS[0]))
    return members


@pytest.fixture
def market(vendor: Vendor, members: Universe) -> Vendor:  # noqa: F811
    """The vendor, with a simulated market of the forty symbols."""
    vendor.source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), members.instruments)
    return vendor


def evening(session: date) -> datetime:
    return datetime.combine(session, time(23, 30), UTC)


def run(market: Vendor, session: date) -> Run:
    """The job on the evening of `session`, for prices alone, through the genuine client."""
    market.now = evening(session)
    return world.run(SimpleNamespace(name="yahoo", prices=YahooSource(timeout_s=5).prices), session, market.now)


@pytest.fixture
def begun(market: Vendor, tmp_path_factory: pytest.TempPathFactory) -> None:
    """After a run for `BEFORE`, which is made once and copied."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert run(market, BEFORE).status == "published"

    shutil.copytree(world.made_once(tmp_path_factory, "daily-begun", make) / "warehouse", "warehouse")


def rows(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


def test_all_symbols_come_in(market: Vendor, members: Universe) -> None:
    """All symbols arrive as the vendor says them, in one request each, with one cookie for all."""
    result = run(market, BEFORE)
    assert (result.status, result.rows_quarantined) == ("published", 0)
    assert rows("select count(distinct symbol), max(session) from core.prices") == [(FOLLOWED, BEFORE)]
    assert (market.count("/v8/finance/chart/"), market.count("fc.yahoo.com")) == (FOLLOWED, 1)
    held = dict(rows(f"select symbol, close from core.prices where session = '{BEFORE}'"))
    followed = [i.symbol for i in members.instruments if i.kind != "index"]
    expected = {s: market.source.prices(s, BEFORE, BEFORE)["close"].item() for s in followed}
    assert held == pytest.approx(expected, rel=1e-12)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "kind", ["http_429", "http_500", "hang", "truncated_json", "html_200", "missing_symbol", "wrong_currency"]
)
def test_one_symbol_fails(market: Vendor, kind: str, begun: None) -> None:
    """Whatever goes wrong for one symbol, it is set aside with a sentence, the rest is published, and the next run heals it."""
    market.fault("VB", kind)
    hit = run(market, SPLIT)
    assert (hit.status, hit.rows_quarantined) == ("published", 1)
    ((symbol, session, expectation, reason),) = rows("select symbol, session, expectation, reason from ops.quarantine")
    assert (symbol, session, expectation) == ("VB", None, "fetch")
    assert "VB" in str(reason)
    assert rows("select symbol, max(session) from core.prices group by symbol having max(session) < '2025-12-05'") == [
        ("VB", BEFORE)
    ]
    market.heal()
    assert run(market, SPLIT).status == "published"
    assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]
    assert rows(f"select count(*) from core.prices where session = '{SPLIT}'") == [(FOLLOWED,)]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("kind", ["http_429", "http_500", "truncated_json", "html_200", "missing_symbol"])
def test_all_symbols_fail(market: Vendor, kind: str, begun: None) -> None:
    """An outage is a failed run: nothing changes for readers, it is on record, and the next run catches up."""
    before = world.content(PUBLISHED, *DATA)
    market.fault("*", kind)
    hit = run(market, SPLIT)
    assert hit.status == "failed"
    assert "Nothing was published" in hit.message
    assert world.content(PUBLISHED, *DATA) == before
    assert rows("select status from ops.runs order by run_id desc limit 1") == [("failed",)]
    market.heal()
    assert run(market, SPLIT).status == "published"


@pytest.mark.long_after(0)
def test_null_last_close_is_set_aside_and_heals(market: Vendor, begun: None) -> None:
    """A bar whose close Yahoo does not have yet is not published, and comes in as soon as it has."""
    market.fault("IWM", "null_last_close")
    assert run(market, SPLIT).status == "published"
    assert rows("select symbol, session, expectation from ops.quarantine") == [("IWM", SPLIT, "close_present")]
    assert rows(f"select count(*) from signals.relative_strength where session = '{SPLIT}' and pair = 'IWM/IWB'") == [
        (0,)
    ]
    market.heal()
    assert run(market, SPLIT).status == "published"
    assert rows(f"select count(*) from signals.relative_strength where session = '{SPLIT}' and pair = 'IWM/IWB'") == [
        (1,)
    ]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("symbol", "kind"), [("IWM", "duplicate_timestamp"), ("SPY", "null_last_close"), ("SPY", "stale")]
)
def test_batch_that_cannot_be_trusted_blocks(market: Vendor, symbol: str, kind: str, begun: None) -> None:
    """A bar given twice, or a benchmark without one, publishes nothing; a good batch afterwards does."""
    before = world.content(PUBLISHED, *DATA)
    market.fault(symbol, kind)
    hit = run(market, SPLIT)
    assert hit.status == "blocked"
    assert symbol in hit.message
    assert world.content(PUBLISHED, *DATA) == before
    market.heal()
    assert run(market, SPLIT).status == "published"


@pytest.mark.long_after(0)
def test_split_restates_the_history_and_no_return(market: Vendor, begun: None) -> None:
    """On the day of a 2:1 split the vendor halves the past: all of it is fetched, listed as revised, and no return jumps."""
    returns = dict(rows("select session, return_1d from core.prices where symbol = 'XLK' and return_1d is not null"))
    hit = run(market, SPLIT)
    assert hit.status == "published"
    assert hit.rows_revised == len(world.days(DAYS[0], BEFORE))
    assert rows("select distinct symbol from ops.revisions") == [("XLK",)]
    assert rows(f"select split_ratio from core.prices where symbol = 'XLK' and session = '{SPLIT}'") == [(2.0,)]
    after = dict(rows("select session, return_1d from core.prices where symbol = 'XLK' and return_1d is not null"))
    assert {day: after[day] for day in returns} == pytest.approx(returns, rel=1e-9)
    assert abs(after[SPLIT]) < 0.15


@pytest.mark.long_after(0)
def test_dividend_is_in_the_return_and_not_in_the_close(market: Vendor) -> None:
    """On an ex-date the total return is what the close and the dividend make together, and our adjusted close is Yahoo's."""
    run(market, DAYS[-1])
    found = rows(
        "select close, lag(close) over (partition by symbol order by session), dividend, return_1d from core.prices where symbol = 'SPY' "
        "qualify dividend > 0"
    )
    assert found
    for close, before, dividend, total_return in found:
        assert total_return == pytest.approx(close / (before - dividend) - 1, rel=1e-12)
    differing = rows(
        "select p.symbol from core.prices as p join raw.prices as r using (symbol, session) where abs(p.adj_close / r.vendor_adj_close - 1) > 1e-5"
    )
    assert differing == []


@pytest.mark.long_after(0)
def test_funds_come_in_from_issuers_and_yahoo(market: Vendor, members: Universe) -> None:
    """Every dataset arrives in its vendor's own format; what one issuer withholds is set aside, and the rest is published."""
    market.now = evening(SPLIT)
    market.issuers.fault("IWM", "html_200")
    result = world.run(
        MarketSource(members.instruments, 20, calendar.load(date(2005, 1, 3), date(2026, 12, 31))), SPLIT, market.now
    )
    assert (result.status, result.rows_quarantined) == ("published", 2)
    assert rows("select dataset, symbol, expectation from ops.quarantine order by dataset") == [
        ("fund_nav", "IWM", "fetch"),
        ("holdings", "IWM", "fetch"),
    ]
    funds = [i for i in members.instruments if i.kind in ("fund", "sector")]
    of_issuer = {name: sum(i.issuer == name for i in funds) for name in ("ishares", "ssga", None)}
    assert rows("select source, count(distinct symbol) from core.fund_nav group by source order by source") == [
        ("ishares", of_issuer["ishares"] - 1),
        ("ssga", of_issuer["ssga"]),
        ("yahoo: assets / NAV", of_issuer[None]),
    ]
    assert rows("select count(*) from core.fund_facts where expense_ratio between 0.0001 and 0.01") == [(len(funds),)]
    ((gap, coverage),) = rows("select gap, small_coverage_pct from signals.earnings_momentum")
    assert gap is not None
    assert 0 < float(str(coverage)) < 100

    market.heal()
    after = world.run(
        MarketSource(members.instruments, 20, calendar.load(date(2005, 1, 3), date(2026, 12, 31))), SPLIT, market.now
    )
    assert after.status == "published"
    assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]
    assert rows("select count(distinct symbol) from core.fund_nav where source = 'ishares'") == [
        (of_issuer["ishares"],)
    ]


# ---- the whole flow, in processes of their own ----


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Prefect that was never used, as on a new machine."""
    return str(tmp_path_factory.mktemp("prefect"))


@pytest.fixture
def environment(market: Vendor, prefect_home: str) -> dict[str, str]:
    """What `rotation` needs to find this test's market and Prefect."""
    more = {
        "PREFECT_HOME": prefect_home,
        "ROTATION_FETCH_TIMEOUT_S": "5",
        "ROTATION_FETCH_WAIT_S": "0",
        "COLUMNS": "200",
    }
    return {k: v for k, v in market.env(**more).items() if not k.startswith("PREFECT_API")}


def rotation(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "market_rotation.flows.cli.main", *arguments]


def call(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        rotation(*arguments), env=environment, text=True, capture_output=True, timeout=180, check=False
    )


@pytest.mark.long_after(0)
def test_command_line_run_by_run(market: Vendor, environment: dict[str, str]) -> None:
    """A person's first day: a run through proxy and private CA, a second one with nothing to do, a blocked one, and its end."""
    first = call(environment, "run", "--session", str(BEFORE))
    assert first.returncode == 0, first.stderr
    assert "published" in first.stdout
    assert noise(first) == []
    second = call(environment, "run", "--session", str(BEFORE))
    assert (second.returncode, noise(second)) == (0, [])
    assert "up to date" in second.stdout

    market.fault("IWM", "duplicate_timestamp")
    blocked = call(environment, "run", "--session", str(SPLIT))
    assert blocked.returncode == 1
    assert "blocked" in blocked.stdout
    assert "one_row_per_bar" in blocked.stderr
    assert noise(blocked) == []
    state = call(environment, "status")
    assert state.returncode == 3
    assert "was blocked" in state.stdout

    market.heal()
    healed = call(environment, "run", "--session", str(SPLIT))
    assert healed.returncode == 0, healed.stderr
    asked = call(
        environment, "sql", "--format", "csv", "select count(*) as n from core.prices where session = '2025-12-05'"
    )
    assert (asked.stdout, asked.stderr) == (f"n\n{FOLLOWED}\n", "")
    # Without a server there is no flow run.
    assert rows("select count(*), count(flow_run_id) from ops.runs") == [(4, 0)]


def noise(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines no person wants to see: stack traces, warnings, the words of libraries."""
    words = (
        "Traceback",
        "Warning",
        "WARNING",
        "ERROR",
        "prefect.",
        "Calculating Metrics",
        "yfinance",
        "Error flushing",
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if any(word in line for word in words)]


@pytest.mark.long_after(0)
def test_killed_in_the_middle(market: Vendor, environment: dict[str, str]) -> None:
    """A run killed while it fetches leaves the published file as it was; the next one ends where an undisturbed one would.

    It does not download again what the killed one had.
    """
    assert run(market, BEFORE).status == "published"
    before = PUBLISHED.read_bytes()
    market.now = evening(SPLIT)
    market.fault("XLY", "hang")
    environment = {**environment, "ROTATION_FETCH_TIMEOUT_S": "120"}
    with subprocess.Popen(
        rotation("run", "--session", str(SPLIT)),
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        market.wait_for_request("/chart/XLY", timeout_s=120, since=market.count("/chart/XLY"))
        with (
            pytest.raises(Exception, match=f"process {process.pid}"),
            warehouse.writing(Path("warehouse/build.duckdb")),
        ):
            pass
        os.killpg(process.pid, signal.SIGKILL)
    assert PUBLISHED.read_bytes() == before
    market.heal()
    asked = market.count("/v8/finance/chart/")
    healed = call(environment, "run", "--session", str(SPLIT))
    assert healed.returncode == 0, healed.stderr
    # Of the ten batches at most eight were under way, and XLK's split makes its history asked for a second time.
    assert market.count("/v8/finance/chart/") - asked <= 8 * 4 + 1
    assert not [path for path in Path("warehouse/fetched").rglob("*") if path.is_file()]
    assert rows("select status from ops.runs order by run_id") == [("published",), ("failed",), ("published",)]
    assert rows(f"select count(*) from core.prices where session = '{SPLIT}'") == [(FOLLOWED,)]


READER = """
import sys, threading, duckdb
path, seen, stop = sys.argv[1], set(), threading.Event()
query = "select (select max(session) from core.prices), (select max(session) from signals.relative_strength), count(*) from ops.runs where published"
held = duckdb.connect(path, read_only=True)
first = held.execute(query).fetchone()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set())).start()
print("ready", flush=True)
polls, last = 0, False
while not last:
    last = stop.is_set()
    # A connection of its own each time: within one DuckDB, what is open under one path is shared.
    with duckdb.connect() as fresh:
        fresh.execute(f"attach '{path}' as published (read_only); use published")
        seen.add(fresh.execute(query).fetchone())
    assert held.execute(query).fetchone() == first, "the reader that stayed open saw a change"
    polls += 1
print(polls)
for row in sorted(seen):
    print(*row)
"""


@pytest.mark.long_after(0)
def test_reader_that_polls_sees_before_or_after(market: Vendor, begun: None) -> None:
    """A reader that keeps the file open, and one that opens it again and again, see a whole state each time and no error."""
    command = [sys.executable, "-c", READER, str(PUBLISHED)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin
        assert reader.stdout
        assert reader.stdout.readline() == "ready\n"
        sessions = [day for day in DAYS if day > BEFORE][:4]
        for session in sessions:
            assert run(market, session).status == "published"
        out, err = reader.communicate("stop\n", timeout=120)
    assert (reader.returncode, err) == (0, "")
    polls, *seen = out.splitlines()
    assert int(polls) > 20
    whole = [f"{day} {day} {n}" for n, day in enumerate([BEFORE, *sessions], start=1)]
    assert set(seen) <= set(whole)
    assert seen[-1] == whole[-1]
