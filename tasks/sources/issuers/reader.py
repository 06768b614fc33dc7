"""What all readers of issuers' documents share: identifiers, downloads, and documents kept for the next call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, TypeVar

from market_rotation.tasks.errors import SymbolNotFound
from market_rotation.tasks.issuers import ISSUERS, Issuer, ids_of
from market_rotation.tasks.sources.http import Documents, download

if TYPE_CHECKING:
    from market_rotation.tasks.calendar import Calendar
    from market_rotation.tasks.universe import Instrument

T = TypeVar("T")


class Reader:
    """An issuer's documents; one instance serves all threads, and downloads each document once: make a new one for newer ones.

    `ids` are the issuer's identifiers by symbol (`Issuer.issuer_id` says what they are), `names` the funds' names by symbol, for
    documents that name a fund no other way. `timeout_s` bounds each download, in seconds. `calendar` gives the sessions; only issuers
    whose documents are not dated by session need it.
    """

    name: ClassVar[str]
    max_bytes: ClassVar[int] = 20_000_000
    headers: ClassVar[Mapping[str, str]] = {}
    throttled: ClassVar[Collection[int]] = (429,)

    def __init__(
        self,
        ids: Mapping[str, str],
        timeout_s: float = 60.0,
        *,
        names: Mapping[str, str] | None = None,
        calendar: Calendar | None = None,
    ) -> None:
        self._ids = dict(ids)
        self._names = dict(names or {})
        self._timeout_s = timeout_s
        self._given_calendar = calendar
        self._documents = Documents()

    @property
    def _calendar(self) -> Calendar:
        if self._given_calendar is None:
            raise ValueError(f"The reader of {self.name} needs a calendar.")
        return self._given_calendar

    def _id(self, symbol: str) -> str:
        """The issuer's identifier of the fund. Raises `SymbolNotFound` where the universe has none."""
        if symbol not in self._ids:
            title = ISSUERS[self.name].title
            raise SymbolNotFound(
                f"{title} gave nothing of {symbol}: the universe has no issuer_id for it; add it there."
            )
        return self._ids[symbol]

    def _read(self, url: str, what: str, parse: Callable[[bytes], T]) -> T:
        """What `parse` makes of the document at `url`; `what` names it in messages. Raises what a download or `parse` raises."""
        return self._documents.read(url, lambda: self._download(url, what), parse)

    def _download(self, url: str, what: str) -> bytes:
        return download(
            url,
            what=what,
            timeout_s=self._timeout_s,
            max_bytes=self.max_bytes,
            headers=self.headers,
            throttled=self.throttled,
        )


def open_reader(issuer: Issuer, instruments: Sequence[Instrument], timeout_s: float, calendar: Calendar) -> Reader:
    """The reader of `issuer`'s documents, with the identifiers of its funds among `instruments`. The issuer must have a reader."""
    assert issuer.reader is not None
    module, name = issuer.reader.split(":")
    reader: type[Reader] = getattr(import_module(f"{__package__}.{module}"), name)
    names = {i.symbol: i.name for i in instruments}
    return reader(ids_of(issuer, instruments), timeout_s, names=names, calendar=calendar)
