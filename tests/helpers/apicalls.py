"""Calls of the inbox's API of a real server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from servers import Server


def call(server: Server, method: str, path: str, document: Any = None) -> tuple[int, Any]:
    """Return status and document of an answer."""
    return call_with(server, method, path, None if document is None else json.dumps(document).encode())


def call_with(server: Server, method: str, path: str, octets: bytes | None) -> tuple[int, Any]:
    """Return status and document of an answer to these octets."""
    request = urllib.request.Request(f"{server.inbox}{path}", octets, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
