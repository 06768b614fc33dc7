"""Frames in the columns and types of a dataset, as sources return them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market_rotation.tasks.datasets import PRICE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


def typed(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any], types: Mapping[str, str]) -> pd.DataFrame:
    """A frame with exactly the columns and dtypes of `types`, made from columns named so; a missing one is NaN or None."""
    import pandas as pd

    frame = columns if isinstance(columns, pd.DataFrame) else pd.DataFrame(dict(columns))
    frame = frame.reindex(columns=list(types)).astype(dict(types))
    # pandas takes a missing text for NaN, which is a number.
    texts = [name for name, kind in types.items() if kind == "object" and frame[name].isna().any()]
    return frame.assign(**{name: frame[name].where(frame[name].notna(), None) for name in texts})


def price_frame(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any]) -> pd.DataFrame:
    """A frame with exactly `PRICE_COLUMNS`."""
    return typed(columns, PRICE_COLUMNS)
