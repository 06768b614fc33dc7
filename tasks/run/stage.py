"""Staging: the references and responses of a run as tables of the schema `stage`, before the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS, Offer
from market_rotation.tasks.run.fetch import Answer, Request
from market_rotation.tasks.sources.frames import typed
from market_rotation.tasks.universe import Pair, Universe
from market_rotation.tasks.warehouse.publish import clear_stage

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.calendar import Calendar


#: Tables without the bars that were set aside, so they are built again after the audit of the prices.
WITHOUT_REJECTED_BARS = ("stage.fund_bars", "stage.price_events")
#: Tables built before the audit: the batch of each dataset, and what it is compared with.
BATCHES = (
    "stage.reach",
    "stage.rebased",
    *(f"stage.{dataset}" for dataset in DATASETS),
    "stage.bars",
    "stage.expected_returns",
    "stage.differences",
    "stage.fund_records",
    *WITHOUT_REJECTED_BARS,
)

#: The bars of a batch as the sources gave them, and the universe of the run, for `market_rotation.tasks.warehouse.closures`.
FETCHED_BARS = "select session::date as session, symbol from stage.fetched_prices where close is not null"
UNIVERSE = "select symbol from stage.universe"


def put_references(
    con: duckdb.DuckDBPyConnection, universe: Universe, calendar: Calendar, start: date, session: date
) -> None:
    """Fills `stage.universe`, `stage.pairs` and `stage.sessions` (those from `start` to `session`), and leaves `stage.backfill` empty."""
    import pandas as pd

    instruments = pd.DataFrame([instrument.model_dump() for instrument in universe.instruments])
    special = {"inception": "date", "in_breadth": "boolean"}
    types = {name: special.get(name, "varchar") for name in instruments.columns}
    _put_typed(con, "stage.universe", instruments, types)
    pairs = pd.DataFrame([pair.model_dump() for pair in universe.pairs], columns=list(Pair.model_fields))
    _put_typed(
        con,
        "stage.pairs",
        pairs,
        {name: "varchar" if name.endswith("symbol") else "boolean" for name in Pair.model_fields},
    )
    put_sessions(con, calendar, start, session)
    put_backfill(con, (), None, None)


def put_sessions(con: duckdb.DuckDBPyConnection, calendar: Calendar, start: date, session: date) -> None:
    """Fills `stage.sessions`: those from `start` to `session`."""
    hours = calendar.hours(start, session)
    _put_typed(con, "stage.sessions", hours, {"session": "date", "opens_at": "timestamptz", "closes_at": "timestamptz"})


def put_offers(con: duckdb.DuckDBPyConnection, offers: Sequence[Offer]) -> None:
    """Fills `stage.offers`: the datasets that can be requested besides prices, and their maximum age."""
    import pandas as pd

    frame = pd.DataFrame(offers, columns=list(Offer._fields))
    _put_typed(con, "stage.offers", frame, {"dataset": "varchar", "symbol": "varchar", "max_age_sessions": "bigint"})


def put_backfill(con: duckdb.DuckDBPyConnection, symbols: Sequence[str], start: date | None, end: date | None) -> None:
    """Fills `stage.backfill`: the symbols whose bars from `start` to `end` are requested even if they are known."""
    import pandas as pd

    frame = pd.DataFrame({"symbol": list(symbols), "start_session": start, "end_session": end})
    _put_typed(con, "stage.backfill", frame, {"symbol": "varchar", "start_session": "date", "end_session": "date"})


def plan(con: duckdb.DuckDBPyConnection) -> list[Request]:
    """The planned requests, one per dataset and symbol with missing data; empty when nothing is missing."""
    return _requests(con, "stage.requests")


def put_answers(con: duckdb.DuckDBPyConnection, answers: Sequence[Answer]) -> None:
    """Fills `stage.answers` (one row per request) and, for each dataset, `stage.fetched_<dataset>` (the rows, as given); begins `stage.rejected`
    with the symbols that got no answer.

    An answer with a row whose date cannot be read counts as an error of its symbol.
    """
    import pandas as pd

    answers = [_with_readable_days(answer) for answer in answers]
    outcome = pd.DataFrame(
        [{**vars(a.request), "error": a.error, "source": a.source} for a in answers],
        columns=[*Request.__annotations__, "error", "source"],
    )
    types = {"start_session": "date", "end_session": "date", "is_full_history": "boolean"}
    _put_typed(con, "stage.answers", outcome, {name: types.get(name, "varchar") for name in outcome.columns})
    for dataset, columns in ((d.name, d.columns) for d in DATASETS.values()):
        given = [a.frame for a in answers if a.request.dataset == dataset and a.frame is not None and len(a.frame)]
        sql_types = {name: _SQL_TYPES[kind] for name, kind in columns.items()}
        _put_typed(con, f"stage.fetched_{dataset}", pd.concat(given) if given else typed({}, columns), sql_types)
    con.execute(
        """
        create or replace table stage.rejected as
        select dataset, symbol, null::date as session, 'fetch' as expectation, error as reason, null::json as row_json, false as is_derived
        from stage.answers
        where error is not null
        """
    )
    put_second_prices(con, ())


def put_second_prices(con: duckdb.DuckDBPyConnection, answers: Sequence[Answer]) -> None:
    """Fills `stage.second_prices`: the bars of a second source, with its name, that are only compared."""
    import pandas as pd

    columns = {**DATASETS["prices"].columns, "source": "object"}
    read = [_with_readable_days(answer) for answer in answers]
    given = [a.frame.assign(source=a.source) for a in read if a.frame is not None and len(a.frame)]
    sql_types = {name: _SQL_TYPES[kind] for name, kind in columns.items()}
    _put_typed(con, "stage.second_prices", pd.concat(given) if given else typed({}, columns), sql_types)


def _with_readable_days(answer: Answer) -> Answer:
    """`answer`, or in its place an error where a row has no day, or one that no exchange was ever open on."""
    if answer.frame is None:
        return answer
    days = answer.frame[DATASETS[answer.request.dataset].day]
    unreadable = int((~days.between(*_READABLE_DAYS)).sum())
    if not unreadable:
        return answer
    return Answer(
        answer.request,
        None,
        f"{unreadable} of {len(days)} rows of {answer.request.dataset} of {answer.request.symbol} have no date between "
        f"{_READABLE_DAYS[0]} and {_READABLE_DAYS[1]}, so none of the rows was used; check what the source sends, then run again.",
    )


#: Days outside are errors of a document. Python and DuckDB cannot both represent all of them.
_READABLE_DAYS = ("1900-01-01", "2200-12-31")

_SQL_TYPES = {"object": "varchar", "float64": "double", "datetime64[s]": "timestamp"}


def estimates(con: duckdb.DuckDBPyConnection) -> list[Request]:
    """Requests for the earnings estimates of the largest constituents, when they are due."""
    return _requests(con, "stage.estimate_requests")


def put_companies(con: duckdb.DuckDBPyConnection) -> None:
    """Fills `stage.estimated_companies`: whose estimates are followed, whether or not they are due."""
    warehouse.build(con, "stage.estimated_companies")


def _requests(con: duckdb.DuckDBPyConnection, table: str) -> list[Request]:
    warehouse.build(con, table)
    return [Request(*row) for row in con.execute(f"from {table}").fetchall()]


def restated(con: duckdb.DuckDBPyConnection, history_start: date, session: date) -> list[Request]:
    """Requests for the full history of the symbols whose overlap shows a split or restatement."""
    warehouse.build(con, "stage.reach", "stage.rebased", "stage.restated")
    symbols = con.execute("select symbol, source from stage.restated").fetchall()
    return [Request("prices", symbol, history_start, session, True, source) for symbol, source in symbols]


def clear(con: duckdb.DuckDBPyConnection) -> None:
    """Drops all that is staged; see `market_rotation.tasks.warehouse.publish.clear_stage`."""
    clear_stage(con)


def _put_typed(con: duckdb.DuckDBPyConnection, table: str, frame: object, types: dict[str, str]) -> None:
    """Replaces `table` by `frame` with the given SQL types, since an empty column has no type."""
    columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in types.items())
    con.register("incoming", frame)
    con.execute(f"create or replace table {table} as select {columns} from incoming")
    con.unregister("incoming")
