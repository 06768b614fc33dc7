"""Checks of the universe and of its data: the sources, the issuers, the user's files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.operations.doctor.findings import Finding, failed
from market_rotation.tasks.setting_values import SIMULATED

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings
    from market_rotation.tasks.universe import Universe

#: Seconds to wait for one response; three times as many for an issuer's file.
TIMEOUT_S = 5.0


def universe(settings: Settings) -> Iterator[Finding]:
    """Whether the universe and its pairs are valid."""
    from market_rotation.tasks.sources.simulated.faults import parse_fault
    from market_rotation.tasks.universe import load_universe

    members = load_universe(settings.universe)
    if settings.fault:
        parse_fault(settings.fault, members)
    where = settings.universe or "the shipped one"
    yield Finding("ok", "universe", f"{len(members.instruments)} symbols, {len(members.pairs)} pairs ({where}).")
    if not members.pairs:
        yield Finding(
            "warn",
            "universe",
            "The universe has no pair, so there is no small-against-large signal.",
            f"Add a pairs.csv beside {where}.",
        )


def installed_sources(settings: Settings) -> Iterator[Finding]:
    """The installed sources with their packages, and which of them are used."""
    from market_rotation.tasks.sources.base import installed

    packages: dict[str, list[str]] = {}
    for name, package in installed().items():
        packages.setdefault(package, []).append(name)
    listed = "; ".join(f"{', '.join(names)} ({package})" for package, names in packages.items())
    yield Finding("ok", "sources", f"Installed: {listed}. Used: {', '.join(settings.sources)}.")


def source(settings: Settings, now: datetime, vendor: Any = None) -> Iterator[Finding]:
    """Whether each source returns usable data; `vendor` replaces the configured sources."""
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
    """Requests the last days of one symbol, the most frequent benchmark."""
    symbol = next(i.benchmark for i in members.instruments if i.benchmark)
    bars = vendor.prices(symbol, now.date() - timedelta(days=10), now.date())
    if bars.empty:
        yield Finding(
            "warn",
            "source",
            f"{vendor.name} answered for {symbol}, but without a bar of the last ten days.",
            "Check whether the symbol is still listed.",
        )
    else:
        yield Finding(
            "ok", "source", f"{vendor.name} answered for {symbol}: bars up to {bars['session'].max():%Y-%m-%d}."
        )


def issuers_answer(vendor: Any, members: Universe, now: datetime) -> Iterator[Finding]:
    """Requests one fund's file from each issuer, the one with the shortest history."""
    from market_rotation.tasks.issuers import ISSUERS, publisher

    for issuer in (name for name, issuer in ISSUERS.items() if issuer.share_count):
        funds = [i for i in members.instruments if i.issuer == issuer and publisher(i)]
        if not funds:
            continue
        fund = max(funds, key=lambda i: i.inception or now.date())
        try:
            rows = vendor.fund_nav(fund.symbol, now.date() - timedelta(days=14), now.date())
        except RotationError as error:
            # Only a warning: prices do not depend on the issuer, and the fund's flows stay NULL until it answers.
            yield failed("issuers", error)._replace(level="warn")
            continue
        if rows.empty:
            yield Finding(
                "warn",
                "issuers",
                f"{issuer} answered for {fund.symbol}, but without a record of the last two weeks.",
                "Check the issuer's page; until then the fund's flows are NULL.",
            )
        else:
            newest = f"{rows['session'].max():%Y-%m-%d}"
            yield Finding("ok", "issuers", f"{issuer} answered for {fund.symbol}: records up to {newest}.")


def _files(settings: Settings, members: Universe, now: datetime) -> Iterator[Finding]:
    """Reads the user's files as a run does, with columns and types checked."""
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
        yield Finding(
            "fail",
            "source",
            f"The prices in {folder} contain no symbol of the universe.",
            "Add the universe's symbols to the file.",
        )
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
            f"They have no row for {', '.join(missing[:5])}{' and others' if len(missing) > 5 else ''}.",
            "Add them, or remove the symbols from the universe.",
        )
