"""`make crash`: SIGKILL at each step boundary and at random moments, and power cuts that shorten files, over everything that writes the warehouse.

After each: readers have the state before or the one after, and the next run ends where an undisturbed one does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import webhook
from rich.console import Console
from rich.progress import track

from campaigns import scenarios
from campaigns.record import record

#: Seconds that a process of a scenario may take.
LIMIT_S = 120.0
#: What a power cut may leave short: files that were written and not synced yet.
CUT = ("warehouse/build.duckdb.wal", "warehouse/build.duckdb", "warehouse/.rotation.duckdb.tmp", "warehouse/watch.json")
CUT_FOLDERS = ("warehouse/fetched", "warehouse/reports", "warehouse/data_docs", "state")


@dataclass
class Tally:
    """What became of the trials of one scenario."""

    tried: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    repeated_alerts: int = 0
    reads: int = 0


class Campaign:
    """Trials in `folder`, with a webhook for what is alerted; `rng` decides the moments."""

    def __init__(self, folder: Path, hook: webhook.Webhook, rng: random.Random) -> None:
        self.folder, self.hook, self.rng = folder, hook, rng
        # A process that has imported everything and opened no database, of which each trial is a fork.
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["campaigns.scenarios", "campaigns.warm"])
        self.before: dict[str, dict[str, str]] = {}
        self.after: dict[str, dict[str, str]] = {}
        self.took_s: dict[str, float] = {}
        self.has_broken = False

    def prepare(self, name: str) -> None:
        """The home before the scenario, and the state that it ends in when nothing disturbs it."""
        base = self.folder / name.replace(" ", "-")
        self._wait(self._start(scenarios.prepare, name, base), "prepare")
        self.before[name] = self._content(base) if name != "upgrade" else {}
        undisturbed = self._copy(name)
        began = time.monotonic()
        self._finish(name, undisturbed, None)
        self.took_s[name] = time.monotonic() - began
        if name == "blocked and alerted":
            self._finish("daily run", undisturbed, None, 1)
        self.after[name] = self._content(undisturbed)
        shutil.rmtree(undisturbed)

    def trial(self, name: str, kill_at: str | None, is_cut: bool, tally: Tally) -> None:
        """One disturbance, and what must hold after it; `kill_at` None kills at a random moment."""
        home, start = self._copy(name), len(self.hook.messages)
        published = home / "warehouse" / "rotation.duckdb"
        what = kill_at or f"after {(wait_s := self.rng.uniform(0, 1.05 * self.took_s[name])):.3f} s"
        process = self._start(_act, name, home, self._environment(home), kill_at, 0.0)
        end = time.monotonic() + (LIMIT_S if kill_at else wait_s)
        while process.is_alive() and time.monotonic() < end:
            tally.reads += self._is_readable(published)
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        if is_cut:
            what += self._cut(home)
        tally.tried["power cut" if is_cut else "step boundary" if kill_at else "random moment"] += 1
        try:
            if name != "upgrade":
                seen = self._content(home)
                assert seen in (self.before[name], self.after[name]), "readers have neither the state before nor after"
            self._finish(name, home, None, 1)
            if name == "blocked and alerted":
                self._finish("daily run", home, None, 2)
                kinds = Counter(message["type"] for message in self.hook.messages[start:])
                assert kinds["failure"] >= 1, f"the alert was lost: {kinds}"
                assert kinds["success"] >= 1, f"the recovery was lost: {kinds}"
                tally.repeated_alerts += kinds["failure"] - 1 + kinds["success"] - 1
            assert self._content(home) == self.after[name], "the tables differ from those of an undisturbed run"
            shutil.rmtree(home)
        except (AssertionError, duckdb.Error, RuntimeError) as error:
            self.has_broken = True
            tally.broken.append(f"{name}, {what}: {error} ({home})")

    def _copy(self, name: str) -> Path:
        home = Path(tempfile.mkdtemp(dir=self.folder)) / "home"
        shutil.copytree(self.folder / name.replace(" ", "-"), home)
        return home

    def _environment(self, home: Path) -> dict[str, str]:
        return scenarios.environment(home) | {"ROTATION_ALERT_URLS": self.hook.url()}

    def _start(self, target: Any, *arguments: Any) -> Any:
        process = self.processes.Process(target=_quietly, args=(self.folder / "log", target, *arguments))
        process.start()
        return process

    def _wait(self, process: Any, what: str) -> None:
        process.join(LIMIT_S)
        if process.exitcode != 0:
            process.kill()
            raise RuntimeError(f"{what} ended with {process.exitcode}; see {self.folder / 'log'}")

    def _finish(self, name: str, home: Path, kill_at: str | None, hours: float = 0.0) -> None:
        self._wait(self._start(_act, name, home, self._environment(home), kill_at, hours), name)

    def _content(self, home: Path) -> dict[str, str]:
        return scenarios.content(home / "warehouse" / "rotation.duckdb")

    def _is_readable(self, published: Path) -> int:
        """Opens the file that readers open, at whatever moment this is; raises what a reader would see."""
        with duckdb.connect(str(published), read_only=True) as con:
            con.execute("select count(*) from duckdb_tables()").fetchone()
        time.sleep(0.01)
        return 1

    def _cut(self, home: Path) -> str:
        """Shortens one of the files that a run may leave unsynced; the published file is synced before it takes its name."""
        found = [home / name for name in CUT if (home / name).exists()]
        found += [path for name in CUT_FOLDERS for path in sorted((home / name).rglob("*")) if path.is_file()]
        if not found:
            return ", nothing to cut"
        # The write-ahead log is what a power cut leaves short; anything else is rarer.
        path = found[0] if found[0].suffix == ".wal" and self.rng.random() < 0.7 else self.rng.choice(found)
        size = self.rng.randrange(path.stat().st_size + 1)
        os.truncate(path, size)
        return f", {path.relative_to(home)} cut to {size} bytes"


def _act(name: str, home: Path, environment: dict[str, str], kill_at: str | None, hours: float) -> None:
    os.environ.update(environment)
    os.chdir(home)
    expected = {"blocked"} if name == "blocked and alerted" else {"published", "up_to_date"}
    status = scenarios.ACTS[name](kill_at, hours)
    if status not in expected:
        raise SystemExit(f"{name}: {status}")


def _quietly(log: Path, target: Any, *arguments: Any) -> None:
    """`target` in a process whose output goes to `log`."""
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    # In use every file is synced; a trial need not survive the machine.
    os.fsync = lambda fd: None
    target(*arguments)


def trials(rng: random.Random, number: int) -> Iterator[tuple[str, str | None, bool]]:
    """So many disturbances: a third at step boundaries, in turn, the others at random moments; half of them with a power cut."""
    boundaries = [
        (name, f"{when} {step}") for step in scenarios.STEPS for when in ("before", "after") for name in scenarios.ACTS
    ]
    rng.shuffle(boundaries)
    for n in range(number):
        name, kill_at = boundaries[(n // 3) % len(boundaries)]
        if n % 3:
            name = rng.choice(list(scenarios.ACTS))
        yield name, None if n % 3 else kill_at, rng.random() < 0.5


@contextmanager
def campaign(rng: random.Random) -> Iterator[Campaign]:
    """A campaign in a temporary folder, in which the homes of broken promises stay."""
    folder = Path(tempfile.mkdtemp(prefix="rotation-crash-"))
    with webhook.serving() as hook:
        made = Campaign(folder, hook, rng)
        yield made
    if not made.has_broken:
        shutil.rmtree(folder)


def main() -> int:
    """Runs the campaign; returns 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=1800.0)
    given = parser.parse_args()
    console, rng = Console(), random.Random(given.seed)
    console.print(f"Seed {given.seed}; {given.trials} disturbances.")
    tallies = {name: Tally() for name in scenarios.ACTS}
    end = time.monotonic() + given.seconds
    with campaign(rng) as made:
        for name in scenarios.ACTS:
            made.prepare(name)
        planned = list(trials(rng, given.trials))
        for name, kill_at, is_cut in track(planned, "Crashing", console=console):
            if time.monotonic() > end:
                break
            made.trial(name, kill_at, is_cut, tallies[name])
        broken = [sentence for tally in tallies.values() for sentence in tally.broken]
        for sentence in broken:
            console.print(f"BROKEN: {sentence}", soft_wrap=True)
    tried = sum(sum(tally.tried.values()) for tally in tallies.values())
    record(
        "crash",
        [
            f"Seed {given.seed}: {tried} disturbances, {len(broken)} broken promises.",
            f"Meanwhile the published file was opened {sum(t.reads for t in tallies.values()):,} times; each time it opened.",
            f"No alert was lost; {sum(t.repeated_alerts for t in tallies.values())} were sent twice, where the process was killed between sending and recording.",
        ],
        [
            {
                "scenario": name,
                **{kind: tally.tried[kind] for kind in ("step boundary", "random moment", "power cut")},
                "survived": sum(tally.tried.values()) - len(tally.broken),
            }
            for name, tally in tallies.items()
        ],
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
