"""The report in plain text, and as a picture, as they go into a message."""

from __future__ import annotations

import struct
from dataclasses import replace

import made_up

from market_rotation.tasks.report.picture import picture, specification
from market_rotation.tasks.report.summary import summary

SENTENCE = (
    "The rotation into small caps has been building since 5 Jan 2026: small caps have led since 5 Jan 2026, and leadership has "
    "been mixed since 30 Dec 2025."
)


def test_summary_is_the_answer_in_five_lines() -> None:
    """The regime, the evidence with its marks, what to watch and what would change it, what changed that session, how sure it is."""
    problems = replace(made_up.report().problems, finding="4 problems are open:\n- forged line.")
    assert summary(made_up.report(problems=problems)).splitlines() == [
        f"16 Jan 2026: {SENTENCE}",
        "Why: ▲ for: Relative strength, Breadth, Sector leadership; ● neither: Fund flows; ▼ against: Mega cap; ○ not known: Earnings. "
        "Whether fund flows and earnings support it is not known.",
        "Watch: By the day's evidence leadership is narrowing, for 2 of the 5 sessions that a change takes. Nearest to turning: breadth. "
        "It becomes neutral if neither small nor large caps lead for 5 sessions in a row; fading if small caps trail for 5 sessions in a "
        "row; confirmed if leadership broadens for 5 sessions in a row.",
        "Changed: Mega caps: neither to against. The Magnificent Seven beat the average large company by 2.9\u202f%.",
        # What a vendor sent cannot look like a line of ours.
        "Data: 5 of 6 pieces are known. There is no data for holdings. 4 problems are open: - forged line.",
    ]


def test_nothing_that_changed_is_said_to_be_so() -> None:
    """Without a change that session the line says that nothing changed, whatever changed before."""
    turns = made_up.turns()
    report = made_up.report(turns=replace(turns, table=turns.table.tail(1)))
    assert "Changed: No label, state or verdict changed since the session before." in summary(report).splitlines()


def test_axes_that_point_apart_are_joined_by_but() -> None:
    """Small caps that lead while leadership narrows are a contrast; a label that evidence contradicts names it."""
    report = made_up.report()
    rows = report.headline.table
    apart = replace(report.headline, table=rows.assign(leadership_state="narrowing"))
    assert ", but leadership has narrowed since 30 Dec 2025." in summary(replace(report, headline=apart))
    both = rows.assign(leadership_state="broadening", support_state="contradicted")
    said = summary(replace(report, headline=replace(report.headline, table=both)))
    assert "; it is not confirmed because fund flows and earnings contradict it." in said


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
    assert "as known then" not in str(specification(made_up.report())["title"])


def test_regime_that_is_not_known_is_said_to_be_so() -> None:
    """Without a label and states nothing is made up: neither zero nor the last known."""
    report = made_up.report()
    unknown = report.headline.table.assign(label=None, label_since=None, size_state=None, leadership_state=None)
    evidence = report.evidence
    board = evidence.table.assign(verdict=None, value=None)
    board["detail"] = ["Not known: the headline pair is missing.", *board["detail"][1:]]
    report = replace(report, headline=replace(report.headline, table=unknown), evidence=replace(evidence, table=board))
    first, why, *_ = summary(report).splitlines()
    assert first == (
        "16 Jan 2026: Whether money rotates into small caps is not known: whether small caps lead is not known, and whether "
        "leadership broadens is not known."
    )
    assert why.endswith("Not known: the headline pair is missing.")
    assert "".join(specification(report)["title"]["text"]).replace(" ", "") == first.replace(" ", "")


def test_picture_is_a_png_for_a_message() -> None:
    """It is a PNG about 1200 wide, with the compass, the evidence and the ratio below the answer."""
    drawn = picture(made_up.report())
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert 1150 < width < 1400
    assert 1800 < height < 2700
    specified = specification(made_up.report())
    assert " ".join(specified["title"]["text"]) == f"16 Jan 2026: {SENTENCE}"
    assert [part["title"].split(":")[0] for part in specified["vconcat"]] == [
        "Size and leadership",
        "Evidence",
        "Small against large companies",
    ]


def test_picture_holds_the_rows_of_the_compass() -> None:
    """The compass of the picture draws the same rows as the page's, and nothing by a name that the picture has not."""
    compass = specification(made_up.report())["vconcat"][0]
    assert "rows" not in [part.get("data", {}).get("name") for part in compass["layer"]]
    (values,) = {str(part["data"]["values"]) for part in compass["layer"]}
    assert values.count("size_mean_1m") == len(made_up.compass().rows)
    assert "2026-01-16T00:00:00" in values
