"""Frames in the columns and types of a dataset, as sources return them, and the guard around the parsers that make them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from market_rotation.tasks.datasets import PRICE_COLUMNS
from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.sources.http import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

Document = TypeVar("Document")
Rest = ParamSpec("Rest")
Result = TypeVar("Result")


def typed(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any], types: Mapping[str, str]) -> pd.DataFrame:
    """A frame with exactly the columns and dtypes of `types`, made from columns named so; a missing one is NaN or None."""
    import pandas as pd

    frame = columns if isinstance(columns, pd.DataFrame) else pd.DataFrame(dict(columns))
    frame = frame.reindex(columns=list(types)).astype(dict(types))
    # pandas turns a missing text into NaN, which is a number.
    texts = [name for name, kind in types.items() if kind == "object" and frame[name].isna().any()]
    return frame.assign(**{name: frame[name].where(frame[name].notna(), None) for name in texts})


def parser(
    vendor: str, what: str
) -> Callable[[Callable[Concatenate[Document, str, Rest], Result]], Callable[Concatenate[Document, str, Rest], Result]]:
    """Decorates a parser of `vendor`'s documents, called as `(document, symbol, …)`, so that it fails only with typed errors.

    Whatever it raises beside a `RotationError` becomes a `SourceUnavailable` that names the vendor, `what` and the symbol, so that one
    document of an unexpected layout cannot end a run. A panic in a compiled reader is no `Exception`, and is caught as well.
    """

    def decorate(
        parse: Callable[Concatenate[Document, str, Rest], Result],
    ) -> Callable[Concatenate[Document, str, Rest], Result]:
        @wraps(parse)
        def guarded(document: Document, symbol: str, /, *args: Rest.args, **options: Rest.kwargs) -> Result:
            try:
                return parse(document, symbol, *args, **options)
            except (RotationError, KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                fault = f"its answer has an unknown layout ({error!r:.80})"
                raise unavailable(vendor, f"{what} of {symbol}", fault) from error

        return guarded

    return decorate


def price_frame(columns: pd.DataFrame | Mapping[str, Sequence[Any] | Any]) -> pd.DataFrame:
    """A frame with exactly `PRICE_COLUMNS`. Where there is no column `capital_gain`, dividends include capital gains, so it is 0."""
    import pandas as pd

    given = pd.DataFrame(columns)
    return typed(given if "capital_gain" in given else given.assign(capital_gain=0.0), PRICE_COLUMNS)
