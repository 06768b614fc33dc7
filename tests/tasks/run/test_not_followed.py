"""What was set aside ends with its symbol: of what left the universe or a fund's largest companies nothing is requested again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import DATASETS

DAYS = world.days()
#: No bar of it is requested.
BEFORE = date(2023, 12, 29)
PUBLISHED, BUILD = Path("warehouse/rotation.duckdb"), Path("warehouse/build.duckdb")


def rows(query: str) -> list[tuple[Any, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


def use(folder: Path, *symbols: str) -> None:
    members = [
        world.instrument("SPY", size_bucket="large"),
        *(world.instrument(symbol, in_breadth=False) for symbol in symbols),
    ]
    world.write_universe(folder, world.universe(*members, pairs=[]))


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> world.FakeSource:
    use(tmp_path, "IWM", "OLD")
    monkeypatch.setenv("ROTATION_UNIVERSE", str(tmp_path / "universe.csv"))
    monkeypatch.setenv("ROTATION_HISTORY_START", str(DAYS[0]))
    monkeypatch.setenv("ROTATION_REPORT", "false")
    closes = [100.0 + (7 * i) % 11 for i in range(40)]
    return world.FakeSource({symbol: world.bars(symbol, closes) for symbol in ("SPY", "IWM", "OLD")})


def test_a_renamed_symbol_recovers_once_the_universe_has_its_new_name(source: world.FakeSource, tmp_path: Path) -> None:
    """The vendor no longer knows the old name, which is alerted; with the new one in the universe the incident ends, once."""
    assert world.run(source, DAYS[20]).status == "published"
    source.frames["NEW"] = source.frames.pop("OLD").assign(symbol="NEW")
    assert world.run(source, DAYS[21]).status == "published"
    assert rows("select symbol, session from ops.quarantine where resolved_at is null") == [("OLD", None)]
    use(tmp_path, "IWM", "NEW")
    for day in (22, 23):
        assert world.run(source, DAYS[day]).status == "published"
        assert rows("select count(*) from ops.quarantine where resolved_at is null") == [(0,)]
    alerts = rows("select kind from ops.alerts where fingerprint = 'set-aside:prices' order by created_at")
    assert alerts == [("failure",), ("recovery",)]
    assert rows("select symbol, count(*) from core.prices group by all order by all") == [
        ("IWM", 24), ("NEW", 24), ("SPY", 24),
    ]  # fmt: skip


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_dataset(dataset: str, source: world.FakeSource) -> None:
    """An entry of any dataset, about a row or a whole symbol, is closed once its symbol is not followed; one of a symbol that is stays open."""
    assert world.run(source, DAYS[20]).status == "published"
    with duckdb.connect(str(BUILD)) as con:
        for symbol, session in (("GONE", None), ("GONE", DAYS[19]), ("IWM", BEFORE)):
            con.execute(
                "insert into ops.quarantine by name select '0' as run_id, $1 as dataset, $2 as symbol, $3::date as session, 'made_up' as expectation, 'Bad.' as reason, false as is_blocked",
                [dataset, symbol, session],
            )
    assert world.run(source, DAYS[21]).status == "published"
    still_open = [symbol for (symbol,) in rows("select symbol from ops.quarantine where resolved_at is null")]
    assert still_open == (["IWM"] if dataset == "prices" else [])


def test_a_difference_of_a_symbol_that_left(source: world.FakeSource) -> None:
    """What two sources stated differently of a symbol that is not in the universe is not compared again, and ends."""
    assert world.run(source, DAYS[20]).status == "published"
    with duckdb.connect(str(BUILD)) as con:
        for symbol in ("GONE", "IWM"):
            con.execute(
                "insert into ops.reconciliations by name select '0' as run_id, 'prices' as dataset, $1 as symbol, $2::date as session, 'close' as column_name, "
                "'fake' as source, 1.0 as value, 'other' as other_source, 2.0 as other_value, 'undecided' as verdict",
                [symbol, DAYS[19]],
            )
    assert world.run(source, DAYS[21]).status == "published"
    assert rows("select symbol from ops.reconciliations where resolved_at is null") == [("IWM",)]
