"""Settings: the environment (`ROTATION_…`), then `rotation.toml` beside the warehouse, then the defaults."""

from __future__ import annotations

import os
import reprlib
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from market_rotation.tasks import lake_address, paths, secret_files, setting_values
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.lake_address import LakeAddress

LocalPath = Annotated[Path, AfterValidator(paths.usable)]

#: Settings whose values are never shown.
SECRET = ("alert_urls", "report_urls", "ping_url")
#: Settings that may hold a password: a wrong value is not repeated in the message about it.
NOT_REPEATED = (*SECRET, "warehouse")


class _Secrets(PydanticBaseSettingsSource):
    """The secret settings; see `market_rotation.tasks.secret_files`."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return (secret_files.read(variable_of(field_name)) if field_name in SECRET else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """One run's settings. Field `x` is the variable `ROTATION_X` and the key `x` of `rotation.toml`."""

    model_config = SettingsConfigDict(env_prefix="ROTATION_", extra="forbid", env_ignore_empty=True, frozen=True)

    home: Annotated[LocalPath, AfterValidator(paths.usable_by_duckdb)] = Field(
        default=Path("warehouse"), description="Folder of the warehouse, the reports and everything else a run writes."
    )
    warehouse: Annotated[str | None, AfterValidator(setting_values.warehouse)] = Field(
        default=None,
        # It may hold a password.
        repr=False,
        description="The published warehouse: a DuckDB file, or a DuckLake as `ducklake:PATH`, `ducklake:sqlite:PATH` or "
        "`ducklake:postgres:dbname=… host=…`, see [DuckLake](ducklake.md); empty: `rotation.duckdb` in `ROTATION_HOME`.",
    )
    lake_data: Annotated[str | None, AfterValidator(lake_address.folder)] = Field(
        default=None,
        description="Where a DuckLake keeps its data files: a folder, or `s3://BUCKET/…`; empty: where its catalog says, or for a new catalog in "
        "a file, the folder `PATH.files` beside it.",
    )
    lake_keep_days: int = Field(
        default=90,
        ge=1,
        description="Days for which `rotation maintain` keeps the snapshots of a DuckLake that `rotation sql --as-of` reads.",
    )
    source: Annotated[str, AfterValidator(setting_values.source_order)] = Field(
        default="yahoo",
        description="Source of the data: `yahoo`, `tiingo`, `eodhd`, `issuers`, `files`, `sample` (simulated) or any "
        "installed plug-in; several in order, separated by commas, as in `yahoo,tiingo`: what the first cannot give, the next gives.",
    )
    files: LocalPath | None = Field(default=None, description="Folder that the source `files` reads.")
    universe: LocalPath | None = Field(
        default=None,
        description="CSV file of the symbols to follow; empty: the shipped universe. A `pairs.csv` beside it is read with it.",
    )
    fault: str | None = Field(
        default=None,
        description="Fault injection at the simulated vendor, as `bad-tick` or `bad-tick:SPY`, for demonstrations.",
    )
    alert_urls: SecretStr = Field(
        default=SecretStr(""),
        description="[Apprise addresses](https://appriseit.com/services/) that receive alerts, separated by spaces. Secret.",
    )
    ping_url: SecretStr = Field(
        default=SecretStr(""),
        description="Address of a dead man's switch, such as a check of [healthchecks.io](https://healthchecks.io), called when a run begins "
        "(`/start`), ends well, and ends badly (`/fail`, with the message). Secret.",
    )
    memory_limit: Annotated[str | None, AfterValidator(setting_values.memory)] = Field(
        default=None,
        description="The memory that DuckDB may use in a run or a rebuild, such as `2GB`. Much of what needs more is written to the disk meanwhile, into "
        "`build.duckdb.tmp`; some is not, and then the run ends and says so. The shipped universe needs 1.5 GB for 21 years. Python and its libraries take some "
        "400 MB beside it. Empty: four fifths of the machine's memory.",
    )
    report: bool = Field(default=True, description="Whether each run writes the report of its session.")
    base_url: Annotated[str, AfterValidator(setting_values.address)] = Field(
        default="",
        description="Address at which a web server serves `ROTATION_HOME`'s folders `reports/` and `data_docs/`, such as "
        "`https://rotation.example.com`; alerts and Prefect's pages then link to them.",
    )
    report_urls: SecretStr = Field(
        default=SecretStr(""),
        description="Apprise addresses that receive the report's summary and picture once a session. Secret.",
    )
    alert_repeat_h: float = Field(
        default=24.0, gt=0, description="Hours between two alerts about the same open incident, at least."
    )
    alert_on: Annotated[str, AfterValidator(setting_values.kinds_of_change)] = Field(
        default="label,state",
        description="Changes of `signals.verdict_changes` to alert on: `label`, `state`, `verdict`, separated by commas; `none` for none.",
    )
    rules: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Alert rules of your own, one table `[rules.identifier]` each; in `rotation.toml` only.",
    )
    history_start: Annotated[date, BeforeValidator(setting_values.iso_day)] = Field(
        default=date(2005, 1, 3), description="First session to fetch."
    )
    extra_closures: Annotated[
        tuple[Annotated[date, BeforeValidator(setting_values.iso_day)], ...],
        NoDecode,
        BeforeValidator(setting_values.listed),
    ] = Field(
        default=(),
        description="Days on which the exchange was closed although the installed calendar has a session, separated by commas, "
        "as in `2025-01-09`; `rotation closures accept` records one such day in the warehouse.",
    )
    earnings_constituents: int = Field(
        default=300,
        ge=0,
        description="Largest number of companies of SPSM, and of SPY, whose estimates are requested once a week; the largest companies "
        "that hold 60 % of the fund are.",
    )
    fetch_timeout_s: float = Field(default=20.0, gt=0, description="Seconds to wait for one response of a vendor.")
    fetch_attempts: int = Field(default=4, ge=1, description="Attempts per symbol.")
    fetch_wait_s: float = Field(
        default=1.0,
        ge=0,
        description="Seconds before the second attempt; doubled for each further attempt, with random jitter.",
    )
    fetch_deadline_s: float = Field(default=600.0, gt=0, description="Seconds for all requests of a run together.")
    fetch_batch: int = Field(
        default=0,
        ge=0,
        description="Symbols per flow run of the deployment `fetch` that a backfill hands out to Prefect's workers, see "
        "[Operations](operations.md#fetch-over-several-workers); 0, or without a Prefect server: the run fetches them itself.",
    )
    requests_per_minute: int = Field(
        default=0,
        ge=0,
        description="Requests per minute to each remote source, of one dataset of one symbol each, in all processes that use one Prefect server; "
        "without a server, in this process; 0: no limit. A limit may need a longer `ROTATION_FETCH_DEADLINE_S`.",
    )
    tiingo_requests_per_hour: int = Field(
        default=50, ge=1, description="Requests per hour that your Tiingo plan allows; the default is the free plan's."
    )
    tiingo_requests_per_day: int = Field(
        default=1000, ge=1, description="Requests per day that your Tiingo plan allows; the default is the free plan's."
    )
    eodhd_requests_per_day: int = Field(
        default=100_000,
        ge=1,
        description="Requests per day that your EODHD plan allows; the default is the cheapest paid plan's.",
    )
    reconcile_symbols: int = Field(
        default=20,
        ge=0,
        description="Number of symbols, in turn, whose prices each run also requests from a second source of `ROTATION_SOURCE`, to compare "
        "them; 0: none.",
    )
    fetch_retries: int = Field(
        default=0,
        ge=0,
        description="Times that a deployed run fetches a batch again, minutes later, when the vendor was unavailable for "
        "all of it. `prefect.yaml` sets it for deployments.",
    )
    wait_s: float = Field(
        default=900.0, ge=0, description="Seconds that a run waits for another run that is writing the warehouse."
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **more: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, home_folder() / "rotation.toml")
        return more["init_settings"], more["env_settings"], _Secrets(settings_cls), toml

    @property
    def sources(self) -> tuple[str, ...]:
        """The names in `source`, in order."""
        return tuple(self.source.split(","))

    @property
    def alert_changes(self) -> tuple[str, ...]:
        """The kinds of change that are alerted."""
        return tuple(name for name in self.alert_on.split(",") if name != "none")

    @property
    def published(self) -> Path | LakeAddress:
        """What readers open: a file, or a DuckLake."""
        if self.warehouse and lake_address.is_lake(self.warehouse):
            return lake_address.parse(self.warehouse, self.lake_data)
        return paths.expanded(self.warehouse) if self.warehouse else self.home / "rotation.duckdb"

    @property
    def build(self) -> Path:
        """The pipeline's private database, beside the published file so that replacing it is one atomic rename; of a DuckLake, this machine's."""
        published = self.published
        if isinstance(published, LakeAddress) or not self.warehouse:
            return self.home / "build.duckdb"
        return published.with_suffix(".build.duckdb")

    @property
    def database_files(self) -> tuple[Path, ...]:
        """The database files that may lie on this machine: the build database, and what readers open or the catalog of it."""
        published = self.published
        file = published.file if isinstance(published, LakeAddress) else published
        return (self.build, file) if file else (self.build,)

    @property
    def reports(self) -> Path:
        """The folder of the reports."""
        return self.home / "reports"

    @property
    def cache(self) -> Path:
        """The folder of answers that are cached until a run ends; see `market_rotation.tasks.sources.cache`."""
        return self.home / "fetched"

    @property
    def alert_repeat(self) -> timedelta:
        """The shortest time between two alerts about one open incident."""
        return timedelta(hours=self.alert_repeat_h)

    def address_of(self, page: str) -> str | None:
        """The address of a page of `ROTATION_HOME`, such as `data_docs/index.html`; None without ROTATION_BASE_URL."""
        return f"{self.base_url}/{page}" if self.base_url else None

    def files_folder(self) -> Path:
        """The folder of the `files` source. Raises `ConfigError` when it is not set or not there."""
        if self.files is None:
            raise ConfigError(
                "The source is 'files' but ROTATION_FILES is not set; set it to the folder of prices.csv."
            )
        if not self.files.is_dir():
            raise ConfigError(
                f"ROTATION_FILES={self.files} is not a folder; set it to the folder of prices.parquet or .csv."
            )
        return self.files


def load_settings(**overrides: Any) -> Settings:
    """The settings in force; `overrides` (not None) beat the environment. Raises `ConfigError` naming the setting."""
    file = home_folder() / "rotation.toml"
    try:
        paths.refuse_other_than_file(file)
        settings = Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        # The value of an unknown key may be a secret under a misspelt name.
        shown = (
            f" (it is {reprlib.repr(str(first['input']))})"
            if name in Settings.model_fields and name not in NOT_REPEATED
            else ""
        )
        message = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"{file}: {name} is not a setting{setting_values.nearest(name, Settings.model_fields)}; correct it or remove it."
            ) from None
        where = name if overrides.get(name) is not None else _where(name)
        raise ConfigError(f"{where}: {message}{shown}; correct it or remove it.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML in UTF-8 ({error}); correct it.") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise ConfigError(
            f"{file} cannot be read ({reason}); correct it or its permissions, or set ROTATION_HOME to another folder."
        ) from None
    published = settings.published
    if isinstance(published, LakeAddress):
        return settings
    try:
        paths.usable_by_duckdb(paths.usable(published))
    except ValueError as error:
        raise ConfigError(f"{published}: {error}. ROTATION_HOME or ROTATION_WAREHOUSE sets it.") from None
    return settings


def unknown_variables() -> list[str]:
    """One sentence for each variable `ROTATION_…` of the environment that is not a setting, with the nearest that is one."""
    known = {variable_of(name) for name in Settings.model_fields} | {f"{variable_of(name)}_FILE" for name in SECRET}
    unknown = sorted(name for name in os.environ if name.upper().startswith("ROTATION_") and name.upper() not in known)
    return [
        f"{name} is not a setting and has no effect{setting_values.nearest(name, Settings.model_fields)}."
        for name in unknown
    ]


def home_folder() -> Path:
    """ROTATION_HOME, which says where `rotation.toml` is."""
    return paths.expanded(os.environ.get("ROTATION_HOME") or "warehouse")


def variable_of(name: str) -> str:
    """The environment variable of the setting `name`."""
    return f"ROTATION_{name.upper()}"


def _where(name: str) -> str:
    named = variable_of(name)
    return named if os.environ.get(named) else f"{home_folder() / 'rotation.toml'}, {name}"
