"""The dead man's switch: a monitor on loopback is called at the begin and the end of a run, and a monitor that fails changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import webhook
import world

from market_rotation.tasks.errors import ConfigError, UsageError
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters

DAYS = world.days()
SECRET = "5up3r-53cr3t-uu1d"  # noqa: S105


@pytest.fixture
def monitor() -> Iterator[webhook.Webhook]:
    with webhook.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _home(two_symbols: None, monkeypatch: pytest.MonkeyPatch, monitor: webhook.Webhook) -> None:
    monkeypatch.setenv("ROTATION_PING_URL", f"http://127.0.0.1:{monitor.port}/{SECRET}")


def run(day: date = DAYS[10], close: float = 50.0):
    frames = {symbol: world.bars(symbol, [close + i % 7 for i in range(30)]) for symbol in ("SPY", "IWM")}
    return world.run(world.FakeSource(frames), day)


def test_a_good_run(monitor):
    """Begin and success, with the message; a run that found nothing to do ends well, too."""
    run()
    run()
    paths = [path for path, _ in monitor.calls]
    assert paths == [f"/{SECRET}/start", f"/{SECRET}"] * 2
    assert monitor.calls[1][1].startswith(f"Published {DAYS[10]}.")
    assert monitor.calls[3][1].startswith("Nothing to do")


def test_a_run_that_fails(monitor):
    """A source that gives nothing: `/fail` with the reason."""
    made = world.run(world.FakeSource({}), DAYS[10])
    assert made.status in ("failed", "blocked")
    assert monitor.calls[-1] == (f"/{SECRET}/fail", made.message)


def test_a_stopped_run(monitor):
    """Ctrl-C and SIGTERM: the run did not end well."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(Parameters(datetime(2024, 1, 20, tzinfo=UTC)), pipeline.Steps(fetch=stopped), world.FakeSource({}))
    assert [path for path, _ in monitor.calls] == [f"/{SECRET}/start", f"/{SECRET}/fail"]
    assert "Ctrl-C" in monitor.calls[-1][1]


def test_a_wrong_setting(monitor, monkeypatch):
    """A run that cannot begin is a failure with the sentence; a wrong parameter of a command calls nothing."""
    monkeypatch.setenv("ROTATION_FETCH_ATTEMPTS", "none")
    with pytest.raises(ConfigError):
        run()
    ((path, body),) = monitor.calls
    assert (path, "ROTATION_FETCH_ATTEMPTS" in body) == (f"/{SECRET}/fail", True)
    monkeypatch.delenv("ROTATION_FETCH_ATTEMPTS")
    with pytest.raises(UsageError):
        run(date(2024, 1, 7))
    assert len(monitor.calls) == 1


@pytest.mark.long_after(0)
@pytest.mark.parametrize("fault", ["HTTP 500", "down", "no address"])
def test_a_monitor_that_fails_changes_nothing(monitor, monkeypatch, caplog, fault):
    """The run is published, with a warning that does not show the address."""
    monitor.status = 500
    if fault != "HTTP 500":
        address = f"http://127.0.0.1:9/{SECRET}" if fault == "down" else f"no address {SECRET}"
        monkeypatch.setenv("ROTATION_PING_URL", address)
    with caplog.at_level(logging.WARNING):
        assert run().status == "published"
    assert "ROTATION_PING_URL" in caplog.text
    assert SECRET not in caplog.text


def test_the_address_in_a_file(monitor, monkeypatch, tmp_path):
    """ROTATION_PING_URL_FILE names a file with the address."""
    monkeypatch.delenv("ROTATION_PING_URL")
    (tmp_path / "ping").write_text(f"http://127.0.0.1:{monitor.port}/{SECRET}\n", encoding="utf-8")
    monkeypatch.setenv("ROTATION_PING_URL_FILE", str(tmp_path / "ping"))
    run()
    assert len(monitor.calls) == 2
