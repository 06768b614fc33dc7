"""docs/rotation.ipynb runs in a kernel beside a warehouse, and its last word is that of the signals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import world
from nbclient import NotebookClient

from market_rotation.tasks import warehouse

NOTEBOOK = world.REPOSITORY / "docs" / "rotation.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells after they ran, in order, in a folder that holds `warehouse/`."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "warehouse").mkdir()
    (folder / "warehouse" / "rotation.duckdb").symlink_to(world.sample_of_january(tmp_path_factory))
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            patch.setenv(variable, str(folder / variable.lower()))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        client = NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(cell: Any) -> str:
    """What the cell shows as plain text."""
    return "".join(
        output["text"] if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def test_it_is_stored_without_output() -> None:
    """The stored notebook is valid, has no output, no path of a machine and no query of another file."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert 'duckdb.connect("warehouse/rotation.duckdb", read_only=True)' in code[0].source
    assert not re.search(r"(/home|/work|/tmp|/Users|C:\\)", NOTEBOOK.read_text(encoding="utf-8"))


def test_every_cell_shows_something(cells: list[Any]) -> None:
    """Each cell but the last, which closes the file, shows a table or a chart; tables have rows."""
    assert len(cells) == 13
    for cell in cells[:-1]:
        assert text(cell) or any("application/vnd.vega" in name for o in cell.outputs for name in o.get("data", {})), (
            cell.source
        )
        assert "Empty DataFrame" not in text(cell), cell.source
    assert cells[-1].outputs == []
    # Altair shows a chart as HTML or as its specification, whichever the kernel prefers.
    shown = [data for cell in cells for output in cell.outputs for data in output.get("data", {}).items()]
    charts = [kind for kind, content in shown if "vegalite" in kind or (kind == "text/html" and "vega" in content)]
    assert len(charts) == 2


def test_it_examines_the_thesis(cells: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The sentence at the end follows from the states in force, and the evidence shown is all there is."""
    with warehouse.reading(world.sample_of_january(tmp_path_factory)) as con:
        state = con.sql(
            "select session, size_state, leadership_state from signals.rotation_regime order by session desc limit 1"
        ).fetchone()
        names = con.sql("select distinct evidence from signals.rotation_evidence").fetchall()
    assert state[1:] == ("trailing", "broadening")
    (sentence,) = [text(cell) for cell in cells if "print(" in cell.source]
    assert sentence == f"On {state[0]} the thesis holds in half: leadership broadens, but small caps do not lead.\n"
    (evidence,) = [text(cell) for cell in cells if cell.source.startswith("evidence =")]
    assert all(name in evidence for (name,) in names)


def test_the_notebook_is_linked() -> None:
    """A reader finds it from the page on other programs."""
    page = Path(NOTEBOOK.parent / "consuming.md").read_text(encoding="utf-8")
    assert "](rotation.ipynb)" in page
