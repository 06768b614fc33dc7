"""A publish under a server: the next request sees the new file, one that is running keeps the old, and nobody fails."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import httpx
import pytest
import serving

from market_rotation.tasks.errors import RotationError
from market_rotation.tasks.serve.published import Published

BEFORE, LATEST = serving.DAYS[-2], serving.LATEST


def test_readers_keep_their_state_and_new_ones_get_the_new(tmp_path: Path) -> None:
    """While one reader has the old file open, another sees the new one, and both stay consistent."""
    path = tmp_path / "rotation.duckdb"
    serving.publish(path, BEFORE)
    published = Published(path)
    latest = "select max(session) from core.prices"
    with published.reading() as (old, first):
        serving.publish(path, LATEST)
        with published.reading() as (new, second):
            assert (old.session, new.session) == (BEFORE, LATEST)
            assert second.execute(latest).fetchone() == (LATEST,)
        assert first.execute(latest).fetchone() == (BEFORE,)
    assert old.version != new.version
    published.close()


@pytest.mark.parametrize("error", [duckdb.InternalException, duckdb.FatalException])
def test_an_error_inside_duckdb_ends_with_its_reader(tmp_path: Path, error: type[duckdb.Error]) -> None:
    """After an error that DuckDB keeps for the whole connection, the next reader opens the file again, once all have ended."""
    path = tmp_path / "rotation.duckdb"
    serving.publish(path, BEFORE)
    published = Published(path)

    def fail(published: Published) -> None:
        with published.reading():
            raise error("INTERNAL Error: of a test")

    with published.reading() as (_, other):
        with pytest.raises(error):
            fail(published)
        with published.reading() as (edition, con):
            assert con.execute("select max(session) from core.prices").fetchone() == (edition.session,)
        assert other.execute("select max(session) from core.prices").fetchone() == (BEFORE,)
    published.close()


@pytest.mark.long_after(0)
def test_the_page_shows_the_new_session(tmp_path: Path) -> None:
    """After a publish, every address answers of the new session, and /version says that it changed."""
    path = tmp_path / "rotation.duckdb"
    serving.publish(path, BEFORE)
    with serving.reader(tmp_path) as client:
        first = client.get("/version").json()
        assert first["session"] == str(BEFORE)
        assert f'value="{BEFORE}"' in client.get("/session").text
        serving.publish(path, LATEST)
        second = client.get("/version").json()
        assert second["session"] == str(LATEST)
        assert second["version"] != first["version"]
        assert f'value="{LATEST}"' in client.get("/session").text
        assert client.get("/pair?format=json&table=ratio").json()[-1]["session"] == str(LATEST)
        count = client.get("/sql?q=select max(session) as s from core.sessions&format=json").json()
        assert count == [{"s": str(LATEST)}]


@pytest.mark.long_after(0)
def test_requests_during_publishes_never_fail(tmp_path: Path, small_home: Path) -> None:
    """Four readers ask without pause while the file is replaced five times: each answer is whole, of one state or the other."""
    path = tmp_path / "rotation.duckdb"
    serving.publish(path, BEFORE)
    states = [path.read_bytes(), (small_home / "rotation.duckdb").read_bytes()]
    sessions, failures = set(), []
    done = threading.Event()

    def ask(client: httpx.Client) -> None:
        while not done.is_set():
            answer = client.get("/pair?format=json&table=ratio&from=2025-01-02")
            if answer.status_code != 200:
                failures.append(answer.text)
                return
            sessions.add(answer.json()[-1]["session"])

    with serving.reader(tmp_path) as client:
        readers = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for number in range(5):
            making = tmp_path / "making"
            making.write_bytes(states[(number + 1) % 2])
            making.replace(path)
            assert client.get("/version").status_code == 200
        done.set()
        for reader in readers:
            reader.join(60)
    assert failures == []
    assert sessions <= {str(BEFORE), str(LATEST)}
    assert sessions


@pytest.mark.long_after(0)
def test_without_a_warehouse(tmp_path: Path) -> None:
    """A warehouse that is gone is one sentence with status 503, and the page is back when the file is."""
    path = tmp_path / "rotation.duckdb"
    serving.publish(path, BEFORE)
    with serving.reader(tmp_path) as client:
        assert client.get("/funds").status_code == 200
        path.rename(tmp_path / "aside")
        answer = client.get("/funds")
        assert answer.status_code == 503
        assert f"There is no warehouse at {path} yet; create one with `rotation run`" in answer.text
        assert client.get("/version").json()["error"].startswith("There is no warehouse at")
        (tmp_path / "aside").rename(path)
        assert client.get("/funds").status_code == 200


def test_an_empty_or_broken_file(tmp_path: Path) -> None:
    """A file without tables, and one that is no database, are each one sentence."""
    import duckdb

    path = tmp_path / "rotation.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(RotationError, match="Nothing was published yet"), Published(path).reading():
        pass
    path.unlink()
    path.write_text("no database, but long enough to be read as one " * 200)
    with pytest.raises(RotationError, match="cannot be opened"), Published(path).reading():
        pass
