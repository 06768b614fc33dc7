"""`rotation sql`: a read-only query of the published warehouse, as a table or a file."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.settings import load_settings

#: Rows of a table shown at most.
TABLE_ROWS = 10_000


def query_warehouse(query: str, form: str, output: Path | None) -> None:
    """Prints the result of a read-only query, or writes it to `output`. Raises `RotationError` with DuckDB's own sentence."""
    import duckdb

    if form == "parquet" and output is None:
        raise ConfigError("Parquet is not for the screen; say where to write it with -o FILE.")
    with warehouse.reading(load_settings().published) as con:
        try:
            relation = con.sql(_with_comments(con, query))
            if relation is None:
                return
            if form == "table":
                _print_table(relation, output)
            elif output:
                _copy(con, relation, form, output)
            else:
                # Not to /dev/stdout, which DuckDB would open anew and so write over what a file already holds.
                with tempfile.TemporaryDirectory() as folder:
                    _copy(con, relation, form, Path(folder) / "result")
                    sys.stdout.write((Path(folder) / "result").read_text(encoding="utf-8"))
        except duckdb.Error as error:
            raise RotationError(str(error).strip()) from None
        except OSError as error:
            raise RotationError(f"{output} cannot be written ({error.strerror}); choose another file.") from None


def _with_comments(con: Any, query: str) -> str:
    """`query`, or for `describe schema.table` one that also shows what each column means, which DuckDB's own leaves out."""
    match = re.fullmatch(r"\s*desc(?:ribe)?\s+(?:table\s+)?(\w+)\.(\w+)\s*;?\s*", query, re.IGNORECASE)
    if not match:
        return query
    # DuckDB's own answer says it where there is no such table.
    con.execute(query)
    return (
        "select column_name, data_type as column_type, comment from duckdb_columns() "
        f"where schema_name || '.' || table_name = lower('{match[1]}.{match[2]}') order by column_index"
    )


def _copy(con: Any, relation: Any, form: str, path: Path) -> None:
    """Writes what `relation` yields to a file of the format `form`."""
    options = {"csv": "format csv, header", "json": "format json, array", "parquet": "format parquet"}[form]
    if form == "json":
        # JSON has no word for what is not a number.
        relation = _with_doubles(relation, "if(isfinite({0}), {0}, null)")
    con.execute(f"copy (from relation) to '{str(path).replace(chr(39), chr(39) * 2)}' ({options})")


def _print_table(relation: Any, output: Path | None) -> None:
    on_screen = sys.stdout.isatty() and output is None
    # Six decimals are enough to look at, and let more columns fit; a number that this would make zero stays as it is.
    shown = _with_doubles(relation, "if(abs({0}) < 1e-4, {0}, round({0}, 6))")
    if on_screen:
        # DuckDB leaves out what does not fit, and says so.
        shown.show(max_width=shutil.get_terminal_size().columns, max_rows=100)
        return
    rows = len(shown)
    if rows > TABLE_ROWS:
        raise RotationError(f"The result has {rows:,} rows, more than the {TABLE_ROWS:,} of a table; add --format csv.")
    with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as stream, redirect_stdout(stream):
        shown.show(max_width=1_000_000, max_rows=TABLE_ROWS)


def _with_doubles(relation: Any, expression: str) -> Any:
    """`relation` with each floating-point column replaced by `expression` of it; columns are told by place, since names may repeat."""
    columns = []
    for place, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True), start=1):
        value = expression.format(f"#{place}") if kind in ("DOUBLE", "FLOAT") else f"#{place}"
        columns.append(f'{value} as "{name.replace(chr(34), chr(34) * 2)}"')
    return relation.project(", ".join(columns))
