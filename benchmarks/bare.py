"""The bare script that a day's run is compared with: it imports and does no more than it needs."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path

from market_rotation.tasks import warehouse


def bare(build: Path) -> None:
    """Derives the tables of `build` from its `raw`, as the run of 2026-01-16 does, and copies the file: no request, audit or report."""
    # Opened as a run does: with the same optimizers.
    with warehouse.writing(build) as con:
        found = con.execute("select run_id, started_at from ops.runs order by run_id desc limit 1").fetchone()
        assert found
        warehouse.parameters(
            con,
            run_id=found[0],
            known_at=found[1],
            source="sample",
            target_session=date(2026, 1, 16),
            history_start=date(2005, 1, 3),
        )
        con.execute("begin")
        warehouse.build(con, "core", "signals")
        con.execute("commit")
    shutil.copy(build, build.with_suffix(".published"))


if __name__ == "__main__":
    bare(Path(sys.argv[1]))
