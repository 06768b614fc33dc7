"""The fault matrix in small: a cell of each kind of outcome, and one of each way by which a fault comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns import faulty_market as market
from campaigns.fault_cells import Cell, broken, plan
from campaigns.faults import Clean, attempt


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """Good runs, made once for the module."""
    return Clean(tmp_path_factory.mktemp("clean"))


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("cell", "outcome"),
    [
        (Cell("fund_nav", "sign-flip", "later"), "set aside by"),
        (Cell("prices", "future-date", "later"), "blocked"),
        (Cell("holdings", "future-date", "first"), "set aside by not_in_future"),
        (Cell("prices", "swapped-high-low", "later", "tiingo"), "set aside by bar_consistent"),
        (Cell("holdings", "source-down", "later", "files"), "reported as behind by ops.freshness"),
    ],
    ids=lambda value: f"{value.source}-{value.fault}" if isinstance(value, Cell) else None,
)
def test_cell(cell: Cell, outcome: str, clean: Clean, tmp_path: Path) -> None:
    """The fault is found, nothing wrong is published, and a run without the fault heals it."""
    found = attempt(cell, clean, tmp_path / "home")
    assert found.what.startswith(outcome)
    assert not broken(cell, found)


def test_each_cell_can_be_made() -> None:
    """The matrix has no cell twice, each names a fault that there is, and prices come by every source."""
    cells = plan()
    assert len(set(cells)) == len(cells)
    assert {cell.source for cell in cells if cell.dataset == "prices"} == {
        "sample",
        "files",
        "yahoo",
        "tiingo",
        "eodhd",
    }
    for cell in cells:
        market.with_fault(cell.dataset, cell.fault)
