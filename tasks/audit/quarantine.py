"""Setting rows aside: a failed warning takes its rows out of the batch and keeps them, with the reason, until they heal.

What a person accepted (`market_rotation.tasks.audit.accept`) comes in with the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit.run import Result, differ
from market_rotation.tasks.datasets import DATASETS

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.run.ledger import Run

#: Whose rows stand for themselves. Of holdings, the file is set aside as a whole.
ROW_BY_ROW = tuple(dataset.name for dataset in DATASETS.values() if dataset.is_rejected_by_row)

#: Whose accepted rows come from the record where the source says nothing of that day any more, as with snapshots. Bars are asked
#: again instead, since a split may have put them on another basis.
_FROM_RECORD = tuple(dataset for dataset in ROW_BY_ROW if dataset != "prices")


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Makes `stage.rejected` anew, with the symbols that got no answer; adds accepted rows to the batch that can't be asked again."""
    _bring_back(con)
    con.execute(
        """
        create or replace table stage.rejected as
        select dataset, symbol, null::date as session, 'fetch' as expectation, error as reason, null::json as row_json,
            false as is_derived
        from stage.answers
        where error is not null
        """
    )


def collect(con: duckdb.DuckDBPyConnection, results: Sequence[Result]) -> None:
    """Adds the rows of failed warnings to `stage.rejected`."""
    for result in results:
        if result.success or result.expectation.severity != "warning":
            continue
        symbol, day = DATASETS[result.suite.dataset].key
        if result.suite.batch.startswith("core."):
            symbol, day = "symbol", "session"
        # The row itself where there is one; a missing row or a whole symbol shows what the expectation saw.
        con.execute(
            f"""
            insert into stage.rejected
            select distinct on (o.symbol, o.session)
                $1, o.symbol, o.session, $2, $3, case when b.{symbol} is null then to_json(o) else to_json(b) end, $4
            from ({result.suite.rows(result.expectation)}) as o
            left join {result.suite.batch} as b on b.{symbol} = o.symbol and b.{day} = o.session
            """,
            [
                result.suite.dataset,
                result.expectation.id,
                result.expectation.sentence,
                not result.suite.batch.startswith("stage."),
            ],
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
    """Opens an entry of `ops.quarantine` for each rejection that has none yet; returns how many rejections this run has.

    An entry is about one row as it was: where the source now gives another bad one, it is closed and that one gets its own.
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
    (count,) = con.execute("select count(*) from stage.rejected").fetchone() or (0,)
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


def resolve(con: duckdb.DuckDBPyConnection, judged: Sequence[str] = ()) -> None:
    """Closes the open entries that this run fetched again and found good: the row, or the symbol as a whole.

    What is then found of derived tables is about a row that came in. `judged` are the expectations on derived tables that this run
    checked: what they no longer find is over, whether or not anything was fetched again.
    """
    fetched = " union all ".join(
        f"select '{dataset}' as dataset, {DATASETS[dataset].key[0]} as symbol, {DATASETS[dataset].key[1]}::date as session from stage.fetched_{dataset}"
        for dataset in DATASETS
    )
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
                list_contains($1, q.expectation)
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
        [list(judged)],
    )


def _bring_back(con: duckdb.DuckDBPyConnection) -> None:
    """Counts accepted rows as fetched that are still set aside and of which the source says nothing now, and stages them."""
    for dataset in _FROM_RECORD:
        symbol, day = DATASETS[dataset].key
        values = ", ".join(f"row_json ->> '$.{name}' as {name}" for name in DATASETS[dataset].columns)
        names = ", ".join(f"'{name}'" for name in DATASETS[dataset].columns)
        (count,) = con.execute(
            f"""
            insert into stage.fetched_{dataset} by name
            with entries as (
                select q.symbol, q.session, a.row_json, q.run_id
                from (from ops.quarantine where dataset = $1 and resolved_at is null) as q
                left join ops.accepted as a
                    on a.run_id = q.run_id and a.dataset = q.dataset and a.symbol = q.symbol and a.session = q.session
                    and a.expectation = q.expectation
                -- Not what a check of derived tables found of a row that is in.
                where list_has_all(json_keys(q.row_json), [{names}])
            ),

            -- Whatever else it failed must be accepted as well.
            accepted as (
                select symbol, session, arg_max(row_json, run_id) as row_json
                from entries
                group by symbol, session
                having count(*) = count(row_json)
            )

            select {values}
            from accepted as a
            anti join stage.fetched_{dataset} as f on f.{symbol} = a.symbol and f.{day}::date = a.session
            """,
            [dataset],
        ).fetchone() or (0,)
        if count:
            warehouse.build(con, f"stage.{dataset}")
