"""How handlers of foreign APIs tell what went wrong: as text, with the status that their clients know."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from fastsmtp.errors import CrowdedError, StoreError
from fastsmtp.inbox.api.answers import answer_any
from fastsmtp.inbox.api.bodies import load_body
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.inbox import GoneError
from fastsmtp.inbox.mailpit.objects import to_uuid

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def not_found() -> web.Response:
    """Return what Go's own server says."""
    return web.Response(status=404, text="404 page not found\n")


def refused(reason: str, status: int = 400) -> web.Response:
    """Return an error."""
    return web.Response(status=status, text=f"{reason}\n")


def done() -> web.Response:
    """Return what says that something was done."""
    return web.Response(text="ok")


async def as_json(request: web.Request, document: Any) -> web.StreamResponse:
    """Answer with a document of any size."""
    return await answer_any(request, document, end=b"\n")


def compatible(handler: Handler) -> Handler:
    """Make text of what the handler raises."""

    @functools.wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return refused(problem.detail, 400 if problem.status == 422 else problem.status)
        except GoneError as error:
            return refused(str(error), 410)
        except CrowdedError as error:
            return refused(str(error), 429)
        except StoreError as error:
            return refused(str(error), 500)

    return wrapped


async def read_json(request: web.Request) -> Any:
    """Return the document of a request, None where there is none. Raises Problem for what is not JSON."""
    octets = await request.read()
    if not octets.strip():
        return None
    try:
        return await load_body(octets)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def read_ids(document: Any) -> list[str]:
    """Return the uuids that a document names. Raises Problem."""
    ids = document.get("IDs") if isinstance(document, dict) else None
    if ids is None:
        return []
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise Problem(400, "IDs is a list of strings")
    return [to_uuid(one) for one in ids]
