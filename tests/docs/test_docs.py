"""The documentation is what the code says: the generated page is up to date, and links lead somewhere."""

from __future__ import annotations

import re
import runpy
from datetime import date
from pathlib import Path

import click
import pytest
import world

from market_rotation.flows.cli.main import main
from market_rotation.tasks.audit import suites
from market_rotation.tasks.settings import Settings
from market_rotation.tasks.sources.files import FilesSource
from market_rotation.tasks.warehouse.models import models

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))
USAGE = runpy.run_path(str(ROOT / "docs" / "usage.py"))
RECORD = runpy.run_path(str(ROOT / "docs" / "regime_record.py"))
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("name", ["tables", "expectations"])
def test_the_references_are_up_to_date(name: str) -> None:
    """docs/tables.md and docs/expectations.md are what `make docs` makes of the SQL files and suites now."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert text == GENERATOR[name](), "out of date: run `make docs`"


@pytest.mark.parametrize("name", ["settings", "commands"])
def test_settings_and_commands_are_up_to_date(name: str) -> None:
    """docs/settings.md and docs/commands.md are what `make docs` makes of the settings and commands now."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert text == USAGE[name](), "out of date: run `make docs`"


def test_every_setting_and_option_is_explained() -> None:
    """Each setting has a description, and each option of each command a help text."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    options = [
        (path, option.name)
        for path, command in USAGE["_all_commands"](main, "rotation")
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert options == []


def test_the_reference_of_expectations_has_every_suite() -> None:
    """Each suite has a section."""
    text = (ROOT / "docs" / "expectations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (\S+)$", text, re.MULTILINE)) == set(suites.names())


def test_the_table_reference_has_every_table_people_read() -> None:
    """Each table and macro of signals, core, ops and raw has a section."""
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    wanted = {m.name for m in models() if not m.name.startswith("stage.")}
    assert set(re.findall(r"^### (\S+)$", text, re.MULTILINE)) == wanted


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository names one that exists, and every link within a page a heading."""
    text = page.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        assert not path or (page.parent / path).exists(), target
        assert path or anchor in headings, target


def test_the_record_of_the_regime_is_what_real_prices_give(real_data: Path) -> None:
    """docs/signals.md has the record that real prices give, and the record is what the rule was chosen for."""
    with RECORD["derived"](real_data / "files") as con:
        rows, found, text = RECORD["episodes"](con), RECORD["totals"](con), RECORD["record"](con)
    assert RECORD["standing"](ROOT / "docs" / "signals.md") == text, "out of date: run `make docs`"
    assert len(rows) == 17
    assert sum(row["is_mostly_right"] for row in rows) >= 15
    assert found["changes_a_year"] <= 15
    assert found["positive_trailing_pct"] <= 20
    assert found["sessions"] > 5000


@pytest.fixture(scope="module")
def january(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the published warehouse of 16 January 2026 on real prices. Tests must not change it."""
    home = tmp_path_factory.mktemp("january")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_HOME", str(home))
        patch.setenv("ROTATION_REPORT", "false")
        patch.setenv("ROTATION_SOURCE", "files")
        patch.setenv("ROTATION_FILES", str(real_data / "files"))
        assert world.run(FilesSource(real_data / "files"), date(2026, 1, 16)).status == "published"
    return home


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("page", "count"), [("january-2026", 12), ("the-article", 15)])
def test_pages_show_what_real_prices_give(
    january: Path, monkeypatch: pytest.MonkeyPatch, page: str, count: int
) -> None:
    """Each query of docs/january-2026.md and docs/the-article.md gives what is shown there, on real prices up to that session."""
    monkeypatch.setenv("ROTATION_HOME", str(january))
    shown = world.shown_queries(ROOT / "docs" / f"{page}.md")
    assert len(shown) == count
    for command, output in shown:
        assert world.output_of(command) == output.strip().splitlines(), command
