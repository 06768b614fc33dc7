"""Distributions and splits outlive their bar: one that is set aside, dated on a day without a session, or missing takes none with it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import webhook
import world

from market_rotation.tasks import warehouse

DAYS = world.days(date(2024, 1, 2))
SYMBOLS = ("SPY", "IWM", "IJR", "XLK", "XLE", "XLF")
PUBLISHED = Path("warehouse/rotation.duckdb")
EX = 60


@pytest.fixture(autouse=True)
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    universe = world.universe(
        world.instrument("SPY", size_bucket="large"), *map(world.instrument, SYMBOLS[1:]), pairs=[("IWM", "SPY")]
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, universe)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_SOURCE", "yahoo")


def market(**paid: dict[int, float]) -> world.FakeSource:
    """Six symbols that move alike from day to day; `paid` are distributions of a symbol by the place of their ex-day."""
    frames = {}
    for k, symbol in enumerate(SYMBOLS):
        steps = np.array([((i * (k + 3)) % 7 - 3) / 1000 for i in range(90)])
        dividends = np.zeros(90)
        for place, amount in paid.get(symbol, {}).items():
            dividends[place] = amount
        closes, close = [], 100.0 + 10 * k
        for step, dividend in zip(steps, dividends, strict=True):
            close = (close - dividend) * (1 + step)
            closes.append(close)
        frames[symbol] = world.bars(symbol, closes, DAYS[0], dividend=dividends)
    return world.FakeSource(frames)


def damaged(source: world.FakeSource, symbol: str, **values: object) -> world.FakeSource:
    """`source` with values of the symbol's ex-day bar replaced."""
    frame = source.frames[symbol].copy()
    for column, value in values.items():
        frame.loc[frame.index[EX], column] = value
    source.frames[symbol] = frame
    return source


def index(symbol: str = "IWM") -> dict[date, float | None]:
    with warehouse.reading(PUBLISHED) as con:
        return dict(
            con.execute("select session, total_return_index from core.prices where symbol = $1", [symbol]).fetchall()
        )


def rows(query: str) -> list[tuple[object, ...]]:
    with warehouse.reading(PUBLISHED) as con:
        return con.execute(query).fetchall()


def truth(*days: int, **paid: dict[int, float]) -> dict[date, float | None]:
    """The index in an undisturbed warehouse, at the same days."""
    for day in days:
        assert world.run(market(**paid), DAYS[day]).status == "published"
    found = index()
    for path in Path("warehouse").glob("*.duckdb*"):
        path.unlink()
    return found


FAULTS = {
    "no close": {"close": np.nan},
    "a negative close": {"close": -5.0},
    "a high below the close": {"open": 90.0, "high": 1.0, "low": 90.0},
    "a negative volume": {"volume": -1.0},
}


@pytest.mark.long_after(1)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("amount", [1.3, 0.28 * 110])
def test_the_bar_of_the_ex_day_is_set_aside(fault: str, amount: float) -> None:
    """The distribution belongs to the next bar, and every later index differs from the truth by the price of that day alone."""
    paid = {"IWM": {EX: amount}}
    true = truth(EX - 1, EX, EX + 5, **paid)
    assert world.run(market(**paid), DAYS[EX - 1]).status == "published"
    source = damaged(market(**paid), "IWM", **FAULTS[fault])
    assert world.run(source, DAYS[EX]).rows_quarantined == 1
    assert world.run(source, DAYS[EX + 5]).status == "published"
    found = index()
    assert DAYS[EX] not in found
    for day in DAYS[EX + 1 : EX + 6]:
        # The index reinvests at the next close, not at that of the ex-day, which differ by less than 0.3 %.
        assert found[day] == pytest.approx(true[day], rel=0.003 * amount / 70)
    # A rerun changes nothing, and the vendor's correction makes all as if nothing had been.
    before = world.content(PUBLISHED, "core.prices", "raw.price_events")
    assert world.run(source, DAYS[EX + 5]).status == "up_to_date"
    assert world.content(PUBLISHED, "core.prices", "raw.price_events") == before
    assert world.run(market(**paid), DAYS[EX + 5]).status == "published"
    assert index() == true


@pytest.mark.long_after(0)
@pytest.mark.parametrize("how", ["daily", "catching up"])
def test_a_distribution_on_a_day_without_a_session(how: str) -> None:
    """Dated on the Saturday before, it belongs to Monday's bar, day by day as in one run."""
    monday = next(n for n in range(EX, 90) if DAYS[n].weekday() == 0)
    paid = {"IWM": {monday: 1.3}}
    true = truth(monday + 2, **paid)
    source = market(**paid)
    frame = source.frames["IWM"]
    frame.loc[frame.index[monday], "dividend"] = 0.0
    event = world.bars("IWM", [None], DAYS[monday], dividend=[1.3]).assign(
        session=pd.Timestamp(DAYS[monday] - timedelta(days=2))
    )
    source.frames["IWM"] = pd.concat([frame, event]).sort_values("session", ignore_index=True)
    for day in [monday - 1, monday, monday + 2] if how == "daily" else [monday + 2]:
        assert world.run(source, DAYS[day]).status == "published"
    assert index() == pytest.approx(true, rel=1e-12)
    assert rows("select session, dividend from core.prices where symbol = 'IWM' and dividend <> 0") == [
        (DAYS[monday], 1.3)
    ]
    # The vendor dates it rightly from now on: it is not counted twice.
    assert world.run(market(**paid), DAYS[monday + 2]).status in ("published", "up_to_date")
    assert index() == pytest.approx(true, rel=1e-12)
    saturday = DAYS[monday] - timedelta(days=2)
    restated = "select symbol, session, old_value, new_value from ops.revisions where dataset = 'price_events'"
    assert rows(f"{restated} and column_name = 'dividend'") == [("IWM", saturday, 1.3, None)]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"dividend": np.nan}, "actions_known"),
        ({"capital_gain": np.nan}, "actions_known"),
        ({"dividend": 1000.0}, "actions_plausible"),
        ({"dividend": -1.0}, "actions_plausible"),
    ],
    ids=str,
)
def test_a_distribution_that_cannot_be_known(values: dict[str, float], check: str) -> None:
    """Total returns are NULL from the next bar on, with one alert that names the symbol and the day, and one recovery."""
    paid = {"IWM": {EX: 1.3}}
    assert world.run(market(**paid), DAYS[EX - 1]).status == "published"
    with webhook.serving() as hook, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTATION_ALERT_URLS", hook.url())
        source = damaged(market(**paid), "IWM", **values)
        world.run(source, DAYS[EX])
        assert rows("select expectation from ops.quarantine where resolved_at is null") == [(check,)]
        for day in (EX + 1, EX + 2):
            assert world.run(source, DAYS[day]).status == "published"
        found = index()
        assert found[DAYS[EX - 1]] is not None
        assert [found[DAYS[day]] for day in (EX + 1, EX + 2)] == [None, None]
        assert rows("select symbol, session from core.unknown_distributions") == [("IWM", DAYS[EX + 1])]
        # Prices, and what does not rest on the distribution, are there.
        assert rows(f"select count(*) from core.prices where session = '{DAYS[EX + 2]}' and close > 0") == [(6,)]
        (alert,) = [m for m in hook.messages if "distribution" in m["title"]]
        assert f"IWM from {DAYS[EX + 1]} on" in alert["message"]
        assert world.run(market(**paid), DAYS[EX + 2]).status == "published"
        ended = [m for m in hook.messages if "distribution" in m["title"] and m["type"] == "success"]
        assert len(ended) == 1
    assert None not in index().values()
    assert rows("select count(*) from core.unknown_distributions") == [(0,)]


@pytest.mark.long_after(0)
def test_a_split_outlives_its_bar() -> None:
    """The split of a bar that was set aside is that of the symbol's next bar."""
    source = market()
    frame = source.frames["IWM"].copy()
    frame.loc[frame.index[EX], ["split_ratio", "close"]] = [2.0, -1.0]
    source.frames["IWM"] = frame
    for day in (EX - 1, EX, EX + 1):
        world.run(source, DAYS[day])
    assert rows("select session, split_ratio from core.prices where symbol = 'IWM' and split_ratio <> 1") == [
        (DAYS[EX + 1], 2.0)
    ]


def contradicted(day: int, wrong_until: int = 90) -> world.FakeSource:
    """IWM pays 1.3 on its ex-day. Up to the day `wrong_until` the vendor states twice that, and its adjusted close has only the true one."""
    source = market(IWM={EX: 1.3})
    for symbol in SYMBOLS:
        frame = source.frames[symbol].iloc[: day + 1].reset_index(drop=True)
        steps = 1 - frame["dividend"].shift(-1).fillna(0) / frame["close"]
        source.frames[symbol] = frame.assign(vendor_adj_close=frame["close"] * steps[::-1].cumprod()[::-1])
    return damaged(source, "IWM", dividend=2.6) if EX <= day < wrong_until else source


PAID = "select session, dividend from core.prices where symbol = 'IWM' and dividend <> 0"
SET_ASIDE = "select distinct session from ops.quarantine where symbol = 'IWM' and resolved_at is null"


@pytest.mark.long_after(1)
@pytest.mark.parametrize("later", [10, 8, 9, 11])
def test_known_distribution_that_is_doubled_later(later: int) -> None:
    """It is not believed, wherever in the overlap of ten sessions its bar lies, also where the vendor gives no bar before it to compare with."""
    for day in (EX - 1, EX, EX + later - 1):
        assert world.run(contradicted(day, wrong_until=0), DAYS[day]).status == "published"
    assert rows(PAID) == [(DAYS[EX], 1.3)]
    assert world.run(contradicted(EX + later), DAYS[EX + later]).status == "published"
    assert rows(PAID) == [(DAYS[EX], 1.3)]
    assert rows("select session from ops.revisions where dataset = 'prices'") == []


@pytest.mark.long
def test_distribution_in_quarantine_for_long() -> None:
    """The bar stays set aside as long as the vendor contradicts itself, also once it is older than the overlap; then it is published."""
    for day in (EX - 1, EX, EX + 12, EX + 13, EX + 14):
        assert world.run(contradicted(day), DAYS[day]).status == "published"
        assert rows(SET_ASIDE) == [(DAYS[EX],)] * (day >= EX)
        assert (DAYS[EX], 2.6) not in rows(PAID)
    assert world.run(contradicted(EX + 15, wrong_until=0), DAYS[EX + 15]).status == "published"
    assert (rows(SET_ASIDE), rows(PAID)) == ([], [(DAYS[EX], 1.3)])
