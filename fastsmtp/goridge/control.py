"""The connection over which a process is controlled: calls by its parent, and the news that the parent is gone."""

from __future__ import annotations

from collections.abc import Callable

from fastsmtp.goridge.rpc import RPCConnection, RPCServer


class ControlConnection(RPCConnection):
    """Answers the parent's calls; `on_gone` is called when there is no parent any more."""

    __slots__ = ("_on_gone",)

    def __init__(self, rpc: RPCServer, on_gone: Callable[[], None]) -> None:
        super().__init__(rpc)
        self._on_gone = on_gone

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol.connection_lost`."""
        super().connection_lost(exc)
        self._on_gone()
