"""The report of a run: written and sent once, a fault of it alerted, and a past session shown as it was known then."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import webhook
import world
from click.testing import CliRunner

from market_rotation.flows.cli.main import main
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.report import daily
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.sources.simulated.faults import FaultySource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import Universe, load_universe

#: Before and after the split of XLK, which restates its history.
DAYS = [date(2025, 12, 3), date(2025, 12, 4), date(2025, 12, 5), date(2025, 12, 8)]
MEMBERS = {"SPY", "IWB", "IWM", "SPSM", "RSP", "XLK", "XLE", "XLF", "AAPL"}
PUBLISHED, REPORTS = Path("warehouse/rotation.duckdb"), Path("warehouse/reports")


def members() -> Universe:
    shipped = load_universe()
    return Universe(
        instruments=tuple(i for i in shipped.instruments if i.symbol in MEMBERS),
        pairs=tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= MEMBERS),
    )


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members())))
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    monkeypatch.setenv("ROTATION_HISTORY_START", "2025-01-02")
    monkeypatch.setenv("ROTATION_EARNINGS_CONSTITUENTS", "0")
    monkeypatch.setenv("ROTATION_REPORT", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(session: date, at: datetime | None = None) -> Run:
    source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), members().instruments)
    return world.run(source, session, at)


def alerts() -> list[tuple[object, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(
            "select kind, title, body from ops.alerts where fingerprint = 'report' order by created_at"
        ).fetchall()


@pytest.fixture
def begun(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After a run for the first day without a report, which is made once and copied."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROTATION_REPORT", "false")
            patch.chdir(folder)
            assert run(DAYS[0]).status == "published"

    shutil.copytree(world.made_once(tmp_path_factory, "report-begun", make) / "warehouse", "warehouse")


@pytest.mark.long_after(0)
def test_a_run_writes_and_sends_it_once(begun: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A published session's report is a page, a picture and a summary, and goes out once; the same session again sends nothing."""
    with webhook.serving() as hook:
        monkeypatch.setenv("ROTATION_REPORT_URLS", hook.url())
        assert run(DAYS[1]).status == "published"
        folder = REPORTS / str(DAYS[1])
        assert {path.name for path in folder.iterdir()} == {"index.html", "report.png", "summary.txt", "report.json"}
        assert (folder / "report.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (REPORTS / "latest" / "index.html").read_bytes() == (folder / "index.html").read_bytes()
        (message,) = hook.messages
        assert message["title"] == f"Rotation, {DAYS[1]} (SIMULATED MARKET: these are not real prices.)"
        assert message["message"].strip() == (folder / "summary.txt").read_text().strip()
        assert [a["filename"] for a in message["attachments"]] == ["report.png"]

        written = (folder / "index.html").stat().st_mtime_ns
        assert run(DAYS[1]).status == "up_to_date"
        assert ((folder / "index.html").stat().st_mtime_ns, len(hook.messages)) == (written, 1)
        shutil.rmtree(folder)
        assert run(DAYS[1]).status == "up_to_date"
        assert (folder / "index.html").exists()

        # A power cut may leave any of its files short, or with zeros; the message was sent.
        half = (folder / "report.png").stat().st_size // 2
        ruins = {"index.html": b"", "report.png": (folder / "report.png").read_bytes()[:half] + bytes(half)}
        for name, ruin in (ruins | {"report.json": b"{"}).items():
            for damaged in (folder / name, REPORTS / "latest" / name):
                damaged.write_bytes(ruin)
                sent = len(hook.messages)
                assert run(DAYS[1]).status == "up_to_date"
                assert damaged.read_bytes() != ruin
                assert len(hook.messages) == sent
    assert alerts() == []


@pytest.mark.long_after(0)
def test_a_fault_of_it_changes_no_run_and_is_alerted(begun: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the report can't be written the session is still published; one alert reports it, and one the recovery."""
    REPORTS.write_text("a file where the folder should be")
    hit = run(DAYS[1])
    assert (hit.status, hit.published) == ("published", True)
    ((kind, title, body),) = alerts()
    assert (kind, title) == ("failure", f"The report on {DAYS[1]} could not be written or sent")
    assert "cannot be written" in str(body)
    assert "The data itself is published." in str(body)
    REPORTS.unlink()
    assert run(DAYS[2]).status == "published"
    assert [kind for kind, *_ in alerts()] == ["failure", "recovery"]


@pytest.mark.long_after(0)
def test_a_channel_that_does_not_take_it(begun: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is written and the run as it is; the alert names the channel by its place, not its address."""
    with webhook.serving() as hook:
        hook.status = 500
        monkeypatch.setenv("ROTATION_REPORT_URLS", hook.url())
        assert run(DAYS[1]).status == "published"
    ((_, _, body),) = alerts()
    assert "1:json (HTTP 500)" in str(body)
    assert hook.url() not in str(body)
    assert (REPORTS / str(DAYS[1]) / "index.html").exists()


@pytest.mark.long_after(0)
def test_alerts_that_are_sent_are_no_problem_of_the_report(begun: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run alerts and sends is not called unsent by its report; what no channel takes is, by the next report."""
    shipped = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), members().instruments)
    with webhook.serving() as hook:
        monkeypatch.setenv("ROTATION_ALERT_URLS", hook.url())
        assert world.run(FaultySource(shipped, "bad-tick", "AAPL"), DAYS[1]).rows_quarantined == 1
        assert [m["type"] for m in hook.messages if m["type"] != "info"] == ["failure"]
        assert "alert" not in (REPORTS / str(DAYS[1]) / "summary.txt").read_text().lower()
        hook.status = 500
        assert world.run(FaultySource(shipped, "sign-flip", "XLF"), DAYS[2]).status == "published"
        assert world.run(shipped, DAYS[3]).status == "published"
        assert "alerts not sent" in (REPORTS / str(DAYS[3]) / "summary.txt").read_text().lower()


@pytest.mark.long_after(0)
def test_an_unforeseen_fault_is_alerted_too(begun: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in making the report, the run is published."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of a chart")

    monkeypatch.setattr(daily, "collect", broken)
    assert run(DAYS[1]).status == "published"
    assert "ZeroDivisionError: of a chart" in str(alerts()[0][2])


def test_a_blocked_run_writes_none(begun: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is not published has no report."""
    monkeypatch.setenv("ROTATION_FAULT", "duplicate-day:IWM")
    source = SampleSource(calendar.load(date(2005, 1, 3), date(2026, 11, 20)), members().instruments)
    assert world.run(FaultySource(source, "duplicate-day", "IWM"), DAYS[1]).status == "blocked"
    assert not REPORTS.exists()


def report(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["report", *arguments])
    return result.exit_code, result.stdout, result.stderr


def figures(folder: Path, session: date) -> tuple[str, str]:
    text = (folder / str(session) / "index.html").read_text(encoding="utf-8")
    note = json.loads((folder / str(session) / "report.json").read_text())
    rows = text.split('id="rows-relative_strength"')[1].split("</script>")[0]
    return note["known_at"], rows


@pytest.mark.long_after(0)
def test_a_past_session_is_shown_as_it_was_known_then(begun: None, tmp_path: Path) -> None:
    """After later runs, the report on a session has the figures it was published with, and is marked as such."""
    assert run(DAYS[1]).status == "published"
    then = figures(REPORTS, DAYS[1])
    assert run(DAYS[2]).status == "published"
    code, said, _ = report("--session", str(DAYS[1]), "-o", "again")
    assert code == 0
    assert "As known then" in said
    assert figures(Path("again"), DAYS[1]) == then
    assert "as known then" in (Path("again") / str(DAYS[1]) / "index.html").read_text().lower()
    assert [path.name for path in Path("warehouse").iterdir() if path.name.startswith(".report")] == []


@pytest.mark.long_after(0)
def test_a_session_that_came_with_a_later_run(begun: None) -> None:
    """A session that no run ended with is shown as the first later run knew it."""
    assert run(DAYS[2]).status == "published"
    code, said, _ = report("--session", str(DAYS[1]), "-o", "again")
    assert (code, "4 Dec 2025" in said) == (0, True)
    known_at, rows = figures(Path("again"), DAYS[1])
    assert datetime.fromisoformat(known_at).astimezone(UTC).date() == DAYS[2]
    assert str(DAYS[2]) not in rows


def test_sessions_that_are_not_there(begun: None) -> None:
    """A day outside the warehouse, or without trading, is one sentence and exit 2: the command is to be corrected."""
    for day in (date(2024, 12, 31), DAYS[0] + timedelta(days=100), date(2025, 11, 27)):
        code, _, said = report("--session", str(day))
        assert code == 2
        assert str(day) in said
    assert not REPORTS.exists()


def test_before_the_first_run() -> None:
    """Without a warehouse the message says how to create one."""
    code, _, said = report()
    assert code == 1
    assert "rotation run" in said
