"""The feeds of all partitions, and what of them a client has to see."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.feed import FeedCounts, StreamFeed
from fastsmtp.cluster.replicatedinbox import ReplicatedInbox
from fastsmtp.cluster.streamreader import StreamState, ask_state
from fastsmtp.cluster.subjects import partition_of
from fastsmtp.errors import ClusterAwayError

PATIENCE_S: Final = 15.0  # of a client, longer than an election
_AGAIN_S: Final = 0.5


class StreamMaking(Exception):
    """A stream is not the one that it was: it was deleted and made again."""


class Feeds:
    """Feeds an inbox with the streams of a cluster."""

    def __init__(self, connection: NATSConnection, streams: Sequence[str], states: Sequence[StreamState]) -> None:
        """`states` are those of the streams."""
        self._connection: Final = connection
        self._streams: Final = list(streams)
        self._made: Final = [state.created for state in states]
        self._feeds: list[StreamFeed] = []
        self._catching_up: asyncio.Task[None] | None = None
        self._behind = len(self._streams)  # partitions that have not been caught up with since the start
        self.counts: Final = FeedCounts()

    def epoch_of(self, namespace: str) -> str:
        """Return the epoch of cursors, the same on every node: it ends with the stream."""
        partition = partition_of(namespace, len(self._streams))
        return hashlib.blake2b(self._key(partition).encode(), digest_size=4).hexdigest()

    def _key(self, partition: int) -> str:
        """What the store calls a stream: one that is made again is another one."""
        return f"{self._streams[partition]} {self._made[partition]}"

    def start(self, inbox: ReplicatedInbox, positions: Mapping[str, int], log: FilteringBoundLogger) -> None:
        """Begin to read, from where the store is."""
        for partition, stream in enumerate(self._streams):
            key = self._key(partition)
            feed = StreamFeed(
                self._connection,
                stream,
                partition,
                key=key,
                position=positions.get(key, 0),
                file=inbox.take,
                carry_out=inbox.carry_out,
                log=log,
                counts=self.counts,
            )
            self._feeds.append(feed)
            feed.reader.start()
        self._catching_up = asyncio.ensure_future(self._catch_up(log))

    async def _catch_up(self, log: FilteringBoundLogger) -> None:
        await asyncio.gather(*map(self._catch_up_with, self._feeds))
        log.info("the inbox has all mails of the cluster", mails=self.counts.fed)

    async def _catch_up_with(self, feed: StreamFeed) -> None:
        while True:
            try:
                goal = await feed.reader.last()
            except Exception:  # those of nats-py have no common base but this: the stream has no leader at the moment
                await asyncio.sleep(_AGAIN_S)
            else:
                break
        await feed.reader.reach(goal)
        self._behind -= 1

    def behind(self) -> str:
        """Why an inbox that was just started has not all mails yet, "" = it has."""
        return f"it catches up with {self._behind} of {len(self._streams)} partitions" if self._behind else ""

    async def reach(self, namespace: str = "") -> None:
        """Return when all is here that the cluster has now, of a namespace or of all. Raises ClusterAwayError."""
        feeds = self._feeds
        if namespace:
            feeds = [feeds[partition_of(namespace, len(feeds))]]
        try:
            await asyncio.wait_for(asyncio.gather(*map(_reach_last, feeds)), PATIENCE_S)
        except asyncio.TimeoutError:
            raise ClusterAwayError(self.behind() or "not all mails of the cluster are here yet") from None
        except Exception:  # of nats-py
            raise ClusterAwayError("the cluster cannot be asked which mails it has") from None

    async def check(self) -> None:
        """Raises StreamMaking where a stream is another one than at the start; says nothing while none answers."""
        for stream, made in zip(self._streams, self._made, strict=True):
            try:
                state = await ask_state(self._connection, stream)
            except Exception:  # of nats-py, and FeedError
                continue
            if state.created != made:
                raise StreamMaking(stream)

    async def stop(self) -> None:
        """Read no more; what was handed to the store is committed."""
        if self._catching_up is not None:
            self._catching_up.cancel()
        await asyncio.gather(*(feed.reader.stop() for feed in self._feeds))


async def _reach_last(feed: StreamFeed) -> None:
    await feed.reader.reach(await feed.reader.last())
