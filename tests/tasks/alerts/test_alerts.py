"""Alerts: one message per incident and window, exactly one when it is over, none ever lost, and no secret anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import webhook
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver, failures, incidents, without_outbox
from market_rotation.tasks.alerts import outbox as outbox_module
from market_rotation.tasks.errors import AuditFailed, ConfigError, Failure, SourceUnavailable
from market_rotation.tasks.run.ledger import Run
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
    """A universe of six symbols of a source that is not simulated, since simulated data does not alert."""
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
    assert body.count("IWM 2024-") == 3
    assert "{" not in body
    assert f"Since: {DAYS[31]} 23:30 UTC." in body
    assert f"The warehouse shows {DAYS[30]}, published {DAYS[30]} 23:30 UTC." in body
    assert f"where run_id = '{run.run_id}'" in body
    assert "`rotation run`" in body
    assert outbox("fingerprint, kind, severity, session, attempts, last_error") == [
        ("blocked:prices", "failure", "critical", DAYS[31], 1, None)
    ]
    assert outbox("sent_at is not null, run_id") == [(True, run.run_id)]


@pytest.mark.long_after(0)
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


@pytest.mark.long_after(0)
def test_three_days_in_a_row_are_one_alert_a_day(hook: webhook.Webhook) -> None:
    """With the default interval of a day, each evening sends one reminder regardless of runs in between; the fourth escalates."""
    world.run(market(), DAYS[30])
    for day in range(4):
        for hours in (0, 2):
            assert world.run(duplicated(), DAYS[31], evening(DAYS[31], 24 * day + hours)).status == "blocked"
    assert outbox("kind") == [("failure",), ("reminder",), ("reminder",), ("escalation",)]
    assert len(hook.messages) == 4
    assert hook.messages[1]["title"].startswith("market-rotation: Still open after 24 hours: Blocked:")
    assert hook.messages[3]["title"].startswith("market-rotation: Still open after 3 days: Blocked:")
    assert all(f"Since: {DAYS[31]} 23:30 UTC." in message["message"] for message in hook.messages)


@pytest.mark.long_after(0)
def test_a_second_incident_is_new(hook: webhook.Webhook) -> None:
    """After a recovery the same fault is alerted at once, though the window has not passed."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    world.run(market(), DAYS[31], evening(DAYS[31], 1))
    world.run(duplicated(), DAYS[32])
    assert outbox("kind") == [("failure",), ("recovery",), ("failure",)]


@pytest.mark.long_after(0)
def test_success_for_an_older_session_ends_nothing(hook: webhook.Webhook) -> None:
    """An up-to-date earlier session does not close the incident of the blocked one."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    assert world.run(market(), DAYS[30], evening(DAYS[31], 1)).status == "up_to_date"
    assert outbox("kind") == [("failure",)]


@pytest.mark.long_after(0)
def test_a_row_set_aside_is_one_alert_and_one_recovery(hook: webhook.Webhook) -> None:
    """A close with its sign flipped fails several checks: one warning with the row, silence while nothing is new, one recovery."""
    world.run(market(), DAYS[30])
    for hours in (0, 24, 96):
        assert world.run(holed(), DAYS[31], evening(DAYS[31], hours)).status in ("published", "up_to_date")
    with warehouse.reading(PUBLISHED) as con:
        found = con.execute("select expectation from ops.quarantine where resolved_at is null").fetchall()
    checks = {expectation for (expectation,) in found}
    assert "prices_positive" in checks
    (message,) = hook.messages
    assert message["title"] == "market-rotation: Set aside: 1 row of prices"
    (row,) = [line for line in message["message"].splitlines() if line.startswith("- ")]
    assert row.startswith(f"- IJR {DAYS[31]}: ")
    assert "close -5," in row
    assert row.endswith(f"({', '.join(sorted(checks))})")
    assert not {"{", "}", '"'} & set(message["message"])
    assert message["message"].endswith("`rotation quarantine list`.")
    assert f"The warehouse shows {DAYS[31]}" in message["message"]
    assert outbox("severity") == [("warning",)]
    world.run(market(), DAYS[31], evening(DAYS[31], 97))
    assert outbox() == [("set-aside:prices", "failure"), ("set-aside:prices", "recovery")]
    assert len(hook.messages) == 2


@pytest.mark.long_after(0)
def test_a_reminder_says_what_is_new(hook: webhook.Webhook) -> None:
    """A row set aside on the next evening is shown with its values; the earlier one is only counted."""
    world.run(market(), DAYS[30])
    source = holed()
    world.run(source, DAYS[31])
    source.frames["XLE"].loc[32, "close"] = -7.0
    assert world.run(source, DAYS[32]).status == "published"
    first, second = hook.messages
    assert "IJR" in first["message"]
    assert second["title"].endswith("Set aside: 1 row of prices")
    assert f"- XLE {DAYS[32]}: " in second["message"]
    assert "IJR" not in second["message"]
    assert "Set aside earlier and still open: 1." in second["message"]


@pytest.mark.long_after(0)
def test_sets_aside_of_an_older_version_are_one_incident(hook: webhook.Webhook) -> None:
    """Open incidents of single expectations, as version 0.1 wrote them, continue as that of their dataset: no second alert, one recovery."""
    world.run(market(), DAYS[30])
    world.run(holed(), DAYS[31])
    with warehouse.writing(load_settings().build) as con:
        con.execute("update ops.alerts set fingerprint = 'set-aside:prices:prices_positive'")
        con.execute(
            "insert into ops.alerts select * replace ('x' as alert_id, 'set-aside:prices:ohlc_consistent' as fingerprint) from ops.alerts"
        )
        assert list(outbox_module.open_incidents(con)) == ["set-aside:prices"]
    world.run(market(), DAYS[31], evening(DAYS[31], 24))
    assert outbox()[2:] == [("set-aside:prices", "recovery")]


@pytest.mark.long_after(0)
def test_many_at_once_are_one_message(hook: webhook.Webhook) -> None:
    """When more than three alerts wait they go out as one message, and each is recorded as sent."""
    world.run(market(), DAYS[30])
    found = [incidents.Incident(name, "warning", f"Title {name}", "What.", "`rotation status`.") for name in "abcd"]
    with warehouse.amend(load_settings()) as con:
        outbox_module.update(con, found, scope=(), session=DAYS[30], now=evening(DAYS[30]), repeat=timedelta(days=1))
        deliver.send(con, load_settings(), evening(DAYS[30]))
    (message,) = hook.messages
    assert message["title"] == "market-rotation: 4 alerts"
    for name in "abcd":
        assert f"Title {name}" in message["message"]
    assert outbox("sent_at is not null, attempts") == [(True, 1)] * 4


@pytest.mark.long_after(0)
def test_two_channels_that_change_places(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivery is remembered by address: swapped in the list, each channel still gets each message exactly once."""
    with webhook.serving() as other:
        monkeypatch.setenv("ROTATION_ALERT_URLS", f"{hook.url()} {other.url('other')}")
        other.status = 500
        world.run(market(), DAYS[30])
        world.run(duplicated(), DAYS[31])
        assert (len(hook.messages), len(other.messages)) == (1, 0)
        other.status = 200
        monkeypatch.setenv("ROTATION_ALERT_URLS", f"{other.url('other')} {hook.url()}")
        assert cli("alerts", "resend").exit_code == 0
        assert (len(hook.messages), len(other.messages)) == (1, 1)
        assert outbox("sent_at is not null") == [(True,)]


@pytest.mark.long_after(0)
def test_a_channel_that_is_removed(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every remaining channel has taken is sent, and is not counted as waiting for one that is gone."""
    with webhook.serving() as other:
        monkeypatch.setenv("ROTATION_ALERT_URLS", f"{hook.url()} {other.url('other')}")
        other.status = 500
        world.run(market(), DAYS[30])
        world.run(duplicated(), DAYS[31])
        monkeypatch.setenv("ROTATION_ALERT_URLS", hook.url())
        assert cli("alerts", "resend").exit_code == 0
        assert outbox("sent_at is not null") == [(True,)]
        assert len(hook.messages) == 1


@pytest.mark.long_after(0)
@pytest.mark.parametrize("kinds", ["json://{0} form://{1}", "json://{0} json://{1}"], ids=["two kinds", "one kind"])
def test_channels_remembered_by_an_older_version(
    hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    """`1:json` of version 0.1 becomes the hash of the one channel of that kind; of two alike, both get the message again: none is lost."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    monkeypatch.setenv("ROTATION_ALERT_URLS", kinds.format("127.0.0.1:1/a", "127.0.0.1:1/b"))
    json_key = deliver.channels(load_settings())[0].key
    with warehouse.writing(load_settings().build) as con:
        con.execute("update ops.alerts set sent_at = null, taken_by = ['1:json']")
        outcomes = deliver.send(con, load_settings(), evening(DAYS[31]))
        told_apart = "form" in kinds
        assert list(outcomes) == (["2:form"] if told_apart else ["1:json", "2:json"])
        assert con.execute("select taken_by from ops.alerts").fetchall() == [([json_key] if told_apart else [],)]


def test_past_the_outbox(hook: webhook.Webhook, caplog: pytest.LogCaptureFixture) -> None:
    """Without the outbox each incident is alerted once, a failed channel is tried again, and the end of each is one recovery."""
    setting = failures.of_failure(None, ConfigError("ROTATION_X is wrong; correct it."))
    vendor = failures.of_failure(None, SourceUnavailable("The vendor is down; run it again later."))
    settings, now = load_settings(), evening(DAYS[31])
    hook.status = 500
    without_outbox.alert(settings, setting, None, now)
    assert "Alert channel 1:json failed (HTTP 500); the next call tries it again." in caplog.text
    hook.status = 200
    for incident in (setting, setting, vendor, setting):
        without_outbox.alert(settings, incident, None, now)
    first, second = hook.messages
    assert (
        first["title"] == "market-rotation: Not started: the last session is not published, a setting or file is wrong"
    )
    assert first["message"].splitlines()[0] == "ROTATION_X is wrong; correct it."
    assert first["message"].endswith("then `rotation run`.")
    assert "The vendor is down" in second["message"]
    for _ in range(2):
        without_outbox.recover(settings, now)
    assert [m["type"] for m in hook.messages[2:]] == ["success", "success"]
    assert SECRET not in caplog.text


def test_a_delivery_that_cannot_be_recorded(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full after an alert was sent, the same run does not send it a second time without the outbox."""

    def full(*_: object) -> None:
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(deliver, "_record", full)
    dead = world.FakeSource(dict.fromkeys(SYMBOLS, SourceUnavailable("The line is dead; try later.")))
    assert world.run(dead, DAYS[31]).status == "failed"
    assert len(hook.messages) == 1


@pytest.mark.parametrize(
    ("error", "fingerprint", "title"),
    [
        (
            AuditFailed("x", [Failure("fund_nav", "e", "s", 1, [])]),
            "blocked:fund_nav",
            "Blocked: {} is not published, fund nav failed the audit",
        ),
        (AuditFailed("x"), "blocked:audit", "Blocked: {} is not published, the audit failed"),
        (ConfigError("x"), "configuration", "Not started: {} is not published, a setting or file is wrong"),
        (KeyboardInterrupt(), "stopped", "Stopped: {} is not published"),
        (SystemExit(143), "stopped", "Stopped: {} is not published"),
        (OSError(28, "No space left on device"), "failed", "Failed: {} is not published"),
        (SourceUnavailable("x"), "failed", "Failed: {} is not published"),
    ],
)
def test_each_way_to_fail(error: BaseException, fingerprint: str, title: str) -> None:
    """How a run ends decides the incident; each is critical, ends with a command, and is judged by the next good run."""
    run = Run("r1", "yahoo", DAYS[31], evening(DAYS[31]), message="What happened.")
    incident = failures.of_failure(run, error)
    assert (incident.fingerprint, incident.severity) == (fingerprint, "critical")
    assert incident.title == title.format(DAYS[31])
    assert incident.next_step.count("`") >= 2
    assert fingerprint.startswith(incidents.JUDGED)


@pytest.mark.long_after(0)
def test_a_failed_run_is_alerted(hook: webhook.Webhook) -> None:
    """A source without a response is a failed run, alerted with its message, and recovered by the next good run."""
    world.run(market(), DAYS[30])
    dead = world.FakeSource(dict.fromkeys(SYMBOLS, SourceUnavailable("The line is dead; try later.")))
    assert world.run(dead, DAYS[31]).status == "failed"
    assert "The line is dead" in hook.messages[0]["message"]
    assert hook.messages[0]["title"] == f"market-rotation: Failed: {DAYS[31]} is not published"
    world.run(market(), DAYS[31], evening(DAYS[31], 1))
    assert outbox() == [("failed", "failure"), ("failed", "recovery")]


@pytest.mark.long_after(0)
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


@pytest.mark.long_after(0)
def test_of_two_channels_one_is_down(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each channel gets each message once: the one that is up at once, the other when it is back."""
    with webhook.serving() as other:
        monkeypatch.setenv("ROTATION_ALERT_URLS", f"{hook.url()} {other.url('other')}")
        hook.status = 503
        world.run(market(), DAYS[30])
        world.run(duplicated(), DAYS[31])
        assert (len(hook.messages), len(other.messages)) == (0, 1)
        first, second = (channel.key for channel in deliver.channels(load_settings()))
        assert outbox("sent_at, taken_by, last_error") == [(None, [second], "1:json: HTTP 503")]
        hook.status = 200
        assert cli("alerts", "resend").exit_code == 0
        assert (len(hook.messages), len(other.messages)) == (1, 1)
        assert outbox("sent_at is not null, taken_by") == [(True, [second, first])]
        assert "No alerts are waiting to be sent." in cli("alerts", "resend").stdout


@pytest.mark.long_after(0)
def test_what_is_a_week_old_is_no_news(hook: webhook.Webhook) -> None:
    """An alert that could not be sent for a week is not sent any more; it stays in the outbox."""
    world.run(market(), DAYS[30])
    hook.status = 500
    world.run(duplicated(), DAYS[31])
    hook.status = 200
    with warehouse.writing(load_settings().build) as con:
        assert deliver.send(con, load_settings(), evening(DAYS[31]) + timedelta(days=8)) == {}
        assert deliver.send(con, load_settings(), evening(DAYS[31]) + timedelta(days=6)) == {"1:json": None}


@pytest.mark.long_after(0)
def test_without_channels_the_outbox_is_kept() -> None:
    """Alerts are written even if no channel is set."""
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    assert outbox("kind, sent_at, attempts") == [("failure", None, 0)]


@pytest.mark.long_after(0)
def test_an_address_that_is_none(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt address changes neither the run nor the delivery to other channels; the outbox names its position."""
    monkeypatch.setenv("ROTATION_ALERT_URLS", f"jso://{SECRET} {hook.url()}")
    world.run(market(), DAYS[30])
    assert world.run(duplicated(), DAYS[31]).status == "blocked"
    assert len(hook.messages) == 1
    (_, good) = deliver.channels(load_settings())
    assert outbox("last_error, taken_by") == [("1:unknown: not a usable Apprise address", [good.key])]


@pytest.mark.long_after(0)
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
    assert len(hook.calls) >= 2
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
    for path in filter(Path.is_file, Path("warehouse").rglob("*")):
        assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.long_after(0)
def test_the_list_of_alerts(hook: webhook.Webhook) -> None:
    """`rotation alerts list` shows what was written and whether it was sent, for people and for programs."""
    world.run(market(), DAYS[30])
    assert "No alerts have been written." in cli("alerts", "list").stdout
    world.run(duplicated(), DAYS[31])
    assert "Blocked:" in cli("alerts", "list").stdout
    (entry,) = json.loads(cli("alerts", "list", "--json").stdout)
    assert (entry["fingerprint"], entry["kind"], entry["attempts"]) == ("blocked:prices", "failure", 1)


def test_channels_can_be_tried(hook: webhook.Webhook) -> None:
    """`rotation alerts test` sends a message to every channel, and is 1 when one does not take it."""
    result = cli("alerts", "test")
    assert (result.exit_code, result.stdout.strip()) == (0, "1:json: sent.")
    assert hook.messages[0]["title"] == "market-rotation: test"
    hook.status = 403
    result = cli("alerts", "test")
    assert result.exit_code == 1
    assert "1:json: failed (HTTP 403)" in result.stdout


@pytest.mark.parametrize("command", ["test", "resend"])
def test_trying_needs_a_channel(command: str) -> None:
    """Without a channel both are exit 2 with how to set one."""
    result = cli("alerts", command)
    assert result.exit_code == 2
    assert "set ROTATION_ALERT_URLS" in result.stderr


@pytest.mark.long_after(0)
def test_a_fault_of_the_delivery_itself_changes_no_run(
    hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error in sending does not change the run, and the alert stays in the outbox."""
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


@pytest.mark.long_after(0)
def test_a_simulated_market_is_said_to_be_one(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration causes no false alarm: the message names the simulated market."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    world.run(market(), DAYS[30])
    world.run(duplicated(), DAYS[31])
    assert hook.messages[0]["title"].startswith("market-rotation (SIMULATED MARKET): Blocked:")
