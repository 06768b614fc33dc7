"""Quarantine: a failed warning takes its rows out of the batch and keeps them, with the reason, until the source gives good ones.

A row with a manual override (`market_rotation.tasks.audit.accept`) is added by the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit.overrides import differ
from market_rotation.tasks.audit.run import Result
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import Failure

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.run.ledger import Run

#: Datasets whose rows are set aside one by one. A file of holdings is set aside as a whole.
ROW_BY_ROW = tuple(dataset.name for dataset in DATASETS.values() if dataset.is_rejected_by_row)

#: Datasets whose accepted rows come from the record when the source no longer has that day, as with snapshots. Bars are requested
#: again instead, since a split may have put them on another basis.
_FROM_RECORD = tuple(dataset for dataset in ROW_BY_ROW if dataset != "prices")


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Adds accepted rows that cannot be requested again to the batch; leaves in `stage.rejected` only the symbols that got no answer."""
    _add_accepted(con)
    con.execute("delete from stage.rejected where expectation <> 'fetch'")


def unanswered(con: duckdb.DuckDBPyConnection) -> list[Failure]:
    """The symbols whose prices the source did not give, one failure per reason."""
    found = con.execute(
        """
        select reason, count(*), list(json_object('symbol', symbol)::varchar order by symbol)
        from stage.rejected
        where dataset = 'prices' and expectation = 'fetch'
        group by reason
        """
    ).fetchall()
    return [Failure("prices", "fetch", reason, count, symbols) for reason, count, symbols in found]


def collect(con: duckdb.DuckDBPyConnection, results: Sequence[Result]) -> None:
    """Adds the rows of failed warnings to `stage.rejected`."""
    for result in results:
        if result.success or result.raised or result.expectation.severity != "warning":
            continue
        suite, expectation = result.suite, result.expectation
        row, batch = "to_json(o)", ""
        if suite.table == f"stage.{suite.dataset}":
            symbol, day = DATASETS[suite.dataset].key
            # A missing row or a whole symbol is not in the batch: then what the expectation yields is kept.
            row = f"case when b.{symbol} is null then to_json(o) else to_json(b) end"
            batch = f"left join {suite.table} as b on b.{symbol} = o.symbol and b.{day} = o.session"
        con.execute(
            f"""
            insert into stage.rejected
            select distinct on (o.symbol, o.session) $1, o.symbol, o.session, $2, $3, {row}, $4
            from ({expectation.query}) as o
            {batch}
            """,
            [suite.dataset, expectation.id, expectation.sentence, not suite.is_staged],
        )


def set_aside(con: duckdb.DuckDBPyConnection, dataset: str) -> None:
    """Takes the rejected rows, and every row of a symbol rejected as a whole, out of `stage.<dataset>`."""
    symbol, day = DATASETS[dataset].key
    con.execute(
        f"""
        delete from stage.{dataset} as batch
        where exists (
            from stage.rejected as r
            where r.dataset = $1 and r.symbol = batch.{symbol} and (r.session is null or r.session = batch.{day})
        )
        """,
        [dataset],
    )


def record(con: duckdb.DuckDBPyConnection, run_id: str) -> int:
    """Opens an entry of `ops.quarantine` for each rejection without an open one; returns how many rows and symbols this run newly set aside.

    An entry is about one row as it was: when the source gives another bad row in its place, the entry is closed and that row gets its own.
    """
    for dataset in ROW_BY_ROW:
        con.execute(
            f"""
            update ops.quarantine as q
            set resolved_at = getvariable('known_at')
            from stage.rejected as r
            where q.resolved_at is null and q.dataset = $1 and r.dataset = $1 and q.symbol = r.symbol and q.session = r.session
                and q.expectation = r.expectation and ({differ(dataset, "r.row_json", "q.row_json")})
            """,
            [dataset],
        )
    con.execute(
        """
        insert into ops.quarantine by name
        select $1 as run_id, r.* exclude (is_derived), null::timestamptz as resolved_at, false as is_blocked
        from stage.rejected as r
        anti join (from ops.quarantine where resolved_at is null) as q
            on q.dataset = r.dataset and q.symbol = r.symbol and q.session is not distinct from r.session
            and q.expectation = r.expectation
        """,
        [run_id],
    )
    (count,) = con.execute(
        "select count(distinct (dataset, symbol, session)) from ops.quarantine where run_id = $1 and not is_blocked",
        [run_id],
    ).fetchone() or (0,)
    return int(count)


def open_before(con: duckdb.DuckDBPyConnection, run_id: str) -> int:
    """The number of rows and symbols that runs before `run_id` set aside and that are still open."""
    (count,) = con.execute(
        "select count(distinct (dataset, symbol, session)) from ops.quarantine where resolved_at is null and run_id < $1",
        [run_id],
    ).fetchone() or (0,)
    return int(count)


def record_blocked(con: duckdb.DuckDBPyConnection, run: Run) -> int:
    """Records what the blocked `run` would have set aside, closed from the start since it holds nothing back; returns the entries.

    To be called after the run's transaction was rolled back and before its stage is cleared. An entry's row is as the source gave it,
    where `stage` still has it, so that it can be accepted; otherwise as the expectation saw it. At most as many rows of one expectation
    as `run.failures` keeps.
    """
    warnings = {(r.suite.dataset, r.expectation.id) for r in run.results if r.expectation.severity == "warning"}
    rows = [
        (failure.dataset, failure.expectation, failure.sentence, example)
        for failure in run.failures
        if (failure.dataset, failure.expectation) in warnings and failure.rows is not None
        for example in failure.examples
    ]
    con.execute(
        "create or replace temp table blocked (dataset varchar, symbol varchar, session date, expectation varchar, reason varchar, row_json json)"
    )
    if rows:
        con.executemany(
            "insert into blocked select $1, $4::json ->> 'symbol', ($4::json ->> 'session')::date, $2, $3, $4::json",
            rows,
        )
    staged = {
        name for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'stage'").fetchall()
    }
    if "answers" in staged:
        con.execute(
            "insert into blocked select dataset, symbol, null, 'fetch', error, null from stage.answers where error is not null"
        )
    for dataset in [dataset for dataset in ROW_BY_ROW if f"fetched_{dataset}" in staged]:
        symbol, day = DATASETS[dataset].key
        con.execute(
            f"""
            update blocked set row_json = to_json(f)
            from stage.fetched_{dataset} as f
            where blocked.dataset = $1 and f.{symbol} = blocked.symbol and f.{day}::date = blocked.session
            """,
            [dataset],
        )
    (count,) = con.execute(
        """
        insert into ops.quarantine by name
        select distinct on (dataset, symbol, session, expectation) $1 as run_id, *, $2::timestamptz as resolved_at, true as is_blocked
        from blocked
        """,
        [run.run_id, run.finished_at or run.known_at],
    ).fetchone() or (0,)
    con.execute("drop table blocked")
    return int(count)


def resolve(con: duckdb.DuckDBPyConnection, results: Sequence[Result] = ()) -> None:
    """Closes the open entries of rows and symbols that this run fetched again and found good, and of those that are not followed any more.

    A symbol that left the universe, or a company that left the largest of its fund, is never requested again. `results` are those of the run. An entry about a derived table is closed once its expectation was checked and no longer finds it,
    whether or not anything was fetched again.
    """
    fetched = " union all ".join(
        f"select '{d.name}' as dataset, {d.symbol} as symbol, {d.day}::date as session from stage.fetched_{d.name}"
        for d in DATASETS.values()
    )
    warehouse.build(con, "stage.followed")
    checked = [f"{r.suite.dataset} {r.expectation.id}" for r in results if not r.suite.is_staged and not r.raised]
    con.execute(
        f"""
        update ops.quarantine as q
        set resolved_at = getvariable('known_at')
        where q.resolved_at is null
            and not exists (
                from stage.rejected as r
                where r.dataset = q.dataset and r.symbol = q.symbol
                    and (r.session is null or r.session is not distinct from q.session)
                    and (not r.is_derived or r.expectation = q.expectation)
            )
            and (
                list_contains($1, q.dataset || ' ' || q.expectation)
                or (list_contains($2, q.dataset) and not exists (from stage.followed as f where f.dataset = q.dataset and f.symbol = q.symbol))
                or exists (from ({fetched}) as f where f.dataset = q.dataset and f.symbol = q.symbol and f.session = q.session)
                or exists (
                    from stage.answers as a
                    where a.dataset = q.dataset and a.symbol = q.symbol and a.error is null and (
                        q.session is null
                        or (q.expectation = 'on_a_session' and q.session between a.start_session and a.end_session)
                    )
                )
            )
        """,
        [checked, list(DATASETS)],
    )


def _add_accepted(con: duckdb.DuckDBPyConnection) -> None:
    """Counts accepted rows that are still set aside and that the source no longer gives as fetched, and stages them."""
    for dataset in (DATASETS[name] for name in _FROM_RECORD):
        values = ", ".join(f"row_json ->> '$.{name}' as {name}" for name in dataset.columns)
        (count,) = con.execute(
            f"""
            insert into stage.fetched_{dataset.name} by name
            with accepted as (
                -- An entry about a whole symbol has no row. Whatever else a row failed must be accepted as well.
                select symbol, session, arg_max(accepted_row, run_id) as row_json
                from ops.quarantine_entries()
                where dataset = $1 and resolved_at is null and list_has_all(json_keys(row_json), $2)
                group by symbol, session
                having count(*) = count(accepted_row)
            )

            select {values}
            from accepted as a
            anti join stage.fetched_{dataset.name} as f on f.{dataset.symbol} = a.symbol and f.{dataset.day}::date = a.session
            """,
            [dataset.name, list(dataset.columns)],
        ).fetchone() or (0,)
        if count:
            warehouse.build(con, f"stage.{dataset.name}")
