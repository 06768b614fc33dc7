"""A reader's statement runs in a process of its own: whatever it does, the server goes on, and its time and memory are bounded."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest
from attacks import BOMBS, CRASHES

from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.serve import statement
from market_rotation.tasks.serve.pages import own_sql


@pytest.mark.parametrize("query", CRASHES)
def test_a_statement_that_ends_duckdb_ends_nothing_else(client: httpx.Client, query: str) -> None:
    """It is refused with one sentence that names the signal; the server answers the next request."""
    answer = client.get("/sql", params={"q": query, "format": "json"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "The statement failed: it ended DuckDB itself (SIGSEGV); write another."
    assert client.get("/version").status_code == 200


@pytest.mark.parametrize("name", ["one long function", "planning"])
def test_what_duckdb_does_not_interrupt_is_ended(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A function of one row, and planning, run until they are done; the process is ended after the limit."""
    monkeypatch.setattr(own_sql, "LIMIT_S", 0.5)
    begin = time.monotonic()
    answer = client.get("/sql", params={"q": BOMBS[name], "format": "json"})
    assert answer.status_code == 400
    assert "interrupted after 0.5 seconds" in answer.json()["error"]
    assert time.monotonic() - begin < 0.5 + statement.GRACE_S + 5


def test_a_result_of_few_rows_may_still_be_too_large(client: httpx.Client) -> None:
    """One text of 100 MB is refused, since the page would hold it several times."""
    answer = client.get("/sql", params={"q": "select repeat('x', 100000000) as a", "format": "json"})
    assert answer.status_code == 400
    assert "its result is larger than 32 MB" in answer.json()["error"]


def test_statements_take_turns(small_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While as many run as may, another waits, and is refused when its own time is over."""
    path = small_home / "rotation.duckdb"
    monkeypatch.setattr(statement, "_turns", threading.BoundedSemaphore(1))
    with statement._turns, pytest.raises(RotationError, match="still running"):
        statement.run(path, "select 1", statement.Limits(0.2, 10))
    assert len(statement.run(path, "select 1", statement.Limits(10, 10)).frame) == 1


def test_nothing_is_printed_and_no_file_is_written(
    small_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logging and sorting write to no stream and no file, even where DuckDB itself does not refuse them."""
    path = small_home / "rotation.duckdb"
    limits = statement.Limits(10, 10)
    statement.run(path, "from enable_logging(storage = 'stdout')", limits)
    statement.run(path, f"from enable_logging(storage = 'file', storage_config = {{'path': '{tmp_path}'}})", limits)
    with pytest.raises(UsageError, match=r"Out of Memory|interrupted"):
        statement.run(path, "select list(range) from range(500000000)", limits)
    assert "".join(capfd.readouterr()) == ""
    assert list(tmp_path.iterdir()) == []
