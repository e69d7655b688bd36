"""What SMTP processes know of namespaces: ports that they have for themselves, whether mails are only counted, plans.

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
from fastsmtp.inbox.frames import Orders, PlanOrder
from fastsmtp.system.sockets import bind, bind_shared, format_address

NO_PLANS: Final[Mapping[str, PlanOrder | None]] = {}
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
        self.spool = ""  # see `Orders`; to be set before the first process connects
        self._bound: dict[str, socket.socket] = {}  # by namespace; they do not listen
        self._processes: dict[PortProcess, _Answered] = {}
        self._counting: frozenset[str] = frozenset()  # namespaces of which mails are counted only
        self._plans: dict[str, PlanOrder] = {}
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

    # plans

    async def set_plan(self, namespace: str, order: PlanOrder | None) -> None:
        """Let SMTP processes know where the plan of a namespace wants to be asked; None: there is no plan any more."""
        if order is not None:
            self._plans[namespace] = order
        elif self._plans.pop(namespace, None) is None:
            return
        await self._tell({namespace: order})

    def keep_plan(self, namespace: str, order: PlanOrder) -> None:
        """Likewise, of a plan that there is before the first SMTP process connects."""
        self._plans[namespace] = order

    def forget_plan(self, namespace: str) -> None:
        """The namespace was deleted."""
        if self._plans.pop(namespace, None) is not None:
            self._order({namespace: None})

    def plan_number(self, namespace: str) -> int:
        """Return the number of the order that was given last for the plan of a namespace, 0 without one."""
        order = self._plans.get(namespace)
        return 0 if order is None else order.number

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
        process.order(self._number, self._orders(self._plans))

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

    def _orders(self, plans: Mapping[str, PlanOrder | None]) -> Orders:
        ports = {name: format_address(bound) for name, bound in self._bound.items()}
        return Orders(ports, self._counting, dict(plans), self.spool)

    async def _tell(self, plans: Mapping[str, PlanOrder | None] = NO_PLANS) -> Mapping[str, str]:
        """Tell all processes, of plans only those that have changed; return what they could not do, by namespace."""
        number, orders = self._order(plans)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._until_known(number), _PATIENCE_S)
        wrong: dict[str, str] = {}
        for listening in self._processes.values():
            late = dict.fromkeys(orders.ports, "an SMTP process does not answer") if listening.number < number else {}
            wrong = {**wrong, **listening.wrong, **late}
        return wrong

    def _order(self, plans: Mapping[str, PlanOrder | None] = NO_PLANS) -> tuple[int, Orders]:
        self._number += 1
        orders = self._orders(plans)
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
