"""What the connections of a listener share, for tests: no server, no files, and a log that keeps its lines."""

from __future__ import annotations

from typing import Any

import structlog

from fastsmtp.capture.attachments import MemoryStorage
from fastsmtp.capture.capture import Services
from fastsmtp.delivery.destination import Destination
from fastsmtp.server.backpressure import Backpressure
from fastsmtp.server.listening import Listening, ReadBuffer
from fastsmtp.smtp.sessionsettings import SessionSettings

LogLines = list[dict[str, Any]]


def make_listening(lines: LogLines, destination: Destination, **changes: Any) -> Listening:
    """A listener of "mx.test" whose log goes to `lines`; `changes` are those of its fields, and of what is in them."""

    def keep(_logger: object, level: str, event: Any) -> Any:
        lines.append({"level": level, **event})
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, processors=[keep])
    session = {"max_connections": changes.pop("max_connections", 0), **changes.pop("session", {})}
    shared = {
        "server": "default",
        "settings": SessionSettings(hostname="mx.test", **session),
        "services": Services(changes.pop("storage", MemoryStorage()), False, log),
        "destination": destination,
        "counters": None,
        "backpressure": Backpressure(changes.pop("inflight", 0), changes.pop("share", 0)),
        "buffer": ReadBuffer(),
        "connections": set(),
        "read_timeout_s": 60.0,
        "write_timeout_s": 10.0,
    }
    return Listening(**{**shared, **changes})
