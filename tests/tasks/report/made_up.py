"""A small made-up report, with names that would do harm in a page that does not escape them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import world

from market_rotation.tasks.report.charts.compass import compass as drawn_compass
from market_rotation.tasks.report.exhibits.base import Column, Exhibit, Report

#: What a hostile vendor may send as a name.
HOSTILE = "<script>alert(1)</script>"

SESSION = date(2026, 1, 16)
NOW = datetime(2026, 1, 16, 23, 45, tzinfo=UTC)
SESSIONS = pd.to_datetime(world.days(date(2025, 1, 2), SESSION))

DETAILS = {
    "relative_strength": (0.0387, 0.0, 0.0, 1, "Small caps beat large caps by 3.9 % over three months."),
    "breadth": (7.0, 6.0, 3.0, 1, "7 of 11 sectors beat the market over three months."),
    "fund_flows": (1.0, 3.0, -3.0, 0, "Money did not flow one way through small-cap funds."),
    "sector_leadership": (8.0, 7.0, 2.0, 1, "Technology ranks 8 of 11 sectors."),
    "mega_cap": (0.0293, -0.01, 0.01, -1, "The Magnificent Seven beat the average large company by 2.9 %."),
    "earnings": (None, 0.0, 0.0, None, "Not known: there are no estimates."),
}


AXES = {"relative_strength": "size", "fund_flows": "support", "earnings": "support"} | dict.fromkeys(
    ("breadth", "sector_leadership", "mega_cap"), "leadership"
)


def exhibit(name: str, rows: pd.DataFrame, *columns: Column, **more: Any) -> Exhibit:
    """An exhibit whose table is its last six rows, unless said otherwise."""
    plain: dict[str, Any] = {
        "title": name.replace("_", " ").capitalize(),
        "finding": f"What {name} shows.",
        "note": "",
        "sql": f"select * from signals.{name}",
        "table": rows.tail(6),
    }
    return Exhibit(id=name, rows=rows, columns=columns, **{**plain, **more})


def headline() -> Exhibit:
    score = np.round(np.sin(np.arange(len(SESSIONS)) / 30) * 0.8, 1)
    rows = pd.DataFrame({"session": SESSIONS, "size_score": score, "leadership_score": -score, "label": "building"})
    now = pd.DataFrame(
        {
            "session": [SESSIONS[-1]],
            "size_score": [3 / 4],
            "size_state": ["leading"],
            "size_state_since": [pd.Timestamp(2026, 1, 5)],
            "leadership_score": [-1 / 3],
            "leadership_state": ["mixed"],
            "leadership_state_since": [pd.Timestamp(2025, 12, 30)],
            "support_state": [None],
            "label": ["building"],
            "label_since": [pd.Timestamp(2026, 1, 5)],
            "days_in_label": [9],
            "sessions_to_hold": [5],
            "size_sessions_differing": [0],
            "leadership_state_today": ["narrowing"],
            "leadership_sessions_differing": [2],
            "label_if_leading": ["building"],
            "label_if_mixed": ["building"],
            "label_if_not_contradicted": ["building"],
            "label_if_even": ["neutral"],
            "label_if_trailing": ["fading"],
            "label_if_broadening": ["confirmed"],
            "label_if_narrowing": ["building"],
            "label_if_contradicted": ["building"],
        }
    )
    y = {"field": "size_score", "type": "quantitative", "title": "score", "scale": {"domain": [-1, 1]}}
    chart = {
        "data": {"name": "rows"},
        "height": 140,
        "mark": {"type": "line", "tooltip": True},
        "encoding": {"x": {"field": "session", "type": "temporal", "title": None}, "y": y},
    }
    columns = (Column("session", "Session", "session"), Column("size_score", "Size score", "number"))
    finding = "Small caps have led since 5 January."
    return exhibit("headline", rows, *columns, table=now, chart=chart, title="Regime", finding=finding)


def evidence() -> Exhibit:
    history = []
    for name, (value, _, _, verdict, _) in DETAILS.items():
        wave = np.sin(np.arange(len(SESSIONS)) / 20 + len(name)) * abs(value or 0)
        past = pd.DataFrame({"session": SESSIONS, "evidence": name, "value": wave, "verdict": np.sign(wave)})
        past.loc[past.index[-1], ["value", "verdict"]] = [
            np.nan if value is None else value,
            np.nan if verdict is None else verdict,
        ]
        past.loc[past.index[30:40], ["value", "verdict"]] = np.nan
        history.append(past)
    table = pd.DataFrame(
        [
            {
                "evidence": name,
                "axis": AXES[name],
                "name": name.replace("_", " ").capitalize(),
                "measure": f"measure of {name}",
                "unit": "fraction" if abs(found[1]) < 1 else "count",
                "for_text": f"above {found[1]:g}",
                "against_text": f"below {found[2]:g}",
                "verdict_previous": 0,
                "verdict_month_ago": None if name == "breadth" else -1,
                **dict(zip(("value", "threshold", "threshold_against", "verdict", "detail"), found, strict=True)),
            }
            for name, found in DETAILS.items()
        ]
    )
    columns = (Column("evidence", "Evidence", "text"), Column("verdict", "Verdict", "verdict"))
    return exhibit("evidence", pd.concat(history), *columns, table=table)


def compass() -> Exhibit:
    """A year of weeks that ends in the scores of the headline."""
    weeks = SESSIONS[-1:-260:-5][::-1]
    place = np.linspace(-0.6, 0.7, len(weeks))
    rows = pd.DataFrame(
        {
            "session": weeks,
            "size_score": 3 / 4,
            "leadership_score": -1 / 3,
            "size_mean_1m": place,
            "leadership_mean_1m": -place / 2,
            "size_state": "leading",
            "leadership_state": "mixed",
            "label": "building",
            "leading_from": 0.5,
            "trailing_from": -0.5,
            "weeks_back": np.arange(len(weeks))[::-1],
        }
    )
    columns = (Column("session", "Week to", "session"), Column("size_score", "Size", "ratio"))
    return exhibit("compass", rows, *columns, chart=drawn_compass("Where it stands."), finding="Where it stands.")


def turns() -> Exhibit:
    """One verdict that turned that session, and one the day before."""
    rows = pd.DataFrame(
        {
            "session": [SESSIONS[-1], SESSIONS[-2]],
            "name": ["Mega caps", "Breadth"],
            "old_value": ["neither", None],
            "new_value": ["against", "for"],
            "detail": [DETAILS["mega_cap"][-1], DETAILS["breadth"][-1]],
        }
    )
    return exhibit("turns", rows, Column("session", "Session", "session"), Column("name", "What", "text"))


def funds() -> Exhibit:
    rows = pd.DataFrame(
        {
            "symbol": ["IWM", HOSTILE, 'a,"b"\\u003c\r\n</SCRIPT><!--', "VB"],
            "return_12m": [0.1 + 0.2, -0.0166349, 0.0, np.nan],
            "net_flow_usd": [-1.33e9, 924e6, np.nan, 0.0],
            "month": pd.to_datetime(["2025-12-01"] * 4),
            "verdict": [1, 0, -1, None],
            "holdings_count": [1960, 603, None, 12],
        }
    )
    chart = {
        "data": {"name": "rows"},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "y": {"field": "symbol", "type": "nominal", "title": None},
            "x": {"field": "return_12m", "type": "quantitative", "axis": {"format": "+.0%"}},
            "color": {"value": {"expr": "good"}},
        },
    }
    return exhibit(
        "funds",
        rows,
        Column("symbol", f"Fund {HOSTILE}", "text"),
        Column("return_12m", "12 months", "fraction", bar=True),
        Column("net_flow_usd", "Flow", "usd", bar=True),
        Column("month", "Month", "month"),
        Column("verdict", "Verdict", "verdict"),
        Column("holdings_count", "Holdings", "count"),
        table=rows,
        chart=chart,
        title=f"Funds {HOSTILE}",
        finding=f"{HOSTILE} leads.",
        note=f"From {HOSTILE}.",
        sql=f"select '{HOSTILE}' as symbol",
        missing=f"Of {HOSTILE} nothing is known.",
    )


def notice(name: str, finding: str, rows: pd.DataFrame) -> Exhibit:
    columns = tuple(Column(c, c.capitalize(), "session" if c == "latest" else "text") for c in rows.columns)
    return exhibit(name, rows, *columns, finding=finding, table=rows)


def problem(name: str, sentence: str, affected: float | None = None) -> dict[str, Any]:
    return {
        "problem": "Rows set aside",
        "severity": "warning",
        "dataset": name,
        "affected": affected,
        "sentence": sentence,
    }


FRESHNESS = pd.DataFrame({"dataset": ["prices", "holdings"], "latest": [SESSIONS[-1], pd.NaT]})
PROBLEMS = pd.DataFrame(
    [problem("prices", f"{HOSTILE} has no price.", 1200), problem(HOSTILE, "One line\n- forged line.")]
    + [problem("holdings", f"Problem {i}.") for i in range(2)]
)


def relative_strength() -> Exhibit:
    ratio = 100 + np.cumsum(np.cos(np.arange(len(SESSIONS)) / 25) * 0.2)
    rows = pd.DataFrame({"session": SESSIONS, "pair": "IWM/IWB", "ratio": ratio, "ratio_ma200": np.nan})
    rows["ratio_ma200"] = rows["ratio"].rolling(200).mean()
    chart = {
        "data": {"name": "rows"},
        "height": 200,
        "mark": {"type": "line", "tooltip": True},
        "encoding": {
            "x": {"field": "session", "type": "temporal", "title": None},
            "y": {"field": "ratio", "type": "quantitative", "scale": {"zero": False}},
        },
    }
    return exhibit("relative_strength", rows, Column("ratio", "Ratio", "ratio"), chart=chart)


def report(**changes: Any) -> Report:
    """The report, with other values where `changes` gives them."""
    made = Report(
        session=SESSION,
        known_at=datetime(2026, 1, 16, 23, 30, tzinfo=UTC),
        run_id="20260116T233000000000-abc123",
        code_version="0.1.0",
        source="files",
        is_simulated=False,
        as_known_then=False,
        headline=headline(),
        compass=compass(),
        evidence=evidence(),
        watch=notice("watch", "Nearest to turning: breadth.", pd.DataFrame({"name": ["breadth"]})),
        turns=turns(),
        certainty=notice("certainty", "5 of 6 pieces are known.", pd.DataFrame({"subject": ["Pieces"]})),
        changes=notice("changes", "Mega caps turned from neither to against.", pd.DataFrame({"what": ["Mega caps"]})),
        freshness=notice("freshness", "There is no data for holdings.", FRESHNESS),
        problems=notice("problems", "4 problems are open.", PROBLEMS),
        exhibits=(relative_strength(), funds()),
    )
    return replace(made, **changes)
