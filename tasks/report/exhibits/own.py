"""The user's own signals: each table as it is, at the session, without a chart."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.own.derive import tables
from market_rotation.tasks.report.exhibits.base import Column, Exhibit, Kind

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

#: The columns that date a row, the first that a table has.
DAYS = ("session", "as_of", "month")
#: Rows shown as a table; the download has all of them.
SHOWN = 50


def exhibits(con: duckdb.DuckDBPyConnection, session: date) -> list[Exhibit]:
    """One exhibit for each of the user's tables in `signals`: its rows of the newest day up to `session`, or all rows if it has no day."""
    return [_exhibit(con, name, session) for name in tables(con)]


def _exhibit(con: duckdb.DuckDBPyConnection, name: str, session: date) -> Exhibit:
    row = con.execute(
        "select comment from duckdb_tables() where schema_name || '.' || table_name = $1", [name]
    ).fetchone()
    about = str(row[0] or "").partition("\n")[0].removeprefix(f"{name}: ") if row else ""
    names = [column for (column, *_) in con.execute(f"describe {name}").fetchall()]
    day = next((column for column in DAYS if column in names), None)
    sql = f"from {name}\n"
    if day:
        sql += f"where {day} = (select max({day}) from {name} where {day} <= date '{session}')\n"
    rows = con.sql(sql).df()
    title = name.removeprefix("signals.").replace("_", " ")
    missing = "The table has no row up to this session." if rows.empty else None
    note = f"Your own signal, from sql/signals/{name.removeprefix('signals.')}.sql."
    if len(rows) > SHOWN:
        note += f" The first {SHOWN} of {len(rows):,} rows; the download has all of them."
    return Exhibit(
        id=f"own_{name.removeprefix('signals.')}",
        title=title.capitalize(),
        finding=about or f"The rows of {name}.",
        note=note,
        sql=sql,
        rows=rows,
        table=rows.head(SHOWN),
        columns=tuple(Column(column, column.replace("_", " "), _kind(column, rows[column])) for column in rows.columns),
        missing=missing,
    )


def _kind(name: str, values: pd.Series[Any]) -> Kind:
    """How a column is written: by its type, and by the endings and beginnings of names that say a unit."""
    match values.dtype.kind:
        case "M":
            return "month" if name == "month" else "session"
        case "i" | "u":
            return "count"
        case "f" if name.endswith("_usd"):
            return "usd"
        case "f" if name.endswith("_pct"):
            return "percent"
        case "f" if name.startswith(("return_", "spread_", "excess_")):
            return "fraction"
        case "f":
            return "number"
    return "text"
