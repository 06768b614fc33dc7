"""The page as text, how values are written on it, and the files it is kept in."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pandas as pd
import pytest

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.report import files, page, words
from market_rotation.tasks.report.charts import embed, theme
from market_rotation.tasks.report.charts.spark import spark
from market_rotation.tasks.report.exhibits import collect
from market_rotation.tasks.report.exhibits.base import Column, Kind

NAN = float("nan")


def rendered(**changes: Any) -> str:
    return page.render(made_up.report(**changes), made_up.NOW)


# ---- values ----


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.0208, "fraction", "+2.1\u202f%"),
        (-0.0208, "fraction", "\u22122.1\u202f%"),
        (-0.0004, "fraction", "0.0\u202f%"),
        (0.0208, "level", "2.1\u202f%"),
        (67.0, "percent", "67.0\u202f%"),
        (-1.33e9, "usd", "\u2212$1.33\u202fbn"),
        (924e6, "usd", "$924.0\u202fm"),
        (999_960.0, "usd", "$1.00\u202fm"),
        (12.0, "usd", "$12"),
        (0.0, "usd", "$0"),
        (1234.5678, "ratio", "1,234.57"),
        (-0.001, "number", "0.00"),
        (1960.0, "count", "1,960"),
        (np.int64(3), "rank", "3"),
        (pd.Timestamp(2026, 1, 5), "session", "5 Jan 2026"),
        (date(2026, 1, 1), "month", "Jan 2026"),
        (-1.0, "verdict", "against"),
        (0, "verdict", "neither"),
        (True, "text", "yes"),
        ("two\nlines", "text", "two lines"),
        ("a change of -1.5 % since 2026-01-05", "text", "a change of \u22121.5\u202f% since 2026-01-05"),
    ],
)
def test_values_are_written_for_people(value: Any, kind: Kind, text: str) -> None:
    """Each kind has one format: signs where they matter, units, no sign on what is rounded to nothing."""
    assert words.written(value, kind) == text


@pytest.mark.parametrize("kind", Kind.__args__)  # type: ignore[attr-defined]
@pytest.mark.parametrize("value", [None, NAN, pd.NaT, pd.NA, float("inf")])
def test_what_is_not_known_is_never_zero(value: Any, kind: Kind) -> None:
    """Every form of a missing value in a frame is written as not known, and has no value for programs."""
    assert words.written(value, kind) == words.UNKNOWN
    assert words.exact(value) == ""


def test_cells_hold_the_value_itself() -> None:
    """A cell shows a rounded figure, a dash where not known, and keeps the value in full precision."""
    (first, *_, last) = page.cells(made_up.funds())
    assert (first[1].text, first[1].exact) == ("+30.0\u202f%", "0.30000000000000004")
    assert (last[1].is_known, last[1].exact, last[1].bar) == (False, "", None)
    text = rendered()
    assert 'data-value="0.30000000000000004">+30.0\u202f%' in text
    assert re.search(
        r'data-value=""><span class="unknown" aria-hidden="true">.</span><span class="hidden">not known', text
    )


def test_bars_begin_at_zero() -> None:
    """A bar reaches from zero to its value, to the left when it is below, in one scale for the column."""
    rows = pd.DataFrame({"flow": [30.0, -10.0, 0.0, None]})
    exhibit = made_up.exhibit("flows", rows, Column("flow", "Flow", "number", bar=True), table=rows)
    assert [row[0].bar for row in page.cells(exhibit)] == [
        (25.0, 75.0, False),
        (0.0, 25.0, True),
        (25.0, 0.0, False),
        None,
    ]


# ---- the page ----


def test_rows_are_embedded_as_they_are() -> None:
    """The CSV in the page, decoded, holds every value in full precision and every name as it came; nothing in it can end its element."""
    rows = made_up.funds().rows
    embedded = str(embed.embedded_csv(rows))
    assert "<" not in embedded
    assert "\r" not in embedded
    decoded = re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), embedded)
    read = pd.read_csv(io.StringIO(decoded, newline=""), lineterminator="\n", float_precision="round_trip")
    assert read["symbol"].tolist() == rows["symbol"].tolist()
    assert read["return_12m"].tolist()[:3] == rows["return_12m"].tolist()[:3]
    assert read["return_12m"].isna().tolist() == [False, False, False, True]
    assert embed.types(rows) == {
        "return_12m": "number",
        "net_flow_usd": "number",
        "month": "day",
        "verdict": "number",
        "holdings_count": "number",
    }


def test_page_asks_for_nothing() -> None:
    """Style, script and rows are in the file: no address is loaded, no rule lets one be, and it is well under 5 MB."""
    text = rendered()
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!#)|url\(|@import|https?://""", own)
    assert "default-src &#39;none&#39;" in text
    assert len(text.encode()) < 2_000_000


def test_nothing_of_a_vendor_becomes_markup() -> None:
    """A hostile name is nowhere in the page as it came, only escaped."""
    text = rendered()
    assert made_up.HOSTILE not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 8


def test_simulated_and_past_are_said() -> None:
    """A simulated market has its banner and title, a past session its line; the page of neither has none of them."""
    plain, simulated, past = rendered(), rendered(is_simulated=True), rendered(as_known_then=True)
    assert 'class="simulated"' in simulated
    assert "<title>SIMULATED: " in simulated
    assert "As known then: " in past
    assert not re.search(r'class="simulated"|SIMULATED|As known then', re.sub(r"<style>.*?</style>", "", plain))


def test_exhibits_are_grouped_into_chapters() -> None:
    """The navigation leads to each chapter once, in the order of the page; what is not ours is in the last one."""
    own = made_up.exhibit("own_mine", made_up.funds().rows)
    report = made_up.report(exhibits=(made_up.relative_strength(), made_up.funds(), own))
    found = page.chapters(report.exhibits)
    assert [(chapter.name, [e.id for e in chapter.exhibits]) for chapter in found] == [
        ("Small and large", ["relative_strength"]),
        ("Funds", ["funds"]),
        ("Your own", ["own_mine"]),
    ]
    text = page.render(report, made_up.NOW)
    nav = text.partition("<nav")[2].partition("</nav>")[0]
    for target in re.findall(r'href="#([\w-]+)"', nav):
        assert f'id="{target}"' in text
    assert [c.id for c in found] == re.findall(r'href="#(chapter-[\w-]+)"', nav)


def test_every_exhibit_of_ours_has_a_chapter() -> None:
    """No exhibit of ours ends up among the user's own."""
    assert set(collect.SECTIONS) == set(page.CHAPTERS)


def test_funds_stand_side_by_side() -> None:
    """Such a table has a column for each of its rows, each cell with the value of that row, and the first two to compare are named."""
    funds = replace(made_up.funds(), chart=None, side_by_side=("VB", "IWM"))
    text = rendered(exhibits=(funds,))
    table = re.search(r'<table class="compared" data-side-by-side="VB,IWM">.*?</table>', text, re.DOTALL)
    assert table
    heads = re.findall(r'<th scope="col" data-value="([^"]*)"', table[0])
    assert heads[0] == "IWM"
    assert heads[-1] == "VB"
    (returns,) = re.findall(r'<th scope="row">12 months</th>(.*?)</tr>', table[0], re.DOTALL)
    assert re.findall(r'data-value="([^"]*)"', returns) == ["0.30000000000000004", "-0.0166349", "0.0", ""]


def test_foot_says_where_it_comes_from() -> None:
    """The foot has source, run, code version, when the data was fetched and the page written, and that it is no advice."""
    foot = rendered().partition("<footer>")[2].partition("</footer>")[0]
    for said in ("files", "20260116T233000000000-abc123", "0.1.0", "23:30 UTC", "23:45 UTC", "no investment advice"):
        assert said in foot


def test_page_without_anything_known_is_still_a_page() -> None:
    """Without a label, scores, history or problems the page says so instead of failing."""
    report = made_up.report()
    unknown = report.headline.table.assign(
        label=None, label_since=None, size_state=None, leadership_state=None, size_score=NAN, leadership_score=NAN
    )
    headline = replace(report.headline, table=unknown, rows=report.headline.rows.head(0), chart=None)
    problems = replace(report.problems, table=report.problems.table.head(0), finding="Nothing is open.")
    text = page.render(replace(report, headline=headline, problems=problems), made_up.NOW)
    assert "Whether money rotates into small caps is not known: " in text
    assert "<strong>not known</strong>" in text
    assert 'data-chart="headline"' not in text
    assert 'class="alarm"' not in text


def test_sparkline_tells_what_it_shows() -> None:
    """It has words for those who do not see it, gaps where values are not known, and a block for each stretch of verdicts."""
    drawn = spark([0.01, 0.02, NAN, -0.01], [1, 1, None, -1], [0.0, 0.0], "fraction", "A & B")
    assert (
        "A &amp; B in the last 4 sessions: between \u22121.0\u202f% and +2.0\u202f%; for in 2, against in 1, not known in 1."
        in drawn
    )
    assert re.search(r'<path class="line" d="M[\d. ]+L[\d. ]+M[\d. ]+"/>', drawn)
    assert re.findall(r'<rect class="(\w+)"', drawn) == ["for", "against"]
    assert "not known in the last 2 sessions" in spark([NAN, NAN], [None, None], [0.0, 0.0], "fraction", "A")


def test_charts_have_the_colours_of_the_page() -> None:
    """Every colour of the charts' configuration is one that the style sheet gives, in the light scheme and the dark."""
    light = theme.light()
    named = theme.themed(theme.CONFIG, light)
    assert {one["name"]: one["value"] for one in named["params"]}.keys() == set(theme.PARAMETERS)
    style = (theme.HERE / "report.css").read_text(encoding="utf-8")
    dark = set(re.findall(r"(--[\w-]+):", style.partition("prefers-color-scheme: dark")[2].partition("* {")[0]))
    assert dark == light.keys() - {"--font", "--mono"}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_their_ground(scheme: str) -> None:
    """Text has a contrast of 4.5 to its ground and lines 3 (WCAG 2.2 AA), in both schemes."""
    style = (theme.HERE / "report.css").read_text(encoding="utf-8")
    blocks = {
        "light": style.partition("@media")[0],
        "dark": style.partition("prefers-color-scheme: dark")[2].partition("* {")[0],
    }
    colours = dict(re.findall(r"(--[\w-]+): (#\w{6});", blocks[scheme]))

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(colours[one]), luminance(colours[other])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for text in ("--ink", "--muted", "--accent", "--good", "--bad"):
        assert contrast(text, "--paper") >= 4.5, text
    for text in ("--ink", "--muted"):
        assert contrast(text, "--raised") >= 4.5, text
    assert contrast("--warn-ink", "--warn-paper") >= 4.5
    for line in ("--neutral", *(f"--series-{i}" for i in range(1, 13))):
        assert contrast(line, "--paper") >= 3, line


# ---- files ----


def written(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the picture, which takes a second."""
    monkeypatch.setattr(files, "picture", lambda report: b"picture of " + str(report.session).encode())


def at(day: date, score: float = 0.75) -> Any:
    report = made_up.report(session=day)
    return replace(report, headline=replace(report.headline, table=report.headline.table.assign(size_score=score)))


@pytest.mark.usefixtures("quick")
def test_reports_are_listed_newest_first(tmp_path: Path) -> None:
    """Each session has its folder, `latest` is the newest one's whatever is written after it, and the index lists all."""
    for day in (date(2026, 1, 15), date(2026, 1, 16), date(2026, 1, 14)):
        assert files.write(at(day), tmp_path, made_up.NOW) == tmp_path / str(day) / "index.html"
    made = written(tmp_path)
    folders = ("2026-01-14", "2026-01-15", "2026-01-16", "latest")
    assert made.keys() == {f"{folder}/{name}" for folder in folders for name in files.NAMES} | {"index.html"}
    assert all(made[f"latest/{name}"] == made[f"2026-01-16/{name}"] for name in files.NAMES)
    listed = re.findall(r'href="([^"]+)">([^<]+)', made["index.html"].decode())
    assert listed == [(f"2026-01-{day}/index.html", f"{day} Jan 2026") for day in (16, 15, 14)]
    note = json.loads(made["2026-01-16/report.json"])
    assert note.pop("sha256") == {
        name: hashlib.sha256(made[f"2026-01-16/{name}"]).hexdigest() for name in files.NAMES if name != "report.json"
    }
    assert note == {
        "session": "2026-01-16",
        "label": "building",
        "size_state": "leading",
        "size_score": 0.75,
        "leadership_state": "mixed",
        "leadership_score": -1 / 3,
        "support_state": None,
        "known_at": "2026-01-16T23:30:00+00:00",
        "is_simulated": False,
    }


@pytest.mark.usefixtures("quick")
def test_same_report_again_is_the_same(tmp_path: Path) -> None:
    """Written again, files are the same to the byte; a newer one of the session replaces them, in `latest` too."""
    files.write(at(made_up.SESSION), tmp_path, made_up.NOW)
    first = written(tmp_path)
    files.write(at(made_up.SESSION), tmp_path, made_up.NOW)
    assert written(tmp_path) == first
    files.write(at(made_up.SESSION, 0.5), tmp_path, made_up.NOW)
    assert json.loads((tmp_path / "latest" / "report.json").read_text())["size_score"] == 0.5


@pytest.mark.long_after(3)
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stop", range(1, 9))
def test_crash_leaves_whole_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """Wherever writing stops, a report's folder is absent or complete, and the next attempt repairs the rest."""
    files.write(at(date(2026, 1, 15)), tmp_path, made_up.NOW)
    before = written(tmp_path)
    kept, count = files._write, 0

    def failing(path: Path, content: bytes) -> None:
        nonlocal count
        count += 1
        if count == stop:
            path.write_bytes(content[:10])
            raise KeyboardInterrupt
        kept(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", failing)
        with pytest.raises(KeyboardInterrupt):
            files.write(at(date(2026, 1, 16)), tmp_path, made_up.NOW)
    left = {name: content for name, content in written(tmp_path).items() if not name.startswith(".making")}
    assert before.items() <= left.items()
    assert {name.split("/")[1] for name in left if name.startswith("2026-01-16/")} in (set(), set(files.NAMES))
    files.write(at(date(2026, 1, 16)), tmp_path, made_up.NOW)
    assert not list(tmp_path.glob(".making*"))
    assert (tmp_path / "latest" / "report.png").read_bytes() == b"picture of 2026-01-16"


@pytest.mark.usefixtures("quick")
def test_what_is_no_report_is_not_listed(tmp_path: Path) -> None:
    """A folder with a broken, foreign or misplaced note is passed over and left as it is."""
    notes = {"2026-01-01": "{", "2026-01-02": "[]", "2026-01-05": '{"session": "2026-01-06"}'}
    for folder, note in notes.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "report.json").write_text(note)
    files.write(at(made_up.SESSION), tmp_path, made_up.NOW)
    assert [note["session"] for note in files.past(tmp_path)] == [made_up.SESSION]
    assert (tmp_path / "2026-01-01" / "report.json").read_text() == "{"


@pytest.mark.usefixtures("quick")
def test_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """If a file is in the way, one sentence names the folder and the remedy."""
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(ConfigError, match=r"The report cannot be written to .*reports \(.*\); make room there"):
        files.write(at(made_up.SESSION), tmp_path / "reports", made_up.NOW)


def test_moment_is_in_utc() -> None:
    """Moments carry their zone."""
    assert words.moment(datetime(2026, 1, 6, 3, 5, tzinfo=UTC)) == "6 Jan 2026, 03:05 UTC"
