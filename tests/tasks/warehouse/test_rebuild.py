"""Deriving again from `raw`: five daily runs, one that catches up, and the warehouse as it was known after each of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import AuditFailed, ConfigError, RotationError
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe
from market_rotation.tasks.warehouse import rebuild

#: Across the split of XLK on 5 December 2025, which restates its whole history.
DAYS = world.days(date(2025, 12, 2), date(2025, 12, 9))
MEMBERS = {"SPY", "IWB", "IWM", "SPSM", "RSP", "XLK", "XLE", "XLF", "AAPL", "NVDA"}
NOW = datetime(2025, 12, 13, tzinfo=UTC)
#: A snapshot of a past day cannot be requested later: vendors publish only current costs and holdings.
SNAPSHOTS = (
    *("core.fund_facts", "core.holdings", "core.earnings_growth", "signals.earnings_momentum"),
    *("signals.constituent_breadth", "signals.fund_overlap"),
)
OF_SNAPSHOTS = (
    *("expense_ratio", "holdings_count", "total_net_assets_usd", "trailing_pe", "top10_weight_pct"),
    "effective_holdings",
)


@dataclass(frozen=True)
class Homes:
    """A home that was run day by day, and a copy of the published file of each day."""

    daily: Path
    copies: dict[date, Path]


def run_on(days: Sequence[date], root: Path) -> None:
    """Runs of `days` in the home `root / "home"`, with a copy of the published file of each."""
    shipped = load_universe()
    pairs = tuple(pair for pair in shipped.pairs if {pair.small_symbol, pair.large_symbol} <= MEMBERS)
    members = Universe(instruments=tuple(i for i in shipped.instruments if i.symbol in MEMBERS), pairs=pairs)
    source = SampleSource(calendar.load(date(1993, 1, 29), DAYS[-1]), members.instruments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_SOURCE", "sample")
        patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(root, members)))
        patch.setenv("ROTATION_HISTORY_START", "2024-09-03")
        patch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "0")
        patch.setenv("ROTATION_HOME", str(root / "home"))
        for day in days:
            assert world.run(source, day).status == "published"
            shutil.copy(root / "home" / "rotation.duckdb", root / f"{day}.duckdb")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    root = world.made_once(tmp_path_factory, "rebuild-daily", partial(run_on, DAYS))
    return Homes(root / "home", {day: root / f"{day}.duckdb" for day in DAYS})


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the same sessions, of which one run caught up with all but the first."""
    return world.made_once(tmp_path_factory, "rebuild-at-once", partial(run_on, (DAYS[0], DAYS[-1]))) / "home"


@pytest.fixture
def settings(homes: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Settings of a copy of the daily home, so that tests leave nothing behind."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shutil.copy(homes.daily / "rotation.duckdb", tmp_path / "home" / "rotation.duckdb")
    return load_settings()


def tables(path: Path) -> dict[str, pd.DataFrame]:
    """All tables of `core` and `signals`, and what was restated, in the order of their columns."""
    with warehouse.reading(path) as con:
        names = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('core', 'signals') order by all"
        ).fetchall()
        return {name: world.table(con, name) for (name,) in [*names, ("ops.revisions",)]}


def assert_same(found: dict[str, pd.DataFrame], wanted: dict[str, pd.DataFrame], ignored: tuple[str, ...] = ()) -> None:
    """The same tables with the same rows, floats within 1e-12; columns named in `ignored` are not looked at."""
    assert found.keys() == wanted.keys()
    for name, frame in found.items():
        left, right = (f.drop(columns=[c for c in ignored if c in f]) for f in (frame, wanted[name]))
        pd.testing.assert_frame_equal(left, right, rtol=1e-12, atol=1e-12, obj=name)


def known_after(homes: Homes, day: date) -> datetime:
    """The moment at which the run of `day` began to fetch, which is when its rows became known."""
    with warehouse.reading(homes.copies[day]) as con:
        (moment,) = con.execute("select max(started_at) from ops.runs").fetchone()
    return moment


@pytest.mark.long_after(0)
def test_catching_up_five_sessions_equals_five_daily_runs(homes: Homes, at_once: Path) -> None:
    """All of core and signals is the same, except for what only a run of that day can ask: snapshots of facts."""
    assert len(DAYS) == 6
    daily, caught_up = (tables(home / "rotation.duckdb") for home in (homes.daily, at_once))
    for found in (daily, caught_up):
        assert len(found) > 20
        for name in (*SNAPSHOTS, "ops.revisions"):
            del found[name]
    assert_same(daily, caught_up, ignored=("known_at", "run_id", *OF_SNAPSHOTS))


@pytest.mark.long_after(0)
def test_rebuild_equals_what_was_built_day_by_day(homes: Homes, settings) -> None:
    """Everything derived again from `raw` alone is what the daily runs left."""
    made = rebuild.rebuild(settings, None, None, NOW)
    assert made.path == settings.home / "rebuilt.duckdb"
    assert (made.session, made.is_simulated) == (DAYS[-1], True)
    assert_same(tables(Path(str(made.path))), tables(homes.daily / "rotation.duckdb"))


@pytest.mark.long_after(0)
@pytest.mark.parametrize("day", [DAYS[0], DAYS[2], DAYS[5]], ids=str)
def test_rebuild_as_of_a_day_is_what_was_published_then(homes: Homes, settings, tmp_path: Path, day: date) -> None:
    """As known right after the run of a day, also before the split was known, every table is the published one of that day."""
    made = rebuild.rebuild(settings, known_after(homes, day) + timedelta(seconds=1), tmp_path / "then.duckdb", NOW)
    assert made.session == day
    assert_same(tables(Path(str(made.path))), tables(homes.copies[day]))


@pytest.mark.long_after(0)
def test_prices_before_the_split_was_known_are_those_of_then(homes: Homes, settings, tmp_path: Path) -> None:
    """XLK closed at twice as much, as people saw it, before its split halved the whole history."""
    closes: list[float] = []
    for path in (
        rebuild.rebuild(settings, known_after(homes, DAYS[2]), tmp_path / "then.duckdb", NOW).path,
        settings.published,
    ):
        with warehouse.reading(path) as con:
            closes += con.execute(
                "select close from core.prices where symbol = 'XLK' and session = $1", [DAYS[1]]
            ).fetchone()
    assert closes[0] == pytest.approx(2 * closes[1], rel=1e-6)


@pytest.mark.long_after(0)
def test_the_ledgers_are_those_of_then(homes: Homes, settings, tmp_path: Path) -> None:
    """A rebuilt file has the runs up to then and no later ones."""
    path = rebuild.rebuild(settings, known_after(homes, DAYS[4]), tmp_path / "then.duckdb", NOW).path
    with warehouse.reading(path) as con:
        assert con.execute("select list(session order by session) from ops.runs").fetchone() == (DAYS[:5],)
        (strangers,) = con.execute("select count(*) from ops.validations anti join ops.runs using (run_id)").fetchone()
        (validations,) = con.execute("select count(*) from ops.validations").fetchone()
    assert strangers == 0
    assert validations > 0


@pytest.mark.long_after(0)
def test_the_warehouse_is_only_read(homes: Homes, settings) -> None:
    """A rebuild changes no byte of the published file, leaves no file but its own, and may be done again."""
    before = settings.published.read_bytes()
    for _ in range(2):
        rebuild.rebuild(settings, None, None, NOW)
    assert settings.published.read_bytes() == before
    assert sorted(path.name for path in settings.home.iterdir()) == ["rebuilt.duckdb", "rotation.duckdb"]


@pytest.mark.long_after(0)
def test_what_fails_its_audit_is_not_kept(homes: Homes, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the signals are not as they must be, a file made before stays as it was and nothing else is left."""
    path = rebuild.rebuild(settings, None, None, NOW).path
    before = Path(str(path)).read_bytes()
    build = warehouse.build

    def broken(con, *wanted: str) -> None:
        build(con, *wanted)
        con.execute("update signals.rotation_evidence set verdict = 2 where evidence = 'breadth'")

    monkeypatch.setattr(warehouse, "build", broken)
    with pytest.raises(AuditFailed):
        rebuild.rebuild(settings, None, None, NOW)
    assert Path(str(path)).read_bytes() == before
    assert sorted(path.name for path in settings.home.iterdir()) == ["rebuilt.duckdb", "rotation.duckdb"]


@pytest.mark.parametrize(
    ("as_of", "part"),
    [
        (NOW + timedelta(days=1), "is in the future; choose a past time."),
        (
            datetime(2025, 12, 1, tzinfo=UTC),
            "Nothing was known at 2025-12-01 00:00 UTC; the first prices came at 2025-12-02",
        ),
    ],
)
def test_moments_that_will_not_do(settings, as_of: datetime, part: str) -> None:
    """A moment that has not come, or at which nothing was known, is refused in a sentence."""
    with pytest.raises(ConfigError, match=part):
        rebuild.rebuild(settings, as_of, None, NOW)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("home/rotation.duckdb", "is the warehouse itself"),
        ("home/build.duckdb", "is the warehouse itself"),
        ("notes.txt", "exists and is not a warehouse"),
        ("empty.duckdb", "exists and is not a warehouse"),
    ],
)
def test_files_that_are_never_overwritten(settings, tmp_path: Path, name: str, part: str) -> None:
    """The warehouse, and a file that is something else, are refused and stay as they are."""
    (tmp_path / "notes.txt").write_text("precious")
    (tmp_path / "empty.duckdb").touch()
    with pytest.raises(ConfigError, match=part):
        rebuild.rebuild(settings, None, tmp_path / name, NOW)
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_before_anything_was_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a warehouse, or with an empty one, there is a sentence and no file."""
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path))
    with pytest.raises(RotationError, match="There is no warehouse"):
        rebuild.rebuild(load_settings(), None, None, NOW)
    with warehouse.writing(tmp_path / "rotation.duckdb"):
        pass
    with pytest.raises(RotationError, match="holds no prices yet"):
        rebuild.rebuild(load_settings(), None, None, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["rotation.duckdb"]


@pytest.mark.long_after(0)
def test_the_command(homes: Homes, settings, tmp_path: Path) -> None:
    """`rotation rebuild` says as of when, up to which session and where, marks simulated prices, and its file can be queried."""
    result = CliRunner().invoke(main, ["rebuild", "--as-of", f"{DAYS[4]}", "--to", str(tmp_path / "then.duckdb")])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert (
        f"SIMULATED MARKET: these are not real prices. as known at {DAYS[4]} 23:59 UTC session {DAYS[4]} from " in shown
    )
    assert shown.endswith(f"warehouse {tmp_path}/then.duckdb")
    with warehouse.reading(tmp_path / "then.duckdb") as con:
        assert con.execute("select max(session) from signals.rotation_regime").fetchone() == (DAYS[4],)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-12-05", datetime(2025, 12, 5, 23, 59, 59, 999999, UTC)),
        ("2025-12-05T23:30", datetime(2025, 12, 5, 23, 30, tzinfo=UTC)),
        ("2025-12-05T18:30-05:00", datetime(2025, 12, 5, 23, 30, tzinfo=UTC)),
        ("2025-12-05 23:30:01Z", datetime(2025, 12, 5, 23, 30, 1, tzinfo=UTC)),
    ],
)
def test_moments_as_people_write_them(monkeypatch: pytest.MonkeyPatch, text: str, moment: datetime) -> None:
    """A day means its end, a moment without time zone is UTC, and one with it is what it says."""
    asked = []

    def record(settings, as_of: datetime, target, now) -> None:
        asked.append(as_of)
        raise RotationError("That will do.")

    monkeypatch.setattr(rebuild, "rebuild", record)
    assert CliRunner().invoke(main, ["rebuild", "--as-of", text]).exit_code == 1
    assert asked == [moment]


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "2025-12-0", "2025-12-01T25:00"])
def test_what_is_no_moment(text: str) -> None:
    """A moment that cannot be read is exit 2 with how to write it."""
    result = CliRunner().invoke(main, ["rebuild", "--as-of", text])
    assert result.exit_code == 2
    assert f"'{text}' is not a timestamp; write it as 2026-01-16" in result.stderr
