"""`make run FAULT=bad-tick`: fault injection on the simulated market, shown with three runs.

The first run is good, the second has the fault, the third is after its end. They use the same code as `rotation run`, in a separate folder.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.flows.cli import demonstration_output as output
from market_rotation.flows.cli.console import err, out
from market_rotation.flows.cli.run import run_by_hand
from market_rotation.tasks import warehouse
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.run.context import Parameters, resolve
from market_rotation.tasks.sources.simulated.faults import FAULTS
from market_rotation.tasks.sources.simulated.source import SampleSource

if TYPE_CHECKING:
    from market_rotation.tasks.universe import Universe

HOME = Path("warehouse-demo")
#: Marks the folder as ours, and keeps it out of a Git repository.
MARK = ".gitignore"
MARKED = "# Created by `make run FAULT=...`, which empties this folder at every start.\n*\n"

#: Sessions between the good run and the faulty one, for faults that one session would not show: missing or unchanged data.
LATER = {"missing-day": 2, "frozen-price": 5, "frozen-shares": 8}
#: A short history, so that all three runs take half a minute.
HISTORY = timedelta(days=731)


@dataclass(frozen=True)
class Scene:
    """The symbol with the faulty data, and the sessions of the three runs."""

    symbol: str
    good: date
    faulty: date
    healed: date


def main(arguments: Sequence[str]) -> int:
    """Demonstrates the named fault; returns 0 when it was detected and recovered from, 1 when not, 2 for an unknown name."""
    try:
        return demonstrate(" ".join(arguments), HOME, datetime.now(UTC))
    except RotationError as error:
        err.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        err.print("Interrupted. Run the command again; it starts from the beginning.", style="red")
        return 130


def demonstrate(name: str, home: Path, now: datetime) -> int:
    """Runs the three runs, with an explanation before and the results after each."""
    if name not in FAULTS:
        raise ConfigError(f"Unknown fault {name!r}; FAULT is one of {', '.join(FAULTS)}.")
    fault, published = FAULTS[name], home / "rotation.duckdb"
    empty(home)
    with _settings(home):
        ready = resolve(Parameters(now))
        universe, days, last = ready.universe, ready.calendar, ready.session
        scene = stage_set(name, universe, SampleSource(days, universe.instruments), days.sessions(last - HISTORY, last))
    who = "every symbol" if fault.everywhere else scene.symbol
    start = scene.good - HISTORY

    output.heading(
        f"1. A good run, session {scene.good}",
        "The simulated vendor returns two years of prices and fund data.",
    )
    with _settings(home, start):
        run_by_hand(Parameters(now, scene.good))
    with warehouse.reading(published) as con:
        output.show_readers(con, scene.symbol, fault)

    output.heading(
        f"2. A run with the fault, session {scene.faulty}",
        f"The run is {'one session' if name not in LATER else f'{LATER[name]} sessions'} later. The vendor has a fault for {who}: {fault.about}.",
    )
    with _settings(home, start, f"{name}:{scene.symbol}"):
        run_by_hand(Parameters(now, scene.faulty))
    with warehouse.reading(published) as con:
        noticed = output.show_findings(con)
        written = output.show_alerts(con)
        output.show_readers(con, scene.symbol, fault)

    output.heading(
        f"3. A run after the fault, session {scene.healed}",
        "The next run requests the missing data again and catches up.",
    )
    with _settings(home, start):
        code = run_by_hand(Parameters(now, scene.healed))
    with warehouse.reading(published) as con:
        healed = output.show_quarantine(con)
        output.show_alerts(con, written)
        output.show_readers(con, scene.symbol, fault)

    output.heading("Look at the results", f"The warehouse stays in {home} until the next demonstration. For example:")
    for query in ("from ops.runs", "from ops.quarantine", "from ops.validations where not success", "from ops.alerts"):
        # On one line, so that it can be copied.
        command = f'  ROTATION_HOME={home} .venv/bin/rotation sql "{query}"'
        out.print(command, markup=False, highlight=False, soft_wrap=True)
    if not noticed:
        err.print(f"The fault {name} was not detected; see the runs above.", style="red")
    return 0 if noticed and healed and code == 0 else 1


def empty(home: Path) -> None:
    """Makes `home` an empty folder for demonstrations. Raises `ConfigError` when this function did not create it."""
    if home.is_symlink() or home.exists():
        mark = home / MARK
        if home.is_symlink() or not mark.is_file() or mark.read_text(encoding="utf-8") != MARKED:
            raise ConfigError(
                f"{home} exists and was not created by a demonstration, so it is not emptied; move it, or start in another folder."
            )
        shutil.rmtree(home)
    home.mkdir()
    (home / MARK).write_text(MARKED, encoding="utf-8")


def stage_set(name: str, universe: Universe, vendor: SampleSource, sessions: list[date]) -> Scene:
    """The latest of `sessions` on which the fault is visible: the last but one, unless it needs a dividend or a split."""
    symbol = next((p.small_symbol for p in universe.pairs if p.headline), universe.symbols[-1])
    if name == "truncated-history":
        symbol, events = _latest_split(universe, vendor, sessions)
    elif name == "dividend-twice":
        bars = vendor.prices(symbol, sessions[0], sessions[-2])
        events = list(bars.loc[bars["dividend"] > 0, "session"].dt.date)
    else:
        events = [sessions[-2]]
    at = sessions.index(events[-1])
    return Scene(symbol, sessions[at - LATER.get(name, 1)], sessions[at], sessions[at + 1])


def _latest_split(universe: Universe, vendor: SampleSource, sessions: list[date]) -> tuple[str, list[date]]:
    """The symbol with the latest split, and its session: a run requests a full history only after a split."""
    found = []
    for symbol in universe.symbols:
        bars = vendor.prices(symbol, sessions[0], sessions[-2])
        found += [(day, symbol) for day in bars.loc[bars["split_ratio"] != 1, "session"].dt.date]
    if not found:
        raise ConfigError(
            "No symbol had a split in the last two years, so no run would request a full history; choose another FAULT."
        )
    day, symbol = max(found)
    return symbol, [day]


@contextmanager
def _settings(home: Path, start: date | None = None, fault: str | None = None) -> Iterator[None]:
    """The settings of one run. The user's own settings are removed, so that a demonstration reads and alerts nothing else."""
    own = {name: value for name, value in os.environ.items() if name.startswith("ROTATION_")}
    # Two attempts, so that a vendor that is down does not take a minute.
    ours = {"HOME": str(home), "SOURCE": "sample", "FETCH_ATTEMPTS": "2", "FETCH_WAIT_S": "0.1"}
    ours |= {"HISTORY_START": str(start)} if start else {}
    ours |= {"FAULT": fault} if fault else {}
    try:
        for name in own:
            del os.environ[name]
        os.environ.update({f"ROTATION_{name}": value for name, value in ours.items()})
        yield
    finally:
        for name in ours:
            del os.environ[f"ROTATION_{name}"]
        os.environ.update(own)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
