"""Mutated documents for every reader: only documented errors come out, within bounds, and what is accepted says what the document says."""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import track

from campaigns import fuzz_settings, fuzz_sources
from campaigns.fuzz_sources import Target
from campaigns.mutate import documents
from campaigns.record import record
from campaigns.second_readings import WrongKindError
from market_rotation.tasks.errors import RotationError

CORPUS = Path(__file__).parent / "corpus"
#: What one document of a few kilobytes may cost.
MAX_CPU_S, MAX_GROWTH_KB = 3.0, 300_000


@dataclass
class Tally:
    """The outcomes of one target's documents. `broken` are the documents that broke a promise, with the reason."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, bytes]] = field(default_factory=list)
    slowest_s: float = 0.0


def outcome(target: Target, content: bytes) -> tuple[str, str]:
    """What became of a document: `refused`, `same`, `not compared` or `broken`, and the class of the error or the reason."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        said = target.read(content)
    except RotationError as error:
        message = str(error)
        if "\n" in message.strip() and target.name not in MULTILINE:
            return "broken", f"the message has several lines: {message!r:.200}"
        result = ("refused", type(error).__name__)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return "broken", f"undocumented {type(error).__name__}: {error!s:.200}"
    else:
        result = _compared(target, content, said)
    if (took := time.process_time() - began) > MAX_CPU_S:
        return "broken", f"took {took:.1f} s"
    if (grown := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) > MAX_GROWTH_KB:
        return "broken", f"took {grown / 1e3:.0f} MB"
    return result


#: Readers whose message quotes DuckDB, which marks the place in lines of its own.
MULTILINE = ("alert-rules", "own-sql")


def _compared(target: Target, content: bytes, said: object) -> tuple[str, str]:
    if target.read_again is None:
        return "not compared", "no second reading"
    try:
        again = target.read_again(content)
    except WrongKindError as error:
        return "broken", f"accepted, though {error}"
    except Exception as error:  # the second reading understands less
        return "not compared", type(error).__name__
    return ("same", "") if said == again else ("broken", f"reads {_difference(said, again)}")


def _difference(said: object, again: object) -> str:
    if not isinstance(said, list) or not isinstance(again, list):
        return f"{said!r:.200} where the document says {again!r:.200}"
    ours, theirs = [row for row in said if row not in again], [row for row in again if row not in said]
    return f"{ours[:1]!r:.300} where the document says {theirs[:1]!r:.300}"


def attack(target: Target, chance: random.Random, seconds: float, most: int = 10**9) -> Tally:
    """Mutated documents of `target` until the time is over, or `most` of them."""
    # What is imported and read only once is no cost of a document.
    outcome(target, target.seeds[0])
    tally, ends = Tally(), time.monotonic() + seconds
    streams = [documents(seed, chance) for seed in target.seeds]
    for content in islice(_alternating(streams), most):
        began = time.process_time()
        what, why = outcome(target, content)
        tally.slowest_s = max(tally.slowest_s, time.process_time() - began)
        tally.counts[what] += 1
        if what == "broken":
            tally.broken.append((why, content))
        keep(target, what, why, content)
        if time.monotonic() > ends:
            break
    return tally


def _alternating(streams: list[Iterator[bytes]]) -> Iterator[bytes]:
    while True:
        for stream in streams:
            yield next(stream)


#: Whether new outcomes are added to the corpus. A test does not write into the repository.
keeping = False


def keep(target: Target, what: str, why: str, content: bytes) -> None:
    """Adds the first document of each outcome to the corpus, named by the outcome."""
    if not keeping or len(content) > 30_000:
        return
    folder = CORPUS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    kind = why if what in ("refused", "not compared") else why.split(":")[0][:30] if what == "broken" else ""
    stem = "-".join(part for part in (what, *kind.split()) if part.isascii()).replace("/", "").replace(" ", "-")
    if not list(folder.glob(f"{stem}.*")):
        (folder / f"{stem}.{hashlib.sha256(content).hexdigest()[:8]}").write_bytes(content)


def all_targets() -> list[Target]:
    """Every target of the campaign."""
    return [*fuzz_sources.targets(), *fuzz_settings.targets()]


def main() -> int:
    """Attacks each target for its share of the time, and records what came of it."""
    global keeping
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--target", help="one target alone")
    parser.add_argument("--keep", action="store_true", help="add documents with a new outcome to the corpus")
    given = parser.parse_args()
    keeping, show = given.keep, Console(width=200).print
    show(f"seed {given.seed}")
    logging.disable(logging.CRITICAL)
    chosen = [target for target in all_targets() if given.target in (None, target.name)]
    tallies: dict[str, Tally] = {}
    for target in track(chosen, "fuzz"):
        chance = random.Random(f"{given.seed} {target.name}")
        tallies[target.name] = tally = attack(
            target, chance, given.seconds * target.share / sum(other.share for other in chosen)
        )
        reasons = Counter(why.partition(":")[0][:60] for why, _ in tally.broken)
        show(target.name, dict(tally.counts), dict(reasons.most_common(5)))
        for why, content in tally.broken[:3]:
            show("   ", why, "\n      ", repr(content[:300]), markup=False)
    total = sum((tally.counts for tally in tallies.values()), Counter[str]())
    facts = [
        f"Seed {given.seed}, {given.seconds:.0f} s: {total.total():,} documents for {len(tallies)} readers.",
        f"{total['refused']:,} were refused with a documented error; {total['same']:,} were accepted and say what a second reading says; "
        f"{total['not compared']:,} were accepted and not compared, as the second reading understands less.",
        f"{total['broken']:,} broke a promise (another exception, another value, more than {MAX_CPU_S:.0f} s or {MAX_GROWTH_KB // 1000} MB).",
    ]
    rows = [
        {"reader": name, "documents": tally.counts.total()}
        | {what: tally.counts[what] for what in ("refused", "same", "not compared", "broken")}
        | {"slowest (CPU s)": f"{tally.slowest_s:.2f}"}
        for name, tally in tallies.items()
    ]
    if given.target is None:
        record("fuzz", facts, rows)
    return 1 if total["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
