"""What verbs about a cluster have in common: its servers are those of a node's configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastsmtp.cli.options import BAD_CONFIG, NOBODY_THERE, fail
from fastsmtp.cli.source import Source

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from fastsmtp.cluster.connection import NATSConnection
    from fastsmtp.config.cluster import ClusterSettings

T = TypeVar("T")
Work = Callable[["NATSConnection", "ClusterSettings", "FilteringBoundLogger"], Awaitable[T]]

EXIT_CODES: Final = """\b
Exit codes:
  0  done
  1  {refused}
  2  bad configuration or usage; there is no section cluster
  3  no NATS server of cluster.servers answers
"""


def connected(source: Source, name: str, work: Work[T]) -> T:
    """Return what `work` returns, connected to the cluster; what fails is one line and an exit code.

    `name` is how the servers show the connection.
    """
    settings = source.read().cluster
    if settings is None:
        where = f"in {source.path}" if source.path else "without a configuration"
        fail(f"there is no section cluster {where}", BAD_CONFIG)
    source.enter()
    import structlog

    from fastsmtp.cluster.connection import NATSConnection
    from fastsmtp.errors import StartError

    structlog.configure(processors=[_drop])
    log = structlog.get_logger()

    async def work_connected() -> T:
        connection = NATSConnection(settings, name, log)
        try:
            await connection.open()
            return await work(connection, settings, log)
        finally:
            await connection.close()

    try:
        return asyncio.run(work_connected())
    except StartError as error:
        fail(error, NOBODY_THERE)


def _drop(_logger: Any, _name: str, _event: Any) -> Any:
    """Leave out what the connection logs: what matters is told by the exit."""
    import structlog

    raise structlog.DropEvent
