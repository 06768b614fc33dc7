"""The campaign of security in small: a few attacks of each kind, and a guard that notices what it must."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest
import serving

from campaigns import security_network, security_requests, security_secrets, security_statements, security_supply


def test_some_attacks_on_serve(tmp_path: Path) -> None:
    """Statements at random, other hosts' names and other sites: all held."""
    with security_statements.attacked_home(tmp_path) as home, serving.reader(home) as client:
        parts = [
            security_statements.sql_page(home, tmp_path, client, 1, 12),
            security_requests.names(client),
            security_requests.sites(client),
        ]
    assert [part.broken for part in parts] == [[], [], []]
    assert all(part.tried >= 30 for part in parts)


def test_the_campaign_notices(tmp_path: Path) -> None:
    """A server that shows the file, answers every name and sends no headers breaks each part."""
    served = httpx.MockTransport(lambda request: httpx.Response(200, text=security_statements.SECRET))
    with httpx.Client(transport=served, base_url="http://127.0.0.1") as client:
        (tmp_path / "home").mkdir()
        assert security_statements.sql_page(tmp_path / "home", tmp_path, client, 1, 3).broken
        assert security_requests.methods(client).broken


def test_hashes_and_licences() -> None:
    """Every locked package has a hash and a licence that is known to be compatible; another is noticed."""
    assert security_supply.hashes().broken == []
    assert security_supply.licences().broken == []
    assert not security_supply.COMPATIBLE.search("Proprietary")
    assert security_supply.STRONG.search("GNU Affero General Public License v3")


def test_secrets_are_found_in_any_spelling() -> None:
    """A secret inside base64, as SMTP and HTTP send it, or quoted in an address, is found."""
    import base64
    from urllib.parse import quote

    secret = security_secrets.SECRETS["password of ROTATION_ALERT_URLS"]
    for user in ("a", "ab", "abc", ""):
        sent = base64.b64encode(f"{user}:{secret} and more".encode())
        assert any(spelling in sent for spelling in security_secrets.spellings(secret)), user
    assert quote(secret, safe="").encode() in security_secrets.spellings(secret)


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_the_guard_counts_attempts(tmp_path: Path) -> None:
    """A connection and a name look-up are counted and named; loopback is not."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(security_network.HOOK)
    codes = {
        "import socket; socket.socket().connect_ex(('192.0.2.1', 80))": True,
        "import socket; socket.socket().connect_ex(('127.0.0.1', 9))": False,
    }
    for code, leaves in codes.items():
        _, left, seen, said = security_network.attempts([sys.executable, "-c", code], {}, tmp_path)
        assert bool(left) is leaves, said
        assert bool(seen) is leaves
