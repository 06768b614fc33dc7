"""`rotation serve` attacked with requests: paths, names, sites, methods, parameters, and texts of vendors that are markup."""

from __future__ import annotations

import re
import socket
from urllib.parse import quote, urlsplit

import httpx

from campaigns.part import Part
from market_rotation.tasks.serve.security import HEADERS

PAGES = ("/session", "/pair", "/funds", "/rotation", "/flows", "/sql", "/version", "/stored", "/static/serve.js")
TRAVERSALS = [
    f"{start}{up * 6}{target}"
    for start in ("/", "/static/", "/session/", "/stored/", "/static/serve.js/")
    for up in ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..%252f", "....//", "%c0%ae%c0%ae/", "..%00/")
    for target in ("etc/passwd", "rotation.toml", "build.duckdb")
] + [
    "/static/%2fetc%2fpasswd",
    "/static//etc/passwd",
    "//etc/passwd",
    "/file:///etc/passwd",
    "/static/serve.js%00.css",
    "/static/.",
    "/static/..",
]
HOSTS = [
    "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example#127.0.0.1", "user@evil.example", "0.0.0.0",
    "169.254.169.254", "192.168.0.1", "[::ffff:192.168.0.1]", "2130706433.evil.example", "127.1.evil.example", "localhost@evil.example", "",
    " 127.0.0.1.evil.example", "xn--lcalhost-54a", "LOCALHOST.EVIL.EXAMPLE", "127.0.0.1\\@evil.example",
]  # fmt: skip
MARKUP = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "'-alert(1)-'", "</script><script>alert(1)</script>",
    "javascript:alert(1)", "{{7*7}}", "${7*7}", "{% import os %}", "<!--", "]]>", "\u2028alert(1)", "\x00<script>alert(1)</script>",
]  # fmt: skip
FIELDS = {
    "/session": ("date", "known"), "/pair": ("small", "large", "from", "to"), "/funds": ("symbols", "from", "to"), "/flows": ("symbols", "from"),
    "/rotation": ("tail", "date", "symbols"), "/sql": ("q", "x", "y", "series", "mark", "format", "table"), "/stored": ("date",),
}  # fmt: skip


def requests(client: httpx.Client) -> list[Part]:
    """All attacks on the server that `client` reaches."""
    return [paths(client), names(client), sites(client), methods(client), parameters(client), markup(client)]


def paths(client: httpx.Client) -> Part:
    """Paths sent as they are, which httpx would tidy up."""
    part = Part("serve: paths that leave the folder")
    for path in TRAVERSALS:
        said = raw(client, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        part.check(re.match(rb"HTTP/1.1 (404|400|307|303)", said) is not None and b"root:" not in said, path)
    return part


def names(client: httpx.Client) -> Part:
    """Names of other sites that point to this machine (DNS rebinding)."""
    part = Part("serve: requests to another host's name")
    for host in HOSTS:
        for more in ("", "X-Forwarded-Host: 127.0.0.1\r\n", "Host: 127.0.0.1\r\n"):
            said = raw(client, f"GET /version HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")
            part.check(b"session" not in said, f"Host: {host} {more}")
    return part


def sites(client: httpx.Client) -> Part:
    """Scripts, pictures and frames of other sites, and what any response lets them do."""
    part = Part("serve: other sites")
    for page in PAGES:
        for site in ("cross-site", "same-site"):
            for mode in ("cors", "no-cors", "same-origin", "websocket"):
                answer = client.get(
                    page, headers={"sec-fetch-site": site, "sec-fetch-mode": mode, "origin": "https://evil.example"}
                )
                part.check(answer.status_code == 403, f"{page} {site} {mode}")
        answer = client.get(page, headers={"origin": "https://evil.example"})
        part.check(
            not [name for name in answer.headers if name.startswith("access-control")], f"{page} allows other origins"
        )
        strict = {
            name: value
            for name, value in HEADERS.items()
            if name != "cache-control" and (page != "/stored" or "policy" not in name)
        }
        part.check(all(answer.headers.get(name) == value for name, value in strict.items()), f"{page} lacks a header")
        part.check("frame-ancestors 'none'" in answer.headers["content-security-policy"], f"{page} can be framed")
    return part


def methods(client: httpx.Client) -> Part:
    """Whatever is not GET."""
    part = Part("serve: methods other than GET")
    for page in PAGES:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "MKCOL", "X"):
            answer = client.request(method, page, content=b"a=1")
            part.check(answer.status_code in (400, 405), f"{method} {page}: HTTP {answer.status_code}")
    return part


def parameters(client: httpx.Client) -> Part:
    """Values of any size and kind: never an unexpected error."""
    part = Part("serve: parameters that are huge, repeated or of another kind")
    odd = ["x" * 8_001, "9" * 5_000, "-1", "0", "1e999", "nan", "9999-99-99", "0001-01-01", "9999-12-31", ",".join(["IWM"] * 4_000), ",", "%", "\x00", "é", "\ud7ff", "٣"]  # fmt: skip
    for page, fields in FIELDS.items():
        for name in fields:
            for value in odd:
                answer = client.get(f"{page}?{name}={quote(value)}")
                part.check(
                    answer.status_code in (200, 303, 400, 404),
                    f"{page}?{name}={value[:20]!r}: HTTP {answer.status_code}",
                )
            answer = client.get(f"{page}?{name}=a&{name}=b&{name}[]=c")
            part.check(answer.status_code in (200, 303, 400, 404), f"{page}?{name} repeated: HTTP {answer.status_code}")
    for size in (70_000, 1_000_000):
        said = raw(client, f"GET /pair?small={'x' * size} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        part.check(not said.startswith(b"HTTP/1.1 5"), f"an address of {size:,} characters")
        said = raw(client, f"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {'x' * size}\r\nConnection: close\r\n\r\n")
        part.check(not said.startswith(b"HTTP/1.1 5"), f"a header of {size:,} characters")
    part.check(client.get("/version").status_code == 200, "the server does not answer any more")
    return part


def markup(client: httpx.Client) -> Part:
    """Texts of addresses, statements and vendors: shown as text."""
    part = Part("serve: texts that are markup, from addresses, statements and vendors")
    for text in MARKUP:
        addresses = [f"{page}?{name}={quote(text)}" for page, fields in FIELDS.items() for name in fields]
        addresses += [f"/{quote(text)}", f"/pair?{quote(text)}=1"]
        literal, name = text.replace("'", "''"), text.replace('"', '""').replace("\x00", "")
        addresses.append("/sql?q=" + quote(f"select '{literal}' as \"{name}\", 1 as n from range(3)"))
        for address in addresses:
            part.check(is_text(client.get(address)), address)
    # The warehouse has a fund whose name is a script.
    for address in (
        "/session",
        "/pair?small=IWM&large=SPY",
        "/funds?symbols=BRK.B,SPY",
        "/rotation",
        "/flows",
        "/sql?q=from core.instruments",
    ):
        answer = client.get(address)
        part.check(answer.status_code == 200 and is_text(answer), f"a vendor's name on {address}")
    return part


def is_text(answer: httpx.Response) -> bool:
    """Whether a page has no element or handler but its own; what is not HTML is never shown as a page (`nosniff`)."""
    if not answer.headers["content-type"].startswith("text/html"):
        return answer.headers["x-content-type-options"] == "nosniff"
    return not re.search(r"<(img|svg)\b[^>]*\bon\w+=|<script>\s*alert|<svg onload", answer.text)


def raw(client: httpx.Client, text: str) -> bytes:
    """The answer to these bytes, whatever they are."""
    where = urlsplit(str(client.base_url))
    with socket.create_connection((where.hostname, where.port), 60) as connection:
        said = b""
        try:
            connection.sendall(text.encode("utf-8", "surrogatepass"))
            while part := connection.recv(65536):
                said += part
        except OSError:
            pass
        return said
