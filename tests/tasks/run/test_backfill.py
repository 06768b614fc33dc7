"""Backfill: a range of past sessions is requested again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
import world

from market_rotation.tasks import calendar, warehouse
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.run import context
from market_rotation.tasks.run.ledger import Run

DAYS = world.days(date(2025, 6, 2), date(2025, 12, 31))
PUBLISHED = Path("warehouse/rotation.duckdb")
MEMBERS = world.universe(world.instrument("SPY", size_bucket="large"), world.instrument("IWM"), pairs=[("IWM", "SPY")])


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, MEMBERS)))
    monkeypatch.setenv("ROTATION_HISTORY_START", str(DAYS[0]))
    monkeypatch.setenv("ROTATION_SOURCE", "files")
    monkeypatch.setenv("ROTATION_FILES", str(tmp_path))


def frame(symbol: str, changed: dict[int, float | None] | None = None) -> pd.DataFrame:
    closes: list[float | None] = [100.0 + i % 7 + i / 10 for i in range(len(DAYS))]
    for place, close in (changed or {}).items():
        closes[place] = close
    return world.bars(symbol, closes, DAYS[0])


def evening(session: date) -> datetime:
    return datetime(session.year, session.month, session.day, 23, 30, tzinfo=UTC)


def backfill(source: world.FakeSource, start: date, end: date | None = None, *symbols: str) -> Run:
    """What the backfill flow does, without Prefect, on the evening of the last session."""
    return world.run(source, end, evening(DAYS[-1]), start=start, symbols=symbols)


def closes(symbol: str) -> dict[date, float]:
    with warehouse.reading(PUBLISHED) as con:
        found = con.execute("select session, close from core.prices where symbol = $1 and close is not null", [symbol])
        return dict(found.fetchall())


def test_a_hole_far_back_is_filled() -> None:
    """A bar that the vendor delivered too late for the daily overlap is loaded; a daily run does not request it."""
    holed = frame("IWM")
    holed = holed.drop(index=holed.index[10])
    source = world.FakeSource({"SPY": frame("SPY"), "IWM": holed})
    world.run(source, DAYS[-2])
    source.frames["IWM"] = frame("IWM")
    world.run(source, DAYS[-1])
    assert DAYS[10] not in closes("IWM")

    source.asked.clear()
    done = backfill(source, DAYS[5], DAYS[20], "IWM")
    assert source.asked == [("IWM", DAYS[5], DAYS[20])]
    assert (done.status, done.session, done.rows_new) == ("published", DAYS[-1], 1)
    assert closes("IWM") == dict(zip(DAYS, frame("IWM")["close"], strict=True))


@pytest.mark.long_after(0)
def test_nothing_new_is_nothing_to_do() -> None:
    """A range that is known as the vendor says it changes nothing."""
    source = world.FakeSource({"SPY": frame("SPY"), "IWM": frame("IWM")})
    world.run(source, DAYS[-1])
    before = world.content(PUBLISHED, "core.prices", "raw.prices", "signals.relative_strength")
    again = backfill(source, DAYS[5], DAYS[20])
    assert again.status == "up_to_date"
    assert again.message == (
        f"32 rows of {DAYS[5]} to {DAYS[20]} requested again, 0 restated, 0 new. Nothing new: already up to date with {DAYS[-1]}."
    )
    assert backfill(source, DAYS[5]).status == "up_to_date"
    assert world.content(PUBLISHED, "core.prices", "raw.prices", "signals.relative_strength") == before


def test_into_an_empty_warehouse() -> None:
    """Without known prices the full history up to the end is loaded, so that no index has to start again."""
    source = world.FakeSource({"SPY": frame("SPY"), "IWM": frame("IWM")})
    done = backfill(source, DAYS[20], DAYS[40])
    assert (done.status, done.session) == ("published", DAYS[40])
    assert sorted(closes("IWM")) == DAYS[:41]


@pytest.mark.long_after(0)
def test_what_else_is_missing_comes_in_with_it() -> None:
    """A backfill that ends after the newest session brings all symbols there, so that nothing is measured against a gap."""
    source = world.FakeSource({"SPY": frame("SPY"), "IWM": frame("IWM")})
    world.run(source, DAYS[-5])
    done = backfill(source, DAYS[20], None, "IWM")
    assert (done.status, done.session) == ("published", DAYS[-1])
    assert max(closes("SPY")) == max(closes("IWM")) == DAYS[-1]
    asked = {symbol: start for symbol, start, _ in source.asked[-2:]}
    assert asked["IWM"] == DAYS[20]
    assert asked["SPY"] > DAYS[20]


@pytest.mark.long_after(0)
def test_a_restated_range_is_on_record() -> None:
    """A value that the vendor restated far back is loaded, and listed in ops.revisions."""
    source = world.FakeSource({"SPY": frame("SPY"), "IWM": frame("IWM")})
    world.run(source, DAYS[-1])
    source.frames["IWM"] = frame("IWM", {12: 105.5})
    assert backfill(source, DAYS[5], DAYS[20], "IWM").rows_revised == 1
    assert closes("IWM")[DAYS[12]] == 105.5
    with warehouse.reading(PUBLISHED) as con:
        found = con.execute("select symbol, session, column_name, new_value from ops.revisions").fetchall()
    assert ("IWM", DAYS[12], "close", 105.5) in [(s, d, c, float(v)) for s, d, c, v in found]


@pytest.mark.parametrize(
    ("start", "end", "symbols", "sentence"),
    [
        (date(2025, 5, 1), None, [], "before ROTATION_HISTORY_START"),
        (DAYS[5], DAYS[2], [], "has no session"),
        (DAYS[5], None, ["XYZ"], "no symbol XYZ"),
        (DAYS[5], date(2026, 1, 30), [], "no final bars yet"),
    ],
)
def test_what_a_person_must_correct(start: date, end: date | None, symbols: list[str], sentence: str) -> None:
    """A range or symbol that cannot be is refused before anything is asked."""
    with pytest.raises(ConfigError, match=sentence):
        context.resolve(context.Parameters(evening(DAYS[-1]), end, start=start, symbols=symbols))


def test_a_holiday_ends_a_backfill_with_the_session_before() -> None:
    """A range may end on a day without a session."""
    resolved = context.resolve(context.Parameters(evening(DAYS[-1]), date(2025, 12, 25), start=DAYS[5]))
    assert resolved.session == date(2025, 12, 24)


@pytest.mark.long_after(0)
def test_nothing_to_do_names_the_holiday() -> None:
    """On a day without trading the message says so; on a session it does not."""
    source = world.FakeSource({"SPY": frame("SPY"), "IWM": frame("IWM")})
    eve, christmas = date(2025, 12, 24), evening(date(2025, 12, 25))
    world.run(source, eve)
    assert world.run(source, eve).message == "Nothing to do: already up to date with 2025-12-24."
    on_holiday = world.run(source, eve, christmas)
    assert (on_holiday.status, on_holiday.message) == (
        "up_to_date",
        "Nothing to do: already up to date with 2025-12-24. 2025-12-25 is not a session of the exchange.",
    )
    assert calendar.load(eve, date(2025, 12, 31)).last_closed(christmas) == eve
