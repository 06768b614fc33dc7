"""The log as JSON: one object per line, with the fields that a log collector needs."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, date, datetime, timedelta

import pytest

from market_rotation.flows.cli import json_log

log = logging.getLogger("rotation.fetch")


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_an_object() -> None:
    """Each record is one line with time (UTC), level, logger and message, and what it has in addition under its own name."""
    stream = io.StringIO()
    before = datetime.now(UTC)
    with json_log.use(stream):
        log.info("Fetching %s", "prices", extra={"total": 32, "session": date(2026, 1, 16)})
        log.warning('A "quoted" name,\nover two lines: Zürich')
    first, second = lines(stream)
    moment = datetime.fromisoformat(str(first.pop("time")))
    assert moment.utcoffset() == timedelta(0)
    assert before - timedelta(seconds=1) <= moment <= datetime.now(UTC)
    assert first == {
        "level": "INFO",
        "logger": "rotation.fetch",
        "message": "Fetching prices",
        "total": 32,
        "session": "2026-01-16",
    }
    assert second["level"] == "WARNING"
    assert second["message"] == 'A "quoted" name,\nover two lines: Zürich'


def test_an_exception_is_a_field() -> None:
    """A traceback stands in the record's own object, over no further lines."""
    stream = io.StringIO()
    with json_log.use(stream):
        try:
            raise ValueError("Of the batch.")
        except ValueError:
            log.exception("It broke.")
    (record,) = lines(stream)
    assert record["message"] == "It broke."
    assert str(record["exception"]).startswith("Traceback")
    assert "ValueError: Of the batch." in str(record["exception"])


@pytest.mark.parametrize(("debug", "messages"), [(False, ["info"]), (True, ["debug", "info"])])
def test_what_is_written(debug: bool, messages: list[str]) -> None:
    """From INFO on, or DEBUG when asked, without the records that only move a progress bar."""
    stream = io.StringIO()
    with json_log.use(stream, debug):
        log.debug("debug")
        log.info("info")
        log.info("Fetched prices of SPY", extra={"advance": 1})
    assert [record["message"] for record in lines(stream)] == messages


def test_the_logger_is_as_before() -> None:
    """After a run that failed too, nothing more is written and the logger has its own level and handlers."""
    logger, stream = logging.getLogger("rotation"), io.StringIO()
    before = (logger.level, logger.handlers[:])

    def work() -> None:
        with json_log.use(stream):
            log.info("inside")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    log.info("after")
    assert (logger.level, logger.handlers) == before
    assert [record["message"] for record in lines(stream)] == ["inside"]
