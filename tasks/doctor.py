"""What `rotation doctor` looks at, check by check. This module has what the machine itself can tell, `doctor_checks` what others must answer.

A check yields findings. Nothing is changed and nothing is sent. Each imports what it needs, so that it can also tell that this is what fails.
"""

from __future__ import annotations

import difflib
import os
import platform
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from tasks.errors import RotationError
from tasks.settings import Settings, load_settings

if TYPE_CHECKING:
    from tasks.status import Status

#: What a first run of the shipped universe needs, and what should always be left.
SPARE_BYTES = 500_000_000
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
#: Clocks of two machines that share a warehouse differ by less.
CLOCK_SLACK = timedelta(minutes=5)


class Finding(NamedTuple):
    """One line: how bad it is, what was looked at, what was found, and what to do next (empty where nothing)."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    finding: str
    next_step: str = ""


def examine(now: datetime, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """All findings at `now`, as they come. A check that breaks is a finding itself and keeps no other from being made."""
    from tasks import doctor_checks as others

    environ = os.environ if environ is None else environ
    yield from guarded("variables", lambda: variables(environ))
    settings: Settings | None = None
    try:
        settings = load_settings()
        yield from guarded("settings", lambda: read_settings(settings))
    except RotationError as error:
        yield failed("settings", error, similar_keys(environ))
    yield from guarded("python", dependencies)
    yield from guarded("network", lambda: network(environ))
    if settings is None:
        yield Finding("warn", "the rest", "Not checked, as it depends on the settings.", "Correct them first.")
        yield from guarded("prefect", lambda: others.prefect(others.api_url(environ), now))
        return
    yield from guarded("home", lambda: home(settings))
    yield from guarded("disk", lambda: disk(settings))
    yield from guarded("warehouse", lambda: published(settings, now))
    state: list[Status] = []
    yield from guarded("last run", lambda: last_run(settings, now, state))
    yield from guarded("clock", lambda: clock(now, state[0] if state else None))
    yield from guarded("universe", lambda: others.universe(settings))
    yield from guarded("source", lambda: others.source(settings, now))
    yield from guarded("alerts", lambda: others.alerts(settings))
    yield from guarded("prefect", lambda: others.prefect(others.api_url(environ), now))


def guarded(subject: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of `check`; its error is the last one."""
    try:
        yield from check()
    except RotationError as error:
        yield failed(subject, error)
    except Exception as error:
        # Only its kind: what an unforeseen error says may hold an address with its password.
        yield Finding("fail", subject, f"The check itself broke ({type(error).__name__}).", "Report it with this line.")


def failed(subject: str, error: RotationError, next_step: str = "") -> Finding:
    """An expected failure as a finding; its sentence says what to do after its last semicolon."""
    what, _, remedy = str(error).rpartition("; ")
    remedy = f"{remedy[:1].upper()}{remedy[1:]}"
    return Finding("fail", subject, f"{what}." if what else remedy, next_step or (remedy if what else ""))


def variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Environment variables that look like settings and are none: they would be ignored without a word. No value is shown."""
    known = _variables()
    found = 0
    for name in sorted(environ):
        if name.upper() in known:
            found += 1
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
        if near or name.upper().startswith("ROTATION_"):
            guess = near or difflib.get_close_matches(name.upper(), known, n=1, cutoff=0)
            yield Finding(
                "warn", "variables", f"{name} is no setting and is ignored.", f"Did you mean {guess[0]}? Else unset it."
            )
    yield Finding("ok", "variables", f"Settings from the environment: {found}.")


def read_settings(settings: Settings) -> Iterator[Finding]:
    """Which settings are in force, and from where."""
    file = _toml()
    read = f"{file} is read" if file.is_file() else f"there is no {file}, and none is needed"
    yield Finding("ok", "settings", f"Source '{settings.source}', home {settings.home}; {read}.")
    if settings.fault and settings.source != "sample":
        yield Finding(
            "warn", "settings", "ROTATION_FAULT is set, which only the source 'sample' heeds.", "Unset ROTATION_FAULT."
        )


def similar_keys(environ: Mapping[str, str]) -> str:
    """For each unknown key of `rotation.toml` the setting whose name is nearest, as a question; empty where all are known."""
    file = Path(environ.get("ROTATION_HOME") or "warehouse").expanduser() / "rotation.toml"
    try:
        keys = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ""
    fields = list(Settings.model_fields)
    unknown = [(key, difflib.get_close_matches(key, fields, n=1, cutoff=0.6)) for key in keys if key not in fields]
    return " ".join(f"Did you mean {near[0]} by {key}?" for key, near in unknown if near)


def dependencies() -> Iterator[Finding]:
    """Python and the installed libraries against the bounds that the project states."""
    from importlib.metadata import PackageNotFoundError, metadata, requires, version

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    again = "Install the project again, with requirements.lock."
    try:
        wanted = [Requirement(text) for text in requires("market-rotation") or []]
        pythons = SpecifierSet(metadata("market-rotation")["Requires-Python"] or "")
    except PackageNotFoundError:
        yield Finding("warn", "python", "market-rotation is not installed, so its bounds are not known.", again)
        return
    wrong = [] if pythons.contains(platform.python_version()) else [f"Python {platform.python_version()} ({pythons})"]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in wanted:
        try:
            held = version(one.name)
        except PackageNotFoundError:
            held = None
        if held is None or not one.specifier.contains(held, prereleases=True):
            wrong.append(f"{one.name} {held or 'is missing'} ({one.specifier})")
    if wrong:
        yield Finding("fail", "python", f"Outside its bounds: {', '.join(wrong)}.", again)
    else:
        yield Finding(
            "ok", "python", f"Python {platform.python_version()}; {len(wanted)} libraries are within their bounds."
        )


def network(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The files with CA certificates and the proxy that the environment names. A proxy's password is not shown."""
    told = []
    for name in [name for name in CA_VARIABLES if environ.get(name)]:
        if not os.access(environ[name], os.R_OK) or not Path(environ[name]).is_file():
            yield Finding(
                "fail",
                "network",
                f"{name} names {environ[name]}, which is no file that can be read.",
                "Correct it, or unset it.",
            )
        else:
            told.append(name)
    for name in [name for name in PROXY_VARIABLES if environ.get(name)]:
        try:
            parts = urlsplit(environ[name] if "://" in environ[name] else f"http://{environ[name]}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host:
            told.append(f"{name} ({host}{f':{port}' if port else ''})")
        else:
            yield Finding(
                "fail", "network", f"{name} is no address of a proxy.", "Write it as http://host:port, or unset it."
            )
    yield Finding("ok", "network", f"In use: {', '.join(told)}." if told else "No proxy and no CA file of its own.")


def home(settings: Settings) -> Iterator[Finding]:
    """Whether the folders that a run writes to can be written."""
    for folder in dict.fromkeys([settings.home, settings.published.parent]):
        there = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield Finding(
                "fail",
                "home",
                f"Nothing can be written to {there} ({error.strerror}).",
                "Correct its permissions, or set ROTATION_HOME to another folder.",
            )
        else:
            yield Finding("ok", "home", f"{folder} {'can be written' if there == folder else 'will be made'}.")


def disk(settings: Settings, free_bytes: int | None = None) -> Iterator[Finding]:
    """Whether there is room for one more copy of the warehouse, which publishing makes."""
    if free_bytes is None:
        free_bytes = shutil.disk_usage(_nearest(settings.published.parent)).free
    sizes = [path.stat().st_size for path in (settings.build, settings.published) if path.is_file()]
    copy = max(sizes, default=0)
    takes = f"the warehouse takes {_size(sum(sizes))}, and {_size(copy)} more while it is published"
    told = f"{_size(free_bytes)} free; {takes if sizes else 'there is no warehouse yet'}."
    room = f"Make room, or set ROTATION_HOME to another disk; {_size(2 * copy + SPARE_BYTES)} is plenty."
    if free_bytes < copy:
        yield Finding("fail", "disk", told, room)
    elif free_bytes < 2 * copy + SPARE_BYTES:
        yield Finding("warn", "disk", told, room)
    else:
        yield Finding("ok", "disk", told)


def published(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Whether the published file opens, what it holds, whose code made it, and whether somebody is writing."""
    from tasks import ledger, status, warehouse

    if held := status.holder(settings.build, now):
        since = f" since {held.since:%Y-%m-%d %H:%M} UTC" if held.since else ""
        yield Finding(
            "warn",
            "warehouse",
            f"{settings.build} is being written{since} by process {held.process or 'of another machine'}.",
            "Wait until that run ends; if it hangs, end that process: nothing of it is published.",
        )
    if not settings.published.is_file():
        yield Finding(
            "warn", "warehouse", f"There is none at {settings.published} yet.", "Make it with `rotation run`."
        )
        return
    with warehouse.reading(settings.published) as con:
        code = con.execute("select code_version from ops.runs where published order by run_id desc limit 1").fetchone()
        sources = [name for (name,) in con.execute("select distinct source from raw.prices order by all").fetchall()]
    if sources and ("sample" in sources) != (settings.source == "sample"):
        kind = "simulated" if "sample" in sources else "real"
        yield Finding(
            "fail",
            "warehouse",
            f"{settings.published} holds {kind} prices and the source is '{settings.source}'.",
            "Set ROTATION_HOME to another folder, or ROTATION_SOURCE to the source it was made from.",
        )
    held_words = "simulated prices" if "sample" in sources else "real prices" if sources else "no prices yet"
    same = code is not None and code[0] == ledger.code_version()
    derived = "derived by this version" if same else "the next run derives it anew, with this version"
    yield Finding(
        "ok", "warehouse", f"{settings.published} opens read-only: {held_words}{f', {derived}' if code else ''}."
    )


def last_run(settings: Settings, now: datetime, into: list[Status]) -> Iterator[Finding]:
    """What `rotation status` calls a problem; the status goes `into` the list, for the checks after this one."""
    from tasks import status

    if not settings.published.is_file():
        return
    state = status.read(settings, now)
    into.append(state)
    for problem in state.problems:
        # A session that is missing is what the next run brings; all else wants a person.
        stale = problem.startswith(("Stale", "Nothing was ever"))
        what, _, remedy = problem.rpartition("; ")
        step = f"{remedy[:1].upper()}{remedy[1:]}" if what and stale else "See `rotation status`, then `rotation run`."
        yield Finding("warn" if stale else "fail", "last run", f"{what}." if what and stale else problem, step)
    if not state.problems and state.last_run:
        prices = state.freshness[0]
        yield Finding(
            "ok",
            "last run",
            f"{state.last_run.status.replace('_', ' ').capitalize()} at {state.last_run.started_at:%Y-%m-%d %H:%M} UTC; "
            f"prices up to {prices.latest_session}, {prices.expected_session} is due.",
        )
    if state.incidents:
        titles = "; ".join(incident.title for incident in state.incidents[:3])
        yield Finding(
            "warn", "last run", f"{len(state.incidents)} incidents are open: {titles}.", "See `rotation status`."
        )


def clock(now: datetime, state: Status | None) -> Iterator[Finding]:
    """Whether the clock can be right, and New York's time is known."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        local = now.astimezone(ZoneInfo("America/New_York"))
    except ZoneInfoNotFoundError:
        yield Finding(
            "fail", "clock", "The time zone America/New_York is not known here.", "Install tzdata (pip install tzdata)."
        )
        return
    told = f"It is {now:%Y-%m-%d %H:%M} UTC, {local:%H:%M} in New York"
    if state and state.last_run and state.last_run.started_at > now + CLOCK_SLACK:
        yield Finding(
            "fail",
            "clock",
            f"{told}, but the last run started at {state.last_run.started_at:%Y-%m-%d %H:%M} UTC.",
            "Set the clock, or let it follow a time server.",
        )
    else:
        yield Finding("ok", "clock", f"{told}.")


def _variables() -> list[str]:
    return [f"ROTATION_{name.upper()}" for name in Settings.model_fields]


def _toml() -> Path:
    return Path(os.environ.get("ROTATION_HOME") or "warehouse").expanduser() / "rotation.toml"


def _nearest(folder: Path) -> Path:
    """`folder`, or of those above it the nearest that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
