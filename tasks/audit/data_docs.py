"""Data Docs: pages on what the audits check and what they found, of the last runs that audited something.

They can be read offline: one folder of plain HTML, with the style in each page, without any script, and with all values escaped.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from market_rotation.tasks.audit import suites
from market_rotation.tasks.audit.expectations import SEVERITIES
from market_rotation.tasks.audit.run import Result

if TYPE_CHECKING:
    import jinja2

log = logging.getLogger("rotation.data_docs")

#: Runs whose pages are kept.
RUNS = 10

#: Offending rows shown of a failed expectation.
EXAMPLES = 20


class _Page(TypedDict):
    """The page of one run, as the list of runs has it."""

    run_id: str
    run_time: str
    file: str
    failed: str
    checked: int


def update(folder: Path, results: Sequence[Result], run_id: str, run_time: datetime) -> None:
    """As `build`; but pages that cannot be written are a warning in the log, and those of the run before stay."""
    if not results:
        return
    try:
        build(folder, results, run_id, run_time)
    except Exception as error:
        log.warning(
            "The Data Docs in %s are still those of an earlier run (%s: %s); all results are in ops.validations.",
            folder,
            type(error).__name__,
            error,
        )


def build(folder: Path, results: Sequence[Result], run_id: str, run_time: datetime) -> Path:
    """Replaces `folder` by pages on all suites, these results and those of the runs before; returns the path of its index.html."""
    made = folder.with_name(f".{folder.name}.{os.getpid()}")
    old = made.with_suffix(".old")
    _sweep(folder)
    try:
        _write(made, folder, results, run_id, run_time)
        # A folder cannot be replaced in one step: for a moment it is missing, but it is never half written.
        if folder.exists():
            folder.rename(old)
        try:
            made.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return folder / "index.html"


def _sweep(folder: Path) -> None:
    """Removes what a killed build left; what another process is building at the moment is younger than an hour."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if left.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(left, ignore_errors=True)


def _write(made: Path, before: Path, results: Sequence[Result], run_id: str, run_time: datetime) -> None:
    shutil.rmtree(made, ignore_errors=True)
    (made / "runs").mkdir(parents=True)
    ordered = sorted(results, key=lambda r: (r.success, not r.raised, SEVERITIES.index(r.expectation.severity)))
    severities = [result.expectation.severity for result in ordered if not result.success]
    failed = ", ".join(f"{severities.count(severity)} {severity}" for severity in SEVERITIES if severity in severities)
    page = _Page(
        run_id=run_id,
        run_time=f"{run_time.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        file=f"runs/{run_id}.html",
        failed=failed,
        checked=len(results),
    )
    _put(made / page["file"], "run", page=page, results=ordered, examples=EXAMPLES)
    pages = [page, *_carried_over(made, before, run_id)]
    _put(made / "suites.html", "suites", suites=[suites.load(table) for table in suites.names()])
    _put(made / "index.html", "index", pages=pages)
    (made / "runs.json").write_text(json.dumps(pages, indent=1), encoding="utf-8")


def _carried_over(made: Path, before: Path, run_id: str) -> list[_Page]:
    """The pages of the runs before, newest first, copied to `made`; none when the list of runs cannot be read."""
    try:
        pages: list[_Page] = json.loads((before / "runs.json").read_text(encoding="utf-8"))
        runs = list(dict.fromkeys(page["run_id"] for page in pages if page["run_id"] != run_id))[: RUNS - 1]
        kept = [page for page in pages if page["run_id"] in runs]
        for page in kept:
            shutil.copyfile(before / page["file"], made / page["file"])
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return kept


def _put(path: Path, part: str, **values: Any) -> None:
    """Writes the page `part` of the template to the file `path`."""
    text = _template().render(part=part, home="../" * (path.parent.name == "runs"), **values)
    path.write_text(text, encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    import jinja2

    text = Path(__file__).with_name("data_docs.html").read_text(encoding="utf-8")
    # All values are escaped, and a name that is not given is an error.
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(text)
