"""The clients of one listener, within limits: how many are connected, and for how long one may keep us waiting.

Where the most connections are open, a new one takes the place of the one that has done nothing for longest, so that
clients which only wait cannot keep others out. Half of the places are safe from those that have asked for nothing yet,
and the other half is safe from those that were served once and stay.
"""

from __future__ import annotations

import asyncio
import functools
from typing import NamedTuple

from fastsmtp.system.descriptors import share
from fastsmtp.system.patience import Timeout


class ClientLimits(NamedTuple):
    """What the clients of one listener may cost."""

    connections: int  # open at a time
    wait_s: float  # for the rest of what a client has begun to send, and for it to take an answer
    backlog: int  # connections that may wait to be accepted; with more, the next ones wait for a second

    @classmethod
    def within(cls, part: int, connections: int, wait_s: float, backlog: int) -> ClientLimits:
        """Return limits that are lower where there are few descriptors: one `part`th of all for connections at most."""
        return cls(share(connections, part), wait_s, backlog)

    @property
    def max_descriptors(self) -> int:
        """How many files a listener may have open: itself, its connections, and those that are yet to be refused.

        Of the last ones there may be more, but only until the next turn of the loop.
        """
        return 1 + self.connections + min(self.connections, self.backlog)


class Clients:
    """The connections of one listener: idle, waited for, or being served."""

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        # Those that can make room, in the order in which they began to do nothing; with the timer that ends them.
        self._strangers: dict[asyncio.Transport, Timeout | None] = {}
        self._served: dict[asyncio.Transport, Timeout | None] = {}
        self._serving: set[asyncio.Transport] = set()

    def __len__(self) -> int:
        return len(self._strangers) + len(self._served) + len(self._serving)

    def admit(self, transport: asyncio.Transport, *, timed: bool) -> bool:
        """Count a new connection, idle, or with `timed` waited for; False where none can make room for it."""
        if len(self) >= self._limits.connections and not self._make_room():
            return False
        self._strangers[transport] = self._timer(transport) if timed else None
        return True

    def on_idle(self, transport: asyncio.Transport) -> None:
        """It need not do anything, and may stay for as long as there is room."""
        group = self._leave(transport)
        if group is not None:
            group[transport] = None

    def on_awaited(self, transport: asyncio.Transport) -> None:
        """It has to send, or to take, something in time; that it is awaited already is no new beginning."""
        group = self._group(transport)
        if group.get(transport) is None and self._leave(transport) is not None:
            group[transport] = self._timer(transport)

    def on_serving(self, transport: asyncio.Transport) -> None:
        """It waits for us now, and is safe until another of these is called."""
        if self._leave(transport) is not None:
            self._serving.add(transport)

    def forget(self, transport: asyncio.Transport) -> None:
        """The connection is closed. May be called twice."""
        self._leave(transport)

    def abort(self) -> None:
        """Cut all connections."""
        for transport in [*self._strangers, *self._served, *self._serving]:
            self._cut(transport)

    def _group(self, transport: asyncio.Transport) -> dict[asyncio.Transport, Timeout | None]:
        return self._strangers if transport in self._strangers else self._served

    def _leave(self, transport: asyncio.Transport) -> dict[asyncio.Transport, Timeout | None] | None:
        """Take it out; return the group it belongs to when it is not served, None for one that is not ours."""
        group = self._group(transport)
        if transport in group:
            timer = group.pop(transport)
            if timer is not None:
                timer.cancel()
        elif transport in self._serving:
            self._serving.remove(transport)
        else:
            return None
        return group

    def _make_room(self) -> bool:
        many = 2 * len(self._strangers) >= self._limits.connections
        group = self._strangers if many or not self._served else self._served
        if not group:
            return False
        self._cut(next(iter(group)))
        return True

    def _timer(self, transport: asyncio.Transport) -> Timeout:
        return Timeout(self._limits.wait_s, functools.partial(self._cut, transport))

    def _cut(self, transport: asyncio.Transport) -> None:
        self.forget(transport)
        transport.abort()
