"""Incremental tables: a run computes only the rows that its new and changed rows reach, where the header of the SQL file says `incremental:`.

A row of such a table depends on rows of its own session and of sessions before it, as far back as `lookback:` says; where the grain has a symbol,
on rows of this symbol and of its benchmark alone. So the rows from the first changed session on are deleted and computed again, by the same SQL
file, which reads *slices*: views of the tables that it names with only the rows that the new ones reach back to. Of a symbol whose history changed,
all rows are computed again. What results is what deriving the whole table gives, to the last bit (`tests/tasks/warehouse/test_incremental.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from market_rotation.tasks.warehouse.models import Model, models

if TYPE_CHECKING:
    import duckdb

#: Sessions before the last known one within which a change counts as one of recent sessions: a run requests as many again.
RECENT_SESSIONS = 10
#: Tables with fewer rows are read whole.
SLICED_FROM_ROWS = 100_000
#: Tables with fewer rows are compared with what they were before they were replaced.
COMPARED_TO_ROWS = 100_000
#: The part of the universe up to which restated symbols are computed again by themselves: of more, the whole table is replaced.
MOST_RESTATED = 0.2
#: The only table whose rows depend on the symbol's whole history: it is computed from the bars that `stage.bars_needed` lists.
ACCUMULATED = "core.prices"


@dataclass(frozen=True)
class Change:
    """What may differ in a table: its rows from the session `since` on, and all rows of the symbols `restated`."""

    since: date = date.max
    restated: frozenset[str] = frozenset()


NOTHING = Change()
EVERYTHING = Change(date.min)

#: What changed in each table, by name; None where that is not known. A table that is not in it did not change.
Changes = dict[str, Change | None]


def is_incremental(model: Model) -> bool:
    """Whether single rows of the table can be computed again."""
    return "incremental" in model.header


def first_computed(model: Model) -> str:
    """The first session that the last run computed, in SQL."""
    return f"coalesce(getvariable('computed_since {model.name}'), '-infinity'::date)"


def remember_computed(con: duckdb.DuckDBPyConnection, model: Model, since: date | None = None) -> None:
    """Keeps `since`, the first session that was computed, for `first_computed`; None: all of them."""
    con.execute(f"set variable \"computed_since {model.name}\" = coalesce($1::date, '-infinity')", [since])


def of_raw(con: duckdb.DuckDBPyConnection, table: Model, after: str) -> Change | None:
    """What the runs later than the run `after` added to a table of `raw`; None for a table without days."""
    if table.day is None:
        return None
    symbol = "symbol" if "symbol" in table.grain else "null"
    return _change(
        con,
        f"""
        with newer as (select {symbol} as symbol, min({table.day}) as first_day from {table.name} where run_id > $after group by all),
        recent as (
            select coalesce(min(session), '-infinity') as first_session
            from (
                select session from core.sessions
                where session <= (select max(session) from core.prices)
                order by session desc limit {RECENT_SESSIONS + 1}
            )
        )
        select
            min(first_day) filter (symbol is null or first_day >= first_session),
            list(symbol) filter (symbol is not null and first_day < first_session)
        from newer
        cross join recent
        """,
        after=after,
    )


def of_what_it_reads(
    con: duckdb.DuckDBPyConnection, model: Model, changes: Mapping[str, Change | None]
) -> Change | None:
    """What the changes of all that the file reads change in it."""
    found = [changes[name] for name in model.reads if name in changes]
    known = [change for change in found if change is not None]
    if len(known) < len(found):
        return None
    since = min((change.since for change in known), default=date.max)
    restated = frozenset[str]().union(*(change.restated for change in known))
    if since == date.min:
        return EVERYTHING
    if model.kind == "macro" or not restated:
        return Change(since, restated)
    # A restated symbol reaches all rows of a table that is not by symbol.
    if "symbol" not in model.grain:
        return EVERYTHING
    if "core.instruments" in model.reads:
        restated |= _measured_against(con, restated)
    return Change(since, restated) if len(restated) <= MOST_RESTATED * _count(con, "core.instruments") else EVERYTHING


def replace_rows(con: duckdb.DuckDBPyConnection, model: Model, change: Change) -> None:
    """Computes the rows of `change` again."""
    since = _first_of_week(con, change.since) if model.header["incremental"].startswith("by week") else change.since
    con.execute(
        "create or replace temp table recomputed as select unnest($1::varchar[]) as symbol", [sorted(change.restated)]
    )
    sliced = _slices_of_bars(con, since) if model.name == ACCUMULATED else _slices(con, model, since)
    rows = f"session >= date '{since}'"
    if "symbol" in model.grain:
        rows += " or symbol in (from recomputed)"
    con.execute(f"delete from {model.name} where {rows}")
    con.execute(f"insert into {model.name} by name select * from ({_with(sliced, model.statements[0])}) where {rows}")
    remember_computed(con, model, None if _count(con, "recomputed") else since)


def copy_before(con: duckdb.DuckDBPyConnection, model: Model) -> bool:
    """Keeps the rows of a small table, which is replaced next, for `compared`. Returns whether it did."""
    if not any(is_incremental(other) and model.name in other.reads for other in models()):
        return False
    if _count(con, model.name) >= COMPARED_TO_ROWS:
        return False
    con.execute(f"create or replace temp table before as from {model.name}")
    return True


def compared(con: duckdb.DuckDBPyConnection, model: Model) -> Change | None:
    """In what a table that was replaced differs from what it was when `copy_before` was called."""
    rows = f"((from before except all from {model.name}) union all (from {model.name} except all from before))"
    if _count(con, rows) == 0:
        return NOTHING
    return _change(con, f"select min({model.day}), [] from {rows}") if model.day else None


def _change(con: duckdb.DuckDBPyConnection, query: str, **values: str) -> Change:
    since, restated = con.execute(query, values or None).fetchone() or (None, None)
    return Change(since or date.max, frozenset(restated or ()))


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int((con.execute(f"select count(*) from {rows}").fetchone() or (0,))[0])


def _first_of_week(con: duckdb.DuckDBPyConnection, since: date) -> date:
    """The first day of the week of the session before: a week's row is that of its last session so far."""
    query = "select date_trunc('week', max(session))::date from core.sessions where session < $1"
    (first,) = con.execute(query, [since]).fetchone() or (None,)
    return first or since


def _measured_against(con: duckdb.DuckDBPyConnection, symbols: frozenset[str]) -> frozenset[str]:
    """The symbols that have one of `symbols` as benchmark."""
    query = "select symbol from core.instruments where list_contains($1, benchmark)"
    return frozenset(symbol for (symbol,) in con.execute(query, [sorted(symbols)]).fetchall())


def _slices(con: duckdb.DuckDBPyConnection, model: Model, since: date) -> dict[str, str]:
    """Slices of the long tables of symbols and sessions that the file reads, by what they replace."""
    match = re.match(r"(\d+)", model.header["lookback"])
    sessions = int(match[1]) if match else 0
    query = (
        "select min(session) from (select session from core.sessions where session < $1 order by session desc limit $2)"
    )
    (first,) = con.execute(query, [since, sessions]).fetchone() or (None,)
    first = first or since
    sliced = {}
    for source in models():
        if source.name not in model.reads or source.kind == "macro" or source.grain[:2] != ["symbol", "session"]:
            continue
        if _count(con, source.name) < SLICED_FROM_ROWS:
            continue
        name = source.name.replace(".", "_")
        # A symbol without a row of each session has fewer rows in the slice than the look-back counts: of these, all are read.
        con.execute(
            f"""
            create or replace temp table whole_{name} as
            with lacking as (
                select symbol from {source.name} where session < date '{since}' group by symbol
                having count(*) filter (session >= date '{first}') < {sessions} and bool_or(session < date '{first}')
            ),
            listed as (from recomputed union from lacking)
            from listed
            union select benchmark from core.instruments where symbol in (from listed) and benchmark is not null
            union select symbol from core.instruments where benchmark in (from lacking)
            """
        )
        con.execute(
            f"create or replace temp view slice_of_{name} as from {source.name} where session >= date '{first}' or symbol in (from whole_{name})"
        )
        sliced[source.name] = f"slice_of_{name}"
    return sliced


def _slices_of_bars(con: duckdb.DuckDBPyConnection, since: date) -> dict[str, str]:
    """The slice of raw.prices from which core.prices is computed from `since` on, and of the macros that read it, by what they replace.

    Adds to `recomputed` the symbols with a distribution since: their adjusted closes change on all sessions.
    """
    con.execute("set variable changed_since = $1", [since])
    for model in models():
        if model.name in ("stage.rescaled", "stage.bars_needed"):
            con.execute(f"create or replace table {model.name} as {model.statements[0]}")
    con.execute("insert into recomputed from stage.rescaled except from recomputed")
    con.execute(
        f"""
        create or replace temp view slice_of_raw_prices as
        from raw.prices
        where session >= date '{since}' or symbol in (from recomputed)
            or symbol in (select symbol from stage.bars_needed where session is null)
            or (symbol, session) in (select (symbol, session) from stage.bars_needed where session is not null)
        """
    )
    sliced = {"raw.prices": "slice_of_raw_prices"}
    for model in models():
        if model.kind == "macro" and model.reads & sliced.keys():
            name = f"slice_of_{model.name.replace('.', '_')}"
            con.execute(_with({**sliced, model.name: name}, model.statements[0]).replace(" macro ", " temp macro ", 1))
            sliced[model.name] = name
    return sliced


def _with(names: Mapping[str, str], statement: str) -> str:
    """`statement`, reading other tables and macros in place of those named."""
    for name, other in names.items():
        statement = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", other, statement)
    return statement
