"""How the server is at the moment, for people who look on."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from fastsmtp.inbox.api.answers import answer
from fastsmtp.inbox.api.requests import INBOX
from fastsmtp.inbox.inbox import Inbox

_SUMMED: Final = ("connections", "workers", "busy", "waiting")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [web.get("/api/live", live)]


async def live(request: web.Request) -> web.Response:
    """`GET /api/live`: connections and workers of all SMTP processes, as they told last, and the ledger of all."""
    return answer(await figures(request.app[INBOX]))


async def figures(inbox: Inbox) -> dict[str, Any]:
    """Return how the server is at the moment, as answers have it. Raises StoreError."""
    gauges = list(inbox.gauges.values())
    connections, workers, busy, waiting = (sum(getattr(one, name) for one in gauges) for name in _SUMMED)
    return {
        "processes": len(gauges),
        "connections": connections,
        "workers": {"total": workers, "busy": busy, "waiting": waiting},
        "streams": len(inbox.events),
        "waits": len(inbox.watchers),
        "ledger": await inbox.ledger(),
    }
