"""What the commands do and show: progress while a run works, a short table at its end, query results, the state of the warehouse."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from market_rotation.flows.cli import json_log
from market_rotation.flows.cli.local_prefect import local_prefect
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.run import context
from market_rotation.tasks.settings import load_settings

if TYPE_CHECKING:
    from market_rotation.tasks.run.ledger import Run
    from market_rotation.tasks.settings import Settings

SIMULATED = "SIMULATED MARKET: these are not real prices."

#: The settings, and the flow that is to run.
Prepared = tuple["Settings", Callable[[], Any]]

#: What DuckDB shows of a table at most.
TABLE_ROWS = 10_000

out = Console()
err = Console(stderr=True)


def run_daily(
    session: date | None, source: str | None, now: datetime, debug: bool = False, log_format: str = "text"
) -> int:
    """Runs the daily flow in this process, showing progress and a closing table; returns the exit code."""

    def prepare() -> Prepared:
        # Whatever a person must correct is said before anything begins.
        settings, _, _, day = context.resolve(session, source, now)
        logging.getLogger("rotation").info("Starting Prefect")
        from market_rotation.flows.daily import daily

        return settings, partial(daily, session=day, source=settings.source, now=now, return_state=True)

    return _run(prepare, debug, log_format)


def run_backfill(
    start: date, end: date | None, symbols: list[str], now: datetime, debug: bool = False, log_format: str = "text"
) -> int:
    """Runs the backfill flow in this process, as `run_daily` does the daily one; returns the exit code."""

    def prepare() -> Prepared:
        wanted = context.resolve_backfill(start, end, symbols, None, now)
        settings = load_settings()
        logging.getLogger("rotation").info("Starting Prefect")
        from market_rotation.flows.backfill import backfill

        given = {"start": wanted.start, "end": wanted.end, "symbols": list(wanted.symbols), "now": now}
        return settings, partial(backfill, **given, return_state=True)

    return _run(prepare, debug, log_format)


def _run(prepare: Callable[[], Prepared], debug: bool, log_format: str) -> int:
    told = progress(debug) if log_format == "text" else json_log.use(sys.stderr, debug)
    with told, local_prefect(debug, prepare, meanwhile=_preload) as (settings, flow):
        result: Any = flow().result(raise_on_failure=False)
    if isinstance(result, RotationError):
        raise result
    if isinstance(result, BaseException):
        if debug:
            raise result
        raise RotationError(
            f"{type(result).__name__}: {result}. Nothing was published; `rotation run --debug` shows where."
        )
    show_run(result, settings.published, settings.reports)
    return 0 if result.status in ("published", "up_to_date") else 1


def _preload() -> None:
    """Imports what the run will need and takes seconds: Prefect's server takes as long to start."""
    from market_rotation.tasks.audit.run import preload
    from market_rotation.tasks.warehouse import models

    models.models()
    preload()
    if load_settings().report:
        from market_rotation.tasks.report import daily, picture  # noqa: F401

        picture.warm_up()


def show_run(run: Run, published: Path, reports: Path | None = None) -> None:
    """Prints what came of a run, and where it is."""
    colour = {"published": "green", "up_to_date": "green", "blocked": "red", "failed": "red"}[run.status]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("status", f"[{colour}]{run.status.replace('_', ' ')}[/]")
    table.add_row("session", str(run.session))
    table.add_row("source", run.source)
    if run.status == "up_to_date":
        table.add_row("", run.message)
    else:
        table.add_row("rows", f"{run.rows_fetched:,} fetched, {run.rows_new:,} new, {run.rows_revised:,} revised")
    if run.rows_quarantined:
        table.add_row(
            "set aside",
            f"{run.rows_quarantined:,} rows or symbols; see `rotation quarantine list`",
        )
    if run.finished_at:
        table.add_row("took", f"{(run.finished_at - run.known_at).total_seconds():.1f} s")
    if run.source == "sample":
        out.print(f"[bold yellow]{SIMULATED}[/]")
    out.print(table)
    # Outside the table, which would break a long path over lines.
    out.print(f"warehouse  {published}", soft_wrap=True, markup=False, highlight=False)
    if reports and (page := reports / str(run.session) / "index.html").exists():
        out.print(f"report     {page}", soft_wrap=True, markup=False, highlight=False)
    if run.status not in ("published", "up_to_date"):
        err.print(f"{run.status.capitalize()}: {run.message}", style="red", markup=False, highlight=False)


def run_rebuild(as_of: datetime | None, target: Path | None, now: datetime) -> None:
    """Rebuilds with progress, and prints what was made."""
    from market_rotation.tasks.warehouse.rebuild import rebuild

    started = time.monotonic()
    with progress():
        made = rebuild(load_settings(), as_of, target, now)
    if made.is_simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    table.add_row("as known at", f"{as_of:%Y-%m-%d %H:%M} UTC" if as_of else "now")
    table.add_row("session", str(made.session))
    table.add_row("from", f"{made.rows:,} raw prices, the last fetched {made.known_at:%Y-%m-%d %H:%M} UTC")
    table.add_row("took", f"{time.monotonic() - started:.1f} s")
    out.print(table)
    out.print(f"warehouse  {made.path}", soft_wrap=True, markup=False, highlight=False)


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


@contextmanager
def progress(debug: bool = False) -> Iterator[None]:
    """Shows what the steps log: a spinner and bar on a terminal, a line per step elsewhere."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        _Count(),
        _Rate(),
        TimeElapsedColumn(),
    )
    logger = logging.getLogger("rotation")
    level = logger.level
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        handler = _ProgressHandler(bar)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


class _Count(MofNCompleteColumn):
    """How many of how many, where that is known."""

    def render(self, task: Task) -> Text:
        return Text("") if task.total is None else super().render(task)


class _Rate(TimeRemainingColumn):
    """How many a second, and how long it will take, where that is known."""

    def render(self, task: Task) -> Text:
        if task.total is None or not task.speed:
            return Text("")
        return Text.assemble(f"{task.speed:,.1f}/s, ", super().render(task), " left")


class _ProgressHandler(logging.Handler):
    """Turns records into progress: one with `total` or without either is a new step, one with `advance` a part of it done."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self.bar = bar
        self.step = bar.add_task("", total=None)

    def emit(self, record: logging.LogRecord) -> None:
        if advance := getattr(record, "advance", None):
            self.bar.update(self.step, advance=advance)
            return
        message = record.getMessage()
        self.bar.remove_task(self.step)
        self.step = self.bar.add_task(escape(message), total=getattr(record, "total", None))
        if self.bar.disable:
            err.print(message, markup=False, highlight=False)
