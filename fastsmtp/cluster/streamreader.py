"""Reads the messages of a stream, in order, each once: by a consumer in the servers' memory.

Nothing is acknowledged, but the consumer counts: a number that is missing, or a request that nothing answers, as when
its server is gone, ends it, and another one begins where the owner of the reader is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import NATSMessage, header_text

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_BATCH: Final = 200  # messages that are asked for at a time
_EXPIRES_S: Final = 5.0  # of a request
_SILENCE_S: Final = 8.0  # after which its consumer is gone
_FORGET_S: Final = 30.0  # after which the servers drop a consumer that is not used
_AGAIN_S: Final = 0.5
_NANO: Final = 1_000_000_000
_TIME_IS_OVER: Final = "408"


class FeedError(Exception):
    """A stream cannot be read at the moment."""


class _APIError(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class _State(msgspec.Struct, frozen=True):
    first_seq: int = 0
    last_seq: int = 0


class _Answer(msgspec.Struct, frozen=True):
    """Of the JetStream API: the name of a consumer, or what is known of a stream."""

    name: str = ""
    created: str = ""
    state: _State = _State()
    error: _APIError | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is known of a stream: when it was made, and the numbers of its oldest and its newest message.

    `last` is 0 where there is none.
    """

    created: str
    first: int
    last: int


async def ask_state(connection: NATSConnection, stream: str) -> StreamState:
    """Ask the leader of a stream. Raises FeedError, and what nats-py raises."""
    told = await _ask_api(connection, f"STREAM.INFO.{stream}")
    state = told.state
    return StreamState(told.created, state.first_seq, state.last_seq if state.first_seq <= state.last_seq else 0)


async def _ask_api(connection: NATSConnection, what: str, body: bytes = b"") -> _Answer:
    """Raises FeedError, and what nats-py raises."""
    told = msgspec.json.decode((await connection.request(f"$JS.API.{what}", body)).body, type=_Answer)
    if told.error is not None:
        raise FeedError(f"{what}: {told.error.description}")
    return told


class ReaderOwner(Protocol):
    """What is done with the messages of a stream."""

    def begin(self) -> int:
        """Return the number of the message behind which is read: of the last one that was taken for good."""

    async def take(self, message: Msg) -> None:
        """Take the next message."""

    async def settle(self) -> None:
        """Wait until all messages are taken for good. Raises FeedError where one could not be."""


class StreamReader:
    """Reads one stream for its owner, for as long as it takes."""

    def __init__(
        self,
        connection: NATSConnection,
        stream: str,
        subjects: Sequence[str],
        position: int,
        owner: ReaderOwner,
        log: FilteringBoundLogger,
        *,
        headers_only: bool = False,
    ) -> None:
        """`position` is the number of the last message that the owner has, 0 = it has none."""
        self._headers_only: Final = headers_only
        self._connection: Final = connection
        self._stream: Final = stream
        self._subjects: Final = list(subjects)
        self._owner: Final = owner
        self._log: Final = log
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        self._next_answer: asyncio.Future[int] | None = None  # of a question that is not asked yet
        self.position = position
        self.begun = 0  # consumers

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def move(self, seq: int) -> None:
        """The owner has all messages up to this number, and shows them."""
        self.position = seq
        self._moved.set()

    async def reach(self, seq: int) -> None:
        """Return when all messages up to this number are visible."""
        while self.position < seq:
            self._moved.clear()
            await self._moved.wait()

    async def last(self) -> int:
        """Return the number of the newest message that there is now, 0 = there is none.

        Callers that come while a question is under way share the next one. Raises FeedError, and what nats-py raises.
        """
        if self._next_answer is None:
            self._next_answer = asyncio.ensure_future(self._ask_last())
        return await asyncio.shield(self._next_answer)

    async def _ask_last(self) -> int:
        async with self._asking:
            self._next_answer = None
            return (await ask_state(self._connection, self._stream)).last

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except Exception as error:  # those of nats-py have no common base but this
                self._log.debug(
                    "a stream is read again", stream=self._stream, reason=str(error) or type(error).__name__
                )
            await asyncio.sleep(_AGAIN_S)

    async def _read(self) -> None:
        """Read from where the owner is, until the consumer is lost."""
        client, inbox = self._connection.client, self._connection.new_inbox()
        come: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await client.subscribe(inbox, cb=come.put, pending_bytes_limit=0, pending_msgs_limit=0)
        try:
            consumer = await self._make_consumer(self._owner.begin())
            self.begun += 1
            number = 0
            while True:
                await self._ask(consumer, inbox)
                number = await self._take_batch(come, number)
        finally:
            await subscription.unsubscribe()

    async def _make_consumer(self, position: int) -> str:
        config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": position + 1,
            "ack_policy": "none",
            "filter_subjects": self._subjects,
            "inactive_threshold": int(_FORGET_S * _NANO),
            "num_replicas": 1,
            "mem_storage": True,
            "headers_only": self._headers_only,
        }
        body = json.dumps({"stream_name": self._stream, "config": config}).encode()
        return (await _ask_api(self._connection, f"CONSUMER.CREATE.{self._stream}", body)).name

    async def _ask(self, consumer: str, inbox: str) -> None:
        body = json.dumps({"batch": _BATCH, "expires": int(_EXPIRES_S * _NANO)}).encode()
        await self._connection.publish(
            NATSMessage(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}", {}, body), inbox
        )

    async def _take_batch(self, come: asyncio.Queue[Msg], number: int) -> int:
        """Hand over what comes of one request; return the consumer's number of its last message. Raises FeedError."""
        try:
            for _ in range(_BATCH):
                message = await asyncio.wait_for(come.get(), _SILENCE_S)
                if status := header_text(message.headers, "Status"):
                    if status != _TIME_IS_OVER:
                        raise FeedError(f"status {status}")
                    break
                number += 1
                if message.metadata.sequence.consumer != number:
                    raise FeedError(f"message {message.metadata.sequence.consumer} in place of {number}")
                await self._owner.take(message)
        finally:
            await self._owner.settle()
        return number
