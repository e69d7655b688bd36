"""What is kept no longer: deleted mails' rows, mails beyond a limit, namespaces that were not used for long.

All of it is done in slices of some hundred rows, between which commits and questions have their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import RetentionSettings
from fastsmtp.errors import StoreError
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.namespaces import Namespace, now_ms
from fastsmtp.inbox.store import Store

_EVERY_S: Final = 1.0
_SLICE: Final = 500  # rows


class Retention:
    """Keeps an inbox within its limits."""

    def __init__(
        self,
        inbox: Inbox,
        settings: RetentionSettings,
        log: FilteringBoundLogger,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`clock_ms` returns the Unix time in milliseconds."""
        self._inbox: Final = inbox
        self._settings: Final = settings
        self._log: Final = log
        self._clock_ms: Final = clock_ms
        self._indexed = False  # so that old mails are found at once

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.enforce()
            except StoreError as error:
                self._log.error("what is kept no longer could not be deleted", reason=str(error))
            except Exception:  # a fault of ours; without this task nothing would ever be deleted
                self._log.exception("what is kept no longer could not be deleted")

    async def enforce(self) -> None:
        """Delete all that is beyond a limit now. Raises StoreError."""
        await self._end_unused()
        await self._expire()
        for namespace in self._inbox.namespaces():
            await self._keep_quota(namespace)
        await self._keep_mails()
        while await self._inbox.run(lambda store: store.changes.purge(_SLICE)):
            pass
        await self._keep_bytes()

    async def _end_unused(self) -> None:
        now = self._clock_ms()
        for namespace in self._inbox.namespaces():
            ttl_s = namespace.settings.ttl or self._settings.namespace_ttl_s
            if ttl_s and namespace.name != DEFAULT and namespace.used_at + ttl_s * 1000 < now:
                await self._inbox.end_unused(namespace)

    async def _expire(self) -> None:
        """All namespaces at once: most of the time there is nothing, and one look at an index says so."""
        if not self._settings.max_age_s:
            return
        oldest = round(self._clock_ms() - self._settings.max_age_s * 1000)

        def expire(store: Store) -> bool:
            rows = store.mails.received_before(oldest, _SLICE)
            store.changes.delete(rows, "expired")
            return len(rows) == _SLICE

        if not self._indexed:
            await self._inbox.run(Store.index_times)
            self._indexed = True
        while await self._inbox.run(expire):
            pass

    async def _keep_quota(self, namespace: Namespace) -> None:
        while namespace.settings.on_quota == "evict" and namespace.excess:
            await self._inbox.run(
                lambda store: store.changes.delete(store.mails.oldest(namespace, namespace.excess), "evicted")
            )

    async def _keep_mails(self) -> None:
        limit = self._settings.max_mails
        if not limit:
            return

        def evict(store: Store) -> bool:
            excess = sum(space.counters.present for space in store.namespaces.values()) - limit
            if excess <= 0:
                return False
            store.changes.delete(store.mails.oldest_of_all(min(excess, _SLICE)), "evicted")
            return True

        while await self._inbox.run(evict):
            pass

    async def _keep_bytes(self) -> None:
        """Whole segments go, the oldest first; not the one that is written to."""
        limit = self._settings.max_bytes

        def evict(store: Store) -> bool:
            numbers = [number for number in store.segments.sizes if number != store.segments.current]
            if not limit or store.segments.total <= limit or not numbers:
                return False
            store.changes.evict_segment(numbers[0], _SLICE)
            return True

        while await self._inbox.run(evict):
            pass
