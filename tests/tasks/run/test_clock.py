"""The machine's clock: a year ahead, a year behind, and a warehouse in which a wrong clock left its marks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.warehouse import macros
from market_rotation.tasks.warehouse.rebuild import rebuild

DAYS = world.days()
PUBLISHED, BUILD = Path("warehouse/rotation.duckdb"), Path("warehouse/build.duckdb")
NOW = datetime(2024, 2, 2, 23, 30, tzinfo=UTC)
YEAR = timedelta(days=365)
CLOSES = [100.0 + (i * 7) % 11 for i in range(300)]


@pytest.fixture(autouse=True)
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, made)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")


def run(now: datetime, bars: int, source: world.FakeSource | None = None) -> Run:
    """A run by the clock at `now`, with a vendor whose history has so many bars; the session is the last by that clock."""
    source = source or world.FakeSource({s: world.bars(s, CLOSES[:bars]) for s in ("SPY", "IWM")})
    return pipeline.run(Parameters(now), pipeline.Steps(fetch=world.fetch_in_order), source)


def count(condition: str) -> int:
    with warehouse.reading(PUBLISHED) as con:
        (number,) = con.execute(f"select count(*) from {condition}").fetchone() or (0,)
        return int(number)


def test_a_clock_a_year_ahead() -> None:
    """It is refused in one sentence; the next run by the right clock publishes, and nothing is known in the future."""
    assert run(NOW, 23).status == "published"
    ahead = run(NOW + YEAR, 23)
    assert ahead.status == "failed"
    missing = len(world.days(date(2024, 2, 5), date(2025, 1, 31)))
    assert ahead.message.startswith(
        "The clock of this machine says 2025-02-01 23:30 UTC, but the newest bar of any symbol is of 2024-02-02, "
        f"{missing} sessions before the last closed one: correct the clock"
    )
    later = run(NOW + timedelta(days=3), 24)
    assert (later.status, later.known_at) == ("published", NOW + timedelta(days=3))
    assert count("ops.runs where started_at > '2024-02-06'") == 0
    assert count("ops.runs") == 3
    assert count(f"core.prices where session = '{DAYS[23]}'") == 2


@pytest.mark.long_after(0)
def test_the_first_run_with_a_clock_a_year_ahead() -> None:
    """Nothing is known yet that the clock could contradict but what the source gives."""
    assert run(NOW + YEAR, 23).status == "failed"
    made = run(NOW, 23)
    assert (made.status, made.known_at) == ("published", NOW)


@pytest.mark.long_after(1)
@pytest.mark.parametrize("ahead", [timedelta(days=5), timedelta(days=40), YEAR], ids=str)
def test_the_alert_of_a_clock_that_was_ahead_ends_with_the_next_run(ahead: timedelta) -> None:
    """The session of the alert has not come yet, by the right clock; the incident is over all the same, once."""
    run(NOW, 23)
    assert run(NOW + ahead, 23).status in ("failed", "blocked")
    assert run(NOW + timedelta(days=3), 24).status == "published"
    with warehouse.reading(PUBLISHED) as con:
        kinds = con.execute("select kind from ops.alerts order by created_at, kind").fetchall()
        assert kinds == [("failure",), ("recovery",)]
        assert con.execute("select max(session) from ops.runs").fetchone() == (DAYS[23],)


def _open_incidents() -> list[str]:
    with warehouse.reading(PUBLISHED) as con:
        return [row["fingerprint"] for row in macros.rows(con, "from incidents()")]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("ahead", [timedelta(hours=23), timedelta(days=1)], ids=str)
def test_the_alert_of_a_clock_that_was_a_day_ahead_ends_the_same_evening(ahead: timedelta) -> None:
    """Its session has not come yet, so the incident is over with the next run by the right clock, and nothing stays in the future."""
    thursday = NOW - timedelta(days=1)
    run(thursday, 22)
    assert run(thursday + ahead, 22).status == "blocked"
    assert _open_incidents() == ["blocked:closure"]
    later = thursday + timedelta(minutes=30)
    assert run(later, 22).known_at == later
    assert _open_incidents() == []
    assert count(f"ops.runs where session > '{DAYS[21]}' or started_at > '{later.isoformat()}'") == 0


def test_an_incident_that_begins_after_a_clock_that_was_ahead() -> None:
    """It is open, although the alerts of the evening before seem to be later."""
    run(NOW, 23)
    with warehouse.writing(BUILD) as con:
        # As a run leaves it that takes long, by a clock some hours ahead.
        for place, kind in enumerate(("failure", "recovery")):
            con.execute(
                "insert into ops.alerts by name select $1 as alert_id, 'blocked:closure' as fingerprint, $1 as kind, 'critical' as severity, "
                "'' as title, '' as body, $2 as created_at, 0 as attempts",
                [kind, NOW + timedelta(days=3, minutes=5 + place)],
            )
    assert run(NOW + timedelta(days=3), 23).status == "blocked"
    assert _open_incidents() == ["blocked:closure"]


def _poison() -> None:
    """What an older version recorded when the clock was a year ahead: a published restatement, and times in the future."""
    run(NOW, 23)
    source = world.FakeSource({s: world.bars(s, CLOSES[:24]) for s in ("SPY", "IWM")})
    frame = source.frames["IWM"]
    frame.loc[20, "close"] = 104.0
    world.run(source, DAYS[23], NOW + timedelta(days=3))
    ahead, name = NOW + YEAR, f"{NOW + YEAR:%Y%m%dT%H%M%S%f}-abcdef"
    with warehouse.writing(BUILD) as con:
        (last,) = con.execute("select max(run_id) from ops.runs").fetchone() or (None,)
        for table in ("raw.prices", "raw.sessions"):
            con.execute(f"update {table} set run_id = $1, known_at = $2 where run_id = $3", [name, ahead, last])
        con.execute(
            "update ops.runs set run_id = $1, started_at = $2, finished_at = $2 where run_id = $3", [name, ahead, last]
        )
    PUBLISHED.unlink()


@pytest.mark.long_after(0)
def test_a_warehouse_with_times_in_the_future_heals() -> None:
    """Later runs win over what came by the wrong clock, also in `rebuild --as-of`, and no value is lost."""
    _poison()
    source = world.FakeSource({s: world.bars(s, CLOSES[:25]) for s in ("SPY", "IWM")})
    source.frames["IWM"].loc[20, "close"] = 99.5
    now = NOW + timedelta(days=4)
    made = run(now, 25, source)
    assert (made.status, made.known_at) == ("published", now)
    with warehouse.reading(PUBLISHED) as con:
        versions = con.execute(
            f"select close, known_at from raw.prices where symbol = 'IWM' and session = '{DAYS[20]}' order by known_at"
        ).fetchall()
        assert [close for close, _ in versions][-1] == 99.5
        assert [known_at for _, known_at in versions] == sorted(known_at for _, known_at in versions)
        assert con.execute(
            f"select close from core.prices where symbol = 'IWM' and session = '{DAYS[20]}'"
        ).fetchone() == (99.5,)
        for table in ("raw.prices", "raw.sessions", "core.prices"):
            assert con.execute(f"select max(known_at) <= $1 from {table}", [now]).fetchone() == (True,)
        assert con.execute("select count(*) from ops.runs semi join raw.prices using (run_id)").fetchone() == (3,)
    rebuilt = rebuild(load_settings(), now, None, now)
    assert rebuilt.session == DAYS[24]


@pytest.mark.long_after(0)
def test_a_clock_a_year_behind() -> None:
    """A run that would find all up to date with a session of last year is refused; one that names its session is not."""
    run(NOW + YEAR, 275)
    behind = run(NOW, 275)
    assert behind.status == "failed"
    assert behind.message.startswith(
        "The clock of this machine says 2024-02-02 23:30 UTC, but the warehouse has bars of 2025-01-31"
    )
    made = pipeline.run(
        Parameters(NOW, DAYS[10]),
        pipeline.Steps(fetch=world.fetch_in_order),
        world.FakeSource({s: world.bars(s, CLOSES[:275]) for s in ("SPY", "IWM")}),
    )
    assert made.status in ("published", "up_to_date"), made.message


@pytest.mark.long_after(1)
@pytest.mark.parametrize("year", [1970, 2004, 2300, 9999])
def test_a_clock_beyond_any_calendar(year: int) -> None:
    """An exhausted battery or a typing error ends in one sentence that names the clock."""
    made = run(datetime(year, 6, 1, tzinfo=UTC), 24)
    assert made.status == "failed"
    assert "clock of this machine" in made.message
    assert "Traceback" not in made.message
    assert "Error:" not in made.message
