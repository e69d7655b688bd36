"""The connection with RabbitMQ, by aio-pika: an extra of this package, imported only on a front with such an output.

It is made again for as long as it takes, and so are its channels: what is published tells of a connection that is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.cluster import AMQPOutputSettings, without_login
from fastsmtp.errors import StartError

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractMessage

_OPEN_S: Final = 10.0  # for a connection, and for what is declared
_AGAIN_S: Final = 0.5  # between two attempts
_HEARTBEAT_S: Final = 5
_QUORUM: Final = {"x-queue-type": "quorum"}


class AMQPConnection:
    """One connection of a process."""

    def __init__(self, settings: AMQPOutputSettings, log: FilteringBoundLogger) -> None:
        self.settings: Final = settings
        self.where: Final = without_login(settings.addr)
        self._log: Final = log
        self._connection: AbstractConnection | None = None
        self._ready: Final = asyncio.Event()
        self._gone: Final = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. Raises StartError."""
        _look_for_pika()
        try:
            await self._connect()
        except Exception as error:  # those of aio-pika have no common base but this
            raise StartError(f"cluster.outputs: {self.where}: {reason_of(error)}") from None
        self._keeping = asyncio.ensure_future(self._keep())

    async def _connect(self) -> None:
        """Connect, and see that exchange and queue are there. Raises what aio-pika raises."""
        import aio_pika

        context = ssl.create_default_context() if self.settings.addr.startswith("amqps:") else None
        connecting = aio_pika.connect(self.settings.addr, ssl_context=context, heartbeat=_HEARTBEAT_S)
        connection = await asyncio.wait_for(connecting, _OPEN_S)
        try:
            channel = await asyncio.wait_for(connection.channel(), _OPEN_S)
            await asyncio.wait_for(declare(channel, self.settings), _OPEN_S)
            await channel.close()
        except BaseException:
            await connection.close()
            raise
        self._gone.clear()
        connection.close_callbacks.add(self._on_closed)
        self._connection = connection
        self._ready.set()

    def _on_closed(self, *_arguments: Any) -> None:
        self._ready.clear()
        self._gone.set()

    async def _keep(self) -> None:
        """Connect again whenever the connection is gone."""
        while True:
            await self._gone.wait()
            self._log.warning("RabbitMQ is gone, connecting again", server=self.where)
            while not self._ready.is_set():
                await asyncio.sleep(_AGAIN_S)
                with contextlib.suppress(Exception):
                    await self._connect()
            self._log.info("connected with RabbitMQ again", server=self.where)

    @property
    def connected(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._ready.is_set()

    async def channel(self) -> AbstractChannel:
        """Return a new channel, when there is a connection. Raises what aio-pika raises."""
        await self._ready.wait()
        assert self._connection is not None
        channel: AbstractChannel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        return channel

    async def close(self) -> None:
        """Close it."""
        if self._keeping is not None:
            self._keeping.cancel()
        if self._connection is not None:
            await self._connection.close()


class AMQPChannel:
    """A channel, over which so many mails may be in flight."""

    def __init__(self, connection: AMQPConnection, mails: int) -> None:
        self._connection: Final = connection
        self._free: Final = asyncio.Semaphore(mails)
        self._opening: Final = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    async def publish(self, message: AbstractMessage) -> None:
        """Return when RabbitMQ has confirmed a message. Raises what aio-pika raises."""
        from aio_pika.exceptions import PublishError

        settings = self._connection.settings
        async with self._free:
            channel, exchange = await self._open()
            try:
                await exchange.publish(message, settings.pipeline)  # mandatory: it has to be routed to a queue
            except PublishError:  # the queue is gone, as with `delete_queue_on_stop` of RoadRunner
                await declare(channel, settings)
                raise

    async def _open(self) -> tuple[AbstractChannel, AbstractExchange]:
        """Return the channel, another one where it was closed."""
        async with self._opening:
            if self._channel is None or self._exchange is None or self._channel.is_closed:
                channel = await self._connection.channel()
                self._exchange = await channel.get_exchange(self._connection.settings.exchange, ensure=False)
                self._channel = channel
            return self._channel, self._exchange


async def declare(channel: AbstractChannel, settings: AMQPOutputSettings) -> None:
    """Declare exchange and queue as a pipeline of RoadRunner does. Raises what aio-pika raises."""
    from aio_pika import ExchangeType

    exchange = await channel.declare_exchange(settings.exchange, ExchangeType.DIRECT, durable=True)
    queue = await channel.declare_queue(settings.pipeline, durable=True, arguments=dict(_QUORUM))
    await queue.bind(exchange, settings.pipeline)


def _look_for_pika() -> None:
    """Raises StartError where aio-pika is not installed. What it logs we say ourselves, in our words."""
    try:
        import aio_pika  # noqa: F401 - takes a while, and is an extra
    except ImportError:
        raise StartError(
            'cluster.outputs needs aio-pika, which is not installed: pip install "fastsmtp-server[amqp]"'
        ) from None
    for name in ("aio_pika", "aiormq"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def reason_of(error: BaseException) -> str:
    """Return what an error says, or its kind where it says nothing."""
    return str(error) or type(error).__name__
