"""The wheel as a user gets it: built from this repository, and installed outside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from world import REPOSITORY


def build(target: str, folder: Path, source: Path = REPOSITORY) -> Path:
    """The `wheel` or `sdist` of `source`, built into `folder` without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def install(wheel: Path, folder: Path) -> None:
    """Installs `wheel` alone into `folder`, with its commands in `folder/bin`; what it depends on is that of this environment."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Compiled by the installer, each process starts sooner.
    command += ["--no-deps", "--no-index", "--compile", "--target", str(folder), str(wheel)]
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    done = subprocess.run(command, env=kept, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def unpack(sdist: Path, folder: Path) -> Path:
    """The folder of the project in `sdist`, unpacked below `folder`."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (project,) = folder.iterdir()
    return project


def content(wheel: Path) -> dict[str, bytes]:
    """What each file in `wheel` holds, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
