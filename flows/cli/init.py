"""`rotation init`: asks for the few settings that differ from user to user, and writes a new home."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import click
from pydantic import SecretStr

from market_rotation.flows.cli.alerts import send_test
from market_rotation.flows.cli.console import err, out
from market_rotation.tasks import paths, setting_values
from market_rotation.tasks.alerts import deliver
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.operations import new_home
from market_rotation.tasks.settings import home_folder, load_settings, variable_of
from market_rotation.tasks.sources.base import check_sources
from market_rotation.tasks.universe import load_universe

QUESTION_ALERTS = "Apprise addresses for alerts, separated by spaces (not shown as you type; empty for none)"
KINDS = {
    "rotation.toml": "the settings, readable by you alone",
    "universe.csv": "the symbols to follow; edit it",
    "pairs.csv": "the pairs of a small and a large leg; edit it",
}


def write_home(home: str | None, source: str | None, files: str | None, alert_urls: str | None, yes: bool) -> None:
    """Writes a new home from the answers given as options; asks for the others, unless `yes`. Prints what to do next.

    Raises `ConfigError` for an answer that cannot be used, and `RotationError` where a channel does not accept the test message or a file
    cannot be written. Nothing is written then, and nothing is ever overwritten.
    """
    try:
        folder = _answer(home, "Folder of the warehouse", str(home_folder()), _home, yes)
        sources = _answer(source, "Source of the data", "yahoo", _source, yes)
        chosen = {"source": sources}
        if "files" in sources.split(","):
            chosen["files"] = _answer(files, "Folder of your files (see `rotation import`)", "", _files, yes)
        elif files:
            raise ConfigError(f"--files is for the source 'files', and the source is '{sources}'; leave it out.")
        if urls := _answer(alert_urls, QUESTION_ALERTS, "", _channels, yes, is_secret=True):
            chosen["alert_urls"] = urls
    except click.Abort:
        raise ConfigError(
            "Nothing was written, since a question has no answer; give --yes to take the defaults, or the answers as options."
        ) from None
    written = new_home.write(Path(folder), chosen)
    out.print("Written:")
    for path in reversed(written):
        out.print(f"  {path}  {KINDS[path.name]}", soft_wrap=True, markup=False, highlight=False)
    for name in [*chosen, "universe"]:
        if os.environ.get(variable_of(name)):
            out.print(
                f"{variable_of(name)} is set in the environment and wins over rotation.toml; unset it to use the file.",
                style="yellow",
                soft_wrap=True,
                highlight=False,
            )
    _show_next(Path(folder), chosen)


def _answer(
    given: str | None, question: str, default: str, check: Callable[[str], str], yes: bool, is_secret: bool = False
) -> str:
    """What was given as an option, or is answered to the question, after `check`; an answer that `check` refuses is asked for again."""
    if given is not None or yes:
        return check(default if given is None else given)

    def checked(answer: str) -> str:
        try:
            return check(answer)
        except RotationError as error:
            raise click.UsageError(str(error)) from None

    answer: str = click.prompt(
        question, default=default, show_default=bool(default), value_proc=checked, err=True, hide_input=is_secret
    )
    return answer


def _home(answer: str) -> str:
    return str(new_home.check(Path(answer)))


def _source(answer: str) -> str:
    try:
        return setting_values.source_order(answer)
    except ValueError as error:
        raise ConfigError(f"{error}.") from None


def _files(answer: str) -> str:
    if not answer:
        raise ConfigError("The source 'files' needs the folder of your prices.csv; give it with --files.")
    try:
        folder = paths.usable(Path(answer)).absolute()
    except ValueError as error:
        raise ConfigError(f"{answer}: {error}.") from None
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; give that of prices.csv or prices.parquet.")
    return str(folder)


def _channels(answer: str) -> str:
    """The addresses, after each accepted a test message. No message shows an address, which is secret."""
    channels = deliver.channels_of(SecretStr(answer))
    failed = {label: reason for label, reason in send_test(channels).items() if reason}
    if failed:
        label, reason = next(iter(failed.items()))
        raise RotationError(
            f"The channel {label} did not accept a test message ({reason}); correct its address, or leave it out for now."
        )
    for channel in channels:
        err.print(f"{channel.label}: a test message was sent.", highlight=False)
    return " ".join(answer.split())


def _show_next(home: Path, chosen: dict[str, str]) -> None:
    commands = ["rotation doctor", "rotation run", "rotation status"]
    if home_folder().absolute() != home:
        commands.insert(0, f"export ROTATION_HOME={shlex.quote(str(home))}")
    try:
        settings = load_settings(home=home, source=chosen["source"], files=chosen.get("files"))
        check_sources(settings, load_universe(home / "universe.csv"))
    except RotationError as error:
        out.print(f"Before the first run: {error}", style="yellow", soft_wrap=True, markup=False, highlight=False)
    out.print("Next:")
    for command in commands:
        out.print(f"  {command}", soft_wrap=True, markup=False, highlight=False)
    out.print("docs/operations.md says how to run it every evening.", highlight=False)
