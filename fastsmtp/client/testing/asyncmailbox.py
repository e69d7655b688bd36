"""The inbox of one test for coroutines: each call waits in a thread, and the loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsmtp.client.testing.mails import ReceivedMail

if TYPE_CHECKING:
    from fastsmtp.client.testing.mailbox import OwnInbox


class AsyncInbox:
    """The verbs of `OwnInbox`, as coroutines. A call that is cancelled is left to end by itself."""

    def __init__(self, inbox: OwnInbox) -> None:
        self._inbox = inbox

    async def mails(self) -> list[ReceivedMail]:
        """See `OwnInbox.mails`."""
        return await asyncio.to_thread(lambda: self._inbox.mails)

    async def wait(self, count: int = 1, **options: Any) -> list[ReceivedMail]:
        """See `OwnInbox.wait`."""
        return await asyncio.to_thread(self._inbox.wait, count, **options)

    async def wait_one(self, **options: Any) -> ReceivedMail:
        """See `OwnInbox.wait_one`."""
        return await asyncio.to_thread(self._inbox.wait_one, **options)

    async def expect(self, *items: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """See `OwnInbox.expect`."""
        return await asyncio.to_thread(self._inbox.expect, *items, **options)

    async def exactly(self, wanted: int | Mapping[str, int], **options: Any) -> list[ReceivedMail]:
        """See `OwnInbox.exactly`."""
        return await asyncio.to_thread(self._inbox.exactly, wanted, **options)

    async def none(self, **options: Any) -> None:
        """See `OwnInbox.none`."""
        await asyncio.to_thread(self._inbox.none, **options)

    async def expect_like(self, golden: str | Path, **options: Any) -> ReceivedMail:
        """See `OwnInbox.expect_like`."""
        return await asyncio.to_thread(self._inbox.expect_like, golden, **options)

    async def faults(self, plan: Any) -> None:
        """See `OwnInbox.faults`."""
        await asyncio.to_thread(self._inbox.faults, plan)
