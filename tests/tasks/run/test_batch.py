"""Batches of requests that other processes fetch: how they are cut, what is missing, and how long a run waits for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
import world

from market_rotation.tasks.run import batch
from market_rotation.tasks.run.batch import Seen
from market_rotation.tasks.run.fetch import Request
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.cache import CachedSource

START, END = date(2024, 1, 2), date(2024, 1, 5)
NOW = datetime(2024, 1, 5, 23, 30, tzinfo=UTC)
TIMEOUT_S, STALLED = 20.0, "no new answer came within 80 s"


def request(symbol: str, dataset: str = "prices") -> Request:
    return Request(dataset, symbol, START, END)


def test_a_symbol_is_in_one_batch() -> None:
    """Batches have up to so many symbols, with all requests of each, and nothing is lost."""
    requests = [request(s) for s in ("SPY", "IWM", "VB")] + [request(s, "fund_nav") for s in ("VB", "SPY")]
    batches = batch.in_batches(requests, 2)
    assert [[(r.symbol, r.dataset) for r in each] for each in batches] == [
        [("SPY", "prices"), ("SPY", "fund_nav"), ("IWM", "prices")],
        [("VB", "prices"), ("VB", "fund_nav")],
    ]
    assert batch.in_batches([], 2) == []


def test_what_is_cached_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose answer a run of the same evening would take from the cache is not missing, of a range or of a day."""
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")
    settings = load_settings()
    requests = [request("SPY"), request("IWM"), request("IWM", "fund_facts")]
    assert batch.missing(settings, requests, NOW) == requests
    vendor = CachedSource(world.FakeSource({"SPY": world.bars("SPY", [1.0])}), settings.cache / "yahoo", NOW)
    vendor.prices("SPY", START, END)
    assert batch.missing(settings, requests, NOW) == requests[1:]
    (settings.cache / "yahoo" / "fund_facts.IWM.2024-01-05.parquet").touch()
    today = datetime.now(UTC)
    assert requests[2] not in batch.missing(settings, requests, today)


def test_a_local_source_has_nothing_to_hand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of the simulated market are not cached, so a worker could not pass them on."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    assert batch.missing(load_settings(), [request("SPY")], NOW) == []


def waited(scene: Callable[[float], Seen], wanted: int = 10) -> tuple[str, float]:
    """Why a wait was over, and after how many seconds, where a look shows `scene` of the seconds since its beginning."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    why = batch.wait(wanted, lambda before: scene(now), lambda seen: None, TIMEOUT_S, lambda: now, sleep)
    return why, now


def test_it_waits_while_there_is_progress() -> None:
    """An answer a minute is progress, however long that takes."""
    why, after = waited(lambda s: Seen(5, 5, 0, int(s // 60)), wanted=30)
    assert (why, after) == ("all answers are there", 1800.0)


def test_it_ends_with_the_batches() -> None:
    """Symbols without an answer are no reason to wait longer than for the batches."""
    why, after = waited(lambda s: Seen(5, 5, 5 if s >= 100 else 0, int(s // 20)))
    assert (why, after) == ("all batches have ended", 100.0)


def test_no_worker_takes_a_batch() -> None:
    """A minute is enough for a worker that has nothing else to do."""
    assert waited(lambda s: Seen(5, 0, 0, 0)) == ("no worker took a batch within 60 s", 61.0)


def test_a_killed_worker() -> None:
    """Its batch is Running for minutes; the run goes on after a minute and a request's time-out without an answer."""
    assert waited(lambda s: Seen(5, 5, 4, min(8, int(s)))) == (STALLED, 89.0)


def test_a_process_that_starts_slowly() -> None:
    """Once a batch is taken, the time for its first answer is that for any other."""
    assert waited(lambda s: Seen(5, int(s >= 50), 0, 0)) == (STALLED, 131.0)


def test_a_silent_server() -> None:
    """A server that restarts is waited for; one that stays away is not."""

    def seen(silent_s: float) -> Callable[[float], Seen]:
        return lambda s: Seen(5, 5, 5 if s >= 60 else 0, int(s // 10), is_known=not 10 < s < 10 + silent_s)

    assert waited(seen(15)) == ("all batches have ended", 60.0)
    assert waited(seen(1000)) == ("Prefect's server has not answered for 20 s", 31.0)


def test_states() -> None:
    """A batch counts as taken once a worker has set it to Pending; what is not known is as it was before."""
    states = {"1": "SCHEDULED", "2": "PENDING", "3": "RUNNING", "4": "CRASHED", "5": "COMPLETED"}
    seen = batch.looked_at(states, 7, 5, None)
    assert seen == Seen(5, taken=4, ended=2, answers=7)
    assert batch.looked_at(None, 8, 5, seen) == Seen(5, 4, 2, 8, is_known=False)
    assert batch.looked_at(None, 0, 5, None) == Seen(5, 0, 0, 0, is_known=False)


def test_progress_is_shown_once() -> None:
    """The bar gets the first look and every one that shows something new."""
    shown: list[int] = []
    looks = iter([Seen(2, 0, 0, 0), Seen(2, 1, 0, 0), Seen(2, 1, 0, 3), Seen(2, 1, 0, 3), Seen(2, 2, 2, 4)])
    batch.wait(9, lambda before: next(looks), lambda s: shown.append(s.answers), 1.0, lambda: 0.0, lambda s: None)
    assert shown == [0, 0, 3, 4]
