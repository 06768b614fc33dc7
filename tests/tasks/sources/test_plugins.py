"""Sources as plug-ins: the registry, what it refuses, and the example of docs/sources.md as a package of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import world
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Host, Route, Router
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.keyed import KEY
from vendor.server import Vendor

from market_rotation.tasks import calendar
from market_rotation.tasks.datasets import DATASETS, offers
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.settings import load_settings
from market_rotation.tasks.sources.base import (
    SourceContext,
    check_sources,
    installed,
    open_each,
    open_source,
    source_class,
)
from market_rotation.tasks.universe import load_universe

DOCS = world.REPOSITORY / "docs" / "sources.md"
SHIPPED = {"eodhd", "files", "issuers", "sample", "tiingo", "yahoo"}
SESSION = date(2024, 3, 28)


def distribution(folder: Path, name: str, entries: str, code: str) -> None:
    """An installed package `name` in `folder` with one module, which registers `entries`."""
    (folder / f"{name}-1.0.dist-info").mkdir(parents=True)
    (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(f"[market_rotation.sources]\n{entries}\n")
    (folder / f"{name}.py").write_text(code)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which packages are found."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if (folder / f"{name}.py").exists():
            del sys.modules[name]


def test_shipped_sources_are_registered_like_any_other() -> None:
    """The registry has the shipped sources through their entry points, each a class with its datasets."""
    assert installed().keys() >= SHIPPED
    for name in SHIPPED:
        found = source_class(name)
        assert found.name == name
        assert found.datasets <= DATASETS.keys()
    code = (world.REPOSITORY / "tasks" / "sources" / "base.py").read_text(encoding="utf-8")
    assert not re.search("|".join(f'"{name}"' for name in SHIPPED), code)


GOOD = """
from market_rotation.tasks.sources.base import price_frame
class Mine:
    name = "mine"
    datasets = frozenset({"prices"})
    @classmethod
    def open(cls, context):
        made = cls()
        made.context = context
        return made
    def prices(self, symbol, start, end):
        return price_frame({"symbol": [symbol], "session": [end], "close": [1.0]})
"""


def test_a_source_is_opened_with_what_a_run_has(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, calendar, universe and the start of the run reach it; its answers are cached in a folder of its own."""
    distribution(site, "mypackage", "mine = mypackage:Mine", GOOD)
    monkeypatch.setenv("ROTATION_SOURCE", "mine")
    settings, universe, now = load_settings(), load_universe(), datetime(2024, 3, 28, 22, tzinfo=UTC)
    days = calendar.load(date(2024, 1, 2), SESSION)
    (plain,) = open_each(SourceContext(settings, days, universe, now))
    assert plain.context == SourceContext(settings, days, universe, now)  # type: ignore[attr-defined]
    source = open_source(settings, days, universe, now)
    assert source.prices("SPY", SESSION, SESSION)["close"].tolist() == [1.0]
    assert [path.parent.name for path in settings.cache.rglob("*.parquet")] == ["mine"]
    assert installed()["mine"] == "mypackage 1.0"
    assert offers(source, universe.instruments) == []


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("import not_there_at_all", "cannot be imported (ModuleNotFoundError: No module named 'not_there_at_all')"),
        ("raise RuntimeError('broken\\nin two lines')", "cannot be imported (RuntimeError: broken)"),
        ("Other = 1", "cannot be imported (AttributeError: "),
        (GOOD.replace('name = "mine"', 'name = "yours"'), "is named 'yours' in its class"),
        (GOOD.replace("def open", "def start"), "has no class method 'open'"),
        (GOOD.replace("def prices", "def bars"), "has no method 'prices'"),
        (GOOD.replace('frozenset({"prices"})', '["prices"]'), "has no 'datasets'"),
        (GOOD.replace('{"prices"}', '{"prices", "weather"}'), "names an unknown dataset 'weather'"),
    ],
)
def test_a_broken_plug_in_is_one_sentence(site: Path, monkeypatch: pytest.MonkeyPatch, code: str, part: str) -> None:
    """What is wrong with a plug-in is said with its name and package before a run begins; the other sources stay usable."""
    distribution(site, "mypackage", "mine = mypackage:Mine", code)
    monkeypatch.setenv("ROTATION_SOURCE", "mine")
    with pytest.raises(ConfigError) as caught:
        check_sources(load_settings(), load_universe())
    message = str(caught.value)
    assert message.startswith("The source 'mine' of the package mypackage 1.0 ")
    assert part in message
    assert message.endswith("; update or uninstall the package.")
    assert "\n" not in message
    assert source_class("sample").name == "sample"


def test_a_name_registered_twice(site: Path) -> None:
    """Two packages with one name: neither is taken, both are named."""
    distribution(site, "first", "mine = first:Mine", GOOD)
    distribution(site, "second", "mine = second:Mine", GOOD)
    with pytest.raises(
        ConfigError, match=r"^The source 'mine' is registered by first 1.0 and second 1.0; uninstall one of them\.$"
    ):
        source_class("mine")


def test_a_source_that_is_not_installed() -> None:
    with pytest.raises(
        ConfigError,
        match="No source 'mine' is installed; the installed sources are eodhd, files, issuers, sample, tiingo, yahoo",
    ):
        source_class("mine")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("issuers", "the first source must have prices"),
        ("issuers,tiingo", "the first source must have prices"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, part: str) -> None:
    """What a list means and a run cannot do is refused before the run, and never silently left out."""
    monkeypatch.setenv("TIINGO_API_KEY", KEY)
    with pytest.raises(ConfigError) as caught:
        check_sources(load_settings(source=value), load_universe())
    assert part in str(caught.value)


# ---- without Yahoo ----


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for a universe of three funds and a history of a quarter."""
    members = world.universe(
        world.instrument("SPY", issuer="ssga", issuer_id="spy", name="SPDR S&P 500 ETF Trust"),
        world.instrument("IWM", issuer="ishares", issuer_id="239710", name="iShares Russell 2000 ETF"),
        world.instrument("VB", name="Vanguard Small-Cap ETF"),
        pairs=[("IWM", "SPY")],
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def published(home: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "rotation.duckdb"), read_only=True) as con:
        return con.execute(query).fetchall()


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("name", "variable"), [("tiingo", "TIINGO_API_KEY"), ("eodhd", "EODHD_API_KEY")])
def test_a_run_without_yahoo(
    name: str,
    variable: str,
    small: Path,
    vendor: Vendor,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prices of a vendor and records of the issuers are published, each row with its source; no host of Yahoo is contacted."""
    monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("ROTATION_SOURCE", f"{name},issuers")
    vendor.now = datetime(2024, 3, 28, 22, tzinfo=UTC)
    settings, universe = load_settings(), load_universe(load_settings().universe)
    source = open_source(settings, calendar.load(date(1993, 1, 29), SESSION), universe, vendor.now)
    run = world.run(source, SESSION, vendor.now)
    assert run.status == "published", run.message
    assert published(small, "select distinct source from core.prices") == [(name,)]
    counts = published(small, "select symbol, count(*) from core.prices group by all order by all")
    assert counts == [("IWM", 61), ("SPY", 61), ("VB", 61)]
    assert published(small, "select distinct symbol from core.fund_nav order by all") == [("IWM",), ("SPY",)]
    close = vendor.source.prices("IWM", SESSION, SESSION)["close"].item()
    (held,) = published(
        small, f"select close, dividend from core.prices where symbol = 'IWM' and session = '{SESSION}'"
    )
    assert held[0] == pytest.approx(close, rel=1e-12)
    assert not [host for host in vendor.proxy.hosts if "yahoo" in host]
    assert not [path for path in small.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.long_after(0)
def test_a_plan_smaller_than_the_universe_is_complete_after_two_runs(
    small: Path,
    vendor: Vendor,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With two requests an hour for three symbols the first run is blocked and says why; the run of the next hour requests the third."""
    monkeypatch.setenv("TIINGO_API_KEY", KEY)
    monkeypatch.setenv("ROTATION_SOURCE", "tiingo")
    monkeypatch.setenv("ROTATION_TIINGO_REQUESTS_PER_HOUR", "2")
    settings, universe = load_settings(), load_universe(load_settings().universe)
    days = calendar.load(date(1993, 1, 29), SESSION)
    outcome = []
    for hour in (22, 23):
        vendor.now = datetime(2024, 3, 28, hour, tzinfo=UTC)
        outcome.append(world.run(open_source(settings, days, universe, vendor.now), SESSION, vendor.now))
    assert outcome[0].status == "blocked"
    assert "the 2 requests per hour of the plan are used up; run again after 2024-03-28 23:00 UTC" in outcome[0].message
    assert outcome[1].status == "published", outcome[1].message
    assert sorted(seen.path.split("/")[3] for seen in vendor.requests) == ["iwm", "spy", "vb"]


# ---- the example ----


def test_the_example_is_about_forty_lines() -> None:
    assert len(_block("python").splitlines()) <= 52


def _block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of the documentation, built as a wheel and installed alone into a folder."""
    project = tmp_path_factory.mktemp("example")
    (project / "src" / "example_prices").mkdir(parents=True)
    (project / "src" / "example_prices" / "__init__.py").write_text(_block("python"), encoding="utf-8")
    (project / "pyproject.toml").write_text(_block("toml"), encoding="utf-8")
    uv = [str(Path(sys.executable).parent / "uv"), "--offline", "--quiet"]
    _do([*uv, "build", "--wheel", "--out-dir", str(project / "dist"), str(project)])
    (wheel,) = (project / "dist").glob("*.whl")
    _do(
        [
            *uv,
            "pip",
            "install",
            "--no-deps",
            "--python",
            sys.executable,
            "--target",
            str(project / "target"),
            str(wheel),
        ]
    )
    return project / "target"


def _do(command: list[str]) -> None:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def prices_example() -> Iterator[Vendor]:
    """A server whose prices.example serves a simulated market to requests with the key."""
    members = [world.instrument(symbol) for symbol in ("SPY", "IWM", "VB")]
    market = world.SampleSource(calendar.load(date(2024, 1, 2), SESSION), members)

    async def daily(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({}, 401)
        symbol = request.path_params["symbol"]
        if symbol not in ("SPY", "IWM", "VB"):
            return JSONResponse({}, 404)
        start, end = (date.fromisoformat(request.query_params[name]) for name in ("from", "to"))
        frame = market.prices(symbol, start, end).assign(session=lambda bars: bars["session"].dt.strftime("%Y-%m-%d"))
        rows = frame[["session", "close", "dividend", "split_ratio"]].to_json(orient="records")
        return JSONResponse(json.loads(rows))

    with Vendor(market, more=[Host("prices.example", Router([Route("/daily/{symbol}", daily)]))]) as running:
        yield running


@pytest.mark.long_after(0)
def test_the_example_runs_from_a_wheel_of_its_own(example: Path, prices_example: Vendor, small: Path) -> None:
    """`rotation doctor` shows it, `rotation run` fetches, audits and publishes with it; without its key both say so and exit 2 or 1."""
    path = [str(world.REPOSITORY), str(example), *os.environ.get("PYTHONPATH", "").split(":")]
    (small / "prefect").mkdir(parents=True)
    environment = prices_example.env(
        PYTHONPATH=":".join(path), ROTATION_SOURCE="example", EXAMPLE_API_KEY=KEY, PREFECT_HOME=str(small / "prefect")
    )
    assert "no source 'example' is installed" in _rotation(
        environment | {"PYTHONPATH": ":".join([path[0], *path[2:]])}, 2, "run"
    )
    missing = {name: value for name, value in environment.items() if name != "EXAMPLE_API_KEY"}
    assert "Error: The source 'example' needs a key; set EXAMPLE_API_KEY." in _rotation(missing, 2, "run")
    output = _rotation(environment, 0, "run", "--session", str(SESSION))
    assert KEY not in output
    assert published(
        small, "select symbol, count(*), any_value(source) from core.prices group by all order by all"
    ) == [
        ("IWM", 61, "example"),
        ("SPY", 61, "example"),
        ("VB", 61, "example"),
    ]
    audited = published(small, "select count(*) from ops.validations where dataset = 'prices' and not raised")
    assert audited[0][0] > 5
    assert published(small, "select status, source, published from ops.runs") == [("published", "example", True)]
    shown = _rotation(environment, None, "doctor")
    assert "example (example-prices 1.0)" in " ".join(shown.split())
    assert "Used: example." in " ".join(shown.split())


def _rotation(environment: dict[str, str], code: int | None, *arguments: str) -> str:
    """What the command prints; `code` is the exit code it must have."""
    command = [sys.executable, "-m", "market_rotation", *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=300)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
