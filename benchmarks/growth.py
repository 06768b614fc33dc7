"""What a run costs as it grows: with the number of symbols, the years of history, and the sessions caught up at once."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measure import output
from market_rotation.tasks import calendar
from market_rotation.tasks.universe import Instrument, load_universe

SESSION = date(2026, 1, 16)
#: The axes: times the shipped universe, first sessions by years of history, sessions caught up.
FACTORS, STARTS, SESSIONS = (1, 3), {5: date(2021, 1, 4), 21: date(2005, 1, 3)}, (1, 5, 20)
TOTAL, MEMORY = "all steps", "peak memory, MB"


def measure(folder: Path) -> pd.DataFrame:
    """Columns axis, size, step, value: the seconds of each step and of all, and the process's peak memory, of a run in a process of its own."""
    days = calendar.load(min(STARTS.values()), SESSION).sessions(min(STARTS.values()), SESSION)
    before = days[-1 - max(SESSIONS)]
    base = folder / "growth"
    found = []
    for factor in FACTORS:
        members = enlarged(factor)
        home = base if factor == 1 else folder / f"growth-{factor}"
        run = first_run(home, members, max(STARTS), before)
        found += [rows("symbols", len(members), run)]
        if factor == 1:
            found += [rows("years", max(STARTS), run)]
    for years in STARTS:
        if years != max(STARTS):
            found += [rows("years", years, first_run(folder / f"growth-{years}y", enlarged(1), years, before))]
    for sessions in SESSIONS:
        home = folder / f"growth-{sessions}-sessions"
        shutil.copytree(base, home)
        found += [rows("sessions caught up", sessions, a_run(home, max(STARTS), days[sessions - 1 - max(SESSIONS)]))]
    return pd.concat(found, ignore_index=True)


def enlarged(factor: int) -> list[Instrument]:
    """The shipped universe and `factor` - 1 copies of it under other symbols; copies of sector funds count as plain funds."""
    shipped = load_universe().instruments
    return list(shipped) + [
        i.model_copy(update={"symbol": f"{i.symbol}.{n}", "kind": "fund" if i.kind == "sector" else i.kind})
        for n in range(1, factor)
        for i in shipped
    ]


def first_run(home: Path, members: list[Instrument], years: int, session: date) -> dict[str, Any]:
    """The run that fills an empty `home` with that many years of history."""
    home.mkdir()
    pd.DataFrame([member.model_dump() for member in members]).to_csv(home / "universe.csv", index=False)
    return a_run(home, years, session)


def a_run(home: Path, years: int, session: date) -> dict[str, Any]:
    """Values by name, as `benchmarks.steps` prints them."""
    env = {
        "ROTATION_HOME": str(home),
        "ROTATION_SOURCE": "sample",
        "ROTATION_UNIVERSE": str(home / "universe.csv"),
        "ROTATION_HISTORY_START": str(STARTS[years]),
    }
    printed: dict[str, Any] = json.loads(output("-m", "benchmarks.steps", str(session), env=env).splitlines()[-1])
    return printed


def rows(axis: str, size: int, run: dict[str, Any]) -> pd.DataFrame:
    """One run's rows of the table."""
    steps = {name: value for name, value in run.items() if name != MEMORY}
    values = {**steps, TOTAL: sum(steps.values()), MEMORY: run[MEMORY]}
    return pd.DataFrame({"axis": axis, "size": size, "step": list(values), "value": list(values.values())})
