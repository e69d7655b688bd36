"""What fronts have answered 250, so that it can be held against the streams: `fastsmtp ledger --cluster`.

Each front publishes, once a second, which mails were confirmed: 26 octets of each. What a front that is killed has not
published yet is not held against anything.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.identifier import uuid7
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import MESSAGE_ID, read_header
from fastsmtp.cluster.publisher import Confirmation
from fastsmtp.cluster.streamreader import StreamReader, ask_state
from fastsmtp.cluster.streams import Streams
from fastsmtp.cluster.subjects import COPY, LEDGER, MAIL, ORDER, ledger_stream_name, token_of

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_ENTRY: Final = struct.Struct(">16sHQ")  # uuid, partition, number in its stream (0 = not known)
_EVERY_S: Final = 1.0
_MAX_ENTRIES: Final = 20_000  # of one message
_PATIENCE_S: Final = 600.0


class Confirmed(NamedTuple):
    """A mail that a quorum has."""

    uuid: str
    partition: int
    seq: int


def pack(entries: Sequence[Confirmed]) -> bytes:
    """Return entries as they are published."""
    return b"".join(_ENTRY.pack(UUID(entry.uuid).bytes, entry.partition, entry.seq) for entry in entries)


def unpack(octets: bytes) -> Iterator[Confirmed]:
    """Yield entries. Raises struct.error for what is not a message of them."""
    for uuid, partition, seq in _ENTRY.iter_unpack(octets):
        yield Confirmed(str(UUID(bytes=uuid)), partition, seq)


class AcknowledgedMails:
    """Publishes what one front has answered 250."""

    def __init__(self, connection: NATSConnection, node: str, log: FilteringBoundLogger) -> None:
        self._connection: Final = connection
        self._subject: Final = f"{LEDGER}.0.{token_of(node)}"
        self._log: Final = log
        self._entries: list[Confirmed] = []
        self._task: asyncio.Task[None] | None = None

    def note(self, uuid: str, partition: int, seq: int) -> None:
        """A mail is confirmed."""
        self._entries.append(Confirmed(uuid, partition, seq))

    def start(self) -> None:
        """Begin to publish."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Publish what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S * random.uniform(0.5, 1.0))
            await self._flush()

    async def _flush(self) -> None:
        """Publish some; they are kept where the servers do not answer."""
        taken = self._entries[:_MAX_ENTRIES]
        if not taken:
            return
        try:
            told = await self._connection.request(self._subject, pack(taken), {MESSAGE_ID: uuid7()})
            if msgspec.json.decode(told.body, type=Confirmation).stream:
                del self._entries[: len(taken)]
        except Exception as error:  # those of nats-py have no common base but this
            self._log.debug("the ledger of the cluster is not told", reason=str(error) or type(error).__name__)


class ClusterLedger(NamedTuple):
    """What was answered 250, and what of it is in the streams."""

    acknowledged: int
    stored: int  # mails in the streams, answered or not
    found: int  # of those answered
    gone: int  # of those answered: older than what the streams keep
    missing: list[str]  # uuids of those answered that should be there
    twice: list[str]  # uuids that are in one stream more than once

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing, and nothing is there twice."""
        return not self.missing and not self.twice


class _Stored:
    """The mails that are in the streams, by partition."""

    def __init__(self) -> None:
        self.uuids: dict[int, set[str]] = {}
        self.twice: list[str] = []
        self.count = 0

    def add(self, message: Msg) -> None:
        kind, partition, _name = message.subject.split(".", 2)
        if kind not in (MAIL, COPY):
            return
        try:
            uuid = read_header(message.headers).uuid
        except ValueError:
            return
        uuids = self.uuids.setdefault(int(partition), set())
        if uuid in uuids:
            self.twice.append(uuid)
        uuids.add(uuid)
        self.count += 1


class _Pass:
    """One reading of a stream, from its beginning to its end; a `ReaderOwner`."""

    def __init__(
        self,
        connection: NATSConnection,
        stream: str,
        subjects: Sequence[str],
        log: FilteringBoundLogger,
        *,
        headers_only: bool = False,
    ) -> None:
        self.messages: list[Msg] = []
        self.reader: Final = StreamReader(connection, stream, subjects, 0, self, log, headers_only=headers_only)

    def begin(self) -> int:
        """See `ReaderOwner`."""
        return self.reader.position

    async def take(self, message: Msg) -> None:
        """See `ReaderOwner`."""
        self.messages.append(message)
        self.reader.move(message.metadata.sequence.stream)

    async def settle(self) -> None:
        """See `ReaderOwner`."""

    async def all(self) -> list[Msg]:
        """Return all messages that there are now. Raises FeedError, asyncio.TimeoutError, and what nats-py raises."""
        last = await self.reader.last()
        self.reader.start()
        try:
            await asyncio.wait_for(self.reader.reach(last), _PATIENCE_S)
        finally:
            await self.reader.stop()
        return self.messages


async def compare(
    connection: NATSConnection, streams: Streams, prefix: str, log: FilteringBoundLogger
) -> ClusterLedger:
    """Hold what fronts have answered against what is there. Raises what `_Pass.all` raises."""
    told = await _Pass(connection, ledger_stream_name(prefix), [f"{LEDGER}.>"], log).all()
    acknowledged = {entry for message in told for entry in unpack(message.data)}
    stored, first = _Stored(), dict[int, int]()
    for partition, stream in enumerate(streams.names()):
        subjects = [f"{kind}.{partition}.>" for kind in (MAIL, COPY, ORDER)]
        for message in await _Pass(connection, stream, subjects, log, headers_only=True).all():
            stored.add(message)
        first[partition] = (await ask_state(connection, stream)).first
    found, gone, missing = 0, 0, list[str]()
    for entry in acknowledged:
        if entry.uuid in stored.uuids.get(entry.partition, ()):
            found += 1
        elif entry.seq < first.get(entry.partition, 0):
            gone += 1
        else:
            missing.append(entry.uuid)
    return ClusterLedger(len(acknowledged), stored.count, found, gone, sorted(missing), sorted(stored.twice))
