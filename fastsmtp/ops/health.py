"""Health and readiness over HTTP, in the JSON of RoadRunner's status plugin.

`/health`: does it live, that is, is a worker in service? `/ready`: is a worker free at this moment? Both take
`?plugin=smtp`, more than once too. Imported only where `status.address` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

STOPPING: Final = "service is shutting down"
_OK: Final = 200
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Checks:
    """What one plugin says about itself; each returns "" when all is well, else what is wrong."""

    health: Callable[[], str]
    ready: Callable[[], str]


class Status:
    """Answers the two questions for every plugin in `plugins`, or for those that the query names."""

    def __init__(self, plugins: Mapping[str, Checks], stopping: Callable[[], bool], unavailable: int) -> None:
        """`unavailable` is the status code of a no."""
        self._plugins = plugins
        self._stopping = stopping
        self._unavailable = unavailable

    async def health(self, request: Request) -> Response:
        """200 while stopping too: what finishes its mails must not be killed for being ill."""
        if self._stopping():
            return self._answer(request, lambda _: STOPPING, _OK)
        return self._answer(request, lambda checks: checks.health(), self._unavailable)

    async def ready(self, request: Request) -> Response:
        """Never 200 while stopping."""
        if self._stopping():
            return self._answer(request, lambda _: STOPPING, self._unavailable)
        return self._answer(request, lambda checks: checks.ready(), self._unavailable)

    def _answer(self, request: Request, check: Callable[[Checks], str], complaint: int) -> Response:
        report, status = [], _OK
        for name in request.query_params.getlist("plugin") or self._plugins:
            plugin = self._plugins.get(name)
            # RoadRunner leaves out what it does not know: a probe with a typing error would always be content.
            fault = "no such plugin" if plugin is None else check(plugin)
            code = _NOT_FOUND if plugin is None else complaint if fault else _OK
            report.append({"plugin_name": name, "error_message": fault, "status_code": code})
            if code != _OK:
                status = self._unavailable
        return JSONResponse(report, status)


def make_app(plugins: Mapping[str, Checks], stopping: Callable[[], bool], unavailable: int) -> Starlette:
    """The ASGI application with both routes."""
    status = Status(plugins, stopping, unavailable)
    return Starlette(routes=[Route("/health", status.health), Route("/ready", status.ready)])
