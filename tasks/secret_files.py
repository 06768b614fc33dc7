"""Secrets: the value of a variable, or the text of the file that `<variable>_FILE` names, as Docker and Kubernetes mount secrets."""

from __future__ import annotations

import os
from pathlib import Path

from market_rotation.tasks.errors import ConfigError


def read(variable: str) -> str | None:
    """The secret in `variable`, or in the file that `<variable>_FILE` names; None when neither is set or both are empty.

    Raises `ConfigError` when the file cannot be read.
    """
    if value := os.environ.get(variable, "").strip():
        return value
    path = os.environ.get(f"{variable}_FILE")
    if not path:
        return None
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip() or None
    except RuntimeError:
        raise ConfigError(
            f"{variable}_FILE={path} names a home that does not exist; correct the path or unset it."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{variable}_FILE={path} cannot be read ({reason}); correct the path or unset it.") from None
