"""Downloads of issuers' files: the genuine client through a proxy, with its limits and the sentences of its failures."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Host, Route, Router
from vendor.fixtures import vendor, vendor_server  # noqa: F401
from vendor.server import CA_VARIABLES, Vendor

from market_rotation.tasks.errors import RateLimited, RotationError, SourceUnavailable
from market_rotation.tasks.sources.http import Documents, ca_bundle, download


async def answer(request: Request) -> Response:
    """The response that the path selects: a status, a number of bytes, an endless trickle, or a redirect to plain HTTP."""
    kind, _, amount = request.path_params["path"].partition("/")
    if kind == "status":
        return Response("no", int(amount))
    if kind == "bytes":
        return Response(b"x" * int(amount))
    if kind == "plain":
        return RedirectResponse("http://www.ssga.com/bytes/10")

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(600):  # bounded, should the client not let go
            yield b"x"
            await asyncio.sleep(0.05)

    return StreamingResponse(trickle())


@pytest.fixture(scope="module")
def issuer() -> Iterator[Vendor]:
    """A server whose www.ssga.com answers whatever the path says."""
    route = Host("www.ssga.com", Router([Route("/{path:path}", answer)]))
    with Vendor(None, more=[route]) as running:
        yield running


@pytest.fixture
def reached(issuer: Vendor, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """This process's environment leads to that server."""
    for name, value in issuer.environment().items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return issuer


def get(path: str, timeout_s: float = 10.0, max_bytes: int = 1000) -> bytes:
    return download(f"https://www.ssga.com/{path}", what="NAV history of SPY", timeout_s=timeout_s, max_bytes=max_bytes)


def sentence(path: str, error: type[RotationError] = SourceUnavailable, timeout_s: float = 10.0) -> str:
    with pytest.raises(error) as caught:
        get(path, timeout_s)
    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith("www.ssga.com gave no NAV history of SPY: ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_a_body_arrives_whole(reached: Vendor) -> None:
    """A body as large as the limit arrives, through the proxy of the environment; one byte more is refused."""
    assert get("bytes/1000") == b"x" * 1000
    assert reached.proxy.hosts[-1] == "www.ssga.com:443"
    assert "larger than 0.001 MB" in sentence("bytes/1001")


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("status/429", RateLimited, "HTTP 429"),
        ("status/404", SourceUnavailable, "HTTP 404; check its issuer_id"),
        ("status/503", SourceUnavailable, "HTTP 503; try again later"),
        ("status/204", SourceUnavailable, "HTTP 204"),
        ("bytes/0", SourceUnavailable, "empty"),
        ("plain", SourceUnavailable, "could not be reached"),
    ],
)
def test_a_refusal_is_one_sentence(path: str, error: type[RotationError], says: str, reached: Vendor) -> None:
    """Each status, an empty body and a redirect that would leave TLS have their class and one sentence with a remedy."""
    assert says in sentence(path, error)


def test_the_time_limit_is_of_the_whole_transfer(reached: Vendor) -> None:
    """A server that sends a byte now and then does not hold a download for longer than the limit."""
    assert "whole file within 0.5 s" in sentence("trickle", timeout_s=0.5)


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_one_variable_names_a_private_ca(variable: str, reached: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any of the three usual variables suffices for a private certificate authority."""
    for name in CA_VARIABLES:
        monkeypatch.delenv(name)
    assert ca_bundle() is True
    monkeypatch.setenv(variable, reached.ca_file)
    assert ca_bundle() == reached.ca_file
    assert get("bytes/3") == b"xxx"


def test_an_unknown_certificate_says_what_to_set(reached: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the network's own certificate authority the message names the variable that helps."""
    import certifi

    for name in CA_VARIABLES:
        monkeypatch.setenv(name, certifi.where())
    assert "SSL_CERT_FILE" in sentence("bytes/3")


@pytest.mark.parametrize(
    "proxy", ["http://user:s3cret@127.0.0.1:9", "http//user:s3cret@x", "socks9://user:s3cret@127.0.0.1:9"]
)
def test_a_broken_proxy_keeps_its_password(proxy: str, reached: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the message nor what is shown with it repeats the proxy's password."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SourceUnavailable) as caught:
        get("bytes/3")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


# ---- Documents ----


def test_a_good_document_is_fetched_once() -> None:
    """Eight threads that read two documents, twice each, cost one fetch per document."""
    fetched: list[str] = []
    lock = threading.Lock()

    def fetch(url: str) -> bytes:
        with lock:
            fetched.append(url)
        return url.encode()

    documents = Documents()
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda url: documents.read(url, lambda: fetch(url), bytes.decode), ["a", "b"] * 8))
    assert read == ["a", "b"] * 8
    assert sorted(fetched) == ["a", "b"]


def test_a_bad_document_is_asked_for_again() -> None:
    """What a parser refuses, even one of the second kind to read it, is forgotten."""
    answers = iter([b"bad", b"good", b"better"])
    documents = Documents()

    def parse(content: bytes) -> bytes:
        if content == b"bad":
            raise SourceUnavailable("bad")
        return content

    def refuse(content: bytes) -> bytes:
        raise SourceUnavailable(content.decode())

    with pytest.raises(SourceUnavailable, match="bad"):
        documents.read("u", lambda: next(answers), parse)
    assert documents.read("u", lambda: next(answers), parse) == b"good"
    with pytest.raises(SourceUnavailable, match="good"):
        documents.read("u", lambda: next(answers), refuse)
    assert documents.read("u", lambda: next(answers), parse) == b"better"
