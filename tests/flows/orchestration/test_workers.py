"""A backfill whose requests several workers fetch, on a genuine Prefect server: a worker is killed, nothing is lost, and the rate holds."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import world
from campaigns.scenarios import content
from prefect_server import ENDED, Prefect, serving
from processes import descendants, kill, until

START, SESSION = date(2025, 11, 17), date(2025, 12, 24)
NOW = datetime(2025, 12, 24, 23, 30, tzinfo=UTC)
BATCH, PER_MINUTE = 6, 120

#: A remote source with the simulated prices, which writes down when which process requested what.
SLOW = """
import os, time
from market_rotation.tasks.sources.simulated.source import SampleSource

class Slow:
    name = "slow"
    datasets = frozenset({"prices"})

    def __init__(self, market):
        self.market = market

    @classmethod
    def open(cls, context):
        return cls(SampleSource(context.calendar, context.universe.instruments))

    def prices(self, symbol, start, end):
        with open(os.environ["SLOW_LOG"], "a") as log:
            log.write(f"{time.time()} {os.getpid()} {symbol}\\n")
        time.sleep(0.2)
        return self.market.prices(symbol, start, end)
"""

BACKFILL = f"""
import sys
from datetime import date, datetime
from market_rotation.flows.cli.run import run_by_hand
from market_rotation.tasks.run.context import Parameters
now, end, start = datetime.fromisoformat("{NOW}"), date.fromisoformat("{SESSION}"), date.fromisoformat("{START}")
sys.exit(run_by_hand(Parameters(now, end, start=start)))
"""


def plug_in(folder: Path) -> None:
    """Installs the source into `folder` as a package of its own."""
    (folder / "slow-1.0.dist-info").mkdir(parents=True)
    (folder / "slow-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (folder / "slow-1.0.dist-info" / "entry_points.txt").write_text("[market_rotation.sources]\nslow = slow:Slow\n")
    (folder / "slow.py").write_text(SLOW)


def requested(log: Path) -> list[tuple[float, int, str]]:
    """Time, process and symbol of each request so far."""
    lines = log.read_text().splitlines() if log.exists() else []
    return sorted((float(at), int(process), symbol) for at, process, symbol in map(str.split, lines))


def backfill(prefect: Prefect, name: str, **environment: str) -> subprocess.Popen[bytes]:
    """The backfill by hand, in the background; what it prints goes to `<name>.log`."""
    with (prefect.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", BACKFILL],
            cwd=prefect.elsewhere,
            env={**prefect.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def is_started(prefect: Prefect, worker: str) -> bool:
    return "started!" in prefect.log(worker)


def test_a_worker_is_killed(tmp_path: Path, wheel: Path) -> None:
    """One of two workers and its batch are killed midway: the tables are those of a backfill without workers, and all processes keep the rate."""
    members = world.counted_universe()
    log = tmp_path / "requests.log"
    settings = {
        "ROTATION_HOME": str(tmp_path / "warehouse"),
        "ROTATION_SOURCE": "slow",
        "ROTATION_UNIVERSE": str(world.write_universe(tmp_path, members)),
        "ROTATION_HISTORY_START": "2025-11-14",
        "ROTATION_REPORT": "false",
        "ROTATION_FETCH_TIMEOUT_S": "1",
        "ROTATION_FETCH_BATCH": str(BATCH),
        "ROTATION_REQUESTS_PER_MINUTE": str(PER_MINUTE),
        "SLOW_LOG": str(log),
    }
    # Beside the wheel, before `rotation deploy` lists the sources there are.
    plug_in(tmp_path / "installed")
    with serving(tmp_path, wheel, settings) as prefect, ExitStack() as ending:
        prefect.rest()
        workers = [
            prefect.popen(
                name, "worker", "start", "--pool", "rotation", "--limit", "1", PREFECT_WORKER_QUERY_SECONDS="0.5"
            )
            for name in ("first", "second")
        ]
        for worker in workers:
            ending.callback(kill, worker)
        for name in ("first", "second"):
            until(partial(is_started, prefect, name), "the worker starts")
        writer = backfill(prefect, "writer")
        ending.callback(kill, writer)
        until(lambda: len({process for _, process, _ in requested(log)}) == 2, "both workers fetch")
        before = len(requested(log))
        until(lambda: len(requested(log)) >= before + 2, "more answers")
        # The batch that has most to do.
        done = Counter(process for _, process, _ in requested(log))
        victim = min(done, key=done.__getitem__)
        (killed,) = (worker for worker in workers if victim in descendants(worker.pid))
        kill(killed)
        # Meanwhile, the same without Prefect and without a limit.
        alone = {"ROTATION_HOME": str(tmp_path / "alone"), "ROTATION_FETCH_BATCH": "0"}
        alone |= {"ROTATION_REQUESTS_PER_MINUTE": "0", "SLOW_LOG": str(tmp_path / "alone.log"), "PREFECT_API_URL": ""}
        assert backfill(prefect, "alone", **alone).wait(timeout=120) == 0, prefect.log("alone")
        assert writer.wait(timeout=180) == 0, prefect.log("writer")
        batches = prefect.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["fetch"]}}})
    # A server on SQLite that is busy takes fewer; the run fetches the others itself.
    assert 2 < len(batches) <= -(-len(members.symbols) // BATCH), prefect.log("writer")
    assert {run["state_type"] for run in batches} <= set(ENDED)

    tables = ("raw", "core", "signals")
    undisturbed = content(tmp_path / "alone" / "rotation.duckdb", tables)
    assert content(tmp_path / "warehouse" / "rotation.duckdb", tables) == undisturbed

    made = requested(log)
    assert {symbol for *_, symbol in made} == set(members.symbols)
    # What was requested twice is the killed batch's.
    assert len(made) <= len(members.symbols) + BATCH
    times = [at for at, *_ in made]
    # Each process may keep a second's slots for later; then 21 requests take 8 seconds or more.
    spans = [late - early for early, late in zip(times, times[20:], strict=False)]
    assert min(spans) > 7.5, f"{len(made)} requests in {times[-1] - times[0]:.1f} s"
