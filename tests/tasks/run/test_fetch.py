"""Fetching: what is retried, what is not, when the retry policy ends, and that retries are not printed."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import world

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import ConfigError, RateLimited, RotationError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.run.fetch import BATCH_SIZE, Request, RetryPolicy, batches, fetch_batch
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.frames import typed

START, END = date(2024, 1, 2), date(2024, 1, 5)


class Script:
    """A source that answers each call with the next entry of its script: a frame, or an exception to raise."""

    name = "script"
    datasets = frozenset({"prices"})

    def __init__(self, *entries: pd.DataFrame | Exception, on_call: Callable[[], None] = lambda: None) -> None:
        self.entries = list(entries)
        self.asked: list[tuple[str, date, date]] = []
        self.on_call = on_call

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        self.asked.append((symbol, start, end))
        self.on_call()
        entry = self.entries.pop(0)
        if isinstance(entry, Exception):
            raise entry
        return entry


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def policy(attempts: int = 4, deadline: float = 200.0, clock: Callable[[], float] | None = None) -> RetryPolicy:
    return RetryPolicy(attempts=attempts, wait_s=0, deadline=deadline, clock=clock or Clock())


def request(symbol: str = "SPY") -> Request:
    return Request("prices", symbol, START, END)


BARS = world.bars("SPY", [1.0, 2.0])


@pytest.mark.parametrize("error", [SourceUnavailable("Down."), RateLimited("Slow down.")])
@pytest.mark.parametrize("failures", [0, 1, 3])
def test_an_unavailable_source_is_asked_again(error, failures):
    """After a failure that can pass the same request is made again, until the answer comes."""
    source = Script(*[error] * failures, BARS)
    (answer,) = fetch_batch(source, [request()], policy())
    assert answer.frame is BARS
    assert answer.error is None
    assert answer.request == request()
    assert source.asked == [("SPY", START, END)] * (failures + 1)


@pytest.mark.parametrize("error", [SymbolNotFound("No SPY here."), ConfigError("Set it."), RotationError("No.")])
def test_what_asking_again_cannot_mend_is_asked_once(error):
    """Any other expected failure is the answer at once, with its sentence."""
    source = Script(error, BARS)
    (answer,) = fetch_batch(source, [request()], policy())
    assert (answer.frame, answer.error) == (None, str(error))
    assert len(source.asked) == 1


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_attempts_are_exhausted(attempts):
    """After the last attempt the answer is the last failure's sentence; nothing is raised."""
    source = Script(*[SourceUnavailable(f"Failure {i}.") for i in range(1, 9)])
    (answer,) = fetch_batch(source, [request()], policy(attempts))
    assert (answer.frame, answer.error) == (None, f"Failure {attempts}.")
    assert len(source.asked) == attempts


@pytest.mark.parametrize("deadline", [100.0, 99.0])
def test_after_the_deadline_nothing_is_asked(deadline):
    """After the time limit for fetching the source is not called, and the answer says so in one sentence."""
    source = Script()
    (answer,) = fetch_batch(source, [request()], policy(deadline=deadline))
    assert answer.frame is None
    assert answer.error.startswith("SPY: not requested")
    assert answer.error.endswith(".")
    assert source.asked == []


def test_the_deadline_passes_within_a_batch():
    """Symbols answered in time keep their answers; those after the deadline are not asked."""
    clock = Clock()

    def later() -> None:
        clock.now += 60

    source = Script(BARS, BARS, BARS, on_call=later)
    answers = fetch_batch(source, [request(s) for s in ("A", "B", "C", "D")], policy(clock=clock))
    assert [answer.error is None for answer in answers] == [True, True, False, False]
    assert [symbol for symbol, _, _ in source.asked] == ["A", "B"]


def test_a_source_that_is_down_is_not_asked_for_each_symbol():
    """After three symbols in a row the others get their answer without a request, with the reason; later, the source is asked again."""
    clock = Clock()
    source = Script(*[SourceUnavailable("No network.")] * 6, BARS)
    down = policy(attempts=2, clock=clock)
    answers = fetch_batch(source, [request(symbol) for symbol in "ABCDE"], down)
    assert [symbol for symbol, _, _ in source.asked] == ["A", "A", "B", "B", "C", "C"]
    assert [answer.error for answer in answers[:3]] == ["No network."] * 3
    assert answers[4].error == ("E: not requested, since script was unavailable for the symbols before it: No network.")
    assert all(answer.is_unavailable for answer in answers)
    clock.now += 60
    (answer,) = fetch_batch(source, [request("D")], down)
    assert answer.frame is BARS


def test_a_dataset_that_is_down_leaves_the_others():
    """A source may fail for one dataset alone; once it gave an answer, an outage leaves out none of the symbols that follow."""

    class WithFacts(Script):
        def fund_facts(self, symbol: str, end: date) -> pd.DataFrame:
            return typed({"as_of": [str(end)]}, DATASETS["fund_facts"].columns)

    down = SourceUnavailable("Down.")
    source = WithFacts(down, down, BARS, down, down, down, down, BARS)
    patient = policy(attempts=1)
    answers = fetch_batch(source, [request(symbol) for symbol in "ABCDEFGH"], patient)
    assert [symbol for symbol, answer in zip("ABCDEFGH", answers, strict=True) if answer.error is None] == ["C", "H"]
    assert len(source.asked) == 8
    (facts,) = fetch_batch(source, [Request("fund_facts", "SPY", END, END)], patient)
    assert facts.error is None


@pytest.mark.parametrize("error", [TypeError("None"), KeyError("close"), AssertionError(), ValueError("x")])
def test_a_programming_error_is_not_swallowed(error):
    """An unexpected error is raised at once: neither retried nor turned into an answer."""
    source = Script(error, BARS)
    with pytest.raises(type(error)):
        fetch_batch(source, [request()], policy())
    assert len(source.asked) == 1


def test_one_bad_symbol_does_not_spoil_the_others():
    """Answers come one per request and in their order, good and bad mixed, an empty frame being a good one."""
    empty = world.bars("C", [])
    source = Script(BARS, SymbolNotFound("No B."), empty, SourceUnavailable("Down."), BARS)
    requests = [Request("prices", symbol, START, END, symbol == "C") for symbol in "ABCD"]
    answers = fetch_batch(source, requests, policy())
    assert [answer.request for answer in answers] == requests
    assert [answer.error for answer in answers] == [None, "No B.", None, None]
    assert answers[2].frame is empty


@pytest.mark.parametrize("name", DATASETS)
def test_an_answer_without_rows(name: str):
    """Of a fund's facts and holdings it is a failure, asked for once; a range may have no rows, and a company no estimates."""

    class Empty:
        name = "script"
        datasets = frozenset(DATASETS)
        asked = 0

        def __getattr__(self, dataset: str) -> Callable[..., pd.DataFrame]:
            def answer(symbol: str, *days: date) -> pd.DataFrame:
                self.asked += 1
                return typed({}, DATASETS[dataset].columns)

            return answer

    source = Empty()
    (answer,) = fetch_batch(source, [Request(name, "IWM", START, END)], policy())
    assert source.asked == 1
    if name in ("fund_facts", "holdings"):
        what = name.replace("_", " ")
        assert answer.error == f"script gave no {what} of IWM: its answer has no rows; the next run requests it."
        assert answer.frame is None
    else:
        assert answer.error is None
        assert answer.frame is not None


@pytest.mark.parametrize("count", [0, 1, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 1, 5 * BATCH_SIZE + 2])
def test_batches_cover_all(count):
    """Every request is in exactly one batch, in order, and no batch is empty or too large."""
    requests = [request(f"S{i}") for i in range(count)]
    groups = batches(requests)
    assert [one for group in groups for one in group] == requests
    assert all(1 <= len(group) <= BATCH_SIZE for group in groups)


def test_patience_comes_from_the_settings(monkeypatch):
    """Attempts, pause and deadline are those of the settings, the deadline counted from now on the given clock."""
    for name, value in {"ATTEMPTS": "7", "WAIT_S": "0.5", "DEADLINE_S": "30"}.items():
        monkeypatch.setenv(f"ROTATION_FETCH_{name}", value)
    clock = Clock()
    made = RetryPolicy.from_settings(load_settings(), clock)
    assert (made.attempts, made.wait_s, made.deadline) == (7, 0.5, 130.0)
    clock.now = 125.0
    assert made.remaining_s == 5.0


def test_a_retry_is_no_warning(caplog):
    """Asking again is a detail of a good run: nothing at WARNING or above is logged, by stamina either."""
    # The flows set the level of `rotation` when they are imported.
    with caplog.at_level(logging.DEBUG, "rotation"):
        fetch_batch(Script(SourceUnavailable("Down."), BARS), [request()], policy())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert any("Retrying" in record.getMessage() for record in caplog.records)


def test_a_retry_is_silent_in_a_new_process():
    """In a process that set up nothing, a retry writes nothing to the console."""
    code = (
        "from test_fetch import *\n"
        "fetch_batch(Script(SourceUnavailable('Down.'), BARS), [request()], policy())\n"
        "fetch_batch(Script(*[SourceUnavailable('Down.')] * 4), [request()], policy())\n"
    )
    root = Path(__file__).parents[3]
    paths = {"PYTHONPATH": f"{root}:{root / 'tests'}:{root / 'tests/tasks/run'}"}
    done = subprocess.run([sys.executable, "-c", code], env=paths, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_progress_is_logged_once_per_request(caplog):
    """Every request, answered or not, moves the progress on by one."""
    with caplog.at_level(logging.INFO, logger="rotation.fetch"):
        source = Script(BARS, SourceUnavailable("Down."), SourceUnavailable("Down."), SymbolNotFound("No."))
        fetch_batch(source, [request(s) for s in "ABC"], policy(attempts=2))
        fetch_batch(Script(), [request()], policy(deadline=0))
    assert sum(getattr(record, "advance", 0) for record in caplog.records) == 4
