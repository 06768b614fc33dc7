"""Adds and removes rows of the user's own universe file. The shipped universe is never changed."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from market_rotation.tasks.errors import ConfigError, UsageError
from market_rotation.tasks.universe import SHIPPED, Instrument, Universe, load_universe
from market_rotation.tasks.warehouse.files import sync

if TYPE_CHECKING:
    from market_rotation.tasks.settings import Settings

COLUMNS = tuple(Instrument.model_fields)


def own_file(settings: Settings) -> Path:
    """The file that `add` and `remove` change: ROTATION_UNIVERSE, else `universe.csv` in ROTATION_HOME, which may not exist yet.

    Raises `ConfigError` where ROTATION_UNIVERSE names the shipped file.
    """
    path = settings.universe or settings.home / "universe.csv"
    shipped = SHIPPED / "universe.csv"
    if path.exists() and path.samefile(shipped):
        raise ConfigError(
            f"ROTATION_UNIVERSE={path} is the shipped universe, which the next update replaces; copy it elsewhere and set "
            "ROTATION_UNIVERSE to the copy."
        )
    return path


def add(path: Path, rows: Sequence[Instrument]) -> Universe:
    """Appends `rows` to the file at `path`, which is made from the shipped universe where it does not exist; returns what it then holds.

    A file without the newer columns is written again with them. Raises `UsageError` for a symbol that the file has, and `ConfigError`
    where the file would not be valid; the file then stays as it was.
    """
    repeated = sorted({row.symbol for row in rows} & set(_current(path).symbols))
    if repeated:
        raise UsageError(f"{path} already has {', '.join(repeated)}; remove it first, or edit its row.")
    return _change(path, lambda text: text + _written(_header(text), rows))


def remove(path: Path, symbols: Sequence[str]) -> Universe:
    """Removes the rows of `symbols`; returns what the file then holds. Raises `UsageError` for a symbol that it does not have.

    Raises `ConfigError` where another row or a pair needs one of them; the file then stays as it was.
    """
    unknown = sorted(set(symbols) - set(_current(path).symbols))
    if unknown:
        raise UsageError(f"{path} has no {', '.join(unknown)}; `rotation universe list` shows what it has.")

    def without(text: str) -> str:
        first, *lines = text.splitlines(keepends=True)
        place = _header(text).index("symbol")
        return "".join([first, *(line for line in lines if _cell(line, place) not in symbols)])

    return _change(path, without)


def _current(path: Path) -> Universe:
    """What the file holds, or the shipped universe where there is none yet."""
    return load_universe(path if path.exists() else None)


def _put_in_place(new: Path, path: Path) -> None:
    """Replaces the file that `path` is or links to, which keeps its mode, by `new`; a power cut leaves one of the two."""
    real = path.resolve()
    if real.exists():
        shutil.copymode(real, new)
    if real.parent != new.parent.resolve():
        new = Path(shutil.move(new, real.with_name(f".{real.name}.new")))
    sync(new)
    os.replace(new, real)


def _change(path: Path, change: Callable[[str], str]) -> Universe:
    """Replaces the file at once by its changed text, after checking that it is valid."""
    source = path if path.exists() else SHIPPED / "universe.csv"
    text = source.read_text(encoding="utf-8-sig")
    if not set(COLUMNS) <= set(_header(text)):
        text = ",".join(COLUMNS) + "\n" + _written(COLUMNS, load_universe(source).instruments)
    if not text.endswith("\n"):
        text += "\n"
    # Beside the file, so that the check reads the pairs that belong to it.
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(change(text), encoding="utf-8")
        found = load_universe(new)
        _put_in_place(new, path)
    except ConfigError as error:
        raise ConfigError(f"{path} was not changed. {str(error).replace(str(new), 'It would not be valid')}") from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); correct its permissions, or set ROTATION_UNIVERSE to another file."
        ) from None
    finally:
        new.unlink(missing_ok=True)
    return found


def _header(text: str) -> list[str]:
    return [name.strip() for name in next(csv.reader(text.splitlines()[:1]))]


def _cell(line: str, place: int) -> str | None:
    cells = next(csv.reader([line]), [])
    return cells[place].strip() if place < len(cells) else None


def _written(columns: Sequence[str], rows: Sequence[Instrument]) -> str:
    """The rows as lines of CSV in the order of `columns`."""
    lines = io.StringIO()
    for row in rows:
        values = {**row.model_dump(), "in_breadth": str(row.in_breadth).lower()}
        csv.writer(lines, lineterminator="\n").writerow(
            ["" if values[name] is None else values[name] for name in columns]
        )
    return lines.getvalue()
