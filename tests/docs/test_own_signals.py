"""docs/own-signals.md shows what really happens: its files are put in a home, and its queries give the output that it shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest
import world

from market_rotation.tasks.alerts import rules
from market_rotation.tasks.own import derive
from market_rotation.tasks.settings import load_settings

PAGE = world.REPOSITORY / "docs" / "own-signals.md"
#: Each file of the page: its path, and its content.
FILES: list[tuple[str, str]] = re.findall(
    r"`warehouse/([\w/.]+)`(?:(?!```).)*?```(?:sql|toml)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
HOME = Path("warehouse")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> derive.Outcome:
    """A home with the files of the page and the simulated market of January 2026, and what came of the files."""
    for name, content in FILES:
        path = HOME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    shutil.copyfile(world.sample_of_january(tmp_path_factory), HOME / "rotation.duckdb")
    with duckdb.connect(str(HOME / "rotation.duckdb")) as con:
        con.execute("set timezone = 'UTC'")
        return derive.derive(con, HOME)


def test_the_page_has_each_kind_of_file() -> None:
    """A signal, expectations, rules in a file, and a rule in the settings."""
    assert [name for name, _ in FILES] == [
        "sql/signals/small_value_lead.sql",
        "expectations/small_value_lead.sql",
        "rules/market.sql",
        "rotation.toml",
    ]


def test_its_signal_is_derived_and_its_expectations_hold(home: derive.Outcome) -> None:
    """Nothing is wrong with the files, and the expectation is checked."""
    assert home.faults == []
    assert home.tables == ["signals.small_value_lead"]
    assert {(r.expectation.id, r.success) for r in home.results} == {
        ("small_value_lead_one_row_per_grain", True),
        ("spread_within_bounds", True),
    }


def test_its_rules_can_be_evaluated(home: derive.Outcome) -> None:
    """All three are rules; those that fire on the simulated market do so with a row."""
    found, broken = rules.load(load_settings())
    assert broken == []
    assert [(rule.id, rule.severity, rule.channel) for rule in found] == [
        ("volatility_high", "critical", "slack"),
        ("rotation_lost", "warning", None),
        ("flows_out", "warning", None),
    ]
    judged = rules.judge(load_settings())
    assert not judged.undecided
    assert not any(incident.fingerprint.startswith("broken") for incident in judged.incidents)
    assert "rule:rotation_lost" in {incident.fingerprint for incident in judged.incidents}


def test_its_queries_give_what_is_shown(home: derive.Outcome) -> None:
    """Each query that the page shows with its output gives exactly that output."""
    shown = world.shown_queries(PAGE)
    assert len(shown) == 3
    for command, output in shown:
        assert world.output_of(command) == output.strip().splitlines(), command
