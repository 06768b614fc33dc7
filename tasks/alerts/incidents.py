"""The incidents of a run: problems that a person must know of or act on. One incident per cause, identified by its fingerprint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from market_rotation.tasks import wording
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.warehouse import macros

if TYPE_CHECKING:
    import duckdb

#: Rows shown in one alert.
EXAMPLES = 5
#: The fingerprints of `market_rotation.tasks.alerts.failures`, as prefixes.
OF_A_RUN = ("blocked:", "failed", "configuration", "stopped")
#: The incidents that a published run judges here, as prefixes of fingerprints: those that it does not find are over. A published run also ends
#: those of `market_rotation.tasks.alerts.failures` and of the watchdog.
JUDGED = (
    *OF_A_RUN,
    "not-published",
    "set-aside:",
    "dead-share-counts:",
    "unknown-distributions",
    "report",
)

_STATUS = "`rotation status`"
QUARANTINE_LIST = "`rotation quarantine list`"


@dataclass(frozen=True)
class Incident:
    """What is wrong now. `title` is one line, `what` the facts, `next_step` what to do, ending with the command to open.

    `is_news` is false where nothing has changed since the last alert, so that a reminder would say nothing. `channel` is where its
    alerts go, None for every channel.
    """

    fingerprint: str
    severity: Literal["critical", "warning"]
    title: str
    what: str
    next_step: str
    is_news: bool = True
    channel: str | None = None


def of_success(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """What is wrong although the run ended well: rows set aside, by dataset, and share counts that stand still, by source.

    An incident is news where something was set aside since it was last alerted.
    """
    return [*_set_aside(con), *_unknown_distributions(con), *_dead_sources(con)]


def of_report(session: date, fault: str) -> Incident:
    """The incident that the report on `session` could not be written or sent, because of `fault`."""
    return Incident(
        "report",
        "warning",
        f"The report on {session} could not be written or sent",
        f"{fault} The data itself is published.",
        "write it again with `rotation report`.",
    )


def of_missing_session(session: date, moment: str) -> Incident:
    """The incident that `session` was not published by `moment`, such as `20:00 New York`."""
    return Incident(
        "not-published",
        "critical",
        f"Nothing is published for {session}",
        f"By {moment} nothing was published for {session}. The daily job did not start, is still running, or did not end well.",
        f"check that the scheduler and its worker are running, then {_STATUS} and `rotation run`.",
    )


def _set_aside(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """One incident per dataset with open entries in quarantine. A row that fails several checks is one row."""
    found = macros.rows(
        con,
        """
        -- Share counts that stand still are an incident of their source, not of each fund.
        with entries as (
            select q.*, q.run_id > coalesce(i.run_id, '') as is_new
            from ops.quarantine as q
            left join incidents() as i on i.fingerprint = 'set-aside:' || q.dataset
            where q.resolved_at is null and q.expectation <> 'share_counts_alive'
        ),

        rejected as (
            select
                dataset,
                symbol,
                session,
                bool_or(is_new) as is_new,
                list(expectation order by expectation) as checks,
                list(reason order by expectation) as sentences,
                arg_max(row_json::varchar, len(row_json::varchar)) as row
            from entries
            group by dataset, symbol, session
        )

        select
            dataset,
            count(*) filter (is_new and session is not null) as new_rows,
            count(*) filter (is_new and session is null) as new_symbols,
            count(*) filter (not is_new) as old,
            list(rejected order by session desc nulls last, symbol) filter (is_new) as examples
        from rejected
        group by dataset
        order by dataset
        """,
    )
    return [_of_dataset(**row) for row in found]


def _of_dataset(dataset: str, new_rows: int, new_symbols: int, old: int, examples: list[Any] | None) -> Incident:
    new = [wording.count(number, noun) for number, noun in ((new_rows, "row"), (new_symbols, "symbol")) if number]
    shown = (examples or [])[:EXAMPLES]
    lines = [f"- {_example(dataset, example)}" for example in shown]
    if more := len(examples or []) - len(shown):
        lines.append(f"- and {more:,} more")
    # Each check once, however many rows failed it.
    checks = {
        check: sentence
        for one in shown
        if one["session"]
        for check, sentence in zip(one["checks"], one["sentences"], strict=True)
    }
    lines += [f"{check}: {sentence}" for check, sentence in checks.items()]
    if old:
        lines.append(f"Set aside earlier and still open: {old:,}.")
    return Incident(
        f"set-aside:{dataset}",
        "warning",
        f"Set aside: {' and '.join(new) or wording.count(old, 'row')} of {spoken(dataset)}",
        "\n".join(lines),
        f"nothing, if the vendor corrects the rows: they are then published automatically. To list them, and to accept a row that is right: {QUARANTINE_LIST}.",
        is_news=bool(new),
    )


def _example(dataset: str, rejected: Any) -> str:
    if rejected["session"] is None:
        return f"{rejected['symbol']}: {rejected['sentences'][0]}"
    key = {"symbol": rejected["symbol"], "session": rejected["session"]}
    values = json.loads(rejected["row"]) if rejected["row"] else {}
    known = DATASETS.get(dataset)
    # The key is that of the entry: a dataset may name its symbol and day otherwise, and a derived table is no dataset.
    others = {name: held for name, held in values.items() if name not in key and not (known and name in known.key)}
    return f"{wording.row({**key, **others}, known.columns if known else values)} ({', '.join(rejected['checks'])})"


def _unknown_distributions(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """One incident for all symbols with a distribution that is not known, on which their total returns rest."""
    found = con.execute(
        "select symbol, min(session) from core.unknown_distributions group by symbol order by symbol"
    ).fetchall()
    if not found:
        return []
    return [
        Incident(
            "unknown-distributions",
            "warning",
            f"Total returns lack a distribution: {', '.join(symbol for symbol, _ in found)}",
            "The total returns of these symbols, and the signals that rest on them, are NULL, since a distribution or split is not known:\n"
            + "\n".join(f"- {symbol} from {session} on" for symbol, session in found),
            "wait for the vendor's correction, which the next run publishes; or find the distribution and accept the row that has it: "
            f"{QUARANTINE_LIST}.",
            is_news=False,
        )
    ]


def _dead_sources(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    """One incident per source whose share counts stand still while NAV moves."""
    found = con.execute(
        """
        with last_rows as (
            from core.fund_flows
            where source is not null
            qualify row_number() over (partition by symbol order by session desc) = 1
        )

        select source, count(*) as funds, string_agg(symbol, ', ' order by symbol) as symbols, max(session) as session
        from last_rows
        where null_reason = 'dead source'
        group by source
        order by source
        """
    ).fetchall()
    return [
        Incident(
            f"dead-share-counts:{source}",
            "warning",
            f"The share counts of {source} stand still",
            f"On {session} the share counts of {wording.count(funds, 'fund')} had not changed for longer than they ever do, while NAV moved: "
            f"{symbols}. Their flows are NULL, not zero, until the counts change again.",
            f"check {source}'s file of one of these funds; {_STATUS} shows whether it still lasts.",
            is_news=False,
        )
        for source, funds, symbols, session in found
    ]


def spoken(dataset: str) -> str:
    """The name of a dataset or table in words."""
    return dataset.replace("_", " ")
