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
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pandas as pd
import world
from rich.console import Console
from rich.progress import track

from campaigns.evenings import Evening, wrong_after
from campaigns.record import record
from campaigns.scenarios import OF_THE_RUN, content, differs_from_rebuilt
from campaigns.scenarios import evening as evening_of
from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.run import pipeline
from market_rotation.tasks.run.context import Parameters
from market_rotation.tasks.run.ledger import Run
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import Source
from market_rotation.tasks.sources.simulated.faults import FAULTS, FaultySource
from market_rotation.tasks.sources.simulated.source import SampleSource
from market_rotation.tasks.universe import load_universe
from market_rotation.tasks.warehouse import incremental

#: The benchmark, without which a batch is blocked, six funds with flows, one of them with a split, and a stock.
SYMBOLS = ("SPY", "IWB", "IWM", "IJR", "IWC", "VB", "XLK", "AAPL")
#: 500 sessions, after a year of history.
FIRST, LAST = date(2024, 11, 20), date(2026, 11, 20)
HISTORY_START = date(2023, 11, 20)
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
#: Each so many sessions the tables are compared with those that are derived as a whole.
REBUILT_EVERY = 10
#: Faults that a stock does not have, or that none can see: twice a dividend of a tenth of a percent is within the tolerance of `adj_close_as_vendor`.
NOT_OF_A_STOCK = ("frozen-shares", "dividend-twice")
#: How the last hundred sessions may compare with the second hundred: processor time and file size for each row of data, and memory.
MORE_TIME, MORE_MEMORY = 1.3, 1.15
#: Sessions from which on the last hundred can be compared with the second hundred.
JUDGED = 300


@dataclass(frozen=True)
class Day:
    """One session: the vendor's fault, how its run ended, and what the process and the files took.

    `took_s` is wall time. `cpu_s`, the processor time of all threads, is the same however busy the machine is.
    """

    session: date
    fault: str | None
    status: str
    took_s: float
    cpu_s: float
    rss_mb: float = 0.0
    build_mb: float = 0.0
    published_mb: float = 0.0
    rows: int = 0


def main() -> int:
    """Runs the campaign; returns 1 where a state was wrong or something grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=7200.0)
    given = parser.parse_args()
    console = Console()
    console.print(f"Seed {given.seed}; {given.days} sessions.")
    # As with many symbols.
    incremental.SLICED_FROM_ROWS = 0
    home = Path(tempfile.mkdtemp(prefix="rotation-soak-"))
    days, wrong = soak(home, random.Random(given.seed), given.days, given.seconds, console)
    wrong += growth(days)
    for sentence in wrong:
        console.print(f"WRONG: {sentence}", soft_wrap=True)
    record("soak", facts(days, wrong, given.days, given.seed), table(days))
    if not wrong:
        shutil.rmtree(home)
    return 1 if wrong else 0


def facts(days: list[Day], wrong: list[str], wanted: int, seed: int) -> list[str]:
    """What the page says of the campaign; also what it did not come to."""
    faults = Counter(day.fault for day in days if day.fault)
    told = [
        f"Seed {seed}: {len(days)} sessions of {len(SYMBOLS)} symbols, from {days[0].session} to {days[-1].session}, in one process.",
        f"Faults in {sum(faults.values())} of them: {', '.join(f'{name} ({count})' for name, count in sorted(faults.items()))}.",
    ]
    if len(days) < wanted:
        told.append(f"The time was over before {wanted} sessions.")
    if len(days) < JUDGED:
        told.append(f"Growth was not judged: that takes {JUDGED} sessions.")
    if wrong:
        return [*told, f"Wrong states or growth beyond the data: {len(wrong)}. {wrong[0]}."]
    return [
        *told,
        "No wrong state: after each run the bars and records that readers see are the vendor's true ones, and after a run without a fault no row "
        "is set aside and no incident is open. Each tenth session `core` and `signals` are what `rotation rebuild` derives, to the last bit, and at "
        "the end they equal those of one run of a vendor without faults.",
    ]


def soak(
    home: Path, rng: random.Random, number: int, seconds: float, console: Console, share: float = 0.1
) -> tuple[list[Day], list[str]]:
    """The days, and what was wrong in words. The vendor has a fault in a `share` of the sessions, and the right data the next morning."""
    prepare(home)
    published = home / "warehouse" / "rotation.duckdb"
    members = load_universe(home / "universe.csv")
    market = SampleSource(calendar.load(date(2005, 1, 3), LAST), members.instruments)
    days: list[Day] = []
    wrong: list[str] = []
    sessions = world.days(FIRST, LAST)[:number]
    end = time.monotonic() + seconds
    for session in track(sessions, "Soaking", console=console):
        if time.monotonic() > end:
            break
        fault = rng.choice(sorted(FAULTS)) if days and rng.random() < share else None
        symbol = rng.choice([s for s in SYMBOLS if s != "SPY" and (s != "AAPL" or fault not in NOT_OF_A_STOCK)])
        evening = Evening(session, days[-1].session if days else HISTORY_START, fault, symbol)
        source: Source = FaultySource(market, fault, symbol, session) if fault else market
        began, used = time.monotonic(), time.process_time()
        status = run(source, session).status
        took_s, cpu_s = time.monotonic() - began, time.process_time() - used
        if status != evening.status:
            wrong.append(f"{session}, {fault} of {symbol}: the run is {status}, and must be {evening.status}")
        wrong += wrong_after(evening, published, market, SYMBOLS, HISTORY_START)
        # The issuer's file is requested again only for a new session.
        if fault and fault != "frozen-shares":
            status = run(market, session, hours=9).status
            if status not in ("published", "up_to_date"):
                wrong.append(f"{session}, the morning after {fault} of {symbol}: the run is {status}")
            wrong += wrong_after(replace(evening, fault=None), published, market, SYMBOLS, HISTORY_START)
        if len(days) % REBUILT_EVERY == 0:
            wrong += [
                f"{session}: {table} is not what deriving everything gives"
                for table in differs_from_rebuilt(load_settings(), evening_of(session, 10))
            ]
        days.append(measured(home, Day(session, fault, status, took_s, cpu_s)))
    clean = home / "clean"
    clean.mkdir()
    prepare(clean)
    run(market, days[-1].session, hours=9)
    return days, wrong + different(published, clean / "warehouse" / "rotation.duckdb")


def different(path: Path, undisturbed: Path) -> list[str]:
    """The tables of `core` and `signals` that differ between two published files beyond the last digits of their numbers, in words."""
    found, expected = content(path), content(undisturbed)
    named = []
    with warehouse.reading(path) as con, warehouse.reading(undisturbed) as other:
        for table in sorted(name for name in expected if found.get(name) != expected[name] and name not in OF_THE_DAY):
            frames = [world.table(each, table).drop(columns=list(OF_THE_RUN), errors="ignore") for each in (con, other)]
            try:
                pd.testing.assert_frame_equal(*frames, rtol=1e-9, check_like=True)
            except AssertionError as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                named.append(f"{table} differs from that of a vendor without faults: {'; '.join(lines[:2])}")
    return named


def prepare(home: Path) -> None:
    """A universe of a few funds in `home`, and the settings of this process."""
    shipped = world.with_file_issuers(load_universe())
    chosen = tuple(i for i in shipped.instruments if i.symbol in SYMBOLS)
    pairs = tuple(p for p in shipped.pairs if {p.small_symbol, p.large_symbol} <= set(SYMBOLS))
    universe = world.write_universe(home, shipped.model_copy(update={"instruments": chosen, "pairs": pairs}))
    os.environ |= {
        "ROTATION_HOME": str(home / "warehouse"),
        "ROTATION_UNIVERSE": str(universe),
        "ROTATION_HISTORY_START": str(HISTORY_START),
        "ROTATION_EARNINGS_CONSTITUENTS": "0",
        "ROTATION_REPORT": "false",
        "XDG_STATE_HOME": str(home / "state"),
    }


def run(source: Source, session: date, hours: int = 0) -> Run:
    """The job on the evening of `session`, or so many hours later."""
    now = evening_of(session, hours)
    return pipeline.run(Parameters(now, session), pipeline.Steps(fetch=world.fetch_in_order), source)


def measured(home: Path, day: Day) -> Day:
    """`day` with what there is after its runs."""
    build, published = (home / "warehouse" / name for name in ("build.duckdb", "rotation.duckdb"))
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with warehouse.reading(published) as con:
        (rows,) = con.execute("select count(*) from core.prices").fetchone() or (0,)
    build_mb, published_mb = (path.stat().st_size / 1e6 for path in (build, published))
    return replace(day, rss_mb=resident / 1e6, build_mb=build_mb, published_mb=published_mb, rows=rows)


def hundreds(days: list[Day]) -> list[list[Day]]:
    return [days[n : n + 100] for n in range(0, len(days), 100)]


def mean(days: list[Day], name: str) -> float:
    return sum(float(getattr(day, name)) for day in days) / len(days)


def growth(days: list[Day]) -> list[str]:
    """What grew more than the data, in words; nothing where there are too few sessions to judge."""
    if len(days) < JUDGED:
        return []
    early, late = days[100:200], days[-100:]
    more_rows = mean(late, "rows") / mean(early, "rows")
    limits = {
        "cpu_s": (MORE_TIME * more_rows, "a run took {:.2f} times the processor time at the end"),
        "rss_mb": (MORE_MEMORY, "the process held {:.2f} times the memory at the end"),
        "build_mb": (MORE_TIME * more_rows, "the build file took {:.2f} times the space at the end"),
        "published_mb": (MORE_TIME * more_rows, "the published file took {:.2f} times the space at the end"),
    }
    ratios = {name: mean(late, name) / mean(early, name) for name in limits}
    return [
        f"{sentence.format(ratios[name])}, with {more_rows:.2f} times the rows"
        for name, (limit, sentence) in limits.items()
        if ratios[name] > limit
    ]


def table(days: list[Day]) -> list[dict[str, object]]:
    """The measurements by hundred sessions."""
    return [
        {
            "sessions": f"{n * 100 + 1} to {n * 100 + len(part)}",
            "seconds a run": f"{mean(part, 'took_s'):.2f}",
            "of the processor": f"{mean(part, 'cpu_s'):.2f}",
            "memory, MB": f"{mean(part, 'rss_mb'):.0f}",
            "build file, MB": f"{mean(part, 'build_mb'):.1f}",
            "published file, MB": f"{mean(part, 'published_mb'):.1f}",
            "rows of core.prices": f"{part[-1].rows:,}",
        }
        for n, part in enumerate(hundreds(days))
    ]


if __name__ == "__main__":
    sys.exit(main())
