"""Data Docs: Great Expectations' own pages on what the audits expect and what they found, for the last runs that audited something.

The pages are GX's, rendered by GX, with two changes. GX's style sheets, scripts and images come from eight servers of others, and its
index is drawn by one of those scripts, so that it is blank behind a firewall: here the pages bring what they need with them, and a policy
in each forbids the browser to load or to run anything. And GX does not escape the values it lists, which may say anything: here they are.
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from market_rotation.tasks.audit.run import SUITES, Result, Suite, load_suite
from market_rotation.tasks.errors import Failure

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

log = logging.getLogger("rotation.data_docs")

#: Runs whose pages are kept.
RUNS = 10

#: Offending rows shown of a failed expectation.
EXAMPLES = 20

_SEVERITIES = ("critical", "warning", "info")


class _Page(TypedDict):
    """One page of results, as the list of runs has it."""

    run_id: str
    run_time: str
    suite: str
    file: str
    failed: str
    checked: int


def update(
    folder: Path, results: Sequence[Result], failures: Sequence[Failure], run_id: str, run_time: datetime
) -> None:
    """As `build`; but pages that cannot be built are a warning in the log, and leave those of the run before."""
    if not results:
        return
    try:
        build(folder, results, failures, run_id, run_time)
    except Exception as error:
        log.warning(
            "The Data Docs in %s are still those of an earlier run (%s: %s); all results are in ops.validations.",
            folder,
            type(error).__name__,
            error,
        )


def build(
    folder: Path, results: Sequence[Result], failures: Sequence[Failure], run_id: str, run_time: datetime
) -> Path:
    """Replaces `folder` by pages of all suites, of these results and of the runs before; returns the path of its index.html.

    `failures` bring the offending rows. They are found by dataset and expectation; a result without shows how many there are.
    """
    made = folder.with_name(f".{folder.name}.{os.getpid()}")
    old = made.with_suffix(".old")
    _sweep(folder)
    try:
        _write(made, folder, results, failures, run_id, run_time)
        # A folder cannot be replaced in one step. In between there is none, for a moment; never one that is half written.
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
    """Removes what a build left that was killed; what another process is just making is younger."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if left.stat().st_mtime < time.time() - 3600:
            shutil.rmtree(left, ignore_errors=True)


def _write(
    made: Path,
    before: Path,
    results: Sequence[Result],
    failures: Sequence[Failure],
    run_id: str,
    run_time: datetime,
) -> None:
    from great_expectations.render.renderer import ExpectationSuitePageRenderer, ValidationResultsPageRenderer

    from market_rotation.tasks.audit.great_expectations import gx_suite

    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    suites = {path.stem: load_suite(path.stem) for path in sorted(SUITES.glob("*.json"))}
    suites |= {result.suite.name: result.suite for result in results}
    suite_page: Any = ExpectationSuitePageRenderer()
    for suite in suites.values():
        _put(made / "expectations" / f"{suite.name}.html", suite_page.render(gx_suite(_described(suite))))

    rows = {(failure.dataset, failure.expectation): failure.examples for failure in failures}
    pages = []
    for name in dict.fromkeys(result.suite.name for result in results):
        mine = [result for result in results if result.suite.name == name]
        # The depth is that of GX, whose pages refer to each other.
        file = f"validations/{name}/{run_id}/{run_time:%Y%m%dT%H%M%S}/{mine[0].suite.batch}.html"
        _put(made / file, ValidationResultsPageRenderer().render(_gx_result(mine, rows, run_id, run_time)))
        found = [r.expectation.severity for r in mine if not r.success]
        failed = ", ".join(f"{found.count(severity)} {severity}" for severity in _SEVERITIES if severity in found)
        pages.append(
            _Page(run_id=run_id, run_time=run_time.isoformat(), suite=name, file=file, failed=failed, checked=len(mine))
        )
    pages += _carried_over(made, before, run_id)
    (made / "runs.json").write_text(json.dumps(pages, indent=1), encoding="utf-8")
    _put(made / "index.html", _index(pages, list(suites)), "index_page.j2")


def _carried_over(made: Path, before: Path, run_id: str) -> list[_Page]:
    """The pages of the runs before, newest first, copied to `made`; none where what is there cannot be read."""
    try:
        pages: list[_Page] = json.loads((before / "runs.json").read_text(encoding="utf-8"))
        runs = list(dict.fromkeys(page["run_id"] for page in pages if page["run_id"] != run_id))[: RUNS - 1]
        kept = [page for page in pages if page["run_id"] in runs]
        for page in kept:
            (made / page["file"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(before / page["file"], made / page["file"])
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return kept


def _described(suite: Suite) -> Suite:
    """`suite` with sentences that also name severity and expectation, for which GX's pages have no place, and are safe as HTML."""
    told = [
        e.model_copy(update={"sentence": html.escape(f"{e.sentence} ({e.severity}: {e.id})", quote=False)})
        for e in suite.expectations
    ]
    return suite.model_copy(update={"expectations": tuple(told)})


def _gx_result(
    results: Sequence[Result], rows: dict[tuple[str, str], Sequence[str]], run_id: str, run_time: datetime
) -> ExpectationSuiteValidationResult:
    """The results of one suite as GX has them, failures first."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.core.run_identifier import RunIdentifier

    from market_rotation.tasks.audit.great_expectations import gx_suite

    suite = results[0].suite
    configurations = {(e.meta or {})["id"]: e.configuration for e in gx_suite(_described(suite)).expectations}
    told = [
        ExpectationValidationResult(
            success=result.success,
            expectation_config=configurations[result.expectation.id],
            result=_found(result, rows.get((suite.dataset, result.expectation.id), ())),
            exception_info={
                "raised_exception": result.raised,
                "exception_message": result.details if result.raised else None,
                "exception_traceback": "" if result.raised else None,
            },
        )
        for result in sorted(
            results, key=lambda r: (r.success, not r.raised, _SEVERITIES.index(r.expectation.severity))
        )
    ]
    passed = sum(result.success for result in results)
    return ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=told,
        suite_name=suite.name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / len(results),
        },
        meta={
            # GX tries to read a bare name as a date.
            "run_id": RunIdentifier(run_name=f"run {run_id}", run_time=run_time.astimezone(UTC)),
            "great_expectations_version": version("great-expectations"),
            "batch_spec": {"data_asset_name": suite.batch},
        },
    )


def _found(result: Result, examples: Sequence[str]) -> dict[str, Any]:
    if result.raised:
        return {}
    return {
        "observed_value": f"{result.unexpected_count:,} offending rows, {result.element_count:,} rows checked",
        # GX's own sentence with these would make a percentage of rows that may be missing from the batch.
        "unexpected_count": None,
        "partial_unexpected_list": [html.escape(row, quote=False) for row in examples[:EXAMPLES]],
    }


def _index(pages: Sequence[_Page], suites: Sequence[str]) -> Any:
    """The front page: the results, newest first, and the suites."""
    from great_expectations.render import RenderedDocumentContent, RenderedSectionContent, RenderedTableContent

    results = [
        [
            _link(page["file"], str(page["failed"] or "passed")),
            f"{datetime.fromisoformat(page['run_time']).astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            html.escape(page["run_id"]),
            _link(f"expectations/{page['suite']}.html", page["suite"]),
            str(page["checked"]),
        ]
        for page in pages
    ]
    tables = [
        RenderedTableContent(
            header="Validation results of the last runs that audited something",
            header_row=["Status", "Run started", "Run", "Suite", "Expectations"],
            table=results,
        ),
        RenderedTableContent(
            header="Expectation suites",
            header_row=["Suite"],
            table=[[_link(f"expectations/{name}.html", name)] for name in suites],
        ),
    ]
    return RenderedDocumentContent(
        renderer_type="SiteIndexPageRenderer",
        utm_medium="index-page",
        sections=[RenderedSectionContent(section_name="Market rotation", content_blocks=tables)],
    )


def _link(file: str, text: str) -> Any:
    from great_expectations.render import RenderedStringTemplateContent

    return RenderedStringTemplateContent(
        string_template={
            "template": "$text",
            "params": {"text": text},
            "tag": "a",
            "styling": {"attributes": {"href": html.escape(file)}},
        }
    )


def _put(path: Path, document: Any, template: str = "page.j2") -> None:
    """Renders `document` to the file `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _view().render(document, template=template, show_how_to_buttons=False)
    path.write_text(_self_contained(text), encoding="utf-8")


@cache
def _view() -> Any:
    """GX's view for all pages: each of its own would compile all the templates anew."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


#: Whatever slipped through: nothing is loaded, nothing is run.
_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"

# What GX's classes, which are those of Bootstrap, mean here; what only a script could work is hidden.
_STYLE = """<style>
body { margin: 0 auto; max-width: 75rem; padding: 1rem; font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
a { color: #0b5cad; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
td, th { border: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.fa-check-circle::before { content: "passed"; color: #186a2d; }
.fa-check-circle, .fa-times { white-space: nowrap; }
.fa-times::before { content: "failed"; color: #a31515; font-weight: bold; }
.fa-exclamation-triangle::before { content: "not checked"; color: #a31515; font-weight: bold; }
.text-danger { color: #a31515; }
.card.mb-3, a[data-toggle=collapse], [hidden] { display: none; }
ul { padding-left: 1.2rem; }
</style>"""


def _self_contained(page: str) -> str:
    """`page` without what it would load from elsewhere, and with a style of its own."""
    page = re.sub(
        r"<script\b.*?</script>|<style\b.*?</style>|<footer\b.*?</footer>|<link\b[^>]*>", "", page, flags=re.DOTALL
    )
    page = re.sub(r"<img\b[^>]*>", "Data Docs", page)
    return page.replace("<head>", f"<head>{_POLICY}{_STYLE}", 1)
