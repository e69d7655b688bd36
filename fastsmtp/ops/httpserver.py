"""An HTTP listener beside the SMTP ones, in the same event loop: uvicorn without its signals, logs and clock."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from fastsmtp.errors import StartError
from fastsmtp.system.sockets import bind, listen

if TYPE_CHECKING:
    import uvicorn

_MAX_REQUESTS = 100  # at a time; who asks more often than that gets 503
_GRACE_S = 1  # for answers under way when it stops


class Endpoint:
    """Bound when made, so that a taken port is told early; listens from `start` to `stop`."""

    def __init__(self, key: str, address: str) -> None:
        """`key` is the setting that asks for it. Raises StartError."""
        self._key = key
        try:
            self._socket: socket.socket = bind(address)
        except StartError as error:
            raise StartError(f"{key}: {error}") from None
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server: uvicorn.Server | None = None

    async def start(self, app: Any) -> None:
        """Answer requests with an ASGI application. Raises StartError."""
        import uvicorn  # most servers do without

        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,  # its warnings go the way of all records
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,  # kept up to date by a timer that runs ten times a second
            limit_concurrency=_MAX_REQUESTS,
            timeout_graceful_shutdown=_GRACE_S,
        )
        config.load()
        listen(self._socket, config.backlog, f"{self.url.removeprefix('http://')} ({self._key})")
        # Not `serve`: it would catch our signals.
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])

    async def stop(self) -> None:
        """Let requests under way end, then close."""
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown(sockets=[self._socket])
        self._socket.close()

    def abort(self) -> None:
        """End at once."""
        if self._server is not None:
            for listener in self._server.servers:
                listener.close()
            for connection in list(self._server.server_state.connections):
                if connection.transport is not None:
                    connection.transport.abort()
            self._server = None
        self._socket.close()
