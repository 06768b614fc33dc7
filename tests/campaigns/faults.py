"""Each vendor fault in each dataset, on a first and on a later run: what the run does, and whether the next run heals it.

A fault that is published is a broken promise, except where `BELIEVED` says why it cannot be recognised.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import world
from rich.console import Console
from rich.progress import track

from campaigns import faulty_market as market
from campaigns.record import record
from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.run.ledger import Run

PUBLISHED = Path("warehouse/rotation.duckdb")
#: Faults that nothing in the data shows, and why.
BELIEVED: dict[tuple[str, str, str], str] = {
    ("prices", "frozen-price", "later"): "a close that stands still for less than five sessions may be true",
    ("prices", "frozen-price", "first"): "a close that stands still for less than five sessions may be true",
    ("fund_nav", "frozen-shares", "later"): "the counts are kept as published; no flow is computed from them",
    ("fund_nav", "frozen-shares", "first"): "the counts are kept as published; no flow is computed from them",
}
#: Faults that a daily run does not heal, and what does.
NOT_HEALED: dict[tuple[str, str, str], str] = {
    (
        "prices",
        "truncated-history",
        "first",
    ): "nothing says how old a new history must be; `rotation backfill` requests it again",
}


@dataclass(frozen=True)
class Cell:
    """A fault of a dataset, on the `first` run of a warehouse or on a `later` one."""

    dataset: str
    fault: str
    run: str


@dataclass(frozen=True)
class Outcome:
    """What the run did, in words; whether wrong rows were published; and when a run without the fault made all as it should be."""

    what: str
    published_wrong: bool
    heals: str


def plan() -> list[Cell]:
    """All cells of the matrix."""
    return [Cell(dataset, fault, run) for run in ("later", "first") for dataset, fault in market.cells()]


@contextmanager
def home(folder: Path) -> Iterator[None]:
    """`folder` as working directory, with the settings of a run of the small market."""
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ROTATION_")]:
            patch.delenv(name)
        patch.chdir(folder)
        patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(folder, market.members())))
        patch.setenv("ROTATION_HISTORY_START", str(market.HISTORY_START))
        patch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "0")
        patch.setenv("ROTATION_SOURCE", "sample")
        patch.setenv("ROTATION_REPORT", "false")
        yield


class Clean:
    """Published tables of good runs, made when they are first needed, and kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[tuple[str, date], dict[str, pd.DataFrame]] = {}
        #: What a good run of `market.SESSION` records, on a first and on a later run.
        self.noted: dict[str, set[str]] = {}

    def start(self, run: str) -> Path | None:
        """The warehouse before the fault; None before a first run."""
        if run == "first":
            return None
        made = self._folder / "before"
        if not made.exists():
            with home(self._folder / "making"):
                good(market.BEFORE)
                shutil.copytree("warehouse", made)
        return made

    def tables(self, run: str, session: date) -> dict[str, pd.DataFrame]:
        """What good runs have published after `session`."""
        if (run, session) not in self._tables:
            kept = self._folder / f"{run}-{market.SESSION}"
            with home(self._folder / f"clean-{run}-{session}"):
                before = self.start(run) if session == market.SESSION else kept
                if session != market.SESSION:
                    self.tables(run, market.SESSION)
                if before:
                    shutil.copytree(before, "warehouse")
                made = good(session)
                self._tables[run, session] = published()
                if session == market.SESSION:
                    self.noted[run] = noted(made)
                    shutil.copytree("warehouse", kept)
        return self._tables[run, session]


def good(session: date) -> Run:
    """A run without a fault. Raises `AssertionError` when it does not publish."""
    run = world.run(market.market(), session)
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


def attempt(cell: Cell, clean: Clean, folder: Path) -> Outcome:
    """Runs one cell in `folder`: the run with the fault, then runs without it."""
    before = clean.start(cell.run)
    expected = clean.tables(cell.run, market.SESSION)
    with home(folder):
        if before:
            shutil.copytree(before, "warehouse")
        already = published()
        run = world.run(market.with_fault(cell.dataset, cell.fault), market.SESSION)
        found = published()
        # A run that publishes nothing leaves what was there, on its former basis of splits.
        count = wrong(found, already if run.status in ("blocked", "failed") else expected)
        what = {"blocked": "blocked", "failed": "failed"}.get(run.status) or findings(run, clean.noted[cell.run])
        if count:
            what = f"believed ({count} rows)" + (f", {what}" if what else "")
        return Outcome(
            what or ("no effect" if same(found, expected) else "missing without a word"),
            bool(count),
            heals(cell, clean),
        )


def heals(cell: Cell, clean: Clean) -> str:
    """With which run without the fault the warehouse is as if it had not been."""
    for session, answer in ((market.SESSION, "yes"), (market.NEXT, "with the next session")):
        good(session)
        if same(published(), clean.tables(cell.run, session)):
            return answer
    return "no"


def broken(cell: Cell, outcome: Outcome) -> bool:
    """Whether the outcome breaks a promise: a wrong row published, a gap without a word, or a fault that stays."""
    key = (cell.dataset, cell.fault, cell.run)
    hidden = outcome.published_wrong or outcome.what == "missing without a word"
    return (hidden and key not in BELIEVED) or (outcome.heals == "no" and key not in NOT_HEALED)


def main() -> int:
    """Runs the matrix, in the order of the seed, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=3600.0)
    given = parser.parse_args()
    show = Console(width=200).print
    show(f"seed {given.seed}")
    todo = plan()
    random.Random(given.seed).shuffle(todo)
    ends, results = time.monotonic() + given.seconds, list[tuple[Cell, Outcome]]()
    with tempfile.TemporaryDirectory() as temporary:
        clean = Clean(Path(temporary) / "clean")
        for number, cell in enumerate(track(todo, "faults")):
            if time.monotonic() > ends:
                break
            folder = Path(temporary) / str(number)
            results.append((cell, attempt(cell, clean, folder)))
            shutil.rmtree(folder)
            show(*results[-1], "BROKEN" if broken(*results[-1]) else "")
    failed = [pair for pair in results if broken(*pair)]
    facts = [
        f"Seed {given.seed}: {len(results)} of {len(todo)} cells in the time given; {len(failed)} broke a promise.",
        f"{sum(outcome.published_wrong for _, outcome in results)} faults were believed; the last column says why that is allowed.",
    ]
    results.sort(key=lambda pair: (pair[0].dataset, pair[0].fault, pair[0].run))
    rows = [
        {**asdict(cell), "outcome": outcome.what, "heals on the next run": outcome.heals, "allowed because": why(cell)}
        for cell, outcome in results
    ]
    record("faults", facts, rows)
    return 1 if failed else 0


def why(cell: Cell) -> str:
    """Why a cell may end as it does; empty where nothing need be allowed."""
    key = (cell.dataset, cell.fault, cell.run)
    return BELIEVED.get(key) or NOT_HEALED.get(key) or ""


if __name__ == "__main__":
    sys.exit(main())
