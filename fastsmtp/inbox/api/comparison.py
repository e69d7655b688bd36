"""A mail of the inbox held against one that a test has kept."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from fastsmtp.client.comparable import comparable
from fastsmtp.client.difference import difference
from fastsmtp.inbox.api.answers import answer
from fastsmtp.inbox.api.contents import stored
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import NAMESPACE

MAX_COMPARED: Final = 16 * 1024 * 1024  # octets of a mail: golden ones are small


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.post(f"{NAMESPACE}/mails/{{uuid}}/diff", diff)]


async def diff(request: web.Request) -> web.Response:
    """`POST …/mails/{uuid}/diff`: what differs from the message in the body, apart from what differs each time."""
    mail = await stored(request)
    expected = await _read(request)
    if mail.row.place.raw_length > MAX_COMPARED:
        raise Problem(413, f"mails of up to {MAX_COMPARED} octets are compared")
    got = b"".join([piece async for piece in mail.octets()])
    lines = await asyncio.to_thread(_compare, expected, got)
    return answer({"same": not lines, "lines": lines})


async def _read(request: web.Request) -> bytes:
    octets = bytearray()
    async for piece in request.content.iter_chunked(256 * 1024):
        octets += piece
        if len(octets) > MAX_COMPARED:
            raise Problem(413, f"mails of up to {MAX_COMPARED} octets are compared")
    return bytes(octets)


def _compare(expected: bytes, got: bytes) -> list[str]:
    return difference(comparable(expected), comparable(got))
