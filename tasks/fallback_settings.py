"""What can be read of the settings when some of them are wrong, to record that and to send its alert."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from market_rotation.tasks import secret_files
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.settings import SECRET, Settings, home_folder, variable_of


def fallback_settings() -> Settings:
    """What can be read of the settings when some of them are wrong: those that locate the warehouse and the alert channels.

    A wrong one gets its default. They serve to record the configuration error and to send its alert.
    """
    try:
        file = tomllib.loads((home_folder() / "rotation.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        file = {}
    found: dict[str, Any] = {}
    for name in ("home", "warehouse", "lake_data", "source", "alert_urls", "ping_url", "alert_repeat_h", "base_url"):
        try:
            set_to = secret_files.read if name in SECRET else os.environ.get
            value = set_to(variable_of(name)) or file.get(name)
            if value is not None:
                found[name] = getattr(_Located.model_validate({name: value}), name)
        except (ValidationError, ConfigError):
            continue
    return Settings.model_construct(**found)


class _Located(Settings):
    """Settings without environment and file, to validate one value."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **more: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (more["init_settings"],)
