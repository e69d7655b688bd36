"""Mails of the streams into a store: each node that has one reads all mails, in the order of their partition, once.

A strategy in four steps:
1. The store knows the last mail of each stream that it has: the number is committed in the group of that mail.
2. A `StreamReader` begins behind it, and again where the store is whenever something was lost.
3. A mail is filed with its place in the stream and that of the mail before it. Where one could not be committed, the
   store takes none behind it, and the feed begins again there: nothing is left out, and nothing comes twice.
4. What a client wants of an inbox - a namespace deleted, mails marked - stands in the stream, too, as an order: each
   node carries it out when all mails before it are filed, and none behind it. So all nodes show the same. Orders may be
   carried out again after a restart; that changes nothing.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.bodies import MissingError, read_chunks
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import read_header
from fastsmtp.cluster.streamreader import FeedError, StreamReader
from fastsmtp.cluster.subjects import COPY, MAIL, ORDER, namespace_of
from fastsmtp.errors import StoreError
from fastsmtp.inbox.arrival import Incoming, arrival_steps
from fastsmtp.inbox.group import OUT_OF_ORDER, Arrival, Filed, StreamPosition, reason_of
from fastsmtp.inbox.namespaces import DROPPED
from fastsmtp.system.timeslices import in_slices

if TYPE_CHECKING:
    from nats.aio.msg import Msg

File = Callable[[Arrival, Callable[["list[Filed] | StoreError"], None]], None]  # `Inbox.file`
CarryOut = Callable[[str, int, bytes], Awaitable[None]]  # an order: its namespace, its number, and what it says


@dataclass(slots=True)
class FeedCounts:
    """What has happened so far; the numbers only grow."""

    fed: int = 0  # mails that were handed to the store
    orders: int = 0  # that were carried out
    feed_unreadable: int = 0  # messages that are not mails, or of which a part is gone


class StreamFeed:
    """Reads one stream into a store; a `ReaderOwner`."""

    def __init__(
        self,
        connection: NATSConnection,
        stream: str,
        partition: int,
        *,
        key: str,
        position: int,
        file: File,
        carry_out: CarryOut,
        log: FilteringBoundLogger,
        counts: FeedCounts,
    ) -> None:
        """`position` is the number of the last mail of this stream that the store has under `key`, 0 = it has none."""
        self._connection: Final = connection
        self._stream: Final = stream
        self._key: Final = key
        self._file: Final = file
        self._carry_out: Final = carry_out
        self._log: Final = log
        self._counts: Final = counts
        self._settled = asyncio.Event()
        self._filing = 0  # mails that the store was handed and has not decided about
        self._stored = position  # of the last mail that is committed
        self._handed = position
        self._refusal = ""  # what the store said of a mail, "" = it takes them
        subjects = [f"{kind}.{partition}.>" for kind in (MAIL, COPY, ORDER)]
        self.reader: Final = StreamReader(connection, stream, subjects, position, self, log)

    # `ReaderOwner`

    def begin(self) -> int:
        """See `ReaderOwner`."""
        self._refusal, self._handed = "", self._stored
        return self.reader.position  # orders may stand behind the last mail

    async def take(self, message: Msg) -> None:
        """Hand a mail to the store, or carry an order out; any other message is left out."""
        seq = message.metadata.sequence.stream
        try:
            if message.subject.startswith(f"{ORDER}."):
                await self._take_order(message, seq)
            else:
                await self._take_mail(message, seq)
        except (ValueError, KeyError, MissingError) as error:
            self._counts.feed_unreadable += 1
            self._log.error("a message is left out", stream=self._stream, seq=seq, reason=str(error))
            await self._pass(seq)

    async def settle(self) -> None:
        """See `ReaderOwner`."""
        while self._filing:
            self._settled.clear()
            await self._settled.wait()
        if self._refusal:
            raise FeedError(self._refusal)

    # the way of a mail

    async def _take_mail(self, message: Msg, seq: int) -> None:
        """Raises ValueError, KeyError and MissingError for what is not a mail."""
        header = read_header(message.headers)
        body = message.data
        if header.chunks:
            body = await read_chunks(self._connection, self._stream, seq, header)
        document, raw = body[: header.outline], body[header.outline :]
        names = tuple(header.namespaces)
        at_ms = header.at_ms or int(message.metadata.timestamp.timestamp() * 1000)  # the same on every node
        if header.outcome == DROPPED:
            arrival = Arrival.to_be_counted(header.uuid, names, at_ms, header.outcome, header.size)
        else:
            arrival = await in_slices(
                arrival_steps(Incoming(document, raw, names, at_ms, header.outcome, header.faults))
            )
        position = StreamPosition(self._key, self._handed, seq)
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
            self.reader.move(seq)

    async def _take_order(self, message: Msg, seq: int) -> None:
        await self.settle()
        await self._carry_out(namespace_of(message.subject), seq, message.data)
        self._counts.orders += 1
        self.reader.move(seq)

    async def _pass(self, seq: int) -> None:
        await self.settle()
        self.reader.move(seq)
