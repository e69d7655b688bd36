"""Which sockets and pipes are ready, whatever the numbers of their descriptors: `select.select` ends at 1024."""

from __future__ import annotations

import selectors
from collections.abc import Iterable
from typing import Any


def readable(*sources: Any, seconds: float) -> bool:
    """Whether one of the sources can be read within so many seconds."""
    return _ready(sources, selectors.EVENT_READ, seconds)


def writable(source: Any, seconds: float) -> bool:
    """Whether the source takes octets within so many seconds."""
    return _ready([source], selectors.EVENT_WRITE, seconds)


def _ready(sources: Iterable[Any], events: int, seconds: float) -> bool:
    with selectors.PollSelector() as selector:
        for source in sources:
            selector.register(source, events)
        return bool(selector.select(seconds))
