"""A client of an inbox that has no SMTP process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from arrivals import arrival, arrival_of

from fastsmtp.errors import StoreError
from fastsmtp.inbox.group import Filed
from fastsmtp.inbox.inbox import Inbox

Answer = tuple[int, Any]


class Client:
    """Calls one inbox."""

    def __init__(self, inbox: Inbox, url: str, session: aiohttp.ClientSession) -> None:
        self.inbox = inbox
        self.url = url
        self.session = session

    async def __call__(self, method: str, path: str, document: Any = None, **options: Any) -> Answer:
        """Return status and document, or text, of an answer."""
        data = None if document is None else json.dumps(document)
        async with self.session.request(method, self.url + path, data=data, **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type.endswith("json") else text

    async def file(self, *namespaces: str, **changes: Any) -> None:
        """Commit a mail."""
        answered: asyncio.Future[list[Filed] | StoreError] = asyncio.get_running_loop().create_future()
        self.inbox.file(arrival(*namespaces, **changes), answered.set_result)
        await answered

    async def file_octets(self, octets: bytes, *namespaces: str, **changes: Any) -> str:
        """Commit a mail as a server would have captured it; return its uuid."""
        made = arrival_of(octets, *namespaces, **changes)
        answered: asyncio.Future[list[Filed] | StoreError] = asyncio.get_running_loop().create_future()
        self.inbox.file(made, answered.set_result)
        await answered
        return made.uuid


Work = Callable[[Client], Awaitable[None]]
Serve = Callable[..., None]
