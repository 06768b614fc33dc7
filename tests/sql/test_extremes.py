"""Values that no market has, in every column of every dataset: SQL never raises on them, and a run sets them aside."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS, PRICE_COLUMNS
from market_rotation.tasks.sources.base import typed
from market_rotation.tasks.sources.files import FilesSource

DAYS = world.days()
N = 300
#: As long as the longest window, so that every variance and logarithm sees the value.
SESSION = DAYS[N - 1]
NUMBERS = {name: [c for c, kind in d.columns.items() if kind == "float64"] for name, d in DATASETS.items()}
EXTREMES = (0.0, -1.0, 1e19, 1e300, 1e-300, float("inf"), float("-inf"), float("nan"))
PUBLISHED = Path("warehouse/rotation.duckdb")


def closes(k: int) -> list[float]:
    return [100 + k + 3 * ((i * (k + 3)) % 7) / 7 + 0.01 * i for i in range(N)]


def market(symbols: list[str]) -> dict[str, pd.DataFrame]:
    return {
        symbol: world.bars(
            symbol, closes(k), open=closes(k), high=closes(k), low=closes(k), volume=[1e6 + i for i in range(N)]
        )
        for k, symbol in enumerate(symbols)
    }


def with_extreme(frame: pd.DataFrame, column: str, value: float) -> pd.DataFrame:
    """`frame` with `value` in `column` of its row in the middle and of its last one."""
    frame = frame.copy()
    frame.loc[frame.index[[len(frame) // 2, len(frame) - 1]], column] = value
    return frame


#: A value of each type of column.
PLAIN = {"float64": 0.5, "object": "P1", "datetime64[s]": pd.Timestamp(DAYS[200])}


@pytest.mark.long_after(1)
@pytest.mark.parametrize("value", EXTREMES)
def test_no_statement_raises(value: float) -> None:
    """Unaudited, with one extreme value in each number of each dataset, each in a symbol of its own, everything is derived."""
    extremes = {f"P{i}": column for i, column in enumerate(NUMBERS["prices"])}
    funds = {f"F{i}": column for i, column in enumerate(NUMBERS["fund_nav"])}
    symbols = ["SPY", *extremes, *funds]
    members = world.universe(
        *(world.instrument(s, peer_group="large_cap" if s == "SPY" else "small_cap") for s in symbols),
        pairs=[(symbol, "SPY") for symbol in symbols[1:]] + [("SPY", symbol) for symbol in extremes],
    )
    earnings = tuple(pair.model_copy(update={"earnings": pair.small_symbol == "F0"}) for pair in members.pairs)
    members = members.model_copy(update={"pairs": earnings})
    prices = market(symbols)
    prices |= {symbol: with_extreme(prices[symbol], column, value) for symbol, column in extremes.items()}
    records = [
        with_extreme(world.records(symbol, closes(5), [1e6 + 1e3 * i for i in range(N)]), column, value)
        for symbol, column in funds.items()
    ]
    snapshots = {}
    for dataset in ("fund_facts", "holdings", "earnings_growth"):
        registered = DATASETS[dataset]
        of_snapshot = [
            {name: PLAIN[kind] for name, kind in registered.columns.items()}
            | {registered.symbol: symbol, registered.day: pd.Timestamp(DAYS[200]), column: value}
            for symbol in ("SPY", "F0", "P1")
            for column in NUMBERS[dataset]
        ]
        snapshots[dataset] = typed(pd.DataFrame(of_snapshot), registered.columns)
    with world.derived(list(prices.values()), members, SESSION, fund_nav=pd.concat(records), **snapshots) as con:
        assert con.execute("select count(distinct symbol) from raw.prices").fetchone() == (len(symbols),)
        assert con.execute("select max(session) from signals.rotation_regime").fetchone() == (SESSION,)
        # What was said is kept as it was said.
        kept = con.execute(f"select close from raw.prices where symbol = 'P3' and session = '{SESSION}'").fetchone()
        assert NUMBERS["prices"][3] == "close"
        assert kept == ((None,) if np.isnan(value) else (value,))
        assert con.execute("select count(*) from core.prices where not isfinite(total_return_index)").fetchone() == (0,)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The symbols of a universe of ten, with settings that go with it."""
    symbols = ["SPY", "IWM", *(f"S{i}" for i in range(8))]
    members = world.universe(*map(world.instrument, symbols), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", str(DAYS[0]))
    return symbols


def problems() -> list[tuple[object, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute("select distinct symbol, expectation from ops.quarantine order by all").fetchall()


@pytest.mark.long_after(1)
@pytest.mark.parametrize(
    ("column", "value"), [("volume", 1e19), ("volume", float("inf")), ("close", 1e-300), ("close", float("inf"))]
)
def test_a_run_sets_an_extreme_value_aside(
    home: list[str], monkeypatch: pytest.MonkeyPatch, column: str, value: float
) -> None:
    """A number that no market has is that bar's fault: it is set aside, and the rest is published."""
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")
    frames = market(home)
    middle = frames["S3"].index[N // 2]
    frames["S3"].loc[middle, column] = value
    done = world.run(world.FakeSource(frames), SESSION)
    assert done.status == "published", done.message
    assert {symbol for symbol, _ in problems()} == {"S3"}
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from core.prices where symbol = 'S4'").fetchone() == (N,)
        assert con.execute("select count(*) from core.prices where symbol = 'S3'").fetchone() == (N - 1,)


@pytest.mark.long_after(0)
@pytest.mark.parametrize("day", ["290000-01-01", "300000-01-01", "0001-01-01", "NaT"])
def test_a_day_that_cannot_be_is_the_symbols_failure(
    home: list[str], monkeypatch: pytest.MonkeyPatch, day: str
) -> None:
    """A row dated on a day that cannot be is a failure of its symbol, which names it; the other symbols are published."""
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")

    class Misdated(world.FakeSource):
        def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
            frame = super().prices(symbol, start, end).reset_index(drop=True)
            if symbol == "S3":
                days = frame["session"].to_numpy().astype("datetime64[s]").copy()
                days[7] = np.datetime64(day, "s")
                frame = frame.assign(session=pd.Series(days, dtype="datetime64[s]"))
            return frame

    done = world.run(Misdated(market(home)), SESSION)
    assert done.status == "published", done.message
    assert problems() == [("S3", "fetch")]
    with warehouse.reading(PUBLISHED) as con:
        (reason,) = con.execute("select reason from ops.quarantine").fetchone()
        assert "1 of 300 rows of prices of S3" in reason
        assert con.execute("select count(distinct symbol) from core.prices").fetchone() == (len(home) - 1,)


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("column", "value"), [("volume", "1e19"), ("close", "1e-300")])
def test_a_file_with_an_extreme_value_is_taken_in(
    home: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    """One such value in a user's own file sets that bar aside; the file is read."""
    monkeypatch.setenv("ROTATION_SOURCE", "files")
    monkeypatch.setenv("ROTATION_FILES", str(tmp_path))
    frame = pd.concat(market(home).values())[list(PRICE_COLUMNS)].drop(columns=["capital_gain", "vendor_adj_close"])
    frame = frame.reset_index(drop=True)
    frame[column] = frame[column].astype(object)
    frame.loc[frame.index[(frame["symbol"] == "S3")][N // 2], column] = value
    frame.to_csv(tmp_path / "prices.csv", index=False)
    done = world.run(FilesSource(tmp_path), SESSION)
    assert done.status == "published", done.message
    assert {symbol for symbol, _ in problems()} == {"S3"}
