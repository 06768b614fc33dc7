"""A CONNECT proxy that tunnels every host to one local TLS port."""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """Lists what it was asked to tunnel to (`hosts`, as `host:port`)."""

    def __init__(self, target_port: int) -> None:
        self.hosts: list[str] = []
        self._target_port = target_port

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client connection, until either side ends it."""
        # The client goes away, says something odd, or the server is stopped: all of them just end the tunnel.
        with (
            contextlib.closing(writer),
            contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError),
        ):
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, host, _ = request.split("\r\n", 1)[0].split(" ")
            if method != "CONNECT":
                writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            self.hosts.append(host)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            with contextlib.closing(far_writer):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
