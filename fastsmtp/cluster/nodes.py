"""The nodes of a cluster: each process says every two seconds that it lives, and how it is.

The reports stand in a stream in the servers' memory, the newest of each process alone, and are gone when they are old.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import NATSMessage
from fastsmtp.cluster.publisher import NotConnectedError
from fastsmtp.cluster.streamreader import StreamReader
from fastsmtp.cluster.subjects import NODE, node_stream_name, token_of

if TYPE_CHECKING:
    from nats.aio.msg import Msg

FRESH_S: Final = 8.0  # for which a process counts as live after its last report
_EVERY_S: Final = 2.0


class NodeReport(msgspec.Struct, frozen=True):
    """How a process was. `began` tells it from one before it with the same name and pid."""

    node: str
    pid: int
    began: int  # Unix time in milliseconds
    roles: list[str]
    plans: int = 0  # the number of the last change of plans that it knows, of a front or an inbox
    gauges: dict[str, int] = {}
    counts: dict[str, int] = {}  # they only grow
    leaving: bool = False

    @property
    def name(self) -> str:
        """What names the process."""
        return f"{self.node}/{self.pid}"


_DECODER: Final = msgspec.json.Decoder(NodeReport)


class Nodes:
    """Tells of this process, and knows all; a `ReaderOwner`."""

    def __init__(
        self,
        connection: NATSConnection,
        prefix: str,
        node: str,
        roles: list[str],
        log: FilteringBoundLogger,
    ) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._roles: Final = roles
        self._began: Final = time.time_ns() // 1_000_000
        self._reports: dict[str, tuple[float, NodeReport]] = {}  # with the time of the servers
        self._now = 0.0  # the same, of the newest report
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.reader: Final = StreamReader(connection, node_stream_name(prefix), [f"{NODE}.0.>"], 0, self, log)
        self.fill: Callable[[NodeReport], NodeReport] = lambda report: report  # says how this process is

    def start(self) -> None:
        """Begin to tell and to read."""
        self.reader.start()
        self._task = asyncio.ensure_future(self._tell())

    async def stop(self) -> None:
        """Say that this process leaves."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._publish(msgspec.structs.replace(self._report(), leaving=True))
        await self.reader.stop()

    def tell_now(self) -> None:
        """Something has changed that others wait for."""
        self._wake.set()

    async def _tell(self) -> None:
        while True:
            self._wake.clear()
            await self._publish(self._report())
            try:
                await asyncio.wait_for(self._wake.wait(), _EVERY_S)
            except asyncio.TimeoutError:
                pass

    def _report(self) -> NodeReport:
        return self.fill(NodeReport(self._node, os.getpid(), self._began, self._roles))

    async def _publish(self, report: NodeReport) -> None:
        subject = f"{NODE}.0.{token_of(self._node)}.{report.pid}.{'-'.join(self._roles)}"
        try:
            await self._connection.publish(NATSMessage(subject, {}, msgspec.json.encode(report)))
        except NotConnectedError:
            pass

    def live(self) -> list[NodeReport]:
        """Return the newest reports of the processes that live, by name."""
        oldest = self._now - FRESH_S
        found = [report for at, report in self._reports.values() if at >= oldest and not report.leaving]
        return sorted(found, key=lambda report: report.name)

    async def until_known(self, plans: int, patience_s: float) -> list[str]:
        """Wait until all live fronts know the plans up to this number; return the names of those that do not."""
        deadline = time.monotonic() + patience_s
        while True:
            self._changed.clear()
            late = [report.name for report in self.live() if "front" in report.roles and report.plans < plans]
            left_s = deadline - time.monotonic()
            if not late or left_s <= 0:
                return late
            try:
                await asyncio.wait_for(self._changed.wait(), min(0.5, left_s))
            except asyncio.TimeoutError:
                pass

    # `ReaderOwner`

    def begin(self) -> int:
        """See `ReaderOwner`."""
        return self.reader.position

    async def take(self, message: Msg) -> None:
        """See `ReaderOwner`."""
        try:
            report = _DECODER.decode(message.data)
        except ValueError:
            pass
        else:
            self._now = message.metadata.timestamp.timestamp()
            self._reports[report.name] = self._now, report
            self._changed.set()
        self.reader.move(message.metadata.sequence.stream)

    async def settle(self) -> None:
        """See `ReaderOwner`."""
