"""An output: each mail that the cluster has becomes a job of RoadRunner, too, by way of RabbitMQ.

The body is that of `delivery.jobs`, the header fields are those of RoadRunner's own driver: `rr_id`, `rr_job` and
`rr_pipeline` are text, `rr_headers` is a byte array of JSON, `rr_auto_ack` a boolean. `rr_priority` and `rr_delay` are
left out, for which that driver has the priority of its pipeline and no delay: it takes 64-bit integers alone, ends its
whole process for shorter ones, and aio-pika writes the shortest form that an integer has.

A mail is confirmed when RabbitMQ has routed it to a queue and, as that is a quorum queue, a majority has it on disk.
What RabbitMQ refuses ends the channel and with it the mails that are on their way over it, which are published again:
so large mails, which may be refused, have a channel of their own and go one after the other.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.email import LIGHT, Email
from fastsmtp.cluster.amqpconnection import AMQPChannel, AMQPConnection, reason_of
from fastsmtp.config.cluster import AMQPOutputSettings
from fastsmtp.delivery.deferred import Stretch, blocks_of, octets_of
from fastsmtp.delivery.jobs import encode_job, job_headers, job_steps
from fastsmtp.delivery.large import LargePayload
from fastsmtp.delivery.workers import Slices
from fastsmtp.smtp.events import Verdict

if TYPE_CHECKING:
    from aio_pika.abc import AbstractMessage

_FIRST_S: Final = 0.05  # of the delays before a mail is published again ...
_LAST_S: Final = 1.0
_LARGE_OCTETS: Final = 1024 * 1024
_BLOCKS_AT_ONCE: Final = 8
_TAKEN: Final = frozenset({Verdict.ACCEPT, Verdict.ACCEPT_AND_CLOSE})


@dataclass(slots=True)
class OutputCounts:
    """What has happened so far; the numbers only grow."""

    output_published: int = 0  # mails
    output_confirmed: int = 0
    output_repeated: int = 0  # attempts after the first
    output_failed: int = 0  # mails that were not confirmed in time, or refused


class AMQPOutput:
    """Publishes mails as jobs, over one connection; a `Destination` that follows the one that decides."""

    def __init__(
        self,
        settings: AMQPOutputSettings,
        log: FilteringBoundLogger,
        *,
        mails: int,
        timeout_s: float,
        slices: Slices | None = None,
    ) -> None:
        """At most `mails` are in flight; each has `timeout_s`. Without `slices` large mails are encoded in one go."""
        self._settings: Final = settings
        self._log: Final = log
        self._timeout_s: Final = timeout_s
        self._slices: Final = slices
        self._connection: Final = AMQPConnection(settings, log)
        self._where: Final = self._connection.where
        self._channels: Final = (AMQPChannel(self._connection, mails), AMQPChannel(self._connection, 1))
        self._closing: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[Verdict]] = set()
        self.counts = OutputCounts()

    async def start(self) -> None:
        """Connect, and see that exchange and queue are there. Raises StartError."""
        await self._connection.open()

    @property
    def connected(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._connection.connected

    @property
    def in_flight(self) -> int:
        """Mails that are not confirmed."""
        return len(self._tasks)

    def deliver(self, email: Email, decided: Callable[[Verdict], None]) -> None:
        """See `Destination.deliver`; a mail that was not accepted goes no further."""
        verdict = Verdict.ACCEPT if email.verdict is None else email.verdict
        pipeline = self._settings.pipeline
        if verdict not in _TAKEN:
            asyncio.get_running_loop().call_soon(decided, verdict)
        elif email.weight <= LIGHT or self._slices is None:
            self._publish(email.uuid, encode_job(email, pipeline), verdict, decided)
        else:
            steps = job_steps(email, pipeline)
            self._slices.add(functools.partial(self._step, steps.__next__, email.uuid, verdict, decided))

    def _step(self, go_on: Callable[[], None], uuid: str, verdict: Verdict, decided: Callable[[Verdict], None]) -> bool:
        """Go on with the JSON of a large email; whether there is more to do."""
        try:
            go_on()
        except StopIteration as end:
            self._publish(uuid, end.value, verdict, decided)
            return False
        except Exception:
            self._log.exception("mail cannot be published", uuid=uuid, server=self._where)
            decided(Verdict.STORAGE_FAILED)
            return False
        return True

    def _publish(self, uuid: str, payload: LargePayload, verdict: Verdict, decided: Callable[[Verdict], None]) -> None:
        self.counts.output_published += 1
        task = asyncio.ensure_future(asyncio.wait_for(self._attempts(uuid, payload[1], verdict), self._timeout_s))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._on_done, uuid, decided))

    def _on_done(self, uuid: str, decided: Callable[[Verdict], None], task: asyncio.Task[Verdict]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, asyncio.TimeoutError):
            self._log.error("RabbitMQ does not confirm a mail", uuid=uuid, server=self._where)
        elif error is not None:
            self._log.error("mail cannot be published", uuid=uuid, server=self._where, exc_info=error)
        verdict = Verdict.STORAGE_FAILED if error is not None or task.cancelled() else task.result()
        if verdict in _TAKEN:
            self.counts.output_confirmed += 1
        else:
            self.counts.output_failed += 1
        decided(verdict)

    async def _attempts(self, uuid: str, body: Sequence[Stretch], verdict: Verdict) -> Verdict:
        """Publish a mail until it is confirmed, and return its verdict, or that it is too large."""
        large = octets_of(body) > _LARGE_OCTETS
        octets = await _joined(body)
        attempts = 0
        while True:
            try:
                await self._channels[large].publish(self._message(uuid, octets))
                return verdict
            except Exception as error:  # those of aio-pika have no common base but this
                if large and _is_too_large(error):
                    self._log.error("a mail is refused by RabbitMQ", uuid=uuid, reason=reason_of(error))
                    return Verdict.TOO_LARGE
                self._log.debug("a mail is published again", uuid=uuid, reason=reason_of(error))
            attempts += 1
            self.counts.output_repeated += 1
            await asyncio.sleep(min(_LAST_S, _FIRST_S * 2**attempts) * random.uniform(0.5, 1.0))

    def _message(self, uuid: str, octets: bytes) -> AbstractMessage:
        import aio_pika

        return aio_pika.Message(
            octets,
            headers=_headers(uuid, self._settings),
            content_type="application/octet-stream",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=uuid,
        )

    async def stop(self) -> None:
        """Close the connection. Mails that are not confirmed have failed."""
        self._cancel()
        await self._connection.close()

    def abort(self) -> None:
        """The same, without waiting."""
        self._cancel()
        self._closing = asyncio.ensure_future(self._connection.close())

    def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()


async def _joined(body: Sequence[Stretch]) -> bytes:
    """Return the octets of a body; others have their turn while one that is large is made."""
    octets = bytearray()
    for number, block in enumerate(blocks_of(body), 1):
        octets += block
        if number % _BLOCKS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return bytes(octets)


def _headers(uuid: str, settings: AMQPOutputSettings) -> dict[str, Any]:
    return {
        "rr_id": uuid,
        "rr_job": settings.job,
        "rr_pipeline": settings.pipeline,
        "rr_headers": bytearray(msgspec.json.encode(job_headers(uuid))),  # written as a byte array, bytes as text
        "rr_auto_ack": False,
    }


def _is_too_large(error: Exception) -> bool:
    from aiormq.exceptions import ChannelPreconditionFailed

    return isinstance(error, ChannelPreconditionFailed)
