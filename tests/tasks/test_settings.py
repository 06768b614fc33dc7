"""Settings: which place wins, what is refused and in which words, and that alert URLs are never shown."""

from __future__ import annotations

import traceback
from datetime import date
from pathlib import Path

import pytest

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.fallback_settings import fallback_settings
from market_rotation.tasks.lake_address import LakeAddress
from market_rotation.tasks.settings import load_settings, unknown_variables

SECRET = "slack://token-4711@channel"  # noqa: S105


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that ROTATION_HOME names."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("ROTATION_HOME", str(folder))
    return folder


def toml(home: Path, text: str) -> None:
    (home / "rotation.toml").write_text(text, encoding="utf-8")


def refused(*parts: str, **overrides: object) -> str:
    """The message of the ConfigError that loading raises: one line, one sentence, with all of `parts`."""
    with pytest.raises(ConfigError) as caught:
        load_settings(**overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message
    for part in parts:
        assert part in message
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in message + repr(caught.value) + shown
    return message


def test_defaults():
    """With nothing set, the defaults of the contract hold, relative to the current folder."""
    settings = load_settings()
    assert settings.home == Path("warehouse")
    assert settings.published == Path("warehouse/rotation.duckdb")
    assert settings.build == Path("warehouse/build.duckdb")
    assert (settings.source, settings.files, settings.universe) == ("yahoo", None, None)
    assert settings.history_start == date(2005, 1, 3)
    assert settings.alert_urls.get_secret_value() == ""


@pytest.mark.parametrize(
    ("file", "variable", "argument", "expected"),
    [
        (None, None, None, "yahoo"),
        ("files", None, None, "files"),
        ("files", "sample", None, "sample"),
        (None, "sample", None, "sample"),
        ("files", "", None, "files"),
        ("files", "sample", "yahoo", "yahoo"),
    ],
)
def test_precedence(home, monkeypatch, file, variable, argument, expected):
    """An argument beats the environment, which beats rotation.toml, which beats the default; an empty variable is none."""
    if file:
        toml(home, f'source = "{file}"\n')
    if variable is not None:
        monkeypatch.setenv("ROTATION_SOURCE", variable)
    assert load_settings(source=argument).source == expected


def test_each_setting_has_its_own_precedence(home, monkeypatch):
    """A variable beats the same key of rotation.toml and leaves the other keys of the file in force."""
    toml(home, 'source = "sample"\nhistory_start = 2010-01-04\nuniverse = "mine.csv"\n')
    monkeypatch.setenv("ROTATION_HISTORY_START", "2015-01-02")
    settings = load_settings()
    assert (settings.source, settings.history_start) == ("sample", date(2015, 1, 2))
    assert settings.universe == Path("mine.csv")


def test_rotation_toml_is_that_of_the_default_home(tmp_path):
    """Without ROTATION_HOME the file is read from ./warehouse."""
    (tmp_path / "warehouse").mkdir()
    toml(tmp_path / "warehouse", 'source = "sample"\n')
    assert load_settings().source == "sample"


def test_rotation_toml_elsewhere_is_not_read(home, tmp_path):
    """A rotation.toml in the current folder has no effect when ROTATION_HOME is another one."""
    toml(tmp_path, 'source = "sample"\n')
    assert load_settings().source == "yahoo"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('sorce = "sample"', ["rotation.toml", "sorce"]),
        ('[settings]\nsource = "sample"', ["rotation.toml", "settings"]),
        ('source = "bloomberg"', ["rotation.toml", "source", "files, issuers, sample", "bloomberg"]),
        ('history_start = "soon"', ["rotation.toml", "history_start", "soon"]),
        ("history_start = 20050103", ["rotation.toml", "history_start", "20050103", "write it as 2005-01-03"]),
        ('history_start = "20050103"', ["rotation.toml", "history_start", "20050103", "write it as 2005-01-03"]),
        ('extra_closures = ["20250109"]', ["rotation.toml", "extra_closures", "20250109", "write it as 2005-01-03"]),
        ("history_start = 2010-13-01", ["rotation.toml", "not valid TOML", "line 1"]),
        ('source = "sample"\nfiles = \n', ["rotation.toml", "not valid TOML", "line 2"]),
        ("fetch_attempts = 0", ["rotation.toml", "fetch_attempts"]),
        ("fetch_timeout_s = -1", ["rotation.toml", "fetch_timeout_s"]),
    ],
)
def test_a_fault_in_rotation_toml_is_one_sentence(home, text, parts):
    """What is wrong in rotation.toml is said in one sentence that names the file and the key or line."""
    toml(home, text)
    refused(str(home / "rotation.toml"), *parts)


def test_rotation_toml_that_is_not_utf8(home):
    """A rotation.toml in another encoding is a ConfigError that names the file."""
    (home / "rotation.toml").write_bytes('universe = "Börse.csv"\n'.encode("latin-1"))
    refused(str(home / "rotation.toml"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROTATION_SOURCE", "bloomberg"),
        ("ROTATION_HISTORY_START", "2005-02-30"),
        ("ROTATION_HISTORY_START", "soon"),
        ("ROTATION_FETCH_ATTEMPTS", "many"),
        ("ROTATION_FETCH_DEADLINE_S", "0"),
    ],
)
def test_a_fault_in_a_variable_is_one_sentence(home, monkeypatch, name, value):
    """What is wrong in the environment is said in one sentence that names the variable and shows its value."""
    monkeypatch.setenv(name, value)
    refused(name, repr(value))


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("yahoo", ("yahoo",)),
        ("tiingo,issuers", ("tiingo", "issuers")),
        (" yahoo , tiingo,eodhd ", ("yahoo", "tiingo", "eodhd")),
    ],
)
def test_sources_are_a_list_in_order(home, monkeypatch, value, names):
    """ROTATION_SOURCE is one installed source or several in order, whatever the blanks."""
    monkeypatch.setenv("ROTATION_SOURCE", value)
    settings = load_settings()
    assert settings.sources == names
    assert settings.source == ",".join(names)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (
            "yahoo,bloomberg",
            "no source 'bloomberg' is installed; the installed sources are eodhd, files, issuers, sample, tiingo, yahoo",
        ),
        ("Yahoo", "no source 'Yahoo' is installed"),
        ("yahoo,", "no source '' is installed"),
        ("yahoo tiingo", "no source 'yahoo tiingo' is installed"),
        ("yahoo,tiingo,yahoo", "the source 'yahoo' is listed twice"),
        ("sample,yahoo", "simulated and real prices are never mixed"),
    ],
)
def test_a_list_of_sources_that_cannot_be(home, monkeypatch, value, part):
    """An unknown, repeated or mixed source is one sentence; given as a parameter, no setting is blamed."""
    monkeypatch.setenv("ROTATION_SOURCE", value)
    refused("ROTATION_SOURCE", part, repr(value))
    monkeypatch.delenv("ROTATION_SOURCE")
    assert "rotation.toml" not in refused("source: ", part, source=value)


def test_the_variable_at_fault_is_named_and_not_the_file(home, monkeypatch):
    """Where both the file and the environment set a key, the wrong one in force is named."""
    toml(home, 'source = "sample"\n')
    monkeypatch.setenv("ROTATION_SOURCE", "bloomberg")
    assert "rotation.toml" not in refused("ROTATION_SOURCE")


def test_an_empty_variable_is_not_blamed_for_the_file(home, monkeypatch):
    """An empty variable counts as not set, so a fault of the file is reported with the file."""
    toml(home, 'source = "bloomberg"\n')
    monkeypatch.setenv("ROTATION_SOURCE", "")
    refused(str(home / "rotation.toml"))


def test_alert_urls_are_read_and_never_shown(home, monkeypatch):
    """The alert URLs are usable, and neither in str, repr nor a dump of the settings."""
    monkeypatch.setenv("ROTATION_ALERT_URLS", SECRET)
    settings = load_settings()
    assert settings.alert_urls.get_secret_value() == SECRET
    for shown in (str(settings), repr(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "text",
    [
        f'alert_urls = ["{SECRET}"]',
        f"alert_urls = {SECRET}",
        f'alert_urls = "{SECRET}"\nsource = "bloomberg"',
        f'alert_urls = "{SECRET}"\nalert_urls = "{SECRET}"',
        f'alert_url = "{SECRET}"',
        f'[alerts]\nurls = "{SECRET}"',
    ],
)
def test_no_error_shows_an_alert_url(home, text):
    """No message about rotation.toml carries the alert URLs, not even when the key itself is misspelled."""
    toml(home, text)
    refused("rotation.toml")


def test_no_error_about_another_variable_shows_an_alert_url(home, monkeypatch):
    """A fault elsewhere does not bring the alert URLs into the message."""
    monkeypatch.setenv("ROTATION_ALERT_URLS", SECRET)
    monkeypatch.setenv("ROTATION_SOURCE", "bloomberg")
    refused("ROTATION_SOURCE")


def test_paths_follow_the_home(home):
    """The published and the build database lie in ROTATION_HOME."""
    settings = load_settings()
    assert settings.published == home / "rotation.duckdb"
    assert settings.build == home / "build.duckdb"


def test_paths_follow_the_warehouse(home, tmp_path, monkeypatch):
    """With ROTATION_WAREHOUSE set that file is published, and the build database lies beside it."""
    monkeypatch.setenv("ROTATION_WAREHOUSE", str(tmp_path / "other" / "mine.duckdb"))
    settings = load_settings()
    assert settings.published == tmp_path / "other" / "mine.duckdb"
    assert settings.build.parent == settings.database_files[-1].parent
    assert settings.build != settings.published


def test_the_build_database_is_never_the_published_one(home, tmp_path, monkeypatch):
    """A warehouse named build.duckdb is refused or gets another build file; the two are never the same."""
    monkeypatch.setenv("ROTATION_WAREHOUSE", str(tmp_path / "build.duckdb"))
    try:
        settings = load_settings()
    except ConfigError:
        return
    assert settings.build != settings.published


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("md:hush", "md:… is not supported"),
        ("ducklake:", "the catalog of a DuckLake is a DuckDB file"),
        ("ducklake:mysql:password=hush", "the catalog of a DuckLake is a DuckDB file"),
        ("ducklake:postgres:hush", "is not a PostgreSQL connection string"),
        ("ducklake:postgres://me@host/x?password=hush", "use PGPASSWORD"),
    ],
)
def test_a_warehouse_uri_is_refused(home, monkeypatch, uri, words):
    """What is no DuckLake is refused in one sentence that does not repeat a possible password."""
    monkeypatch.setenv("ROTATION_WAREHOUSE", uri)
    assert "hush" not in refused("ROTATION_WAREHOUSE", words)


def lake() -> LakeAddress:
    """The lake of the settings in force."""
    published = load_settings().published
    assert isinstance(published, LakeAddress)
    return published


@pytest.mark.parametrize(
    ("uri", "shown", "password"),
    [
        ("ducklake:postgres:dbname=x host=h password='a b\\'c'", "ducklake:postgres:dbname=x host=h", "a b'c"),
        ("ducklake:postgres:dbname=x password=hush host=h", "ducklake:postgres:dbname=x host=h", "hush"),
        (
            "ducklake:postgres://me:h%40sh@h:5/x?sslmode=require",
            "ducklake:postgres:postgresql://me@h:5/x?sslmode=require",
            "h@sh",
        ),
        ("ducklake:/a/x.ducklake", "ducklake:/a/x.ducklake", None),
        ("ducklake:sqlite:/a/x.sqlite", "ducklake:sqlite:/a/x.sqlite", None),
    ],
)
def test_a_lake(home, tmp_path, monkeypatch, uri, shown, password):
    """A DuckLake is shown without its password; the build database stays in ROTATION_HOME, the data files beside a catalog in a file."""
    monkeypatch.setenv("ROTATION_WAREHOUSE", uri)
    settings = load_settings()
    assert str(settings.published) == shown
    assert lake().password == password
    assert settings.build == home / "build.duckdb"
    assert lake().data == (f"{shown.rpartition(':')[2]}.files/" if lake().file else None)
    assert not password or password not in f"{settings!r}{settings.published!r}"
    monkeypatch.setenv("ROTATION_LAKE_DATA", "s3://bucket/some/")
    assert lake().data == "s3://bucket/some/"
    monkeypatch.setenv("ROTATION_LAKE_DATA", "gs://bucket")
    refused("ROTATION_LAKE_DATA", "an address s3://BUCKET")


def test_files_folder(home, tmp_path, monkeypatch):
    """The folder of ROTATION_FILES is given back where it exists."""
    monkeypatch.setenv("ROTATION_FILES", str(tmp_path))
    assert load_settings().files_folder() == tmp_path


@pytest.mark.parametrize("what", ["unset", "missing", "a file"])
def test_no_files_folder(home, tmp_path, monkeypatch, what):
    """A folder that is not set, not there or a file is refused in one sentence that names ROTATION_FILES."""
    path = tmp_path / "vendor"
    if what != "unset":
        monkeypatch.setenv("ROTATION_FILES", str(path))
    if what == "a file":
        path.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^[^\n]*ROTATION_FILES[^\n]*\.$") as caught:
        load_settings().files_folder()
    assert what == "unset" or str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["alert_urls", "report_urls", "ping_url"])
def test_secret_in_a_file(home, monkeypatch, tmp_path, name):
    """`ROTATION_X_FILE` names a file with the secret; the variable itself wins, and the file wins over rotation.toml."""
    toml(home, f'{name} = "json://toml"\n')
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    monkeypatch.setenv(f"ROTATION_{name.upper()}_FILE", str(tmp_path / "secret"))
    assert getattr(load_settings(), name).get_secret_value() == SECRET
    assert getattr(fallback_settings(), name).get_secret_value() == (SECRET if name != "report_urls" else "")
    assert unknown_variables() == []
    monkeypatch.setenv(f"ROTATION_{name.upper()}", "json://variable")
    assert getattr(load_settings(), name).get_secret_value() == "json://variable"


def test_secret_file_that_cannot_be_read(home, monkeypatch, tmp_path):
    """The sentence names the variable and the path."""
    monkeypatch.setenv("ROTATION_ALERT_URLS_FILE", str(tmp_path / "none"))
    refused("ROTATION_ALERT_URLS_FILE=", "none cannot be read (No such file or directory)", "correct the path")
    assert fallback_settings().alert_urls.get_secret_value() == ""
