"""Checks of the settings and of the machine: variables, rotation.toml, installed libraries, proxy and certificates."""

from __future__ import annotations

import difflib
import os
import platform
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from market_rotation.tasks import paths
from market_rotation.tasks.operations.doctor.findings import Finding
from market_rotation.tasks.settings import Settings

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Environment variables that look like settings but are not. No value is shown."""
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
                "warn",
                "variables",
                f"{name} is not a setting and is ignored.",
                f"Did you mean {guess[0]}? Otherwise unset it.",
            )
    yield Finding("ok", "variables", f"Settings from the environment: {found}.")


def read_settings(settings: Settings) -> Iterator[Finding]:
    """The effective settings, and where they come from."""
    file = _toml()
    read = f"{file} is read" if file.is_file() else f"there is no {file}; it is optional"
    yield Finding("ok", "settings", f"Source '{settings.source}', home {settings.home}; {read}.")
    if settings.fault and settings.source != "sample":
        yield Finding(
            "warn", "settings", "ROTATION_FAULT is set, which only the source 'sample' uses.", "Unset ROTATION_FAULT."
        )


def similar_keys(environ: Mapping[str, str]) -> str:
    """For each unknown key of `rotation.toml`, a question with the nearest setting; empty when all keys are known."""
    file = paths.expanded(environ.get("ROTATION_HOME") or "warehouse") / "rotation.toml"
    try:
        keys = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ""
    fields = list(Settings.model_fields)
    unknown = [(key, difflib.get_close_matches(key, fields, n=1, cutoff=0.6)) for key in keys if key not in fields]
    return " ".join(f"Did you mean {near[0]} instead of {key}?" for key, near in unknown if near)


def dependencies() -> Iterator[Finding]:
    """Whether Python and the installed libraries are within the project's version bounds."""
    from importlib.metadata import PackageNotFoundError, metadata, requires, version

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    again = "Install the project again with requirements.lock."
    try:
        wanted = [Requirement(text) for text in requires("market-rotation") or []]
        pythons = SpecifierSet(metadata("market-rotation")["Requires-Python"] or "")
    except PackageNotFoundError:
        yield Finding("warn", "python", "market-rotation is not installed, so its version bounds are not known.", again)
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
        yield Finding("fail", "python", f"Outside the version bounds: {', '.join(wrong)}.", again)
    else:
        yield Finding(
            "ok",
            "python",
            f"Python {platform.python_version()}; {len(wanted)} libraries are within their version bounds.",
        )


def network(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The CA certificates and the proxy set in the environment. A proxy's password is not shown."""
    used = []
    for name in [name for name in CA_VARIABLES if environ.get(name)]:
        if not os.access(environ[name], os.R_OK) or not Path(environ[name]).is_file():
            yield Finding(
                "fail",
                "network",
                f"{name} names {environ[name]}, which is not a readable file.",
                "Correct it, or unset it.",
            )
        else:
            used.append(name)
    for name in [name for name in PROXY_VARIABLES if environ.get(name)]:
        try:
            parts = urlsplit(environ[name] if "://" in environ[name] else f"http://{environ[name]}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host:
            used.append(f"{name} ({host}{f':{port}' if port else ''})")
        else:
            yield Finding(
                "fail",
                "network",
                f"{name} is not the address of a proxy.",
                "Write it as http://host:port, or unset it.",
            )
    yield Finding("ok", "network", f"In use: {', '.join(used)}." if used else "No proxy and no CA file is set.")


def _variables() -> list[str]:
    return [f"ROTATION_{name.upper()}" for name in Settings.model_fields]


def _toml() -> Path:
    return paths.expanded(os.environ.get("ROTATION_HOME") or "warehouse") / "rotation.toml"
