"""`rotation sql`: a read-only query of the published warehouse, as a table or a file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import nullcontext, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market_rotation.tasks import paths, warehouse
from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse.query import (
    check_statement,
    is_open_to_files,
    quoted_path,
    restrict,
    with_comments,
)

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

#: The maximum number of rows printed as a table.
TABLE_ROWS = 10_000


def query_warehouse(
    query: str, form: str, output: Path | None, *, allow_files: bool = False, as_of: datetime | None = None
) -> None:
    """Prints the result of one read-only statement, or writes it to `output`.

    The statement can neither write nor read any other file; with `allow_files` it can read. Raises `UsageError` for no statement, several
    statements, or an `output` that is a file of the warehouse, and `RotationError` with DuckDB's own message.
    """
    import duckdb

    settings = load_settings()
    if form == "parquet" and output is None:
        raise UsageError("Parquet cannot be shown on the screen; name a file with -o FILE.")
    if output is not None:
        _refuse_warehouse_file(output, settings)
    with tempfile.TemporaryDirectory() as folder, warehouse.reading(settings.published, as_of) as con:
        result = Path(folder) / "result"
        try:
            check_statement(query, only_reading=allow_files or is_open_to_files(con))
            restrict(con, result, allow_files=allow_files)
            relation = con.sql(with_comments(con, query))
            if relation is None:
                return
            if form == "table":
                _print_table(relation, output)
                return
            _copy(relation, form, result)
            if output:
                shutil.copyfile(result, output)
            else:
                sys.stdout.write(result.read_text(encoding="utf-8"))
        except duckdb.Error as error:
            raise RotationError(_plain(error)) from None
        except BrokenPipeError:
            # The reader, such as `head`, has had enough; click ends the command without a word.
            raise
        except OSError as error:
            raise RotationError(
                f"{output or 'The standard output'} cannot be written ({error.strerror}); choose another file."
            ) from None


def _refuse_warehouse_file(output: Path, settings: Settings) -> None:
    files = [*settings.database_files, *(path.with_name(path.name + ".wal") for path in settings.database_files)]
    files.append(settings.home / "rotation.toml")
    if any(paths.is_same_file(output, path) for path in files):
        raise UsageError(
            f"{output} is a file of the warehouse, which `rotation sql` never writes; choose another file."
        )


def _plain(error: Exception) -> str:
    message = str(error).strip()
    if "disabled by configuration" in message:
        return f"{message.splitlines()[0]} `rotation sql` reads the warehouse and no other file; add --allow-files to read files."
    return message


def _copy(relation: Any, form: str, path: Path) -> None:
    """Writes the rows of `relation` to a file of the format `form`."""
    options = {"csv": "format csv, header", "json": "format json, array", "parquet": "format parquet"}[form]
    if form == "json":
        # JSON has no NaN or infinity.
        relation = _with_doubles(relation, "if(isfinite({0}), {0}, null)")
    # Through a view: without external access, SQL does not see Python variables.
    relation.query("result", f"copy (from result) to '{quoted_path(path)}' ({options})")


def _print_table(relation: Any, output: Path | None) -> None:
    on_screen = sys.stdout.isatty() and output is None
    # Six decimals let more columns fit; a number that would round to zero is kept as it is.
    shown = _with_doubles(relation, "if(abs({0}) < 1e-4, {0}, round({0}, 6))")
    if on_screen:
        # DuckDB omits columns that do not fit, and says so.
        shown.show(max_width=shutil.get_terminal_size().columns, max_rows=100)
        return
    rows = len(shown)
    if rows > TABLE_ROWS:
        raise RotationError(
            f"The result has {rows:,} rows, more than the {TABLE_ROWS:,} that a table can show; add --format csv."
        )
    with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as stream, redirect_stdout(stream):
        shown.show(max_width=1_000_000, max_rows=TABLE_ROWS)


def _with_doubles(relation: Any, expression: str) -> Any:
    """`relation` with `expression` applied to each floating-point column; columns are identified by position, since names may repeat."""
    columns = []
    for place, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True), start=1):
        value = expression.format(f"#{place}") if kind in ("DOUBLE", "FLOAT") else f"#{place}"
        columns.append(f'{value} as "{name.replace(chr(34), chr(34) * 2)}"')
    return relation.project(", ".join(columns))
