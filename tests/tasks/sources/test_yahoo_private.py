"""All uses of yfinance's private parts are in one file, and a version without one of them raises an error with its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yfinance
from vendor.fixtures import fresh_yfinance
from yfinance import cache, data

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.sources.yahoo import chart, private

SOURCES = Path(private.__file__).parents[1]


def test_the_installed_yfinance_has_every_private_part() -> None:
    """Fails with the names of the parts that a new version of yfinance has moved: adapt tasks/sources/yahoo/private.py to it."""
    assert list(private.missing()) == []


@pytest.mark.parametrize(
    ("owner", "attribute", "part"),
    [
        (cache, "_CookieCacheManager", "yfinance.cache._CookieCacheManager"),
        (cache._CookieCacheManager, "_Cookie_cache", "yfinance.cache._CookieCacheManager._Cookie_cache"),
        (cache._CookieCache, "lookup", "yfinance.cache._CookieCache.lookup"),
        (cache._CookieCache, "store", "yfinance.cache._CookieCache.store"),
        (data, "YfData", "yfinance.data.YfData"),
    ],
)
def test_a_part_that_was_moved_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: object, attribute: str, part: str
) -> None:
    """Opening the source then raises a `ConfigError` with the part and the version, instead of an error in the middle of a fetch."""
    with fresh_yfinance(monkeypatch, tmp_path), monkeypatch.context() as moved:
        moved.delattr(owner, attribute)
        assert part in list(private.missing())
        with pytest.raises(
            ConfigError, match=rf"^yfinance {re.escape(yfinance.__version__)} has no {re.escape(part)},"
        ):
            chart.YahooSource()


@pytest.mark.parametrize("attribute", ["_cookie", "_crumb", "_cookie_strategy", "_cookie_lock", "_logged_in"])
def test_a_renamed_attribute_is_named(monkeypatch: pytest.MonkeyPatch, attribute: str) -> None:
    """An attribute that instances no longer set is found, although assigning to it would raise nothing."""
    import inspect

    source = inspect.getsource(data.YfData)
    renamed = re.sub(rf"self\.{attribute}\b", "self.moved", source)
    monkeypatch.setattr(inspect, "getsource", lambda _: renamed)
    assert f"yfinance.data.YfData.{attribute}" in list(private.missing())


def test_only_one_file_uses_private_parts() -> None:
    """Elsewhere only public names of yfinance are used: the module itself and yfinance.exceptions."""
    for path in SOURCES.rglob("*.py"):
        if path.name != "private.py":
            imported = re.findall(
                r"^\s*(?:from|import) (yfinance[\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE
            )
            assert set(imported) <= {"yfinance", "yfinance.exceptions"}, path
