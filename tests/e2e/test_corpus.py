"""Every message of `corpus/` over SMTP to a real server and a PHP worker, whole and in pieces, gives its facts."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from facts import FILES, check, read
from servers import Serve

pytestmark = pytest.mark.one_python

PIECES = (0, 1, 7, 1000)  # octets of mail data in one write; 0 = all of it


def stuffed(octets: bytes) -> bytes:
    """Mail data as a client sends it (RFC 5321 4.5.2)."""
    lines = octets.split(b"\r\n")
    if not lines[-1]:
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


class Client:
    """One connection, on which each mail says in MAIL FROM what it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def command(self, line: bytes, code: bytes) -> None:
        self._writer.write(line)
        assert (await self._reader.readline()).startswith(code)

    async def send(self, sender: str, octets: bytes, piece: int) -> None:
        await self.command(f"MAIL FROM:<{sender}>\r\n".encode(), b"250 ")
        await self.command(b"RCPT TO:<r@example.com>\r\n", b"250 ")
        await self.command(b"DATA\r\n", b"354 ")
        octets = stuffed(octets)
        step = piece or len(octets)
        for start in range(0, len(octets), step):
            self._writer.write(octets[start : start + step])  # each a packet: asyncio sets TCP_NODELAY
            await self._writer.drain()
        assert (await self._reader.readline()).startswith(b"250 ")

    async def close(self) -> None:
        await self.command(b"QUIT\r\n", b"221 ")
        self._writer.close()
        await self._writer.wait_closed()


async def send_all(host: str, port: int, piece: int) -> None:
    client = Client(*await asyncio.open_connection(host, port))
    await client.command(b"", b"220 ")
    await client.command(b"HELO corpus\r\n", b"250 ")
    for name in FILES:
        await client.send(f"{piece}/{name}", read(name), piece)
    await client.close()


def with_content(context: dict[str, Any]) -> dict[str, Any]:
    """The context as memory mode has it."""
    for item in context["attachments"]:
        path = item.pop("path", None)
        if path is not None:
            item["content"] = base64.b64encode(Path(path).read_bytes()).decode()
    return context


@pytest.mark.parametrize("mode", ["memory", "tempfile"])
def test_facts(serve: Serve, tmp_path: Path, mode: str) -> None:
    server = serve({"smtp": {"attachment_storage": {"mode": mode, "temp_dir": str(tmp_path / "attachments")}}})

    async def send() -> None:
        await asyncio.gather(*[send_all(server.host, server.port, piece) for piece in PIECES])

    asyncio.run(send())
    contexts = {context["envelope"]["from"]: with_content(context) for context in server.records()}
    assert sorted(contexts) == sorted(f"{piece}/{name}" for piece in PIECES for name in FILES)
    for sender, context in contexts.items():
        check(sender.partition("/")[2], context)
