"""Setting rows aside: a failed warning takes its rows out of the batch and keeps them, with the reason, until they heal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.audit import Result

if TYPE_CHECKING:
    import duckdb


def collect(con: duckdb.DuckDBPyConnection, results: Sequence[Result]) -> None:
    """Fills `stage.rejected` with the rows of failed warnings and the symbols that got no answer."""
    con.execute(
        """
        create or replace table stage.rejected as
        select symbol, null::date as session, 'fetch' as expectation, error as reason, null::json as row_json
        from stage.answers
        where error is not null
        """
    )
    for result in results:
        if result.success or result.expectation.severity != "warning":
            continue
        # The bar itself where there is one; a missing bar or a whole symbol shows what the expectation saw.
        con.execute(
            f"""
            insert into stage.rejected
            select distinct on (o.symbol, o.session) o.symbol, o.session, $1, $2, coalesce(to_json(b), to_json(o))
            from ({result.suite.rows(result.expectation)}) as o
            left join {result.suite.batch} as b on b.symbol = o.symbol and b.session = o.session
            """,
            [result.expectation.id, result.expectation.sentence],
        )


def set_aside(con: duckdb.DuckDBPyConnection) -> None:
    """Takes the rejected bars, and every bar of a symbol rejected as a whole, out of `stage.prices`."""
    con.execute(
        """
        delete from stage.prices as p
        where exists (
            from stage.rejected as r where r.symbol = p.symbol and (r.session is null or r.session = p.session)
        )
        """
    )


def record(con: duckdb.DuckDBPyConnection, run_id: str) -> int:
    """Opens an entry of `ops.quarantine` for each rejection that has none yet; returns how many are open from this run's view."""
    con.execute(
        """
        insert into ops.quarantine by name
        select $1 as run_id, 'prices' as dataset, r.*, null::timestamptz as resolved_at
        from stage.rejected as r
        anti join (from ops.quarantine where dataset = 'prices' and resolved_at is null) as q
            on q.symbol = r.symbol and q.session is not distinct from r.session and q.expectation = r.expectation
        """,
        [run_id],
    )
    (count,) = con.execute("select count(*) from stage.rejected").fetchone() or (0,)
    return int(count)


def resolve(con: duckdb.DuckDBPyConnection) -> None:
    """Closes the open entries that this run fetched again and found good: the bar, or the symbol as a whole."""
    con.execute(
        """
        update ops.quarantine as q
        set resolved_at = getvariable('known_at')
        where q.dataset = 'prices' and q.resolved_at is null
            and not exists (
                from stage.rejected as r where r.symbol = q.symbol and (r.session is null or r.session is not distinct from q.session)
            )
            and (
                exists (from stage.fetched_prices as f where f.symbol = q.symbol and f.session = q.session)
                or exists (from stage.answers as a where a.symbol = q.symbol and a.error is null
                    and (q.session is null or (q.expectation = 'on_a_session' and q.session between a.start_session and a.end_session)))
            )
        """
    )
