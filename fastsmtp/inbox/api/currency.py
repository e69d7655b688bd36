"""What a request waits for before it is answered, where mails come to the inbox from a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from fastsmtp.inbox.names import is_name

Reach = Callable[[str, str], Awaitable[None]]  # path, and the namespace that it names, "" = all

_ABOUT_MAILS: Final = ("/api/", "/ns/", "/view/")  # what paths begin with


def current(reach: Reach) -> Middleware:
    """Return the middleware that answers a request about mails when `reach` has returned."""

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(_ABOUT_MAILS):
            name = request.match_info.get("ns", "")
            await reach(request.path, name if is_name(name) else "")
        return await handler(request)

    return wait
