"""Data Docs: the pages of a real audit, readable without a network, safe as HTML, replaced as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import duckdb
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.audit import data_docs, suites
from market_rotation.tasks.audit.expectations import Suite
from market_rotation.tasks.audit.run import Result, audit
from market_rotation.tasks.run import stage
from market_rotation.tasks.run.fetch import Answer, Request

DAYS = world.days(date(2024, 1, 2))
SESSION = DAYS[19]
STARTED = datetime(2024, 2, 1, 23, 30, tzinfo=UTC)
EVIL = "<script>alert('x')</script>"
EXPECTATIONS = ("one_row_per_bar", "prices_positive", "close_present", "in_universe")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A first batch of SPY and IWM, in which IWM lacks a close and one symbol is invalid."""
    with warehouse.writing(Path(":memory:")) as con:
        members = world.universe(world.instrument("SPY"), world.instrument("IWM"))
        stage.put_references(con, members, calendar.load(date(2005, 1, 3), date(2026, 11, 20)), DAYS[0], SESSION)
        warehouse.parameters(
            con, run_id="r1", known_at=STARTED, source="files", target_session=SESSION, history_start=DAYS[0]
        )
        closes = [100.0 + i % 5 for i in range(20)]
        answers = [
            Answer(Request("prices", symbol, DAYS[0], SESSION, True), world.bars(symbol, held), None)
            for symbol, held in {"SPY": closes, "IWM": [*closes[:7], None, *closes[8:]], EVIL: closes}.items()
        ]
        stage.put_answers(con, answers)
        warehouse.build(con, *stage.BATCHES)
        yield con


def suite() -> Suite:
    """Four expectations of the bars: those two that the batch fails are the last."""
    whole = suites.staged("prices")
    named = {e.id: e for e in whole.expectations}
    return replace(whole, expectations=tuple(named[name] for name in EXPECTATIONS))


def passing() -> list[Result]:
    return [Result(suite(), expectation, True, False, 0, 98, None) for expectation in suite().expectations]


def text(page: Path) -> str:
    """What a person reads on a page, tags left out and blanks joined."""
    body = page.read_text(encoding="utf-8").split("<body>")[1]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


def results_pages(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("runs/*.html"))


def test_pages_tell_what_was_expected_and_found(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Each expectation is shown with its table, sentence, severity and counts, failures first and with the offending rows."""
    results = audit(con, suite())
    assert {r.expectation.id for r in results if not r.success} == {"in_universe", "close_present"}
    index = data_docs.build(tmp_path / "data_docs", results, "r1", STARTED)
    assert "1 critical, 1 warning 2024-02-01 23:30 UTC r1 4" in text(index)
    page = text(index.parent / "runs" / "r1.html")
    for result in results:
        assert f"{result.expectation.id} ({result.expectation.severity}) {result.expectation.sentence}" in page
    assert re.search(
        r"failed stage\.prices in_universe .* 20 60 failed stage\.prices close_present .* 1 60 passed", page
    )
    assert page.count(" 0 60 ") == 2
    assert f'{{"symbol": "IWM", "session": "{DAYS[7]}"' in page
    assert page.count(EVIL) == data_docs.EXAMPLES
    order = [page.index(f" {name} (") for name in ("in_universe", "close_present", "one_row_per_bar")]
    assert order == sorted(order)


def test_every_link_leads_to_a_page(tmp_path: Path) -> None:
    """From the index one reaches the suites and every run, and from there the way back."""
    index = data_docs.build(tmp_path / "data_docs", passing(), "r1", STARTED)
    pages = list(index.parent.rglob("*.html"))
    assert {page.name for page in pages} == {"index.html", "suites.html", "r1.html"}
    reached = set()
    for page in pages:
        for link in re.findall(r'href="([^"#]+)"', page.read_text(encoding="utf-8")):
            reached.add((page.parent / link).resolve(strict=True))
    assert reached == {page.resolve() for page in pages}


def test_every_expectation_is_shown_with_its_query(tmp_path: Path) -> None:
    """The page of the suites has each expectation of each table, with its sentence and its SQL."""
    index = data_docs.build(tmp_path / "data_docs", passing(), "r1", STARTED)
    page = text(index.parent / "suites.html")
    for table in suites.names():
        for e in suites.load(table).expectations:
            assert f"{e.id} ({e.severity}) {e.sentence} {' '.join(e.query.split())}" in page


def test_pages_load_and_run_nothing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """No page has a script, an image or a style sheet, of ours or in the data, and a policy forbids the browser the rest."""
    index = data_docs.build(tmp_path / "data_docs", audit(con, suite()), "r1", STARTED)
    for page in index.parent.rglob("*.html"):
        content = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|link|img|iframe|object)\b|url\(|@import|https?://", content, re.IGNORECASE)
        assert "default-src 'none'" in content


def test_check_that_raised_is_no_pass(tmp_path: Path) -> None:
    """An expectation that could not be checked is shown first, with its error, and has no count."""
    results = passing()
    broken = results[-1].expectation
    results[-1] = Result(results[0].suite, broken, False, True, None, 98, "Binder Error: <b>no such column")
    index = data_docs.build(tmp_path / "data_docs", results, "r1", STARTED)
    page = text(index.parent / "runs" / "r1.html")
    shown = (f"not checked stage.prices {broken.id} ", "Binder Error: <b>no such column", " one_row_per_bar (")
    assert [page.index(part) for part in shown] == sorted(page.index(part) for part in shown)
    assert f"1 {broken.severity} 2024-02-01" in text(index)


def test_last_runs_are_kept(tmp_path: Path) -> None:
    """The pages of the last runs stay, newest first, those of earlier ones are removed, and a repeated run has one page."""
    folder = tmp_path / "data_docs"
    for n in [*range(data_docs.RUNS + 2), data_docs.RUNS + 1]:
        data_docs.build(folder, passing(), f"r{n:02}", STARTED + timedelta(days=n))
    kept = [f"r{n:02}" for n in range(2, data_docs.RUNS + 2)]
    assert results_pages(folder) == kept
    assert re.findall(r"UTC (r\d\d) ", text(folder / "index.html")) == kept[::-1]


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"run_id": "r0"}]', '{"run_id": 1}'])
def test_unreadable_list_of_runs(tmp_path: Path, content: str) -> None:
    """A list of runs that was damaged costs the earlier pages, not those of this run."""
    folder = tmp_path / "data_docs"
    data_docs.build(folder, passing(), "r1", STARTED)
    (folder / "runs.json").write_text(content)
    data_docs.build(folder, passing(), "r2", STARTED)
    assert results_pages(folder) == ["r2"]
    assert [page["run_id"] for page in json.loads((folder / "runs.json").read_text())] == ["r2"]


def test_failed_build_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the building fails half-way, the pages are whole and those of before, nothing is left over, and the log says it once."""
    folder = tmp_path / "home" / "data_docs"
    data_docs.update(folder, passing(), "r1", STARTED)
    before = {path: path.read_bytes() for path in folder.rglob("*.html")}
    written: list[Path] = []

    def full(path: Path, *_: object, **__: object) -> None:
        if len(written) == 2:
            assert {p: p.read_bytes() for p in folder.rglob("*.html")} == before
            raise OSError(28, "No space left on device")
        written.append(path)

    monkeypatch.setattr(data_docs, "_put", full)
    data_docs.update(folder, passing(), "r2", STARTED)
    assert len(written) == 2
    assert not any(path.is_relative_to(folder) for path in written)
    assert {path: path.read_bytes() for path in folder.rglob("*.html")} == before
    assert [path.name for path in folder.parent.iterdir()] == ["data_docs"]
    (record,) = caplog.records
    assert "still those of an earlier run (OSError: [Errno 28] No space left on device)" in record.getMessage()


def test_folder_that_cannot_be_replaced_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the new pages cannot take the place of the old ones, the old ones are put back."""
    folder = tmp_path / "data_docs"
    data_docs.build(folder, passing(), "r1", STARTED)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target == folder and not path.name.endswith(".old"):
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    data_docs.update(folder, passing(), "r2", STARTED)
    assert results_pages(folder) == ["r1"]
    assert [path.name for path in tmp_path.iterdir()] == ["data_docs"]
    assert len(caplog.records) == 1


def test_run_that_audited_nothing_changes_nothing(tmp_path: Path) -> None:
    """A run that is up to date keeps the pages of the last audit, and creates no folder."""
    data_docs.update(tmp_path / "data_docs", [], "r1", STARTED)
    assert list(tmp_path.iterdir()) == []
