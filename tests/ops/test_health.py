"""The answers to health and readiness probes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from fastsmtp.ops.health import HealthChecks, PluginChecks

FINE = {"plugin_name": "smtp", "error_message": "", "status_code": 200}


class Plugin:
    """A plugin with faults, and a server that may be stopping."""

    def __init__(self, health: str = "", ready: str = "", *, stopping: bool = False) -> None:
        checks = PluginChecks(lambda: health, lambda: ready)
        self.checks = HealthChecks({"smtp": checks}, lambda: stopping, 503)

    def ask(self, path: str, query: str = "") -> tuple[int, Any]:
        """Status code and decoded body."""
        request = make_mocked_request("GET", f"{path}?{query}")
        answer = {"/health": self.checks.health, "/ready": self.checks.ready}[path](request)
        assert answer.content_type == "application/json"
        return answer.status, json.loads(answer.text or "")


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
