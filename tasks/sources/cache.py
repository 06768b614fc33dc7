"""A cache of responses that lasts until a run ends: after a kill during fetching, the next run does not request them again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from market_rotation.tasks.datasets import DATASETS
from market_rotation.tasks.errors import AccessRefused
from market_rotation.tasks.sources.frames import typed

if TYPE_CHECKING:
    import pandas as pd

    from market_rotation.tasks.sources.base import Source

#: A vendor may have corrected an older response.
MAX_AGE = timedelta(hours=6)
#: A marker file for a source that refused some requests.
INCOMPLETE = "incomplete"


class CachedSource:
    """`source`, with its answers cached in `folder`. `now` is the start of the run; `wait` waits until the source may be requested."""

    def __init__(self, source: Source, folder: Path, now: datetime, wait: Callable[[], None] = lambda: None) -> None:
        self.name = source.name
        self._wait = wait
        self._source = source
        self._folder = folder
        self._now = now.timestamp()

    def prices(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        return self._answer("prices", symbol, start, end)

    def __getattr__(self, name: str) -> Any:
        """The other members of `source`, and no more, so that `hasattr` shows what it has."""
        if name.startswith("_"):
            raise AttributeError(name)
        given = getattr(self._source, name)
        return partial(self._answer, name) if name in DATASETS else given

    def _answer(self, dataset: str, symbol: str, *days: date) -> pd.DataFrame:
        import pandas as pd

        path = self._folder / file_name(dataset, symbol, *days)
        if path.is_file() and _is_fresh(path.stat().st_mtime, self._now):
            # After a power cut a file may be cut short or hold zeros; then the answer is requested again.
            with suppress(OSError, ValueError):
                return typed(pd.read_parquet(path, page_checksum_verification=True), DATASETS[dataset].columns)
        self._wait()
        try:
            frame: pd.DataFrame = getattr(self._source, dataset)(symbol, *days)
        except AccessRefused:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / INCOMPLETE).touch()
            raise
        self._folder.mkdir(parents=True, exist_ok=True)
        # A partial file is not a response. Of two processes that fetch the same answer, each writes a file of its own.
        temporary = path.with_suffix(f".{uuid4().hex}.tmp")
        frame.to_parquet(temporary, index=False, write_page_checksum=True)
        os.utime(temporary, (self._now, self._now))
        os.replace(temporary, path)
        return frame


def file_name(dataset: str, symbol: str, *days: date) -> str:
    """The name of the file of an answer, in the folder of its source."""
    return f"{dataset}.{quote(symbol, safe='')}.{'.'.join(map(str, days))}.parquet"


def kept(folder: Path, now: datetime) -> set[str]:
    """The names of the files of all answers, of any source, that a run of `now` would not request again."""
    found = set()
    # Another process may write or remove files meanwhile.
    with suppress(OSError):
        for source in folder.iterdir():
            with suppress(OSError), os.scandir(source) as entries:
                for entry in entries:
                    if entry.name.endswith(".parquet") and _is_fresh(entry.stat().st_mtime, now.timestamp()):
                        found.add(entry.name)
    return found


def _is_fresh(written_at: float, now: float) -> bool:
    return abs(now - written_at) < MAX_AGE.total_seconds()


def clear(folder: Path) -> None:
    """Empties the caches of all sources in `folder`: the run that requested the answers has ended, and the next one requests them again.

    The cache of a source that refused some requests lasts for one more run. With a plan of 50 requests an hour, a run of 70 symbols would
    else use them up for the same 50 symbols each time, and never become complete.
    """
    for cache in folder.iterdir() if folder.is_dir() else ():
        marker = cache / INCOMPLETE
        if marker.exists():
            marker.unlink()
        elif cache.is_file():
            cache.unlink()
        else:
            shutil.rmtree(cache, ignore_errors=True)
