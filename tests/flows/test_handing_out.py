"""What a backfill does with its batches when workers, Prefect's server or the run itself fail; without a server, on a clock that only sleeping moves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import world
from httpx import ConnectError
from prefect.client.schemas.objects import FlowRun, State, StateType

from market_rotation.flows import workers
from market_rotation.tasks.run.fetch import Request
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.cache import CachedSource

DAY = date(2024, 1, 2)
NOW = datetime(2024, 1, 2, 23, 30, tzinfo=UTC)
SYMBOLS = ("SPY", "IWM", "VB", "IJR", "MDY")
REQUESTS = [Request("prices", symbol, DAY, DAY) for symbol in SYMBOLS]


class Server:
    """Prefect's server and its workers: `on_look` is called with the seconds since the beginning, before each answer about the batches."""

    def __init__(self) -> None:
        self.now = 0.0
        self.batches: dict[UUID, list[str]] = {}
        self.states: dict[UUID, StateType] = {}
        self.is_up = True
        self.forced: list[UUID] = []
        self.on_look: Callable[[float], None] = lambda now: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, name: str, parameters: dict[str, Any], **_: object) -> FlowRun:
        if not self.is_up:
            raise ConnectError("All connection attempts failed")
        run = FlowRun(flow_id=uuid4())
        self.batches[run.id] = [request["symbol"] for request in parameters["requests"]]
        self.states[run.id] = StateType.SCHEDULED
        return run

    def read_flow_runs(self, flow_run_filter: Any, limit: int) -> list[FlowRun]:
        self.on_look(self.now)
        if not self.is_up:
            raise ConnectError("All connection attempts failed")
        return [FlowRun(id=i, flow_id=i, state_type=self.states[i]) for i in flow_run_filter.id.any_]

    def set_flow_run_state(self, run: UUID, state: State[Any], force: bool = False) -> None:
        self.states[run] = state.type
        if force:
            self.forced.append(run)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose workers do nothing by themselves."""
    made = Server()
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")
    monkeypatch.setenv("ROTATION_FETCH_BATCH", "2")
    monkeypatch.setattr(workers, "get_client", lambda **_: made)
    monkeypatch.setattr(workers, "run_deployment", made.start)
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: made.now, sleep=made.sleep))
    monkeypatch.setattr(workers.steps, "fetch", lambda context, requests: [request.symbol for request in requests])
    return made


def context() -> Any:
    """What a hand-out uses of a run's context."""
    return SimpleNamespace(
        settings=load_settings(),
        run=SimpleNamespace(known_at=NOW),
        calendar=SimpleNamespace(closures=frozenset({DAY})),
    )


def answer(*symbols: str) -> None:
    """The answers are in the cache, as a worker puts them there."""
    frames = {symbol: world.bars(symbol, [1.0], DAY) for symbol in symbols}
    for symbol in symbols:
        CachedSource(world.FakeSource(frames), load_settings().cache / "yahoo", NOW).prices(symbol, DAY, DAY)


def fetched(requests: list[Request] = REQUESTS) -> list[Any]:
    return list(workers.fetch(context(), requests))


def sentences(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if not hasattr(record, "advance")]


def test_workers_fetch_all(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Every request is in one batch; when all answers are there the run goes on, and says only what was handed out."""
    caplog.set_level(logging.INFO)

    def on_look(now: float) -> None:
        if now >= 3:
            answer(*SYMBOLS)
            server.states = dict.fromkeys(server.states, StateType.RUNNING)

    server.on_look = on_look
    assert fetched() == list(SYMBOLS)
    assert list(server.batches.values()) == [["SPY", "IWM"], ["VB", "IJR"], ["MDY"]]
    assert sentences(caplog) == ["Workers fetch 5 answers in 3 batches"]
    # They are not cancelled just before they end.
    assert set(server.states.values()) == {StateType.RUNNING}


def test_nobody_takes_a_batch(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """After a minute the batches are cancelled and the run goes on by itself, in one sentence."""
    caplog.set_level(logging.INFO)
    assert fetched() == list(SYMBOLS)
    assert server.now == 61
    assert set(server.states.values()) == {StateType.CANCELLED}
    assert sentences(caplog)[-1] == (
        "Workers gave 0 of 5 answers: no worker took a batch within 60 s; the run fetches what is missing"
    )


def test_a_killed_worker(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Its batch is Running and stays so: the run goes on, and at the end nothing of it is left waiting to be cancelled."""
    caplog.set_level(logging.INFO)

    def on_look(now: float) -> None:
        answer("SPY", "IWM", "VB", "MDY")
        if now < 10:
            states = [StateType.COMPLETED, StateType.RUNNING, StateType.COMPLETED]
            server.states = dict(zip(server.batches, states, strict=True))

    server.on_look = on_look
    assert fetched() == list(SYMBOLS)
    killed = list(server.batches)[1]
    assert server.forced == [killed]
    assert server.states[killed] == StateType.CANCELLED
    assert "4 of 5 answers: no new answer came within 80 s" in sentences(caplog)[-1]


def test_the_server_dies_while_workers_fetch(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can be asked or cancelled any more; the run goes on."""
    caplog.set_level(logging.INFO)

    def on_look(now: float) -> None:
        server.is_up = now < 5

    server.on_look = on_look
    assert fetched() == list(SYMBOLS)
    assert "Prefect's server has not answered for 20 s" in sentences(caplog)[-1]


def test_the_server_takes_no_batch(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A server that is gone, or has no such deployment, is one warning; the run fetches at once."""
    server.is_up = False
    assert fetched() == list(SYMBOLS)
    assert server.now == 0
    (warning,) = sentences(caplog)
    assert warning.startswith("Only 0 of 3 batches were handed out to workers (ConnectError: ")
    assert "`rotation deploy`" in warning


@pytest.mark.parametrize("requests", [REQUESTS[:2], []], ids=["one batch", "nothing"])
def test_one_batch_is_fetched_here(server: Server, requests: list[Request]) -> None:
    """It would be done before a worker has started a process for it."""
    assert fetched(requests) == [request.symbol for request in requests]
    assert server.batches == {}


def test_what_is_cached_is_not_handed_out(server: Server) -> None:
    """A backfill that was interrupted hands out only what is missing."""
    answer("SPY", "VB")
    fetched()
    assert list(server.batches.values()) == [["IWM", "IJR"], ["MDY"]]


def test_without_the_setting_nothing_is_handed_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is to fetch in this process."""
    monkeypatch.setenv("ROTATION_FETCH_BATCH", "0")
    assert fetched() == list(SYMBOLS)
    assert server.batches == {}


def test_a_run_that_is_stopped_cancels_its_batches(server: Server) -> None:
    """Ctrl-C, SIGTERM or a time limit while workers fetch."""

    def on_look(now: float) -> None:
        if now == 5:
            server.on_look = lambda now: None
            raise KeyboardInterrupt

    server.on_look = on_look
    with pytest.raises(KeyboardInterrupt):
        fetched()
    assert set(server.states.values()) == {StateType.CANCELLED}
