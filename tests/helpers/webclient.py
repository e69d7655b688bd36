"""An HTTP client that shows what came, octet by octet where a test wants it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE_S = 30


class Answer(NamedTuple):
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: str


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, url: str) -> Client:
        """Connect to the server of `url`."""
        place = urlsplit(url)
        return cls(*await asyncio.wait_for(asyncio.open_connection(place.hostname, place.port), PATIENCE_S))

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._writer.write(octets)

    async def answer(self, *, has_body: bool = True) -> Answer:
        """Read one answer. Raises asyncio.IncompleteReadError where the server closes before it."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        first, *rest = head.decode().removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        body = await asyncio.wait_for(self._reader.readexactly(length), PATIENCE_S)
        return Answer(int(first.split()[1]), headers, body.decode())

    async def ask(self, path: str, method: str = "GET", headers: str = "") -> Answer:
        """Send a request, read its answer."""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        return await self.answer(has_body=method != "HEAD")

    async def closed(self) -> bytes:
        """Wait until the server closes the connection; what it sent before."""
        try:
            return await asyncio.wait_for(self._reader.read(), PATIENCE_S)
        except ConnectionError:
            return b""

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()


async def ask(url: str, path: str, method: str = "GET", headers: str = "") -> Answer:
    """One request in a connection of its own."""
    client = await Client.connect(url)
    try:
        return await client.ask(path, method, headers)
    finally:
        client.close()
