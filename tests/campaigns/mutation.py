"""Mutation testing of the arithmetic in SQL and of the code that decides: `make mutation`.

One token of one file is changed in a copy of the repository, and the tests of that file run there; a mutant is killed when one of them fails.
The cases that `make test` leaves out run only where the others let a mutant live.
Files take turns, their mutants are drawn by the seed, until the time is over. Libraries are imported once: each mutant is a fork of this process.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from rich.console import Console

from campaigns.mutants import Mutant, mutants
from campaigns.record import record
from campaigns.survivors import explanation

REPOSITORY = Path(__file__).parents[2]
#: The share of mutants, in percent, that the tests must kill.
FLOOR_PCT = 75.0
#: A test file that takes longer alone is left out. Times are processor time, which other programs of the machine do not change.
SLOWEST_S = 60.0
#: A mutant whose tests take this many times as long as without it is killed: it would be noticed.
PATIENCE = 4.0
#: Nor may it wait for this long, in seconds, in either part: the tests of `make test`, and the cases that it leaves out.
MOST_S = 600.0

CORE, SIGNALS = "tests/sql/core", "tests/sql/signals"
#: The tests of each file; a file that is not named has those of `DEFAULT`. A Python file is followed by the function that decides.
TESTS: dict[str, tuple[str, ...]] = {
    "sql/core/evidence_names.sql": (f"{SIGNALS}/test_evidence_edges.py",),
    "sql/core/earnings_growth.sql": (f"{SIGNALS}/test_earnings_momentum.py", f"{SIGNALS}/test_evidence_edges.py",),
    "sql/core/holdings.sql": ("tests/sql/test_versions.py", f"{SIGNALS}/test_fund_overlap.py", f"{SIGNALS}/test_earnings_momentum.py", f"{SIGNALS}/test_fund_comparison.py", f"{SIGNALS}/test_constituent_breadth.py",),
    "sql/core/fund_facts.sql": (f"{SIGNALS}/test_fund_comparison.py", f"{SIGNALS}/test_flows_by_period.py",),
    "sql/core/unknown_distributions.sql": (f"{CORE}/test_returns.py",),
    "sql/core/instruments.sql": (f"{SIGNALS}/test_signal_truths.py", f"{CORE}/test_context.py",),
    "sql/core/pairs.sql": (f"{SIGNALS}/test_relative_strength.py", f"{SIGNALS}/test_signal_edges.py",),
    "sql/core/close_basis.sql": (f"{CORE}/test_close_basis.py", f"{CORE}/test_context.py",),
    "sql/core/context.sql": (f"{CORE}/test_context.py",),
    "sql/core/fund_flows.sql": (f"{CORE}/test_fund_flows.py", f"{CORE}/test_flows_from_assets.py"),
    "sql/core/fund_nav.sql": (f"{CORE}/test_fund_flows.py", f"{CORE}/test_flows_from_assets.py"),
    "sql/core/flow_members.sql": (f"{SIGNALS}/test_fund_flows_monthly.py", f"{SIGNALS}/test_flows_by_period.py",),
    "sql/core/prices.sql": (f"{CORE}/test_prices.py", f"{CORE}/test_returns.py"),
    "sql/core/prices_as_of.sql": (f"{CORE}/test_prices.py",),
    "sql/core/regime_label.sql": (f"{SIGNALS}/test_regime_edges.py",),
    "sql/core/regime_states.sql": (f"{SIGNALS}/test_regime_edges.py",),
    "sql/core/returns.sql": (f"{CORE}/test_returns.py",),
    "sql/core/returns_between.sql": (f"{CORE}/test_returns_between.py", "tests/sql/test_known_truths.py",),
    "sql/core/sector_returns.sql": (f"{CORE}/test_returns.py", f"{SIGNALS}/test_sector_leadership.py"),
    "sql/core/sessions.sql": (f"{CORE}/test_sessions.py",),
    "sql/core/thresholds.sql": (f"{SIGNALS}/test_evidence_edges.py",),
    "sql/signals/breadth.sql": (f"{SIGNALS}/test_signal_edges.py", f"{SIGNALS}/test_signal_truths.py"),
    "sql/signals/constituent_breadth.sql": (f"{SIGNALS}/test_constituent_breadth.py",),
    "sql/signals/dispersion.sql": (f"{SIGNALS}/test_dispersion.py",),
    "sql/signals/earnings_momentum.sql": (f"{SIGNALS}/test_earnings_momentum.py", f"{SIGNALS}/test_evidence_edges.py",),
    "sql/signals/fund_comparison.sql": (f"{SIGNALS}/test_fund_comparison.py", f"{SIGNALS}/test_signal_truths.py",),
    "sql/signals/fund_flows_by.sql": (f"{SIGNALS}/test_flows_by_period.py", f"{SIGNALS}/test_fund_flows_monthly.py"),
    "sql/signals/fund_flows_monthly.sql": (f"{SIGNALS}/test_fund_flows_monthly.py",),
    "sql/signals/fund_flows_monthly_until.sql": (f"{SIGNALS}/test_fund_flows_monthly.py",),
    "sql/signals/fund_flows_weekly.sql": (f"{SIGNALS}/test_flows_by_period.py", "tests/expectations/test_signal_suite.py",),
    "sql/signals/fund_flows_yearly.sql": (f"{SIGNALS}/test_flows_by_period.py",),
    "sql/signals/fund_flows_yearly_until.sql": (f"{SIGNALS}/test_flows_by_period.py",),
    "sql/signals/fund_overlap.sql": (f"{SIGNALS}/test_fund_overlap.py",),
    "sql/signals/mega_cap.sql": (f"{SIGNALS}/test_signal_edges.py", f"{SIGNALS}/test_signal_truths.py"),
    "sql/signals/regime_observations.sql": (f"{SIGNALS}/test_regime_performance.py",),
    "sql/signals/regime_performance.sql": (f"{SIGNALS}/test_regime_performance.py",),
    "sql/signals/regime_performance_until.sql": (f"{SIGNALS}/test_regime_performance.py",),
    "sql/signals/relative_rotation.sql": (f"{SIGNALS}/test_rotation_arithmetic.py", f"{SIGNALS}/test_relative_rotation.py", f"{SIGNALS}/test_signal_truths.py",),
    "sql/signals/relative_strength.sql": (f"{SIGNALS}/test_relative_strength.py", f"{SIGNALS}/test_signal_edges.py", f"{SIGNALS}/test_signal_truths.py",),
    "sql/signals/rotation_evidence.sql": (f"{SIGNALS}/test_evidence_edges.py", f"{SIGNALS}/test_signal_truths.py",),
    "sql/signals/rotation_regime.sql": (f"{SIGNALS}/test_regime_edges.py", f"{SIGNALS}/test_signal_truths.py"),
    "sql/signals/sector_leadership.sql": (f"{SIGNALS}/test_sector_leadership.py", f"{SIGNALS}/test_signal_truths.py",),
    "sql/signals/verdict_changes.sql": (f"{SIGNALS}/test_regime_edges.py", f"{SIGNALS}/test_signal_truths.py",),
    "expectations/stage/prices.sql": ("tests/tasks/audit/test_audit.py", "tests/expectations/test_price_suite.py", "tests/expectations/test_units.py"),
    "expectations/stage/fund_nav.sql": ("tests/expectations/test_fund_suites.py", "tests/expectations/test_units.py"),
    "expectations/stage/fund_facts.sql": ("tests/expectations/test_fund_suites.py", "tests/expectations/test_units.py"),
    "expectations/stage/earnings_growth.sql": ("tests/expectations/test_fund_suites.py", "tests/expectations/test_units.py"),
    "expectations/stage/holdings.sql": ("tests/expectations/test_fund_suites.py", "tests/expectations/test_units.py"),
    "expectations/stage/answers.sql": ("tests/tasks/audit/test_audit.py", "tests/tasks/audit/test_blocked.py"),
    "expectations/core/prices.sql": ("tests/expectations/test_price_suite.py",),
    "expectations/core/fund_flows.sql": ("tests/expectations/test_fund_suites.py",),
    "expectations/signals/*.sql": ("tests/expectations/test_signal_suite.py",),
    "tasks/calendar.py": ("tests/tasks/test_calendar.py",),
    "tasks/alerts/incidents.py": ("tests/tasks/alerts/test_alerts.py",),
    "tasks/audit/run.py:stop_if_blocked": ("tests/tasks/audit/test_audit.py", "tests/tasks/audit/test_blocked.py"),
    "tasks/run/stage.py:plan": ("tests/tasks/run/test_fetch.py", "tests/tasks/run/test_pipeline.py"),
}  # fmt: skip
DEFAULT = ("tests/sql/test_known_truths.py",)


@dataclass
class Target:
    """A file to mutate, its tests, and what became of its mutants."""

    name: str
    tests: tuple[str, ...]
    waiting: list[Mutant]
    results: list[tuple[Mutant, str]] = field(default_factory=list)


#: A target with a mutant, or a test file without one; its tests; the processor time allowed.
Job = tuple[Target | str, Mutant | None, Sequence[str], float]
#: No job until another ends.
WAIT: Job = ("", None, (), 0.0)


def targets(seed: int, only: str = "") -> list[Target]:
    """Every file of `sql/core`, `sql/signals` and `TESTS` whose path has `only` in it, with its mutants in an order drawn by `seed`."""
    names: dict[str, tuple[str, ...]] = {
        str(path.relative_to(REPOSITORY)): DEFAULT
        for folder in ("core", "signals")
        for path in (REPOSITORY / "sql" / folder).glob("*.sql")
    }
    for pattern, tests in TESTS.items():
        for path in [str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob(pattern)] if "*" in pattern else [pattern]:
            names[path] = tests
    found = []
    for name in sorted(name for name in names if only in name):
        path, _, function = name.partition(":")
        made = mutants(REPOSITORY / path, function or None)
        random.Random(f"{seed} {name}").shuffle(made)
        if made:
            found.append(Target(name, names[name], made))
    random.Random(seed).shuffle(found)
    return found


def copy_of_repository(folder: Path) -> Path:
    """The files that git knows or would add, links as links."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name, follow_symlinks=False)
    return folder


class Workers:
    """Forks that run pytest in copies of the repository, each in one of its own."""

    def __init__(self, folder: Path, number: int) -> None:
        # Real data, if present, lies beside the repository.
        if (beside := REPOSITORY.parent / "shared").is_dir():
            (folder / "shared").symlink_to(beside)
        self.free = [copy_of_repository(folder / str(n)) for n in range(number)]
        # Bytecode is found by the second in which a file was written, so every version of a file gets a second of its own.
        self.seconds = count(2_000_000_000)

    def run(self, jobs: Iterator[Job]) -> Iterator[tuple[Target | str, Mutant | None, str, float]]:
        """The outcome and the seconds of each job: a mutant or None, the tests, and the time allowed, in the order in which they end."""
        running: dict[int, tuple[Target | str, Mutant | None, Path, float]] = {}
        ended = False
        while running or not ended:
            while self.free and not ended:
                job = next(jobs, None)
                if job is None:
                    ended = True
                    break
                if job is WAIT:
                    break
                key, mutant, tests, allowed_s = job
                copy = self.free.pop()
                if mutant:
                    self._write(copy, mutant, mutant.mutated)
                running[_fork(copy, tests, allowed_s)] = (key, mutant, copy, time.monotonic())
            if not running:
                break
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            late = [p for p, (_, _, _, begin) in running.items() if time.monotonic() - begin > 2 * MOST_S]
            if not pid and late:
                os.killpg(late[0], signal.SIGKILL)
                pid, status, usage = os.wait4(late[0], 0)
            if not pid:
                time.sleep(0.02)
                continue
            key, mutant, copy, _ = running.pop(pid)
            if mutant:
                self._write(copy, mutant, mutant.text)
            self.free.append(copy)
            yield key, mutant, _outcome(status, copy), _seconds(copy) or usage.ru_utime + usage.ru_stime

    def _write(self, copy: Path, mutant: Mutant, text: str) -> None:
        path = copy / mutant.path.relative_to(REPOSITORY)
        path.write_text(text, encoding="utf-8")
        os.utime(path, (second := next(self.seconds), second))


def _fork(copy: Path, tests: Sequence[str], allowed_s: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        os.setpgid(0, 0)
        most_allowed = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(allowed_s) + 1, most_allowed))
        os.chdir(copy)
        with (copy / ".output").open("wb") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        sys.path[:] = [str(copy), *(p for p in sys.path if p and not _is_ours(Path(p)))]
        os.environ["PYTHONPATH"] = str(copy)
        import pytest

        options = [
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            f"--basetemp={copy}/.tmp",
            "--tb=line",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]
        code = int(pytest.main([*options, "-m", "not long", *tests]))
        used_s = sum(os.times()[:4])
        (copy / ".seconds").write_text(str(used_s), encoding="utf-8")
        if code == pytest.ExitCode.OK:
            resource.setrlimit(resource.RLIMIT_CPU, (int(used_s + MOST_S), most_allowed))
            code = int(pytest.main([*options, "-m", "long", *tests]))
            code = 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        sys.stdout.flush()
        os._exit(code)


def _is_ours(path: Path) -> bool:
    """Whether modules at `path` are the repository's, not those of an environment that lies in it."""
    return path.is_relative_to(REPOSITORY) and "site-packages" not in path.parts


def _seconds(copy: Path) -> float | None:
    """Processor time of the tests without those that `make test` leaves out; None where they did not come to their end."""
    path = copy / ".seconds"
    if not path.exists():
        return None
    found = float(path.read_text(encoding="utf-8"))
    path.unlink()
    return found


def _outcome(status: int, copy: Path) -> str:
    code = os.waitstatus_to_exitcode(status)
    if -code in (signal.SIGXCPU, signal.SIGKILL):
        return "killed (time)"
    said = (copy / ".output").read_text(encoding="utf-8", errors="replace")
    # DuckDB refuses the file as a whole, so that it says nothing about the tests.
    if code and re.search(r"(Binder|Parser|Catalog) Error|BinderException|ParserException|CatalogException", said):
        return "invalid"
    return {0: "survived", 1: "killed", 2: "killed"}.get(code, f"error {code}: {said[-500:]}")


def preload() -> None:
    """Imports the libraries that the tests use, and nothing of the project."""
    import altair  # noqa: F401
    import duckdb  # noqa: F401
    import exchange_calendars  # noqa: F401
    import great_expectations  # noqa: F401
    import hypothesis  # noqa: F401
    import numpy as np  # noqa: F401
    import pandas as pd  # noqa: F401
    import pytest  # noqa: F401
    import xdist  # type: ignore[import-untyped]  # noqa: F401

    assert not [name for name in sys.modules if name.startswith("market_rotation")]


def campaign(
    seed: int, seconds: float, workers: int, console: Console, only: str = "", most: int = 10**9
) -> list[Target]:
    """The targets with the results of as many mutants, `most` at the most, as begin within `seconds`.

    Files share the time, so that slow tests do not take it from the others. Each test file runs first without a mutant: one that fails or
    takes long then is left out.
    """
    every = targets(seed, only)
    spent = dict.fromkeys((target.name for target in every), 0.0)
    waiting = {target.name: iter(target.waiting) for target in every}
    usual: dict[str, float | None] = {}
    end = time.monotonic() + seconds

    def jobs() -> Iterator[Job]:
        begun = 0
        while begun < most and time.monotonic() < end and (left := [t for t in every if spent[t.name] < float("inf")]):
            target = min(left, key=lambda t: spent[t.name])
            new = next((test for test in target.tests if test not in usual), None)
            if new:
                usual[new] = None
                yield new, None, [new], SLOWEST_S
                continue
            times = {test: took for test in target.tests if (took := usual[test]) is not None}
            if len(times) < len(target.tests):
                yield WAIT
                continue
            mutant = next(waiting[target.name], None)
            if not target.tests or mutant is None:
                spent[target.name] = float("inf")
            else:
                begun += 1
                spent[target.name] += sum(times.values())
                yield target, mutant, sorted(times, key=lambda test: times[test]), 10 + PATIENCE * sum(times.values())

    with tempfile.TemporaryDirectory() as folder:
        for key, mutant, outcome, took in Workers(Path(folder), workers).run(jobs()):
            if isinstance(key, Target) and mutant is not None:
                key.results.append((mutant, outcome))
                said = f"{key.name}:{mutant.line} {mutant.change}"
            else:
                said = f"{key} without a mutant"
                usual[str(key)] = took
                if outcome != "survived":
                    for target in every:
                        target.tests = tuple(test for test in target.tests if test != key)
            console.print(f"{took:6.1f} s  {outcome:12} {said}", soft_wrap=True, markup=False, highlight=False)
    return every


def main() -> int:
    """Runs the campaign and records it; 1 when less than `FLOOR_PCT` of the mutants were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only files whose path has this in it; nothing is recorded")
    parser.add_argument("--most", type=int, default=10**9, help="the number of mutants at most")
    asked = parser.parse_args()
    console = Console(width=200)
    console.print(f"Mutation, seed {asked.seed}, {asked.seconds:g} s")
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    preload()
    every = campaign(asked.seed, asked.seconds, asked.workers, console, asked.only, asked.most)
    results = [
        (target, mutant, outcome) for target in every for mutant, outcome in target.results if outcome != "invalid"
    ]
    errors = [outcome for *_, outcome in results if outcome.startswith("error")]
    killed = sum(outcome.startswith("killed") for *_, outcome in results)
    score = 100 * killed / max(1, len(results))
    kinds, dead = (
        Counter(m.kind for _, m, _ in results),
        Counter(m.kind for _, m, o in results if o.startswith("killed")),
    )
    facts = [
        f"Seed {asked.seed}, {asked.seconds:g} s: {len(results)} mutants of {len([t for t in every if t.results])} files (of "
        f"{sum(len(t.waiting) for t in every):,} possible), {killed} killed, {len(results) - killed} survived: a score of {score:.0f} %; the floor is {FLOOR_PCT:g} %.",
        "By kind of change, killed of tried: "
        + ", ".join(f"{kind} {dead[kind]} of {kinds[kind]}" for kind in sorted(kinds))
        + ".",
        "A mutant that DuckDB refuses to run is not counted. Only the tests named in tests/campaigns/mutation.py for a file run against its mutants, those cases that `make test` leaves out last.",
    ]
    rows = [
        {
            "file": f"`{target.name}` line {mutant.line}",
            "mutant that survived": "`" + mutant.change.replace("|", "\\|") + "`",
            "why": explanation(mutant.change),
        }
        for target, mutant, outcome in results
        if outcome == "survived"
    ]
    for fact in facts:
        console.print(fact, soft_wrap=True)
    if not asked.only:
        record("mutation", facts, rows)
    return int(score < FLOOR_PCT or bool(errors))


if __name__ == "__main__":
    sys.exit(main())
