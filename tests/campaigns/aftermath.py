"""What must hold after a kill or a power cut, in the words of the promises."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from campaigns import scenarios
from campaigns.scenarios import published_of
from market_rotation.tasks import warehouse
from market_rotation.tasks.warehouse import damage

#: How a run says that a file is damaged, and stops.
STOPPED = ("is damaged", "could not be checked", "holds less history", "cannot be read either", "cannot be opened")


class Broken(Exception):
    """A promise is broken."""


def state(home: Path) -> dict[str, str]:
    """A hash of each table of `core` and `signals` that readers have; {} where nothing was published. All other tables are read, too."""
    published = published_of(home)
    if not warehouse.exists(published):
        return {}
    with warehouse.reading(published) as con:
        damage.read_all(con)
    return scenarios.content(published)


def rows_of_raw(home: Path) -> dict[str, int]:
    """The rows of each table of `raw` that readers have."""
    if not warehouse.exists(published_of(home)):
        return {}
    with warehouse.reading(published_of(home)) as con:
        names = con.execute(
            "select table_name from duckdb_tables() where database_name = current_database() and schema_name = 'raw'"
        ).fetchall()
        return {name: con.execute(f"select count(*) from raw.{name}").fetchone()[0] for (name,) in names}


def expect_kept(home: Path, allowed: Iterable[dict[str, str]], raw: dict[str, int]) -> None:
    """Raises `Broken` unless readers have one of the states `allowed`, and no less of `raw` than they had."""
    if state(home) not in list(allowed):
        raise Broken("readers have neither the state before nor the one after")
    now = rows_of_raw(home)
    if less := [name for name, rows in raw.items() if now.get(name, 0) < rows]:
        raise Broken(f"readers have less of raw.{less[0]} than they had")


def expect_same_record(home: Path) -> None:
    """Raises `Broken` unless readers see of each run what the pipeline recorded, and none as running."""
    found = []
    for path in (published_of(home), home / "warehouse" / "build.duckdb"):
        with warehouse.reading(path) as con:
            found.append(con.execute("select run_id, status, published, message from ops.runs order by all").fetchall())
    if found[0] != found[1]:
        raise Broken(f"readers see other outcomes of runs than were recorded: {found}")
    if running := [run_id for run_id, status, *_ in found[0] if status == "running"]:
        raise Broken(f"{running} still count as running")


def expect_whole_reports(home: Path) -> None:
    """Raises `Broken` where a file of a report is incomplete."""
    for folder in (home / "warehouse" / "reports").glob("*/"):
        if folder.name.startswith("."):
            continue
        try:
            json.loads((folder / "report.json").read_text())
            is_whole = (
                (folder / "index.html").read_text().rstrip().endswith("</html>")
                and (folder / "report.png").read_bytes()[-8:-4] == b"IEND"
                and (folder / "summary.txt").stat().st_size > 0
            )
        except (OSError, ValueError):
            is_whole = False
        if not is_whole:
            raise Broken(f"the report in {folder} is incomplete")


def told(messages: Iterable[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """How often each alert arrived, by kind and title, but for the hours that an incident lasted."""
    return Counter((m["type"], re.sub(r" after [^:]*:", ":", m["title"])) for m in messages)


def repeated(
    expected: Counter[tuple[str, str]], got: Counter[tuple[str, str]], unrecorded: int, is_lenient: bool
) -> int:
    """The number of alerts that arrived twice. Raises `Broken` where one was lost, or more than `unrecorded` arrived twice.

    `is_lenient`: a power cut took the record of what was sent, or a run stopped at a damaged file and reported it.
    """
    if lost := expected - got:
        raise Broken(f"alerts were lost: {sorted(lost)}")
    more = got - expected
    if not is_lenient and (more.keys() - expected.keys() or more.total() > unrecorded):
        raise Broken(f"{more.total()} alerts too many, of which {unrecorded} could not be recorded: {sorted(more)}")
    return sum((more & Counter(dict.fromkeys(expected, 9))).values())
