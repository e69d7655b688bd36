"""Mails of all partitions, pulled from the durable consumers: never more at a time than a window says.

A request asks for some messages of one partition, and ends when they have come, by a status message, or when its time
is over. There is one request for a partition at a time; the next one is made when half of the window is free.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import NATSMessage, header_text
from fastsmtp.cluster.publisher import NotConnectedError
from fastsmtp.cluster.subjects import CONSUMER

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_EXPIRES_S: Final = 20.0  # of a request
_LATE_S: Final = 5.0  # after that it is lost
_SWEEP_S: Final = 0.25
_TIME_IS_OVER: Final = "408"
_NANO: Final = 1_000_000_000


class _Partition:
    """What is asked for of one partition, and what came of it."""

    __slots__ = ("asked", "in_hand", "lost_at", "stream")

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.asked = 0  # messages that were asked for and did not come yet
        self.lost_at = 0.0  # when a request that is out has had its time, loop time
        self.in_hand = 0


class Puller:
    """Asks for mails, and hands each to `on_mail`, which does not wait."""

    def __init__(
        self,
        connection: NATSConnection,
        streams: Sequence[str],
        window: int,
        log: FilteringBoundLogger,
        on_mail: Callable[[int, Msg], None],
    ) -> None:
        """`window` is how many mails of all partitions may be in hand; each partition has one at least."""
        self._connection: Final = connection
        self._partitions: Final = [_Partition(stream) for stream in streams]
        self._window: Final = max(1, window // len(streams))
        self._log: Final = log
        self._on_mail: Final = on_mail
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._running = False
        self._asking: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Begin to ask."""
        self._running = True
        self._inbox = self._connection.new_inbox()
        await self._connection.subscribe(f"{self._inbox}.*", self._on_message)
        self._asking = asyncio.ensure_future(self._ask())

    def pause(self) -> None:
        """Ask for nothing more. What comes all the same goes to `on_mail`."""
        self._running = False
        if self._asking is not None:
            self._asking.cancel()

    def done(self, partition: int) -> None:
        """A mail of this partition is not in hand any more."""
        place = self._partitions[partition]
        place.in_hand -= 1
        if self._may_ask(place):
            self._wake.set()

    def on_reconnected(self) -> None:
        """What was asked for over the last connection does not come."""
        for place in self._partitions:
            place.asked = 0
        self._wake.set()

    def _may_ask(self, place: _Partition) -> bool:
        return not place.asked and 2 * place.in_hand <= self._window and place.in_hand < self._window

    async def _ask(self) -> None:
        while True:
            for number, place in enumerate(self._partitions):
                if place.asked and self._loop.time() > place.lost_at:
                    place.asked = 0
                    self._connection.doubt()
                if self._may_ask(place):
                    await self._request(number, place)
            try:
                await asyncio.wait_for(self._wake.wait(), _SWEEP_S)
            except asyncio.TimeoutError:
                pass
            self._wake.clear()

    async def _request(self, number: int, place: _Partition) -> None:
        wanted = self._window - place.in_hand
        body = json.dumps({"batch": wanted, "expires": int(_EXPIRES_S * _NANO)}).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{place.stream}.{CONSUMER}"
        place.asked, place.lost_at = wanted, self._loop.time() + _EXPIRES_S + _LATE_S
        try:
            await self._connection.publish(NATSMessage(subject, {}, body), f"{self._inbox}.{number}")
        except NotConnectedError:
            place.asked = 0

    def _on_message(self, message: Msg) -> None:
        if message.subject.startswith(self._inbox):
            self._on_status(int(message.subject.rpartition(".")[2]), message)
            return
        number = int(message.subject.split(".", 2)[1])
        place = self._partitions[number]
        place.asked = max(0, place.asked - 1)
        place.in_hand += 1
        self._on_mail(number, message)

    def _on_status(self, number: int, message: Msg) -> None:
        """The request is over: its time is, or the consumer has another leader, or there is none at the moment."""
        status = header_text(message.headers, "Status")
        self._partitions[number].asked = 0
        self._log.debug("a pull request is over", partition=number, status=status)
        if status == _TIME_IS_OVER and self._running:
            self._wake.set()  # others are asked again with the next sweep
