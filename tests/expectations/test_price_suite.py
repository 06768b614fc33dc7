"""The rules on prices that look at more than one bar, and those on what is derived: each has what it passes and what it must find, to the limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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
from market_rotation.tasks.audit.expectations import Suite
from market_rotation.tasks.run import pipeline, stage
from market_rotation.tasks.run.fetch import Answer, Request

DAYS = world.days()
COUNT = 120
#: The first session of March: January and February have the forty returns that a comparison needs.
FIRST_COMPARED = next(n for n, day in enumerate(DAYS) if day.month == 3)
SYMBOLS = ("SPY", "IWM", "IJR", "MDY", "VB", "RSP", "IWB", "QQQ", "IWC")
#: Of the nine symbols three are above, three at and three below the market on each session, by this much.
APART = {"SPY": 0.002, "QQQ": 0.01, "IWC": 0.03}
PRICES, MARKET = suites.staged("prices"), suites.load("core.prices")

Frames = dict[str, pd.DataFrame]
#: Symbol and number of a bar → its return.
Moves = dict[tuple[str, int], float]


def closes(symbol: str, moves: Moves, count: int = COUNT) -> list[float]:
    """Closes whose distance from the market's return goes up, nowhere, down, in turn, so that its robust sigma is 1.4826 x APART."""
    phase, apart = SYMBOLS.index(symbol), APART.get(symbol, 0.002)
    close = [100.0]
    for i in range(1, count):
        usual = (0.001 if i % 2 else -0.0008) + apart * ((i + phase) % 3 - 1)
        close.append(close[-1] * (1 + moves.get((symbol, i), usual)))
    return close


def market(moves: Moves | None = None, symbols: tuple[str, ...] = SYMBOLS, count: int = COUNT) -> Frames:
    """Bars of these symbols on consecutive sessions, with other volumes every day."""
    return {
        symbol: world.bars(symbol, closes(symbol, moves or {}, count), volume=[1000 + i for i in range(count)])
        for symbol in symbols
    }


def all_move(session: int, change: float) -> Moves:
    """Every symbol returns the same on a session."""
    return {(symbol, session): change for symbol in SYMBOLS}


def at(frames: Frames, symbol: str, rows: int | slice, **values: object) -> Frames:
    """`frames` with values of some rows of a symbol changed."""
    frame = frames[symbol].copy()
    for column, value in values.items():
        frame.loc[frame.index[rows], column] = value
    return {**frames, symbol: frame}


def times(frames: Frames, symbol: str, factor: float, rows: slice = slice(None)) -> Frames:
    """`frames` with the closes of some rows of a symbol multiplied."""
    return at(frames, symbol, rows, close=frames[symbol]["close"].iloc[rows] * factor)


def put(con: duckdb.DuckDBPyConnection, frames: Frames, since: int = 0) -> None:
    """Stages the bars from number `since` on as the source's answer; from 0 on it is the whole history."""
    last = max(frame["session"].max() for frame in frames.values()).date()
    answers = [
        Answer(
            Request("prices", symbol, DAYS[since], last, since == 0),
            frame[frame["session"] >= pd.Timestamp(DAYS[since])],
            None,
        )
        for symbol, frame in frames.items()
    ]
    stage.put_answers(con, answers)
    warehouse.build(con, *pipeline.BATCHES)


def know(con: duckdb.DuckDBPyConnection, frames: Frames, until: int = COUNT - 1) -> None:
    """Takes in the bars before number `until` as known."""
    put(con, {symbol: frame.iloc[:until] for symbol, frame in frames.items()})
    warehouse.load(con, "raw")
    warehouse.parameters(con, known_at=datetime(2026, 11, 21, tzinfo=UTC))


@contextmanager
def opened(count: int = COUNT) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse before its first batch, with `count` sessions."""
    with warehouse.writing(Path(":memory:")) as con:
        members = world.universe(*map(world.instrument, SYMBOLS))
        stage.put_references(
            con, members, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], DAYS[count - 1]
        )
        now = datetime(2026, 11, 20, tzinfo=UTC)
        warehouse.parameters(
            con, run_id="r1", known_at=now, source="files", target_session=DAYS[count - 1], history_start=DAYS[0]
        )
        yield con


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse before its first batch, with 120 sessions."""
    with opened() as con:
        yield con


Found = dict[str, list[tuple[str | None, int | None]]]


def found(con: duckdb.DuckDBPyConnection, suite: Suite = PRICES) -> Found:
    """Expectation → the symbols and numbers of the bars it names, for those that name any; without Great Expectations, which takes a second."""
    rows = {
        e.id: con.execute(f"select symbol, session from ({e.query}) order by all").fetchall()
        for e in suite.expectations
    }
    return {name: [(symbol, day and DAYS.index(day)) for symbol, day in given] for name, given in rows.items() if given}


def test_ordinary_market_passes(con: duckdb.DuckDBPyConnection) -> None:
    """Nothing is found in a whole history of ordinary bars, nor in the next session's bars with their overlap, nor in those known already."""
    frames = market()
    put(con, frames)
    assert found(con) == {}
    know(con, frames)
    put(con, frames, COUNT - 11)
    assert con.sql("from stage.prices").fetchall()
    assert found(con) == {}
    warehouse.load(con, "raw")
    put(con, frames, COUNT - 11)
    assert con.sql("from stage.prices").fetchall() == []
    assert found(con) == {}


def test_bars_are_those_of_the_batch_and_else_the_known_ones(con: duckdb.DuckDBPyConnection) -> None:
    """A batch is measured against each bar once: as it gives it, else as last known; one that is withdrawn, now or before, is none."""

    def held(frames: Frames) -> list[tuple[date, float, bool, bool]]:
        put(con, frames)
        query = "select session, close, is_given, is_revised from stage.bars where symbol = 'IWM' order by session"
        return con.sql(query).fetchall()

    def expected(frames: Frames, given: set[int], revised: int) -> list[tuple[date, float, bool, bool]]:
        bars = frames["IWM"][["session", "close"]].itertuples(name=None)
        return [(day.date(), close, number in given, number == revised) for number, day, close in bars]

    frames = market()
    know(con, frames)
    frames = times(frames, "IWM", 1.01, slice(60, 61))
    frames["IWM"] = frames["IWM"].drop(index=50)
    assert held(frames) == expected(frames, {60, LAST}, 60)
    warehouse.load(con, "raw")
    frames = at(frames, "IWM", -1, close=99.0)
    warehouse.parameters(con, known_at=datetime(2026, 11, 22, tzinfo=UTC))
    assert held(frames) == expected(frames, {LAST}, LAST)


# The definition of a jump, and when it is accepted.

LAST = COUNT - 1


#: What fn.is_jump is given for a bar unless said otherwise: a fund whose like let expect 1 % on a session on which it usually deviates by 0.4 %.
BAR = {
    "return_1d": 0.01,
    "expected_return": 0.01,
    "usual_deviation": 0.004,
    "has_companions": True,
    "times_usual_volume": None,
    "share_at_open": None,
}
STOCK = {"has_companions": False, "usual_deviation": 0.02, "expected_return": 0.0}
#: Evidence is there, and speaks against the jump.
LONE = {"times_usual_volume": 1.0, "share_at_open": 0.0}


@pytest.mark.long_after(12)
@pytest.mark.parametrize(
    ("values", "jump"),
    [
        ({}, False),
        # 2.5 % at least, and 3.5 usual deviations without evidence, 6 with it, either way.
        ({"return_1d": 0.0349}, False),
        ({"return_1d": 0.0351}, True),
        ({"return_1d": -0.0149}, False),
        ({"return_1d": -0.0151}, True),
        ({"return_1d": 0.0449, "usual_deviation": 0.01}, False),
        ({"return_1d": 0.0451, "usual_deviation": 0.01}, True),
        ({"return_1d": 0.0699, "usual_deviation": 0.01, **LONE}, False),
        ({"return_1d": 0.0701, "usual_deviation": 0.01, **LONE}, True),
        ({"return_1d": 0.0451, "usual_deviation": 0.01, "times_usual_volume": 1.0}, True),
        # Against the market 8 % at least, and 8 usual deviations without evidence, 6 with it.
        ({**STOCK, "return_1d": 0.0799, "usual_deviation": 0.009}, False),
        ({**STOCK, "return_1d": 0.0801, "usual_deviation": 0.009}, True),
        ({**STOCK, "return_1d": 0.159}, False),
        ({**STOCK, "return_1d": 0.161}, True),
        ({**STOCK, "return_1d": -0.119, **LONE}, False),
        ({**STOCK, "return_1d": -0.121, **LONE}, True),
        # Beyond 25 % whatever was expected, and where nothing was.
        ({"return_1d": 0.249, "usual_deviation": 0.1}, False),
        ({"return_1d": 0.251, "usual_deviation": 0.1}, True),
        ({"return_1d": -0.251, "expected_return": -0.25}, True),
        ({"return_1d": 0.249, "expected_return": None, "usual_deviation": None}, False),
        ({"return_1d": 0.251, "expected_return": None, "usual_deviation": None}, True),
        ({"return_1d": None}, False),
        # Evidence: open and volume, or a volume that speaks for itself; never beyond 45 %.
        ({**STOCK, "return_1d": 0.2, "times_usual_volume": 2.01, "share_at_open": 0.41}, False),
        ({**STOCK, "return_1d": 0.2, "times_usual_volume": 1.99, "share_at_open": 0.41}, True),
        ({**STOCK, "return_1d": 0.2, "times_usual_volume": 2.01, "share_at_open": 0.39}, True),
        ({**STOCK, "return_1d": 0.2, "times_usual_volume": 2.01, "share_at_open": 2.51}, True),
        ({**STOCK, "return_1d": 0.2, "times_usual_volume": 4.01, "share_at_open": 0.0}, False),
        ({**STOCK, "return_1d": 0.2, "times_usual_volume": 4.01}, False),
        ({**STOCK, "return_1d": 0.2, "share_at_open": 1.0}, True),
        ({**STOCK, "return_1d": 0.449, "times_usual_volume": 5.0, "share_at_open": 1.0}, False),
        ({**STOCK, "return_1d": 0.451, "times_usual_volume": 5.0, "share_at_open": 1.0}, True),
        # A fund that leaves its like by up to 10 usual deviations needs less.
        ({"return_1d": 0.0499, "times_usual_volume": 1.26, "share_at_open": 0.26}, False),
        ({"return_1d": 0.0499, "times_usual_volume": 1.24, "share_at_open": 0.26}, True),
        ({"return_1d": 0.0499, "times_usual_volume": 1.26, "share_at_open": 0.24}, True),
        ({"return_1d": 0.0501, "times_usual_volume": 1.26, "share_at_open": 1.0}, True),
        ({**STOCK, "return_1d": 0.15, "times_usual_volume": 1.26, "share_at_open": 1.0}, True),
    ],
)
def test_what_is_a_jump(values: dict[str, float | None], jump: bool) -> None:
    """A jump lies too far from what was expected, without the open and the volume of a true one; each limit from both sides."""
    bar = {**BAR, **values}
    with warehouse.writing(Path(":memory:")) as con:
        assert con.execute(f"select fn.is_jump({', '.join(f'${name}' for name in bar)})", bar).fetchone() == (jump,)


def test_what_is_expected_of_a_return(con: duckdb.DuckDBPyConnection) -> None:
    """A fund is compared with the three funds most alike, a stock with the market; with too few symbols, or too few returns, nothing is expected."""
    rng = np.random.default_rng(7)
    common, own = rng.normal(0, 0.01, (2, COUNT)), rng.normal(0, 0.001, (len(SYMBOLS), COUNT))
    group = {symbol: k % 2 for k, symbol in enumerate(SYMBOLS)}
    paths = {s: np.cumprod(1 + (1 + k / 10) * common[group[s]] + own[k]) for k, s in enumerate(SYMBOLS)}
    put(con, {symbol: world.bars(symbol, list(100 * path)) for symbol, path in paths.items()})
    found = con.sql("from stage.expected_returns order by symbol, session").df()
    last = found[found["session"] == pd.Timestamp(DAYS[LAST])].set_index("symbol")
    returns = pd.DataFrame(paths, index=pd.to_datetime(DAYS[:COUNT])).pct_change()
    # A fund is measured over the twelve months before the month of the session.
    month = pd.Timestamp(DAYS[LAST]).replace(day=1)
    year = returns.iloc[1:].loc[month - pd.DateOffset(months=12) : month - pd.Timedelta(days=1)]
    for symbol in SYMBOLS:
        before = year[symbol]
        like = before.rename("own").to_frame().join(year.drop(columns=symbol)).corr()["own"].drop("own").nlargest(3)
        assert last.loc[symbol, "companions"] == ", ".join(like.index)
        assert {group[other] for other in like.index} == {group[symbol]}
        betas = [np.polyfit(year[other], before, 1)[0] for other in like.index]
        wanted = np.median([beta * returns[other].iloc[LAST] for beta, other in zip(betas, like.index, strict=True)])
        assert last.loc[symbol, "expected_return"] == pytest.approx(wanted, rel=1e-9)
        assert last.loc[symbol, "return_1d"] == pytest.approx(returns[symbol].iloc[LAST], rel=1e-9)
        left = np.median([before.std() * np.sqrt(1 - like[other] ** 2) for other in like.index])
        assert left <= last.loc[symbol, "usual_deviation"] * (1 + 1e-9)
    assert last["usual_deviation"].max() < 0.01
    known = found.groupby("session")["expected_return"].count()
    assert (known.iloc[:FIRST_COMPARED] == 0).all()
    assert (known.iloc[FIRST_COMPARED:] == len(SYMBOLS)).all()
    con.execute("update stage.universe set kind = 'stock' where symbol = 'IWM'")
    warehouse.build(con, "stage.expected_returns")
    stock = con.sql(f"from stage.expected_returns where symbol = 'IWM' and session = '{DAYS[LAST]}'").df().iloc[0]
    assert pd.isna(stock["companions"])
    assert stock["expected_return"] == pytest.approx(returns.iloc[LAST].median(), rel=1e-9)


@pytest.mark.parametrize("factor", [100.0, 0.01, 1.2])
def test_a_wrong_price_changes_little_of_what_is_expected(con: duckdb.DuckDBPyConnection, factor: float) -> None:
    """After a price that led there and back, the fund and those it is compared with are judged nearly as without it."""
    usual = market()
    put(con, usual)
    query = f"select symbol, expected_return from stage.expected_returns where session = '{DAYS[LAST]}' order by symbol"
    before = dict(con.sql(query).fetchall())
    put(con, times(usual, "SPY", factor, slice(80, 81)))
    after = dict(con.sql(query).fetchall())
    assert {s: after[s] for s in after if s != "IWC"} == pytest.approx(
        {s: before[s] for s in before if s != "IWC"}, abs=0.005
    )


def test_return_over_a_gap_is_not_compared(con: duckdb.DuckDBPyConnection) -> None:
    """After a session without a bar nothing is expected of the next return, and the volume usual before it is still known."""
    frames = market()
    frames["IWM"] = frames["IWM"].drop(index=frames["IWM"].index[100])
    put(con, frames)
    rows = con.sql(
        f"select session, expected_return is null, usual_volume is null from stage.expected_returns where symbol = 'IWM' and session between '{DAYS[99]}' and '{DAYS[102]}' order by 1"
    ).fetchall()
    assert rows == [(DAYS[99], False, False), (DAYS[101], True, False), (DAYS[102], False, False)]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("moves", "rows"),
    [
        # What the funds most alike let expect is -0.1 %.
        ({("IWM", LAST): 0.0235}, []),
        ({("IWM", LAST): 0.0245}, [("IWM", LAST)]),
        ({("IWM", LAST): -0.0255}, []),
        ({("IWM", LAST): -0.0265}, [("IWM", LAST)]),
        # One that leaves its like by more usually.
        ({("IWC", LAST): 0.045}, []),
        ({("IWC", LAST): 0.06}, [("IWC", LAST)]),
        # All of them: then it is the market. Beyond 25 % it is no market.
        (all_move(LAST, -0.12), []),
        (all_move(LAST, -0.251), [(symbol, LAST) for symbol in sorted(SYMBOLS)]),
        # Not compared before.
        ({("IWM", FIRST_COMPARED - 1): 0.1, ("IWM", FIRST_COMPARED): -0.09}, []),
        ({("IWM", FIRST_COMPARED): 0.1, ("IWM", FIRST_COMPARED + 1): -0.09}, [("IWM", FIRST_COMPARED)]),
        # The next bar undoes a bit less than half of it, and a bit more.
        ({("IWM", 100): 0.1, ("IWM", 101): 1.1**-0.49 - 1}, []),
        ({("IWM", 100): 0.1, ("IWM", 101): 1.1**-0.51 - 1}, [("IWM", 100)]),
        ({("IWM", 100): -0.2, ("IWM", 101): 0.8**-0.49 - 1}, []),
        ({("IWM", 100): -0.2, ("IWM", 101): 0.8**-0.51 - 1}, [("IWM", 100)]),
        # The way back is no jump of its own, on the last bar either.
        ({("IWM", LAST - 1): 0.3, ("IWM", LAST): 1 / 1.3 - 1}, [("IWM", LAST - 1)]),
        # Never accepted beyond 45 %.
        ({("IWM", 100): 0.449}, []),
        ({("IWM", 100): 0.451}, [("IWM", 100)]),
        ({("IWM", 100): -0.449}, []),
        ({("IWM", 100): -0.451}, [("IWM", 100)]),
    ],
)
def test_jumps(con: duckdb.DuckDBPyConnection, moves: Moves, rows: list[tuple[str, int]]) -> None:
    """A jump on the last bar waits; an older one is a fault only if the next bar undoes it, or beyond 45 %."""
    put(con, market(moves))
    assert found(con) == ({"return_plausible": rows} if rows else {})


def test_jump_is_believed_the_next_day(con: duckdb.DuckDBPyConnection) -> None:
    """A jump on the last bar is set aside. Requested again with a next bar that confirms it, both pass; if the next bar reverses it, only the jump fails."""
    frames = market({("IWM", LAST - 1): 0.2})
    know(con, frames, LAST - 1)
    put(con, {symbol: frame.iloc[:LAST] for symbol, frame in frames.items()}, LAST - 11)
    assert found(con) == {"return_plausible": [("IWM", LAST - 1)]}
    con.execute("delete from stage.prices where symbol = 'IWM'")
    warehouse.load(con, "raw")
    put(con, frames, LAST - 11)
    assert con.sql("select session from stage.prices where symbol = 'IWM'").fetchall() == [
        (DAYS[LAST - 1],),
        (DAYS[LAST],),
    ]
    assert found(con) == {}
    put(con, market({("IWM", LAST - 1): 0.2, ("IWM", LAST): -0.17}), LAST - 11)
    assert found(con) == {"return_plausible": [("IWM", LAST - 1)]}


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("volume", "share_at_open", "passes"),
    [(2.1, 0.5, True), (1.9, 0.5, False), (2.1, 0.3, False), (2.1, 2.6, False), (None, 0.5, False), (2.1, None, False)],
)
@pytest.mark.parametrize("move", [0.2, -0.2])
def test_a_true_jump_passes_the_same_evening(
    con: duckdb.DuckDBPyConnection, move: float, volume: float | None, share_at_open: float | None, passes: bool
) -> None:
    """What was there at the open, and was traded at twice the usual volume, is no fault of the vendor; without either it waits."""
    frames = market({("IWM", LAST): move})
    closes = frames["IWM"]["close"].to_numpy()
    opened = None if share_at_open is None else closes[-2] + share_at_open * (closes[-1] - closes[-2])
    frames = at(frames, "IWM", slice(None), volume=[1000.0 + i % 7 for i in range(COUNT)])
    frames = at(frames, "IWM", -1, open=opened, volume=None if volume is None else 1003.0 * volume)
    put(con, frames)
    assert found(con) == ({} if passes else {"return_plausible": [("IWM", LAST)]})


@pytest.mark.long_after(0)
@pytest.mark.parametrize("with_volume", [True, False])
@pytest.mark.parametrize(("repeating", "blocks"), [(9, True), (5, True), (4, False)])
def test_market_that_repeats_yesterday(
    con: duckdb.DuckDBPyConnection, with_volume: bool, repeating: int, blocks: bool
) -> None:
    """Yesterday's closes and volumes of half of the symbols block; of fewer, the bars are set aside where their volumes say so."""
    frames = market({(symbol, LAST): 0.0 for symbol in SYMBOLS[:repeating]})
    volume = [1e6 + i for i in range(COUNT)]
    for symbol in SYMBOLS:
        last = volume[LAST - 1] if symbol in SYMBOLS[:repeating] else volume[LAST]
        frames = at(frames, symbol, slice(None), volume=[*volume[:LAST], last] if with_volume else float("nan"))
    repeated = sorted((symbol, LAST) for symbol in SYMBOLS[:repeating])
    expected = ({"market_moved": repeated} if blocks else {}) | ({"bar_not_repeated": repeated} if with_volume else {})
    put(con, frames)
    assert found(con) == expected
    # Day by day, with all else known.
    know(con, frames)
    put(con, frames, LAST - 10)
    assert found(con) == expected


@pytest.mark.parametrize("values", [{"split_ratio": 1.3}, {"dividend": 20.5}, {"capital_gain": 20.5}])
def test_corporate_action_explains_a_jump(con: duckdb.DuckDBPyConnection, values: dict[str, float]) -> None:
    """A fall on the session of a split is not judged, and a distribution is added before it is."""
    put(con, at(market({("IWM", LAST): -0.2}), "IWM", -1, **values))
    assert found(con) == {}


@pytest.mark.parametrize("count", [3, 4])
def test_few_symbols_are_no_market(con: duckdb.DuckDBPyConnection, count: int) -> None:
    """Without three other funds, or five symbols, only the limit of 25 % holds: a benchmark would be measured by its own few companions."""
    put(con, market({("SPY", LAST): 0.2}, SYMBOLS[:count]))
    assert found(con) == ({} if count < 4 else {"return_plausible": [("SPY", LAST)]})


# An unannounced split.

RATIOS = [2, 3, 4, 5, 7, 10, 20, 25, 50]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("ratio", [1.5, 1 / 1.5, *RATIOS, *(1 / ratio for ratio in RATIOS)])
def test_step_by_the_ratio_of_a_split(con: duckdb.DuckDBPyConnection, ratio: float) -> None:
    """The bar that steps and all after it are set aside, unless the split is announced."""
    rows = [("IWM", i) for i in range(110, COUNT)]
    frames = times(market(), "IWM", ratio, slice(110, None))
    put(con, frames)
    assert found(con)["split_announced"] == rows
    assert set(found(con)) <= {"split_announced", "return_plausible"}
    put(con, at(frames, "IWM", 110, split_ratio=1 / ratio))
    assert found(con) == {}


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("moves", "is_one"),
    [
        ({("IWM", 110): 2 * 1.029 - 1}, True),
        ({("IWM", 110): 2 * 1.031 - 1}, False),
        ({("IWM", 110): 0.5 * 0.971 - 1}, True),
        ({("IWM", 110): 0.5 * 0.969 - 1}, False),
        ({("IWM", 110): 1.5 * 1.009 - 1}, True),
        ({("IWM", 110): 1.5 * 1.011 - 1}, False),
        ({("IWM", 110): 0.991 / 1.5 - 1}, True),
        ({("IWM", 110): 0.989 / 1.5 - 1}, False),
        ({**all_move(110, -0.1), ("IWM", 110): 0.9 / 2 - 1}, True),
        ({**all_move(110, -0.1), ("IWM", 110): 1 / 2 - 1}, False),
    ],
)
def test_ratio_is_clean(con: duckdb.DuckDBPyConnection, moves: Moves, is_one: bool) -> None:
    """Within 3 % of a ratio of 2 or more, within 1 % of 3 for 2, both against the market's return of that session."""
    put(con, market(moves | ({} if len(moves) > 1 else all_move(110, 0.0) | moves)))
    assert ("split_announced" in found(con)) == is_one


@pytest.mark.parametrize("ratio", [0.5, 2.0, 10.0])
def test_step_that_is_undone(con: duckdb.DuckDBPyConnection, ratio: float) -> None:
    """When the close is back, the bars from then on are good, until it steps again."""
    frames = times(times(market(), "IWM", ratio, slice(90, 95)), "IWM", ratio, slice(110, 112))
    put(con, frames)
    steps = [("IWM", i) for i in (*range(90, 95), 110, 111)]
    assert found(con) == {"return_plausible": [("IWM", 90), ("IWM", 110)], "split_announced": steps}


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("back", "rows"), [(2 * 0.849 - 1, 10), (2 * 0.851 - 1, 3), (2 * 1.149 - 1, 3), (2 * 1.151 - 1, 10)]
)
def test_how_far_back_it_must_come(con: duckdb.DuckDBPyConnection, back: float, rows: int) -> None:
    """Within 15 % of where it would have been is back."""
    put(con, market(all_move(113, 0.0) | {("IWM", 110): -0.5, ("IWM", 113): back}))
    assert found(con)["split_announced"] == [("IWM", i) for i in range(110, 110 + rows)]


def test_step_stays_aside_day_after_day(con: duckdb.DuckDBPyConnection) -> None:
    """The bar with the step is requested again with the next one, and both are set aside."""
    frames = times(market(), "IWM", 0.5, slice(LAST - 1, None))
    know(con, frames, LAST - 1)
    put(con, frames, LAST - 11)
    assert found(con)["split_announced"] == [("IWM", LAST - 1), ("IWM", LAST)]


def test_restated_overlap_is_no_step(con: duckdb.DuckDBPyConnection) -> None:
    """If all requested bars are on another basis, the step to the older ones is not a fault of the source; a step within the requested range is."""
    frames = market()
    know(con, frames)
    put(con, times(frames, "IWM", 0.5, slice(LAST - 10, None)), LAST - 10)
    assert "split_announced" not in found(con)
    put(con, times(frames, "IWM", 0.5, slice(LAST - 10, None)), LAST - 11)
    assert found(con)["split_announced"] == [("IWM", i) for i in range(LAST - 10, COUNT)]


# Sources that stand still, or change what they send.


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("sessions", "rows"), [(4, []), (5, [104]), (7, [104, 105, 106])])
def test_close_that_stands_still(con: duckdb.DuckDBPyConnection, sessions: int, rows: list[int]) -> None:
    """The fifth of five equal closes in a row is a fault, and those after it, unless no other symbol moves either."""
    still: Moves = {("IWM", i): 0.0 for i in range(101, 100 + sessions)}
    put(con, market(still))
    assert found(con) == ({"price_moves": [("IWM", i) for i in rows]} if rows else {})
    put(con, market({(symbol, i): 0.0 for symbol in SYMBOLS for i in range(101, 100 + sessions)}))
    assert found(con) == {}


@pytest.mark.parametrize(
    ("sessions", "volume", "rows"), [(2, 5e3, []), (3, 5e3, [102]), (4, 5e3, [102, 103]), (4, 0, [])]
)
def test_volume_that_stands_still(
    con: duckdb.DuckDBPyConnection, sessions: int, volume: float, rows: list[int]
) -> None:
    """The third of three equal volumes in a row is recorded; missing volumes are not."""
    put(con, at(market(), "IWM", slice(100, 100 + sessions), volume=volume))
    assert found(con) == ({"volume_moves": [("IWM", i) for i in rows]} if rows else {})


@pytest.mark.parametrize(("factor", "found_it"), [(0.019, True), (0.021, False), (49.0, False), (51.0, True)])
def test_volume_in_another_unit(con: duckdb.DuckDBPyConnection, factor: float, found_it: bool) -> None:
    """A volume fifty times more or less than usual is recorded; usual is the median of the 60 bars before."""
    put(con, at(market(), "IWM", LAST, volume=round((1000 + LAST - 30.5) * factor)))
    assert found(con) == ({"volume_in_shares": [("IWM", LAST)]} if found_it else {})


@pytest.mark.parametrize(("factor", "found_it"), [(0.015, True), (0.03, False), (5.0, False), (60.0, True)])
def test_dividend_in_another_unit(con: duckdb.DuckDBPyConnection, factor: float, found_it: bool) -> None:
    """A dividend fifty times more or less than the last ones is recorded."""
    frames = market()
    for row in (20, 50, 80):
        frames = at(frames, "IWM", row, dividend=0.01)
    put(con, at(frames, "IWM", 110, dividend=0.01 * factor))
    assert found(con) == ({"dividend_in_usd": [("IWM", 110)]} if found_it else {})


def test_what_stands_still_is_seen_day_by_day(con: duckdb.DuckDBPyConnection) -> None:
    """The bars known already count, and the new one alone is named."""
    frames = at(market({("IWM", i): 0.0 for i in range(LAST - 3, COUNT)}), "IWM", slice(LAST - 2, None), volume=700.0)
    know(con, frames)
    put(con, frames, LAST - 10)
    expected = {"price_moves": [("IWM", LAST)], "bar_not_repeated": [("IWM", LAST)], "volume_moves": [("IWM", LAST)]}
    assert found(con) == expected


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("amount", "rows"), [(0.0, []), (0.19, []), (0.21, [("IWM", 100)]), (-0.21, [("IWM", 100)])])
@pytest.mark.parametrize("column", ["dividend", "capital_gain"])
def test_adjusted_close_of_the_source(
    con: duckdb.DuckDBPyConnection, column: str, amount: float, rows: list[tuple[str, int]]
) -> None:
    """The source's adjusted close may miss 0.2 % of the price, not more, of what the bar says was distributed, either way."""
    frames = market()
    close = frames["IWM"]["close"].to_numpy()
    stated, paid = 1.0 * close[99] / 100, (1.0 + amount) * close[99] / 100
    factor = np.where(np.arange(COUNT) < 100, 1 - stated / close[99], 1.0)
    put(con, at(at(frames, "IWM", slice(None), vendor_adj_close=close * factor), "IWM", 100, **{column: paid}))
    assert found(con) == ({"adj_close_as_vendor": rows} if rows else {})


FEW = SYMBOLS[:5]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("symbols", "restated", "blocks"),
    [(SYMBOLS, 1, False), (SYMBOLS, 2, True), (FEW, 1, False), (FEW, 2, True), (FEW[:4], 4, False)],
)
def test_overlap_that_is_restated(
    con: duckdb.DuckDBPyConnection, symbols: tuple[str, ...], restated: int, blocks: bool
) -> None:
    """Other closes in more than a fifth of the overlap mean another kind of price; with four symbols this cannot be judged."""
    frames = market(symbols=symbols)
    know(con, frames)
    changed = symbols[-restated:]
    for symbol in changed:
        frames = times(frames, symbol, 0.98)
    put(con, frames, LAST - 10)
    rows = sorted((symbol, i) for symbol in changed for i in range(LAST - 10, LAST))
    assert found(con) == ({"overlap_not_restated": rows} if blocks else {})


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("ratio", "blocks"), [(2.0, False), (2.003, True), (3.0, True)])
def test_split_explains_a_restatement(con: duckdb.DuckDBPyConnection, ratio: float, blocks: bool) -> None:
    """Halved closes with a split of 2 for 1 on the new session are what a split does; with another ratio they are not."""
    frames = market()
    know(con, frames)
    for symbol in SYMBOLS[:4]:
        frames = at(times(frames, symbol, 0.5), symbol, -1, split_ratio=ratio)
    put(con, frames, LAST - 10)
    assert ("overlap_not_restated" in found(con)) == blocks


def test_known_split_explains_nothing(con: duckdb.DuckDBPyConnection) -> None:
    """A split that was already known with the bars does not cause another full history."""
    frames = market()
    for symbol in SYMBOLS[:4]:
        frames = at(frames, symbol, LAST - 1, split_ratio=2.0)
    know(con, frames)
    for symbol in SYMBOLS[:4]:
        frames = times(frames, symbol, 0.5)
    put(con, frames, LAST - 10)
    assert "overlap_not_restated" in found(con)


def without(frames: Frames, symbol: str, rows: range) -> Frames:
    """`frames` without some rows of a symbol."""
    frame = frames[symbol]
    return {**frames, symbol: frame.drop(frame.index[rows.start : rows.stop])}


def test_session_missing_at_the_start_of_what_is_requested(con: duckdb.DuckDBPyConnection) -> None:
    """A symbol lacks a session from the first one requested on, where its bars began long before."""
    requested = COUNT - 11
    frames = without(market(), "VB", range(requested - 20, requested + 2))
    know(con, frames)
    put(con, frames, since=requested)
    assert found(con)["no_session_missing"] == [("VB", requested), ("VB", requested + 1)]


def test_session_before_the_first_bar_is_not_missing(con: duckdb.DuckDBPyConnection) -> None:
    """A symbol that had not begun lacks nothing, nor does one whose only bars before were withdrawn and not given again."""
    requested = COUNT - 11
    know(con, without(market(), "VB", range(2, requested + 2)))
    put(con, without(market(), "VB", range(requested + 2)), since=requested)
    assert found(con)["no_session_missing"] == [("VB", requested), ("VB", requested + 1)]
    version = """
        insert into raw.prices by name
        select * replace ($2 as is_withdrawn, known_at + to_hours($3) as known_at)
        from (from raw.prices where symbol = 'VB' and session <= $1 and not is_withdrawn order by known_at limit 2)
        """
    con.execute(version, [DAYS[1], True, 1])
    assert "no_session_missing" not in found(con)
    con.execute(version, [DAYS[1], False, 2])
    assert found(con)["no_session_missing"] == [("VB", requested), ("VB", requested + 1)]


def test_distribution_is_compared_with_the_known_close_before(con: duckdb.DuckDBPyConnection) -> None:
    """A distribution of the new session that is as large as the known close before it is named."""
    frames = market()
    know(con, frames)
    put(con, at(frames, "VB", LAST, dividend=frames["VB"]["close"].iloc[LAST - 1]), since=LAST - 10)
    assert con.execute("select count(*) from stage.prices where symbol = 'VB'").fetchone() == (1,)
    assert found(con)["actions_plausible"] == [("VB", LAST)]


def test_bars_missing_at_the_start_of_a_whole_history_are_withdrawn(con: duckdb.DuckDBPyConnection) -> None:
    """The batch reaches back to what was requested, also where no source gives a bar of it any more."""
    know(con, market())
    put(con, {symbol: frame.iloc[2:] for symbol, frame in market().items()})
    gone = con.execute("select symbol, session from stage.prices where is_withdrawn order by all").fetchall()
    assert gone == [(symbol, day) for symbol in sorted(SYMBOLS) for day in DAYS[:2]]


def test_whole_history_of_one_symbol_weighs_no_more(con: duckdb.DuckDBPyConnection) -> None:
    """One symbol restated as a whole, with 119 bars against the others' ten, does not block."""
    frames = market()
    know(con, frames)
    answers = [
        Answer(
            Request("prices", symbol, DAYS[0 if symbol == "IWM" else LAST - 10], DAYS[LAST], symbol == "IWM"),
            times(frames, symbol, 0.98)[symbol] if symbol == "IWM" else frame.iloc[LAST - 10 :],
            None,
        )
        for symbol, frame in frames.items()
    ]
    stage.put_answers(con, answers)
    warehouse.build(con, *pipeline.BATCHES)
    assert con.sql("select count(*) from stage.prices where symbol = 'IWM' and is_revised").fetchone() == (LAST,)
    assert found(con) == {}


def restate(con: duckdb.DuckDBPyConnection, history: pd.DataFrame) -> Found:
    """What is found when the source answers for all of IWM's history with `history`, all else being known."""
    stage.put_answers(con, [Answer(Request("prices", "IWM", DAYS[0], DAYS[LAST], True), history, None)])
    warehouse.build(con, *pipeline.BATCHES)
    return {name: rows for name, rows in found(con).items() if name == "history_keeps_returns"}


def test_another_instruments_history(con: duckdb.DuckDBPyConnection) -> None:
    """A whole history with another fund's returns is no restatement, and the symbol is set aside; on another level with its own returns it is."""
    frames = market()
    know(con, frames)
    own = frames["IWM"]
    named = {"history_keeps_returns": [("IWM", None)]}
    assert restate(con, frames["QQQ"].assign(symbol="IWM")) == named
    assert restate(con, own.assign(close=own["close"] * 0.97)) == {}
    assert restate(con, own.assign(close=(own["close"] / 4).round(2))) == {}
    assert restate(con, at(frames, "IWM", 60, split_ratio=2.0)["IWM"]) == {}


@pytest.mark.parametrize(("days", "named"), [(1, False), (2, True)])
def test_few_restated_days_are_no_other_instrument(con: duckdb.DuckDBPyConnection, days: int, named: bool) -> None:
    """A corrected close changes two returns, and up to three may change, or 2 % of them."""
    frames = market()
    know(con, frames)
    changed = frames["IWM"].copy()
    changed.loc[changed.index[[40 + 10 * k for k in range(days)]], "close"] *= 1.01
    assert bool(restate(con, changed)) == named


@pytest.mark.parametrize(("columns", "named"), [({}, True), ({"dividend": 0.4}, False), ({"capital_gain": 0.4}, False)])
def test_restated_payments_are_no_other_instrument(
    con: duckdb.DuckDBPyConnection, columns: dict[str, float], named: bool
) -> None:
    """Closes adjusted for distributions return otherwise on the days of these, which do not count."""
    frames = market()
    know(con, frames)
    changed = frames["IWM"].copy()
    for i in range(20, 100, 20):
        changed.loc[changed.index[:i], "close"] *= 0.99
        for column, value in columns.items():
            changed.loc[changed.index[i], column] = value
    assert bool(restate(con, changed)) == named


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("count", "moves", "rows"),
    [
        (252, all_move(251, 0.02), [("all", 251)]),
        (252, all_move(251, -0.02), [("all", 251)]),
        (252, all_move(251, 0.0), [("all", 251)]),
        # Less than a larger move of the 250 before it.
        (252, all_move(251, 0.02) | all_move(250, 0.03), []),
        (251, all_move(250, 0.02), []),
    ],
)
def test_session_as_usual(count: int, moves: Moves, rows: list[tuple[str, int]]) -> None:
    """A session that moves more than every earlier one, or not at all, is recorded, once 250 sessions are known."""
    with opened(count) as con:
        frames = market(moves, count=count)
        put(con, frames)
        assert found(con) == ({"batch_as_usual": rows} if rows else {})


@pytest.mark.parametrize(
    "change",
    [
        "alter table stage.prices alter volume type double",
        "alter table stage.prices drop column vendor_adj_close",
        "alter table stage.prices add column vwap double",
    ],
)
def test_types(con: duckdb.DuckDBPyConnection, change: str) -> None:
    """A column with another type, one too few and one too many are all found; the finding is about no row."""
    put(con, market())
    con.execute(change)
    (declared,) = [e for e in PRICES.expectations if e.id == "types_as_declared"]
    assert con.execute(f"select symbol, session from ({declared.query})").fetchall() == [(None, None)]


#: Expectation → the test above that shows a batch it must fail.
CASES: dict[str, Callable[..., None]] = {
    "types_as_declared": test_types,
    "overlap_not_restated": test_overlap_that_is_restated,
    "return_plausible": test_jumps,
    "history_keeps_returns": test_another_instruments_history,
    "split_announced": test_step_by_the_ratio_of_a_split,
    "price_moves": test_close_that_stands_still,
    "adj_close_as_vendor": test_adjusted_close_of_the_source,
    "volume_moves": test_volume_that_stands_still,
    "market_moved": test_market_that_repeats_yesterday,
    "bar_not_repeated": test_what_stands_still_is_seen_day_by_day,
    "batch_as_usual": test_session_as_usual,
    "volume_in_shares": test_volume_in_another_unit,
    "dividend_in_usd": test_dividend_in_another_unit,
}


# What is derived.

#: Sector → its fund, and its weight in SPY.
SECTORS = {
    "technology": ("XLK", 0.34),
    "financials": ("XLF", 0.13),
    "communication_services": ("XLC", 0.105),
    "consumer_discretionary": ("XLY", 0.105),
    "health_care": ("XLV", 0.095),
    "industrials": ("XLI", 0.08),
    "consumer_staples": ("XLP", 0.05),
    "energy": ("XLE", 0.03),
    "utilities": ("XLU", 0.025),
    "materials": ("XLB", 0.02),
    "real_estate": ("XLRE", 0.02),
}
LENGTH = 255


@pytest.fixture(scope="module")
def built() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse of 255 sessions with SPY, the exact mix of eleven sectors, and SPY's NAV, a tenth of a percent below its close."""
    paths = {
        fund: np.array([0.0] + [0.01 * np.sin(0.7 * n + i) for i in range(1, LENGTH)])
        for n, (fund, _) in enumerate(SECTORS.values())
    }
    paths["SPY"] = sum((weight * paths[fund] for fund, weight in SECTORS.values()), np.zeros(LENGTH))
    frames = [world.bars(symbol, list(100 * np.cumprod(1 + path))) for symbol, path in paths.items()]
    members = world.universe(
        world.instrument("SPY"),
        *(world.instrument(fund, kind="sector", sector=sector) for sector, (fund, _) in SECTORS.items()),
    )
    navs = world.records("SPY", list(frames[-1]["close"] / 1.001), [1e6] * LENGTH)
    with world.derived(frames, members, DAYS[LENGTH - 1], fund_nav=navs) as con:
        yield con


def after(con: duckdb.DuckDBPyConnection, *changes: str) -> Found:
    """What the suite of core.prices finds after these changes, which are undone."""
    con.begin()
    try:
        for change in changes:
            con.execute(change)
        return found(con, MARKET)
    finally:
        con.rollback()


def of(row: int, column: str, value: str, symbol: str = "SPY", table: str = "core.prices") -> str:
    return f"update {table} set {column} = {value} where symbol = '{symbol}' and session = '{DAYS[row]}'"


def test_ordinary_derivation_passes(built: duckdb.DuckDBPyConnection) -> None:
    """A mix of sectors and a NAV near the close are nothing to note."""
    assert after(built) == {}


END = LENGTH - 1


@pytest.mark.parametrize(
    ("row", "by", "noted"),
    [
        (END, 0.0149, False),
        (END, 0.0151, True),
        (END, -0.0149, False),
        (END, -0.0151, True),
        (3, 0.0151, True),
        (2, 0.5, False),
    ],
)
def test_mix_of_the_sectors(built: duckdb.DuckDBPyConnection, row: int, by: float, noted: bool) -> None:
    """In the last 252 sessions SPY may return 1.5 % more or less than the mix of the sectors, which here lie far apart."""
    wide = [
        f"update core.sector_returns set return_1d = return_1d {sign} 0.1 where symbol = '{symbol}' and session = '{DAYS[row]}'"
        # Two sectors of the same weight, so that the mix stays.
        for sign, symbol in (("+", "XLB"), ("-", "XLRE"))
    ]
    expected = {"sector_mix_near_spy": [("SPY", row)]} if noted else {}
    assert after(built, *wide, of(row, "return_1d", f"return_1d + {by}")) == expected


@pytest.mark.parametrize(("beyond", "noted"), [(0.0009, False), (0.0011, True)])
@pytest.mark.parametrize("side", [1, -1])
def test_sectors_hold_spy_between_them(built: duckdb.DuckDBPyConnection, beyond: float, noted: bool, side: int) -> None:
    """Where all sectors return the same, SPY may return 0.1 % more or less; with one sector unknown nothing is said."""
    same = f"update core.sector_returns set return_1d = 0.003 where session = '{DAYS[END]}'"
    spy = of(END, "return_1d", str(0.003 + side * beyond))
    assert after(built, same, spy) == ({"sector_mix_near_spy": [("SPY", END)]} if noted else {})
    unknown = of(END, "return_1d", "null", "XLE", "core.sector_returns")
    assert after(built, same, spy, unknown) == {}


def test_weights_are_of_all_sectors() -> None:
    """The weights written into the query are the eleven above, and add up to one."""
    (mix,) = [e.query for e in MARKET.expectations if e.id == "sector_mix_near_spy"]
    weights = {sector: float(weight) for sector, weight in re.findall(r"\('(\w+)', ([\d.]+)\)", mix)}
    assert weights == {sector: weight for sector, (_, weight) in SECTORS.items()}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("row", "ratio", "noted"),
    [
        (END, 1.0199, False),
        (END, 1.0201, True),
        (END, 0.9801, False),
        (END, 0.9799, True),
        (END - 20, 0.97, True),
        (END - 21, 0.97, False),
    ],
)
def test_close_near_nav(built: duckdb.DuckDBPyConnection, row: int, ratio: float, noted: bool) -> None:
    """In the last 21 sessions a close more than 2 % from the NAV is noted."""
    close = built.sql(f"select close from core.prices where symbol = 'SPY' and session = '{DAYS[row]}'").fetchone()[0]
    changes = after(built, of(row, "nav", str(close / ratio), table="core.fund_nav"))
    assert changes == ({"close_near_nav": [("SPY", row)]} if noted else {})


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (END, "adj_close", "close * 1.000001"),
        (END, "adj_close", "null"),
        (0, "total_return_index", "100.001"),
        (0, "total_return_index", "null"),
        (100, "total_return_index", "0"),
        (100, "total_return_index", "-1"),
        (100, "total_return_index", "'inf'"),
    ],
)
def test_own_arithmetic(built: duckdb.DuckDBPyConnection, row: int, column: str, value: str) -> None:
    """An adjusted close that does not end at the close and an index that does not start at 100 or is not positive are errors of our own."""
    assert after(built, of(row, column, value)) == {"adj_close_ends_at_close": [("SPY", END)]}


#: As CASES, for what is written of core.prices; what is generated is tested with its like.
MARKET_CASES: dict[str, Callable[..., None]] = {
    "adj_close_ends_at_close": test_own_arithmetic,
    "sector_mix_near_spy": test_mix_of_the_sectors,
    "close_near_nav": test_close_near_nav,
}


def test_every_expectation_on_the_market_has_a_case() -> None:
    """An expectation added to the suite without what it must find is noticed here."""
    assert {*MARKET_CASES, "prices_one_row_per_grain"} == {e.id for e in MARKET.expectations}
