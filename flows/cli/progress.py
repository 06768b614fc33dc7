"""Progress of long work: a spinner and a bar on a terminal, a line per step elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

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
from rich.text import Text

from market_rotation.flows.cli.console import err


@contextmanager
def progress(debug: bool = False) -> Iterator[None]:
    """Shows the log records of the steps while the block runs; with `debug`, also debug records."""
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
    """The number done and the total, when the total is known."""

    def render(self, task: Task) -> Text:
        return Text("") if task.total is None else super().render(task)


class _Rate(TimeRemainingColumn):
    """The rate per second and the remaining time, when they are known."""

    def render(self, task: Task) -> Text:
        if task.total is None or not task.speed:
            return Text("")
        return Text.assemble(f"{task.speed:,.1f}/s, ", super().render(task), " left")


class _ProgressHandler(logging.Handler):
    """Turns log records into progress: a record with `advance` moves the bar; any other record starts a new step."""

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
            err.print(message, markup=False, highlight=False, soft_wrap=True)
