"""What SMTP processes know of namespaces: the ports that they have for themselves, and whether mails are only counted.

A port is bound here first, so that no other program gets it; the SMTP processes bind it, too, and listen, and the
kernel divides its clients among them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import FastSMTPError, StartError
from fastsmtp.inbox.frames import Orders
from fastsmtp.system.sockets import bind, bind_shared, format_address

_PATIENCE_S: Final = 5.0  # for an SMTP process that has to listen


class PortError(FastSMTPError):
    """A namespace cannot have this port."""


class PortProcess(Protocol):
    """An SMTP process that is connected."""

    def order(self, number: int, orders: Orders) -> None:
        """Let it listen at these ports and no other ones; it answers with the number, see `Ports.on_listening`."""


class Ports:
    """The ports of all namespaces, by name. To be used from one event loop."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log: Final = log
        self._bound: dict[str, socket.socket] = {}  # by namespace; they do not listen
        self._processes: dict[PortProcess, _Answered] = {}
        self._counting: frozenset[str] = frozenset()  # namespaces of which mails are counted only
        self._number = 0  # of what was told last
        self._changed = asyncio.Event()

    def address(self, namespace: str) -> str:
        """Where a namespace listens, `host:port`; "" where it has no port of its own."""
        bound = self._bound.get(namespace)
        return "" if bound is None else format_address(bound)

    @property
    def common(self) -> str:
        """Where all mails may be sent to, `host:port`: the first listener that is not a Unix socket, "" = not known."""
        for listening in self._processes.values():
            for address in listening.addresses:
                if not address.startswith("unix:"):
                    return address
        return ""

    async def open(self, namespace: str, address: str) -> str:
        """Let a namespace have a port, in place of the one it may have; return where once all processes listen.

        Raises PortError, and then it has none.
        """
        self._release(namespace)
        try:
            self._bound[namespace] = _bind(address)
        except StartError as error:
            await self._tell()
            raise PortError(str(error)) from None
        wrong = await self._tell()
        if not self._processes:
            wrong = {namespace: "there is no SMTP process"}
        if namespace in wrong:
            await self.close(namespace)
            raise PortError(wrong[namespace])
        return self.address(namespace)

    async def close(self, namespace: str) -> None:
        """Take a port away; a namespace without one may be named."""
        if self._release(namespace):
            await self._tell()

    def restore(self, namespace: str, address: str, *, counting: bool) -> None:
        """Let a namespace be what it was before a restart; SMTP processes may listen at its port still."""
        if counting:
            self._counting |= {namespace}
        if not address:
            return
        try:
            self._bound[namespace] = _bind(address, again=True)
        except StartError as error:
            self._log.error("a namespace lost its port", namespace=namespace, reason=str(error))

    async def count_only(self, namespace: str, *, wanted: bool) -> None:
        """Let SMTP processes send nothing of mails for this namespace but their number, or all of them again."""
        if (namespace in self._counting) is not wanted:
            self._counting ^= {namespace}
            await self._tell()

    def forget(self, namespace: str) -> None:
        """The namespace was deleted, and had no port: SMTP processes do not have to say that they know."""
        if namespace in self._counting:
            self._counting -= {namespace}
            self._order()

    def close_all(self) -> None:
        """The inbox ends: SMTP processes keep what they have."""
        for bound in self._bound.values():
            bound.close()
        self._bound.clear()

    def _release(self, namespace: str) -> bool:
        bound = self._bound.pop(namespace, None)
        if bound is not None:
            bound.close()
        return bound is not None

    # processes

    def add(self, process: PortProcess) -> None:
        """A process has connected."""
        self._processes[process] = _Answered()
        process.order(self._number, self._orders())

    def remove(self, process: PortProcess) -> None:
        """A process is gone."""
        self._processes.pop(process, None)
        self._changed.set()

    def on_listening(self, process: PortProcess, number: int, wrong: Mapping[str, str], addresses: list[str]) -> None:
        """A process listens at the ports of this number, but for what went wrong, and at its own addresses."""
        listening = self._processes.get(process)
        if listening is not None:
            listening.number, listening.wrong, listening.addresses = number, wrong, addresses
            self._changed.set()

    def _orders(self) -> Orders:
        return Orders({name: format_address(bound) for name, bound in self._bound.items()}, self._counting)

    async def _tell(self) -> Mapping[str, str]:
        """Tell all processes, and return what they could not do, by namespace."""
        number, orders = self._order()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._until_known(number), _PATIENCE_S)
        wrong: dict[str, str] = {}
        for listening in self._processes.values():
            late = dict.fromkeys(orders.ports, "an SMTP process does not answer") if listening.number < number else {}
            wrong = {**wrong, **listening.wrong, **late}
        return wrong

    def _order(self) -> tuple[int, Orders]:
        self._number += 1
        orders = self._orders()
        for process in list(self._processes):
            process.order(self._number, orders)
        return self._number, orders

    async def _until_known(self, number: int) -> None:
        while any(listening.number < number for listening in self._processes.values()):
            self._changed.clear()
            await self._changed.wait()


class _Answered:
    """What an SMTP process has said."""

    def __init__(self) -> None:
        self.number = -1
        self.wrong: Mapping[str, str] = {}
        self.addresses: list[str] = []


def _bind(address: str, *, again: bool = False) -> socket.socket:
    """A socket that others of ours can be bound beside, and no other program. Raises StartError."""
    try:
        bound = bind(address)
    except StartError:
        if not again:
            raise
        return bind_shared(address)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return bound
