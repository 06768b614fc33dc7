"""The page in a real browser: it draws, needs no network, is accessible, and agrees with the tables."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import made_up
import pandas as pd
import pytest
import world
from browsing import CHROMIUM, SLOWEST_MS, axe, launched

from market_rotation.tasks import warehouse
from market_rotation.tasks.report import files
from market_rotation.tasks.report.exhibits.base import Exhibit, Report
from market_rotation.tasks.report.exhibits.collect import TOP, collect
from market_rotation.tasks.report.page import render

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path; install it to test the page")

SESSION = date(2026, 1, 16)
NOW = datetime(2026, 1, 16, 23, 45, tzinfo=UTC)
WAYS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the simulated market of 16 January 2026 and its report."""

    def make(folder: Path) -> None:
        shutil.copy(world.sample_of_january(tmp_path_factory), folder)
        with warehouse.reading(folder / "rotation.duckdb") as con:
            files.write(collect(con), folder / "reports", NOW)

    return world.made_once(tmp_path_factory, "report_in_browser", make)


@pytest.fixture(scope="module")
def sample(home: Path) -> Report:
    """What the page was made of."""
    with warehouse.reading(home / "rotation.duckdb") as con:
        return collect(con)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    with launched() as made:
        yield made


def opened(browser: Any, path: Path, width: int = 1280, scheme: str = "light", **options: str) -> tuple[Any, list[str]]:
    """The page with all its charts drawn, and a list that whatever goes wrong is added to."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    page.set_default_timeout(SLOWEST_MS)
    wrong: list[str] = []

    def refuse(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", refuse)
    page.on("request", lambda asked: None if asked.url == path.as_uri() else wrong.append(f"request: {asked.url}"))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-paper]", state="attached", timeout=SLOWEST_MS)
    return page, wrong


def exhibits(report: Report) -> list[Exhibit]:
    return [*(getattr(report, name) for name in TOP), *report.exhibits]


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with None for what is not known, whatever the types of its columns."""
    return frame.astype(object).where(frame.notna(), None).reset_index(drop=True)


def has_tooltip(page: Any) -> bool:
    """Whether words appear when the pointer rests on a chart."""
    from playwright.sync_api import TimeoutError as Late

    for chart in page.query_selector_all(".chart"):
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        for across, down in ((0.5, 0.5), (0.4, 0.4), (0.6, 0.3)):
            page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down, steps=3)
            try:
                page.wait_for_selector("#vg-tooltip-element.visible", timeout=300)
            except Late:
                continue
            return True
    return False


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("width", "scheme"), WAYS)
def test_page_is_drawn_and_readable(home: Path, sample: Report, browser: Any, width: int, scheme: str) -> None:
    """On a desk and a phone, light and dark: every chart is there, nothing fails, leaks, overflows or shuts anyone out."""
    path = home / "reports" / str(SESSION) / "index.html"
    page, wrong = opened(browser, path, width, scheme)
    wanted = [e.id for e in exhibits(sample) if e.chart and len(e.rows)]
    assert len(wanted) >= 10
    for name in wanted:
        marks = page.locator(f"[data-chart={name}] svg .mark-group [class*=mark-] > *:not(g)")
        assert marks.count() > 0, name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shades = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (shades == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.locator(".simulated").is_visible()
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"report-{width}-{scheme}.png", full_page=True)
    assert not axe(page)
    assert has_tooltip(page)
    assert not wrong
    page.close()


def test_the_page_of_21_years_is_small(home: Path) -> None:
    """With all its rows since 2005 the page stays under 3 MB."""
    assert (home / "reports" / str(SESSION) / "index.html").stat().st_size < 3_000_000


@pytest.mark.long_after(0)
def test_hidden_parts_are_accessible_too(home: Path, browser: Any) -> None:
    """With every table and query open, no rule of accessibility is broken either, and the page stays as wide as the phone."""
    page, wrong = opened(browser, home / "reports" / "latest" / "index.html", 390)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert not axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not wrong
    page.close()


@pytest.mark.long_after(0)
def test_index_leads_to_the_reports(home: Path, browser: Any) -> None:
    """The index of past reports is accessible, and its link opens the report."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(SLOWEST_MS)
    page.goto((home / "reports" / "index.html").as_uri())
    assert not axe(page)
    page.get_by_role("link", name="16 Jan 2026").click()
    page.wait_for_selector("#headline")
    assert page.title() == "SIMULATED: Rotation report, 16 Jan 2026"
    page.close()


@pytest.mark.long_after(0)
def test_figures_are_those_of_the_tables(home: Path, sample: Report, browser: Any) -> None:
    """Each cell holds the value of the exhibit's table in full precision, and the rows embedded are the rows."""
    page, _ = opened(browser, home / "reports" / "latest" / "index.html")
    read = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("section[id]")].map((section) => [section.id,
        [...section.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.dataset.value))]))"""
    )
    heads = page.evaluate(
        """() => [...document.querySelectorAll("#funds thead th[data-value]")].map((cell) => cell.dataset.value)"""
    )
    # Funds stand side by side: a column for each.
    read["funds"] = [list(row) for row in zip(heads, *(cells[1:] for cells in read["funds"]), strict=True)]
    figures = 0
    for exhibit in exhibits(sample):
        shown = read[exhibit.id]
        assert len(shown) == len(exhibit.table), exhibit.id
        for cells, (_, row) in zip(shown, exhibit.table.iterrows(), strict=True):
            for cell, column in zip(cells, exhibit.columns, strict=True):
                value = row[column.name]
                if pd.isna(value):
                    assert cell == "", (exhibit.id, column.name)
                elif isinstance(value, float):
                    assert float(cell) == value, (exhibit.id, column.name)
                    figures += 1
                elif isinstance(value, pd.Timestamp):
                    assert pd.Timestamp(cell) == value, (exhibit.id, column.name)
                else:
                    assert cell == str(value), (exhibit.id, column.name)
    assert figures > 100
    with warehouse.reading(home / "rotation.duckdb") as con:
        score, value = con.execute(
            "select size_score, value from signals.rotation_regime join signals.rotation_evidence using (session) "
            "where session = $1 and evidence = 'relative_strength'",
            [SESSION],
        ).fetchall()[0]
    assert float(page.locator(".score [data-value]").first.get_attribute("data-value")) == score
    assert float(page.locator(".board .value span").first.get_attribute("data-value")) == value
    page.close()


@pytest.mark.long_after(0)
def test_rows_can_be_downloaded_by_keyboard(home: Path, sample: Report, browser: Any, tmp_path: Path) -> None:
    """The CSV button works by keyboard and gives every row of the exhibit, in full precision."""
    everything = exhibits(sample)
    # Chromium takes ten files in a row from a page.
    for some in (everything[start : start + 9] for start in range(0, len(everything), 9)):
        page, wrong = opened(browser, home / "reports" / "latest" / "index.html")
        for exhibit in some:
            page.focus(f"[data-csv={exhibit.id}]")
            with page.expect_download() as waiting:
                page.keyboard.press("Enter")
            assert waiting.value.suggested_filename == f"2026-01-16-{exhibit.id.replace('_', '-')}.csv"
            waiting.value.save_as(tmp_path / "rows.csv")
            days = [n for n in exhibit.rows if pd.api.types.is_datetime64_any_dtype(exhibit.rows[n].dtype)]
            read = pd.read_csv(tmp_path / "rows.csv", parse_dates=days, float_precision="round_trip")
            pd.testing.assert_frame_equal(plain(read), plain(exhibit.rows), check_exact=True, check_column_type=False)
        assert [text for text in wrong if not text.startswith("request: blob:")] == []
        page.close()


@pytest.mark.long_after(0)
@pytest.mark.parametrize(("width", "shown"), [(1280, 5), (390, 2)])
def test_two_funds_can_be_compared(home: Path, sample: Report, browser: Any, width: int, shown: int) -> None:
    """A desk shows all funds, a phone SPSM and VB; whichever two are chosen stand alone, within one screen, the whole table still there."""
    page, wrong = opened(browser, home / "reports" / "latest" / "index.html", width)
    funds = next(e for e in sample.exhibits if e.id == "funds")
    assert len(funds.table) == 5
    heads = page.locator("#funds thead th[data-value]:visible")
    assert heads.count() == shown
    one, other = (page.locator("#funds .choice select").nth(place) for place in (0, 1))
    one.select_option("SPSM")
    other.select_option("VB")
    assert heads.all_text_contents() == ["SPSM", "VB"]
    table = page.locator("#funds table")
    assert table.bounding_box()["height"] < 844
    assert table.bounding_box()["width"] <= width
    other.select_option("IWM")
    assert heads.all_text_contents() == ["SPSM", "IWM"]
    one.select_option("all")
    assert heads.count() == 5
    assert not axe(page)
    assert not wrong
    page.close()


@pytest.mark.long_after(0)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_answers(home: Path, browser: Any, width: int) -> None:
    """Without scrolling, the reader sees what the regime is, since when, why, and what to watch; the navigation fits."""
    page, _ = opened(browser, home / "reports" / "latest" / "index.html", width)
    for part in ("#headline h2", ".score li:nth-child(3)", ".says div:nth-child(1) dd:nth-of-type(1)"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 900, part
    if width == 1280:
        box = page.locator("[data-chart=compass]").bounding_box()
        assert box["y"] + box["height"] <= 900
    assert page.evaluate(
        "(() => { const nav = document.querySelector('nav'); return nav.scrollWidth <= nav.clientWidth; })()"
    )
    page.close()


@pytest.mark.long_after(0)
def test_charts_over_time_show_their_newest_end(home: Path, browser: Any) -> None:
    """On a phone the ranks and the flows fit the screen, their last month at the right; no name is scrolled away."""
    page, _ = opened(browser, home / "reports" / "latest" / "index.html", 390)
    for name in ("sector_ranks", "fund_flows"):
        frame = page.locator(f".frame:has([data-chart={name}])")
        assert frame.evaluate("(one) => one.scrollWidth <= one.clientWidth"), name
        marks = page.locator(f"[data-chart={name}] svg .mark-rect.role-mark path")
        edges = [marks.nth(i).bounding_box() for i in range(marks.count())]
        box = frame.bounding_box()
        assert max(edge["x"] + edge["width"] for edge in edges) > box["x"] + box["width"] - 40, name
    page.close()


def test_hostile_names_stay_text(browser: Any, tmp_path: Path) -> None:
    """A name that is a script is shown as text in heading, finding, note, query, table and chart, runs nowhere, and is whole in the CSV."""
    path = tmp_path / "index.html"
    path.write_text(render(made_up.report(), made_up.NOW), encoding="utf-8")
    page, wrong = opened(browser, path)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    funds = page.locator("#funds")
    for part in ("h2", ".finding", ".note", ".missing", "code", "thead th", "tbody th", "[data-chart] svg"):
        assert made_up.HOSTILE[:12] in "".join(funds.locator(part).all_text_contents()), part
    assert page.locator("script").count() == render(made_up.report(), made_up.NOW).count("</script>")
    with page.expect_download() as waiting:
        funds.locator(".download").click()
    waiting.value.save_as(tmp_path / "rows.csv")
    read = pd.read_csv(tmp_path / "rows.csv", lineterminator="\n")
    assert read["symbol"].tolist() == made_up.funds().rows["symbol"].tolist()
    assert [text for text in wrong if not text.startswith("request: blob:")] == []
    page.close()


@pytest.mark.long_after(0)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_days_are_the_same_everywhere(browser: Any, tmp_path: Path, zone: str) -> None:
    """A chart shows a session's own day, east and west of Greenwich."""
    rows = made_up.headline().rows.tail(2)
    text = {"field": "session", "type": "temporal", "format": "%Y-%m-%d"}
    x = {"field": "size_score", "type": "quantitative"}
    chart = {"data": {"name": "rows"}, "mark": "text", "encoding": {"text": text, "x": x}}
    days = made_up.exhibit("days", rows, chart=chart)
    path = tmp_path / "index.html"
    path.write_text(render(made_up.report(exhibits=(days,)), made_up.NOW), encoding="utf-8")
    page, wrong = opened(browser, path, timezone_id=zone)
    shown = page.locator("[data-chart=days] .mark-text.role-mark text").all_text_contents()
    assert shown == ["2026-01-15", "2026-01-16"]
    assert not wrong
    page.close()


def test_markup_that_got_in_could_not_run(browser: Any, tmp_path: Path) -> None:
    """Even markup that escaped escaping is stopped: the page's policy lets no script run but its own."""
    path = tmp_path / "index.html"
    page_text = render(made_up.report(), made_up.NOW)
    path.write_text(page_text.replace("<main", "<img src=x onerror=alert(1)><script>alert(2)</script><main"), "utf-8")
    _, wrong = opened(browser, path)
    assert not [text for text in wrong if text.startswith("dialog")]
    assert any("Content Security Policy" in text for text in wrong)


@pytest.mark.long_after(0)
def test_charts_follow_the_scheme_and_the_width(home: Path, browser: Any) -> None:
    """A change of the colour scheme or the window's width redraws the charts, in its colours and at its width."""
    page, wrong = opened(browser, home / "reports" / "latest" / "index.html")
    label = "[data-chart=headline] .role-axis-label text"
    before = page.locator(label).first.get_attribute("fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(f'{label}:not([fill="{before}"])', state="attached")
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_selector("[data-chart=headline][data-drawn='668']", state="attached")
    page.wait_for_selector("html[data-drawn]", state="attached")
    assert not wrong
    page.close()


@pytest.mark.long_after(0)
def test_sql_can_be_copied_and_links_be_skipped(home: Path, sample: Report, browser: Any) -> None:
    """The first key leads past the links to the report, and the copy button copies the query as it is."""
    page, wrong = opened(browser, home / "reports" / "latest" / "index.html")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.locator("#breadth summary", has_text="SQL").click()
    page.locator("#breadth .copy").click()
    page.get_by_text("Copied").wait_for()
    breadth = next(e for e in sample.exhibits if e.id == "breadth")
    assert page.evaluate("navigator.clipboard.readText()") == breadth.sql
    assert not wrong
    page.close()


@pytest.mark.long_after(0)
def test_page_prints(home: Path, browser: Any) -> None:
    """From a dark screen it prints in light colours, on several sheets, with charts as wide as the paper."""
    page, wrong = opened(browser, home / "reports" / "latest" / "index.html", scheme="dark")
    made = page.pdf(prefer_css_page_size=True)
    assert max(int(count) for count in re.findall(rb"/Count (\d+)", made)) > 1
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.locator(".paper svg")
    assert paper.count() == page.locator("[data-chart]").count()
    assert page.locator("[data-chart]:visible").count() == 0
    assert page.locator(".simulated").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # On a sheet of A4, nothing is wider than the paper.
    page.set_viewport_size({"width": 703, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    muted = json.loads(page.locator("#vega-config").text_content())["axis"]["labelColor"]
    colour = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{muted}').trim()")
    assert page.locator("#scores .paper .role-axis-label text").first.get_attribute("fill") == colour
    assert not wrong
    page.close()
