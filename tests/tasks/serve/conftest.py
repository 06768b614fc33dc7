"""A server over the small warehouse, shared by the tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import serving
import world


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small warehouse; tests must not change it."""
    return world.made_once(tmp_path_factory, "served", lambda folder: serving.publish(folder / "rotation.duckdb"))


@pytest.fixture(scope="session")
def client(small_home: Path) -> Iterator[httpx.Client]:
    """A client of a server over it."""
    with serving.reader(small_home) as made:
        yield made
