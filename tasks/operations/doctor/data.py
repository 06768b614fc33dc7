"""Checks of the warehouse: its folder and disk, its content, the status of its last run, and the machine's clock."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.operations.doctor.findings import Finding

if TYPE_CHECKING:
    from market_rotation.tasks.operations.state import Status
    from market_rotation.tasks.settings import Settings

#: Disk space that the first run of the shipped universe needs, and that should always stay free.
SPARE_BYTES = 500_000_000
#: The clocks of two machines that share a warehouse differ by less than this.
CLOCK_SLACK = timedelta(minutes=5)


def home(settings: Settings) -> Iterator[Finding]:
    """Whether the folders that a run writes to can be written."""
    for folder in dict.fromkeys([settings.home, settings.build.parent]):
        there = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield Finding(
                "fail",
                "home",
                f"{there} cannot be written to ({error.strerror}).",
                "Correct its permissions, or set ROTATION_HOME to another folder.",
            )
        else:
            yield Finding("ok", "home", f"{folder} {'can be written' if there == folder else 'will be created'}.")


def disk(settings: Settings, free_bytes: int | None = None) -> Iterator[Finding]:
    """Whether the disk has space for one more copy of the warehouse, which publishing needs."""
    if free_bytes is None:
        free_bytes = shutil.disk_usage(_nearest(settings.build.parent)).free
    sizes = [path.stat().st_size for path in settings.database_files if path.is_file()]
    copy = max(sizes, default=0)
    takes = f"the warehouse takes {_size(sum(sizes))}, and {_size(copy)} more while it is being published"
    usage = f"{_size(free_bytes)} free; {takes if sizes else 'there is no warehouse yet'}."
    room = f"Free some space, or set ROTATION_HOME to another disk; {_size(2 * copy + SPARE_BYTES)} is enough."
    if free_bytes < copy:
        yield Finding("fail", "disk", usage, room)
    elif free_bytes < 2 * copy + SPARE_BYTES:
        yield Finding("warn", "disk", usage, room)
    else:
        yield Finding("ok", "disk", usage)


def published(settings: Settings) -> Iterator[Finding]:
    """Whether the published file opens, its content, the version that derived it, and whether a process is writing."""
    from market_rotation.tasks.run import ledger
    from market_rotation.tasks.warehouse import formats
    from market_rotation.tasks.warehouse.lock import holder

    if held := holder(settings.build):
        yield Finding(
            "warn",
            "warehouse",
            f"{settings.build} is being {'written' if held.is_writing else 'read'} by {held}.",
            "Wait until it ends. If it hangs, end that process: an unfinished run publishes nothing.",
        )
    if not warehouse.exists(settings.published):
        yield Finding(
            "warn", "warehouse", f"There is no warehouse at {settings.published} yet.", "Create it with `rotation run`."
        )
        return
    with warehouse.reading(settings.published) as con:
        formats.refuse_newer(con, settings.published)
        code = con.execute("select code_version from ops.runs where published order by run_id desc limit 1").fetchone()
        sources = [name for (name,) in con.execute("select distinct source from raw.prices order by all").fetchall()]
    if sources and ("sample" in sources) != (settings.source == "sample"):
        kind = "simulated" if "sample" in sources else "real"
        yield Finding(
            "fail",
            "warehouse",
            f"{settings.published} holds {kind} prices and the source is '{settings.source}'.",
            "Set ROTATION_HOME to another folder, or ROTATION_SOURCE to the source it was made from.",
        )
    held_words = "simulated prices" if "sample" in sources else "real prices" if sources else "no prices yet"
    same = code is not None and code[0] == ledger.code_version(settings.home)
    derived = "derived by this version" if same else "the next run derives it again with this version"
    yield Finding(
        "ok", "warehouse", f"{settings.published} opens read-only: {held_words}{f', {derived}' if code else ''}."
    )


def last_run(settings: Settings, now: datetime, into: list[Status]) -> Iterator[Finding]:
    """The problems that `rotation status` shows; appends the status to `into`, for later checks."""
    from market_rotation.tasks.operations import health, status

    if not warehouse.exists(settings.published):
        return
    state = status.read(settings, now)
    into.append(state)
    for problem in state.problems:
        # A missing session arrives with the next run; any other problem needs a person.
        stale = health.is_overdue(problem)
        what, _, remedy = problem.rpartition("; ")
        step = f"{remedy[:1].upper()}{remedy[1:]}" if what and stale else "See `rotation status`, then `rotation run`."
        yield Finding("warn" if stale else "fail", "last run", f"{what}." if what and stale else problem, step)
    if not state.problems and state.last_run:
        prices = state.freshness[0]
        yield Finding(
            "ok",
            "last run",
            f"{state.last_run.status.replace('_', ' ').capitalize()} at {state.last_run.started_at:%Y-%m-%d %H:%M} UTC; "
            f"prices up to {prices.latest_session}, {prices.expected_session} is due.",
        )
    if state.incidents:
        titles = "; ".join(incident.title for incident in state.incidents[:3])
        yield Finding(
            "warn", "last run", f"{len(state.incidents)} incidents are open: {titles}.", "See `rotation status`."
        )


def clock(now: datetime, state: Status | None) -> Iterator[Finding]:
    """Whether the clock is plausible, and the time zone of New York is installed."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        local = now.astimezone(ZoneInfo("America/New_York"))
    except ZoneInfoNotFoundError:
        yield Finding(
            "fail",
            "clock",
            "This machine does not know the time zone America/New_York.",
            "Install tzdata (pip install tzdata).",
        )
        return
    time = f"It is {now:%Y-%m-%d %H:%M} UTC, {local:%H:%M} in New York"
    if state and state.last_run and state.last_run.started_at > now + CLOCK_SLACK:
        yield Finding(
            "fail",
            "clock",
            f"{time}, but the last run started at {state.last_run.started_at:%Y-%m-%d %H:%M} UTC.",
            "Set the clock, or synchronise it with a time server.",
        )
    else:
        yield Finding("ok", "clock", f"{time}.")


def _nearest(folder: Path) -> Path:
    """`folder`, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
