"""The parent of several processes: listens for them, starts them, starts them again, and is the one facade of all.

It takes no mail itself. To `service` it looks like a `Server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable

import structlog
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.undecided import sweep_leftovers
from fastsmtp.config.settings import Config
from fastsmtp.errors import CallError, StartError
from fastsmtp.goridge.rpc import RPCServer
from fastsmtp.ops.endpoints import Endpoints
from fastsmtp.ops.loopwatch import watch_loop
from fastsmtp.ops.snapshot import InboxSnapshot
from fastsmtp.processes.assignment import END_AT_ONCE, Assignment, OwnFile
from fastsmtp.processes.facade import Facade
from fastsmtp.processes.orphans import Orphans, adopt_orphans
from fastsmtp.processes.shares import shares, with_certificates
from fastsmtp.processes.slot import Slot
from fastsmtp.server.tls import is_auto, make_context, names_to_certify, self_signed
from fastsmtp.system.backoff import Backoff
from fastsmtp.system.process import launched, told_launches
from fastsmtp.system.runtimedir import RuntimeDirectory
from fastsmtp.system.sharedcount import SharedCount, shared_file
from fastsmtp.system.sockets import format_address, listen_several
from fastsmtp.workers.launch import run_on_init
from fastsmtp.workers.resetter import Resets

LOOK_S = 5.0  # between the snapshots of all processes: what a killed process has counted since is lost
STAND_IN_S = 2.0  # for a start, before another process takes the clients of the one that is missed
ABORT_S = 2.0  # for children to kill their workers

_PRIVATE, _PASSABLE = 0o700, 0o711  # the second, where workers of another user have to get through to their socket


class Parent:
    """Runs `count` children, which share what `config` says."""

    def __init__(self, config: Config, count: int, save: str = "") -> None:
        """`save` names the directory where the embedded default keeps mails, "" = nowhere."""
        self._config = config
        self._count = count
        self._save = save
        self.inbox = ""  # path of the inbox's socket, to be set before `start`; "" = there is none
        self.ask_inbox: Callable[[], Awaitable[InboxSnapshot]] | None = None  # how it is; set with `inbox`
        self._log: FilteringBoundLogger = structlog.get_logger(channel="smtp").bind()
        self._home: RuntimeDirectory | None = None  # has one for each child
        self._listeners: dict[str, list[socket.socket]] = {}
        self._own_files: list[OwnFile] = []
        self._rpc = RPCServer(self._log)
        self._endpoints = Endpoints(config, self._log)
        self._slots: list[Slot] = []
        self._facade = Facade(config, self._slots, self._log)
        self._loop_delay = watch_loop(self._log, self._facade.loop_delays)
        self._orphans = Orphans(launched, self._log)
        self._resets = Resets(self._renew, self._log)
        self._count_fd = -1
        self._connections: SharedCount | None = None  # of all children, where they are limited
        self._tasks: list[asyncio.Task[None]] = []  # the keepers of the slots, and the look
        self._stopping = False
        self.addresses: dict[str, list[str]] = {}

    async def start(self) -> None:
        """Bind, start the children, which listen. Raises StartError, with nothing left running."""
        try:
            await self._start()
        except asyncio.CancelledError:  # `abort` follows
            self._stopping = True
            raise
        except BaseException:
            await self._stop_children()
            self._clear()
            raise

    async def _start(self) -> None:
        config = self._config
        sweep_leftovers(self._log)
        mode = _PASSABLE if config.server.user else _PRIVATE
        self._home = RuntimeDirectory("fsmtp-", mode)  # short: paths of sockets have 107 bytes
        # What can be wrong is tried before any process is started.
        for name, listener in config.smtp.listeners().items():
            self._listeners[name] = listening = listen_several(listener.addr, self._count)
            if listening[0].family == socket.AF_UNIX:
                self._own_files.append(OwnFile.at(listening[0].getsockname()))
        certificates = self._certificates()
        self._endpoints.bind()
        rpc = self._rpc.bind(config.rpc.listen) if config.rpc.listen else ""
        if rpc.startswith("unix://"):
            self._own_files.append(OwnFile.at(rpc.removeprefix("unix://")))
        if config.smtp.max_connections:
            self._share_count()
        self._facade.ask_inbox = self.ask_inbox
        self._loop_delay.start()
        adopt_orphans()
        await run_on_init(config.server.on_init, self._log)
        self._make_slots(mode, certificates, rpc)
        if rpc:
            # Before the workers, which may call while they start.
            await self._rpc.serve(self._facade.methods())
            self._log.info("RPC is listening", address=rpc)
        await self._start_children()
        await self._facade.refresh()
        self.addresses = {name: [format_address(bound[0])] for name, bound in self._listeners.items()}
        await self._endpoints.start(self._facade.watched(lambda: self._stopping))
        self._tasks = [asyncio.ensure_future(work) for work in (*map(self._keep, self._slots), self._look())]

    def _share_count(self) -> None:
        try:
            self._count_fd = shared_file(self._count)
            self._connections = SharedCount(self._count_fd)
        except OSError as error:
            raise StartError(f"cannot count connections: {error.strerror}") from None

    def _make_slots(self, mode: int, certificates: dict[str, bytes], rpc: str) -> None:
        config = self._config
        assert self._home is not None
        spares = [self._descriptors(index, shared=False) for index in range(self._count)]
        for index, share in enumerate(shares(config, self._count)):
            directory = os.path.join(self._home.path, str(index))
            files = {name: os.path.join(directory, f"{number}.pem") for number, name in enumerate(certificates)}
            assignment = Assignment(
                config=with_certificates(share, files),
                listeners=self._descriptors(index),
                spares=[{} if other == index else spare for other, spare in enumerate(spares)],
                directory=directory,
                save=self._save,
                inbox=self.inbox,
                rpc=rpc,
                counting=bool(config.metrics.address),
                own_files=self._own_files,
                index=index,
                count_fd=self._count_fd,
                guard_fd=told_launches(),
            )
            contents = {path: certificates[name] for name, path in files.items()}
            self._slots.append(Slot(index, assignment, mode, contents, self._log))

    def _descriptors(self, index: int, *, shared: bool = True) -> dict[str, int]:
        """The numbers of the sockets for one process; without those that are `shared` by all, if so wanted."""
        several = {name: bound for name, bound in self._listeners.items() if shared or len(bound) > 1}
        return {name: bound[index % len(bound)].fileno() for name, bound in several.items()}

    def _certificates(self) -> dict[str, bytes]:
        """The one that is made at start, by listener: all children have it. Raises StartError for any other."""
        listeners = self._config.smtp.listeners()
        for listener in listeners.values():
            if not is_auto(listener.tls):
                make_context(listener.tls)
        names = names_to_certify(listeners)
        made = self_signed(names) if names else b""
        return {name: made for name, listener in listeners.items() if is_auto(listener.tls)}

    async def _start_children(self) -> None:
        """All at once. Raises StartError when one does not start."""
        starting = [asyncio.ensure_future(slot.start()) for slot in self._slots]
        try:
            done, _pending = await asyncio.wait(starting, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    # while it runs

    async def _keep(self, slot: Slot) -> None:
        """Start a child whenever the last one has ended."""
        loop = asyncio.get_running_loop()
        delays = Backoff()
        while True:
            await self._until_gone(slot)
            delay_s = delays.after(loop.time() - slot.since if slot.starts else 0.0)
            self._on_lost(slot, delay_s)
            await asyncio.sleep(delay_s)
            while not await self._restart(slot):
                await asyncio.sleep(delays.after(0.0))

    async def _until_gone(self, slot: Slot) -> None:
        """A child that stops, because it was sent a signal, takes no clients while its sessions come to their end."""
        with contextlib.suppress(CallError, ConnectionError):
            if await slot.call("process.Stopping", timeout_s=None):
                await self._find_stand_in(slot)
        await slot.gone()

    def _on_lost(self, slot: Slot, delay_s: float) -> None:
        self._log.error(
            "process lost, it is started again", pid=slot.last_pid, status=slot.status, delay=f"{delay_s:g}s"
        )
        self._expect_orphans(slot)
        self._facade.forget(slot)
        if self._connections is not None:
            self._connections.clear(slot.index)

    def _expect_orphans(self, slot: Slot) -> None:
        """Its child was killed, as far as we know."""
        self._orphans.expect([worker.pid for worker in slot.snapshot.workers()] if slot.snapshot is not None else [])

    async def _restart(self, slot: Slot) -> bool:
        starting = asyncio.ensure_future(slot.start())
        try:
            done, _pending = await asyncio.wait({starting}, timeout=STAND_IN_S)
            if not done or starting.exception() is not None:
                await self._find_stand_in(slot)
            await starting
        except StartError as error:
            self._log.error("a process could not be started again", reason=str(error))
            if slot.crashed:
                self._expect_orphans(slot)
            return False
        except Exception:
            self._log.exception("a process could not be started again")
            return False
        finally:
            starting.cancel()
        self._log.info("process started again", pid=slot.pid)
        await asyncio.gather(
            slot.refresh(),
            *(other.call("process.StandBack", slot.index) for other in self._slots if other.serving),
            return_exceptions=True,
        )
        return True

    async def _find_stand_in(self, missed: Slot) -> None:
        """Let another one take the clients that the kernel sends to `missed`; they would wait as long as it fails."""
        for slot in self._slots:
            if slot.serving and slot is not missed:
                with contextlib.suppress(CallError, ConnectionError):
                    if await slot.call("process.StandIn", missed.index):
                        return

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._orphans.reap()
            for slot in self._slots:
                slot.keep_directory()
            await self._facade.refresh()

    def reset(self) -> None:
        """Replace the workers one by one; no session notices. Returns at once; what fails is logged."""
        if not self._stopping:
            self._resets.ask()

    async def _renew(self) -> None:
        try:
            await self._facade.renew()
        except CallError as error:
            raise StartError(str(error)) from None

    def reopen_logs(self) -> None:
        """After our own were."""
        for slot in self._slots:
            slot.reopen_logs()

    def tell_launches(self) -> None:
        """There is a new guard: the children tell it what they have launched."""
        for slot in self._slots:
            slot.tell_launches()

    # the end

    async def stop(self) -> None:
        """Stop accepting; the children let running transactions finish, and stop their workers."""
        self._stopping = True
        self._close_listeners()
        await self._stop_children()
        await self._endpoints.stop()
        # Last: a worker may call as long as it has an email, and the caller of `stop` waits for this.
        self._clear()

    async def _stop_children(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()  # a child that is being started is ended with it
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(slot.stop(self._config.endure.grace_period_s) for slot in self._slots))
        for slot in self._slots:
            if slot.crashed:
                self._expect_orphans(slot)

    def abort(self) -> None:
        """End at once: the children cut connections and kill workers."""
        self._stopping = True
        self._close_listeners()
        for slot in self._slots:
            slot.signal(END_AT_ONCE)
        # The loop is about to be closed, and no child may be left behind.
        stuck = _wait_for_end({slot.pid: slot for slot in self._slots if slot.pid})
        for slot in stuck.values():
            slot.signal(signal.SIGKILL)
        _wait_for_end(stuck)
        for slot in stuck.values():
            self._expect_orphans(slot)
        self._clear()

    def _close_listeners(self) -> None:
        for bound in self._listeners.values():
            for listener in bound:
                listener.close()

    def _clear(self) -> None:
        """Give back everything but the processes."""
        self._close_listeners()
        self._loop_delay.stop()
        self._orphans.end()
        self._rpc.close()
        self._endpoints.abort()
        for file in self._own_files:
            file.delete()
        if self._count_fd != -1:
            os.close(self._count_fd)
            self._count_fd = -1
        if self._home is not None:
            self._home.remove()
            with contextlib.suppress(OSError):  # made again after a cleaner; only when empty: it may be another's
                os.rmdir(self._home.path)


def _wait_for_end(slots: dict[int, Slot]) -> dict[int, Slot]:
    """Block until these children, by pid, have ended, but not for long; return the ones that have not."""
    deadline = time.monotonic() + ABORT_S
    while slots and time.monotonic() < deadline:
        slots = {pid: slot for pid, slot in slots.items() if not _ended(pid)}
        time.sleep(0.01)
    return slots


def _ended(pid: int) -> bool:
    """Whether our child `pid` has ended. Other code reaps it."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
