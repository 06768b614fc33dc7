"""The checks of `rotation doctor` that others must answer: the universe's files, the source, the issuers, the alert channels, Prefect."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.doctor.findings import Finding, failed
from market_rotation.tasks.operations.prefect_api import DEPLOYMENTS, POOL
from market_rotation.tasks.settings import SIMULATED

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.universe import Universe

#: How long one answer is waited for; a file of an issuer, three times as long.
TIMEOUT_S = 5.0
#: A worker says every 30 seconds that it is there.
WORKER_SILENT = timedelta(minutes=2)


def universe(settings: Settings) -> Iterator[Finding]:
    """Whether the universe and its pairs are valid."""
    from market_rotation.tasks.sources.simulated.faults import check
    from market_rotation.tasks.universe import load_universe

    members = load_universe(settings.universe)
    if settings.fault:
        check(settings.fault, members)
    where = settings.universe or "the one shipped"
    yield Finding("ok", "universe", f"{len(members.instruments)} symbols, {len(members.pairs)} pairs ({where}).")
    if not members.pairs:
        yield Finding(
            "warn",
            "universe",
            "No pair is followed, so there is no small-against-large signal.",
            f"Add a pairs.csv beside {where}.",
        )


def sources(settings: Settings) -> Iterator[Finding]:
    """Which sources are installed, by which package each, and which are used."""
    from market_rotation.tasks.sources.base import installed

    packages: dict[str, list[str]] = {}
    for name, package in installed().items():
        packages.setdefault(package, []).append(name)
    listed = "; ".join(f"{', '.join(names)} ({package})" for package, names in packages.items())
    yield Finding("ok", "sources", f"Installed: {listed}. Used: {', '.join(settings.sources)}.")


def source(settings: Settings, now: datetime, vendor: Any = None) -> Iterator[Finding]:
    """Whether each source gives what a run requests of it; `vendor` takes the place of those that the settings name."""
    from market_rotation.tasks import calendar
    from market_rotation.tasks.sources.base import SourceContext, open_each
    from market_rotation.tasks.universe import load_universe

    if settings.source == SIMULATED:
        yield Finding("ok", "source", "The simulated market is used, which needs no network.")
        return
    members = load_universe(settings.universe)
    if settings.source == "files":
        yield from _files(settings, members, now)
        return
    if vendor is not None:
        opened = [vendor]
    else:
        quick = settings.model_copy(update={"fetch_timeout_s": min(settings.fetch_timeout_s, TIMEOUT_S)})
        days = calendar.load(members.first_day(settings.history_start), now.date())
        opened = open_each(SourceContext(quick, days, members, now))
    for found in opened:
        if hasattr(found, "prices"):
            try:
                yield from vendor_answers(found, members, now)
            except RotationError as error:
                yield failed("source", error)
        if getattr(found, "reads_issuers", vendor is not None):
            yield from issuers_answer(found, members, now)


def vendor_answers(vendor: Any, members: Universe, now: datetime) -> Iterator[Finding]:
    """Requests the last days of one symbol, the benchmark of most others."""
    symbol = next(i.benchmark for i in members.instruments if i.benchmark)
    bars = vendor.prices(symbol, now.date() - timedelta(days=10), now.date())
    if bars.empty:
        yield Finding(
            "warn",
            "source",
            f"{vendor.name} answered for {symbol}, but with no bar of the last ten days.",
            "Look whether the symbol is still listed.",
        )
    else:
        yield Finding(
            "ok", "source", f"{vendor.name} answered for {symbol}: bars up to {bars['session'].max():%Y-%m-%d}."
        )


def issuers_answer(vendor: Any, members: Universe, now: datetime) -> Iterator[Finding]:
    """Requests one fund's file of each issuer, the one with the shortest history."""
    from market_rotation.tasks.datasets import DAILY_ISSUERS

    for issuer in DAILY_ISSUERS:
        funds = [i for i in members.instruments if i.issuer == issuer and i.issuer_id]
        if not funds:
            continue
        fund = max(funds, key=lambda i: i.inception or now.date())
        try:
            rows = vendor.fund_nav(fund.symbol, now.date() - timedelta(days=14), now.date())
        except RotationError as error:
            # Prices do without; the fund's flows stay NULL until it answers.
            yield failed("issuers", error)._replace(level="warn")
            continue
        if rows.empty:
            yield Finding(
                "warn",
                "issuers",
                f"{issuer} answered for {fund.symbol}, but with no record of the last two weeks.",
                "Look at its page; its flows are NULL meanwhile.",
            )
        else:
            newest = f"{rows['session'].max():%Y-%m-%d}"
            yield Finding("ok", "issuers", f"{issuer} answered for {fund.symbol}: records up to {newest}.")


def alerts(settings: Settings) -> Iterator[Finding]:
    """Whether there are channels whose addresses Apprise understands. Nothing is sent, and no address is shown."""
    from market_rotation.tasks.alerts import deliver

    if not settings.alert_urls.get_secret_value().split():
        yield Finding(
            "warn",
            "alerts",
            "No channel is set, so nobody is told when a run fails.",
            "Set ROTATION_ALERT_URLS to Apprise addresses, then `rotation alerts test`.",
        )
    asked = {"ROTATION_ALERT_URLS": settings.alert_urls, "ROTATION_REPORT_URLS": settings.report_urls}
    for variable, urls in asked.items():
        channels = deliver.channels_of(urls)
        for channel in [channel for channel in channels if channel.plugin is None]:
            yield Finding(
                "fail",
                "alerts",
                f"Address {channel.label.partition(':')[0]} of {variable} is none that Apprise understands.",
                "Correct it: addresses are separated by blanks (https://appriseit.com/services/).",
            )
        good = [channel.label for channel in channels if channel.plugin is not None]
        if good and variable == "ROTATION_ALERT_URLS":
            yield Finding("ok", "alerts", f"{', '.join(good)} set.", "`rotation alerts test` sends a message to each.")
        elif good:
            yield Finding("ok", "alerts", f"The report goes to {', '.join(good)}.")


def prefect(url: str | None, now: datetime, opener: Callable[..., Any] = urllib.request.urlopen) -> Iterator[Finding]:
    """Whether Prefect's server, where one is set, answers and has all that the schedule needs."""
    if not url:
        yield Finding("ok", "prefect", "No server is set; runs by hand or by cron need none.")
        return
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    up = "Start it (`prefect server start`), or unset PREFECT_API_URL."
    if parts.scheme not in ("http", "https"):
        yield Finding("fail", "prefect", "PREFECT_API_URL is no address.", "Write it as http://127.0.0.1:4200/api.")
        return
    try:
        with opener(f"{url.rstrip('/')}/health", timeout=TIMEOUT_S) as answer:
            healthy = answer.read(100).strip() == b"true"
    except (OSError, ValueError) as error:
        local = parts.hostname in ("127.0.0.1", "localhost") and any(
            os.environ.get(n) for n in ("HTTP_PROXY", "http_proxy")
        )
        step = f"{up} Behind a proxy, put its host into NO_PROXY." if local else up
        yield Finding("fail", "prefect", f"The server at {shown} does not answer ({type(error).__name__}).", step)
        return
    if not healthy:
        yield Finding("fail", "prefect", f"What answers at {shown} is no healthy server of Prefect.", up)
        return
    yield Finding("ok", "prefect", f"The server at {shown} answers.")
    from httpx import HTTPStatusError

    try:
        yield from _scheduled(url, now)
    except HTTPStatusError as error:
        code = error.response.status_code
        step = (
            "Set PREFECT_API_KEY or PREFECT_API_AUTH_STRING."
            if code in (401, 403)
            else "Ask again; else look at its log."
        )
        yield Finding("warn", "prefect", f"The server refused to say what is scheduled (HTTP {code}).", step)


def _scheduled(url: str, now: datetime) -> Iterator[Finding]:
    """Work pool, worker and deployments, as Prefect's own client tells them."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    deploy = "Deploy anew: `rotation deploy`."
    # A server on SQLite may say once or twice that its database is locked.
    quick = temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 2})
    with quick, get_client(httpx_settings={"timeout": TIMEOUT_S}, sync_client=True) as client:
        try:
            pool = client.read_work_pool(POOL)
        except ObjectNotFound:
            create = "`rotation deploy` makes it, and all else."
            yield Finding("warn", "prefect", f"There is no work pool {POOL}, so nothing is scheduled.", create)
            return
        heard = [w.last_heartbeat_time for w in client.read_workers_for_work_pool(POOL) if w.last_heartbeat_time]
        newest = max(heard, default=None)
        if pool.is_paused:
            resume = f"`prefect work-pool resume {POOL}`."
            yield Finding("warn", "prefect", f"The work pool {POOL} is paused, so nothing is run.", resume)
        if newest is None or now - newest > WORKER_SILENT:
            when = f"was heard since {newest:%Y-%m-%d %H:%M} UTC" if newest else "was ever heard"
            start = f"Start one, and keep it up: `prefect worker start --pool {POOL}`."
            yield Finding("warn", "prefect", f"No worker of the pool {POOL} {when}; runs will be late.", start)
        else:
            yield Finding("ok", "prefect", f"A worker of the pool {POOL} was heard at {newest:%H:%M} UTC.")
        wrong = False
        for name, scheduled in DEPLOYMENTS.items():
            told = None
            try:
                found = client.read_deployment_by_name(name)
            except ObjectNotFound:
                told = "is not there"
            else:
                if found.work_pool_name != POOL:
                    told = f"uses the work pool {found.work_pool_name}, not {POOL}"
                elif found.paused or (scheduled and not any(schedule.active for schedule in found.schedules)):
                    told = "is paused, or has no active schedule"
            if told:
                wrong = True
                yield Finding("warn", "prefect", f"The deployment {name} {told}.", deploy)
        if not wrong:
            yield Finding("ok", "prefect", f"{len(DEPLOYMENTS)} deployments are there, and their schedules are active.")


def _files(settings: Settings, members: Universe, now: datetime) -> Iterator[Finding]:
    """Reads the user's files as a run does, columns and types included."""
    from market_rotation.tasks.errors import SymbolNotFound
    from market_rotation.tasks.sources.files import FilesSource

    folder = settings.files_folder()
    files = FilesSource(folder)
    missing, newest = [], []
    for symbol in members.symbols:
        try:
            bars = files.prices(symbol, settings.history_start, now.date())
        except SymbolNotFound:
            missing.append(symbol)
            continue
        newest += [bars["session"].max()] if len(bars) else []
    if not newest:
        yield Finding("fail", "source", f"The prices in {folder} are of no symbol of the universe.", "Put them there.")
        return
    yield Finding(
        "ok",
        "source",
        f"The prices in {folder} are readable: {len(newest)} of {len(members.symbols)} symbols, up to {max(newest):%Y-%m-%d}.",
    )
    if missing:
        yield Finding(
            "warn",
            "source",
            f"They have no row of {', '.join(missing[:5])}{' and others' if len(missing) > 5 else ''}.",
            "Add them, or drop the symbols from the universe.",
        )
