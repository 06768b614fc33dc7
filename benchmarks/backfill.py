"""A backfill as a whole command, against `yfinance.download` of the same bars from the same server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from benchmarks.measure import Ratio, command
from market_rotation.tasks import calendar
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Instrument, load_universe

START, SESSION = date(2025, 1, 16), date(2026, 1, 16)


def measure(folder: Path) -> Iterator[Ratio]:
    """First runs of 500 and of 2,000 made-up stocks over one year; the vendor is the server of the tests, with the genuine wire format."""
    for symbols in (500, 2_000):
        yield first_run(folder / f"backfill-{symbols}", symbols)


def first_run(folder: Path, symbols: int) -> Ratio:
    """The first run of `symbols` stocks, in `folder`."""
    from vendor.server import Vendor

    folder.mkdir()
    made = instruments(symbols)
    universe = folder / "universe.csv"
    pd.DataFrame([i.model_dump() for i in made]).to_csv(universe, index=False)
    names = folder / "symbols.txt"
    names.write_text("\n".join(i.symbol for i in made), encoding="utf-8")
    with Vendor(SampleSource(calendar.load(date(2005, 1, 3), SESSION), made)) as vendor:
        vendor.now = datetime(2026, 1, 16, 23, 30, tzinfo=UTC)
        env = vendor.env(
            ROTATION_HOME=str(folder / "home"),
            ROTATION_SOURCE="yahoo",
            ROTATION_UNIVERSE=str(universe),
            ROTATION_HISTORY_START=str(START),
            ROTATION_EARNINGS_CONSTITUENTS="0",
        )
        baseline_s = command("-m", "benchmarks.backfill", str(names), env=env)
        ours_s = command("-m", "market_rotation", "run", "--session", str(SESSION), env=env)
    claim = f"First run of {symbols:,} symbols, one year, from the server of the tests"
    return Ratio(claim, "`rotation run`", "`yfinance.download` alone", ours_s, baseline_s, 1.5)


def instruments(count: int) -> list[Instrument]:
    """SPY, IWM and made-up stocks."""
    shipped = {i.symbol: i for i in load_universe().instruments}
    blank = {"issuer": None, "issuer_id": None, "flow_group": None, "peer_group": None}
    kept = [shipped[symbol].model_copy(update=blank) for symbol in ("SPY", "IWM")]
    stock = shipped["AAPL"].model_copy(update=blank)
    return kept + [stock.model_copy(update={"symbol": f"S{n:04}", "name": f"Stock {n}"}) for n in range(count - 2)]


def download(names: Path) -> None:
    """Downloads the bars with yfinance, and no more."""
    import yfinance

    symbols = names.read_text(encoding="utf-8").split()
    frame = yfinance.download(symbols, start=START, end=SESSION, auto_adjust=False, actions=True, progress=False)
    assert frame["Close"].notna().any().sum() == len(symbols)


if __name__ == "__main__":
    download(Path(sys.argv[1]))
