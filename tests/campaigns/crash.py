"""`make crash`: SIGKILL at each step boundary and at random moments, and power cuts that shorten files, over everything that writes the warehouse.

After each: readers have the state before or the one after, and the next run ends where an undisturbed one does.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import track

from campaigns import deploying, scenarios
from campaigns.crash_trials import Disturbance, Tally, campaign
from campaigns.record import record


def trials(rng: random.Random, number: int) -> Iterator[tuple[str, list[Disturbance]]]:
    """Trials with so many kills and power cuts together: at step boundaries in turn, at operations and at random moments."""
    boundaries = [f"{when} {step}" for step in scenarios.STEPS for when in ("before", "after")]
    names = list(scenarios.ACTS)
    rng.shuffle(boundaries)
    rng.shuffle(names)
    # Each boundary once, then each again in another scenario.
    planned = [
        (names[(n + turn) % len(names)], kill_at) for turn in range(len(names)) for n, kill_at in enumerate(boundaries)
    ]
    made = 0
    while made < number:
        name, kill_at = planned.pop(0) if planned else (rng.choice(list(scenarios.ACTS)), "operation")
        kinds = [kill_at, *rng.choices(["operation", "random moment"], k=rng.choice((1, 1, 2)))]
        rng.shuffle(kinds)
        disturbances = [Disturbance(kind, rng.random() < 0.4) for kind in kinds]
        made += sum(1 + each.has_cut for each in disturbances)
        yield name, disturbances


def main() -> int:
    """Runs the campaign; returns 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--number", type=int, default=240, help="kills and power cuts together")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--deploys", type=int, default=40, help="kills of `rotation deploy`")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trials at the same time")
    given = parser.parse_args()
    # A process that is killed cannot release its semaphores.
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker"
    console, rng = Console(), random.Random(given.seed)
    console.print(f"Seed {given.seed}; {given.number} kills and power cuts.")
    tallies = {name: Tally() for name in scenarios.ACTS}
    began = time.monotonic()
    planned = list(enumerate(trials(rng, given.number)))
    with campaign() as made, ThreadPoolExecutor(given.jobs) as pool:

        def tried(n: int, name: str, disturbances: list[Disturbance]) -> tuple[str, Tally]:
            if time.monotonic() - began > given.seconds:
                return name, Tally()
            return name, made.trial(name, disturbances, random.Random(f"{given.seed} {n}"))

        prepared = pool.map(made.prepare, scenarios.ACTS)
        list(track(prepared, "Preparing", total=len(scenarios.ACTS), console=console))
        waiting = [pool.submit(tried, n, *trial) for n, trial in planned]
        for done in track(as_completed(waiting), "Crashing", total=len(waiting), console=console):
            name, tally = done.result()
            tallies[name] += tally
            for sentence in tally.broken:
                console.print(f"BROKEN: {sentence}", soft_wrap=True)
    report(given.seed, time.monotonic() - began, tallies)
    with TemporaryDirectory(prefix="rotation-deploying-") as folder, console.status("Killing rotation deploy"):
        parts = deploying.killed_while_deploying(Path(folder), given.deploys, given.seed)
    for part in parts:
        for sentence in part.broken:
            console.print(f"BROKEN: {part.name}: {sentence}", soft_wrap=True)
    record(
        "deploying",
        [f"Seed {given.seed}: {given.deploys} kills; {sum(len(part.broken) for part in parts)} broken promises."],
        [{"attacked": part.name, "checks": part.tried, "broken": len(part.broken)} for part in parts],
    )
    is_broken = any(tally.broken for tally in tallies.values()) or any(part.broken for part in parts)
    return 1 if is_broken else 0


def report(seed: int, seconds: float, tallies: dict[str, Tally]) -> None:
    """Writes the figures to the page."""
    tried: Counter[str] = sum((tally.tried for tally in tallies.values()), Counter())
    every = list(tallies.values())
    record(
        "crash",
        [
            f"Seed {seed}: {tried.total() - tried['power cut']} kills and {tried['power cut']} power cuts in {sum(t.trials for t in every)} trials, "
            f"{seconds / 60:.0f} minutes; {sum(len(t.broken) for t in every)} broken promises.",
            f"In {sum(t.ended_before for t in every)} of the kills the process had just ended.",
            f"Meanwhile the published file was opened {sum(t.reads for t in every):,} times; each time it opened.",
            f"{sum(t.stopped for t in every)} runs stopped at a file that a power cut had damaged, and reported it; the next one went on.",
            f"No alert was lost; {sum(t.repeated_alerts for t in every)} were sent twice, where the kill came between sending and recording, "
            "or a power cut took the record.",
        ],
        [
            {
                "scenario": name,
                "trials": tally.trials,
                **{f"kills, {kind}": tally.tried[kind] for kind in ("step", "operation", "random moment")},
                "power cuts": tally.tried["power cut"],
                "survived": f"{tally.trials - len(tally.broken)} of {tally.trials}",
            }
            for name, tally in tallies.items()
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
