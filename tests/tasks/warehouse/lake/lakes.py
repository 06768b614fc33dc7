"""What the tests of lakes share: a small market, what a lake holds, and its snapshots."""

from __future__ import annotations

from typing import Any

import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings

DAYS = world.days()


def market(first: int = 0, **columns: Any) -> world.FakeSource:
    """A vendor that gives bars from session number `first` on."""
    closes = [100.0 + (i * 7) % 11 + i / 7 for i in range(first, 60)]
    return world.FakeSource({s: world.bars(s, closes, DAYS[first], **columns) for s in ("SPY", "IWM")})


def run(day: int, **parameters: Any) -> Run:
    """A run of session number `day`."""
    return world.run(market(), DAYS[day], **parameters)


def content() -> dict[str, str]:
    """A hash of each table that is published now, without the columns that name the run, and of none that says when it ran."""
    settings = load_settings()
    with warehouse.reading(settings.published) as con:
        tables = con.execute(
            "select schema_name || '.' || table_name, list_contains(list(column_name), 'run_id') from duckdb_columns() "
            "where database_name = current_database() and schema_name in ('raw', 'core', 'signals', 'ops') group by all order by all"
        ).fetchall()
        return {
            name: str(
                con.execute(
                    f"select count(*), sum(hash(whole)::hugeint) from (select *{' exclude (run_id)' if has_run else ''} from {name}) as whole"
                ).fetchone()
            )
            for name, has_run in tables
            # Its rows say how long a run took, and as which run.
            if name not in ("ops.runs", "ops.alerts")
        }


def snapshots() -> list[tuple[int, str | None, str | None]]:
    """The lake's snapshots: number, author, message."""
    with warehouse.reading(load_settings().published) as con:
        return con.execute("select snapshot_id, author, commit_message from rotation.snapshots() order by all").fetchall()


def sessions() -> list[Any]:
    """The sessions that readers see."""
    with warehouse.reading(load_settings().published) as con:
        return [day for (day,) in con.execute("select distinct session from core.prices order by all").fetchall()]
