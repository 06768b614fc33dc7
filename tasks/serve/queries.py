"""The queries of the pages, `sql/serve/*.sql`: their rows for the values chosen, and their text for readers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.queries import statement

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

#: A value of a query: a date, a text, a list of texts, or a number.
Value = date | str | list[str] | int

_VARIABLE = re.compile(r"getvariable\('(\w+)'\)")


def run(con: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, Value] | None = None) -> pd.DataFrame:
    """The rows of `sql/serve/<name>.sql`, in its order: dates as datetime64, what is not known as NULL.

    Raises `KeyError` for a variable of the query that `values` lack.
    """
    text = statement("serve", name)
    for variable in sorted(set(_VARIABLE.findall(text))):
        value: Any = (values or {})[variable]
        kind = "date" if isinstance(value, date) else "varchar[]" if isinstance(value, list) else None
        con.execute(f"set variable {variable} = {f'$1::{kind}' if kind else '$1'}", [value])
    return con.sql(text).df()


def shown(name: str, values: Mapping[str, Value] | None = None) -> str:
    """The query as a reader can run it: the values written out."""
    return _VARIABLE.sub(lambda found: _literal((values or {})[found[1]]), statement("serve", name))


def _literal(value: Value) -> str:
    if isinstance(value, date):
        return f"date '{value}'"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, int) else f"'{value.replace(chr(39), chr(39) * 2)}'"
