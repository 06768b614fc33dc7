"""A day's run on many symbols, against the rebuild of its tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

import world

from benchmarks.many import SESSION, START, SYMBOLS, market
from benchmarks.measure import Ratio, seconds
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit.run import preload
from market_rotation.tasks.warehouse.models import DERIVED


def measure(folder: Path, symbols: int = SYMBOLS) -> Iterator[Ratio]:
    """The sequence of a run in this process, from plan to publish, whose source answers from memory."""
    members, frame = market(symbols)
    source = world.FakeSource(dict(tuple(frame.groupby("symbol"))))
    home = folder / "many-day"
    home.mkdir()
    os.environ |= {
        "ROTATION_HOME": str(home),
        "ROTATION_UNIVERSE": str(world.write_universe(home, members)),
        "ROTATION_HISTORY_START": str(START),
        "ROTATION_REPORT": "false",
    }
    preload()
    before, last = world.days(START, SESSION)[-2:]
    for session in (before, last):
        day_s = seconds(partial(published, source, session))
    with warehouse.writing(home / "build.duckdb") as con:
        run_id, known_at = con.execute(
            "select run_id, started_at from ops.runs order by run_id desc limit 1"
        ).fetchone()
        warehouse.parameters(
            con, run_id=run_id, known_at=known_at, source=source.name, target_session=SESSION, history_start=START
        )
        # As a run does it: without the transaction each table would wait for the disk.
        with warehouse.transaction(con):
            rebuild_s = seconds(lambda: warehouse.build(con, *DERIVED))
    claim = f"A day's run on {symbols:,} symbols, ten years"
    why = (
        "the rows of the day take under a second to compute in each of the large tables. The other seconds find the new bars among all, audit them and "
        "the tables, derive the tables that are replaced as a whole, and copy the file, which has 1.8 GB; these grow with the whole history."
    )
    ours, baseline = "a run in one process, plan to publish", "`warehouse.build` of all its tables"
    yield Ratio(claim, ours, baseline, day_s, rebuild_s, 0.03, why)


def published(source: world.FakeSource, session: date) -> None:
    """A run up to `session`, which must publish."""
    made = world.run(source, session)
    assert made.status == "published", made.message
