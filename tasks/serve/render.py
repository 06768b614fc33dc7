"""The values of the templates, which extend the report's: its style, charts and tables are those of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.report.page import SIMULATED, environment
from market_rotation.tasks.serve import files
from market_rotation.tasks.serve.parameters import Parameters

if TYPE_CHECKING:
    import jinja2

    from market_rotation.tasks.serve.pages.base import Page
    from market_rotation.tasks.serve.published import Edition

#: The pages in the order of the navigation.
NAVIGATION = {
    "/session": "Session",
    "/pair": "Pair",
    "/funds": "Funds",
    "/rotation": "Rotation",
    "/flows": "Flows",
    "/sql": "SQL",
}


def template(name: str) -> jinja2.Template:
    """A template of this folder, which may use those of the report."""
    return environment(Path(__file__).parent).get_template(name)


def site(path: str, edition: Edition, pinned_by: str) -> dict[str, Any]:
    """The values of site.html, which is on every page; `pinned_by` as in `Page`."""
    return {
        "navigation": NAVIGATION,
        "path": path,
        "version": edition.version,
        "pinned_by": pinned_by,
        "static": files.address,
    }


def page(made: Page, asked: Parameters) -> dict[str, Any]:
    """The values of page.html."""
    return {
        "page": made,
        "file_prefix": made.name,
        "config": theme.CONFIG,
        "simulated": SIMULATED,
        "address": asked.address,
        "sql_address": _sql_address,
    }


def _sql_address(statement: str) -> str:
    return Parameters({"q": statement}, "/sql").address()
