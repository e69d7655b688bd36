"""Requests to replace all workers that come while they are being replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import StartError


class Resets:
    """One at a time, and one more for all that were asked for meanwhile."""

    def __init__(self, reset: Callable[[], Coroutine[None, None, None]], log: FilteringBoundLogger) -> None:
        """`reset` replaces the workers, or raises StartError, which is logged."""
        self._reset = reset
        self._log = log
        self._running: asyncio.Future[None] | None = None
        self._again = False

    def ask(self) -> None:
        """Returns at once."""
        if self._running is not None:
            self._again = True  # the code may have changed since the first new worker read it
        else:
            self._running = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            await self._reset()
        except StartError as error:
            self._log.error("workers could not be replaced", error=str(error))
        else:
            self._log.info("workers replaced")
        finally:
            self._running = None
        if self._again:
            self._again = False
            self.ask()
