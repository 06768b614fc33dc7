"""The page of a session: the report, its neighbours one key away, and what was known then."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import serving
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.report.exhibits import collect as collecting
from market_rotation.tasks.serve import sessions
from market_rotation.tasks.serve.published import Published
from market_rotation.tasks.settings import load_settings

DAYS, LATEST = serving.DAYS, serving.LATEST


def embedded(text: str, exhibit: str) -> list[list[str]]:
    """The rows that the page embeds for an exhibit, the header first."""
    (found,) = re.findall(rf'<script type="text/csv" id="rows-{exhibit}"[^>]*>(.*?)</script>', text, re.DOTALL)
    return [line.split(",") for line in found.strip().splitlines()]


def test_any_session_is_shown_with_its_neighbours(client: httpx.Client) -> None:
    """A past session has the report of that day, nothing dated after it, and links to the sessions beside it."""
    session, before, after = DAYS[200], DAYS[199], DAYS[201]
    text = client.get(f"/session?date={session}").text
    assert f'<a class="step" rel="prev" href="/session?date={before}"' in text
    assert f'<a class="step" rel="next" href="/session?date={after}"' in text
    header, *rows = embedded(text, "relative_strength")
    assert rows[-1][header.index("session")] == str(session)
    assert str(after) not in "".join(part for part in text.split("<script") if 'type="text/csv"' in part)
    first, last = client.get(f"/session?date={DAYS[0]}").text, client.get("/session").text
    assert 'rel="prev"' not in first
    assert 'rel="next"' not in last
    assert last == client.get(f"/session?date={LATEST}").text


def test_a_day_without_a_session_leads_to_the_one_before(client: httpx.Client) -> None:
    """Good Friday of 2024 leads to the Thursday, in the address as well, so that a shared link says what it shows."""
    answer = client.get("/session?date=2024-03-29")
    assert (answer.status_code, answer.headers["location"]) == (303, "/session?date=2024-03-28")


@pytest.mark.long_after(0)
def test_neighbours_are_made_beforehand(small_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is read once, its neighbours in the background, so that an arrow key waits for nothing."""
    made: list[Any] = []
    ready = threading.Semaphore(0)

    def counted(con: Any, session: Any = None, as_known_then: bool = False) -> Any:
        found = collecting.collect(con, session, as_known_then)
        # Another server may be making pages of its own in the background.
        if session in DAYS[149:152]:
            made.append(session)
            ready.release()
        return found

    monkeypatch.setattr(sessions, "collect", counted)
    monkeypatch.setenv("ROTATION_HOME", str(small_home))
    published = Published(small_home / "rotation.duckdb")
    pages = sessions.Sessions(published, load_settings(), lambda: serving.NOW)
    with published.reading() as (edition, _):
        pages.page(edition, DAYS[150], as_known_then=False)
        for _ in range(3):
            assert ready.acquire(timeout=60)
        assert sorted(made) == DAYS[149:152]
        pages.page(edition, DAYS[150], as_known_then=False)
        assert len(made) == 3
    pages.close()
    published.close()


def test_a_failure_is_not_kept(small_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that could not be made is tried again by the next reader."""
    monkeypatch.setenv("ROTATION_HOME", str(small_home))
    published = Published(small_home / "rotation.duckdb")
    pages = sessions.Sessions(published, load_settings(), lambda: serving.NOW)
    with published.reading() as (edition, _):
        with monkeypatch.context() as patch:
            patch.setattr(sessions, "collect", lambda con, session: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                pages.page(edition, DAYS[20], as_known_then=False)
        assert "<h1>" in pages.page(edition, DAYS[20], as_known_then=False)
    pages.close()
    published.close()


@pytest.mark.long_after(0)
def test_what_was_known_then(two_symbols: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restatement, the page has the new value, the page as known then the old one, and the stored report is given as it is."""
    closes = [50.0 + i % 7 for i in range(62)]
    first, second = DAYS[60], DAYS[61]
    frames = {symbol: world.bars(symbol, closes[:61]) for symbol in ("SPY", "IWM")}
    vendor: Any = world.FakeSource(frames)
    assert world.run(vendor, first).status == "published"
    home = tmp_path / "warehouse"
    (home / "reports" / str(first)).mkdir(parents=True)
    query = f"select ratio from signals.relative_strength where session = '{first}'"
    with warehouse.reading(home / "rotation.duckdb") as con:
        (before,) = con.sql(query).fetchone() or (None,)
    restated = [*closes[:60], closes[60] * 1.01, closes[61]]
    vendor.frames = {"SPY": world.bars("SPY", closes), "IWM": world.bars("IWM", restated)}
    assert world.run(vendor, second).status == "published"
    with warehouse.reading(home / "rotation.duckdb") as con:
        (now,) = con.sql(query).fetchone() or (None,)
    assert now == pytest.approx(1.01 * before)
    monkeypatch.setattr(serving, "NOW", datetime(2024, 4, 2, tzinfo=UTC))
    with serving.reader(home) as client:
        shown = client.get(f"/session?date={first}").text
        then = client.get(f"/session?date={first}&known=then").text
        for text, ratio in ((shown, now), (then, before)):
            header, *rows = embedded(text, "relative_strength")
            assert (rows[-1][0], float(rows[-1][header.index("ratio")])) == (str(first), ratio)
        assert "As known then" in then
        assert f'href="/session?date={first}&amp;known=then"' in shown
        report = home / "reports" / str(first) / "index.html"
        report.write_text("<p>as it was</p>")
        stored = client.get(f"/stored?date={first}")
        assert stored.text == "<p>as it was</p>"
        assert "script-src 'unsafe-inline'" in stored.headers["content-security-policy"]
        assert f'href="/stored?date={first}"' in client.get(f"/session?date={first}").text
