"""The README shows what really happens: its queries are run, and their output compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import world

from market_rotation.tasks.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def simulated(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The warehouse of the README's examples."""
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "rotation.duckdb").symlink_to(world.sample_of_january(tmp_path_factory))


def test_queries_give_what_is_shown(simulated: None) -> None:
    """Each query in the README that is shown with its output gives exactly that; so does the one of levels in docs/signals.md."""
    for page, count in ((ROOT / "README.md", 6), (ROOT / "docs" / "signals.md", 1)):
        shown = world.shown_queries(page)
        assert len(shown) == count
        for command, output in shown:
            assert world.output_of(command) == output.strip().splitlines(), command


def test_settings_are_all_documented() -> None:
    """Every setting is in the README's table."""
    named = {name for name in Settings.model_fields if f"`ROTATION_{name.upper()}`" in README}
    fetching = {"fetch_attempts", "fetch_wait_s", "fetch_deadline_s", "fetch_retries"}
    assert named == set(Settings.model_fields) - fetching
    assert all(f"`_{name.removeprefix('fetch_').upper()}`" in README for name in fetching)


def test_test_command_is_the_one_ci_calls() -> None:
    """CI calls the test command that the README names."""
    assert "$ make test\n" in README
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_the_report_is_what_is_shown(simulated: None) -> None:
    """`rotation report` prints the summary that the README shows, but for the line on when it was written."""
    shown = README.split("$ rotation report\n")[1].split("\n\nreport  ")[0].splitlines()
    said = world.output_of("report")
    assert said[: len(shown)] == shown
    assert said[-1].startswith("report  warehouse/reports/2026-01-16/index.html")
