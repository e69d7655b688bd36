"""A publisher that is connected, as every node of a cluster has one."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.publisher import Publisher
from fastsmtp.config.cluster import ClusterSettings


async def start_publisher(
    connection: NATSConnection, settings: ClusterSettings, log: FilteringBoundLogger
) -> Publisher:
    """Return a publisher that has begun. The connection is open, and tells it when there is another server."""
    flight, inbox = settings.in_flight, connection.new_inbox()
    publisher = Publisher(
        connection, inbox, log, mails=flight.mails, octets=flight.bytes, ack_timeout_s=settings.ack_timeout_s
    )
    await connection.subscribe_replies(inbox, publisher.on_reply)
    connection.on_reconnected = publisher.on_reconnected
    publisher.start()
    return publisher
