"""A cache of answers until a run has ended: a run that was killed while it fetched need not request them again."""

from __future__ import annotations

import os
import shutil
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.sources.base import typed

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.base import Source

#: Older answers may have been corrected by the vendor.
MAX_AGE = timedelta(hours=6)


class CachedSource:
    """`source`, requested only for what `folder` does not hold; its answers are cached there. `now` is the start of the run."""

    def __init__(self, source: Source, folder: Path, now: datetime) -> None:
        self.name = source.name
        self._source = source
        self._folder = folder
        self._now = now.timestamp()

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        return self._answer("prices", symbol, start, end)

    def __getattr__(self, name: str) -> Any:
        """What `source` has beside prices, and nothing else: so a caller sees which datasets it offers."""
        if name.startswith("_"):
            raise AttributeError(name)
        given = getattr(self._source, name)
        return partial(self._answer, name) if name in DATASETS else given

    def _answer(self, dataset: str, symbol: str, *days: date) -> pd.DataFrame:
        import pandas as pd

        path = self._folder / f"{dataset}.{quote(symbol, safe='')}.{'.'.join(map(str, days))}.parquet"
        if path.is_file() and abs(self._now - path.stat().st_mtime) < MAX_AGE.total_seconds():
            return typed(pd.read_parquet(path), DATASETS[dataset].columns)
        frame: pd.DataFrame = getattr(self._source, dataset)(symbol, *days)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Half a file is no answer.
        temporary = path.with_suffix(".tmp")
        frame.to_parquet(temporary, index=False)
        os.utime(temporary, (self._now, self._now))
        os.replace(temporary, path)
        return frame


def clear(folder: Path) -> None:
    """Empties the cache: the run has ended, and the next one requests what the vendor says then."""
    shutil.rmtree(folder, ignore_errors=True)
