"""`rotation import`: shows what it understood of a folder of CSV files, asks what they do not say, and writes the files of the source `files`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from market_rotation.flows.cli.console import err, out
from market_rotation.tasks import wording
from market_rotation.tasks.errors import ConfigError, UsageError
from market_rotation.tasks.importing import prices, units, write
from market_rotation.tasks.importing.questions import Asked, Question
from market_rotation.tasks.importing.understand import Understood, understand
from market_rotation.tasks.settings import Settings, load_settings
from market_rotation.tasks.universe import load_universe

#: The answers that `--take` accepts, by question.
ANSWERS = {
    "closes": tuple(prices.CLOSES),
    "dividends": tuple(prices.DIVIDENDS),
    "dates": ("month-first", "day-first"),
    "expense_ratio": tuple(units.UNITS),
}
MOST_SYMBOLS_SHOWN = 8


def import_folder(folder: Path, to: Path | None, take: Sequence[str], replace: bool, yes: bool) -> None:
    """Imports `folder` into `to` (default: ROTATION_FILES, else `files` in ROTATION_HOME) after the user agreed, and prints what to do next.

    Raises `ConfigError` for a file that cannot be understood, an open question with `yes`, or a target that must not be replaced.
    """
    settings = load_settings()
    target = (to or settings.files or settings.home / "files").absolute()
    answers = _given(take)
    found, unread = _understood(folder, answers, yes)
    if target == folder.absolute():
        raise UsageError(f"{target} is the folder that is imported; give another one with --to.")
    if replace:
        write.refuse_without_prices(target, found)
    else:
        write.refuse_existing(target, found)
    for one in found:
        _show(one)
    if unread:
        out.print(
            f"Not read: {', '.join(path.name for path in unread)} (save tables as CSV).",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
    _show_universe(found, settings)
    if not yes and not _agreed(f"Write this into {target}?"):
        err.print("Nothing was written.", highlight=False)
        raise SystemExit(1)
    for path in write.write(target, found):
        out.print(f"written  {path}", soft_wrap=True, markup=False, highlight=False)
    _show_next(target, settings)


def _given(take: Sequence[str]) -> dict[str, str]:
    answers = {}
    for text in take:
        key, _, answer = text.partition("=")
        if answer not in ANSWERS.get(key, ()):
            known = "; ".join(f"{key}={'|'.join(choices)}" for key, choices in ANSWERS.items())
            raise UsageError(f"--take {text} is not an answer; the answers are {known}.")
        answers[key] = answer
    return answers


def _understood(folder: Path, answers: dict[str, str], yes: bool) -> tuple[list[Understood], list[Path]]:
    """What the folder holds; each question is asked once for all files, unless `yes`."""
    while True:
        try:
            return understand(folder, answers)
        except Asked as asked:
            if yes:
                raise
            answers[asked.question.key] = _ask(asked.question)


def _ask(question: Question) -> str:
    err.print(question.text, soft_wrap=True, markup=False, highlight=False)
    for answer, meaning in question.choices.items():
        err.print(f"  {answer}: {meaning}", soft_wrap=True, markup=False, highlight=False)
    try:
        chosen: str = click.prompt("Your answer, for all files", type=click.Choice(list(question.choices)), err=True)
    except click.Abort:
        raise ConfigError(question.sentence()) from None
    return chosen


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        raise ConfigError(
            "Nothing was written, since nobody answered; give --yes to import without being asked."
        ) from None


def _show(one: Understood) -> None:
    symbols = one.symbols
    listed = ", ".join(symbols[:MOST_SYMBOLS_SHOWN]) + (", …" if len(symbols) > MOST_SYMBOLS_SHOWN else "")
    days = one.frame.iloc[:, 1]
    out.print(f"{one.path.name}: {one.dataset} ({one.vendor})", style="bold", soft_wrap=True, markup=False)
    lines = [
        f"{wording.count(len(one.frame), 'row')} of {wording.count(len(symbols), 'symbol')} ({listed}), {_date(days.min())} to {_date(days.max())}",
        "columns: " + ", ".join(f"{meaning} = {name}" for meaning, name in one.columns.items()),
        *([f"not used: {', '.join(one.ignored)}"] if one.ignored else []),
        *one.notes,
    ]
    for line in lines:
        out.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)


def _date(day: object) -> str:
    return str(day)[: len("YYYY-MM-DD")]


def _show_universe(found: Sequence[Understood], settings: Settings) -> None:
    """Names what the universe and the prices lack of each other: a run needs prices of every symbol of the universe."""
    imported = {symbol for one in found if one.dataset == "prices" for symbol in one.symbols}
    if not imported:
        return
    wanted = set(load_universe(settings.universe).symbols)
    for words, symbols in (
        ("Without prices, though in the universe", wanted - imported),
        ("Not in the universe, so not used", imported - wanted),
    ):
        if symbols:
            out.print(f"{words}: {', '.join(sorted(symbols))}.", style="yellow", soft_wrap=True, highlight=False)


def _show_next(target: Path, settings: Settings) -> None:
    out.print("Next:")
    if settings.source != "files" or settings.files is None or settings.files.absolute() != target:
        export = f"export ROTATION_SOURCE=files ROTATION_FILES={shlex.quote(str(target))}"
        out.print(f"  {export}", soft_wrap=True, markup=False, highlight=False)
    for command in ("rotation doctor", "rotation run"):
        out.print(f"  {command}", highlight=False)
