"""core.context: rates, curve, volatility, dollar and credit, from instruments that stand in no signal; and what the audit says of indexes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.datasets import indexes
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.files import FilesSource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Instrument, Universe

GROUPS = {"^TNX": "rate_10y", "^IRX": "rate_3m", "^VIX": "volatility", "DX-Y.NYB": "dollar", "^MOVE": "bond_volatility"}
START, END = date(2018, 1, 2), date(2024, 6, 28)


def index(symbol: str) -> Instrument:
    return world.instrument(
        symbol, kind="index", size_bucket=None, benchmark=None, in_breadth=False, peer_group=GROUPS[symbol]
    )


def bond(symbol: str, group: str) -> Instrument:
    return world.instrument(symbol, size_bucket=None, benchmark=None, in_breadth=False, peer_group=group)


MEMBERS = world.universe(
    world.instrument("SPY", size_bucket="large"),
    world.instrument("IWM"),
    bond("HYG", "high_yield"),
    bond("IEF", "treasury"),
    *map(index, GROUPS),
    pairs=[("IWM", "SPY")],
)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    """Six years of the simulated market; of ^TNX two sessions are missing, as on the bond market's holidays."""
    source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), MEMBERS.instruments)
    found = {i.symbol: source.prices(i.symbol, START, END) for i in MEMBERS.instruments}
    found["^TNX"] = found["^TNX"].drop(index=[30, 1500]).reset_index(drop=True)
    return found


@pytest.fixture(scope="module")
def market(frames: dict[str, pd.DataFrame]) -> Iterator[duckdb.DuckDBPyConnection]:
    with world.derived(list(frames.values()), MEMBERS, END, START) as con:
        yield con


def closes(frames: dict[str, pd.DataFrame], symbol: str) -> pd.Series:
    return frames[symbol].set_index("session")["close"]


def expected(frames: dict[str, pd.DataFrame], tri: pd.DataFrame) -> dict[str, tuple[pd.Series, bool]]:
    """The levels, and whether their changes are fractions, worked out with pandas."""
    quotient = tri["HYG"] / tri["IEF"]
    return {
        "^TNX": (closes(frames, "^TNX"), False),
        "^IRX": (closes(frames, "^IRX"), False),
        "^TNX-^IRX": ((closes(frames, "^TNX") - closes(frames, "^IRX")).dropna(), False),
        "^VIX": (closes(frames, "^VIX"), False),
        "DX-Y.NYB": (closes(frames, "DX-Y.NYB"), True),
        "HYG/IEF": (100 * quotient / quotient.iloc[0], True),
        "^MOVE": (closes(frames, "^MOVE"), True),
    }


def test_levels_changes_and_percentiles_are_those_of_pandas(
    market: duckdb.DuckDBPyConnection, frames: dict[str, pd.DataFrame]
) -> None:
    """Every value of every measure, to 1e-9; a change is NULL where the session so far back has no level, a percentile before 1260 rows."""
    found = market.sql("from core.context").df()
    tri = market.sql("select symbol, session, total_return_index from core.prices").df()
    tri = tri.pivot(index="session", columns="symbol", values="total_return_index")
    sessions = pd.DatetimeIndex(world.days(START, END))
    wanted = expected(frames, tri)
    assert set(found["symbol"]) == set(wanted)
    for symbol, (level, is_relative) in wanted.items():
        rows = found[found["symbol"] == symbol].set_index("session")
        np.testing.assert_allclose(rows["close"], level, rtol=1e-9)
        aligned = level.reindex(sessions)
        for column, back in (("change_1m", 21), ("change_3m", 63)):
            change = aligned - aligned.shift(back)
            change = (change / aligned.shift(back) if is_relative else change).loc[rows.index]
            np.testing.assert_allclose(rows[column], change, rtol=1e-9, atol=1e-9)
            assert change.isna().sum() >= back
        rank = 100 * level.rolling(1260).apply(lambda w: (w < w[-1]).sum() / 1259, raw=True)
        np.testing.assert_allclose(rows["percentile_5y"], rank, rtol=1e-9)
    assert len(found[found["symbol"] == "^TNX"]) == len(sessions) - 2


def test_units_are_named(market: duckdb.DuckDBPyConnection) -> None:
    """Each row says in which unit its level and its changes are."""
    found = market.execute("select distinct measure, unit, change_unit from core.context order by all").fetchall()
    assert found == [
        ("credit", "index points", "fraction"),
        ("curve", "percentage points", "percentage points"),
        ("dollar", "index points", "fraction"),
        ("other", "index points", "fraction"),
        ("rate_10y", "percent", "percentage points"),
        ("rate_3m", "percent", "percentage points"),
        ("volatility", "index points", "index points"),
    ]


def test_no_later_session_changes_a_row(market: duckdb.DuckDBPyConnection, frames: dict[str, pd.DataFrame]) -> None:
    """The rows up to a session are the same whether or not later data exists."""
    cut = world.days(START, END)[-70]
    with world.derived(list(frames.values()), MEMBERS, cut, START, wanted=["core.context"]) as con:
        early = world.table(con, "core.context")
    whole = market.sql(f"from core.context where session <= date '{cut}' order by all").df()
    pd.testing.assert_frame_equal(early, whole)
    assert len(early) > 10_000


def test_it_votes_nowhere(market: duckdb.DuckDBPyConnection, frames: dict[str, pd.DataFrame]) -> None:
    """With and without the context every other table of core and signals has the same rows, but for the funds' own prices."""
    plain = Universe(instruments=MEMBERS.instruments[:2], pairs=MEMBERS.pairs)
    names = [m for m in generated_tables() if m not in ("core.context", "core.instruments")]
    with world.derived([frames["SPY"], frames["IWM"]], plain, END, START) as con:
        for name in names:
            of_funds = ("core.prices", "core.returns", "core.close_basis")
            other = "where symbol not in ('HYG', 'IEF')" if name in of_funds else ""
            wanted, found = (
                con.sql(f"from {name} order by all").df(),
                market.sql(f"from {name} {other} order by all").df(),
            )
            pd.testing.assert_frame_equal(found, wanted, obj=name)
    assert market.execute(
        "select count(*) from core.prices where symbol like '^%' or symbol = 'DX-Y.NYB'"
    ).fetchone() == (0,)


def generated_tables() -> list[str]:
    return [name for name in suites.names() if name.split(".")[0] in ("core", "signals")]


def test_the_suite_of_the_context_notices_its_faults(market: duckdb.DuckDBPyConnection) -> None:
    """A good table passes; a rate in tenths of a percent, a curve that is another number, and a percentile too early are found."""
    rules = {e.id: e.query for e in suites.load("core.context").expectations}

    def failed() -> set[str]:
        return {name for name, query in rules.items() if market.execute(query).fetchall()}

    assert failed() == set()
    for change, wanted in (
        ("close = close * 10 where symbol = '^TNX'", {"context_levels_possible", "context_curve_is_the_difference"}),
        ("close = close + 0.01 where measure = 'curve'", {"context_curve_is_the_difference"}),
        ("close = -close where measure = 'dollar'", {"context_levels_possible"}),
        (f"percentile_5y = 50 where session = date '{START}'", {"context_windows_are_full"}),
        ("percentile_5y = 101 where percentile_5y = 100", {"context_windows_are_full"}),
    ):
        market.begin()
        market.execute(f"update core.context set {change}")
        assert failed() == wanted, change
        market.rollback()


# ---- the audit of a batch ----


@contextmanager
def batch(
    given: dict[str, pd.DataFrame], session: date, known: dict[str, pd.DataFrame] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A staged batch of these bars after those `known` already."""
    with warehouse.writing(Path(":memory:")) as con:
        stage.put_references(con, MEMBERS, calendar.load(START, date(2026, 11, 20)), START, session)
        stage.put_offers(con, [])
        for run, frames in enumerate((known or {}, given)):
            moment = datetime(2026, 1, 1 + run, tzinfo=UTC)
            warehouse.parameters(
                con, run_id=f"r{run}", known_at=moment, source="x", target_session=session, history_start=START
            )
            answers = [
                Answer(Request("prices", symbol, START, session), frame, None) for symbol, frame in frames.items()
            ]
            stage.put_answers(con, answers)
            warehouse.build(con, *pipeline.BATCHES)
            if frames is not given:
                warehouse.load(con, "raw")
        yield con


def failures(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """Symbol and session of what each expectation on prices finds."""
    rows = {
        e.id: con.execute(f"select symbol, session from ({e.query})").fetchall()
        for e in suites.staged("prices").expectations
    }
    return {name: found for name, found in rows.items() if found}


def level(symbol: str, values: list[float | None], sessions: list[date]) -> pd.DataFrame:
    """Bars of an index as Yahoo gives them: no volume, and open, high and low at the level."""
    frame = world.bars(symbol, values, volume=[0.0] * len(values))
    frame["session"] = pd.to_datetime(sessions).astype("datetime64[s]")
    for name in ("open", "high", "low"):
        frame[name] = frame["close"]
    return frame


DAYS = world.days(START)[:12]


def test_levels_that_indexes_have_had_are_not_misjudged() -> None:
    """A negative and a standing rate, volatility that doubles, no volume, a holiday of the bond market, a bar on a holiday of the exchange."""
    holiday = date(2018, 1, 15)
    given = {
        "^IRX": level(
            "^IRX", [-0.105, -0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 0.003, 0.013], [d for d in DAYS if d != DAYS[4]][:9]
        ),
        "^VIX": level("^VIX", [17.3, 37.3, 29.9, 12.0, 12.0, 12.0, 12.0, None, 9.1], DAYS[:9]),
        "DX-Y.NYB": level("DX-Y.NYB", [92.0] * 10, [*DAYS[:8], holiday, DAYS[8]]),
        "SPY": world.bars("SPY", [270.0 + i for i in range(10)], START),
        "IWM": world.bars("IWM", [150.0 + i / 2 for i in range(10)], START),
    }
    with batch(given, DAYS[9]) as con:
        assert failures(con) == {}


@pytest.mark.parametrize(
    ("symbol", "values", "wanted"),
    [
        ("^TNX", [4.2, 4.3, 43.1], {"index_plausible": [2]}),
        ("^TNX", [42.0, 42.1], {"index_plausible": [0, 1]}),
        ("^TNX", [4.2, 4.2, 1.9], {"index_plausible": [2]}),
        ("^VIX", [15.0, 1500.0], {"index_plausible": [1]}),
        ("DX-Y.NYB", [103.0, 1.03], {"index_plausible": [1]}),
        ("^VIX", [15.0, float("inf")], {"prices_positive": [1]}),
    ],
)
def test_levels_in_another_unit_are_set_aside(
    symbol: str, values: list[float | None], wanted: dict[str, list[int]]
) -> None:
    """Tenths of a percent, hundredths of a point, and jumps beyond any on record are found, as warnings on the bar itself."""
    with batch({symbol: level(symbol, values, DAYS[: len(values)])}, DAYS[len(values) - 1]) as con:
        assert failures(con) == {name: [(symbol, DAYS[i]) for i in places] for name, places in wanted.items()}


def test_a_jump_is_seen_against_what_is_known() -> None:
    """A batch of one new bar is compared with the bar of the run before."""
    known = {"^TNX": level("^TNX", [4.2, 4.3], DAYS[:2])}
    with batch({"^TNX": level("^TNX", [43.5], DAYS[2:3])}, DAYS[2], known) as con:
        assert failures(con) == {"index_plausible": [("^TNX", DAYS[2])]}


def test_an_index_that_stops_is_found_after_a_week() -> None:
    """One missing session is a holiday of another market; a level missing for more than five days is reported."""
    given = {
        "^VIX": level("^VIX", [15.0, 15.5], DAYS[:2]),
        "SPY": world.bars("SPY", [100.0 + i for i in range(6)], START),
    }
    with batch(given | {"SPY": given["SPY"].head(3)}, DAYS[2]) as con:
        assert failures(con) == {}
    with batch(given, DAYS[5]) as con:
        assert failures(con)["no_session_missing"] == [("^VIX", DAYS[5])]
        assert (DAYS[5] - DAYS[1]).days > 5


# ---- sources ----


class WithIndexes(world.FakeSource):
    """A source that has indexes."""

    def indexes(self, instruments: list[Instrument]) -> list[str]:
        return [i.symbol for i in instruments]


@pytest.mark.long_after(0)
def test_an_index_is_requested_only_from_a_source_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source without indexes is not asked for one and nothing is set aside; one that has them fills core.context by whole runs."""
    universe = world.universe(*MEMBERS.instruments[:2], index("^VIX"), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, universe)))
    monkeypatch.setenv("ROTATION_HISTORY_START", str(START))
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")
    frames = {
        "SPY": world.bars("SPY", [270.0 + i for i in range(4)], START),
        "IWM": world.bars("IWM", [150.0 + i / 2 for i in range(4)], START),
        "^VIX": level("^VIX", [15.0, 16.0, 33.0, 20.0], DAYS[:4]),
    }
    without = world.FakeSource(frames)
    run = world.run(without, DAYS[2])
    assert (run.status, run.rows_quarantined) == ("published", 0)
    assert {symbol for symbol, *_ in without.asked} == {"SPY", "IWM"}
    run = world.run(WithIndexes(frames), DAYS[3])
    assert (run.status, run.rows_quarantined) == ("published", 0)
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        assert con.execute("select close from core.context where symbol = '^VIX' order by session").fetchall() == [
            (15,),
            (16,),
            (33,),
            (20,),
        ]
        assert con.execute("select symbols_behind from ops.freshness(null) where dataset = 'prices'").fetchone() == (0,)


def test_files_have_the_indexes_in_their_prices(tmp_path: Path) -> None:
    """The indexes that the file of prices has a row of, and no others."""
    pd.concat([world.bars("SPY", [270.0]), level("^TNX", [4.2], DAYS[:1])]).drop(
        columns=["capital_gain", "vendor_adj_close"]
    ).to_csv(tmp_path / "prices.csv", index=False)
    source = FilesSource(tmp_path)
    assert indexes(source, MEMBERS.instruments) == {"^TNX"}
    assert source.prices("^TNX", START, END)["close"].tolist() == [4.2]
