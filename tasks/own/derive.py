"""Derives and audits the user's own signals, after the project's tables are derived and audited. Nothing here stops a run.

A signal that cannot be derived, or that fails a critical expectation, is not published: its table is dropped, so that readers never see an
old one. A failed warning is an incident, and the table is published. Expectations on the project's own tables never stop publishing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks.audit.run import SHOWN, Result, audit, failures
from market_rotation.tasks.own import files
from market_rotation.tasks.own.files import Fault
from market_rotation.tasks.warehouse import derive as deriving
from market_rotation.tasks.warehouse.models import Model, names
from market_rotation.tasks.warehouse.query import reason, time_limit

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.audit.expectations import Suite

log = logging.getLogger("rotation.own")

#: Seconds after which the query of a signal is stopped.
TIME_LIMIT_S = 120.0


@dataclass
class Outcome:
    """What came of the user's files: the tables that are published, the results of their audit, and one fault for each file with one."""

    tables: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def derive(con: duckdb.DuckDBPyConnection, home: Path) -> Outcome:
    """Replaces the user's tables in `signals`, audits them, and drops those whose file is broken, rejected or gone.

    `con` must have no open transaction: an error of one file would end it.
    """
    own, faults = files.signals(home)
    suites, more = files.expectations(home, own)
    outcome = Outcome(faults=[*faults, *more])
    try:
        for model in own:
            _derive(con, model, [(file, suite) for file, suite in suites if suite.table == model.name], outcome, home)
        for file, suite in suites:
            if suite.table not in {model.name for model in own}:
                _judge(outcome, file, suite, audit(con, suite))
    finally:
        drop_others(con, outcome.tables)
    for fault in outcome.faults:
        log.warning("%s: %s", fault.file, fault.what)
    return outcome


def is_complete(con: duckdb.DuckDBPyConnection, home: Path) -> bool:
    """Whether every signal of the user's that can be derived has its table."""
    own, faults = files.signals(home)
    return not faults and {model.name for model in own} <= set(tables(con))


def tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of `signals` that are not the project's, by name."""
    found = con.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = current_database() and schema_name = 'signals' order by all"
    ).fetchall()
    ours = names()
    return [name for (name,) in found if name not in ours]


def drop_others(con: duckdb.DuckDBPyConnection, kept: Sequence[str]) -> None:
    """Drops the tables of `signals` that are neither the project's nor in `kept`."""
    for name in tables(con):
        if name not in kept:
            con.execute(f"drop table {name}")


def _derive(
    con: duckdb.DuckDBPyConnection, model: Model, suites: Sequence[tuple[str, Suite]], outcome: Outcome, home: Path
) -> None:
    import duckdb

    file = model.path.relative_to(home).as_posix()
    if lacking := sorted(model.reads - names() - set(outcome.tables)):
        outcome.faults.append(Fault(file, f"It reads {lacking[0]}, which was not derived; correct that file first."))
        return
    try:
        with time_limit(con, TIME_LIMIT_S):
            con.execute(f"create or replace table {model.name} as {model.statements[0]}")
        deriving.comment(con, model)
    except duckdb.Error as error:
        outcome.faults.append(Fault(file, f"DuckDB says: {reason(error, TIME_LIMIT_S)} {model.name} is not published."))
        return
    outcome.tables.append(model.name)
    for where, suite in suites:
        _judge(outcome, where, suite, audit(con, suite))


def _judge(outcome: Outcome, file: str, suite: Suite, results: Sequence[Result]) -> None:
    """Adds a fault for what failed in `results`; a table of the user's that is rejected is no longer in `outcome.tables`."""
    outcome.results += results
    failed = [r for r in results if r.raised or (not r.success and r.expectation.severity != "info")]
    if not failed:
        return
    what = " ".join(failure.describe() for failure in failures(failed, SHOWN))
    if suite.table in outcome.tables and any(r.blocks for r in failed):
        outcome.tables.remove(suite.table)
        what += f" {suite.table} is not published."
    outcome.faults.append(Fault(file, what))
