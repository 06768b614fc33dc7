"""What `rotation quarantine` does and shows: the rows that are set aside, and a person's word that one of them is right."""

from __future__ import annotations

import getpass
import json
import math
import os
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from market_rotation.flows.cli.console import out
from market_rotation.tasks import warehouse
from market_rotation.tasks.audit import accept
from market_rotation.tasks.audit.accept import Entry
from market_rotation.tasks.settings import load_settings

HINT = (
    "What the source corrects comes in by itself. `rotation quarantine list --json` shows the rows; "
    'one that is right comes in with `rotation quarantine accept ID --because "..."`.'
)


def show_list(everything: bool, as_json: bool) -> None:
    """Prints what is set aside in the published warehouse, newest first; `everything` adds what is resolved."""
    with warehouse.reading(load_settings().published) as con:
        found = accept.entries(con, resolved=everything)
    if as_json:
        sys.stdout.write(json.dumps([_plain(entry) for entry in found], indent=1, allow_nan=False) + "\n")
        return
    if not found:
        out.print("Nothing was ever set aside." if everything else "Nothing is set aside.")
        return
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("id", "since", "dataset", "symbol", "session", "expectation", *(["resolved"] * everything)):
        table.add_column(name, no_wrap=True)
    # The only one that gives way when the screen is narrow.
    table.add_column("reason", min_width=10)
    for entry in found:
        cells = [entry.id, _day(entry.since), entry.dataset, entry.symbol or "", _day(entry.session), entry.expectation]
        if everything:
            cells.append(_day(entry.resolved_at))
        table.add_row(*map(Text, cells), Text(_note(entry), no_wrap=True, overflow="ellipsis"))
    out.print(table)
    if any(entry.resolved_at is None for entry in found):
        out.print(HINT, soft_wrap=True, markup=False, highlight=False)


def accept_row(given: str, because: str, now: datetime) -> None:
    """Accepts the row of the entry whose ID begins with `given`, in the name of who runs this, and says what happens next."""
    entry, others = accept.accept(load_settings(), given, because, _user(), now)
    out.print(
        f"Accepted: {entry.dataset} of {entry.symbol} on {entry.session}, which fails {entry.expectation}. The next `rotation run` takes the "
        "row in as it is; should the source by then give another bad one, that is set aside again.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    for other in others:
        out.print(
            f"The row is also held back by {other.id} ({other.expectation}: {other.reason}) and stays out until that is resolved.",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def _note(entry: Entry) -> str:
    """Who accepted it and why, else why it was set aside."""
    if entry.accepted_at:
        return f"Accepted by {entry.accepted_by}: {entry.because}"
    return entry.reason


def _day(moment: Any) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _plain(entry: Entry) -> dict[str, Any]:
    """For JSON, which has no moments and no number that is none."""
    values = asdict(entry)
    row = values["row"] and {
        k: v if not isinstance(v, float) or math.isfinite(v) else str(v) for k, v in values["row"].items()
    }
    return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in {**values, "row": row}.items()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user need not have a name.
        return str(os.getuid())
