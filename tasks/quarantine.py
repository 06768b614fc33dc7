"""Setting rows aside: a failed warning takes its rows out of the batch and keeps them, with the reason, until they heal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.audit import Result
from tasks.datasets import COLUMNS, KEYS

if TYPE_CHECKING:
    import duckdb


def begin(con: duckdb.DuckDBPyConnection) -> None:
    """Makes `stage.rejected` anew, with the symbols that got no answer."""
    con.execute(
        """
        create or replace table stage.rejected as
        select dataset, symbol, null::date as session, 'fetch' as expectation, error as reason, null::json as row_json
        from stage.answers
        where error is not null
        """
    )


def collect(con: duckdb.DuckDBPyConnection, results: Sequence[Result]) -> None:
    """Adds the rows of failed warnings to `stage.rejected`."""
    for result in results:
        if result.success or result.expectation.severity != "warning":
            continue
        symbol, day = KEYS[result.suite.dataset]
        if result.suite.batch.startswith("core."):
            symbol, day = "symbol", "session"
        # The row itself where there is one; a missing row or a whole symbol shows what the expectation saw.
        con.execute(
            f"""
            insert into stage.rejected
            select distinct on (o.symbol, o.session) $1, o.symbol, o.session, $2, $3, coalesce(to_json(b), to_json(o))
            from ({result.suite.rows(result.expectation)}) as o
            left join {result.suite.batch} as b on b.{symbol} = o.symbol and b.{day} = o.session
            """,
            [result.suite.dataset, result.expectation.id, result.expectation.sentence],
        )


def set_aside(con: duckdb.DuckDBPyConnection, dataset: str) -> None:
    """Takes the rejected rows, and every row of a symbol rejected as a whole, out of `stage.<dataset>`."""
    symbol, day = KEYS[dataset]
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
    """Opens an entry of `ops.quarantine` for each rejection that has none yet; returns how many rejections this run has."""
    con.execute(
        """
        insert into ops.quarantine by name
        select $1 as run_id, r.*, null::timestamptz as resolved_at
        from stage.rejected as r
        anti join (from ops.quarantine where resolved_at is null) as q
            on q.dataset = r.dataset and q.symbol = r.symbol and q.session is not distinct from r.session
            and q.expectation = r.expectation
        """,
        [run_id],
    )
    (count,) = con.execute("select count(*) from stage.rejected").fetchone() or (0,)
    return int(count)


def resolve(con: duckdb.DuckDBPyConnection) -> None:
    """Closes the open entries that this run fetched again and found good: the row, or the symbol as a whole."""
    fetched = " union all ".join(
        f"select '{dataset}' as dataset, {KEYS[dataset][0]} as symbol, {KEYS[dataset][1]}::date as session from stage.fetched_{dataset}"
        for dataset in COLUMNS
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
            )
            and (
                exists (from ({fetched}) as f where f.dataset = q.dataset and f.symbol = q.symbol and f.session = q.session)
                or exists (
                    from stage.answers as a
                    where a.dataset = q.dataset and a.symbol = q.symbol and a.error is null and (
                        q.session is null
                        or (q.expectation = 'on_a_session' and q.session between a.start_session and a.end_session)
                    )
                )
            )
        """
    )
