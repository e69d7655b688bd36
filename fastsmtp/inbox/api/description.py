"""What the API says of itself: OpenAPI 3.1, the file `openapi.json` beside this module."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from aiohttp import web

_OCTETS: Final = files("fastsmtp.inbox.api").joinpath("openapi.json").read_bytes()


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.get("/api/openapi.json", openapi), web.get("/openapi.json", openapi)]


async def openapi(_request: web.Request) -> web.Response:
    """`GET /api/openapi.json`."""
    return web.Response(body=_OCTETS, content_type="application/json")
