"""A trial of the crash campaign: a scenario is killed, files are damaged, it runs again, and the promises are checked."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import webhook

from campaigns import aftermath, cuts, moments, scenarios
from campaigns.aftermath import Broken
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import RotationError

#: Seconds that a process of a scenario may take.
LIMIT_S = 240.0
#: The file in which a process leaves how its run ended.
OUTCOME = "outcome"


class Disturbance(NamedTuple):
    """A kill at a step boundary (`before publish`), an `operation` or a `random moment`, and whether a power cut damages a file after it."""

    kind: str
    has_cut: bool


class Undisturbed(NamedTuple):
    """What readers have before and after a scenario, and once its incidents have ended; what it passed, and alerted."""

    before: dict[str, str]
    done: dict[str, str]
    after: dict[str, str]
    raw: dict[str, int]
    took_s: float
    passed: list[str]
    alerts: Counter[tuple[str, str]]


@dataclass
class Tally:
    """What became of trials of one scenario. `ended_before`: processes that had ended when the kill came.

    `stopped`: runs that stopped at a damaged file and reported it.
    """

    trials: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    repeated_alerts: int = 0
    reads: int = 0
    ended_before: int = 0
    stopped: int = 0

    def __add__(self, other: Tally) -> Tally:
        mine, others = (tuple(getattr(each, one.name) for one in fields(Tally)) for each in (self, other))
        return Tally(*(a + b for a, b in zip(mine, others, strict=True)))


class Campaign:
    """Trials in `folder`, each with a webhook of its own for what is alerted; several at the same time do not disturb each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A process that has imported everything and opened no database, of which each trial is a fork.
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["campaigns.scenarios", "campaigns.moments", "campaigns.warm"])
        self.undisturbed: dict[str, Undisturbed] = {}

    def prepare(self, name: str) -> None:
        """The home before the scenario, and what comes of it when nothing disturbs it."""
        base = self.folder / name.replace(" ", "-")
        self._wait(self._start(base, scenarios.prepare, name, base), "prepare")
        home = self._copy(name)
        before, raw = aftermath.state(base), aftermath.rows_of_raw(base)
        with webhook.serving() as hook:
            began = time.monotonic()
            self._finish(name, home, hook, 0)
            took_s, passed = time.monotonic() - began, (home / moments.COUNTED).read_text().splitlines()
            done = aftermath.state(home)
            if name in scenarios.ENDS:
                self._finish(scenarios.ENDS[name], home, hook, 2)
        alerts = aftermath.told(hook.messages)
        self.undisturbed[name] = Undisturbed(before, done, aftermath.state(home), raw, took_s, passed, alerts)
        shutil.rmtree(home)

    def trial(self, name: str, disturbances: Sequence[Disturbance], rng: random.Random) -> Tally:
        """Disturbs the scenario `name` several times in a row, lets it end, and checks the promises after each."""
        tally, home, story = Tally(trials=1), self._copy(name), [name]
        try:
            with webhook.serving() as hook:
                self._endure(name, home, hook, disturbances, rng, tally, story)
            shutil.rmtree(home.parent)
        except (Broken, duckdb.Error, RotationError, RuntimeError) as error:
            tally.broken.append(f"{'; '.join(story)}: {error} ({home})")
        return tally

    def _endure(
        self,
        name: str,
        home: Path,
        hook: webhook.Webhook,
        disturbances: Sequence[Disturbance],
        rng: random.Random,
        tally: Tally,
        story: list[str],
    ) -> None:
        known, is_cut = self.undisturbed[name], False
        for n, (kind, has_cut) in enumerate(disturbances):
            story.append(self._disturb(name, home, hook, kind, n / 10, rng, tally))
            aftermath.expect_kept(home, [known.before, known.done, known.after], known.raw)
            if not is_cut:
                aftermath.expect_whole_reports(home)
            if has_cut:
                is_cut = True
                story.append(cuts.cut(home, rng))
                tally.tried["power cut"] += 1
        self._insist(name, home, hook, 1, is_cut, tally)
        aftermath.expect_kept(home, [known.done, known.after], known.raw)
        if name in scenarios.ENDS:
            self._insist(scenarios.ENDS[name], home, hook, 2, is_cut, tally)
        if aftermath.state(home) != known.after:
            raise Broken("the tables differ from those of an undisturbed run")
        aftermath.expect_same_record(home)
        aftermath.expect_whole_reports(home)
        got, unrecorded = aftermath.told(hook.messages), moments.sent_and_not_recorded(home)
        tally.repeated_alerts += aftermath.repeated(known.alerts, got, unrecorded, is_cut)

    def _disturb(
        self, name: str, home: Path, hook: webhook.Webhook, kind: str, hours: float, rng: random.Random, tally: Tally
    ) -> str:
        """Kills a process of the scenario; returns when."""
        known = self.undisturbed[name]
        kill_at, wait_s = kind, LIMIT_S
        if kind == "operation":
            numbered = list(enumerate(known.passed, 1))
            # Statements are many and much alike; sending and recording an alert are few, and what matters happens between them.
            few = [n for n, label in numbered if label.endswith((" send", " record"))]
            labels = [n for n, label in numbered if rng.random() < 0.1 or not _is_statement(label)]
            labels = few if few and rng.random() < 0.4 else labels
            kill_at = f"operation {rng.choice(labels)}"
        elif kind == "random moment":
            wait_s = rng.uniform(0, 1.05 * known.took_s)
            kill_at = f"random moment {wait_s:.3f} s"
        process = self._start(home, _act, name, home, _environment(home, hook), kill_at, hours)
        end = time.monotonic() + wait_s
        while process.is_alive() and time.monotonic() < end:
            tally.reads += self._is_readable(scenarios.published_of(home))
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        tally.tried["random moment" if kind == "random moment" else "operation" if kind == "operation" else "step"] += 1
        tally.ended_before += process.exitcode != -signal.SIGKILL
        return kill_at

    def _insist(self, name: str, home: Path, hook: webhook.Webhook, hours: float, is_cut: bool, tally: Tally) -> None:
        """The scenario, undisturbed. Where a power cut damaged a file, a run may stop and say so once; the next one must go on."""
        outcome = self._outcome(name, home, hook, hours)
        if outcome is None:
            return
        if not is_cut or not any(words in outcome for words in aftermath.STOPPED):
            raise Broken(f"the next run did not end: {outcome}")
        tally.stopped += 1
        if not warehouse.exists(scenarios.published_of(home)):
            # As the page that the run names says: nothing was published, so the next run fetches all.
            for path in (home / "warehouse").glob("build.duckdb*"):
                path.unlink()
        if (outcome := self._outcome(name, home, hook, hours + 0.5)) is not None:
            raise Broken(f"the second run after a damaged file did not end either: {outcome}")

    def _outcome(self, name: str, home: Path, hook: webhook.Webhook, hours: float) -> str | None:
        """How a run of the scenario ended where it did not end as expected; None where it did."""
        try:
            self._finish(name, home, hook, hours)
        except RuntimeError as error:
            said = home / OUTCOME
            return said.read_text() if said.exists() else str(error)
        return None

    def _copy(self, name: str) -> Path:
        home = Path(tempfile.mkdtemp(dir=self.folder)) / "home"
        scenarios.copy(self.folder / name.replace(" ", "-"), home)
        return home

    def _start(self, home: Path, target: Any, *arguments: Any) -> Any:
        process = self.processes.Process(target=_quietly, args=(home.parent / "log", target, *arguments))
        process.start()
        return process

    def _wait(self, process: Any, what: str) -> None:
        process.join(LIMIT_S)
        if process.exitcode != 0:
            process.kill()
            process.join()
            raise RuntimeError(f"{what} ended with {process.exitcode}")

    def _finish(self, name: str, home: Path, hook: webhook.Webhook, hours: float) -> None:
        (home / OUTCOME).unlink(missing_ok=True)
        self._wait(self._start(home, _act, name, home, _environment(home, hook), None, hours), name)

    def _is_readable(self, published: warehouse.Published) -> int:
        """Opens the file that readers open, at whatever moment this is; raises what a reader would see."""
        time.sleep(0.05)
        if not warehouse.exists(published):
            return 0
        with warehouse.reading(published) as con:
            con.execute("select count(*) from core.prices").fetchone()
        return 1


def _environment(home: Path, hook: webhook.Webhook) -> dict[str, str]:
    return scenarios.environment(home) | {"ROTATION_ALERT_URLS": hook.url()}


def _is_statement(label: str) -> bool:
    return label.startswith(("before ", "after ")) and not label.endswith((" send", " record", " close", " commit"))


def _act(name: str, home: Path, environment: dict[str, str], kill_at: str | None, hours: float) -> None:
    os.environ.update(environment)
    os.chdir(home)
    when, _, where = (kill_at or "").partition(" ")
    counted = moments.count(home, int(where) if when == "operation" else None)
    try:
        run = scenarios.ACTS[name](kill_at if when in ("before", "after") else None, hours)
    except RotationError as error:
        (home / OUTCOME).write_text(str(error))
        raise
    if kill_at is None:
        counted.save()
    (home / OUTCOME).write_text(f"{run.status}: {run.message}")
    if run.status not in scenarios.EXPECTED.get(name, {"published", "up_to_date"}):
        raise SystemExit(1)


def _quietly(log: Path, target: Any, *arguments: Any) -> None:
    """`target` in a process whose output goes to `log`."""
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    # As in the tests: with threads of its own each process would do the same work in half as much time again.
    duckdb.connect = partial(duckdb.connect, config={"threads": 1})
    target(*arguments)


@contextmanager
def campaign() -> Iterator[Campaign]:
    """A campaign in a temporary folder, in which the homes of broken promises stay."""
    folder = Path(tempfile.mkdtemp(prefix="rotation-crash-"))
    yield Campaign(folder)
    if not list(folder.glob("*/home")):
        shutil.rmtree(folder)
