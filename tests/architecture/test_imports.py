"""How the modules depend on each other: no import circles, a ground that depends on nothing, modules of one screenful or few."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from world import REPOSITORY

PACKAGE = "market_rotation"
#: What everything may import, and what imports nothing else of the project.
GROUND = frozenset(
    f"{PACKAGE}.tasks.{name}"
    for name in (
        "errors",
        "settings",
        "setting_values",
        "fallback_settings",
        "calendar",
        "universe",
        "datasets",
        "issuers",
        "wording",
        "secret_files",
        "paths",
        "lake_address",
    )
)

MOST_LINES = 260
#: Longer modules that have one purpose, and the reason.
LONG = {
    "flows.cli.main": "one declaration a command, so that --help imports one small module",
    "tasks.report.charts.bars": "one function a bar chart",
    "tasks.sources.simulated.faults": "one function a fault, and the table of them",
    "tasks.settings": "one field a setting",
    "tasks.run.pipeline": "the one sequence of a run, a function a step",
    "tasks.sources.simulated.prices": "one simulation, step by step",
    "tasks.sources.simulated.source": "one source, a method a dataset",
}


@cache
def modules() -> dict[str, Path]:
    """The files of the project's modules and packages by name, as installed."""
    found = {}
    for path in [*(REPOSITORY / "flows").rglob("*.py"), *(REPOSITORY / "tasks").rglob("*.py")]:
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join((PACKAGE, *parts)).removesuffix(".__init__")] = path
    return found


def imported(tree: ast.AST, late: bool) -> Iterator[str]:
    """The project's modules that `tree` imports when it runs; with `late`, those too that its functions import when called."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{a.name}" if f"{module}.{a.name}" in modules() else module for a in names)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
                yield from imported(ast.Module(orelse, []), late)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not late:
                continue
            case _:
                yield from imported(node, late)


@cache
def dependencies(late: bool) -> dict[str, set[str]]:
    """What each module imports of the project."""
    found = {}
    for name, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name] = {other for other in imported(tree, late) if other in modules()} - {name}
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one import cycle in `graph`, in order; empty without a cycle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_circle() -> None:
    """Among what modules import when they are imported, there is no circle."""
    assert circle(dependencies(late=False)) == []


def test_no_circle_hidden_in_functions() -> None:
    """An import inside a function saves time; it does not hide a circle."""
    assert circle(dependencies(late=True)) == []


def test_a_circle_would_be_found() -> None:
    """The tests above see a circle where there is one, and what functions import."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    tree = ast.parse(f"from {PACKAGE}.tasks import errors\ndef late():\n    from {PACKAGE}.tasks import settings\n")
    assert list(imported(tree, late=False)) == [f"{PACKAGE}.tasks.errors"]
    assert list(imported(tree, late=True)) == [f"{PACKAGE}.tasks.errors", f"{PACKAGE}.tasks.settings"]


@pytest.mark.parametrize("module", sorted(GROUND))
def test_the_ground_imports_nothing_else(module: str) -> None:
    """Errors, settings, calendar, universe and datasets import only each other."""
    assert dependencies(late=True)[module] <= GROUND


def test_stages_do_not_import_flows() -> None:
    """`tasks` works without Prefect: no module of it imports `flows`."""
    below = {name: others for name, others in dependencies(late=True).items() if name.startswith(f"{PACKAGE}.tasks")}
    assert len(below) > 50
    found = {name: {o for o in others if o.startswith(f"{PACKAGE}.flows")} for name, others in below.items()}
    assert {name for name, others in found.items() if others} == set()


def test_modules_are_short() -> None:
    """A module of more than 260 lines is two things; the exceptions have their reasons and are still needed."""
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    long = {name.removeprefix(f"{PACKAGE}."): n for name, n in lines.items() if n > MOST_LINES}
    assert {name: n for name, n in long.items() if name not in LONG} == {}
    assert LONG.keys() - long.keys() == set(), "These are short now; take them off LONG."


def test_help_answers_at_once() -> None:
    """`rotation --help` takes less than half a second of processor time, which other work on the machine does not lengthen."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", PACKAGE, "--help"]
        done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "Usage: rotation" in done.stdout
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5
