"""The HTTP listeners for machines that watch, which `metrics.address` and `status.address` ask for.

A server has them, or the parent of several processes that look like one. What serves them is imported only where a
setting asks for it: most servers do without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import Config

if TYPE_CHECKING:
    from aiohttp import web

    from fastsmtp.ops.appmetrics import AppMetric
    from fastsmtp.ops.httpserver import HTTPServer
    from fastsmtp.ops.snapshot import InboxSnapshot, Snapshot

_POOL = "smtp"
_INBOX = "inbox"


async def _refresh_nothing() -> None:
    """Nothing, where a snapshot is never old."""


async def _look_at_nothing(_idle_only: bool) -> None:
    """The same before a check."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the endpoints show."""

    snapshot: Callable[[], Snapshot]
    pids: Callable[[], Iterable[int]]  # of all its processes
    complaint: Callable[[bool], str]  # what keeps it from its work, "" = nothing; if True, a busy worker does not count
    stopping: Callable[[], bool]
    refresh: Callable[[], Awaitable[None]] = _refresh_nothing  # before metrics are told
    look: Callable[[bool], Awaitable[None]] = _look_at_nothing  # before `complaint`, which gets the same argument
    app_metrics: Iterable[AppMetric] = ()
    ask_inbox: Callable[[], Awaitable[InboxSnapshot]] | None = None  # how it is, where there is one


class Endpoints:
    """The listeners of one server: bound by `bind`, listening from `start` to `stop`."""

    def __init__(self, config: Config, log: FilteringBoundLogger) -> None:
        self._config = config
        self._log = log
        self._metrics: HTTPServer | None = None
        self._status: HTTPServer | None = None

    def bind(self) -> None:
        """Bind those that are wanted. Raises StartError."""
        if not (self._config.metrics.address or self._config.status.address):
            return
        from fastsmtp.ops.httpserver import HTTPServer

        if self._config.metrics.address:
            self._metrics = HTTPServer("metrics.address", self._config.metrics.address)
        if self._config.status.address:
            self._status = HTTPServer("status.address", self._config.status.address)

    @property
    def max_descriptors(self) -> int:
        """How many files those that are bound may have open."""
        return sum(server.max_descriptors for server in self._bound())

    async def start(self, watched: Watched) -> None:
        """Listen, and answer with what is watched. Raises StartError."""
        if self._metrics is not None:
            await self._metrics.start(_metrics_routes(watched))
            self._log.info("metrics are served", url=f"{self._metrics.url}/metrics")
        if self._status is not None:
            await self._status.start(_status_routes(watched, self._config.status.unavailable_status_code))
            self._log.info("status is served", url=f"{self._status.url}/health")

    async def stop(self) -> None:
        """Let requests under way end, then close."""
        await asyncio.gather(*(server.stop() for server in self._bound()))

    def abort(self) -> None:
        """End at once."""
        for server in self._bound():
            server.abort()

    def _bound(self) -> list[HTTPServer]:
        return [server for server in (self._metrics, self._status) if server is not None]


def _metrics_routes(watched: Watched) -> list[web.RouteDef]:
    """One for every path, as RoadRunner has it."""
    from aiohttp import web

    from fastsmtp.ops.metrics import AppMetricsCollector, Exposition, MetricsCollector, ProcessesCollector
    from fastsmtp.smtp.session import VERDICT_REPLIES

    codes = {verdict.value: wire[:3].decode() for verdict, wire in VERDICT_REPLIES.items()}
    exposition = Exposition(
        MetricsCollector(watched.snapshot, codes),
        ProcessesCollector(watched.pids),
        AppMetricsCollector(watched.app_metrics),
    )

    async def scrape(request: web.Request) -> web.Response:
        await watched.refresh()
        return exposition.answer(request)

    return [web.get("/{path:.*}", scrape)]


def _status_routes(watched: Watched, unavailable: int) -> list[web.RouteDef]:
    from aiohttp import web

    from fastsmtp.ops.health import HealthChecks, PluginChecks

    wrong = ""  # with the inbox, when it was asked last
    plugins = {_POOL: PluginChecks(lambda: watched.complaint(False), lambda: watched.complaint(True))}
    if watched.ask_inbox is not None:
        # It is started again where it has ended, and a full disk is not freed by ending the server.
        plugins[_INBOX] = PluginChecks(lambda: "", lambda: wrong)
    health_checks = HealthChecks(plugins, watched.stopping, unavailable)

    async def health(request: web.Request) -> web.Response:
        await watched.look(False)
        return health_checks.health(request)

    async def ready(request: web.Request) -> web.Response:
        nonlocal wrong
        await watched.look(True)
        if watched.ask_inbox is not None:
            wrong = (await watched.ask_inbox()).complaint
        return health_checks.ready(request)

    return [web.get("/health", health), web.get("/ready", ready)]
