"""What is disturbed by the crash campaign: each scenario prepares a home, and acts on it in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import world

from market_rotation.tasks import lake_address, warehouse
from market_rotation.tasks.alerts.resend import resend
from market_rotation.tasks.audit.accept import accept, entries
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.sources.base import Source
from market_rotation.tasks.sources.cache import CachedSource
from market_rotation.tasks.universe import Universe, load_universe
from market_rotation.tasks.warehouse.rebuild import rebuild

DAYS = world.days()
SYMBOLS = ("SPY", "IWM", "IJR")
STEPS = tuple(field.name for field in fields(pipeline.Steps))
#: A closing price that is not believed before the next session, and one that a person accepts.
JUMP = 60.0
#: What an older version left, as text.
OLD = world.REPOSITORY / "tests" / "upgrade" / "before_0.1.0"
OF_THE_UPGRADE = {"SPY", "IWB", "IWM", "SPSM", "IJR", "RSP", "XLK", "XLE", "XLF", "AAPL", "NVDA"}
#: What tells one run from another, whatever it brought.
OF_THE_RUN = {"run_id", "known_at"}


def evening(session: date, hours: float = 0) -> datetime:
    return datetime(session.year, session.month, session.day, 23, 30, tzinfo=UTC) + timedelta(hours=hours)


def market(changed: bool = False, jump: bool = False, twice: bool = False) -> world.FakeSource:
    """Three funds; `changed`: a restated close, a split and a distribution; `jump`: an unbelievable close; `twice`: a bar listed twice."""
    frames = {}
    for n, symbol in enumerate(SYMBOLS):
        frames[symbol] = world.bars(symbol, [100.0 + n + ((i + n) * 7) % 11 for i in range(40)])
    fund = frames["IWM"]
    if changed:
        fund.loc[5, ["open", "high", "low", "close"]] += 0.25
        fund.loc[21, "dividend"] = 0.4
        frames["IJR"].loc[21, "split_ratio"] = 2.0
        frames["IJR"].loc[:20, ["open", "high", "low", "close"]] /= 2
    if jump:
        fund.loc[20, ["open", "high", "low", "close"]] = JUMP
    source = world.FakeSource(frames)
    if twice:
        source.frames["IWM"] = fund.loc[fund.index.repeat([2 if i == 21 else 1 for i in range(40)])].reset_index(
            drop=True
        )
    return source


def run(source: Source | None, parameters: Parameters, kill_at: str | None = None) -> Run:
    """A run that SIGKILL ends at `kill_at`, such as `before publish` or `after load`.

    Answers of `source` are cached until the run has ended, like those of vendors.
    """
    steps = pipeline.Steps(fetch=world.fetch_in_order) if source else pipeline.Steps()
    if source:
        source = CachedSource(source, load_settings().cache / source.name, parameters.now)
    if kill_at:
        when, _, name = kill_at.partition(" ")
        steps = replace(steps, **{name: partial(_dying, getattr(steps, name), when == "before")})
    return pipeline.run(parameters, steps, source)


def _dying(step: Callable[..., Any], before: bool, *arguments: Any) -> Any:
    if not before:
        step(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


def daily(kill_at: str | None, hours: float) -> Run:
    """The daily job, whose vendor restated a close and reports a split and a distribution."""
    return run(market(changed=True), Parameters(evening(DAYS[21], hours), DAYS[21]), kill_at)


def backfill(kill_at: str | None, hours: float) -> Run:
    """A backfill of the whole history, which finds the restated close."""
    parameters = Parameters(evening(DAYS[21], hours), DAYS[21], start=DAYS[1])
    return run(market(changed=True), parameters, kill_at)


def report(kill_at: str | None, hours: float) -> Run:
    """The daily job, which writes its report."""
    os.environ["ROTATION_REPORT"] = "true"
    return daily(kill_at, hours)


def blocked(kill_at: str | None, hours: float) -> Run:
    """A blocked batch, which is alerted."""
    return run(market(twice=True), Parameters(evening(DAYS[21], hours), DAYS[21]), kill_at)


def accepting(kill_at: str | None, hours: float) -> Run:
    """A bar is accepted by a person, and the next run publishes it."""
    settings = load_settings()
    with warehouse.reading(settings.published) as con:
        still = [e for e in entries(con) if e.symbol == "IWM" and e.accepted_at is None and e.session == DAYS[20]]
    if still:
        accept(settings, still[0].id, "checked with the issuer", "somebody", evening(DAYS[20], 1))
    return run(market(jump=True), Parameters(evening(DAYS[20], 2 + hours), DAYS[20]), kill_at)


def upgrade(kill_at: str | None, hours: float) -> Run:
    """The first run of this version on a warehouse of an older one."""
    os.environ |= {
        "ROTATION_SOURCE": "sample",
        "ROTATION_HISTORY_START": "2025-10-01",
        "ROTATION_EARNINGS_CONSTITUENTS": "3",
    }
    now = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=hours)
    return run(None, Parameters(now, date(2025, 12, 5)), kill_at)


def first(kill_at: str | None, hours: float) -> Run:
    """The first run."""
    return run(market(), Parameters(evening(DAYS[20], hours), DAYS[20]), kill_at)


def set_aside(kill_at: str | None, hours: float) -> Run:
    """The daily job with a bar that is set aside, which is alerted."""
    return run(market(jump=True), Parameters(evening(DAYS[20], hours), DAYS[20]), kill_at)


def resending(kill_at: str | None, hours: float) -> Run:
    """Alerts that no channel took are sent; then the daily job, on the next session."""
    resend(load_settings(), evening(DAYS[20], 1 + hours))
    return run(market(changed=True), Parameters(evening(DAYS[21], hours), DAYS[21]), kill_at)


ACTS: Mapping[str, Callable[[str | None, float], Run]] = {
    "first run": first,
    "daily run": daily,
    "daily run on a DuckLake": daily,
    "backfill": backfill,
    "upgrade": upgrade,
    "accepting a bar": accepting,
    "report": report,
    "blocked and alerted": blocked,
    "set aside and alerted": set_aside,
    "alerts sent again": resending,
}
#: What ends the incidents of a scenario.
ENDS: Mapping[str, str] = {"blocked and alerted": "daily run", "set aside and alerted": "daily run"}
#: Outcomes of a scenario that is not disturbed.
EXPECTED: Mapping[str, set[str]] = {"blocked and alerted": {"blocked"}}


def prepare(name: str, home: Path) -> None:
    """Fills the folder `home` with what is there before the scenario."""
    home.mkdir(parents=True)
    if name == "upgrade":
        shipped = load_universe()
        kept = tuple(i for i in shipped.instruments if i.symbol in OF_THE_UPGRADE)
        pairs = tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= OF_THE_UPGRADE)
        world.write_universe(home, Universe(instruments=kept, pairs=pairs))
        old_warehouse(home / "warehouse")
        return
    members = [world.instrument("SPY", size_bucket="large"), world.instrument("IWM"), world.instrument("IJR")]
    world.write_universe(home, world.universe(*members, pairs=[("IWM", "SPY")]))
    os.chdir(home)
    if name == "daily run on a DuckLake":
        lake_of(home).parent.mkdir()
    os.environ |= environment(home)
    if name == "alerts sent again":
        # Nobody listens there.
        os.environ["ROTATION_ALERT_URLS"] = "json://127.0.0.1:9/"
    for n in {"first run": (), "set aside and alerted": (19,)}.get(name, (19, 20)):
        jump = name in ("accepting a bar", "alerts sent again")
        assert run(market(jump=jump), Parameters(evening(DAYS[n]), DAYS[n])).status == "published"


def old_warehouse(folder: Path) -> None:
    """Makes the warehouse that the older version left in `folder`."""
    folder.mkdir()
    with duckdb.connect(str(folder / "build.duckdb")) as con:
        con.execute("set timezone = 'UTC'")
        con.execute((OLD / "schema.sql").read_text(encoding="utf-8"))
        for path in sorted(OLD.glob("*.csv")):
            schema, _, table = path.stem.partition("_")
            con.execute(f"copy {schema}.{table} from '{path}' (format csv, header)")
    shutil.copy(folder / "build.duckdb", folder / "rotation.duckdb")


def environment(home: Path) -> dict[str, str]:
    """The settings of a home."""
    return {
        "ROTATION_HOME": str(home / "warehouse"),
        "ROTATION_UNIVERSE": str(home / "universe.csv"),
        "ROTATION_HISTORY_START": "2024-01-02",
        "ROTATION_REPORT": "false",
        "XDG_STATE_HOME": str(home / "state"),
        **({"ROTATION_WAREHOUSE": f"ducklake:{lake_of(home)}"} if lake_of(home).parent.is_dir() else {}),
    }


def lake_of(home: Path) -> Path:
    """The catalog of the DuckLake in `home`, whose folder is there only where readers use one."""
    return home / "lake" / "rotation.ducklake"


def published_of(home: Path) -> warehouse.Published:
    """What readers of `home` use."""
    lake = lake_of(home)
    return (
        lake_address.parse(f"ducklake:{lake}", None) if lake.parent.is_dir() else home / "warehouse" / "rotation.duckdb"
    )


def copy(base: Path, home: Path) -> None:
    """Copies a home. The catalog of a DuckLake names the folder of its data."""
    shutil.copytree(base, home)
    if lake_of(home).exists():
        with duckdb.connect(str(lake_of(home))) as con:
            con.execute("update ducklake_metadata set value = $1 where key = 'data_path'", [f"{lake_of(home)}.files/"])


def content(path: warehouse.Published, schemas: tuple[str, ...] = ("core", "signals")) -> dict[str, str]:
    """A hash of each table of `schemas`, but for the columns that name the run."""
    with warehouse.reading(path) as con:
        tables = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where database_name = current_database() and list_contains($1, schema_name) order by all",
            [list(schemas)],
        ).fetchall()
        hashes = {}
        for (table,) in tables:
            columns = ", ".join(name for name in con.table(table).columns if name not in OF_THE_RUN)
            query = (
                f"select count(*), bit_xor(hash(t)), sum(hash(t)::hugeint) from (select {columns} from {table}) as t"
            )
            hashes[table] = str(con.execute(query).fetchone())
        return hashes


def differs_from_rebuilt(settings: Settings, now: datetime) -> list[str]:
    """The published tables of `core` and `signals` that differ, in any bit, from those that `rotation rebuild` derives from the same `raw`."""
    target = settings.home / "rebuilt.duckdb"
    rebuild(settings, None, target, now)
    found, expected = content(settings.published), content(target)
    target.unlink()
    return sorted(name for name in found | expected if found.get(name) != expected.get(name))
