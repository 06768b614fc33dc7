"""A warehouse that an older version made is upgraded in place by the next run: nothing that it held is lost.

`tests/upgrade` holds what a run of that version left, as text: the schema as it was before the signals and alerts came, and some of the rows.
"""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe
from market_rotation.tasks.warehouse import rebuild
from market_rotation.tasks.warehouse.models import models

OLD = Path(__file__).parents[2] / "upgrade" / "before_0.1.0"
BEFORE, NEXT = date(2025, 12, 4), date(2025, 12, 5)
MEMBERS = {"SPY", "IWB", "IWM", "SPSM", "IJR", "RSP", "XLK", "XLE", "XLF", "AAPL", "NVDA"}
PUBLISHED, BUILD = Path("warehouse/rotation.duckdb"), Path("warehouse/build.duckdb")


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Universe:
    """A home as the older version left it."""
    shipped = load_universe()
    kept = Universe(
        instruments=tuple(i for i in shipped.instruments if i.symbol in MEMBERS),
        pairs=tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= MEMBERS),
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, kept)))
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    monkeypatch.setenv("ROTATION_HISTORY_START", "2025-10-01")
    monkeypatch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "3")
    BUILD.parent.mkdir()
    with duckdb.connect(str(BUILD)) as con:
        con.execute("set timezone = 'UTC'")
        con.execute((OLD / "schema.sql").read_text(encoding="utf-8"))
        for path in sorted(OLD.glob("*.csv")):
            schema, _, table = path.stem.partition("_")
            con.execute(f"copy {schema}.{table} from '{path}' (format csv, header)")
    shutil.copy(BUILD, PUBLISHED)
    return kept


def cli(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (0, 3), result.output
    return result.stdout


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with warehouse.reading(path) as con:
        return con.execute(query).fetchall()


def test_it_can_be_read_before(members: Universe) -> None:
    """Every reading command works with the older file, and status says that it is of an older version."""
    assert cli("sql", "--format", "csv", "select max(session) from core.prices").splitlines()[1] == str(BEFORE)
    assert "older version" in cli("status")
    assert "share counts of ssga" in cli("alerts", "list")
    asked = CliRunner().invoke(main, ["quarantine", "list"])
    assert (asked.exit_code, asked.stdout) == (1, "")
    assert "was published by an older version" in asked.stderr


def test_the_next_run_upgrades_it(members: Universe, tmp_path: Path) -> None:
    """The next run keeps every row of raw and the ledgers, adds new columns, and derives all tables as from the raw data alone."""
    grown = [m.name for m in models() if m.kind == "ledger"]
    there = {f"{s}.{t}" for s, t in rows(PUBLISHED, "select schema_name, table_name from duckdb_tables()")}
    kept = [name for name in grown if name in there]
    columns = {name: ", ".join(c for (c, *_) in rows(PUBLISHED, f"describe {name}")) for name in kept}
    old = {name: rows(PUBLISHED, f"select {columns[name]} from {name}") for name in kept}
    assert {"ops.runs", "ops.alerts", "raw.prices", "raw.fund_nav"} <= set(kept)
    assert "ops.accepted" not in there
    assert not any(t.startswith("signals.rotation") for t in there)

    source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), members.instruments)
    # After the runs of the older version, whose times are kept.
    done = world.run(source, NEXT, datetime(2026, 11, 23, tzinfo=UTC))
    assert (done.status, done.session) == ("published", NEXT), done.message

    for name in kept:
        now = rows(PUBLISHED, f"select {columns[name]} from {name}")
        # What a run may change of an older row is how an alert fared.
        if name != "ops.alerts":
            assert [row for row in old[name] if row not in now] == [], name
        assert len(now) >= len(old[name])
    made = {f"{s}.{t}" for s, t in rows(PUBLISHED, "select schema_name, table_name from duckdb_tables()")}
    wanted = {m.name for m in models() if m.kind != "macro" and not m.name.startswith("stage.")}
    assert made == wanted
    assert rows(PUBLISHED, f"select count(*) > 0 from signals.rotation_evidence where session = '{NEXT}'") == [(True,)]

    derived = sorted(m.name for m in models() if m.kind == "derived" and m.name.startswith(("core.", "signals.")))
    rebuilt = tmp_path / "rebuilt.duckdb"
    rebuild.rebuild(load_settings(), None, rebuilt, datetime(2025, 12, 6, tzinfo=UTC))
    assert world.content(PUBLISHED, *derived) == world.content(rebuilt, *derived)
    assert "older version" not in cli("status")
