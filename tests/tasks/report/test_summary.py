"""The report in plain text, and as a picture, as they go into a message."""

from __future__ import annotations

import struct
from dataclasses import replace

import made_up

from market_rotation.tasks.report.picture import picture, specification
from market_rotation.tasks.report.summary import summary


def test_summary_says_what_the_page_says() -> None:
    """It has the label, each piece of evidence with its mark, the changes, the freshness of the data and the open problems, in about 15 lines."""
    assert summary(made_up.report()).splitlines() == [
        "Rotation, 16 Jan 2026: building since 5 Jan 2026 (size leading, leadership mixed, support not known)",
        "Small caps have led since 5 January.",
        "",
        "▲ Relative strength: for. Small caps beat large caps by 3.9\u202f% over three months.",
        "▲ Breadth: for. 7 of 11 sectors beat the market over three months.",
        "● Fund flows: neither. Money did not flow one way through small-cap funds.",
        "▲ Sector leadership: for. Technology ranks 8 of 11 sectors.",
        "▼ Mega cap: against. The Magnificent Seven beat the average large company by 2.9\u202f%.",
        "○ Earnings: not known. Not known: there are no estimates.",
        "",
        "Changed: Mega caps turned from neither to against.",
        "Data: There is no data of holdings.",
        "Problems: 4 problems are open.",
        f"- Rows set aside (warning, prices, 1,200 rows): {made_up.HOSTILE} has no price.",
        # What a vendor sent cannot look like a line of ours.
        f"- Rows set aside (warning, {made_up.HOSTILE}): One line - forged line.",
        "- Rows set aside (warning, holdings): Problem 0.",
        "- and 1 more",
    ]


def test_simulated_market_is_said_first() -> None:
    """For a simulated market the first line says so, and the picture has a banner; for real prices there is neither."""
    simulated = made_up.report(is_simulated=True)
    assert summary(simulated).startswith("SIMULATED MARKET: these are not real prices.\n")
    assert "SIMULATED" in str(specification(simulated))
    assert "SIMULATED" not in summary(made_up.report()) + str(specification(made_up.report()))


def test_past_session_is_said_to_be_as_known_then() -> None:
    """A past session is marked as shown with the data known then, in text and picture."""
    past = made_up.report(as_known_then=True)
    assert "As known then, by 16 Jan 2026, 23:30 UTC." in summary(past).splitlines()
    assert "as known then" in str(specification(past)["title"])


def test_regime_that_is_not_known_is_said_to_be_so() -> None:
    """Without a label and states nothing is made up: neither zero nor the last known."""
    report = made_up.report()
    unknown = report.headline.table.assign(label=None, label_since=None, size_state=None, leadership_state=None)
    report = replace(report, headline=replace(report.headline, table=unknown))
    assert summary(report).startswith(
        "Rotation, 16 Jan 2026: label not known (size not known, leadership not known, support not known)\n"
    )
    assert specification(report)["title"]["text"] == "Not known"


def test_picture_is_a_png_for_a_message() -> None:
    """It is a PNG of about 1200 by 1500 pixels, with scores, evidence and ratio."""
    drawn = picture(made_up.report())
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert 1150 < width < 1400
    assert 1300 < height < 1900
    titles = [part["title"].split(":")[0] for part in specification(made_up.report())["vconcat"]]
    assert titles == ["Scores of size and leadership, two years", "Evidence", "Small against large companies"]
