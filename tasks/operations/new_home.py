"""A new home: `rotation.toml` with every setting explained, and the universe and its pairs to edit."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from market_rotation.tasks import paths
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.settings import Settings
from market_rotation.tasks.universe import SHIPPED

#: What a new home gets. The settings come last: they name the other two.
FILES = ("universe.csv", "pairs.csv", "rotation.toml")
#: `home` says where the file is, `fault` is for demonstrations, and `rules` are tables; see docs/own-signals.md.
LEFT_OUT = ("home", "fault", "rules")

HEAD = """\
# Settings of market-rotation for the warehouse in this folder, which ROTATION_HOME names. An environment variable ROTATION_… of the same name wins.
# A line that begins with "# name =" shows the default; remove the # to set it. `rotation doctor` checks the settings.
"""
UNIVERSE = (
    "A copy of the shipped universe, with pairs.csv beside it. Remove the setting to follow the shipped one, which a new version may "
    "extend."
)
LINE = 118


def check(home: Path) -> Path:
    """The absolute path of `home`. Raises `ConfigError` where it cannot be a home, or already holds one of `FILES`."""
    try:
        found = paths.usable_by_duckdb(paths.usable(home)).absolute()
    except ValueError as error:
        raise ConfigError(f"{home}: {error}.") from None
    if found.exists() and not found.is_dir():
        raise ConfigError(f"{found} is not a folder; choose another one for the warehouse.")
    if present := [name for name in FILES if os.path.lexists(found / name)]:
        raise ConfigError(
            f"{found} already has {', '.join(present)}, and nothing is overwritten; edit what is there, or choose another folder."
        )
    return found


def write(home: Path, chosen: Mapping[str, str]) -> list[Path]:
    """Writes `FILES` into `home` and returns their paths; `chosen` are values of settings by name.

    The settings may hold secrets, so only their owner can read them. Raises `ConfigError` as `check` does, and `RotationError` where a file
    cannot be written; then none is left.
    """
    home = check(home)
    settings = toml({**chosen, "universe": str(home / "universe.csv")})
    written: list[Path] = []
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            content = settings.encode() if name == "rotation.toml" else (SHIPPED / name).read_bytes()
            mode = 0o600 if name == "rotation.toml" else 0o644
            with os.fdopen(os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                written.append(home / name)
                file.write(content)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise RotationError(
            f"{error.filename or home} cannot be written ({error.strerror}); nothing is left there. Correct the permissions, make room, or "
            "choose another folder."
        ) from None
    return written


def toml(chosen: Mapping[str, str]) -> str:
    """The text of a `rotation.toml` that sets what is in `chosen` and shows every other setting with its default, as a comment."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        if name in LEFT_OUT:
            continue
        words = UNIVERSE if name == "universe" else _plain(field.description or "")
        value = f"{name} = {_literal(chosen[name])}" if name in chosen else f"# {name} = {_literal(field.default)}"
        parts.append("\n".join([*(f"# {line}" for line in textwrap.wrap(words, LINE)), value, ""]))
    return "\n".join(parts)


def _plain(description: str) -> str:
    """A description without the links of Markdown: `[text](address)` becomes `text (address)`."""
    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"\1 (\2)", description)


def _literal(value: object) -> str:
    """`value` as TOML writes it; JSON writes texts, numbers, truth values and lists of them alike."""
    if value is None or (isinstance(value, SecretStr) and not value.get_secret_value()):
        return '"…"'
    if isinstance(value, str | bool | int | float | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
