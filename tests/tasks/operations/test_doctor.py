"""`rotation doctor`: each check finds its fault and names the remedy, and an error in one check does not stop the others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import world
import yaml
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.keyed import KEY
from vendor.server import Vendor

from market_rotation.flows.cli import automations
from market_rotation.flows.cli.doctor import examine
from market_rotation.tasks import warehouse
from market_rotation.tasks.datasets import FUND_NAV_COLUMNS
from market_rotation.tasks.errors import ConfigError, SourceUnavailable, SymbolNotFound
from market_rotation.tasks.operations import prefect_api
from market_rotation.tasks.operations.doctor import channels, data, findings, machine, prefect_server, sources
from market_rotation.tasks.operations.doctor import examine as checks
from market_rotation.tasks.operations.doctor.findings import Finding
from market_rotation.tasks.run import ledger
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.sources.base import price_frame, typed
from market_rotation.tasks.universe import load_universe

NOW = datetime(2024, 3, 28, 23, 45, tzinfo=UTC)
THURSDAY = date(2024, 3, 28)
MEMBERS = world.universe(
    world.instrument("SPY", size_bucket="large", issuer="ssga", issuer_id="spy", inception=date(1993, 1, 29)),
    world.instrument("SPSM", issuer="ssga", issuer_id="spsm", inception=date(2013, 7, 9)),
    world.instrument("IWM", issuer="ishares", issuer_id="239710"),
    pairs=[("IWM", "SPY")],
)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small universe, and nothing of this machine's network and Prefect."""
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, MEMBERS)))
    monkeypatch.setenv("ROTATION_HISTORY_START", "2024-01-02")
    for name in (*machine.CA_VARIABLES, *machine.PROXY_VARIABLES, "PREFECT_API_URL", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


def levels(findings: Any) -> list[str]:
    return [finding.level for finding in findings]


def run() -> None:
    """One run up to Thursday, from the source that is set."""
    bars = {symbol: world.bars(symbol, [100 + i / 10 for i in range(61)]) for symbol in MEMBERS.symbols}
    assert world.run(world.FakeSource(bars), THURSDAY).status == "published"


@pytest.fixture
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a warehouse of real prices with one run up to Thursday, which is made once and copied."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            run()

    shutil.copytree(world.made_once(tmp_path_factory, "doctor", make) / "warehouse", "warehouse")
    return load_settings()


# ---- the whole ----


def test_all_is_well(monkeypatch, capsys):
    """On a machine where all is well no line fails, every check has one, and the exit code is 0."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    run()
    assert examine(NOW) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines() if line[:4].strip()]
    subjects = [
        "variables",
        "settings",
        "python",
        "network",
        "files",
        "home",
        "disk",
        "warehouse",
        "last",
        "clock",
        "universe",
    ]
    assert [words[1] for words in lines[:-1]] == [*subjects, "sources", "source", "alerts", "prefect"]
    assert {words[0] for words in lines[:-1]} == {"ok", "warn"}
    assert "Nothing failed, 1 warnings." in shown
    assert "-> Set ROTATION_ALERT_URLS" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_json(monkeypatch, capsys):
    """For programs there is one list of objects, with the same findings, and the same exit code."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    assert examine(NOW, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert [set(finding) for finding in found] == [{"level", "subject", "finding", "next_step"}] * len(found)
    assert {"subject": "warehouse", "level": "warn"}.items() <= next(
        finding for finding in found if finding["subject"] == "warehouse"
    ).items()


def test_wrong_settings_do_not_end_it(monkeypatch, capsys):
    """With an unknown key in rotation.toml that line fails, naming the key that is meant, and what needs no settings is checked."""
    Path("warehouse").mkdir()
    Path("warehouse/rotation.toml").write_text('sorce = "secret"\n', encoding="utf-8")
    assert examine(NOW) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "fail settings" in shown
    assert "Did you mean source instead of sorce?" in shown
    assert "secret" not in shown
    for subject in ("python", "network", "prefect"):
        assert f"ok {subject}" in shown
    assert "1 failed" in shown


def test_one_broken_check_keeps_no_other(monkeypatch):
    """A universe that cannot be read is a failing line, and the checks before and after it are made."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    monkeypatch.setenv("ROTATION_UNIVERSE", "nowhere.csv")
    found = {finding.subject: finding for finding in checks.examine(NOW)}
    assert found["universe"].level == "fail"
    assert "nowhere.csv" in found["universe"].finding
    assert {"home", "source", "alerts", "prefect"} <= found.keys()


def test_a_check_that_breaks_is_a_line_without_its_words():
    """An unexpected error is a failing line with its class only, since its text may contain a secret."""

    def broken() -> Iterator[Finding]:
        yield Finding("ok", "x", "Begun.")
        raise RuntimeError("https://user:password@host")

    first, second = findings.guarded("x", broken)
    assert (first.level, second.level) == ("ok", "fail")
    assert "RuntimeError" in second.finding
    assert "password" not in str(second)


def test_an_expected_error_is_split_into_finding_and_next_step():
    """An error's message is split into the fault and the remedy."""
    found = findings.failed("x", ConfigError("The file is empty; write a row; then run it."))
    assert found == Finding("fail", "x", "The file is empty; write a row.", "Then run it.")
    assert findings.failed("x", ConfigError("It is wrong.")) == Finding("fail", "x", "It is wrong.")


# ---- what the machine tells ----


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ROTATION_SORCE", "ROTATION_SOURCE"),
        ("ROTATION_ALERT_URL", "ROTATION_ALERT_URLS"),
        ("ROTATON_HOME", "ROTATION_HOME"),
        ("rotation_hom", "ROTATION_HOME"),
        ("ROTATION_FETCH_TIMEOUT", "ROTATION_FETCH_TIMEOUT_S"),
    ],
)
def test_misspelt_variables(name, meant):
    """A variable that looks like a setting and is none is named with the one that is meant, never with its value."""
    first, _ = machine.variables({name: "a-secret", "PATH": "/bin"})
    assert first.level == "warn"
    assert name in first.finding
    assert f"Did you mean {meant}?" in first.next_step
    assert "a-secret" not in str(first)


def test_correct_variables():
    """Every setting by its own name is known, in lower case too, and other programs' variables are let be."""
    names = [f"ROTATION_{field.upper()}" for field in Settings.model_fields]
    environ = dict.fromkeys([*names, "rotation_home", "HOME", "LOG_ROTATION", "PREFECT_HOME"], "x")
    assert levels(machine.variables(environ)) == ["ok"]


def test_a_fault_that_nobody_heeds(monkeypatch):
    """A fault for the simulated market is pointed out where the source is another."""
    monkeypatch.setenv("ROTATION_FAULT", "bad-tick")
    assert levels(machine.read_settings(load_settings())) == ["ok", "warn"]
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    assert levels(machine.read_settings(load_settings())) == ["ok"]


def test_dependencies(monkeypatch):
    """The installed libraries are within the project's bounds; one that is not is named with both."""
    assert levels(machine.dependencies()) == ["ok"]
    genuine = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.0.0" if name == "duckdb" else genuine(name))
    (found,) = machine.dependencies()
    assert found.level == "fail"
    assert "duckdb 2.0.0 (<1.6,>=1.5.5)" in found.finding


def test_network_variables(tmp_path):
    """Existing CA files and a proxy are shown, without its password; a missing file and a wrong address fail."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("x")
    (good,) = machine.network({"SSL_CERT_FILE": str(bundle), "HTTPS_PROXY": "http://me:hush@proxy.example:8080"})
    assert (good.level, good.finding) == ("ok", "In use: SSL_CERT_FILE, HTTPS_PROXY (proxy.example:8080).")
    missing, *_ = machine.network({"REQUESTS_CA_BUNDLE": "/nowhere/ca.pem"})
    assert (missing.level, "REQUESTS_CA_BUNDLE names /nowhere/ca.pem" in missing.finding) == ("fail", True)
    wrong, *_ = machine.network({"HTTPS_PROXY": "http://me:hush@:http"})
    assert wrong.level == "fail"
    assert "hush" not in str(wrong)


def test_home(monkeypatch, tmp_path):
    """A home that is not there yet will be made; one that is a file, and so cannot be written to, fails."""
    (found,) = data.home(load_settings())
    assert (found.level, "will be created" in found.finding) == ("ok", True)
    assert not Path("warehouse").exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROTATION_HOME", str(tmp_path / "file"))
    (found,) = data.home(load_settings())
    assert (found.level, "set ROTATION_HOME" in found.next_step) == ("fail", True)


@pytest.mark.parametrize(
    ("free_bytes", "level"), [(50e6, "fail"), (150e6, "warn"), (699e6, "warn"), (701e6, "ok"), (50e9, "ok")]
)
def test_disk(free_bytes, level):
    """There must be room for one more copy of the warehouse, and should be for two and half a gigabyte."""
    Path("warehouse").mkdir()
    for name in ("build.duckdb", "rotation.duckdb"):
        with Path("warehouse", name).open("wb") as file:
            file.truncate(100_000_000)
    (found,) = data.disk(load_settings(), int(free_bytes))
    assert found.level == level
    assert "takes 200 MB, and 100 MB more while it is being published" in found.finding


# ---- the warehouse ----


def test_no_warehouse():
    """Before the first run there is a hint how to make one, and no other check stumbles over it."""
    settings = load_settings()
    (found,) = data.published(settings)
    assert (found.level, found.next_step) == ("warn", "Create it with `rotation run`.")
    assert list(data.last_run(settings, NOW, [])) == []


@pytest.mark.long_after(0)
def test_the_warehouse_is_told(published, monkeypatch):
    """It shows whether prices are real and whether this version derived them; a source of the other kind fails."""
    (found,) = data.published(published)
    assert (found.level, "real prices, derived by this version" in found.finding) == ("ok", True)
    monkeypatch.setattr(ledger, "code_version", lambda home: "another")
    (found,) = data.published(published)
    assert "the next run derives it again" in found.finding
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    first, _ = data.published(load_settings())
    assert (first.level, "holds real prices and the source is 'sample'" in first.finding) == ("fail", True)


def test_a_warehouse_that_is_none():
    """A published file that is no database is one failing line."""
    Path("warehouse").mkdir()
    Path("warehouse/rotation.duckdb").write_text("nothing of the kind" * 1000)
    settings = load_settings()
    (found,) = findings.guarded("warehouse", lambda: data.published(settings))
    assert (found.level, "cannot be opened" in found.finding) == ("fail", True)


def test_somebody_is_writing(published):
    """While a process writes it is named, and the rest of the check is made."""
    code = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(published.build)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        first, second = data.published(published)
        other.communicate(b"")
    assert (first.level, second.level) == ("warn", "ok")
    assert f"by process {other.pid}" in first.finding


def test_last_run(published):
    """A good run is ok, stale prices are to look at, a blocked run fails and its incident is named."""
    state: list[Any] = []
    (good,) = data.last_run(published, NOW, state)
    assert good.level == "ok"
    assert good.finding == "Published at 2024-03-28 23:30 UTC; prices up to 2024-03-28, 2024-03-27 is due."
    assert state[0].healthy
    (stale,) = data.last_run(published, NOW + timedelta(days=7), [])
    assert (stale.level, stale.next_step) == ("warn", "Bring it up with `rotation run`.")
    world.run(world.FakeSource({}), date(2024, 4, 1))
    found = list(data.last_run(published, datetime(2024, 4, 1, 23, 45, tzinfo=UTC), []))
    assert levels(found) == ["fail", "warn"]
    assert "not published" in found[1].finding


def test_clock(published):
    """A clock behind the start of the last run is wrong; one a little off, as on two machines, is not."""
    state: list[Any] = []
    list(data.last_run(published, NOW, state))
    assert levels(data.clock(NOW, state[0])) == ["ok"]
    assert levels(data.clock(NOW - timedelta(minutes=19), state[0])) == ["ok"]
    (found,) = data.clock(NOW - timedelta(hours=1), state[0])
    assert found.level == "fail"
    assert "It is 2024-03-28 22:45 UTC, 18:45 in New York, but the last run started at" in found.finding
    assert levels(data.clock(NOW, None)) == ["ok"]


# ---- the source and the issuers ----


class Funds(world.FakeSource):
    """A source of bars that also answers for fund records what `records` holds, or raises it."""

    datasets = frozenset({"prices", "fund_nav"})

    def __init__(self, frames: Any, records: dict[str, pd.DataFrame | Exception]) -> None:
        super().__init__(frames)
        self.records = records

    def fund_nav(self, symbol: str, start: date, end: date) -> pd.DataFrame:
        held = self.records[symbol]
        if isinstance(held, Exception):
            raise held
        return held[(held["session"] >= pd.Timestamp(start)) & (held["session"] <= pd.Timestamp(end))]


def test_source_and_issuers_answer():
    """It requests one symbol, the benchmark, and from each issuer the fund with the shortest history."""
    records = {symbol: world.records(symbol, [10.0] * 60, [1e6] * 60) for symbol in ("SPSM", "IWM")}
    source = Funds({"SPY": world.bars("SPY", [1.0] * 61)}, records)
    found = list(sources.source(load_settings(), NOW, source))
    assert levels(found) == ["ok", "ok", "ok"]
    assert [symbol for symbol, *_ in source.asked] == ["SPY"]
    assert "answered for SPY: bars up to 2024-03-28" in found[0].finding
    assert "ssga answered for SPSM: records up to 2024-03-27" in found[1].finding
    assert "ishares answered for IWM" in found[2].finding


def test_installed_and_used_sources_are_listed(monkeypatch):
    """Each installed source with its package, and those in use; a vendor with a key is requested for one symbol and no issuer."""
    (found,) = sources.installed_sources(load_settings())
    assert found.level == "ok"
    assert re.fullmatch(
        r"Installed: eodhd, files, issuers, sample, tiingo, yahoo \(market-rotation \S+\)\. Used: yahoo\.",
        found.finding,
    )
    monkeypatch.setenv("ROTATION_SOURCE", "tiingo")
    (found,) = findings.guarded("source", lambda: sources.source(load_settings(), NOW))
    assert (found.level, found.finding) == ("fail", "The source Tiingo needs a key.")
    assert found.next_step == "Set TIINGO_API_KEY in the environment, or TIINGO_API_KEY_FILE to a file with it."


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> None:
    """The shipped universe, with the issuers whose daily files the vendor server has."""
    members = world.with_file_issuers(load_universe())
    monkeypatch.setenv("ROTATION_UNIVERSE", str(world.write_universe(tmp_path, members)))


def test_a_vendor_with_a_key_and_the_issuers(vendor: Vendor, shipped: None, monkeypatch):  # noqa: F811
    """Of several sources each is requested for what it has: prices of one vendor, files of the issuers."""
    vendor.now = datetime(2026, 1, 16, 23, 30, tzinfo=UTC)
    monkeypatch.setenv("TIINGO_API_KEY", KEY)
    monkeypatch.setenv("ROTATION_SOURCE", "tiingo,issuers")
    found = list(sources.source(load_settings(), vendor.now))
    assert [(finding.level, finding.subject) for finding in found] == [("ok", "source"), *[("ok", "issuers")] * 2]
    assert "tiingo answered for SPY: bars up to 2026-01-16." in found[0].finding
    assert {seen.host for seen in vendor.requests} == {"api.tiingo.com", "www.ssga.com", "www.blackrock.com"}


def test_source_and_issuers_that_do_not_answer():
    """A failing source is a failing line with its remedy, and the issuers are still checked; a failing issuer is a warning."""
    down = SourceUnavailable("The issuer gave no NAV history: it answered HTTP 500; try again later.")
    nothing = typed({}, FUND_NAV_COLUMNS)
    source = Funds({"SPY": SymbolNotFound("It does not know SPY; correct it.")}, {"SPSM": down, "IWM": nothing})
    found = list(sources.source(load_settings(), NOW, source))
    assert [(finding.level, finding.subject) for finding in found] == [
        ("fail", "source"),
        ("warn", "issuers"),
        ("warn", "issuers"),
    ]
    assert (found[0].next_step, found[1].next_step) == ("Correct it.", "Try again later.")
    assert "without a record of the last two weeks" in found[2].finding


def test_source_without_bars():
    """An answer without any bar is to look at."""
    source = Funds({"SPY": price_frame({})}, {s: world.records(s, [1.0] * 60, [1.0] * 60) for s in ("SPSM", "IWM")})
    assert levels(sources.source(load_settings(), NOW, source)) == ["warn", "ok", "ok"]


def test_the_genuine_client(vendor: Vendor, shipped: None):  # noqa: F811
    """Yahoo and the issuers are reached as in a run, with one request each; an outage is reported."""
    now = datetime(2026, 1, 16, 23, 30, tzinfo=UTC)
    vendor.now = now
    found = list(sources.source(load_settings(), now))
    assert [(finding.level, finding.subject) for finding in found] == [("ok", "source"), *[("ok", "issuers")] * 2]
    assert "yahoo answered for SPY: bars up to 2026-01-16." in found[0].finding
    counted = [vendor.count(part) for part in ("/v8/finance/chart/", "www.ssga.com", "www.blackrock.com")]
    assert counted == [1, 2, 1]  # State Street has its distributions in a file of their own
    vendor.fault("*", "http_500")
    vendor.issuers.fault("*", "http_500")
    found = list(sources.source(load_settings(), now))
    assert levels(found) == ["fail", "warn", "warn"]
    assert "HTTP 500" in found[0].finding


def test_files(monkeypatch, tmp_path):
    """The user's files are read as in a run: columns, symbols and latest session are shown, missing data is named."""
    monkeypatch.setenv("ROTATION_SOURCE", "files")
    (found,) = findings.guarded("source", lambda: sources.source(load_settings(), NOW))
    assert (found.level, "ROTATION_FILES is not set" in found.finding) == ("fail", True)
    monkeypatch.setenv("ROTATION_FILES", str(tmp_path))
    (found,) = findings.guarded("source", lambda: sources.source(load_settings(), NOW))
    assert "neither prices.parquet nor prices.csv" in found.finding
    head = "symbol,session,open,high,low,close,volume,dividend,split_ratio"
    rows = [f"{symbol},2024-03-{day},1,1,1,1,1,0,1" for symbol in ("SPY", "IWM") for day in (27, 28)]
    (tmp_path / "prices.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    good, missing = sources.source(load_settings(), NOW)
    assert (good.level, "2 of 3 symbols, up to 2024-03-28" in good.finding) == ("ok", True)
    assert (missing.level, "SPSM" in missing.finding) == ("warn", True)
    (tmp_path / "prices.csv").write_text("symbol,session\nSPY,2024-03-28\n", encoding="utf-8")
    (found,) = findings.guarded("source", lambda: sources.source(load_settings(), NOW))
    assert (found.level, "lacks the column open" in found.finding) == ("fail", True)


def test_a_universe_without_pairs(monkeypatch, tmp_path):
    """A universe in which no pair is followed is valid, and pointed out."""
    assert levels(sources.universe(load_settings())) == ["ok"]
    (tmp_path / "pairs.csv").unlink()
    lines = (tmp_path / "universe.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("IWM", "SPSM"))]
    (tmp_path / "universe.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no row names a benchmark"):
        list(sources.universe(load_settings()))
    kept.append(next(line for line in lines if line.startswith("SPSM")).replace("SPSM", "XYZ"))
    (tmp_path / "universe.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert load_universe(load_settings().universe).pairs == ()
    assert levels(sources.universe(load_settings())) == ["ok", "warn"]


# ---- alerts ----


def test_alert_channels(monkeypatch):
    """Channels are named by place and kind; an address that Apprise does not understand fails; no address is shown."""
    (none,) = channels.alerts(load_settings())
    assert (none.level, "`rotation alerts test`" in none.next_step) == ("warn", True)
    monkeypatch.setenv("ROTATION_ALERT_URLS", "json://me:hush@example.org a-bare-secret")
    found = list(channels.alerts(load_settings()))
    assert levels(found) == ["fail", "ok"]
    assert found[0].finding.startswith("Address 2 of ROTATION_ALERT_URLS")
    assert found[1].finding == "Channels set: 1:json."
    assert not {"hush", "secret", "example.org"} & set(str(found).replace(":", " ").replace("@", " ").split())
    assert "hush" not in str(found)
    assert "a-bare-secret" not in str(found)
    monkeypatch.setenv("ROTATION_ALERT_URLS", "json://example.org")
    monkeypatch.setenv("ROTATION_REPORT_URLS", "another-secret json://me:hush@example.org")
    found = list(channels.alerts(load_settings()))
    assert levels(found) == ["ok", "fail", "ok"]
    assert found[1].finding.startswith("Address 1 of ROTATION_REPORT_URLS")
    assert found[2].finding == "The report is sent to 2:json."
    assert "secret" not in str(found)


def test_the_deployments_asked_for_are_those_of_the_file():
    """What doctor looks for at the server is what prefect.yaml deploys there, and which of it has a schedule."""
    deployed = yaml.safe_load((Path(__file__).parents[3] / "prefect.yaml").read_text())["deployments"]
    assert [name.partition("/")[2] for name in prefect_api.DEPLOYMENTS] == [one["name"] for one in deployed]
    assert list(prefect_api.DEPLOYMENTS.values()) == ["schedules" in one for one in deployed]
    assert {one["work_pool"]["name"] for one in deployed} == {prefect_api.POOL}


# ---- Prefect ----

ID = "bc5dca74-2350-4c83-889b-4d58df7744d6"
STAMPS = {"id": ID, "created": "2024-03-28T21:30:33Z", "updated": "2024-03-28T21:30:33Z"}
#: As a server of version 3.8.8 answered, without what is of no concern here.
POOL = {**STAMPS, "name": "rotation", "type": "process", "is_paused": False, "status": "READY", "default_queue_id": ID}
WORKER = {
    **STAMPS,
    "name": "w1",
    "work_pool_id": ID,
    "last_heartbeat_time": "2024-03-28T23:44:53.541712Z",
    "heartbeat_interval_seconds": 30,
    "status": "ONLINE",
}
SCHEDULE = {
    **STAMPS,
    "deployment_id": ID,
    "schedule": {"cron": "30 18 * * 1-5", "timezone": "America/New_York", "day_or": True},
    "active": True,
}


def deployment(name: str, **values: Any) -> dict[str, Any]:
    plain = {**STAMPS, "name": name, "flow_id": ID, "paused": False, "schedules": [SCHEDULE]}
    return {**plain, "work_pool_name": "rotation", "status": "READY", **values}


FREEING = (prefect_api.FREEING, prefect_api.NEVER_STARTED)


def automation(name: str, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = automations.freeing_crashed_runs().model_dump(mode="json")
    return {**made, **STAMPS, "name": name, "enabled": True, **values}


def answers(**changed: Any) -> dict[str, Any]:
    """What the server says to each path below its API, all well unless changed; None is not found."""
    others = {f"/deployments/name/{name}": deployment(name.partition("/")[2]) for name in prefect_api.DEPLOYMENTS}
    plain = {
        "/health": True,
        "/work_pools/rotation": POOL,
        "/work_pools/rotation/workers/filter": [WORKER],
        "/deployments/name/daily-rotation/daily-rotation": deployment("daily-rotation"),
        "/deployments/name/watchdog/watchdog": deployment("watchdog"),
        "/deployments/name/resend-alerts/resend-alerts": deployment("resend-alerts", schedules=[]),
        "/automations/filter": [automation(name) for name in FREEING],
    }
    short = {"health": 0, "pool": 1, "workers": 2, "daily": 3, "watchdog": 4, "resend": 5, "automations": 6}
    return others | plain | {list(plain)[short[name]]: value for name, value in changed.items()}


@contextmanager
def server(said: dict[str, Any]) -> Iterator[str]:
    """A server on loopback that gives these answers; yields the address of its API."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = said.get(self.path.partition("?")[0].removeprefix("/api"))
            body = json.dumps({"detail": "Not Found"} if answer is None else answer).encode()
            self.send_response(404 if answer is None else 401 if answer == "refused" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/api"
        running.shutdown()


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("changed", "expected", "part"),
    [
        ({}, ["ok", "ok", "ok", "ok"], f"All {len(prefect_api.DEPLOYMENTS)} deployments exist"),
        ({"health": False}, ["fail"], "not a healthy Prefect server"),
        ({"pool": None}, ["ok", "warn"], "There is no work pool rotation"),
        ({"pool": {**POOL, "is_paused": True}}, ["ok", "warn", "ok", "ok", "ok"], "is paused"),
        ({"workers": []}, ["ok", "warn", "ok", "ok"], "No worker of the pool rotation has ever sent a heartbeat"),
        (
            {"workers": [{**WORKER, "last_heartbeat_time": "2024-03-28T23:42:00Z"}]},
            ["ok", "warn", "ok", "ok"],
            "has sent a heartbeat since 2024-03-28 23:42 UTC",
        ),
        ({"daily": None}, ["ok", "ok", "warn", "ok"], "daily-rotation/daily-rotation is missing"),
        ({"pool": "refused"}, ["ok", "warn"], "did not return its deployments (HTTP 401)"),
        ({"watchdog": deployment("watchdog", paused=True)}, ["ok", "ok", "warn", "ok"], "watchdog/watchdog is paused"),
        (
            {"daily": deployment("daily-rotation", schedules=[{**SCHEDULE, "active": False}])},
            ["ok", "ok", "warn", "ok"],
            "has no active schedule",
        ),
        ({"daily": deployment("daily-rotation", schedules=[])}, ["ok", "ok", "warn", "ok"], "has no active schedule"),
        (
            {"resend": deployment("resend-alerts", schedules=[], work_pool_name="other")},
            ["ok", "ok", "warn", "ok"],
            "uses the work pool other",
        ),
        ({"automations": []}, ["ok", "ok", "ok", "warn", "warn", "ok"], "rotation-free-pending-runs is missing"),
        (
            {"automations": [automation(name, enabled=name != prefect_api.FREEING) for name in FREEING]},
            ["ok", "ok", "ok", "warn", "ok"],
            "rotation-free-crashed-runs is disabled",
        ),
        ({}, ["ok", "ok", "ok", "ok"], "The server itself does not report late or crashed runs"),
        (
            {"automations": [automation(name) for name in (*FREEING, prefect_api.LATE, prefect_api.CRASHED)]},
            ["ok", "ok", "ok", "ok"],
            "The server reports late and crashed runs itself",
        ),
    ],
)
def test_prefect(monkeypatch, changed, expected, part):
    """With Prefect's own client: pool, worker and deployments exist, or the missing one is named with its command."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with server(answers(**changed)) as url:
        found = list(prefect_server.prefect(url, NOW))
    assert levels(found) == expected
    assert part in " ".join(finding.finding for finding in found)
    assert all(finding.next_step for finding in found if finding.level != "ok")


def test_prefect_without_a_server():
    """Without an address nothing is asked and nothing is wrong; a server that is down fails, without the password in its address."""
    assert levels(prefect_server.prefect(None, NOW)) == ["ok"]

    def down(url: str, timeout: float) -> Any:
        raise urllib.error.URLError("refused")

    (found,) = prefect_server.prefect("http://me:hush@127.0.0.1:4200/api", NOW, down)
    assert found.level == "fail"
    assert "The server at http://127.0.0.1:4200/api does not answer" in found.finding
    assert "hush" not in str(found)
    (found,) = prefect_server.prefect("127.0.0.1:4200", NOW, down)
    assert (found.level, found.finding) == ("fail", "PREFECT_API_URL is not an address.")


def test_where_the_address_of_prefect_is_found(tmp_path):
    """The environment's address wins, then that of the active profile, which `prefect config set` writes; else the result is None."""
    environ = {"PREFECT_HOME": str(tmp_path)}
    assert prefect_api.api_url(environ) is None
    (tmp_path / "profiles.toml").write_text(
        'active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://a/api"\n[profiles.b]\n', encoding="utf-8"
    )
    assert prefect_api.api_url(environ) == "http://a/api"
    assert prefect_api.api_url(environ | {"PREFECT_PROFILE": "b"}) is None
    assert prefect_api.api_url(environ | {"PREFECT_API_URL": "http://e/api"}) == "http://e/api"


@pytest.mark.long_after(0)
def test_nothing_is_changed(monkeypatch):
    """The doctor makes no file, not even the home, and leaves a warehouse as it is."""
    monkeypatch.setenv("ROTATION_SOURCE", "sample")
    before = sorted(Path().rglob("*"))
    assert not any(finding.level == "fail" for finding in checks.examine(NOW))
    assert sorted(Path().rglob("*")) == before
    run()
    settings = load_settings()
    before = sorted(settings.home.rglob("*"))
    content = settings.database_files[-1].read_bytes()
    list(checks.examine(NOW))
    assert sorted(settings.home.rglob("*")) == before
    assert settings.database_files[-1].read_bytes() == content
    with warehouse.writing(settings.build):
        pass
