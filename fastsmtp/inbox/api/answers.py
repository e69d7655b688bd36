"""Answers of any size: what is large is made and sent in pieces, so that others are served meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from fastsmtp.inbox.documents import LARGE
from fastsmtp.inbox.encoding import encode_steps, weight
from fastsmtp.system.timeslices import joined

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
_CHUNK: Final = 256 * 1024  # octets that are sent at a time
_TEXT: Final = 64 * 1024  # characters that are encoded at a time
HARMLESS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def answer(document: Any, status: int = 200) -> web.Response:
    """Return a document as JSON; `answer_any` is for those that a mail, or the number of mails, can make large."""
    return web.Response(status=status, body=orjson.dumps(document), content_type=JSON)


async def answer_any(
    request: web.Request, document: Any, status: int = 200, *, content_type: str = JSON, end: bytes = b""
) -> web.StreamResponse:
    """Answer with a document of any size as JSON, and `end` behind it."""
    if weight(document, LARGE) <= LARGE:
        return web.Response(status=status, body=orjson.dumps(document) + end, content_type=content_type)

    def pieces() -> Iterator[bytes]:
        yield from encode_steps(document)
        yield end

    return await send(request, joined(pieces(), _CHUNK), {hdrs.CONTENT_TYPE: content_type}, status=status)


async def answer_text(request: web.Request, text: str) -> web.StreamResponse:
    """Answer with a text of any size, as something that a browser only shows."""
    if len(text) <= _TEXT:
        return web.Response(text=text, headers=HARMLESS)
    described = {**HARMLESS, hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"}
    return await send(request, joined(_octets(text), _CHUNK), described)


def _octets(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), _TEXT):
        yield text[start : start + _TEXT].encode("utf-8", "replace")


async def send(
    request: web.Request,
    pieces: AsyncIterator[bytes],
    headers: dict[str, str],
    length: int | None = None,
    *,
    status: int = 200,
) -> web.StreamResponse:
    """Answer with what comes in pieces."""
    response = web.StreamResponse(status=status, headers=headers)
    if length is not None:
        response.content_length = length
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        async for piece in pieces:
            if piece:
                await response.write(piece)
    await response.write_eof()
    return response
