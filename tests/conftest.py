"""Fixtures for all tests: each starts in an empty folder, with no setting of the machine it runs on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import distribution
import duckdb
import pytest
import world

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


# The processes of the tests share the cores already: with threads of its own in each, DuckDB does the same work in half as much time again.
duckdb.connect = partial(duckdb.connect, config={"threads": 1})
# Nothing here survives a power cut, and nothing has to.
os.fsync = lambda fd: None

#: What `make test-fast` leaves out, by path: whole runs of the job, processes of their own, Prefect's server, the browser, and the search for
#: counterexamples. In a full test run they come first, so that no core waits for the last of them.
SLOW = (
    "tests/flows/orchestration",
    "tests/flows/test_handing_out.py",
    "tests/flows/cli/test_demonstration.py",
    "tests/flows/test_daily.py",
    "tests/flows/test_steps.py",
    "tests/packaging",
    "tests/tasks/warehouse/test_rebuild.py",
    "tests/tasks/warehouse/test_upgrade.py",
    "tests/tasks/run/test_endings.py",
    "tests/tasks/run/test_fallback.py",
    "tests/tasks/run/test_reconcile.py",
    "tests/tasks/run/test_faults.py",
    "tests/tasks/run/test_fund_runs.py",
    "tests/tasks/run/test_pipeline.py",
    "tests/tasks/run/test_backfill.py",
    "tests/tasks/audit/test_quarantine.py",
    "tests/tasks/audit/test_data_docs.py",
    "tests/tasks/alerts/test_alerts.py",
    "tests/tasks/alerts/test_watchdog.py",
    "tests/tasks/operations",
    "tests/tasks/report/test_browser.py",
    "tests/tasks/report/test_daily_report.py",
    "tests/tasks/report/test_queries.py",
    "tests/tasks/serve/test_serve_browser.py",
    "tests/tasks/serve/test_served_sessions.py",
    "tests/tasks/serve/test_published.py",
    "tests/flows/cli/test_serve.py",
    "tests/flows/cli/test_console.py",
    "tests/flows/test_announce.py",
    "tests/docs",
    "tests/expectations/test_price_suite.py",
    "tests/expectations/test_fund_suites.py",
    "tests/sql/signals/test_properties.py",
    "tests/sql/signals/test_signal_edges.py",
    "tests/sql/signals/test_evidence_edges.py",
    "tests/sql/signals/test_signal_truths.py",
    "tests/sql/core/test_fund_truths.py",
    "tests/tasks/report/test_charts.py",
    "tests/tasks/alerts/test_rules.py",
    "tests/expectations/test_signal_suite.py",
    "tests/tasks/sources/test_keyed_vendors.py",
    "tests/sql/core/test_fund_flows.py",
    "tests/tasks/audit/test_audit.py",
    "tests/sql/signals/test_earnings_momentum.py",
    "tests/tasks/sources/test_issuers.py",
    "tests/flows/cli/test_sql.py",
    "tests/tasks/alerts/test_acted_on.py",
    "tests/tasks/run/test_price_events.py",
    "tests/tasks/sources/test_yahoo.py",
    "tests/tasks/serve/test_pages.py",
    "tests/tasks/alerts/test_ping.py",
    "tests/sql/test_known_truths.py",
    "tests/sql/signals/test_constituent_breadth.py",
    "tests/tasks/warehouse/test_recovery.py",
    "tests/sql/test_versions.py",
    "tests/tasks/warehouse/test_warehouse.py",
    "tests/sql/signals/test_relative_rotation.py",
    "tests/tasks/own/test_own.py",
    "tests/sql/core/test_context.py",
    "tests/sql/signals/test_fund_flows_monthly.py",
    "tests/campaigns",
    "tests/tasks/warehouse/lake",
)

#: What `make test` leaves out as well; CI runs most of it after `make test`. Servers, workers, browsers and campaigns take minutes.
LONG = (
    "tests/flows/orchestration/test_deployments.py",
    "tests/flows/orchestration/test_server_gone.py",
    "tests/flows/orchestration/test_workers.py",
    "tests/flows/test_handing_out.py",
    "tests/flows/cli/test_demonstration.py",
    "tests/packaging/test_wheel.py",
    "tests/tasks/report/test_browser.py",
    "tests/tasks/serve/test_serve_browser.py",
    "tests/tasks/warehouse/lake",
    "tests/campaigns/test_model.py",
    "tests/campaigns/test_mutation.py",
    "tests/campaigns/test_security.py",
    "tests/campaigns/test_soak.py",
)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: some tests wait for a server, a worker or a browser."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the slow tests, and puts them first; marks as long the cases of a test after the first n that `long_after(n)` leaves it.

    Raises `UsageError` when one of the paths is no longer there.
    """
    if gone := [path for path in SLOW + LONG if not (world.REPOSITORY / path).exists()]:
        raise pytest.UsageError(
            f"tests/conftest.py names slow tests that do not exist: {', '.join(gone)}; update SLOW or LONG."
        )

    def place(item: pytest.Item, paths: tuple[str, ...]) -> int:
        path = item.path.relative_to(world.REPOSITORY).as_posix()
        return next((n for n, named in enumerate(paths) if path == named or path.startswith(f"{named}/")), len(paths))

    cases: Counter[str] = Counter()
    for item in items:
        if place(item, SLOW) < len(SLOW):
            item.add_marker(pytest.mark.slow)
        if place(item, LONG) < len(LONG):
            item.add_marker(pytest.mark.long)
        if mark := item.get_closest_marker("long_after"):
            cases[_function(item)] += 1
            if cases[_function(item)] > mark.args[0]:
                item.add_marker(pytest.mark.long)
                item.add_marker(pytest.mark.further_case)
    items.sort(key=lambda item: place(item, SLOW))


def _function(item: pytest.Item) -> str:
    """The test function of `item`, without its parameters."""
    return item.nodeid.split("[", 1)[0]


@pytest.fixture(scope="session", autouse=True)
def _state_apart_from_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where fixtures of a session or a module keep state. pytest gives the same temporary folders again, whose warehouses would be missed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ROTATION_"):
            monkeypatch.delenv(name)
    # Where alerts are remembered when the warehouse cannot be written.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # It takes seconds; tests of it turn it on.
    monkeypatch.setenv("ROTATION_REPORT", "false")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def two_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a run of SPY and IWM, the headline pair, from 2024-01-02 on."""
    members = world.universe(
        world.instrument("SPY", size_bucket="large"), world.instrument("IWM"), pairs=[("IWM", "SPY")]
    )
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real market data, which is not part of the project."""
    if not (REAL_DATA / "files" / "prices.parquet").is_file():
        pytest.skip(f"no real market data at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, built once."""
    (made,) = world.made_once(tmp_path_factory, "wheel", partial(distribution.build, "wheel")).glob("*.whl")
    return made
