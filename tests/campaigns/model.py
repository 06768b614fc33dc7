"""Model campaign: random sequences of days, vendor faults and operations, each run compared with an independent model in plain Python."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import time
import traceback
from collections import Counter
from functools import partial
from random import SystemRandom

import duckdb
import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console

from campaigns import record
from campaigns.days import Days
from campaigns.modelled import REBUILT_EVERY, Evenings, TimeIsUp

#: Steps of a sequence, at most.
STEPS = 20


def search(seed: int, examples: int, steps: int = STEPS, machine: type[Days] = Days) -> None:
    """Runs `examples` sequences of up to `steps` steps; raises what the first broken promise raised, with the steps as its notes.

    A sequence is not shortened: a run takes seconds. Raises `TimeIsUp` at the deadline of the machine.
    """
    hypothesis.seed(seed)(machine)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


def main() -> int:
    """Searches until the time is over or a promise is broken, and records what was done; 1 when one was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args()
    out = Console()
    out.print(f"model: seed {given.seed}, {given.seconds:.0f} s")
    logging.disable(logging.CRITICAL)
    # Nothing has to survive a power cut here; one thread is faster for small tables.
    duckdb.connect = partial(duckdb.connect, config={"threads": 1})
    os.fsync = lambda fd: None
    began = time.monotonic()
    Evenings.deadline = began + given.seconds
    broken = ""
    try:
        with out.status("Sequences of days") as status:
            Evenings.show = staticmethod(lambda: status.update(_progress(Days.used, Days.runs)))
            search(given.seed, 1_000_000)
    except TimeIsUp:
        pass
    except Exception as error:
        broken = str(error).splitlines()[0] if str(error) else type(error).__name__
        out.print("".join(traceback.format_exception(error)), markup=False, highlight=False)
        out.print(f"A promise was broken: {broken}. Repeat it with SEED={given.seed}.", markup=False)
    finally:
        if Evenings.first:
            shutil.rmtree(Evenings.first, ignore_errors=True)
    seconds = time.monotonic() - began
    rules = {name: count for name, count in sorted(Days.used.items()) if name != "sequences"}
    facts = [
        f"{Days.used['sequences']} sequences of up to {STEPS} steps in {seconds:.0f} s (seed {given.seed}): {sum(rules.values())} steps, "
        f"{Days.runs.total()} runs ({', '.join(f'{count} {status}' for status, count in sorted(Days.runs.items()))}).",
        "After each run all published prices, returns, restatements, the quarantine and the open incidents were compared with the model; "
        f"after each {REBUILT_EVERY}th run every table of `core` and `signals` with that of `rotation rebuild`, to the last bit.",
        f"Broken promises: {f'1, {broken}' if broken else 'none'}.",
    ]
    record.record("model", facts, [{"step": name, "times": count} for name, count in rules.items()])
    out.print(_progress(Days.used, Days.runs))
    return 1 if broken else 0


def _progress(used: Counter[str], runs: Counter[str]) -> str:
    return f"{used['sequences']} sequences, {used.total() - used['sequences']} steps, {runs.total()} runs"


if __name__ == "__main__":
    sys.exit(main())
