"""Staging: what a run knows and was told, as tables of the schema `stage`, before anything is believed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from tasks import warehouse
from tasks.fetch import Answer, Request
from tasks.sources import price_frame

if TYPE_CHECKING:
    import duckdb

    from tasks.calendar import Calendar
    from tasks.universe import Universe


def put_references(
    con: duckdb.DuckDBPyConnection, universe: Universe, calendar: Calendar, start: date, session: date
) -> None:
    """Fills `stage.universe`, `stage.pairs` and `stage.sessions` (those from `start` to `session`)."""
    import pandas as pd

    instruments = pd.DataFrame([instrument.model_dump() for instrument in universe.instruments])
    types = {name: "date" if name == "inception" else "varchar" for name in instruments.columns}
    _put_typed(con, "stage.universe", instruments, types)
    pairs = pd.DataFrame(
        [pair.model_dump() for pair in universe.pairs], columns=["small_symbol", "large_symbol", "headline"]
    )
    _put_typed(con, "stage.pairs", pairs, {"small_symbol": "varchar", "large_symbol": "varchar", "headline": "boolean"})
    hours = calendar.hours(start, session)
    _put_typed(con, "stage.sessions", hours, {"session": "date", "opens_at": "timestamptz", "closes_at": "timestamptz"})


def plan(con: duckdb.DuckDBPyConnection) -> list[Request]:
    """What to ask, one request per symbol that lacks something; empty when nothing is missing."""
    warehouse.build(con, "stage.requests")
    return [Request(*row) for row in con.execute("from stage.requests").fetchall()]


def put_answers(con: duckdb.DuckDBPyConnection, answers: Sequence[Answer]) -> None:
    """Fills `stage.answers` (one row per symbol asked) and `stage.fetched_prices` (the bars, as given)."""
    import pandas as pd

    outcome = pd.DataFrame(
        [
            (a.request.symbol, a.request.start_session, a.request.end_session, a.request.is_full_history, a.error)
            for a in answers
        ],
        columns=["symbol", "start_session", "end_session", "is_full_history", "error"],
    )
    types = {"start_session": "date", "end_session": "date", "is_full_history": "boolean"}
    _put_typed(con, "stage.answers", outcome, {name: types.get(name, "varchar") for name in outcome.columns})
    frames = [a.frame for a in answers if a.frame is not None and len(a.frame)]
    warehouse.put(con, "stage.fetched_prices", pd.concat(frames) if frames else price_frame({}))


def restated(con: duckdb.DuckDBPyConnection, history_start: date, session: date) -> list[Request]:
    """Requests for the whole history of the symbols whose overlap shows that a split or restatement reaches further back."""
    warehouse.build(con, "stage.restated")
    symbols = con.execute("select symbol from stage.restated").fetchall()
    return [Request(symbol, history_start, session, is_full_history=True) for (symbol,) in symbols]


def clear(con: duckdb.DuckDBPyConnection) -> None:
    """Drops all that is staged, so that the file readers get holds nothing that was not audited."""
    con.execute("drop schema stage cascade")
    con.execute("create schema stage")


def _put_typed(con: duckdb.DuckDBPyConnection, table: str, frame: object, types: dict[str, str]) -> None:
    """Replaces `table` by `frame` with the SQL types given: a column that is all blank has no type of its own."""
    columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in types.items())
    con.register("incoming", frame)
    con.execute(f"create or replace table {table} as select {columns} from incoming")
    con.unregister("incoming")
