"""The DuckDB extensions that a lake needs: from wheels, where they are installed, else from DuckDB itself."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import duckdb

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.warehouse.derive import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CATALOGS = {"duckdb": (), "sqlite": ("sqlite_scanner",), "postgres": ("postgres_scanner",)}


def for_catalog(con: DuckDBPyConnection, address: LakeAddress) -> None:
    """Lets `con` attach the catalog of `address`. Raises `ConfigError` as `load` does."""
    load(con, "ducklake", *_CATALOGS[address.kind])


def for_data(con: DuckDBPyConnection, data: str) -> None:
    """Lets `con` read and write the data files below `data`. Raises `ConfigError` as `load` does.

    For an object store the keys and the address are those of the environment, as AWS names them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL.
    """
    if not data.startswith("s3://"):
        return
    load(con, "httpfs")
    found = os.environ.get
    endpoint = urlsplit(found("AWS_ENDPOINT_URL_S3") or found("AWS_ENDPOINT_URL") or "")
    values = {
        "key_id": found("AWS_ACCESS_KEY_ID"),
        "secret": found("AWS_SECRET_ACCESS_KEY"),
        "session_token": found("AWS_SESSION_TOKEN"),
        "region": found("AWS_REGION") or found("AWS_DEFAULT_REGION"),
        # A store of one's own is rarely reached by one host name a bucket.
        "endpoint": endpoint.netloc,
        "url_style": "path" if endpoint.netloc else None,
        "use_ssl": "false" if endpoint.scheme == "http" else None,
    }
    given = "".join(f", {name} {quoted(value)}" for name, value in values.items() if value)
    create_secret(con, "lake_data", f"type s3, scope {quoted(data)}{given}", "AWS_ACCESS_KEY_ID and the like")


def create_secret(con: DuckDBPyConnection, name: str, values: str, setting: str) -> None:
    """A secret of `con`. Raises `ConfigError` naming the `setting`; DuckDB's own message may repeat the values."""
    try:
        con.execute(f"create or replace temporary secret {name} ({values})")
    except duckdb.Error:
        raise ConfigError(f"DuckDB does not accept what {setting} says; correct it.") from None


def load(con: DuckDBPyConnection, *names: str) -> None:
    """Loads extensions. Raises `ConfigError` where one is neither installed nor can be."""
    for name in names:
        if wheel := _wheel(name):
            con.execute(f"load {quoted(str(wheel))}")
            continue
        try:
            con.execute(f"load {name}")
        except duckdb.Error:
            try:
                con.execute(f"install {name}")
                con.execute(f"load {name}")
            except duckdb.Error:
                raise ConfigError(
                    f"The DuckDB extension {name} is not installed, and DuckDB's server of extensions cannot be reached; install it with "
                    "`pip install 'market-rotation[lake]'`."
                ) from None


def _wheel(name: str) -> Path | None:
    """The extension in an installed wheel, for this version of DuckDB."""
    spec = find_spec(f"duckdb_extension_{name}")
    for folder in spec.submodule_search_locations or [] if spec else []:
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.is_file():
            return file
    return None
