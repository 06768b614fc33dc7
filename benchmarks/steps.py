"""Seconds of each step of a run of the simulated market up to a session, and the peak memory of its process, printed as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from datetime import time as moment
from typing import Any

from benchmarks.growth import MEMORY
from benchmarks.peak import peak_mb
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit.run import preload
from market_rotation.tasks.report import page, picture
from market_rotation.tasks.report.charts import embed
from market_rotation.tasks.report.exhibits import collect
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.settings import load_settings


def measured(session: date) -> dict[str, float]:
    """Values by name. The settings come from the environment; imports and the start of the renderer are not counted."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments)
            finally:
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

        return call

    preload()
    picture.warm_up()
    embed.bundle()
    names = ("plan", "fetch", "stage", "audit", "load", "derive", "publish")
    steps = pipeline.Steps(
        **{name: timed(name, getattr(pipeline, name)) for name in names}, report=lambda context: None
    )
    now = datetime.combine(session, moment(23, 30), UTC)
    made = pipeline.run(Parameters(now, session), steps)
    if made.status != "published":
        raise RuntimeError(f"The run ended as {made.status}: {made.message}")
    with warehouse.reading(load_settings().published) as con:
        report = timed("report: queries and charts", collect.collect)(con)
    timed("report: page", page.render)(report, now)
    timed("report: picture", picture.picture)(report)
    return {**seconds, MEMORY: peak_mb()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(date.fromisoformat(sys.argv[1]))) + "\n")
