"""`make soak`: 500 simulated sessions one by one, with a vendor fault in a tenth of them: memory, files and time stay flat, and each day's state is right."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import world
from rich.console import Console
from rich.progress import track

from campaigns.record import record
from campaigns.scenarios import content
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.sources.base import Source
from market_rotation.tasks.sources.simulated.faults import FAULTS, FaultySource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe

SYMBOLS = ("SPY", "IWB", "IWM", "IJR", "XLK")
FIRST, LAST = date(2023, 10, 2), date(2026, 11, 20)
HISTORY_START = "2023-06-01"
#: Tables of what only a run of that day can request: holdings, facts and estimates.
OF_THE_DAY = (
    "core.fund_facts",
    "core.holdings",
    "core.earnings_growth",
    "signals.constituent_breadth",
    "signals.fund_comparison",
    "signals.fund_overlap",
    "signals.earnings_momentum",
)
#: How the last hundred sessions may compare with the second hundred: seconds a day for each row of data, and memory.
MORE_TIME, MORE_MEMORY = 1.3, 1.15


@dataclass(frozen=True)
class Day:
    """One session: what was wrong with it, how its run ended, and what the process and the files took."""

    session: date
    fault: str | None
    status: str
    took_s: float
    rss_mb: float
    build_mb: float
    published_mb: float
    rows: int


def main() -> int:
    """Runs the campaign; returns 1 where a state was wrong or something grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=7200.0)
    given = parser.parse_args()
    console = Console()
    console.print(f"Seed {given.seed}; {given.days} sessions.")
    home = Path(tempfile.mkdtemp(prefix="rotation-soak-"))
    days, wrong = soak(home, random.Random(given.seed), given.days, given.seconds, console)
    wrong += growth(days)
    for sentence in wrong:
        console.print(f"WRONG: {sentence}", soft_wrap=True)
    faults = Counter(day.fault for day in days if day.fault)
    record(
        "soak",
        [
            f"Seed {given.seed}: {len(days)} sessions of {len(SYMBOLS)} funds, from {days[0].session} to {days[-1].session}, in one process.",
            f"Faults in {sum(faults.values())} of them: {', '.join(f'{name} ({count})' for name, count in sorted(faults.items()))}.",
            f"{len(wrong)} wrong states or growth beyond the data."
            + ("" if wrong else " At the end `core` and `signals` equal those of one run of a vendor without faults."),
        ],
        table(days),
    )
    if not wrong:
        shutil.rmtree(home)
    return 1 if wrong else 0


def soak(home: Path, rng: random.Random, number: int, seconds: float, console: Console) -> tuple[list[Day], list[str]]:
    """The days, and what was wrong in words: each faulty session is healed by a second run, as on the next morning."""
    prepare(home)
    members = load_universe(home / "universe.csv")
    market = SampleSource(calendar.load(date(2005, 1, 3), LAST), members.instruments)
    days: list[Day] = []
    wrong: list[str] = []
    sessions = world.days(FIRST, LAST)[:number]
    end = time.monotonic() + seconds
    for session in track(sessions, "Soaking", console=console):
        if time.monotonic() > end:
            break
        fault = rng.choice(sorted(FAULTS)) if days and rng.random() < 0.1 else None
        symbol = rng.choice([s for s in SYMBOLS if s not in ("SPY", "IWM")])
        source: Source = FaultySource(market, fault, symbol, session) if fault else market
        began = time.monotonic()
        status = run(source, session).status
        took_s = time.monotonic() - began
        if fault:
            if status not in ("published", "blocked", "failed"):
                wrong.append(f"{session}, {fault} of {symbol}: {status}")
            status_after = run(market, session, 9).status
            if status_after not in ("published", "up_to_date"):
                wrong.append(f"{session}, after {fault} of {symbol}: {status_after}")
        elif status != "published":
            wrong.append(f"{session}: {status}")
        days.append(measured(home, session, fault, status, took_s))
    clean = home / "clean"
    clean.mkdir()
    prepare(clean)
    run(market, days[-1].session)
    disturbed, undisturbed = (content(folder / "warehouse" / "rotation.duckdb") for folder in (home, clean))
    wrong += [
        f"{table} differs from that of a vendor without faults"
        for table, value in undisturbed.items()
        if disturbed[table] != value and table not in OF_THE_DAY
    ]
    return days, wrong


def prepare(home: Path) -> None:
    """A universe of a few funds in `home`, and the settings of this process."""
    shipped = world.with_file_issuers(load_universe())
    chosen = tuple(i for i in shipped.instruments if i.symbol in SYMBOLS)
    pairs = tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= set(SYMBOLS))
    universe = world.write_universe(home, shipped.model_copy(update={"instruments": chosen, "pairs": pairs}))
    os.environ |= {
        "ROTATION_HOME": str(home / "warehouse"),
        "ROTATION_UNIVERSE": str(universe),
        "ROTATION_HISTORY_START": HISTORY_START,
        "ROTATION_EARNINGS_CONSTITUENTS": "0",
        "ROTATION_REPORT": "false",
        "XDG_STATE_HOME": str(home / "state"),
    }


def run(source: Source, session: date, hours: int = 0) -> pipeline.Run:
    """The job on the evening of `session`, or so many hours later."""
    now = datetime(session.year, session.month, session.day, 23, 30 + hours, tzinfo=UTC)
    return pipeline.run(Parameters(now, session), pipeline.Steps(fetch=world.fetch_in_order), source)


def measured(home: Path, session: date, fault: str | None, status: str, took_s: float) -> Day:
    """What there is after the runs of a session."""
    build, published = (home / "warehouse" / name for name in ("build.duckdb", "rotation.duckdb"))
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with warehouse.reading(published) as con:
        (rows,) = con.execute("select count(*) from core.prices").fetchone() or (0,)
    build_mb, published_mb = (path.stat().st_size / 1e6 for path in (build, published))
    return Day(session, fault, status, took_s, resident / 1e6, build_mb, published_mb, rows)


def hundreds(days: list[Day]) -> list[list[Day]]:
    return [days[n : n + 100] for n in range(0, len(days), 100)]


def mean(days: list[Day], name: str) -> float:
    return sum(float(getattr(day, name)) for day in days) / len(days)


def growth(days: list[Day]) -> list[str]:
    """What grew more than the data, in words; nothing where there are fewer than three hundred sessions."""
    parts = hundreds(days)
    if len(parts) < 3:
        return []
    early, late = parts[1], parts[-1]
    found = []
    slower = (mean(late, "took_s") / mean(early, "took_s")) / (mean(late, "rows") / mean(early, "rows"))
    if slower > MORE_TIME:
        found.append(f"a day took {slower:.2f} times as long for each row at the end")
    if (more := mean(late, "rss_mb") / mean(early, "rss_mb")) > MORE_MEMORY:
        found.append(f"the process held {more:.2f} times the memory at the end")
    bigger = (late[-1].build_mb / early[-1].build_mb) / (late[-1].rows / early[-1].rows)
    if bigger > MORE_TIME:
        found.append(f"the build file took {bigger:.2f} times the space for each row at the end")
    return found


def table(days: list[Day]) -> list[dict[str, object]]:
    """The measurements by hundred sessions."""
    return [
        {
            "sessions": f"{n * 100 + 1} to {n * 100 + len(part)}",
            "seconds a run": f"{mean(part, 'took_s'):.2f}",
            "memory, MB": f"{part[-1].rss_mb:.0f}",
            "build file, MB": f"{part[-1].build_mb:.1f}",
            "published file, MB": f"{part[-1].published_mb:.1f}",
            "rows of core.prices": f"{part[-1].rows:,}",
        }
        for n, part in enumerate(hundreds(days))
    ]


if __name__ == "__main__":
    sys.exit(main())
