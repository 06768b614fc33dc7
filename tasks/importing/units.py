"""Shares of a whole that vendors write as percent and the project keeps as fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.importing.questions import Asked, Question

if TYPE_CHECKING:
    import pandas as pd

#: The sum of a fund's weights, as a fraction: cash, rounding and short positions move it.
WHOLE = (0.9, 1.1)
#: No fund of the universe costs more than 2 % a year, and none less than 0.03 %.
MOST_EXPENSIVE, CHEAPEST_PCT = 0.02, 0.03

UNITS = {"fraction": "0.0019 is 0.19 %", "percent": "0.19 is 0.19 %"}


def as_fractions(
    path: Path, dataset: str, frame: pd.DataFrame, names: Sequence[str], answers: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """`frame` with weights and expense ratios as fractions, and a note about the unit in the file.

    Raises `Asked` where the values fit both units, `ConfigError` where they fit none.
    """
    if dataset == "holdings":
        column, unit = "weight", _of_weights(path, frame)
    elif dataset == "fund_facts":
        column, unit = "expense_ratio", _of_expenses(path, frame, names, answers)
    else:
        return frame, ["amounts in USD per share, counts in shares"]
    scaled = frame[column] / 100 if unit == "percent" else frame[column]
    return frame.assign(**{column: scaled}), [
        f"{column} in the file is a {unit}" if unit == "fraction" else f"{column} in the file is in percent"
    ]


def _of_weights(path: Path, frame: pd.DataFrame) -> str:
    sums = frame.groupby(["fund_symbol", "as_of"])["weight"].sum()
    for unit, whole in (("fraction", 1.0), ("percent", 100.0)):
        if ((sums >= WHOLE[0] * whole) & (sums <= WHOLE[1] * whole)).all():
            return unit
    fund, day = sums.index[0]
    raise ConfigError(
        f"{path}: the weights of {fund} on {day} add up to {sums.iloc[0]:g}, neither near 1 nor near 100; put all holdings of a fund there."
    )


def _of_expenses(path: Path, frame: pd.DataFrame, names: Sequence[str], answers: Mapping[str, str]) -> str:
    values = frame["expense_ratio"].dropna()
    if (
        any("%" in name or "pct" in name.lower() or "percent" in name.lower() for name in names)
        or (values >= CHEAPEST_PCT).all()
    ):
        return "percent"
    if (values < CHEAPEST_PCT).all() and values.max() <= MOST_EXPENSIVE:
        return "fraction"
    if answer := answers.get("expense_ratio"):
        return answer
    raise Asked(
        Question("expense_ratio", f"{path}: are the expense ratios fractions or percent? Some values fit both.", UNITS)
    )
