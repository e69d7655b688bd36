"""Health and readiness over HTTP, in the JSON of RoadRunner's status plugin.

`/health`: does it live, that is, is a worker in service? `/ready`: is a worker free at this moment, and does the inbox
take mails? Both take `?plugin=smtp`, more than once too. Imported only where `status.address` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

STOPPING: Final = "service is shutting down"
_OK: Final = 200
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class PluginChecks:
    """What one plugin says about itself; each returns "" when all is well, else what is wrong."""

    health: Callable[[], str]
    ready: Callable[[], str]


class HealthChecks:
    """Answers the two questions for every plugin in `plugins`, or for those that the query names."""

    def __init__(self, plugins: Mapping[str, PluginChecks], stopping: Callable[[], bool], unavailable: int) -> None:
        """`unavailable` is the status code of a no."""
        self._plugins = plugins
        self._stopping = stopping
        self._unavailable = unavailable

    def health(self, request: web.Request) -> web.Response:
        """200 while stopping too: what finishes its mails must not be killed for being ill."""
        if self._stopping():
            return self._answer(request, lambda _: STOPPING, _OK)
        return self._answer(request, lambda checks: checks.health(), self._unavailable)

    def ready(self, request: web.Request) -> web.Response:
        """Never 200 while stopping."""
        if self._stopping():
            return self._answer(request, lambda _: STOPPING, self._unavailable)
        return self._answer(request, lambda checks: checks.ready(), self._unavailable)

    def _answer(self, request: web.Request, check: Callable[[PluginChecks], str], complaint: int) -> web.Response:
        report, status = [], _OK
        for name in request.query.getall("plugin", None) or self._plugins:
            plugin = self._plugins.get(name)
            # RoadRunner leaves out what it does not know: a probe with a typing error would always be content.
            fault = "no such plugin" if plugin is None else check(plugin)
            code = _NOT_FOUND if plugin is None else complaint if fault else _OK
            report.append({"plugin_name": name, "error_message": fault, "status_code": code})
            if code != _OK:
                status = self._unavailable
        return web.Response(body=msgspec.json.encode(report), status=status, content_type="application/json")
