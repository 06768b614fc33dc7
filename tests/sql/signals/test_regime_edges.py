"""The regime at its edges: verdicts by hand, states in force and labels worked out on paper, and against a loop that follows the rule's words."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from world import days, fill

from market_rotation.tasks import warehouse

DAYS = days()

AXES = {
    "relative_strength": "size",
    "breadth": "leadership",
    "sector_leadership": "leadership",
    "mega_cap": "leadership",
    "fund_flows": "support",
    "earnings": "support",
}
SIGNS = {"+": 1, "-": -1, "0": 0, "?": None}
SIZE = {1: "leading", 0: "even", -1: "trailing", None: None}
LEADERSHIP = {1: "broadening", 0: "mixed", -1: "narrowing", None: None}
SUPPORT = {1: "supported", 0: "mixed", -1: "contradicted", None: None}


def regime(con, *sessions):
    """The regime after sessions with these verdicts, in the order of AXES: + for, - against, 0 neither, ? not known."""
    rows = [
        {
            "session": DAYS[i],
            "evidence": name,
            "axis": axis,
            "verdict": SIGNS[sign],
            "value": None if sign == "?" else float(SIGNS[sign]),
        }
        for i, signs in enumerate(sessions)
        for (name, axis), sign in zip(AXES.items(), signs, strict=True)
    ]
    fill(con, "signals.rotation_evidence", *rows)
    warehouse.build(con, "signals.rotation_regime")
    found = con.sql("from signals.rotation_regime order by session").df()
    assert list(found["session"].dt.date) == DAYS[: len(sessions)]
    return found


def by_size(con, signs, leadership="000", support="??"):
    """The regime where each letter is the size verdict of a session and the others stay as they are."""
    return regime(con, *(f"{sign}{leadership}{support}" for sign in signs))


def plain(column):
    return [None if pd.isna(value) else value for value in column]


def in_force(states):
    """The state in force session by session, by the words of the rule."""
    found, state = [], None
    for i in range(len(states)):
        last_five = states[i - 4 : i + 1] if i >= 4 else []
        known = [one for one in last_five if one is not None]
        if last_five and not known:
            state = None
        elif len(known) == 5 and state is None:
            state = sorted(known)[2]
        elif len(known) == 5 and all(one > state for one in known):
            state = min(known)
        elif len(known) == 5 and all(one < state for one in known):
            state = max(known)
        found.append(state)
    return found


@pytest.mark.parametrize(
    ("signs", "states"),
    [
        # The start: the median of the first five known in a row.
        ("++++", "...."),
        ("+++++", "....+"),
        ("+0-+-", "....0"),
        ("++--+", "....+"),
        ("--0+-", "....-"),
        ("++?++", "....."),
        ("++?+++++", ".......+"),
        ("?????+++++", ".........+"),
        ("++++?-----", ".........-"),
        # Five sessions on one side move it, four do not, and a session of the state in force, or not known, breaks the count.
        ("+++++0000", "....+++++"),
        ("+++++00000", "....+++++0"),
        ("+++++0000+0000", "....++++++++++"),
        ("+++++0000+00000", "....++++++++++0"),
        ("+++++0000?0000", "....++++++++++"),
        ("+++++00?000", "....+++++++"),
        ("+++++00?00000", "....++++++++0"),
        # A jump of two steps goes to the nearest state of the five: the highest below, the lowest above.
        ("+++++-----", "....+++++-"),
        ("+++++----0", "....+++++0"),
        ("+++++0----", "....+++++0"),
        ("+++++0-----", "....+++++0-"),
        ("-----+++++", "....-----+"),
        ("-----0++++", "....-----0"),
        ("-----++0+++++", "....-----000+"),
        # Days on both sides of it leave it where it is.
        ("00000+-+-+-", "....0000000"),
        ("00000++++-++++", "....0000000000"),
        ("00000++++-+++++", "....0000000000+"),
        # Not known keeps it, five in a row end it, and it begins again with five known in a row.
        ("+++++????", "....+++++"),
        ("+++++????-", "....++++++"),
        ("+++++?????", "....+++++."),
        ("+++++?????----", "....+++++....."),
        ("+++++?????-----", "....+++++.....-"),
        ("+++++?????+-0-+", "....+++++.....0"),
        ("+++++???????----?-----", "....+++++............-"),
        ("??????", "......"),
    ],
)
def test_state_in_force(con, signs, states):
    """Size and leadership follow the same rule; what the test says on paper is also what a loop over the rule's words says."""
    wanted = [SIGNS.get(letter) if letter != "." else None for letter in states]
    assert in_force([SIGNS[sign] for sign in signs]) == wanted
    found = regime(con, *(f"{sign}{sign * 3}??" for sign in signs))
    assert plain(found["size_state"]) == [SIZE[state] for state in wanted]
    assert plain(found["leadership_state"]) == [LEADERSHIP[state] for state in wanted]
    assert plain(found["size_state_today"]) == [SIZE[SIGNS[sign]] for sign in signs]
    assert plain(found["leadership_state_today"]) == [LEADERSHIP[SIGNS[sign]] for sign in signs]


@pytest.mark.parametrize("seed", range(6))
def test_state_in_force_of_random_days(con, seed):
    """On long runs of days drawn at random, with few and with many changes, the table equals the loop over the rule's words."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 9, 80)
    signs = "".join(draw.choice(list("+0-?"), p=[0.35, 0.2, 0.35, 0.1]) * int(length) for length in lengths)[:250]
    found = by_size(con, signs)
    states = in_force([SIGNS[sign] for sign in signs])
    assert plain(found["size_state"]) == [SIZE[state] for state in states]
    assert len(set(states)) > 2
    # How long the days have lain on one side of it, up to the session.
    for i, sessions in enumerate(found["size_sessions_differing"]):
        state, days = states[i], [SIGNS[sign] for sign in signs[: i + 1]]
        wanted = 0
        if state is not None and days[-1] is not None and days[-1] != state:
            above = days[-1] > state
            beyond = (day is not None and day != state and (day > state) == above for day in reversed(days))
            wanted = len(list(itertools.takewhile(bool, beyond)))
        assert sessions == wanted, i


def test_since_and_sessions(con):
    """Each stretch has its first session; days are counted in the label's own stretch."""
    found = by_size(con, "+++++00000??????+++++", leadership="+++")
    assert plain(found["label"]) == [
        *[None] * 4,
        *["confirmed"] * 5,
        *["neutral"] * 5,
        *[None] * 6,
        "confirmed",
    ]
    since = [None if pd.isna(day) else DAYS.index(day.date()) for day in found["label_since"]]
    assert since == [None] * 4 + [4] * 5 + [9] * 5 + [None] * 6 + [20]
    assert [None if pd.isna(d) else DAYS.index(d.date()) for d in found["size_state_since"]] == since
    assert plain(found["days_in_label"]) == [None] * 4 + [1, 2, 3, 4, 5, 1, 2, 3, 4, 5] + [None] * 6 + [1]
    leadership = [None if pd.isna(d) else DAYS.index(d.date()) for d in found["leadership_state_since"]]
    assert leadership == [None] * 4 + [4] * 17


@pytest.mark.parametrize(
    ("signs", "score", "today"),
    [
        ("+++", 1, 1),
        ("++0", 2 / 3, 1),
        ("++-", 1 / 3, 1),
        ("+00", 1 / 3, 1),
        ("+-0", 0, 0),
        ("000", 0, 0),
        ("--+", -1 / 3, -1),
        ("---", -1, -1),
        # Two known verdicts are enough, one is not.
        ("++?", 1, 1),
        ("+?0", 0.5, 1),
        ("?+-", 0, 0),
        ("-?-", -1, -1),
        ("+??", None, None),
        ("??-", None, None),
        ("???", None, None),
    ],
)
def test_leadership_score(con, signs, score, today):
    """The mean of the known verdicts, NULL with fewer than two; the state of the day is its sign."""
    row = regime(con, f"+{signs}??").iloc[0]
    assert (None if pd.isna(row["leadership_score"]) else row["leadership_score"]) == (
        None if score is None else pytest.approx(score)
    )
    assert plain([row["leadership_state_today"]]) == [LEADERSHIP[today]]


@pytest.mark.parametrize(
    ("signs", "state"),
    [
        *(("++", 1), ("+0", 1), ("+?", 1), ("?+", 1), ("+-", 0), ("00", 0), ("0?", 0)),
        *(("--", -1), ("0-", -1), ("-?", -1), ("??", None)),
    ],
)
def test_support(con, signs, state):
    """The sign of the sum of the known verdicts, that session, from the first on: it waits for nothing."""
    assert plain(regime(con, f"+000{signs}")["support_state"]) == [SUPPORT[state]]


@pytest.mark.parametrize(
    ("size", "leadership", "support", "label"),
    [
        ("+", "+", "+", "confirmed"),
        ("+", "+", "0", "confirmed"),
        ("+", "+", "?", "confirmed"),
        ("+", "+", "-", "building"),
        ("+", "0", "+", "building"),
        ("+", "-", "+", "building"),
        ("+", "?", "+", "building"),
        *(("0", leadership, support, "neutral") for leadership in "+0-?" for support in "+-"),
        ("-", "+", "-", "fading"),
        ("-", "0", "+", "fading"),
        ("-", "?", "-", "fading"),
        ("-", "-", "+", "reversed"),
        ("-", "-", "-", "reversed"),
        *(("?", leadership, "+", None) for leadership in "+0-?"),
    ],
)
def test_label(con, size, leadership, support, label):
    """The label follows from the states in force; leadership not known counts as mixed, support not known as not contradicted."""
    found = regime(con, *[f"{size}{leadership * 3}{support * 2}"] * 5)
    assert plain(found["label"]) == [None] * 4 + [label]


def test_support_moves_the_label_at_once(con):
    """Support is not smoothed: outflows make a confirmed regime `building` on the same session, and their end makes it confirmed again."""
    days = ["++++??"] * 5 + ["++++-?"] + ["++++0?"]
    found = regime(con, *days)
    assert plain(found["label"])[4:] == ["confirmed", "building", "confirmed"]
    assert plain(found["days_in_label"])[4:] == [1, 1, 1]


def test_changes_are_listed(con):
    """Each change of label, state and verdict is a row with old and new; not known is NULL; the first session has none."""
    regime(con, *["+000??"] * 5, "+0+0?-", "?0+0?-")
    con.execute("update signals.rotation_evidence set detail = evidence || ' on ' || session")
    warehouse.build(con, "signals.verdict_changes")
    found = con.sql("select session, subject, old, new, detail from signals.verdict_changes order by all").fetchall()
    assert {row[0] for row in found} <= set(DAYS[1:7])
    leading = "Size: leading; leadership: mixed; support: not known."
    assert found == [
        (DAYS[4], "label", None, "building", leading),
        (DAYS[4], "leadership_state", None, "mixed", "Leadership score: +0.00."),
        (DAYS[4], "size_state", None, "leading", "Size score: +1.00."),
        (DAYS[5], "earnings", None, "against", f"earnings on {DAYS[5]}"),
        (DAYS[5], "sector_leadership", "neither", "for", f"sector_leadership on {DAYS[5]}"),
        (DAYS[5], "support_state", None, "contradicted", "Support by flows and earnings: contradicted."),
        (DAYS[6], "relative_strength", "for", None, f"relative_strength on {DAYS[6]}"),
    ]


def test_names_are_those_of_the_table_of_states(con):
    """The states are named in one place, and every label that the macro gives is there."""
    rows = con.sql("select axis, state, value from core.regime_states where axis <> 'label'").fetchall()
    wanted = {"size": SIZE, "leadership": LEADERSHIP, "support": SUPPORT}
    assert {(axis, state, value) for axis, names in wanted.items() for value, state in names.items() if state} == set(
        rows
    )
    # Readers order by the place: from the most to the least in favour of the rotation.
    ordered = con.sql(
        "select axis, list(value order by place), list(place order by place) from core.regime_states group by axis"
    )
    assert {axis: (values, places) for axis, values, places in ordered.fetchall()} == {
        **dict.fromkeys(wanted, ([1, 0, -1], [1, 2, 3])),
        "label": ([None] * 5, [1, 2, 3, 4, 5]),
    }
    labels = con.sql(
        """
        select distinct core.regime_label(z.state, l.state, p.state)
        from core.regime_states as z, core.regime_states as l, core.regime_states as p
        where z.axis = 'size' and l.axis = 'leadership' and p.axis = 'support'
        """
    ).fetchall()
    named = con.sql("select state from core.regime_states where axis = 'label'").fetchall()
    assert sorted(labels) == sorted(named)
