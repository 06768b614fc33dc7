"""Several sources as one, in the order of ROTATION_SOURCE: which of them are requested for a dataset of a symbol, and how each does.

`market_rotation.tasks.run.fetch` sends a request to the candidates in turn until one gives the rows that are due.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.datasets import Offer, indexes, offers

if TYPE_CHECKING:
    from market_rotation.tasks.sources.base import Source
    from market_rotation.tasks.universe import Instrument

#: Symbols in a row for which a source was unavailable, after which it counts as down.
DOWN_AFTER = 3
#: Seconds after which a source that is down is requested again; a deployed run fetches a batch again after one and five minutes.
QUIET_S = 50.0


class Health:
    """How a source has answered in this run, for all threads. A failing source costs one retry schedule; while it counts as down, it is not requested.

    A moment is one of the retry policy's clock, in seconds. `has_answered`: it gave an answer in this run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._failed_at = 0.0
        self.reason = ""
        self.has_answered = False

    def succeeded(self) -> None:
        """The source gave an answer."""
        with self._lock:
            self._failures = 0
            self.has_answered = True

    def failed(self, reason: str, now: float) -> None:
        """The source was unavailable for a symbol, after all attempts."""
        with self._lock:
            self._failures += 1
            self._failed_at, self.reason = now, reason

    def is_down(self, now: float) -> bool:
        """Whether a request is pointless: it was unavailable for the last symbols, moments ago."""
        with self._lock:
            return self._failures >= DOWN_AFTER and now - self._failed_at < QUIET_S

    def attempts(self, usual: int) -> int:
        """Attempts for the next symbol: the usual ones, or one while the source has not answered since its last failure."""
        with self._lock:
            return 1 if self._failures else usual


class Ordered:
    """`sources` as one source, named as the first, which has prices. Several may have the same dataset."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.name = sources[0].name
        self._sources: tuple[Any, ...] = tuple(sources)
        self._health = {source.name: Health() for source in sources}
        self._offered: dict[str, set[tuple[str, str]]] = {}
        self.datasets = frozenset(dataset for source in sources for dataset in source.datasets)

    def offers(self, instruments: Sequence[Instrument]) -> list[Offer]:
        """What the sources offer, in their order; what several offer has the maximum age that the first of them says."""
        found: dict[tuple[str, str], Offer] = {}
        for source in self._sources:
            offered = {(offer.dataset, offer.symbol): offer for offer in offers(source, instruments)}
            self._offered[source.name] = set(offered)
            found = {**offered, **found}
        return list(found.values())

    def indexes(self, instruments: Sequence[Instrument]) -> list[str]:
        """The indexes of all the sources that have prices."""
        return sorted(
            {
                symbol
                for source in self._sources
                if "prices" in source.datasets
                for symbol in indexes(source, instruments)
            }
        )

    def candidates(self, dataset: str, symbol: str, known_source: str | None) -> list[tuple[Any, Health]]:
        """The sources to request in turn: in their order, but the one that the symbol's newest rows come from before all others."""
        listed = {key for keys in self._offered.values() for key in keys}
        able = [
            source
            for source in self._sources
            if dataset in source.datasets
            and ((dataset, symbol) not in listed or (dataset, symbol) in self._offered[source.name])
        ]
        able.sort(key=lambda source: source.name != known_source)
        return [(source, self._health[source.name]) for source in able]

    def witnesses(self, dataset: str, source_name: str) -> list[Any]:
        """The sources, other than the one named, that have the dataset, in their order."""
        return [source for source in self._sources if dataset in source.datasets and source.name != source_name]

    def __getattr__(self, name: str) -> Any:
        """The methods of the datasets, each of the first source that has it, and no more, so that `hasattr` shows what there is."""
        if name.startswith("_"):
            raise AttributeError(name)
        for source in self._sources:
            if name in source.datasets:
                return getattr(source, name)
        raise AttributeError(name)
