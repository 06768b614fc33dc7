"""Each vendor fault in each dataset, on a first and on a later run, by each source: what the run does, and whether the next run heals it."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
import world
from rich.console import Console
from rich.progress import track

from campaigns import faulty_market as market
from campaigns import faulty_vendors as vendors
from campaigns.fault_cells import MISSING, Cell, Outcome, broken, plan, table
from campaigns.record import record
from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.run.ledger import Run

PUBLISHED = Path("warehouse/rotation.duckdb")
#: The good runs of this worker process.
KEPT: Clean | None = None


@contextmanager
def home(folder: Path, source: str) -> Iterator[None]:
    """`folder` as working directory, with the settings of a run of the small market by `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ROTATION_")]:
            patch.delenv(name)
        patch.chdir(folder)
        patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, market.members())))
        patch.setenv("ROTATION_HISTORY_START", str(market.HISTORY_START))
        patch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "0")
        patch.setenv("ROTATION_REPORT", "false")
        with vendors.reached(source, patch, folder):
            yield


class Clean:
    """Published tables of good runs, made when they are first needed, and kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[tuple[str, str, date], dict[str, pd.DataFrame]] = {}
        #: What a good run of `market.SESSION` records, by source and by whether it is a first or a later run.
        self.noted: dict[tuple[str, str], set[str]] = {}
        #: How many symbols each dataset lacks even then.
        self.behind: dict[tuple[str, str], dict[str, int]] = {}

    def start(self, source: str, run: str) -> Path | None:
        """The warehouse before the fault; None before a first run."""
        if run == "first":
            return None
        made = self._folder / f"{source}-before"
        if not made.exists():
            with home(self._folder / f"{source}-making", source):
                good(source, market.BEFORE)
                shutil.copytree("warehouse", made)
        return made

    def tables(self, source: str, run: str, session: date) -> dict[str, pd.DataFrame]:
        """What good runs have published after `session`."""
        if (source, run, session) not in self._tables:
            kept = self._folder / f"{source}-{run}-{market.SESSION}"
            with home(self._folder / f"{source}-clean-{run}-{session}", source):
                before = self.start(source, run) if session == market.SESSION else kept
                if session != market.SESSION:
                    self.tables(source, run, market.SESSION)
                if before:
                    shutil.copytree(before, "warehouse")
                made = good(source, session)
                self._tables[source, run, session] = published()
                if session == market.SESSION:
                    self.noted[source, run] = noted(made)
                    self.behind[source, run] = {name: behind(name) for name in market.OF_DATASET}
                    shutil.copytree("warehouse", kept)
        return self._tables[source, run, session]


def good(source: str, session: date) -> Run:
    """A run without a fault. Raises `AssertionError` when it does not publish."""
    run = vendors.evening(source, market.market(), session)
    assert run.status in ("published", "up_to_date"), run.message
    return run


def published() -> dict[str, pd.DataFrame]:
    """The published values of each dataset, apart from which run fetched them when; none before the first publication."""
    if not PUBLISHED.exists():
        return {}
    with warehouse.reading(PUBLISHED) as con:
        # A first run that is blocked leaves only its record.
        derived = {
            name
            for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'core'").fetchall()
        }
        return {
            name: con.execute(
                f"select columns(c -> list_contains(?, c)) from core.{name} order by all", [list(dataset.columns)]
            ).df()
            for name, dataset in DATASETS.items()
            if name in market.OF_DATASET and name in derived
        }


def wrong(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> int:
    """How many published rows good runs would not have published."""
    extra = 0
    for name, frame in found.items():
        # A source of prices alone has nothing of the other datasets.
        if frame.empty:
            continue
        columns = [c for c in frame if not frame[c].isna().all() or not expected[name][c].isna().all()]
        places = dict.fromkeys(frame[columns].select_dtypes("number"), 9)
        rounded = [table[columns].round(places) for table in (frame, expected[name])]
        merged = rounded[0].merge(rounded[1].drop_duplicates(), how="left", on=columns, indicator=True)
        extra += int((merged["_merge"] == "left_only").sum())
        extra += max(0, len(frame) - len(frame.drop_duplicates()))
    return extra


def same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> bool:
    """Whether the published rows are those of good runs."""
    return found.keys() == expected.keys() and all(found[name].equals(expected[name]) for name in expected)


def noted(run: Run) -> set[str]:
    """The expectations that rows of a run did not meet and that only record it."""
    query = "select distinct expectation from ops.validations where run_id = ? and unexpected_count > 0 and severity = 'info'"
    with warehouse.reading(PUBLISHED) as con:
        return {name for (name,) in con.execute(query, [run.run_id]).fetchall()}


def findings(run: Run, usual: set[str]) -> str:
    """The expectations that set something aside in a run; else those that recorded it, apart from what a good run records as well."""
    query = "select distinct expectation from ops.quarantine where run_id = ? order by 1"
    with warehouse.reading(PUBLISHED) as con:
        aside = [name for (name,) in con.execute(query, [run.run_id]).fetchall()]
    if aside:
        return "set aside by " + ", ".join(aside)
    more = sorted(noted(run) - usual)
    return "recorded by " + ", ".join(more) if more else ""


def behind(dataset: str) -> int:
    """How many symbols lack what was due of a dataset, as `ops.freshness` reports it to readers."""
    with warehouse.reading(PUBLISHED) as con:
        query = "select symbols_behind from ops.freshness(null) where dataset = ?"
        return sum(count or 0 for (count,) in con.execute(query, [dataset]).fetchall())


def attempt(cell: Cell, clean: Clean, folder: Path) -> Outcome:
    """Runs one cell in `folder`: the run with the fault, then runs without it."""
    before = clean.start(cell.source, cell.run)
    expected = clean.tables(cell.source, cell.run, market.SESSION)
    with home(folder, cell.source):
        if before:
            shutil.copytree(before, "warehouse")
        already = published()
        run = vendors.evening(cell.source, market.with_fault(cell.dataset, cell.fault), market.SESSION)
        found = published()
        # A run that publishes nothing leaves what was there, on its former basis of splits.
        count = wrong(found, already if run.status in ("blocked", "failed") else expected)
        what = {"blocked": "blocked", "failed": "failed"}.get(run.status) or findings(
            run, clean.noted[cell.source, cell.run]
        )
        if not what and behind(cell.dataset) > clean.behind[cell.source, cell.run][cell.dataset]:
            what = "reported as behind by ops.freshness"
        if count:
            what = f"believed ({count} rows)" + (f", {what}" if what else "")
        return Outcome(
            what or ("no effect" if same(found, expected) else MISSING),
            bool(count),
            heals(cell, clean),
        )


def heals(cell: Cell, clean: Clean) -> str:
    """With which run without the fault the warehouse is as if it had not been."""
    for session, answer in ((market.SESSION, "yes"), (market.NEXT, "with the next session")):
        good(cell.source, session)
        if same(published(), clean.tables(cell.source, cell.run, session)):
            return answer
    return "no"


def begin(folder: str) -> None:
    """Starts a worker process, whose good runs are kept in a folder of its own below `folder`."""
    global KEPT
    KEPT = Clean(Path(tempfile.mkdtemp(dir=folder)))


def tried(cell: Cell, ends: float) -> tuple[Cell, Outcome | None]:
    """One cell in a worker process; no outcome where the time is over."""
    if time.monotonic() > ends:
        return cell, None
    assert KEPT is not None
    with tempfile.TemporaryDirectory() as folder:
        return cell, attempt(cell, KEPT, Path(folder) / "home")


def main() -> int:
    """Runs the matrix, in the order of the seed, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=7200.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cells at the same time")
    given = parser.parse_args()
    show = Console(width=200).print
    show(f"seed {given.seed}")
    todo = plan()
    random.Random(given.seed).shuffle(todo)
    # Should the time be over before the end, at least each fault of each dataset was tried.
    todo.sort(key=lambda cell: cell.source != vendors.DIRECT)
    # On Linux, the only system with this campaign, all processes have one monotonic clock.
    ends, results = time.monotonic() + given.seconds, list[tuple[Cell, Outcome]]()
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(given.jobs, get_context("spawn"), begin, (folder,)) as pool,
    ):
        waiting = [pool.submit(tried, cell, ends) for cell in todo]
        for done in track(as_completed(waiting), "faults", total=len(waiting)):
            cell, outcome = done.result()
            if outcome:
                results.append((cell, outcome))
                show(cell, outcome, "BROKEN" if broken(cell, outcome) else "")
    failed = [pair for pair in results if broken(*pair)]
    facts = [
        f"Seed {given.seed}: {len(results)} of {len(todo)} cells in the time given; {len(failed)} broke a promise.",
        f"{sum(outcome.published_wrong for _, outcome in results)} faults were believed; the last column says why that is allowed.",
    ]
    record("faults", facts, table(dict(results)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
