"""The queries of the report, `sql/report/*.sql`: their rows at a session, and their text for readers."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.warehouse.models import SQL

if TYPE_CHECKING:
    from datetime import date

    import duckdb
    import pandas as pd

#: Exhibits that share one query for different instruments: the file, and the `kind` that it reads.
SHARED = {"sector_rotation": ("rotation", "sector"), "size_rotation": ("rotation", "fund")}

SESSION = re.compile(r"getvariable\('session'\)")
#: A table as it was after the session, by a macro. After the latest session that is the table, which need not be computed again.
UNTIL = re.compile(r"(signals\.\w+)_until\(getvariable\('session'\)[^()]*\)")


@cache
def text(name: str, is_latest: bool = False) -> str:
    """The statement of `sql/report/<name>.sql` without its header, for the latest session or for any.

    Raises `RotationError` where there is no such file.
    """
    stem, kind = SHARED.get(name, (name, ""))
    sql = statement("report", stem).replace("getvariable('kind')", f"'{kind}'")
    return UNTIL.sub(r"\1", sql) if is_latest else sql


def statement(folder: str, name: str) -> str:
    """The statement of `sql/<folder>/<name>.sql` without its header. Raises `RotationError` where there is no such file."""
    try:
        lines = (SQL / folder / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RotationError(f"Could not find sql/{folder}/{name}.sql; create it with a `select …`.") from None
    body = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[body:]) + "\n"


def run(con: duckdb.DuckDBPyConnection, name: str, session: date | None, is_latest: bool = False) -> pd.DataFrame:
    """The rows of a query at `session`, in its order: dates as datetime64, what is not known as NULL.

    `is_latest` says that no later session is in the warehouse.
    """
    con.execute("set variable session = $1::date", [session])
    return con.execute(text(name, is_latest)).df()


def shown(name: str, session: date, is_latest: bool = False) -> str:
    """The query as a reader can paste it into `rotation sql "…"`: the session written out, nothing that a shell would take apart."""
    return SESSION.sub(f"date '{session}'", text(name, is_latest))
