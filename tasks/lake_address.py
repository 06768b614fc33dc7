"""The address of a DuckLake: where its catalog and its data files are, as `ROTATION_WAREHOUSE` and `ROTATION_LAKE_DATA` say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from market_rotation.tasks import paths

PREFIX = "ducklake:"
#: A part `name=value` of a PostgreSQL connection string.
_PART = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']+)")


@dataclass(frozen=True)
class LakeAddress:
    """A DuckLake. `catalog` is the path of a file, or a PostgreSQL connection string without its password.

    `data` is the folder or the address `s3://…/` of the data files, ending in a slash; None: where the catalog says.
    """

    kind: Literal["duckdb", "sqlite", "postgres"]
    catalog: str
    data: str | None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """For a sentence, without the password."""
        return f"{PREFIX}{'' if self.kind == 'duckdb' else f'{self.kind}:'}{self.catalog}"

    @property
    def file(self) -> Path | None:
        """The file of the catalog; None where a server holds it."""
        return None if self.kind == "postgres" else Path(self.catalog)


def is_lake(warehouse: str | None) -> bool:
    """Whether the setting names a DuckLake and not a file."""
    return bool(warehouse and warehouse.lower().startswith(PREFIX))


def parse(warehouse: str, data: str | None) -> LakeAddress:
    """The address that the two settings give. Raises `ValueError`, without the text of the address, which may hold a password."""
    rest = warehouse[len(PREFIX) :].strip()
    server = re.match(r"postgres(?:ql)?:\s*", rest, re.IGNORECASE)
    if server:
        where, password = _server(rest[server.end() :])
        return LakeAddress("postgres", where, folder(data), password)
    kind: Literal["duckdb", "sqlite"] = "sqlite" if rest.lower().startswith("sqlite:") else "duckdb"
    path = rest.removeprefix("duckdb:") if kind == "duckdb" else rest[len("sqlite:") :]
    if not path or re.match(r"\w{2,}:", path):
        raise ValueError(
            "the catalog of a DuckLake is a DuckDB file (ducklake:PATH), a SQLite file (ducklake:sqlite:PATH) or a PostgreSQL database "
            "(ducklake:postgres:dbname=… host=…)"
        )
    file = paths.usable_by_duckdb(paths.usable(paths.expanded(path).absolute()))
    return LakeAddress(kind, str(file), folder(data) or f"{file}.files/")


def _server(text: str) -> tuple[str, str | None]:
    """A PostgreSQL connection string without the password, and the password."""
    if text.startswith("//"):
        return _split_url(f"postgresql:{text}")
    if not text or _PART.sub("", text).strip():
        # libpq would report the text, which may hold the password.
        raise ValueError(
            "what follows ducklake:postgres: is not a PostgreSQL connection string; write it as dbname=NAME host=HOST user=NAME"
        )
    parts = _PART.findall(text)
    passwords = [_unquoted(value) for name, value in parts if name.lower() == "password"]
    kept = " ".join(f"{name}={value}" for name, value in parts if name.lower() != "password")
    return kept, passwords[-1] if passwords else None


def _split_url(url: str) -> tuple[str, str | None]:
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        raise ValueError("the PostgreSQL address is not a URL; write it as postgres://USER@HOST:PORT/NAME") from None
    if "password=" in parts.query.lower():
        raise ValueError(
            "the password stands in the query of the PostgreSQL address; use PGPASSWORD or a password file"
        )
    login, _, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    netloc = f"{user}@{host}" if user else host
    return urlunsplit(parts._replace(netloc=netloc)), unquote(password) if password else None


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith("'") else value


def folder(data: str | None) -> str | None:
    """The folder or the address of the data files, ending in a slash. Raises `ValueError` for another kind of store."""
    if not data:
        return None
    if re.match(r"\w{2,}://", data):
        if not data.lower().startswith("s3://"):
            raise ValueError("the data of a DuckLake lie in a folder or below an address s3://BUCKET/…")
        return data.rstrip("/") + "/"
    return f"{paths.usable_by_duckdb(paths.usable(paths.expanded(data).absolute()))}/"
