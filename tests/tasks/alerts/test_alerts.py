"""Alerts: one message per incident and window, exactly one when it is over, none ever lost, and no secret anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import webhook
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver
from market_rotation.tasks.errors import SourceUnavailable
from market_rotation.tasks.run import context
from market_rotation.tasks.settings import load_settings

DAYS = world.days(date(2024, 1, 2))
SYMBOLS = ["SPY", "IWM", "IJR", "XLK", "XLE", "XLF"]
SECRET = "s3cr3t-t0k3n"  # noqa: S105
PUBLISHED = Path("warehouse/rotation.duckdb")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[webhook.Webhook]:
    """One channel, a webhook."""
    with webhook.serving() as server:
        monkeypatch.setenv("ROTATION_ALERT_URLS", server.url(SECRET))
        yield server


@pytest.fixture(autouse=True)
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A universe of six symbols, real by name, since nobody is alarmed about a simulated market."""
    universe = world.universe(
        world.instrument("SPY", size_bucket="large"),
        *map(world.instrument, SYMBOLS[1:3]),
        *(world.instrument(symbol, kind="sector", sector=symbol) for symbol in SYMBOLS[3:]),
        pairs=[("IWM", "SPY")],
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, universe)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")


def market() -> world.FakeSource:
    closes = {s: [100.0 + 10 * k + ((i * (k + 3)) % 11) * 0.3 for i in range(60)] for k, s in enumerate(SYMBOLS)}
    return world.FakeSource({symbol: world.bars(symbol, values) for symbol, values in closes.items()})


def duplicated() -> world.FakeSource:
    """The market, giving every bar of IWM twice, which blocks."""
    source = market()
    source.frames["IWM"] = pd.concat([source.frames["IWM"]] * 2).sort_values("session")
    return source


def holed() -> world.FakeSource:
    """The market, with a negative close of IJR on session 31, which sets that bar aside."""
    source = market()
    source.frames["IJR"].loc[31, "close"] = -5.0
    return source


def evening(day: date, hours: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC) + timedelta(hours=hours)


def outbox(columns: str = "fingerprint, kind") -> list[tuple]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(f"select {columns} from ops.alerts order by created_at, fingerprint").fetchall()


def cli(*arguments: str):
    return CliRunner().invoke(main, list(arguments), prog_name="rotation")


def test_a_blocked_run_says_all_that_one_needs(hook: webhook.Webhook) -> None:
    """What failed, how many rows, three of them, since when, what readers still see, and what to do next."""
    world.run(market(), DAYS[30])
    run = world.run(duplicated(), DAYS[31])
    assert run.status == "blocked"
    (message,) = hook.messages
    assert message["type"] == "failure"
    assert message["title"] == f"market-rotation: Blocked: {DAYS[31]} is not published, prices failed the audit"
    body = message["message"]
    assert "The source gave the same bar more than once" in body
    assert "one_row_per_bar: 11 rows, such as" in body
    assert body.count('{"symbol": "IWM", "session": "2024-') == 3
    assert f"Since: {DAYS[31]} 23:30 UTC." in body
    assert f"The warehouse shows {DAYS[30]}, published {DAYS[30]} 23:30 UTC." in body
    assert f"where run_id = '{run.run_id}'" in body
    assert "`rotation run`" in body
    assert outbox("fingerprint, kind, severity, session, attempts, last_error") == [
        ("blocked:prices", "failure", "critical", DAYS[31], 1, None)
    ]
    assert outbox("sent_at is not null, run_id") == [(True, run.run_id)]


def test_three_days_in_a_row_within_one_window(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocked three days in a row is one alert in a window of a week, then one recovery with its duration, then silence."""
    monkeypatch.setenv("ROTATION_ALERT_REPEAT_H", "168")
    world.run(market(), DAYS[30])
    for day in DAYS[31:34]:
        assert world.run(duplicated(), day).status == "blocked"
    assert len(hook.messages) == 1
    for day in DAYS[34:36]:
        assert world.run(market(), day).status == "published"
    assert [message["type"] for message in hook.messages] == ["failure", "success"]
    days = (DAYS[34] - DAYS[31]).days
    assert hook.messages[1]["title"].startswith(f"market-rotation: Recovered after {days} days: Blocked: {DAYS[31]}")
    assert f"The warehouse shows {DAYS[34]}" in hook.messages[1]["message"]
    assert outbox() == [("blocked:prices", "failure"), ("blocked:prices", "recovery")]


def test_three_days_in_a_row_are_one_alert_a_day(hook: webhook.Webhook) -> None:
    """With the usual window of a day each evening says that it lasts, however often one tries in between; the fourth escalates."""
    world.run(market(), DAYS[30])
    for day in range(4):
        for hours in (0, 2):
            assert world.run(duplicated(), DAYS[31], evening(DAYS[31], 24 * day + hours)).status == "blocked"
    assert outbox("kind") == [("failure",), ("reminder",), ("reminder",), ("escalation",)]
    assert len(hook.messages) == 4
    assert hook.messages[1]["title"].startswith("market-rotation: Still after 24 hours: Blocked:")
    assert hook.messages[3]["title"].startswith("market-rotation: Still after 3 days: Blocked:")
    assert all(f"Since: {DAYS[31]} 23:30 UTC." in message["message"] for message in hook.messages)


def test_a_second_incident_is_new(hook: webhook.Webhook) -> None:
    """After a recovery the same fault is alerted at once, though the window has not passed."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    world.run(market(), DAYS[31], evening(DAYS[31], 1))
    world.run(duplicated(), DAYS[32])
    assert outbox("kind") == [("failure",), ("recovery",), ("failure",)]


def test_success_for_an_older_session_ends_nothing(hook: webhook.Webhook) -> None:
    """That an earlier session is up to date says nothing about the one that was blocked."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    assert world.run(market(), DAYS[30], evening(DAYS[31], 1)).status == "up_to_date"
    assert outbox("kind") == [("failure",)]


def test_what_is_set_aside_is_a_warning(hook: webhook.Webhook) -> None:
    """Rows set aside are one message with the row, silence while nothing new is, and one recovery when they came back."""
    world.run(market(), DAYS[30])
    for hours in (0, 24, 96):
        assert world.run(holed(), DAYS[31], evening(DAYS[31], hours)).status in ("published", "up_to_date")
    (message,) = hook.messages
    assert message["title"] == "market-rotation: Set aside: 1 of prices, prices_positive"
    assert f"IJR {DAYS[31]}" in message["message"]
    assert "-5.0" in message["message"]
    assert f"The warehouse shows {DAYS[31]}" in message["message"]
    assert outbox("severity") == [("warning",)]
    world.run(market(), DAYS[31], evening(DAYS[31], 97))
    assert outbox() == [
        ("set-aside:prices:prices_positive", "failure"),
        ("set-aside:prices:prices_positive", "recovery"),
    ]


def test_many_at_once_are_one_message(hook: webhook.Webhook) -> None:
    """When more than three alerts wait they go out as one message, and each is recorded as sent."""
    world.run(market(), DAYS[30])
    source = market()
    frame = source.frames["IJR"]
    frame.loc[31, "close"] = -5.0
    source.frames["XLE"].loc[31, "volume"] = -1
    source.frames["XLF"].loc[31, ["open", "high", "low"]] = [100.0, 1.0, 1.0]
    source.frames["XLK"] = source.frames["XLK"].drop(index=31)
    assert world.run(source, DAYS[31]).status == "published"
    assert len(outbox()) == 4
    (message,) = hook.messages
    assert message["title"] == "market-rotation: 4 alerts"
    for (title,) in outbox("title"):
        assert title in message["message"]
    assert outbox("sent_at is not null, attempts") == [(True, 1)] * 4


def test_a_failed_run_is_alerted(hook: webhook.Webhook) -> None:
    """A source that says nothing is a failed run, alerted in its words, and over with the next good run."""
    world.run(market(), DAYS[30])
    dead = world.FakeSource(dict.fromkeys(SYMBOLS, SourceUnavailable("The line is dead; try later.")))
    assert world.run(dead, DAYS[31]).status == "failed"
    assert "The line is dead" in hook.messages[0]["message"]
    assert hook.messages[0]["title"] == f"market-rotation: Failed: {DAYS[31]} is not published"
    world.run(market(), DAYS[31], evening(DAYS[31], 1))
    assert outbox() == [("failed", "failure"), ("failed", "recovery")]


def test_an_unexpected_error_is_alerted(hook: webhook.Webhook) -> None:
    """Also what nobody thought of is on record and alerted before it is raised; who interrupts a run is not told so."""
    for error, count in ((ZeroDivisionError("division by zero"), 1), (KeyboardInterrupt(), 1)):
        with pytest.raises(type(error)), context.opened(DAYS[30], None, evening(DAYS[30])):
            raise error
        assert len(hook.messages) == count
    assert "ZeroDivisionError: division by zero" in hook.messages[0]["message"]


@pytest.mark.parametrize("down", [500, 404, 0], ids=["refuses", "is gone", "is not reached"])
def test_a_channel_that_is_down_loses_nothing(
    hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch, down: int
) -> None:
    """The run ends as it would have; what could not be sent stays, says why, and goes out with the next run."""
    world.run(market(), DAYS[30])
    if down:
        hook.status = down
    else:
        monkeypatch.setenv("ROTATION_ALERT_URLS", "json://127.0.0.1:1/hook")
    assert world.run(duplicated(), DAYS[31]).status == "blocked"
    assert hook.messages == []
    reason = f"1:json: HTTP {down}" if down else "1:json: no connection, or not accepted"
    assert outbox("sent_at, attempts, last_error") == [(None, 1, reason)]
    hook.status = 200
    monkeypatch.setenv("ROTATION_ALERT_URLS", hook.url())
    assert world.run(market(), DAYS[31], evening(DAYS[31], 1)).status == "published"
    assert [message["type"] for message in hook.messages] == ["failure", "success"]
    assert outbox("sent_at is not null, attempts") == [(True, 2), (True, 1)]


def test_of_two_channels_one_is_down(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each channel gets each message once: the one that is up at once, the other when it is back."""
    with webhook.serving() as other:
        monkeypatch.setenv("ROTATION_ALERT_URLS", f"{hook.url()} {other.url('other')}")
        hook.status = 503
        world.run(market(), DAYS[30])
        world.run(duplicated(), DAYS[31])
        assert (len(hook.messages), len(other.messages)) == (0, 1)
        assert outbox("sent_at, taken_by, last_error") == [(None, ["2:json"], "1:json: HTTP 503")]
        hook.status = 200
        assert cli("alerts", "resend").exit_code == 0
        assert (len(hook.messages), len(other.messages)) == (1, 1)
        assert outbox("sent_at is not null, taken_by") == [(True, ["2:json", "1:json"])]
        assert "Nothing waits to be sent." in cli("alerts", "resend").stdout


def test_what_is_a_week_old_is_no_news(hook: webhook.Webhook) -> None:
    """An alert that could not be sent for a week is not sent any more; it stays in the outbox."""
    world.run(market(), DAYS[30])
    hook.status = 500
    world.run(duplicated(), DAYS[31])
    hook.status = 200
    with warehouse.writing(load_settings().build) as con:
        assert deliver.send(con, load_settings(), evening(DAYS[31]) + timedelta(days=8)) == {}
        assert deliver.send(con, load_settings(), evening(DAYS[31]) + timedelta(days=6)) == {"1:json": None}


def test_without_channels_the_outbox_is_kept() -> None:
    """Alerts are written also where nobody is to be told."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    assert outbox("kind, sent_at, attempts") == [("failure", None, 0)]


def test_an_address_that_is_none(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt address changes no run and keeps no other channel from its message; the outbox says which one it is."""
    monkeypatch.setenv("ROTATION_ALERT_URLS", f"jso://{SECRET} {hook.url()}")
    world.run(market(), DAYS[30])
    assert world.run(duplicated(), DAYS[31]).status == "blocked"
    assert len(hook.messages) == 1
    assert outbox("last_error, taken_by") == [("1:unknown: not a usable Apprise address", ["2:json"])]


@pytest.mark.parametrize("status", [200, 401])
def test_no_secret_is_anywhere(
    hook: webhook.Webhook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    """Whether or not the channel takes it: no log at any level, table, file, screen or error holds a part of its address."""
    caplog.set_level(logging.DEBUG)
    hook.status = status
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    said = [cli("alerts", command) for command in ("list", "test", "resend")] + [cli("alerts", "list", "--json")]
    assert hook.asked >= 2
    shown = (
        caplog.text + "".join(result.output + str(result.exception) for result in said) + "".join(capfd.readouterr())
    )
    with warehouse.reading(PUBLISHED) as con:
        tables = con.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        for (table,) in tables:
            shown += str(con.execute(f"from {table}").fetchall())
    assert "blocked:prices" in shown
    assert SECRET not in shown
    assert f"127.0.0.1:{hook.port}" not in shown
    for path in Path("warehouse").iterdir():
        assert SECRET.encode() not in path.read_bytes(), path


def test_the_list_of_alerts(hook: webhook.Webhook) -> None:
    """`rotation alerts list` shows what was written and whether it was sent, for people and for programs."""
    world.run(market(), DAYS[30])
    assert "There never was an alert." in cli("alerts", "list").stdout
    world.run(duplicated(), DAYS[31])
    assert "Blocked:" in cli("alerts", "list").stdout
    (entry,) = json.loads(cli("alerts", "list", "--json").stdout)
    assert (entry["fingerprint"], entry["kind"], entry["attempts"]) == ("blocked:prices", "failure", 1)


def test_channels_can_be_tried(hook: webhook.Webhook) -> None:
    """`rotation alerts test` sends a message to every channel, and is 1 when one does not take it."""
    result = cli("alerts", "test")
    assert (result.exit_code, result.stdout.strip()) == (0, "1:json: taken.")
    assert hook.messages[0]["title"] == "market-rotation: test"
    hook.status = 403
    result = cli("alerts", "test")
    assert result.exit_code == 1
    assert "1:json: did not take it (HTTP 403)" in result.stdout


@pytest.mark.parametrize("command", ["test", "resend"])
def test_trying_needs_a_channel(command: str) -> None:
    """Without a channel both are exit 2 with how to set one."""
    result = cli("alerts", command)
    assert result.exit_code == 2
    assert "set ROTATION_ALERT_URLS" in result.stderr


def test_a_fault_of_the_delivery_itself_changes_no_run(
    hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Should sending fail in a way nobody thought of, the run ends as it would have, and the alert stays in the outbox."""
    world.run(market(), DAYS[30])

    def broken(settings: object) -> None:
        raise RuntimeError(f"no way to {hook.url(SECRET)}")

    with monkeypatch.context() as patch:
        patch.setattr(deliver, "channels", broken)
        assert world.run(holed(), DAYS[31]).status == "published"
    assert "The alerts could not be sent (RuntimeError)" in caplog.text
    assert SECRET not in caplog.text
    assert outbox("kind, sent_at") == [("failure", None)]
    world.run(holed(), DAYS[31], evening(DAYS[31], 1))
    assert len(hook.messages) == 1


def test_a_simulated_market_is_said_to_be_one(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is alarmed by a demonstration: the message names the simulated market."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    assert hook.messages[0]["title"].startswith("market-rotation (SIMULATED MARKET): Blocked:")
