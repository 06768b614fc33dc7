"""Derives all tables again from `raw` alone, as known at a past time, into a separate file."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks import lake_address, paths, warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.run import audit, stop_if_blocked
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.own import derive as own
from market_rotation.tasks.own import files
from market_rotation.tasks.warehouse import formats
from market_rotation.tasks.warehouse.models import DERIVED, models

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.rebuild")


@dataclass(frozen=True)
class Rebuilt:
    """The result of `rebuild`: the file, when its newest prices were fetched, its last session, rows of `raw.prices`."""

    path: Path | LakeAddress
    known_at: datetime
    session: date
    rows: int
    is_simulated: bool


def rebuild(settings: Settings, as_of: datetime | None, target: str | Path | None, now: datetime) -> Rebuilt:
    """Derives `core`, `signals` and `ops.revisions` from the published `raw` as known at `as_of` (default: all) into `target`.

    The published warehouse is only read, also during a run. `target` (default: rebuilt.duckdb beside the build database) is replaced as a whole
    once everything is derived and audited; a DuckLake as target must not hold a warehouse yet. Raises `ConfigError` for an invalid time or file, `AuditFailed` when what was derived
    is not as it must be.
    """
    if as_of and as_of > now:
        raise ConfigError(f"--as-of {as_of:%Y-%m-%d %H:%M %Z} is in the future; choose a past time.")
    files.check_names(settings.home)
    path = _target(target, settings)
    with warehouse.reading(settings.published) as published:
        formats.refuse_newer(published, settings.published)
        _refuse_before_first(published, as_of)
    beside = settings.build.with_name("rebuilt.duckdb") if isinstance(path, LakeAddress) else path
    temporary = beside.with_name(f".{beside.name}.tmp")
    _remove(temporary)
    try:
        with warehouse.writing(temporary) as con:
            warehouse.limit_memory(con, settings.memory_limit)
            log.info("Copying the raw data known then")
            with warehouse.engine(settings.published).attached(con, "published"):
                _copy_known(con, as_of)
            log.info("Building core and signals")
            with warehouse.transaction(con):
                warehouse.build(con, *DERIVED)
                stop_if_blocked(audit(con, *suites.derived()))
            # A fault in a file of the user's own is logged; its table is missing from the result.
            own.derive(con, settings.home)
            con.execute("drop schema stage cascade")
            made = _describe(con, path)
            if isinstance(path, LakeAddress):
                readers = warehouse.engine(path)
                with readers.alone(settings.wait_s):
                    readers.publish(con, temporary)
        if not isinstance(path, LakeAddress):
            os.replace(temporary, path)
    finally:
        _remove(temporary)
    return made


def _target(given: str | Path | None, settings: Settings) -> Path | LakeAddress:
    """Where to write. Raises `ConfigError` for a place that is not free."""
    if not lake_address.is_lake(str(given or "")):
        path = Path(given) if given else settings.build.with_name("rebuilt.duckdb")
        _refuse_other_files(path, settings)
        return path
    try:
        address = lake_address.parse(str(given), settings.lake_data)
    except ValueError as error:
        raise ConfigError(f"--to: {error}.") from None
    if warehouse.exists(address):
        raise ConfigError(
            f"{address} holds a warehouse already, which a rebuild does not change; choose another catalog with --to."
        )
    return address


def _refuse_other_files(path: Path, settings: Settings) -> None:
    try:
        paths.usable_by_duckdb(paths.usable(path))
    except ValueError as error:
        raise ConfigError(f"--to {path}: {error}.") from None
    if any(paths.is_same_file(path, file) for file in settings.database_files):
        raise ConfigError(
            f"{path} is the warehouse itself, which a rebuild does not change; choose another file with --to."
        )
    if not path.exists():
        return
    try:
        with warehouse.reading(path) as con:
            con.execute("select 1 from raw.prices limit 0")
    except Exception:
        raise ConfigError(f"{path} exists and is not a warehouse; choose another file with --to.") from None


def _refuse_before_first(con: duckdb.DuckDBPyConnection, as_of: datetime | None) -> None:
    (first,) = con.execute("select min(known_at) from raw.prices").fetchone() or (None,)
    if first is None:
        raise RotationError("The warehouse holds no prices yet; fill it with `rotation run`.")
    if as_of and as_of < first:
        raise ConfigError(
            f"Nothing was known at {as_of:%Y-%m-%d %H:%M %Z}; the first prices came at {first:%Y-%m-%d %H:%M %Z}: choose a later moment."
        )


def _copy_known(con: duckdb.DuckDBPyConnection, as_of: datetime | None) -> None:
    """Copies from the database `published` the rows of `raw` known at `as_of`, and of the ledgers those of the runs until then."""
    moment = as_of or datetime.max.replace(tzinfo=UTC)
    held = {
        name
        for (name,) in con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'published'"
        ).fetchall()
    }
    for model in models():
        # A file published by an older version may lack a table.
        if model.kind == "ledger" and model.name.startswith("raw.") and model.name in held:
            con.execute(
                f"insert into {model.name} by name from published.{model.name} where known_at <= $1 order by rowid",
                [moment],
            )
    con.execute("insert into ops.runs by name from published.ops.runs where started_at <= $1", [moment])
    con.execute("insert into ops.validations by name from published.ops.validations semi join ops.runs using (run_id)")
    con.execute(
        "insert into ops.quarantine by name select * replace (case when resolved_at <= $1 then resolved_at end as resolved_at) "
        "from published.ops.quarantine semi join ops.runs using (run_id)",
        [moment],
    )
    # A file published by an older version lacks this table.
    if con.execute(
        "from duckdb_tables() where database_name = 'published' and schema_name = 'ops' and table_name = 'reconciliations'"
    ).fetchone():
        con.execute(
            "insert into ops.reconciliations by name select * replace (case when resolved_at <= $1 then resolved_at end as resolved_at) "
            "from published.ops.reconciliations semi join ops.runs using (run_id)",
            [moment],
        )
    for table in _overrides(con):
        con.execute(f"insert into {table} by name from published.{table} where accepted_at <= $1", [moment])


def _overrides(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The manual overrides that the published file has; one of an older version may lack some."""
    found = con.execute(
        "select table_name from duckdb_tables() where database_name = 'published' and schema_name = 'ops' and table_name in ('accepted', 'closures')"
    ).fetchall()
    return [f"ops.{name}" for (name,) in found]


def _describe(con: duckdb.DuckDBPyConnection, path: Path | LakeAddress) -> Rebuilt:
    row = con.execute(
        "select max(known_at), (select max(session) from core.sessions), count(*), bool_or(source = 'sample') from raw.prices"
    ).fetchone()
    assert row is not None
    return Rebuilt(path, *row)


def _remove(path: Path) -> None:
    for leftover in (path, path.with_name(f"{path.name}.wal")):
        leftover.unlink(missing_ok=True)
