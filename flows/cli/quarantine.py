"""`rotation quarantine`: lists quarantined rows, and accepts a row that is right although it failed a check (manual override)."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from market_rotation.flows.cli.console import out, user
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import accept
from market_rotation.tasks.audit.accept import Entry
from market_rotation.tasks.settings import load_settings

HINT = (
    "A row that the source corrects is published automatically. `rotation quarantine list --json` shows the rows; "
    'accept one that is right with `rotation quarantine accept ID --because "..."`.'
)
BLOCKED = (
    "The last run was blocked, so it published nothing. The rows marked `blocked` are those that it would have set aside; "
    "`rotation status` shows what blocked it."
)


def show_list(everything: bool, as_json: bool) -> None:
    """Prints the quarantined rows of the published warehouse and, if the last run was blocked, those that it would have set aside.

    Newest first; `everything` adds resolved entries.
    """
    with warehouse.reading(load_settings().published) as con:
        found = accept.entries(con, resolved=everything)
    if as_json:
        sys.stdout.write(json.dumps([_plain(entry) for entry in found], indent=1, allow_nan=False) + "\n")
        return
    if not found:
        out.print("Nothing has been in quarantine." if everything else "Nothing is in quarantine.")
        return
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("id", "since", "dataset", "symbol", "session", "expectation", *(["resolved"] * everything)):
        table.add_column(name, no_wrap=True)
    # The only column that wraps on a narrow screen.
    table.add_column("reason", min_width=10)
    for entry in found:
        cells = [entry.id, _day(entry.since), entry.dataset, entry.symbol or "", _day(entry.session), entry.expectation]
        if everything:
            cells.append(_day(entry.resolved_at))
        table.add_row(*map(Text, cells), Text(_note(entry), no_wrap=True, overflow="ellipsis"))
    out.print(table)
    if any(entry.is_blocked for entry in found):
        out.print(BLOCKED, soft_wrap=True, markup=False, highlight=False)
    if any(entry.resolved_at is None or entry.is_blocked for entry in found):
        out.print(HINT, soft_wrap=True, markup=False, highlight=False)


def accept_row(given: str, because: str, now: datetime) -> None:
    """Accepts the row of the entry whose ID begins with `given`, as the current user, and prints what happens next."""
    entry, others = accept.accept(load_settings(), given, because, user(), now)
    out.print(
        f"Accepted: {entry.dataset} of {entry.symbol} on {entry.session}, which fails {entry.expectation}. The next `rotation run` publishes "
        "the row as it is. If the source then gives another bad row, that one is set aside again.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    for other in others:
        out.print(
            f"The row also failed {other.expectation} ({other.id}: {other.reason}) and stays set aside until that is resolved or accepted.",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def _note(entry: Entry) -> str:
    """Who accepted the row and why; else why it was set aside, or why a blocked run would have set it aside."""
    if entry.accepted_at:
        return f"Accepted by {entry.accepted_by}: {entry.because}"
    return f"blocked: {entry.reason}" if entry.is_blocked else entry.reason


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _plain(entry: Entry) -> dict[str, Any]:
    """The entry for JSON, which has neither timestamps nor NaN."""
    values = asdict(entry)
    row = values["row"] and {
        k: v if not isinstance(v, float) or math.isfinite(v) else str(v) for k, v in values["row"].items()
    }
    return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in {**values, "row": row}.items()}
