"""The log of a run as JSON, one object per line, for log collectors: `rotation run --log-format json`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def handler(stream: TextIO) -> logging.Handler:
    """A handler that writes each record to `stream` as an object with `time` (UTC, ISO 8601), `level`, `logger`, `message`.

    Additional fields of a record, such as `total`, stand beside them under their own names; an error's traceback under `exception`.
    Records that only move a progress bar (`advance`) are left out.
    """
    from pythonjsonlogger.json import JsonFormatter

    made = logging.StreamHandler(stream)
    made.setFormatter(
        JsonFormatter(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception", "stack_info": "stack"},
            timestamp="time",
            json_ensure_ascii=False,
        )
    )
    made.addFilter(lambda record: not hasattr(record, "advance"))
    return made


@contextmanager
def use(stream: TextIO, debug: bool = False) -> Iterator[None]:
    """Writes the log records of the steps to `stream` as JSON, from INFO on, or DEBUG; restores the logger afterwards."""
    logger = logging.getLogger("rotation")
    level = logger.level
    added = handler(stream)
    logger.addHandler(added)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(added)
        logger.setLevel(level)
