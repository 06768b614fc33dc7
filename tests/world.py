"""Small worlds for tests: a universe of a few symbols, bars written by hand, and runs of the steps without Prefect."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.datasets import DATASETS, FUND_NAV_COLUMNS
from market_rotation.tasks.errors import ConfigError, RotationError, SymbolNotFound, WarehouseBusy
from market_rotation.tasks.run import fetch, pipeline, stage
from market_rotation.tasks.run.context import Parameters, RunContext
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.sources.base import Source, price_frame, typed
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Instrument, Pair, Universe, load_universe
from market_rotation.tasks.warehouse.models import models

REPOSITORY = Path(__file__).parents[1]
START = date(2024, 1, 2)
#: A column as a test writes it: a list, or an array that it calculated.
Values = Sequence[float | None] | np.ndarray[Any, np.dtype[np.float64]]


def instrument(symbol: str, **values: Any) -> Instrument:
    """An instrument with the given values; a small fund measured against SPY unless said otherwise."""
    blank: dict[str, Any] = {name: None for name, field in Instrument.model_fields.items() if field.is_required()}
    benchmark = None if symbol == "SPY" else "SPY"
    return Instrument(
        **{
            **blank,
            "name": symbol,
            "kind": "fund",
            "size_bucket": "small",
            "benchmark": benchmark,
            **values,
            "symbol": symbol,
        }
    )


def universe(*instruments: Instrument, pairs: Sequence[tuple[str, str]] = ()) -> Universe:
    """A universe of these instruments; the first pair is the headline."""
    legs = [
        Pair(small_symbol=small, large_symbol=large, headline=i == 0, earnings=False)
        for i, (small, large) in enumerate(pairs)
    ]
    return Universe(instruments=instruments, pairs=tuple(legs))


def counted_universe() -> Universe:
    """The shipped universe without the instruments that breadth does not count: the 32 symbols of the real data."""
    shipped = load_universe()
    instruments = tuple(i for i in shipped.instruments if i.in_breadth)
    symbols = {i.symbol for i in instruments}
    return Universe(
        instruments=instruments, pairs=tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= symbols)
    )


def with_file_issuers(members: Universe) -> Universe:
    """`members`, with no issuer but the two whose daily files the vendor server has for any fund."""
    kept = ("ssga", "ishares")
    return members.model_copy(
        update={
            "instruments": tuple(
                i if i.issuer in kept else i.model_copy(update={"issuer": None, "issuer_id": None})
                for i in members.instruments
            )
        }
    )


def days(start: date = START, end: date = date(2026, 1, 16)) -> list[date]:
    """The sessions from `start` to `end`."""
    return calendar.load(date(2005, 1, 3), date(2026, 11, 20)).sessions(start, end)


def bars(symbol: str, closes: Values, start: date = START, **columns: Any) -> pd.DataFrame:
    """A price frame with these closes on consecutive sessions from `start`; no dividends and splits unless given as lists."""
    sessions = days(start)[: len(closes)]
    plain = {
        "symbol": symbol,
        "session": sessions,
        "close": closes,
        "dividend": 0.0,
        "capital_gain": 0.0,
        "split_ratio": 1.0,
    }
    return price_frame({**plain, **columns})


def records(
    symbol: str,
    navs: Sequence[float | None],
    shares: Sequence[float | None] | None,
    start: date = START,
    **columns: Any,
) -> pd.DataFrame:
    """A fund's records with these NAVs and share counts on consecutive sessions from `start`, from the issuer unless said otherwise."""
    sessions = days(start)[: len(navs)]
    plain = {"symbol": symbol, "session": sessions, "nav": navs, "shares_outstanding": shares, "source": "issuer"}
    return typed({**plain, **columns}, FUND_NAV_COLUMNS)


def estimate(symbol: str, as_of: date, growth: float | None, **values: Any) -> dict[str, Any]:
    """A row of `EARNINGS_GROWTH_COLUMNS`: a company that earned 4 a share, then 5, and `growth` more in the calendar year ahead of `as_of`.

    Its fiscal years are calendar years; its shares cost 100. `values` replace columns.
    """
    year = as_of.year + (as_of.month > 6)
    return {
        "symbol": symbol,
        "as_of": pd.Timestamp(as_of),
        "period_end_current_year": pd.Timestamp(year - 1, 12, 31),
        "period_end_next_year": pd.Timestamp(year, 12, 31),
        "eps_year_ago": 4.0,
        "eps_current_year": 5.0,
        "eps_next_year": None if growth is None else 5.0 * (1 + growth),
        "growth_current_year": 0.25,
        "growth_next_year": growth,
        "analysts": 10.0,
        "revisions_up_30d": 0.0,
        "revisions_down_30d": 0.0,
        "price": 100.0,
        "source": "analysts",
    } | values


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` filled, once for all the processes that run these tests; tests must not change it."""
    root = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        root = root.parent
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        making, failed = root / f"{name}.making", root / f"{name}.failed"
        if failed.exists():
            pytest.fail(f"{name} could not be made: {failed.read_text()}")
        if not (root / name).exists():
            making.mkdir()
            try:
                make(making)
            except BaseException as error:
                failed.write_text(f"{type(error).__name__}: {error}")
                raise
            making.rename(root / name)
    return root / name


def copy_of_first_run(factory: pytest.TempPathFactory, name: str, first_run: Callable[[], Run]) -> None:
    """Fills this test's empty home with what `first_run` publishes, which runs once for all tests that name it."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROTATION_HOME", str(folder / "warehouse"))
            assert first_run().status == "published"

    shutil.copytree(made_once(factory, name, make) / "warehouse", "warehouse")


def sample_of_january(factory: pytest.TempPathFactory) -> Path:
    """The published file of the simulated market on 16 January 2026, as the pages of the documentation show it; made once."""

    def make(folder: Path) -> None:
        session = date(2026, 1, 16)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROTATION_HOME", str(folder))
            patch.setenv("ROTATION_SOURCE", "sample")
            days = calendar.load(date(1993, 1, 29), session)
            made = run(SampleSource(days, load_universe().instruments), session)
            assert made.status == "published", made.message
        # Published it is complete; the pipeline's own copy would only take space.
        (folder / "build.duckdb").unlink()

    return made_once(factory, "january", make) / "rotation.duckdb"


def put(con: duckdb.DuckDBPyConnection, table: str, frame: pd.DataFrame) -> None:
    """Replaces `table` by the rows of `frame`."""
    con.register("incoming", frame)
    con.execute(f"create or replace table {table} as from incoming")
    con.unregister("incoming")


def fill(con: duckdb.DuckDBPyConnection, name: str, *rows: Mapping[str, Any]) -> None:
    """Leaves just these rows in the table `name`; columns they do not name are NULL."""
    con.execute(f"delete from {name}")
    if rows:
        names = list(rows[0])
        places = ", ".join([f"({', '.join('?' * len(names))})"] * len(rows))
        values = [row[name] for row in rows for name in names]
        con.execute(f"insert into {name} ({', '.join(names)}) values {places}", values)


@contextmanager
def derived(
    frames: Sequence[pd.DataFrame],
    members: Universe,
    session: date,
    start: date = START,
    path: str | Path = ":memory:",
    wanted: Collection[str] = pipeline.DERIVED,
    **fetched: pd.DataFrame,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse whose `raw` holds exactly these bars, with `core` and `signals` derived for `session`, unaudited.

    `wanted` are the schemas or tables that a test reads; with what they read they take less time than all. `fetched` are frames of other
    datasets by name, such as `fund_nav`.
    """
    with warehouse.writing(Path(path)) as con:
        everything = calendar.load(date(2005, 1, 3), date(2026, 11, 20))
        stage.put_references(con, members, everything, start, session)
        now = datetime(2026, 11, 20, tzinfo=UTC)
        warehouse.parameters(
            con, run_id="test", known_at=now, source="test", target_session=session, history_start=start
        )
        stage.put_answers(con, [])
        rows = pd.concat(frames)
        put(con, "stage.fetched_prices", rows[rows["session"] <= pd.Timestamp(session)])
        for dataset, frame in fetched.items():
            day = frame[DATASETS[dataset].key[1]]
            put(con, f"stage.fetched_{dataset}", frame[day <= pd.Timestamp(session)])
        warehouse.build(con, *pipeline.BATCHES)
        warehouse.load(con, "raw")
        warehouse.build(con, *with_what_they_read(wanted))
        yield con


def with_what_they_read(wanted: Collection[str]) -> set[str]:
    """The schemas and tables of `wanted`, and all tables and macros that these read."""
    names = set(wanted)
    for model in reversed(models()):
        if names & {model.name, model.name.split(".")[0]}:
            names |= model.reads
    return names


class FakeSource:
    """A source that gives what `frames` holds at the moment, or raises what it holds instead; `asked` lists the calls."""

    name = "fake"
    datasets = frozenset({"prices"})

    def __init__(self, frames: Mapping[str, pd.DataFrame | Exception]) -> None:
        self.frames: dict[str, Any] = dict(frames)
        self.asked: list[tuple[str, date, date]] = []

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        self.asked.append((symbol, start, end))
        held = self.frames.get(symbol, SymbolNotFound(f"{symbol} is not known here; drop it."))
        if isinstance(held, Exception):
            raise held
        return held[(held["session"] >= pd.Timestamp(start)) & (held["session"] <= pd.Timestamp(end))]


def fetch_in_order(context: RunContext, requests: Sequence[Request]) -> list[Answer]:
    """One answer for each request, one after the other, with one attempt each."""
    return fetch.fetch_batch(context.source, requests, fetch.RetryPolicy(attempts=1, wait_s=0, deadline=1e12))


def run(source: Source, session: date | None = None, now: datetime | None = None, **parameters: Any) -> Run:
    """A run of the daily job on the evening of `session`, with one attempt per symbol.

    Errors that keep a run from starting, and unexpected errors, are raised, so that no test ignores them.
    """
    if now is None:
        assert session is not None
        now = datetime(session.year, session.month, session.day, 23, 30, tzinfo=UTC)
    made = pipeline.run(Parameters(now, session, **parameters), pipeline.Steps(fetch=fetch_in_order), source)
    if isinstance(made.error, ConfigError | WarehouseBusy) or not isinstance(made.error, RotationError | None):
        raise made.error
    return made


def write_universe(folder: Path, members: Universe) -> Path:
    """Writes `universe.csv`, and `pairs.csv` if there are pairs, into `folder`; returns the first, for ROTATION_UNIVERSE."""
    rows = pd.DataFrame([i.model_dump() for i in members.instruments])
    rows.to_csv(folder / "universe.csv", index=False)
    if not members.pairs:
        return folder / "universe.csv"
    pairs = pd.DataFrame([p.model_dump() for p in members.pairs])
    for flag in ("headline", "earnings"):
        pairs[flag] = pairs[flag].map({True: "true", False: "false"})
    pairs.to_csv(folder / "pairs.csv", index=False)
    return folder / "universe.csv"


def table(con: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    """All rows of a table, in the order of its first columns."""
    return con.sql(f"from {name} order by all").df()


def content(path: Path, *names: str) -> dict[str, str]:
    """A hash of each table's content in the database file at `path`, whatever the order of its rows."""
    with warehouse.reading(path) as con:
        return {
            name: str(con.sql(f"select count(*), bit_xor(hash(t)), sum(hash(t)::hugeint) from {name} as t").fetchone())
            for name in names
        }


def shown_queries(page: Path) -> list[tuple[str, str]]:
    """The `rotation sql …` commands of a Markdown page that are shown with their output, and that output."""
    return re.findall(r"^\$ rotation (sql .*)\n((?:(?!\$ |```).*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE)


def output_of(command: str) -> list[str]:
    """The lines that `rotation <command>` prints, in a home given by the environment."""
    arguments = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', command)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.strip().splitlines()]
