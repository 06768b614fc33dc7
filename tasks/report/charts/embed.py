"""Data and scripts embedded in the page: the rows as CSV, the charts as JSON, and the script that draws them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report import words
from market_rotation.tasks.report.charts import theme

if TYPE_CHECKING:
    import pandas as pd


def csv(frame: pd.DataFrame) -> str:
    """The rows as CSV with a header, numbers in full precision, days as YYYY-MM-DD, an empty field for an unknown value."""
    import pandas as pd

    plain = frame.copy(deep=False)
    for name in plain.columns:
        if pd.api.types.is_bool_dtype(plain[name].dtype):
            plain[name] = plain[name].map({True: "true", False: "false"})
    return str(plain.to_csv(index=False, lineterminator="\n"))


def embedded_csv(frame: pd.DataFrame) -> str:
    """The CSV for a script element: characters that could end the element, or that a browser could change, are escaped as \\u codes."""
    return theme.safe(re.sub(r"[<\\\x00-\x09\x0b-\x1f\ufeff]", lambda found: f"\\u{ord(found[0]):04x}", csv(frame)))


def types(frame: pd.DataFrame) -> dict[str, str]:
    """The type of each column that is not text, for the page's script: number, boolean, day or moment."""
    import pandas as pd

    found = {}
    for name in frame.columns:
        dtype = frame[name].dtype
        known = frame[name].dropna()
        first = known.iloc[0] if len(known) else None
        if pd.api.types.is_bool_dtype(dtype):
            found[str(name)] = "boolean"
        elif pd.api.types.is_numeric_dtype(dtype):
            found[str(name)] = "number"
        elif pd.api.types.is_datetime64_any_dtype(dtype) and known.dt.year.between(MINYEAR, MAXYEAR).all():
            found[str(name)] = "moment" if (known.dt.floor("s") != known.dt.normalize()).any() else "day"
        elif pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(first, date):
            has_time = isinstance(first, datetime) and any(
                len(words.exact(value)) > len("YYYY-MM-DD") for value in known
            )
            found[str(name)] = "moment" if has_time else "day"
    return found


@cache
def bundle() -> str:
    """vega-embed and its dependencies as one script. Building it takes more than a second, so it is cached in the user's cache folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "market-rotation"
    kept = folder / f"vega-{version('vl-convert-python')}.js"
    with suppress(OSError):
        return kept.read_text(encoding="utf-8")
    import vl_convert

    # Inside a function: the bundle has thousands of short names that would otherwise be global.
    script = f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();"
    script = script.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        making = folder / f"{kept.name}.{os.getpid()}"
        making.write_text(script, encoding="utf-8")
        making.replace(kept)
    return script


def embedded_json(value: Any) -> str:
    """JSON, escaped for a script element."""
    return theme.safe(json.dumps(value, separators=(",", ":"), default=str).replace("<", "\\u003c"))


def digest(script: str) -> str:
    """The hash by which the page's content security policy allows a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
