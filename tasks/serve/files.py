"""What is not a page: styles and scripts, and tables as CSV and JSON."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from market_rotation.tasks.errors import UsageError
from market_rotation.tasks.report import words
from market_rotation.tasks.report.charts import embed, theme

if TYPE_CHECKING:
    import pandas as pd
    from starlette.requests import Request

    from market_rotation.tasks.serve.pages.base import Page

FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

_HERE = Path(__file__).parent


@cache
def _content(name: str) -> tuple[str, str]:
    """The text and the media type of a style or script. Raises `KeyError` for another name."""
    if name == "vega.js":
        return embed.bundle(), "text/javascript"
    path = {
        "report.css": theme.HERE / "report.css",
        "report.js": theme.HERE / "report.js",
        "serve.css": _HERE / "serve.css",
        "serve.js": _HERE / "serve.js",
    }[name]
    return path.read_text(encoding="utf-8"), "text/css" if path.suffix == ".css" else "text/javascript"


@cache
def address(name: str) -> str:
    """The address of a style or script, which changes when its content does, so that a browser can keep it."""
    return f"/static/{name}?v={hashlib.sha256(_content(name)[0].encode()).hexdigest()[:12]}"


def static(request: Request) -> Response:
    """A style or script."""
    name = request.path_params["name"]
    try:
        text, kind = _content(name)
    except KeyError:
        raise HTTPException(404) from None
    is_current = f"{request.url.path}?{request.url.query}" == address(name)
    headers = {"cache-control": "max-age=31536000, immutable"} if is_current else {}
    return Response(text, media_type=kind, headers=headers)


def download(page: Page, table: str, form: str) -> Response:
    """The rows of one table of `page`, by default the first, as a file. Raises `UsageError` where it has no such table."""
    exhibits = {exhibit.id: exhibit for exhibit in page.exhibits}
    if not exhibits or (table and table not in exhibits):
        raise UsageError(f"There is no table {table!r} on this page; it has {', '.join(exhibits) or 'none'}.")
    exhibit = exhibits[table or next(iter(exhibits))]
    name = re.sub(r"[^\w.-]+", "-", f"{page.name}-{exhibit.id}.{form}")
    text = embed.csv(exhibit.rows) if form == "csv" else as_json(exhibit.rows)
    return Response(text, media_type=FORMATS[form], headers={"content-disposition": f'attachment; filename="{name}"'})


def as_json(frame: pd.DataFrame) -> str:
    """The rows as a JSON array of objects: numbers in full precision, days as YYYY-MM-DD, null for an unknown value."""
    names = [str(name) for name in frame.columns]
    rows = zip(*(frame[name].tolist() for name in frame.columns), strict=True)
    return json.dumps([{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in rows])


def _plain(value: Any) -> Any:
    if not words.is_known(value):
        return None
    return value if isinstance(value, bool | int | float | str) else words.exact(value)
