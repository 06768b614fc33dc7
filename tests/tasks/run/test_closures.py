"""A closure of the exchange that the installed calendar does not know: a question, an answer on record, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import exchange_calendars
import pandas as pd
import pytest
import webhook
import world
from click.testing import CliRunner
from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar

from market_rotation.flows.cli.main import main
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.alerts import watchdog
from market_rotation.tasks.errors import AuditFailed, ConfigError, SourceUnavailable
from market_rotation.tasks.operations import status
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import price_frame
from market_rotation.tasks.warehouse import closures, macros
from market_rotation.tasks.warehouse.rebuild import rebuild

#: Mourning for President Carter, announced on 30 December 2024.
CLOSED = date(2025, 1, 9)
START = date(2024, 12, 2)
PUBLISHED = Path("warehouse/rotation.duckdb")
SYMBOLS = ("SPY", "IWM", "IJR")


class Unaware(XNYSExchangeCalendar):
    """The calendar as it was installed before the closure was announced."""

    @property
    def adhoc_holidays(self) -> list[pd.Timestamp]:
        return [day for day in super().adhoc_holidays if day != pd.Timestamp(CLOSED)]


@pytest.fixture(autouse=True)
def unaware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    known = world.days(START, date(2025, 1, 17))
    assert CLOSED not in known
    monkeypatch.setattr(exchange_calendars, "get_calendar", lambda name, start, end: Unaware(start=start, end=end))
    monkeypatch.setattr("exchange_calendars.exchange_calendar_xnys.XNYSExchangeCalendar", Unaware)
    calendar.load.cache_clear()
    # A symbol of three without an answer would block the run for that alone.
    members = world.universe(*(world.instrument(s, in_breadth=s != "IJR") for s in SYMBOLS), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", str(START))
    assert calendar.load(START, CLOSED).is_session(CLOSED)
    yield
    calendar.load.cache_clear()


def market(*also: str) -> world.FakeSource:
    """Bars on the true sessions, and of the symbols in `also` on the closed day too."""
    calendar.load.cache_clear()
    true = [day.date() for day in XNYSExchangeCalendar(start=str(START), end="2025-02-03").sessions]
    frames: dict[str, pd.DataFrame | Exception] = {}
    for symbol in SYMBOLS:
        days = sorted({*true, *([CLOSED] if symbol in also else [])})
        plain = {"symbol": symbol, "session": days, "close": [100.0 + i % 7 for i in range(len(days))]}
        frames[symbol] = price_frame({**plain, "dividend": 0.0, "capital_gain": 0.0, "split_ratio": 1.0})
    return world.FakeSource(frames)


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC)


def run(day: date, source: world.FakeSource | None = None) -> Run:
    return pipeline.run(Parameters(evening(day)), pipeline.Steps(fetch=world.fetch_in_order), source or market())


def published(path: Path = PUBLISHED) -> list[date]:
    with warehouse.reading(path) as con:
        days = con.execute(
            "select distinct session from core.prices where session > '2025-01-06' order by 1"
        ).fetchall()
        sessions = con.execute("select session from core.sessions where session > '2025-01-06' order by 1").fetchall()
        assert days == sessions
        return [day for (day,) in days]


def january(*days: int) -> list[date]:
    return [date(2025, 1, day) for day in days]


def test_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is blocked by one reason, which names the day and the command; the alert asks, and later evenings ask the same."""
    run(date(2025, 1, 8))
    with webhook.serving() as hook:
        monkeypatch.setenv("ROTATION_ALERT_URLS", hook.url())
        made = run(CLOSED)
        assert run(date(2025, 1, 10)).status == "blocked"
    assert made.status == "blocked"
    assert isinstance(made.error, AuditFailed)
    assert [failure.expectation for failure in made.error.failures] == ["session_has_bars"]
    assert made.message.startswith("No symbol has a bar for a session of the calendar.")
    assert "`rotation closures accept DATE --because TEXT`" in made.message
    assert "2025-01-09" in made.message
    title = "Blocked: was the exchange closed on 2025-01-09?"
    assert [message["title"] for message in hook.messages] == [
        f"market-rotation: {title}",
        f"market-rotation: Still open after 24 hours: {title}",
    ]
    assert 'rotation closures accept 2025-01-09 --because "…"' in hook.messages[0]["message"]
    assert published() == january(7, 8)


@pytest.mark.long_after(1)
@pytest.mark.parametrize("fault", ["a dead symbol", "a bad bar", "no answer"])
def test_the_question_is_asked_although_rows_are_set_aside(fault: str) -> None:
    """What is set aside of other days or for want of an answer explains no session without bars, so the question comes first."""
    run(date(2025, 1, 7))
    source = market()
    frame = source.frames["IJR"]
    if fault == "a dead symbol":
        source.frames["IJR"] = frame[frame["session"] < "2025-01-08"]
    elif fault == "a bad bar":
        frame.loc[frame["session"] == "2025-01-08", "close"] = -1.0
    else:
        source.frames["IJR"] = SourceUnavailable("No answer for IJR.")
    made = run(CLOSED, source)
    assert made.status == "blocked"
    assert isinstance(made.error, AuditFailed)
    assert [failure.expectation for failure in made.error.failures] == ["session_has_bars"]
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select fingerprint from ops.alerts").fetchall() == [("blocked:closure",)]


@pytest.mark.long_after(0)
def test_accepted_by_command() -> None:
    """The next run publishes what came since, windows have no hole, and status, watchdog, rebuild and the list know it."""
    run(date(2025, 1, 8))
    assert run(date(2025, 1, 10)).status == "blocked"
    calendar.load.cache_clear()
    done = CliRunner().invoke(main, ["closures", "accept", "2025-01-09", "--because", "mourning for President Carter"])
    assert done.exit_code == 0, done.output
    assert run(date(2025, 1, 10)).status == "published"
    assert run(date(2025, 1, 10)).status == "up_to_date"
    assert run(date(2025, 1, 13)).status == "published"
    assert published() == january(7, 8, 10, 13)
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select session, because from ops.closures").fetchall() == [
            (CLOSED, "mourning for President Carter")
        ]
        assert con.execute("select previous_session from core.sessions where session = '2025-01-10'").fetchone() == (
            date(2025, 1, 8),
        )
        assert con.execute(
            "select count(*) from core.prices where return_1d is null and session > '2025-01-06'"
        ).fetchone() == (0,)
    settings = load_settings()
    rebuilt = rebuild(settings, None, None, evening(date(2025, 1, 13)))
    assert published(Path(str(rebuilt.path))) == january(7, 8, 10, 13)
    assert status.read(settings, evening(date(2025, 1, 14)) - timedelta(hours=6)).freshness[0].sessions_behind == 0
    listed = CliRunner().invoke(main, ["closures", "list"]).output
    assert "2025-01-09" in listed
    assert "mourning" in listed


@pytest.mark.long_after(0)
def test_on_the_evening_of_the_closure_itself() -> None:
    """Once accepted, nothing is due that day: the run, `rotation status` and the watchdog say so."""
    run(date(2025, 1, 8))
    closures.accept(load_settings(), CLOSED, "mourning", "me", evening(date(2025, 1, 8)))
    made = run(CLOSED)
    assert (made.status, made.session) == ("up_to_date", date(2025, 1, 8))
    assert "2025-01-09 is not a session of the exchange." in made.message
    late = datetime(2025, 1, 10, 2, tzinfo=UTC)
    assert status.read(load_settings(), late).healthy
    assert watchdog.watch(late) is None


@pytest.mark.long_after(0)
@pytest.mark.parametrize("how", ["command", "setting"])
def test_the_question_is_answered_the_same_evening(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run ends its incident, although nothing is due before the next session."""
    run(date(2025, 1, 8))
    assert run(CLOSED).status == "blocked"
    if how == "command":
        closures.accept(load_settings(), CLOSED, "mourning", "me", evening(CLOSED))
    else:
        monkeypatch.setenv("ROTATION_EXTRA_CLOSURES", str(CLOSED))
    made = pipeline.run(
        Parameters(evening(CLOSED) + timedelta(hours=1)), pipeline.Steps(fetch=world.fetch_in_order), market()
    )
    assert (made.status, made.session) == ("up_to_date", date(2025, 1, 8))
    with warehouse.reading(PUBLISHED) as con:
        assert macros.rows(con, "from incidents()") == []
        assert con.execute("select kind from ops.alerts order by created_at").fetchall() == [
            ("failure",),
            ("recovery",),
        ]


@pytest.mark.long_after(0)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_set(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ROTATION_EXTRA_CLOSURES and the key in rotation.toml do the same."""
    if where == "environment":
        monkeypatch.setenv("ROTATION_EXTRA_CLOSURES", "2025-01-09, 2025-07-04")
    else:
        Path("warehouse").mkdir()
        Path("warehouse/rotation.toml").write_text("extra_closures = [2025-01-09]\n")
    assert run(date(2025, 1, 10)).status == "published"
    assert published() == january(7, 8, 10)


def test_a_wrong_date_in_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with the setting."""
    monkeypatch.setenv("ROTATION_EXTRA_CLOSURES", "2025-01-09,2025-13-01")
    with pytest.raises(ConfigError, match=r"ROTATION_EXTRA_CLOSURES: .*2025-13-01"):
        load_settings()


@pytest.mark.long_after(0)
@pytest.mark.parametrize("how", ["command", "setting"])
def test_bars_of_the_day_appear_later(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange was open after all: the bars are taken, the day is a session again and stays one; nothing was lost."""
    run(date(2025, 1, 8))
    if how == "command":
        closures.accept(load_settings(), CLOSED, "a guess", "me", evening(CLOSED))
    else:
        monkeypatch.setenv("ROTATION_EXTRA_CLOSURES", "2025-01-09")
    assert run(date(2025, 1, 10)).status == "published"
    assert published() == january(7, 8, 10)
    everyone = market(*SYMBOLS)
    assert run(date(2025, 1, 13), everyone).status == "published"
    assert published() == january(7, 8, 9, 10, 13)
    assert run(date(2025, 1, 14), everyone).status == "published"
    assert published() == january(7, 8, 9, 10, 13, 14)
    assert "no, 3 symbols have a bar" in CliRunner().invoke(main, ["closures", "list"]).output


@pytest.mark.long_after(0)
def test_symbols_that_left_the_universe_do_not_keep_a_day_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most symbols are those of the universe as it is now: four others that it had before have no bar of the day and do not count."""
    gone = ("OLD1", "OLD2", "OLD3", "OLD4")
    members = [world.instrument(s, in_breadth=False) for s in ("IJR", *gone)]
    more = world.universe(world.instrument("SPY"), world.instrument("IWM"), *members, pairs=[("IWM", "SPY")])
    before = market()
    before.frames |= {symbol: before.frames["IWM"].assign(symbol=symbol) for symbol in gone}
    (tmp_path / "before").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path / "before", more)))
        assert run(date(2025, 1, 8), before).status == "published"
    closures.accept(load_settings(), CLOSED, "a guess", "me", evening(CLOSED))
    assert run(date(2025, 1, 10)).status == "published"
    assert run(date(2025, 1, 13), market("SPY", "IWM")).status == "published"
    assert published() == january(7, 8, 9, 10, 13)


@pytest.mark.long_after(0)
def test_one_symbol_with_a_bar_of_a_closed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor's stray bar opens no exchange: it is set aside, and kept."""
    monkeypatch.setenv("ROTATION_EXTRA_CLOSURES", "2025-01-09")
    assert run(date(2025, 1, 10), market("IJR")).status == "published"
    assert published() == january(7, 8, 10)
    with warehouse.reading(PUBLISHED) as con:
        found = con.execute("select symbol, session, expectation, row_json from ops.quarantine").fetchall()
    assert [row[:3] for row in found] == [("IJR", CLOSED, "on_a_session")]
    assert json.loads(found[0][3])["close"] > 0


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("day", "because", "sentence"),
    [
        ("2025-01-09", " ", "needs a reason"),
        ("2025-01-11", "storm", "no session on 2025-01-11 anyway"),
        ("2025-01-07", "storm", "3 symbols have a bar on 2025-01-07, so the exchange was open"),
        ("2026-01-08", "storm", "more than 60 days ahead"),
        ("2023-01-09", "storm", "before ROTATION_HISTORY_START"),
    ],
)
def test_what_cannot_be_accepted(day: str, because: str, sentence: str) -> None:
    """A day that is not a session or has bars, a typing error, a missing reason: each in one sentence, and nothing is recorded."""
    run(date(2025, 1, 8))
    with pytest.raises(ConfigError, match=sentence):
        closures.accept(load_settings(), date.fromisoformat(day), because, "me", evening(CLOSED))
    closures.accept(load_settings(), CLOSED, "storm", "me", evening(CLOSED))
    with pytest.raises(ConfigError, match="already accepted on 2025-01-09 by me"):
        closures.accept(load_settings(), CLOSED, "storm", "me", evening(CLOSED))
