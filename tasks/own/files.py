"""The user's own SQL files: `$ROTATION_HOME/sql/signals/*.sql`, one table each, and `$ROTATION_HOME/expectations/*.sql`.

A signal is one `select` from tables and macros of `core` and `signals`, so that `rotation rebuild` can derive it again from `raw`. No file
can take the name of a table or expectation of the project. A file with a fault is skipped with a sentence; it never stops a run.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from market_rotation.tasks import headers
from market_rotation.tasks.audit import generated, suites
from market_rotation.tasks.audit.expectations import Suite, parse
from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.warehouse.models import SQL, Model, models, read

#: The schemas that a signal may read.
READABLE = ("core", "signals", "fn")
#: Table functions that compute their rows and read nothing.
COMPUTING = ("range", "generate_series", "unnest")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file. `file` is its path below the home folder, `what` one sentence or more with the remedy."""

    file: str
    what: str


def check_names(home: Path) -> None:
    """Raises `ConfigError` for a file with the name of one of the project's tables, or in a folder that is not read."""
    ours = {model.name for model in models()}
    for path in _signal_files(home):
        if f"signals.{path.stem.lower()}" in ours:
            raise ConfigError(
                f"{path} has the name of signals.{path.stem.lower()}, which cannot be replaced; rename the file."
            )
    folder = home / "sql"
    if folder.resolve() != SQL.resolve():
        for path in sorted(folder.glob("*/*.sql")):
            if path.parent.name != "signals":
                raise ConfigError(
                    f"{path} is not read, since only signals can be added; move it to {folder / 'signals'}."
                )


def fingerprint(home: Path) -> str:
    """Eight hexadecimal digits that change when any of the user's files does; empty where there are none."""
    files = [*_signal_files(home), *_expectation_files(home)]
    if not files:
        return ""
    texts = [f"{path.parent.name}/{path.name}\0".encode() + _content(path) for path in files]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:8]


def signals(home: Path) -> tuple[list[Model], list[Fault]]:
    """The user's signals, each after those it reads, and one fault for each file that cannot be derived."""
    found: dict[str, Model] = {}
    faults: list[Fault] = []
    for path in _signal_files(home):
        try:
            model = read(path)
            _check(model)
        except (RotationError, OSError, UnicodeDecodeError) as error:
            faults.append(Fault(_below(home, path), str(error)))
        else:
            found[model.name] = model
    broken = {f"signals.{Path(fault.file).stem}" for fault in faults}
    known = {model.name for model in models()} | found.keys() | broken
    for model in [m for m in found.values() if m.reads - known]:
        faults.append(Fault(_below(home, model.path), _missing(model, known)))
        del found[model.name]
    try:
        order = [*TopologicalSorter({n: sorted(m.reads & found.keys()) for n, m in found.items()}).static_order()]
    except CycleError as error:
        names = " -> ".join(error.args[1])
        faults += [
            Fault(
                _below(home, found[name].path),
                f"The files read each other in a cycle: {names}; remove one of the references.",
            )
            for name in dict.fromkeys(error.args[1])
        ]
        return [], faults
    return [found[name] for name in order], faults


def expectations(home: Path, own: list[Model]) -> tuple[list[tuple[str, Suite]], list[Fault]]:
    """A suite for each file of expectations, with the file's path below the home folder, and one fault for each that cannot be read.

    A signal whose header has a `grain:` has a suite even without a file: no two rows share the grain.
    """
    by_name = {model.name: model for model in own}
    found: list[tuple[str, Suite]] = []
    for model in own:
        if follows := generated.of_model(model):
            found.append(
                (_below(home, model.path), Suite(model.name, model.name, "what follows from its header.", follows))
            )
    faults = []
    for path in _expectation_files(home):
        try:
            found.append((_below(home, path), _suite(path, by_name)))
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            faults.append(Fault(_below(home, path), str(error)))
    return found, faults


def _suite(path: Path, own: dict[str, Model]) -> Suite:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    match = re.match(r"-- ((?:core|signals)\.\w+):", first)
    if not match:
        raise ConfigError(
            f"{path}, line 1: the header does not name a table; begin with `-- signals.name: what the table holds`."
        )
    table = match[1]
    derived = {model.name for model in models() if model.kind == "derived"}
    if table not in derived | own.keys():
        raise ConfigError(f"{path}, line 1: there is no table {table}; {_similar(table, derived | own.keys())}.")
    written = parse(path, table)
    ours = suites.load(table).expectations if table in suites.names() else ()
    if taken := {e.id for e in ours} & {e.id for e in written.expectations}:
        raise ConfigError(
            f"{path}: the expectation {min(taken)} of {table} cannot be replaced; give yours another identifier."
        )
    return Suite(table, table, written.about, written.expectations)


def _check(model: Model) -> None:
    """Raises `RotationError` unless `model` is one `select` from `core` and `signals`."""
    import sqlglot
    from sqlglot import exp

    if not headers.is_identifier(model.path.stem):
        raise RotationError(
            f"{model.path}: the name is not an identifier; use lower-case letters, digits and underscores."
        )
    if model.kind != "derived" or len(model.statements) != 1:
        raise RotationError(f"{model.path} is not one `select`; write the query of one table.")
    if model.variables:
        raise RotationError(
            f"{model.path} reads the variable {min(model.variables)!r}; a signal has rows for all sessions, so it needs none."
        )
    (tree,) = [
        tree for tree in sqlglot.parse(model.path.read_text(encoding="utf-8"), read="duckdb") if tree is not None
    ]
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        schema, name = table.db.lower(), table.name.lower()
        is_function = not isinstance(table.this, exp.Identifier)
        if schema in READABLE or (not schema and name in named):
            continue
        if is_function and not schema and _function(table.this) in COMPUTING:
            continue
        written = f"{_function(table.this)}()" if is_function else ".".join(part for part in (schema, name) if part)
        raise RotationError(
            f"{model.path} reads {written}; a signal reads tables and macros of core and signals alone, by their full names, such as core.prices."
        )


def _function(expression: object) -> str:
    """The name of a function as it is written."""
    from sqlglot import exp

    if isinstance(expression, exp.GenerateSeries):
        return "generate_series"
    if isinstance(expression, exp.Anonymous):
        return str(expression.name).lower()
    return str(expression.sql_name()).lower() if isinstance(expression, exp.Func) else str(expression)


def _missing(model: Model, known: set[str]) -> str:
    name = min(model.reads - known)
    return f"{model.path} reads {name}, which does not exist; {_similar(name, known)}."


def _similar(name: str, known: set[str]) -> str:
    readable = [other for other in known if other.split(".")[0] in READABLE]
    near = get_close_matches(name, readable, 1)
    return f"did you mean {near[0]}" if near else '`rotation sql "show all tables"` lists the tables'


def _signal_files(home: Path) -> list[Path]:
    folder = home / "sql" / "signals"
    # A home that is a checkout of the project.
    return [] if folder.resolve() == (SQL / "signals").resolve() else sorted(folder.glob("*.sql"))


def _expectation_files(home: Path) -> list[Path]:
    return sorted((home / "expectations").glob("*.sql"))


def _below(home: Path, path: Path) -> str:
    return path.relative_to(home).as_posix()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return str(error.errno).encode()
