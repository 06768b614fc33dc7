"""One statement of a reader, in a process of its own.

DuckDB interrupts a statement only between two chunks of rows, its memory limit does not hold for the values of functions, and a statement can
even end the process (`json_structure` of deeply nested text overflows the stack). In a process of its own, a statement can be ended at any
time, and takes nothing with it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError, UsageError
from market_rotation.tasks.warehouse.query import check_statement, reason, restrict, time_limit, with_comments

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import pandas as pd

    from market_rotation.tasks.warehouse.engine import Published

#: The memory that DuckDB may use, and the address space of the whole process, in bytes.
MEMORY = "1GB"
ADDRESS_SPACE = 4 << 30
#: The size of a result, in bytes, that is passed on.
MOST_BYTES = 32_000_000
#: DuckDB's threads in one statement; each also takes address space.
THREADS = 2
#: The time after its limit in which a statement must have stopped, before its process is ended.
GRACE_S = 2.0
#: The number of statements that run at the same time; others wait.
AT_ONCE = 2

_turns = threading.BoundedSemaphore(AT_ONCE)
# A child is forked from a process that has imported this module and nothing else, so it starts in milliseconds and holds no lock of ours.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__, "duckdb", "pandas"])


class Limits(NamedTuple):
    """The time after which a statement is interrupted, in seconds, and the most rows it gives."""

    seconds: float
    rows: int


class Rows(NamedTuple):
    """The first rows of a result, and whether there are more."""

    frame: pd.DataFrame
    is_cut: bool


def run(path: Published, query: str, limits: Limits) -> Rows:
    """The result of `query` over the published warehouse at `path`.

    Raises `UsageError` for what is not one query, fails, or exceeds a limit, and `RotationError` when the warehouse cannot be read or too many
    statements are running.
    """
    if not _turns.acquire(timeout=limits.seconds):
        raise RotationError("Other statements are still running; try again in a moment.")
    try:
        answer = _in_process(path, query, limits)
    finally:
        _turns.release()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _in_process(path: Published, query: str, limits: Limits) -> Rows | Exception:
    receiving, sending = _processes.Pipe(duplex=False)
    # A folder that no longer exists would keep the process from starting.
    place = path.absolute() if isinstance(path, Path) else path
    child = _processes.Process(target=_child, args=(sending, place, query, limits), daemon=True)
    with receiving:
        with sending:
            child.start()
        try:
            # The first statement also waits for the process to start.
            if not receiving.poll(limits.seconds + GRACE_S):
                return _too_slow(limits)
            return pickle.loads(receiving.recv_bytes())  # type: ignore[no-any-return]  # noqa: S301  # from `_child`
        except (EOFError, OSError):
            child.join(GRACE_S)
            return UsageError(
                f"The statement failed: it ended DuckDB itself ({_ending(child.exitcode)}); write another."
            )
        finally:
            child.kill()
            child.join()
            child.close()


def _ending(code: int | None) -> str:
    return signal.Signals(-code).name if code and code < 0 else f"exit code {code}"


def _too_slow(limits: Limits) -> UsageError:
    return UsageError(
        f"The statement failed: interrupted after {limits.seconds:g} seconds; write a query that takes less."
    )


def _child(sending: Connection, path: Published, query: str, limits: Limits) -> None:
    _be_silent()
    try:
        answer: Rows | Exception = _rows(path, query, limits)
    except MemoryError:
        answer = _too_large()
    except Exception as error:
        answer = error
    try:
        sent = pickle.dumps(answer)
        if len(sent) > MOST_BYTES:
            sent = pickle.dumps(_too_large())
    except MemoryError:
        sent = pickle.dumps(_too_large())
    sending.send_bytes(sent)


def _be_silent() -> None:
    # Ctrl-C is for the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _restrict_process(limits: Limits) -> None:
    """Limits this process for good: no file written, no more memory and processor time than a statement may take."""
    seconds = int(limits.seconds + GRACE_S + 1) * (THREADS + 1)
    wanted: list[tuple[int, int]] = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_CPU, seconds),
    ]
    for kind, value in wanted:
        # macOS knows not all of them.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _rows(path: Published, query: str, limits: Limits) -> Rows:
    import duckdb

    # A reader of a DuckLake makes a copy of its catalog.
    con = warehouse.open_alone(path)
    _restrict_process(limits)
    try:
        con.execute(f"set memory_limit = '{MEMORY}'")
        con.execute(f"set threads = {THREADS}")
        # What does not fit in memory is refused, and not written to a disk.
        con.execute("set temp_directory = ''")
        check_statement(query, only_reading=True, place="This page")
        restrict(con)
        with time_limit(con, limits.seconds):
            relation: Any = con.sql(with_comments(con, query))
            found = relation.limit(limits.rows + 1).df()
    except duckdb.Error as error:
        raise UsageError(f"The statement failed: {reason(error, limits.seconds)}") from None
    finally:
        con.close()
    return Rows(found.head(limits.rows), len(found) > limits.rows)


def _too_large() -> UsageError:
    return UsageError(
        f"The statement failed: its result is larger than {MOST_BYTES / 1e6:g} MB; select fewer columns or shorter texts."
    )
