"""Seconds each step takes on a first run of the simulated market, and how they grow with the number of symbols."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit.run import preload
from market_rotation.tasks.report import page, picture
from market_rotation.tasks.report.charts import embed
from market_rotation.tasks.report.exhibits import collect
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Instrument, load_universe

SESSION, NOW = date(2026, 1, 16), datetime(2026, 1, 16, 23, 30, tzinfo=UTC)


def measure(factors: tuple[int, ...] = (1, 3)) -> pd.DataFrame:
    """Seconds of each step (rows) of a first run, one column for each number of symbols."""
    preload()
    return pd.DataFrame({len(enlarged(factor)): first_run(enlarged(factor)) for factor in factors})


def enlarged(factor: int) -> list[Instrument]:
    """The shipped universe and `factor` - 1 copies of it under other symbols; copies of sector funds count as plain funds."""
    shipped = load_universe().instruments
    return list(shipped) + [
        i.model_copy(update={"symbol": f"{i.symbol}.{n}", "kind": "fund" if i.kind == "sector" else i.kind})
        for n in range(1, factor)
        for i in shipped
    ]


def first_run(instruments: list[Instrument]) -> dict[str, float]:
    """Seconds of each step of a first run, by name."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments)
            finally:
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

        return measured

    names = ("plan", "fetch", "stage", "audit", "load", "derive", "publish")
    steps = pipeline.Steps(
        **{name: timed(name, getattr(pipeline, name)) for name in names}, report=lambda context: None
    )
    with tempfile.TemporaryDirectory() as home:
        universe = Path(home) / "universe.csv"
        pd.DataFrame([instrument.model_dump() for instrument in instruments]).to_csv(universe, index=False)
        os.environ |= {"ROTATION_HOME": home, "ROTATION_SOURCE": "sample", "ROTATION_UNIVERSE": str(universe)}
        settings = load_settings()
        source = SampleSource(calendar.load(settings.history_start, SESSION), instruments)
        made = pipeline.run(Parameters(NOW, SESSION), steps, source)
        assert made.status == "published", made.message
        picture.warm_up()
        embed.bundle()
        with warehouse.reading(settings.published) as con:
            report = timed("report: queries and charts", collect.collect)(con)
        timed("report: page", page.render)(report, NOW)
        timed("report: picture", picture.picture)(report)
    return seconds
