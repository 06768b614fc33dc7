"""A warehouse that an older version made is upgraded in place by the next run: nothing that it held is lost.

`tests/upgrade` holds what a run of that version left, as text: the schema as it was before the signals and alerts came, and some of the rows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import world
from campaigns.scenarios import old_warehouse
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.operations.doctor import examine as checks
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe
from market_rotation.tasks.warehouse import rebuild
from market_rotation.tasks.warehouse.formats import FORMAT, installed
from market_rotation.tasks.warehouse.models import models

BEFORE, NEXT = date(2025, 12, 4), date(2025, 12, 5)
MEMBERS = {"SPY", "IWB", "IWM", "SPSM", "IJR", "RSP", "XLK", "XLE", "XLF", "AAPL", "NVDA"}
#: After the runs of the older version, whose times are kept.
AFTER = datetime(2026, 11, 23, tzinfo=UTC)
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
    old_warehouse(BUILD.parent)
    return kept


@pytest.fixture
def of_the_future(members: Universe) -> bytes:
    """The warehouse of a version to come, with a format that this version does not know; the bytes of the published file."""
    assert world.run(sample(members), NEXT, AFTER).status == "published"
    for path in (BUILD, PUBLISHED):
        path.chmod(0o644)
        with duckdb.connect(str(path)) as con:
            con.execute(f"insert into ops.formats values ({FORMAT + 1}, '9.0.0')")
    PUBLISHED.chmod(0o444)
    return PUBLISHED.read_bytes()


def cli(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (0, 3), result.output
    return result.stdout


def sample(members: Universe) -> SampleSource:
    return SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), members.instruments)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
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

    done = world.run(sample(members), NEXT, AFTER)
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


@pytest.mark.long_after(0)
def test_the_format_is_recorded(members: Universe) -> None:
    """A warehouse from before formats has none; the next run records that of this version, once."""
    assert not rows(PUBLISHED, "select 1 from duckdb_tables() where table_name = 'formats'")
    for _ in range(2):
        assert world.run(sample(members), NEXT, AFTER).status in ("published", "up_to_date")
    assert rows(PUBLISHED, "from ops.formats") == [(FORMAT, installed())]


#: Every command that writes a warehouse, or derives from all of it.
WRITING = [
    ["run", "--session", str(NEXT)],
    ["backfill", "--from", "2025-11-03"],
    ["rebuild"],
    ["quarantine", "accept", "abcd", "--because", "x"],
    ["closures", "accept", "2025-11-28", "--because", "x"],
]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("arguments", WRITING, ids=lambda arguments: " ".join(arguments[:2]))
def test_a_newer_warehouse_is_refused(of_the_future: bytes, arguments: list[str]) -> None:
    """A command that would write to the warehouse of a newer version says in one sentence what to install, and changes no byte of it."""
    build = BUILD.read_bytes()
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    said = f"has the format {FORMAT + 1} of market-rotation 9.0.0, and this version ({installed()}) knows no format after {FORMAT}"
    assert result.stderr.count(said) == 1
    assert "install market-rotation 9.0.0 or later" in result.stderr
    assert "Traceback" not in result.output
    assert PUBLISHED.read_bytes() == of_the_future
    assert BUILD.read_bytes() == build


@pytest.mark.long_after(0)
def test_a_newer_published_file_is_not_copied_back(of_the_future: bytes) -> None:
    """Where only the published file is left, and a newer version made it, no build database is made of it."""
    BUILD.unlink()
    result = CliRunner().invoke(main, ["run", "--session", str(NEXT)])
    assert result.exit_code == 2, result.output
    assert "install market-rotation 9.0.0 or later" in result.stderr
    assert not BUILD.exists()
    assert PUBLISHED.read_bytes() == of_the_future


@pytest.mark.long_after(0)
def test_a_newer_warehouse_can_be_read(of_the_future: bytes) -> None:
    """What a newer version published can be queried; status and doctor say that this version is too old, and so does a query that fails."""
    assert cli("sql", "--format", "csv", "select max(session) from core.prices").splitlines()[1] == str(NEXT)
    assert "install market-rotation 9.0.0 or later" in " ".join(cli("status").split())
    found = {finding.subject: finding for finding in checks.examine(AFTER)}
    assert found["warehouse"].level == "fail"
    assert "9.0.0" in f"{found['warehouse'].finding} {found['warehouse'].next_step}"
    PUBLISHED.chmod(0o644)
    with duckdb.connect(str(PUBLISHED)) as con:
        con.execute("drop table ops.quarantine")
    asked = CliRunner().invoke(main, ["quarantine", "list"])
    assert asked.exit_code == 2
    assert "install market-rotation 9.0.0 or later" in asked.stderr
