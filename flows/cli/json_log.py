"""The log of a run as JSON, one object a line, for what collects logs: `rotation --log-format json run`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def handler(stream: TextIO) -> logging.Handler:
    """A handler that writes each record to `stream` as an object with `time` (UTC, ISO 8601), `level`, `logger`, `message`.

    What a record has in addition stands beside them under its own name, such as `total`; an error's traceback under `exception`.
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
    """Writes what the steps log to `stream` as JSON, from INFO on, or DEBUG; afterwards the logger is as before."""
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
