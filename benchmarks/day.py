"""A day's run of the shipped universe with 21 years of history, against a bare script that derives the same tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks import prefect_server
from benchmarks.measure import Figure, Ratio, command, median_seconds
from market_rotation.tasks.warehouse import history

HISTORY = "A day's run, shipped universe, 21 years"
DAY = ("-m", "market_rotation", "run", "--session", "2026-01-16")
SIMULATED = {"ROTATION_SOURCE": "sample"}


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """The run of one new session on the simulated market, as a whole command, without and with a Prefect server."""
    home, served = folder / "day", folder / "day-served"
    env = {"ROTATION_HOME": str(home), **SIMULATED}
    command("-m", "market_rotation", "run", "--session", "2026-01-15", env=env)
    shutil.copytree(home, served)
    alone_s = command(*DAY, env=env)
    with prefect_server.serving(folder / "prefect") as server:
        served_s = command(*DAY, env={"ROTATION_HOME": str(served), **SIMULATED, **server})
        # A run whose server does not answer goes on without it.
        assert prefect_server.completed(server) == 1, "the run is not on the server"
    build = built(folder)
    bare_s = command("-m", "benchmarks.bare", str(build), env=env)
    same = "a process that runs the same SQL files and copies the file"
    yield Ratio(f"{HISTORY}, without a Prefect server", "`rotation run`", same, alone_s, bare_s, 3.5)
    why = (
        "a run also imports Great Expectations and Prefect, fetches, audits and publishes, and records each of its tasks at the server. "
        "Together this takes longer than deriving the tables."
    )
    yield Ratio(f"{HISTORY}, as a flow run of a Prefect server", "`rotation run`", same, served_s, bare_s, 2.0, why)
    why = (
        "the imports of Great Expectations and of the trading calendar alone take longer than the goal; the other seconds fetch, stage and audit "
        "the new rows, audit the tables derived from them, and publish."
    )
    how = "seconds of `rotation run` without a server, less those of the bare process"
    yield Figure(f"Our own work in it: {HISTORY[0].lower()}{HISTORY[1:]}", how, alone_s - bare_s, 1.0, "s", why)
    yield guard(build, home / "rotation.duckdb")


def built(folder: Path) -> Path:
    """A copy of the build database of the day's run in `folder`, which that run made: 21 years of the shipped universe."""
    copy = folder / "bare.duckdb"
    shutil.copy(folder / "day" / "build.duckdb", copy)
    return copy


def guard(build: Path, published: Path) -> Figure:
    """The check before publishing that readers do not get less history than they have."""
    with duckdb.connect(str(build), read_only=True) as con:
        taken_s = median_seconds(lambda: history.refuse_shorter(con, build, published))
    what = "The check that the build holds no less history than the published file, 21 years"
    return Figure(what, "median of five calls in one process", 1000 * taken_s, 100.0, "ms")
