"""Closures of the exchange that the installed calendar does not know: from ROTATION_EXTRA_CLOSURES, or accepted by a person, on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from market_rotation.tasks import calendar
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.warehouse.amend import amend
from market_rotation.tasks.warehouse.connect import transaction

if TYPE_CHECKING:
    import duckdb

    from market_rotation.tasks.settings import Settings

#: A closure is announced days ahead. A date further ahead is likely a typing error.
AHEAD = timedelta(days=60)

_BARS = """
    select session, symbol
    from raw.prices
    where session in (select unnest($days))
    qualify row_number() over (partition by symbol, session order by known_at desc) = 1 and close is not null and not is_withdrawn
"""

#: The universe that the last run had.
_KNOWN_UNIVERSE = "select symbol from fn.universe_known_at('infinity'::timestamptz)"

_NO_BARS = "select null::date as session, null::varchar as symbol limit 0"


@dataclass(frozen=True)
class Closure:
    """A day on which the exchange was closed, who accepted it and why. `symbols_with_bar`: how many symbols have a bar of it."""

    session: date
    because: str
    accepted_by: str
    accepted_at: datetime | None
    symbols_with_bar: int
    is_in_force: bool


def closures(
    con: duckdb.DuckDBPyConnection, settings: Settings, bars: str = _NO_BARS, universe: str = _KNOWN_UNIVERSE
) -> list[Closure]:
    """All closures of the warehouse and of the settings, oldest first.

    A closure is in force as long as no more than half of the universe has a bar on its day: bars decide, not the calendar. `bars` is SQL for
    further bars, as `session, symbol`: those of a batch. `universe` is SQL for the symbols that count.
    """
    # An older version published a file without the table. DuckDB would take a Python object of its name for it.
    (is_there,) = con.execute(
        "select count(*) from duckdb_tables() where schema_name = 'ops' and table_name = 'closures'"
    ).fetchone() or (0,)
    query = "select session, because, accepted_by, accepted_at from ops.closures"
    accepted = con.execute(query).fetchall() if is_there else []
    known = {row[0] for row in accepted}
    named = [(day, "ROTATION_EXTRA_CLOSURES", "", None) for day in settings.extra_closures if day not in known]
    declared = sorted({row[0]: row for row in [*accepted, *named]}.values(), key=lambda row: row[0])
    if not declared:
        return []
    counts = con.execute(
        f"""
        with universe as ({universe}),

        bars as (from ({_BARS}) union by name from ({bars}) where session in (select unnest($days)))

        select session, count(distinct symbol), 2 * count(distinct symbol) > (select count(*) from universe)
        from bars
        semi join universe using (symbol)
        group by session
        """,
        {"days": [row[0] for row in declared]},
    ).fetchall()
    found = {session: (symbols, not is_open) for session, symbols, is_open in counts}
    return [Closure(*row, *found.get(row[0], (0, True))) for row in declared]  # type: ignore[call-arg]


def in_force(
    con: duckdb.DuckDBPyConnection, settings: Settings, bars: str = _NO_BARS, universe: str = _KNOWN_UNIVERSE
) -> frozenset[date]:
    """The days of the closures that are in force; see `closures`."""
    return frozenset(closure.session for closure in closures(con, settings, bars, universe) if closure.is_in_force)


def accept(settings: Settings, day: date, because: str, user: str, now: datetime) -> None:
    """Records that the exchange was closed on `day`, and publishes the record. Every later run and rebuild uses it.

    Raises `ConfigError` when `day` is not a session anyway, or has bars, and `WarehouseBusy` while a run is going on.
    """
    if not because.strip():
        raise ConfigError("Accepting a closure needs a reason, which stays on record; give it with --because TEXT.")
    if day > now.date() + AHEAD:
        raise ConfigError(f"{day} is more than {AHEAD.days} days ahead; check the date.")
    if day < settings.history_start:
        raise ConfigError(f"{day} is before ROTATION_HISTORY_START={settings.history_start}; check the date.")
    if not calendar.load(day, day).is_session(day):
        raise ConfigError(f"The calendar has no session on {day} anyway, so there is nothing to accept.")
    with amend(settings) as con, transaction(con):
        for closure in closures(con, settings):
            if closure.session == day and closure.accepted_at is not None:
                raise ConfigError(
                    f"The closure of {day} was already accepted on {closure.accepted_at:%Y-%m-%d} by {closure.accepted_by}."
                )
        (symbols,) = con.execute(f"select count(*) from ({_BARS})", {"days": [day]}).fetchone() or (0,)
        if symbols:
            raise ConfigError(
                f"{symbols} symbols have a bar on {day}, so the exchange was open; `rotation sql \"from core.prices where session = '{day}'\"` shows them."
            )
        con.execute("insert into ops.closures values ($1, $2, $3, $4)", [day, because.strip(), user, now])
