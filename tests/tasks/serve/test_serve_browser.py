"""The pages in a real browser: they draw, ask no other host, are accessible, follow the arrow keys, and show a new session by themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serving
from browsing import CHROMIUM, SLOWEST_MS, axe, launched

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path; install it to test the page")

PAGES = {
    "session": f"/session?date={serving.DAYS[200]}",
    "pair": "/pair",
    "funds": "/funds?symbols=IWM,VB,BRK.B",
    "rotation": "/rotation?symbols=IWM,VB,XLK,XLF&tail=12",
    "flows": "/flows?symbols=group:small_cap,IWM,VB",
    "flows_daily": "/flows?symbols=IWM&by=session",
    "sql": "/sql?q=select symbol, session, close from core.prices where symbol in ('IWM', 'BRK.B') limit 200",
    "error": "/pair?small=ZZZ",
}
WAYS = [(1280, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    with launched() as made:
        yield made


@pytest.fixture(scope="module")
def address(small_home: Path) -> Iterator[str]:
    """A server over the small warehouse."""
    with serving.serving(small_home) as found:
        yield found


def opened(browser: Any, address: str, path: str, width: int = 1280, scheme: str = "light") -> tuple[Any, list[str]]:
    """The page with its charts drawn, and a list that whatever goes wrong is added to."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(SLOWEST_MS)
    wrong: list[str] = []

    def dismissed(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", dismissed)
    page.on("request", lambda asked: None if asked.url.startswith((address, "data:")) else wrong.append(asked.url))
    page.goto(address + path)
    drawn(page)
    return page, wrong


def drawn(page: Any) -> None:
    """Waits until every chart is drawn; a page of an error has none."""
    if page.locator("h1").text_content() != "Not possible":
        page.wait_for_selector("html[data-drawn]", state="attached", timeout=SLOWEST_MS)


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("width", "scheme"), WAYS)
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_drawn_and_accessible(browser: Any, address: str, name: str, width: int, scheme: str) -> None:
    """On a desk and a phone, light and dark: charts are there, nothing fails, leaks, overflows or shuts anyone out, open tables included."""
    page, wrong = opened(browser, address, PAGES[name], width, scheme)
    charts = page.locator("[data-chart]").count()
    assert (charts == 0) == (name == "error")
    assert page.locator(".chart.failed").count() == 0
    for number in range(charts):
        chart = page.locator("[data-chart]").nth(number)
        assert chart.locator("svg .mark-group [class*=mark-] > *:not(g)").count(), chart.get_attribute("data-chart")
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"serve-{name}-{width}-{scheme}.png", full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not axe(page)
    assert [text for text in wrong if "status of 400" not in text] == []
    page.close()


@pytest.mark.long_after(0)
def test_arrow_keys_lead_to_the_neighbours(browser: Any, address: str) -> None:
    """Left and right lead from session to session and change the address; in a field they do what they do there."""
    session = serving.DAYS[200]
    page, wrong = opened(browser, address, f"/session?date={session}")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**/session?date={serving.DAYS[199]}")
    drawn(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/session?date={session}")
    drawn(page)
    page.focus("input[name=date]")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert page.url.endswith(f"date={session}")
    page.fill("input[name=date]", str(serving.DAYS[50]))
    page.wait_for_url(f"**/session?date={serving.DAYS[50]}")
    assert not wrong
    page.close()


@pytest.mark.long_after(0)
def test_forms_answer_at_once_and_their_address_can_be_shared(browser: Any, address: str) -> None:
    """Moving the slider changes the tail and the address, keeps the focus there, and another browser sees the same."""
    page, wrong = opened(browser, address, "/rotation?symbols=IWM,XLK")
    page.focus("input[name=tail]")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"tail=9\b"))
    drawn(page)
    assert page.locator("#rotation-title").text_content() == "Tails of 9 weeks"
    assert page.evaluate("document.activeElement.name") == "tail"
    assert "date=" not in page.url
    other, _ = opened(browser, address, page.url.removeprefix(address))
    assert other.locator("#rotation-title").text_content() == "Tails of 9 weeks"
    assert other.locator("input[name=symbols]").input_value() == "IWM, XLK"
    other.close()
    assert not wrong
    page.close()


def test_a_statement_is_run_by_keyboard(browser: Any, address: str) -> None:
    """Control and Enter run what was typed; a column with a name that is markup stays text in table, chart and tooltip."""
    page, wrong = opened(browser, address, "/sql")
    hostile = "<img src=x onerror=alert(1)>"
    page.fill("textarea", f'select n as "{hostile}", n * n as "a.b[c]" from range(20) as t (n)')
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#result")
    drawn(page)
    assert page.locator("#result thead th").first.text_content() == hostile
    assert hostile[:20] in "".join(page.locator("#result svg .role-axis-title").all_text_contents())
    assert page.locator("#result tbody tr").count() == 20
    assert page.locator("[data-chart] svg .mark-symbol path").count() == 20
    assert not wrong
    page.close()


@pytest.mark.long_after(0)
def test_a_publish_is_shown_by_itself(browser: Any, tmp_path: Path) -> None:
    """A page of the latest session is loaded again after a publish; one of a chosen day says that there is a new one and stays."""
    before, latest = serving.DAYS[60], serving.DAYS[61]
    serving.publish(tmp_path / "rotation.duckdb", before)
    with serving.serving(tmp_path) as address:
        page, wrong = opened(browser, address, "/session")
        chosen, _ = opened(browser, address, f"/session?date={before}")
        assert page.locator("input[name=date]").input_value() == str(before)
        serving.publish(tmp_path / "rotation.duckdb", latest)
        page.wait_for_selector(f"input[name=date][value='{latest}']", timeout=SLOWEST_MS)
        chosen.wait_for_selector(".published:visible", timeout=SLOWEST_MS)
        assert chosen.locator(".published").text_content() == (
            f"New data was published; the latest session is {latest}. Load this page again"
        )
        assert not axe(chosen)
        assert chosen.locator("input[name=date]").input_value() == str(before)
        page.close()
        chosen.close()
    assert not wrong
