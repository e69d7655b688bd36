"""The answers to health and readiness probes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fastsmtp.ops.health import Checks, make_app

FINE = {"plugin_name": "smtp", "error_message": "", "status_code": 200}


class Plugin:
    """A plugin with faults, and a server that may be stopping."""

    def __init__(self, health: str = "", ready: str = "", *, stopping: bool = False) -> None:
        self.app = make_app({"smtp": Checks(lambda: health, lambda: ready)}, lambda: stopping, 503)

    def ask(self, path: str, query: str = "", method: str = "GET") -> tuple[int, Any]:
        """Status code and decoded body."""
        return asyncio.run(self._ask(path, query, method))

    async def _ask(self, path: str, query: str, method: str) -> tuple[int, Any]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        code: int = sent[0]["status"]
        return code, json.loads(body) if body.startswith(b"[") else body.decode()


@pytest.mark.parametrize("path", ["/health", "/ready"])
@pytest.mark.parametrize("query", ["", "plugin=smtp", "x=y"])
def test_all_is_well(path: str, query: str) -> None:
    assert Plugin().ask(path, query) == (200, [FINE])


def test_a_fault_of_one_kind_is_not_told_by_the_other() -> None:
    busy = {**FINE, "error_message": "no worker available", "status_code": 503}
    assert Plugin(ready="no worker available").ask("/ready") == (503, [busy])
    assert Plugin(ready="no worker available").ask("/health") == (200, [FINE])
    assert Plugin(health="no worker available").ask("/health") == (503, [busy])


def test_stopping_is_healthy_but_not_ready() -> None:
    message = {**FINE, "error_message": "service is shutting down"}
    assert Plugin(stopping=True).ask("/health") == (200, [message])
    assert Plugin(stopping=True).ask("/ready", "plugin=smtp") == (503, [{**message, "status_code": 503}])


def test_an_unknown_plugin_is_not_well() -> None:
    unknown = {"plugin_name": "http", "error_message": "no such plugin", "status_code": 404}
    assert Plugin().ask("/health", "plugin=smtp&plugin=http") == (503, [FINE, unknown])
    assert Plugin(stopping=True).ask("/health", "plugin=http") == (503, [unknown])


def test_anything_else_is_not_found() -> None:
    assert Plugin().ask("/")[0] == 404
    assert Plugin().ask("/health", method="POST")[0] == 405
