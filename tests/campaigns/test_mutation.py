"""The campaign of mutation in small: mutants are what they say, one that the tests notice is killed, one that they do not survives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from campaigns import mutation
from campaigns.mutants import mutants
from campaigns.survivors import explanation

CALENDAR = "tasks/calendar.py"


def changes(folder: Path, name: str, text: str) -> set[str]:
    (folder / name).write_text(text)
    return {mutant.change.partition(" → ")[2] for mutant in mutants(folder / name)}


def test_mutants_of_sql(tmp_path: Path) -> None:
    """Operators, comparisons, constants, frames, aggregates and joins, one at a time, and only what DuckDB can parse; comments stay."""
    found = changes(
        tmp_path,
        "t.sql",
        "-- 1 + 1\nselect sum(a) over (order by b rows 13 preceding) / 2 from t left join u on t.a < u.a",
    )
    begin, end = "select sum(a) over (order by b rows 13 preceding)", "from t left join u on t.a < u.a"
    assert found == {
        f"select avg(a) over (order by b rows 13 preceding) / 2 {end}",
        f"select sum(a) over (order by b rows 14 preceding) / 2 {end}",
        f"{begin} * 2 {end}",
        f"{begin} / 3 {end}",
        f"{begin} / 2 from t join u on t.a < u.a",
        f"{begin} / 2 from t left join u on t.a <= u.a",
    }


def test_mutants_of_python(tmp_path: Path) -> None:
    """Conditions, comparisons, constants and arithmetic; an import for type checkers is left alone."""
    text = "if TYPE_CHECKING:\n    pass\nif a < 1 and not b:\n    c = a - 1\n"
    assert changes(tmp_path, "t.py", text) == {
        "if not a < 1 and not b:",
        "if a <= 1 and not b:",
        "if a < 2 and not b:",
        "if a < 1 or not b:",
        "if a < 1 and b:",
        "c = a + 1",
        "c = a - 2",
    }


def test_survivors_that_are_explained() -> None:
    """A tolerance for rounding needs no test, but any other change of its line does."""
    assert explanation("a > b + 1e-9 → a > b + 2e-09") == "a tolerance for rounding: any small number serves"
    assert explanation("a > b + 1e-9 → a >= b + 1e-9") == "not yet examined"
    assert explanation("100 * a → 101 * a") == "not yet examined"


@pytest.mark.skipif(sys.platform != "linux", reason="a mutant is a fork, which the libraries survive on Linux alone")
def test_mutants_are_killed_or_survive() -> None:
    """The campaign, four mutants of the calendar: it says what became of each mutant, kills some, and leaves the repository as it was."""
    before = (mutation.REPOSITORY / CALENDAR).read_bytes()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "campaigns.mutation",
            "--seed",
            "1",
            "--seconds",
            "600",
            "--most",
            "4",
            "--workers",
            "1",
            "--only",
            CALENDAR,
        ],
        env={**os.environ, "PYTHONPATH": f"{mutation.REPOSITORY / 'tests'}:{mutation.REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert "survived     tests/tasks/test_calendar.py without a mutant" in done.stdout, done.stdout + done.stderr
    assert re.search(r"killed +tasks/calendar\.py:\d+ ", done.stdout), done.stdout
    assert "error" not in done.stdout
    assert (mutation.REPOSITORY / CALENDAR).read_bytes() == before
