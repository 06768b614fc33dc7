"""Alerts people act on: one per cause, with the report's address, and the digest of the day as a mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import mailbox_server
import pandas as pd
import pytest
import webhook
import world

from market_rotation.tasks import warehouse

SYMBOLS = ["SPY", "IWM", "IJR"]
DAYS = world.days(date(2024, 1, 2), date(2024, 3, 28))


@pytest.fixture(autouse=True)
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[webhook.Webhook]:
    """A small universe and one channel."""
    members = world.universe(*map(world.instrument, SYMBOLS), pairs=[("IWM", "SPY")])
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    with webhook.serving() as server:
        monkeypatch.setenv("ROTATION_ALERT_URLS", server.url())
        yield server


def source() -> world.FakeSource:
    closes = [100.0 + i % 7 for i in range(len(DAYS))]
    return world.FakeSource({symbol: world.bars(symbol, closes, DAYS[0]) for symbol in SYMBOLS})


@pytest.mark.long_after(0)
def test_a_bar_of_the_wrong_sign(hook: webhook.Webhook) -> None:
    """It fails several expectations, of the bar and of what is derived from it: one alert, and one recovery once it is corrected."""
    vendor = source()
    world.run(vendor, DAYS[-3])
    good = vendor.frames["IWM"]
    wrong = good.copy()
    columns = [name for name in ("open", "high", "low", "close") if name in wrong]
    wrong.loc[wrong["session"] == pd.Timestamp(DAYS[-2]), columns] *= -1
    vendor.frames["IWM"] = wrong
    world.run(vendor, DAYS[-2])
    world.run(vendor, DAYS[-2])
    assert [message["type"] for message in hook.messages] == ["failure"], [m["title"] for m in hook.messages]
    assert "IWM" in hook.messages[0]["message"]
    assert "{" not in hook.messages[0]["message"]
    vendor.frames["IWM"] = good
    world.run(vendor, DAYS[-1])
    assert [message["type"] for message in hook.messages] == ["failure", "success"], [m["title"] for m in hook.messages]


@pytest.mark.long_after(0)
def test_the_address_of_the_report(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ROTATION_BASE_URL an alert ends with the address of the report that readers see; without one it names none."""
    vendor = source()
    assert world.run(vendor, DAYS[-3]).status == "published"
    page = Path("warehouse/reports") / str(DAYS[-3]) / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("the report")
    vendor.frames = {}
    world.run(vendor, DAYS[-2])
    assert "Report: " not in hook.messages[-1]["message"]
    monkeypatch.setenv("ROTATION_BASE_URL", "https://rotation.example.com/")
    monkeypatch.setenv("ROTATION_ALERT_REPEAT_H", "0.01")
    world.run(vendor, DAYS[-1])
    assert hook.messages[-1]["message"].endswith(f"Report: https://rotation.example.com/reports/{DAYS[-3]}/index.html")


@pytest.mark.long_after(0)
def test_the_digest_of_the_day_by_mail(hook: webhook.Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """ROTATION_REPORT_URLS with a mail address: one mail a session, the summary as text and the picture attached; a refusal is an incident."""
    monkeypatch.setenv("ROTATION_REPORT", "true")
    with mailbox_server.serving() as box:
        monkeypatch.setenv("ROTATION_REPORT_URLS", box.url())
        vendor = source()
        assert world.run(vendor, DAYS[-3]).status == "published"
        world.run(vendor, DAYS[-3])
        (mail,) = box.messages
        assert mail["To"] == "desk@example.com"
        assert str(DAYS[-3]) in f"{mail['Subject']}"
        body = mail.get_body(("plain",))
        assert body
        assert len(body.get_content()) > 100
        assert [part.get_content_type() for part in mail.iter_attachments()] == ["image/png"]
        assert hook.messages == []
        box.refuses = True
        world.run(vendor, DAYS[-2])
        assert len(box.messages) == 1
    assert ["could not be written or sent" in message["title"] for message in hook.messages] == [True]
    with warehouse.reading(Path("warehouse/rotation.duckdb")) as con:
        assert con.execute("select fingerprint, kind from ops.alerts").fetchall() == [("report", "failure")]
