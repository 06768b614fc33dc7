"""A build database takes over what other machines published to the lake, before its own machine computes and publishes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.warehouse import damage, derive, formats, recovery
from market_rotation.tasks.warehouse.lake import contents
from market_rotation.tasks.warehouse.lake.contents import Content, Table
from market_rotation.tasks.warehouse.models import DERIVED, Model, models

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger("rotation.warehouse")

#: The build database's own record of the publish that it last agreed with.
_RECORD = "main.lake_publication"
_SEEN = "lake_publication"


def move_damaged(build: Path, published: object) -> None:
    """Moves a damaged build database away: the next run makes a new one from the lake."""
    if not build.exists():
        return
    try:
        with duckdb.connect(str(build)) as con:
            formats.refuse_newer(con, build)
    except duckdb.Error as error:
        if not damage.is_damage(error):
            return
        kept = recovery.move_away(build)
        log.warning("%s is damaged; it is made again from %s. The old file is %s.", build, published, kept)


def take_over(con: DuckDBPyConnection, published: object) -> None:
    """Makes the build database `con` hold all that the lake `readers` holds, beside what this machine loaded and could not publish.

    Then every table is as the lake has it; where rows of this machine alone remain, the tables derived from them are derived again and audited.
    Raises `RotationError` where the build database belongs to another warehouse, `AuditFailed` when what was derived is not as it must be.
    """
    _refuse_newer(con, published)
    last = contents.last_publication(con, "readers")
    remember(con, last.identifier if last else None)
    if last is None or last.identifier == agreed(con):
        return
    log.info("Taking over what %s published at %s", last.machine, last.at)
    con.begin()
    try:
        _refuse_other_warehouse(con, published)
        own_rows = _copy_tables(con)
        _create_macros(con)
        if own_rows:
            _derive(con)
        record(con, last.identifier)
        con.commit()
    except BaseException:
        con.rollback()
        raise


def remember(con: DuckDBPyConnection, identifier: str | None) -> None:
    """Keeps the lake's last publish for `seen`, until the connection closes."""
    derive.parameters(con, **{_SEEN: identifier})


def seen(con: DuckDBPyConnection) -> str | None:
    """The lake's last publish when this machine took over from it; None for an empty lake."""
    (found,) = con.execute(f"select getvariable('{_SEEN}')").fetchone() or (None,)
    return found if found is None else str(found)


def record(con: DuckDBPyConnection, identifier: str) -> None:
    """Records the publish that the build database agrees with."""
    con.execute(f"create or replace table {_RECORD} as select {derive.quoted(identifier)} as publication_id")


def agreed(con: DuckDBPyConnection) -> str | None:
    """The publish that the build database last agreed with."""
    (build,) = con.execute("select current_database()").fetchone() or ("",)
    if not contents.has_table(con, build, "main", "lake_publication"):
        return None
    (found,) = con.execute(f"select max(publication_id) from {_RECORD}").fetchone() or (None,)
    return found if found is None else str(found)


def _refuse_newer(con: DuckDBPyConnection, published: object) -> None:
    if not contents.has_table(con, "readers", "ops", "formats"):
        return
    row = con.execute("select format, version from readers.ops.formats order by format desc limit 1").fetchone()
    if row and row[0] > formats.FORMAT:
        raise ConfigError(formats.newer(published, formats.Format(*row)))


def _refuse_other_warehouse(con: DuckDBPyConnection, published: object) -> None:
    """Two warehouses never become one: the same first run filled both."""
    (ours,) = con.execute("select min(run_id) from raw.prices").fetchone() or (None,)
    (theirs,) = con.execute("select min(run_id) from readers.raw.prices").fetchone() or (None,)
    if ours and theirs and ours != theirs:
        raise RotationError(
            f"The build database of this machine and {published} are two warehouses: the first prices are of the runs {ours} and {theirs}. To go "
            "on with the lake, move build.duckdb in ROTATION_HOME away and run again; to keep this machine's, set ROTATION_WAREHOUSE to another lake."
        )


def _copy_tables(con: DuckDBPyConnection) -> bool:
    """Copies the tables that differ; returns whether a table of `raw` keeps rows that the lake lacks."""
    ledgers = {model.name: model for model in models() if model.kind == "ledger"}
    ours, lake = contents.described(con), contents.described(con, "readers")
    own_rows = False
    for name, theirs in contents.recorded(con, "readers").items():
        if theirs.kind != "table":
            continue
        if name in ours and _is_same(contents.measured(con, ours[name]), theirs):
            continue
        if name in ledgers:
            # Those that this version knows.
            known = {column for column, _, _ in ours[name].columns}
            columns = [f'"{column}"' for column, _, _ in lake[name].columns if column in known]
            kept = _merge(con, ledgers[name], ours[name], theirs, ", ".join(columns))
            own_rows |= kept and name.startswith("raw.")
        else:
            con.execute(f"create or replace table {name} as from readers.{name}")
            for model in models():
                if model.name == name:
                    derive.comment(con, model)
    return own_rows


def _merge(con: DuckDBPyConnection, model: Model, table: Table, theirs: Content, columns: str) -> bool:
    """Gives a growing table the lake's rows, and after them those of its own that the lake lacks; returns whether there are such."""
    name, mark = model.name, table.mark
    # What a run loaded is in the lake as a whole or not at all.
    keys = ["run_id"] if name.startswith("raw.") else model.header["grain"].split(", ")
    same = " and ".join(f"ours.{key} is not distinct from theirs.{key}" for key in keys)
    own = f"from {name} as ours anti join readers.{name} as theirs on {same}"
    (count,) = con.execute(f"select count(*) {own}").fetchone() or (0,)
    if not count and mark:
        # Most often the lake only has more rows.
        newest = contents.measured(con, table).mark
        newer = f"where {mark} > {derive.quoted(newest)}" if newest is not None else ""
        con.execute(f"insert into {name} by name select {columns} from readers.{name} {newer} order by rowid")
        if _is_same(contents.measured(con, table), theirs):
            return False
    con.execute(f"create or replace temp table own_rows as select ours.* {own}")
    con.execute(f"delete from {name}")
    con.execute(f"insert into {name} by name select {columns} from readers.{name} order by rowid")
    con.execute(f"insert into {name} by name from temp.own_rows")
    con.execute("drop table temp.own_rows")
    return bool(count)


def _is_same(ours: Content, theirs: Content) -> bool:
    return (ours.rows, ours.digest) == (theirs.rows, theirs.digest)


def _create_macros(con: DuckDBPyConnection) -> None:
    for model in models():
        if model.kind == "macro" and model.name.split(".")[0] in contents.PUBLISHED:
            con.execute(model.statements[0])
            derive.comment(con, model)


def _derive(con: DuckDBPyConnection) -> None:
    from market_rotation.tasks.audit import suites
    from market_rotation.tasks.audit.run import audit, stop_if_blocked

    log.info("Building core and signals from the prices of both machines")
    derive.build(con, *DERIVED)
    stop_if_blocked(audit(con, *suites.derived()))
