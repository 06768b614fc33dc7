"""The README shows real output: its commands are run and their output is compared."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
import world
from rich.console import Console

from market_rotation.flows.cli import run as cli_run
from market_rotation.tasks import warehouse
from market_rotation.tasks.run.ledger import Run, new_run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def simulated(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The warehouse of the README's examples."""
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "rotation.duckdb").symlink_to(world.sample_of_january(tmp_path_factory))


def test_the_first_run_prints_what_is_shown(simulated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README shows the summary that `make run SESSION=2026-01-16` prints, but for the seconds it took."""
    shown = README.split("$ make run SESSION=2026-01-16\n")[1].split("```")[0]
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        row = con.sql("from ops.runs").df().to_dict("records")[0]
    run: Run = new_run(row["started_at"].to_pydatetime(), row["source"], row["session"].date(), None)
    run.status, run.rows_fetched, run.rows_new = row["status"], row["rows_fetched"], row["rows_new"]
    run.rows_quarantined = row["rows_quarantined"]
    seconds = re.search(r"^took     ([\d.]+) s$", shown, re.MULTILINE)
    assert seconds
    run.finished_at = run.known_at + timedelta(seconds=float(seconds[1]))
    page = Path("warehouse/reports/2026-01-16/index.html")
    page.parent.mkdir(parents=True)
    page.touch()
    printed = io.StringIO()
    monkeypatch.setattr(cli_run, "out", Console(file=printed, soft_wrap=True))
    cli_run.show_run(run, Path("warehouse/rotation.duckdb"), Path("warehouse/reports"))
    assert [line.rstrip() for line in printed.getvalue().splitlines()] == shown.splitlines()


@pytest.mark.parametrize(("page", "count"), [("README.md", 3), ("docs/report.md", 1), ("docs/signals.md", 1)])
def test_queries_give_what_is_shown(simulated: None, page: str, count: int) -> None:
    """Each query that the page shows with its output gives exactly that output."""
    shown = world.shown_queries(ROOT / page)
    assert len(shown) == count
    for command, output in shown:
        assert world.output_of(command) == output.strip().splitlines(), command


def test_the_readme_stays_short() -> None:
    """The README has what a newcomer needs; long tables belong in docs/."""
    assert len(README.splitlines()) <= 135


def test_test_command_is_the_one_ci_calls() -> None:
    """CI calls the test command that the README names."""
    assert "`make test`" in README
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_the_report_is_what_is_shown(simulated: None) -> None:
    """`rotation report` prints the summary that docs/report.md shows, and the path of the page."""
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    shown = page.split("$ rotation report\n")[1].split("\n\nreport  ")[0].splitlines()
    said = world.output_of("report")
    assert said[: len(shown)] == shown
    assert said[-1].startswith("report  warehouse/reports/2026-01-16/index.html")
