"""Writes what was understood as the files of the source `files`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from market_rotation.tasks.errors import ConfigError, RotationError
from market_rotation.tasks.importing.understand import Understood
from market_rotation.tasks.sources import files


def refuse_existing(target: Path, found: Sequence[Understood]) -> None:
    """Raises `ConfigError` where `target` already has a file of a dataset in `found`, or would have no prices."""
    datasets = {one.dataset for one in found}
    for dataset in sorted(datasets):
        if path := files.path_of(target, dataset):
            raise ConfigError(f"{path} exists; give --replace to write it again, or another folder with --to.")
    refuse_without_prices(target, found)


def refuse_without_prices(target: Path, found: Sequence[Understood]) -> None:
    """Raises `ConfigError` where neither `found` nor `target` has prices, without which the source cannot be used."""
    if all(one.dataset != "prices" for one in found) and files.path_of(target, "prices") is None:
        raise ConfigError(f"No file has prices, and {target} has none either; add them, since a run needs them.")


def write(target: Path, found: Sequence[Understood]) -> list[Path]:
    """Writes one CSV file per dataset into `target`, in place of one that is there, and returns the paths.

    Each is read back by the source itself before any file is put in place. Raises `RotationError` where that or the writing fails; then
    `target` is as before.
    """
    import pandas as pd

    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".import-") as folder:
            for dataset in dict.fromkeys(one.dataset for one in found):
                frame = pd.concat([one.frame for one in found if one.dataset == dataset], ignore_index=True)
                path = Path(folder) / f"{dataset}.csv"
                columns = [
                    name
                    for name in files.FRAMES[dataset]
                    if name in files.REQUIRED[dataset] or (name in frame and frame[name].notna().any())
                ]
                ordered = frame.sort_values(list(files.FRAMES[dataset])[:2], kind="stable")
                ordered.to_csv(path, columns=columns, index=False, date_format="%Y-%m-%d")
                files.read(path, dataset)
                written.append(path)
            for path in written:
                os.replace(path, target / path.name)
                # The source reads Parquet first.
                (target / f"{path.stem}.parquet").unlink(missing_ok=True)
    except OSError as error:
        raise RotationError(
            f"{error.filename or target} cannot be written ({error.strerror}); correct the permissions, make room, or choose another folder."
        ) from None
    return [target / path.name for path in written]
