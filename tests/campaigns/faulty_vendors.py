"""Genuine sources, whose server or files have the fault: the axis of sources of the fault matrix."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world
from vendor.fixtures import fresh_yfinance
from vendor.keyed import KEY
from vendor.server import Vendor

from campaigns import faulty_market as market
from market_rotation.tasks.errors import SourceUnavailable, SymbolNotFound
from market_rotation.tasks.run.ledger import Run

#: The simulated market asked directly, in the process of the run, which has every dataset.
DIRECT = "sample"
#: Sources of prices whose server answers from that market, in the vendor's wire format.
VENDORS = ("yahoo", "tiingo", "eodhd")
#: CSV files of every dataset, which the run reads.
FILES = "files"


@cache
def server() -> Vendor:
    """The vendors' server of this process."""
    running = Vendor(market.market())
    running.__enter__()
    atexit.register(running.__exit__)
    return running


@contextmanager
def reached(source: str, patch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """The settings of `source`, and this process led to its server."""
    patch.setenv("ROTATION_SOURCE", source)
    if source == DIRECT:
        yield
        return
    if source == FILES:
        patch.setenv("ROTATION_FILES", FILES)
        yield
        return
    for name, value in server().environment().items():
        patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
    patch.setenv("TIINGO_API_KEY", KEY)
    patch.setenv("EODHD_API_KEY", KEY)
    patch.setenv("ROTATION_REQUESTS_PER_MINUTE", "0")
    with fresh_yfinance(patch, folder / "yfinance"):
        yield


def evening(source: str, given: Any, session: date) -> Run:
    """The run of `session` by `source`, whose market is `given`."""
    if source == DIRECT:
        return world.run(given, session)
    if source == FILES:
        write(given, session)
        return world.run(None, session)
    server().source = given
    server().now = datetime.combine(session, time(23, 30), UTC)
    return world.run(None, session)


def write(given: Any, session: date) -> None:
    """Writes the datasets of `given` up to `session` as the files that the run reads; none where nothing is known."""
    folder = Path(FILES)
    folder.mkdir(exist_ok=True)
    for dataset in market.OF_DATASET:
        asked = (market.HISTORY_START, session) if dataset in ("prices", "fund_nav") else (session,)
        frames = []
        for symbol in market.SYMBOLS:
            with suppress(SymbolNotFound, SourceUnavailable):
                frames.append(getattr(given, dataset)(symbol, *asked))
        path = folder / f"{dataset}.csv"
        path.unlink(missing_ok=True)
        if frames:
            pd.concat(frames).to_csv(path, index=False)
