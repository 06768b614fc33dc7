"""Manual override: the entries of the quarantine, and accepting a row although it failed a check, on record."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.quarantine import ROW_BY_ROW
from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings


@dataclass(frozen=True)
class Entry:
    """An entry of `ops.quarantine`. `id` is what a person sees of its `key`; `since` is when its run began.

    `row` is what was set aside, where there is one.

    `is_blocked`: the newest run, which was blocked, would have set it aside.
    """

    id: str
    key: str
    since: datetime | None
    dataset: str
    symbol: str | None
    session: date | None
    expectation: str
    reason: str
    resolved_at: datetime | None
    accepted_at: datetime | None
    accepted_by: str | None
    because: str | None
    run_id: str
    is_blocked: bool
    row: dict[str, Any] | None

    @property
    def has_row(self) -> bool:
        """Whether it is about a row that the source gave, and not about a missing one, a whole symbol or a derived table."""
        dataset, row = DATASETS.get(self.dataset), self.row or {}
        return dataset is not None and set(dataset.columns) <= set(row) and row[dataset.symbol] is not None

    @property
    def name(self) -> str:
        """The entry in a sentence."""
        return f"{self.id} ({self.symbol} on {self.session}, {self.expectation})"


def entries(con: duckdb.DuckDBPyConnection, *, resolved: bool = False) -> list[Entry]:
    """The open entries and, where the newest run was blocked, what that would have set aside; with `resolved` all others too. Newest first."""
    found = con.execute(
        """
        select
            left(q.entry_id, 8), q.entry_id, r.started_at, q.dataset, q.symbol, q.session, q.expectation, q.reason, q.resolved_at,
            q.accepted_at, q.accepted_by, q.because, q.run_id,
            coalesce(q.is_blocked, false) and q.run_id = (select max(run_id) from ops.runs) as is_blocked_now, q.row_json::varchar
        from ops.quarantine_entries() as q
        left join ops.runs as r on r.run_id = q.run_id
        where $1 or q.resolved_at is null or is_blocked_now
        order by q.run_id desc, q.session desc nulls last, q.dataset, q.symbol, q.expectation
        """,
        [resolved],
    ).fetchall()
    return [Entry(*(*values[:-1], json.loads(values[-1]) if values[-1] else None)) for values in found]


def accept(settings: Settings, given: str, because: str, user: str, now: datetime) -> tuple[Entry, list[Entry]]:
    """Records that the row of the entry whose ID begins with `given` is to be accepted as it is, and publishes the record.

    Returns the entry, and the other open ones of the same row. Raises `ConfigError` where there is no such row or it cannot
    be accepted, and `WarehouseBusy` during a run.
    """
    if not because.strip():
        raise ConfigError("Accepting a row needs a reason, which stays on record; give it with --because TEXT.")
    if not re.fullmatch(r"[0-9a-f]{4,8}", given, re.IGNORECASE):
        raise ConfigError(
            f"{given!r} is not an ID; give at least four of the digits that `rotation quarantine list` shows."
        )
    with warehouse.amend(settings) as con, warehouse.transaction(con):
        entry = _find(entries(con, resolved=True), given)
        _refuse(con, entry)
        con.execute(
            """
            insert into ops.accepted by name
            select run_id, dataset, symbol, session, expectation, row_json, $because as because, $user as accepted_by, $now as accepted_at
            from ops.quarantine_entries()
            where entry_id = $key
            """,
            {"key": entry.key, "because": because.strip(), "user": user, "now": now},
        )
        others = [
            other
            for other in entries(con)
            if other.accepted_at is None
            and (other.dataset, other.symbol) == (entry.dataset, entry.symbol)
            and (other.session is None or (other.session == entry.session and other.has_row))
        ]
    return entry, others


def _find(found: Sequence[Entry], given: str) -> Entry:
    """The entry whose ID begins with `given`: one that can be accepted, even if a resolved one begins with the same digits."""
    fitting = [entry for entry in found if entry.id.startswith(given.lower())]
    still_open = [entry for entry in fitting if entry.resolved_at is None or entry.is_blocked]
    if not fitting:
        raise ConfigError(f"There is no entry {given}; `rotation quarantine list` shows the IDs.")
    if len(still_open) > 1:
        names = "; ".join(entry.name for entry in still_open)
        raise ConfigError(f"{given} fits {len(still_open)} entries: {names}; give more digits.")
    if not still_open:
        raise ConfigError(
            f"{fitting[0].name} was closed on {fitting[0].resolved_at:%Y-%m-%d}: a later row of the source took its place, "
            "so there is nothing left to accept; `rotation quarantine list` shows what is open."
        )
    return still_open[0]


def _refuse(con: duckdb.DuckDBPyConnection, entry: Entry) -> None:
    """Raises `ConfigError` where `entry` has no row to publish, or one that must not be published."""
    if entry.accepted_at is not None:
        raise ConfigError(
            f"{entry.name} was already accepted on {entry.accepted_at:%Y-%m-%d} by {entry.accepted_by}; the next `rotation run` publishes it."
        )
    if entry.expectation == "fetch":
        raise ConfigError(
            f"{entry.id} is about all {entry.dataset} of {entry.symbol}: the source gave no usable answer, so there is no row to accept; "
            "every run requests it again."
        )
    if entry.dataset not in DATASETS:
        raise ConfigError(
            f"{entry.name} is about {entry.dataset}, which is derived: the rows it comes from are published, so there is nothing to accept."
        )
    if entry.dataset not in ROW_BY_ROW:
        raise ConfigError(
            f"{entry.name} is a file of {entry.dataset} as a whole, so there is no row to accept; every run requests it again, "
            f"and a check that is wrong is corrected in expectations/stage/{entry.dataset}.sql."
        )
    expectation = next((e for e in suites.staged(entry.dataset).expectations if e.id == entry.expectation), None)
    if expectation is None or expectation.severity == "info":
        raise ConfigError(
            f"{entry.name} is no longer set aside by any expectation, so there is nothing to accept; the next `rotation run` publishes it."
        )
    if expectation.severity == "critical":
        raise ConfigError(
            f"{entry.name} failed a critical expectation, which cannot be overridden: with such a row the batch as a whole cannot be trusted. "
            "It is published when the source corrects it."
        )
    if entry.session is None or not entry.has_row:
        raise ConfigError(
            f"{entry.name} is about a row that the source did not give, so there is nothing to accept; it is resolved when the source gives it."
        )
    if fault := _why_unusable(con, entry):
        raise ConfigError(
            f"{entry.name} cannot be accepted, since nothing can be computed with {fault}; it is published when the source corrects it."
        )


def _why_unusable(con: duckdb.DuckDBPyConnection, entry: Entry) -> str | None:
    """The value in the row that would make returns or flows impossible to compute, and so fail every run; None if there is none."""
    row = entry.row or {}
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"a {name} of {value}"
    for name in ("close", "split_ratio", "nav"):
        if entry.dataset in ("prices", "fund_nav") and row.get(name) is not None and row[name] <= 0:
            return f"a {name} of {row[name]}"
    if entry.dataset == "prices" and row["dividend"] + row["capital_gain"] > 0:
        (before,) = con.execute(
            "select arg_max(close, session) from fn.prices_known_at('infinity'::timestamptz) where symbol = $1 and session < $2",
            [entry.symbol, entry.session],
        ).fetchone() or (None,)
        if before is not None and row["dividend"] + row["capital_gain"] >= before:
            return f"a distribution of {row['dividend'] + row['capital_gain']} after a close of {before}"
    return None
