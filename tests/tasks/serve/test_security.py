"""What protects the page: the names it answers to, other sites, and the headers of every response."""

from __future__ import annotations

import socket

import httpx
import pytest

from market_rotation.tasks.serve.security import HEADERS, is_allowed, is_loopback


@pytest.mark.parametrize(
    "address",
    ["/session", "/pair", "/pair?small=x", "/nope", "/version", "/static/serve.js", "/sql?q=select 1&format=csv"],
)
def test_every_response_has_the_headers(client: httpx.Client, address: str) -> None:
    """Pages, errors, data and scripts alike."""
    answer = client.get(address)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value, name
    assert "server" not in answer.headers


def test_scripts_are_kept_by_address(client: httpx.Client) -> None:
    """A script under the address of its content is kept for good, another is not; the page names the former."""
    page = client.get("/pair").text
    address = next(part for part in page.split('"') if part.startswith("/static/serve.js?v="))
    assert client.get(address).headers["cache-control"] == "max-age=31536000, immutable"
    assert client.get("/static/serve.js?v=other").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "bound_to", "allowed"),
    [
        ("127.0.0.1:8765", "127.0.0.1", True),
        ("localhost:8765", "127.0.0.1", True),
        ("LOCALHOST", "127.0.0.1", True),
        ("[::1]:8765", "::1", True),
        ("evil.example:8765", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("192.168.1.5:8765", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
        ("192.168.1.5:8765", "0.0.0.0", True),
        ("localhost:8765", "0.0.0.0", True),
        (socket.gethostname(), "0.0.0.0", True),
        ("evil.example", "0.0.0.0", False),
        ("desk.example", "desk.example", True),
    ],
)
def test_names_it_answers_to(host: str, bound_to: str, allowed: bool) -> None:
    """A name of another site that points here is refused; this machine's names and its addresses are not."""
    assert is_allowed(host, bound_to) is allowed


def test_rebound_names_are_refused(client: httpx.Client) -> None:
    """A request to another name gets one sentence and nothing of the warehouse."""
    answer = client.get("/pair", headers={"host": "evil.example:8765"})
    assert answer.status_code == 400
    assert answer.text == (
        "This server does not answer to the name 'evil.example:8765'; use the address that `rotation serve` printed.\n"
    )


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("cross-site", "no-cors", 403),
        ("same-site", "cors", 403),
        ("cross-site", "navigate", 200),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
    ],
)
def test_other_sites_cannot_run_statements(client: httpx.Client, site: str, mode: str, status: int) -> None:
    """A link from another site opens the page; a picture or a script of one cannot make the server work."""
    answer = client.get("/sql?q=select 1", headers={"sec-fetch-site": site, "sec-fetch-mode": mode})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("desk", False)]
)
def test_loopback(host: str, loopback: bool) -> None:
    """Which addresses only this machine can reach."""
    assert is_loopback(host) is loopback
