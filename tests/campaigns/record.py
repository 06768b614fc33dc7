"""Where a campaign writes what it measured: its section of docs/reliability.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def record(campaign: str, facts: Iterable[str], rows: Iterable[Mapping[str, object]] = (), page: Path = PAGE) -> None:
    """Replaces the measured part of the section `campaign`: the day and machine, `facts` as a list, `rows` as a table.

    Raises `ValueError` when the page has no `<!-- measured: campaign -->` … `<!-- end -->`.
    """
    stamp = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}."
    lines = [stamp, "", *(f"- {fact}" for fact in facts)]
    table = [dict(row) for row in rows]
    if table:
        lines += ["", "| " + " | ".join(table[0]) + " |", "|---" * len(table[0]) + "|"]
        lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in table]
    section = re.compile(rf"(<!-- measured: {re.escape(campaign)} -->\n).*?(<!-- end -->)", re.DOTALL)
    text, found = section.subn(
        lambda match: match[1] + "\n".join(lines) + "\n" + match[2], page.read_text(encoding="utf-8")
    )
    if not found:
        raise ValueError(f"{page} has no section '<!-- measured: {campaign} -->'; add it, with '<!-- end -->'.")
    page.write_text(text, encoding="utf-8")
