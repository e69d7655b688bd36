"""Which mails a client of Mailpit's or MailHog's API sees: those of one namespace, or all."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import hdrs, web

from fastsmtp.inbox.api.requests import AUTH, INBOX
from fastsmtp.inbox.events import Stream
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.names import is_name, to_name
from fastsmtp.inbox.namespaces import ACCEPTED, Namespace, NamespaceCounters
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.where import Condition

_SLICE: Final = 500
_OUTCOMES: Final = (ACCEPTED,)
HEADER: Final = "X-Namespace"


class Scope:
    """The mails of one namespace, or of all together."""

    def __init__(self, inbox: Inbox, namespace: Namespace | None) -> None:
        self.inbox: Final = inbox
        self.namespace: Final = namespace

    async def slices(self, where: Condition | None = None) -> AsyncIterator[list[Row]]:
        """Yield all mails that meet the condition, the newest first, some at a time."""
        if self.namespace is not None:
            async for rows in self.inbox.slices(self.namespace, where, _OUTCOMES):
                yield rows
            return
        async for rows in self.inbox.slices_of_all(where, _OUTCOMES):
            yield rows

    async def page(self, where: Condition | None, start: int, limit: int) -> list[Row]:
        """Return `limit` mails behind the first `start`."""
        found: list[Row] = []
        skipped = 0
        async for rows in self.slices(where):
            left = max(0, start - skipped)
            skipped += min(left, len(rows))
            found += rows[left:]
            if len(found) >= limit:
                break
        return found[:limit]

    async def find(self, uuid: str) -> Row | None:
        """Return the mail."""
        return await self.inbox.run(lambda store: store.mails.find(uuid, self.namespace))

    async def rows_of(self, uuids: Sequence[str]) -> list[Row]:
        """Return the rows of these mails; one that is in several namespaces has several."""
        found = await self.inbox.run(lambda store: [row for uuid in uuids for row in store.mails.find_all(uuid)])
        return [row for row in found if self.namespace is None or row.namespace == self.namespace.id]

    async def copies(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows and those of the same mails in other namespaces, where all are seen."""
        return list(rows) if self.namespace is not None else await self.rows_of([row.uuid for row in rows])

    async def counters(self) -> NamespaceCounters:
        """Return how many mails there are."""
        if self.namespace is not None:
            return self.namespace.counters
        return await self.inbox.run(lambda store: store.totals())

    async def empty(self) -> None:
        """Delete all mails."""
        spaces = self.inbox.namespaces() if self.namespace is None else [self.namespace]
        for space in spaces:
            await self.inbox.empty(space)

    def stream(self) -> Stream:
        """Open a stream of what happens."""
        return self.inbox.events.open(self.namespace)


async def scope_of(request: web.Request) -> Scope:
    """Return what the client sees.

    In this order: the namespace of the path `/ns/{name}`, of the header X-Namespace, of the user name of basic
    authentication (unless the inbox asks for one itself), and all.
    """
    inbox = request.app[INBOX]
    name = request.match_info.get("ns") or request.headers.get(HEADER, "") or _username(request)
    if not is_name(name):
        name = to_name(name)
    if not name:
        return Scope(inbox, None)
    return Scope(inbox, inbox.namespace(name) or await inbox.put(name))


def _username(request: web.Request) -> str:
    return "" if request.app[AUTH].username else basic_user(request)


def basic_user(request: web.Request) -> str:
    """Return the user name of basic authentication, "" without one."""
    scheme, _space, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(given).decode("utf-8", "replace").partition(":")[0]
    except binascii.Error:
        return ""
