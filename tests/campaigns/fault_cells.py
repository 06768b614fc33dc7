"""The cells of the fault matrix: which there are, what may become of each and why, and the table of their outcomes.

A fault that is published is a broken promise, except where `BELIEVED` says why it cannot be recognised.
"""

from __future__ import annotations

from dataclasses import dataclass

from campaigns import faulty_market as market
from campaigns import faulty_vendors as vendors

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

#: The outcome of a run that neither published what it should nor recorded that it did not.
MISSING = "missing without a word"
#: Why that is allowed of a fund that the user's files no longer have.
ABSENT = (
    "what the files do not have is not requested; `ops.freshness` reports it once the dataset is older than it may be"
)


@dataclass(frozen=True)
class Cell:
    """A fault of a dataset, on the `first` run of a warehouse or on a `later` one, as it comes by a source."""

    dataset: str
    fault: str
    run: str
    source: str = vendors.DIRECT


@dataclass(frozen=True)
class Outcome:
    """What the run did, in words; whether wrong rows were published; and when a run without the fault made all as it should be."""

    what: str
    published_wrong: bool
    heals: str


def plan() -> list[Cell]:
    """All cells of the matrix: every dataset by the simulated market and by files, prices also by each vendor's wire format."""
    return [
        Cell(dataset, fault, run, source)
        for run in ("later", "first")
        for dataset, fault in market.cells()
        for source in (vendors.DIRECT, vendors.FILES, *vendors.VENDORS)
        if source not in vendors.VENDORS or dataset == "prices"
    ]


def broken(cell: Cell, outcome: Outcome) -> bool:
    """Whether the outcome breaks a promise: a wrong row published, a gap without a word, or a fault that stays."""
    key = (cell.dataset, cell.fault, cell.run)
    is_silent = outcome.what == MISSING and not is_absent_file(cell)
    return ((outcome.published_wrong or is_silent) and key not in BELIEVED) or (
        outcome.heals == "no" and key not in NOT_HEALED
    )


def is_absent_file(cell: Cell) -> bool:
    """Whether the fault is that the user's files have nothing of the fund."""
    return (
        cell.source == vendors.FILES
        and cell.dataset != "prices"
        and cell.fault in ("source-down", "missing-symbol", "empty-answer")
    )


def table(results: dict[Cell, Outcome]) -> list[dict[str, str]]:
    """A row for each dataset, fault and run with the outcome by each source, `not tried` where the time was over."""
    rows = []
    for dataset, fault, run in sorted({(cell.dataset, cell.fault, cell.run) for cell in results}):
        planned = [cell for cell in plan() if (cell.dataset, cell.fault, cell.run) == (dataset, fault, run)]
        by_source = {cell.source: words(results.get(cell)) for cell in planned}
        reasons = {why(cell, results[cell]) for cell in planned if cell in results} - {""}
        rows.append(
            {"dataset": dataset, "fault": fault, "run": run}
            | {source: by_source.get(source, "") for source in (vendors.DIRECT, vendors.FILES, *vendors.VENDORS)}
            | {"allowed because": "; ".join(sorted(reasons))}
        )
    return rows


def words(outcome: Outcome | None) -> str:
    """An outcome in the table; that the next run heals it is not said, as it is the rule."""
    if outcome is None:
        return "not tried"
    healed = {"yes": "", "no": ", not healed by later runs"}.get(outcome.heals, f", healed {outcome.heals}")
    return f"{outcome.what}{healed}"


def why(cell: Cell, outcome: Outcome) -> str:
    """Why a cell may end as it does; empty where nothing need be allowed."""
    key = (cell.dataset, cell.fault, cell.run)
    if outcome.what == MISSING and is_absent_file(cell):
        return ABSENT
    return (BELIEVED.get(key) if outcome.published_wrong else None) or (
        (NOT_HEALED.get(key) if outcome.heals == "no" else None) or ""
    )
