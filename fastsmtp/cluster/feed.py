"""Mails of the streams into a store: each node that has one reads all mails, in the order of their partition, once.

A strategy in four steps:
1. The store knows the last mail of each stream that it has: the number is committed in the group of that mail.
2. A consumer in the servers' memory begins behind it. Nothing is acknowledged, but it counts: a number that is missing,
   or a request that nothing answers, as when its server is gone, ends it, and another begins where the store is.
3. A mail is filed with its place in the stream and that of the mail before it. Where one could not be committed, the
   store takes none behind it, and the feed begins again there: nothing is left out, and nothing comes twice.
4. So many mails are on their way to the store at a time, and no more are asked for before they are there.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.bodies import MissingError, read_chunks
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import NATSMessage, header_text, read_header
from fastsmtp.errors import StoreError
from fastsmtp.inbox.arrival import Incoming, arrival_steps
from fastsmtp.inbox.group import OUT_OF_ORDER, Arrival, Filed, StreamPosition, reason_of
from fastsmtp.inbox.namespaces import ACCEPTED
from fastsmtp.system.timeslices import in_slices

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_BATCH: Final = 200  # mails that are asked for at a time
_EXPIRES_S: Final = 5.0  # of a request
_SILENCE_S: Final = 8.0  # after which its consumer is gone
_FORGET_S: Final = 30.0  # after which the servers drop a consumer that is not used
_AGAIN_S: Final = 0.5
_NANO: Final = 1_000_000_000
_TIME_IS_OVER: Final = "408"
_NO_MESSAGE: Final = 10037

File = Callable[[Arrival, Callable[["list[Filed] | StoreError"], None]], None]  # `Inbox.file`


class FeedError(Exception):
    """A stream cannot be read at the moment."""


class _APIError(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class _StoredMessage(msgspec.Struct, frozen=True):
    seq: int


class _Answer(msgspec.Struct, frozen=True):
    """Of the JetStream API: the name of a consumer, or a message."""

    name: str = ""
    message: _StoredMessage | None = None
    error: _APIError | None = None


@dataclass(slots=True)
class FeedCounts:
    """What has happened so far; the numbers only grow."""

    fed: int = 0  # mails that were handed to the store
    feeds_begun: int = 0  # consumers
    feed_unreadable: int = 0  # messages that are not mails, or of which a part is gone


class StreamFeed:
    """Reads one stream into a store."""

    def __init__(
        self,
        connection: NATSConnection,
        stream: str,
        partition: int,
        position: int,
        file: File,
        log: FilteringBoundLogger,
        counts: FeedCounts,
    ) -> None:
        """`position` is the number of the last mail of this stream that the store has, 0 = it has none."""
        self._connection: Final = connection
        self._stream: Final = stream
        self._partition: Final = partition
        self._file: Final = file
        self._log: Final = log
        self._counts: Final = counts
        self._moved = asyncio.Event()
        self._settled = asyncio.Event()
        self._filing = 0  # mails that the store was handed and has not decided about
        self._stored = position  # of what is committed
        self._handed = position
        self._refusal = ""  # what the store said of a mail, "" = it takes them
        self._task: asyncio.Task[None] | None = None
        self.position = position  # of what is visible

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Read no more; what was handed to the store is committed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def reach(self, seq: int) -> None:
        """Return when all mails up to this number are visible."""
        while self.position < seq:
            self._moved.clear()
            await self._moved.wait()

    async def last(self) -> int:
        """Return the number of the newest mail, 0 = there is none. Raises FeedError, and what nats-py raises."""
        body = json.dumps({"last_by_subj": f"m.{self._partition}.>"}).encode()
        told = msgspec.json.decode(
            (await self._connection.request(f"$JS.API.STREAM.MSG.GET.{self._stream}", body)).body, type=_Answer
        )
        if told.error is not None and told.error.err_code != _NO_MESSAGE:
            raise FeedError(f"stream {self._stream}: {told.error.description}")
        return 0 if told.message is None else told.message.seq

    # the way of a mail

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
        """Read from where the store is, until the consumer is lost."""
        client, inbox = self._connection.client, self._connection.new_inbox()
        come: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await client.subscribe(inbox, cb=come.put, pending_bytes_limit=0, pending_msgs_limit=0)
        try:
            self._refusal, self._handed = "", self._stored
            consumer = await self._make_consumer()
            self._counts.feeds_begun += 1
            number = 0
            while True:
                await self._ask(consumer, inbox)
                number = await self._take_batch(come, number)
        finally:
            await subscription.unsubscribe()

    async def _make_consumer(self) -> str:
        config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._stored + 1,
            "ack_policy": "none",
            "filter_subject": f"m.{self._partition}.>",
            "inactive_threshold": int(_FORGET_S * _NANO),
            "num_replicas": 1,
            "mem_storage": True,
        }
        body = json.dumps({"stream_name": self._stream, "config": config}).encode()
        told = msgspec.json.decode(
            (await self._connection.request(f"$JS.API.CONSUMER.CREATE.{self._stream}", body)).body, type=_Answer
        )
        if told.error is not None:
            raise FeedError(told.error.description)
        return told.name

    async def _ask(self, consumer: str, inbox: str) -> None:
        body = json.dumps({"batch": _BATCH, "expires": int(_EXPIRES_S * _NANO)}).encode()
        await self._connection.publish(
            NATSMessage(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}", {}, body), inbox
        )

    async def _take_batch(self, come: asyncio.Queue[Msg], number: int) -> int:
        """File what comes of one request; return the consumer's number of its last message. Raises FeedError."""
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
                await self._take(message)
        finally:
            await self._settle()
        if self._refusal:
            raise FeedError(self._refusal)
        return number

    async def _take(self, message: Msg) -> None:
        """Hand a mail to the store; any other message is left out."""
        about = message.metadata
        seq = about.sequence.stream
        try:
            header = read_header(message.headers)
            body = message.data
            if header.chunks:
                body = await read_chunks(self._connection, self._stream, seq, header)
            document, raw = body[: header.outline], body[header.outline :]
            at_ms = int(about.timestamp.timestamp() * 1000)  # the same on every node
            incoming = Incoming(document, raw, tuple(header.namespaces), at_ms, ACCEPTED)
            arrival = await in_slices(arrival_steps(incoming))
        except (ValueError, KeyError, MissingError) as error:
            self._counts.feed_unreadable += 1
            self._log.error("a message is left out", stream=self._stream, seq=seq, reason=str(error))
            await self._settle()
            self._move(seq)
            return
        position = StreamPosition(self._stream, self._handed, seq)
        self._handed = seq
        self._counts.fed += 1
        self._filing += 1
        self._file(arrival._replace(position=position), functools.partial(self._on_filed, seq))

    def _on_filed(self, seq: int, filed: list[Filed] | StoreError) -> None:
        self._filing -= 1
        self._settled.set()
        if isinstance(filed, StoreError) or reason_of(filed) == OUT_OF_ORDER:
            self._refusal = self._refusal or reason_of(filed)
        elif not self._refusal:
            self._stored = seq
            self._move(seq)

    def _move(self, seq: int) -> None:
        if not self._refusal:
            self.position = seq
            self._moved.set()

    async def _settle(self) -> None:
        """Wait until the store has said what became of all mails that it was handed."""
        while self._filing:
            self._settled.clear()
            await self._settled.wait()
