"""What a demonstration shows of the warehouse: what failed, what was alerted, what is quarantined, what readers see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from market_rotation.flows.cli.console import out
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.sources.simulated.faults import Fault


def show_findings(con: duckdb.DuckDBPyConnection) -> bool:
    """Prints what the last run found wrong, with up to three rows of each; returns whether it found anything."""
    run_id, status = _row(con, "select run_id, status from ops.runs order by run_id desc limit 1")
    failed = con.execute(
        """
        select expectation, severity, unexpected_count, details
        from ops.validations
        where run_id = $1 and not success and severity <> 'info'
        union all
        select expectation, 'warning', count(*), 'The vendor gave no usable answer.'
        from ops.quarantine
        where run_id = $1 and expectation = 'fetch'
        group by expectation
        order by severity, expectation
        """,
        [run_id],
    ).fetchall()
    if failed:
        _head("What failed (ops.validations, ops.quarantine)")
    for expectation, severity, count, sentence in failed:
        _say(f"{expectation}, {severity}, {count} {'row' if count == 1 else 'rows'}: {sentence}")
        aside = con.execute(
            "select symbol, session, reason, row_json from ops.quarantine where run_id = $1 and expectation = $2 "
            "order by symbol, session limit 3",
            [run_id, expectation],
        ).fetchall()
        for symbol, session, reason, kept in aside:
            _say(f"{symbol} {session or 'as a whole'}: {_values(kept) or reason}", indent=5)
        if severity == "critical":
            _say("The rows are in the message above.", indent=5)
    return bool(failed) or status in ("blocked", "failed")


def _values(row_json: str | None) -> str:
    """The values of a quarantined row, without empty ones."""
    values: dict[str, Any] = json.loads(row_json or "{}")
    shown = {
        name: value
        for name, value in values.items()
        if value is not None
        and name not in ("symbol", "session", "source", "times_given")
        and not isinstance(value, bool)
    }
    return ", ".join(f"{name} {_number(value)}" for name, value in shown.items())


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return (
        f"{value:,.0f}"
        if abs(value) >= 1e5 or value == int(value)
        else f"{value:,.4g}"
        if abs(value) < 1
        else f"{value:,.2f}"
    )


def show_alerts(con: duckdb.DuckDBPyConnection, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Prints the alerts that are not in `known`; returns the ids of all."""
    found = con.execute(
        "select alert_id, kind, severity, title, body from ops.alerts order by created_at, alert_id"
    ).fetchall()
    new = [row for row in found if row[0] not in known]
    _head("Alerts (ops.alerts)")
    for _, kind, severity, title, body in new:
        _say(f"{kind}, {severity}: {title}")
        _say(body, indent=5)
    if not new:
        _say("None.")
    return frozenset(row[0] for row in found)


def show_quarantine(con: duckdb.DuckDBPyConnection) -> bool:
    """Prints the state of every quarantined row; returns whether all are resolved."""
    entries = con.execute(
        "select symbol, session, expectation, resolved_at from ops.quarantine order by symbol, session, expectation"
    ).fetchall()
    if not entries:
        return True
    _head("What was set aside (ops.quarantine)")
    for symbol, session, expectation, resolved_at in entries[:10]:
        state = f"resolved {resolved_at:%Y-%m-%d %H:%M} UTC" if resolved_at else "still open"
        _say(f"{symbol} {session or 'as a whole'}, {expectation}: {state}")
    return all(resolved_at for *_, resolved_at in entries)


def show_readers(con: duckdb.DuckDBPyConnection, symbol: str, fault: Fault) -> None:
    """Prints what a reader of the published warehouse sees now."""
    newest, symbols, current = _row(
        con,
        """
        with lasts as (select symbol, max(session) as last from core.prices group by symbol)
        select max(last), count(*), count(*) filter (last = (select max(last) from lasts)) from lasts
        """,
    )
    session, close = _row(
        con, f"select max(session), arg_max(close, session) from core.prices where symbol = {warehouse.quoted(symbol)}"
    )
    _head("What readers see")
    _say(f"{current} of {symbols} symbols up to {newest}; {symbol} up to {session} with a close of {close:,.2f}")
    if fault.dataset == "fund_nav":
        day, flow, reason = _row(
            con,
            "select session, net_flow_usd, null_reason from core.fund_flows "
            f"where symbol = {warehouse.quoted(symbol)} order by session desc limit 1",
        )
        amount = f"{flow:,.0f} USD" if flow is not None else f"NULL, not zero ({reason})"
        _say(f"the flow into {symbol} of {day}: {amount}")


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = con.execute(query).fetchone()
    if row is None:
        raise RotationError("The run is not recorded in the warehouse; see its output above.")
    return row


def heading(title: str, sentence: str) -> None:
    """Prints the title of a step of the demonstration, and what it does."""
    out.print()
    out.print(title, style="bold", markup=False, highlight=False)
    out.print(sentence, markup=False, highlight=False)


def _head(title: str) -> None:
    out.print(title, style="cyan", markup=False, highlight=False)


def _say(sentence: str, indent: int = 2) -> None:
    out.print(Padding(Text(sentence), (0, 0, 0, indent), expand=False), highlight=False)
