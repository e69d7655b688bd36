"""One run of the server from start to the last signal: uvloop, signals, the ready file and the pid file."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import structlog
from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from fastsmtp import __version__
from fastsmtp.cli.summary import banner, exposure, inbox_exposure, misunderstandings
from fastsmtp.config.logs import LogsSettings
from fastsmtp.config.settings import Config
from fastsmtp.errors import StartError
from fastsmtp.ops.log import Logs, configure
from fastsmtp.printer.archive import prepare
from fastsmtp.processes.shares import process_count
from fastsmtp.system.guard import guarded
from fastsmtp.system.loop import run, unless
from fastsmtp.system.pidfile import find_owner
from fastsmtp.system.process import launched
from fastsmtp.system.reaper import reaping
from fastsmtp.system.signals import Handle, signal_handlers
from fastsmtp.workers.launch import run_on_init

if TYPE_CHECKING:
    from fastsmtp.inbox.host import InboxHost
    from fastsmtp.ops.snapshot import InboxSnapshot

_CHANNEL = "smtp"


class Wishes(NamedTuple):
    """What the command line asks for beside the configuration; "" = not wanted."""

    config_path: str = ""
    save: str = ""  # directory for the mails of the embedded default
    ready_file: str = ""
    pid_file: str = ""
    silent: bool = False  # no banner


def serve(config: Config, wishes: Wishes) -> int:
    """Run the server to its end and return the exit code. Raises StartError."""
    try:
        directory = prepare(wishes.save) if wishes.save else ""
    except OSError as error:
        raise StartError(f"cannot keep mails in {wishes.save}: {error.strerror}") from error
    output = configure(config.logs)
    try:
        for warning in misunderstandings(config):
            _logger().warning(warning)
        return run(_Service(_make_server(config, directory), _make_inbox(config), config, wishes, output).run())
    except StartError as error:
        if not _own_log(config).stands_on_stderr:  # where it is told in plain words
            _logger().error("cannot start", reason=str(error))
        raise
    finally:
        output.close()


class _Server(Protocol):
    """A server, or the parent of several processes that look like one."""

    addresses: dict[str, list[str]]
    inbox: str  # path of the inbox's socket, to be set before `start`
    ask_inbox: Callable[[], Awaitable[InboxSnapshot]] | None  # how it is; set with `inbox`

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def abort(self) -> None: ...
    def reset(self) -> None: ...
    def reopen_logs(self) -> None: ...
    def tell_launches(self) -> None: ...


def _make_server(config: Config, save: str) -> _Server:
    count = process_count(config.smtp)
    if count == 1:
        from fastsmtp.server.server import Server  # the parent of several takes no mails, and is small without it

        return Server(config, save)
    from fastsmtp.processes.parent import Parent

    return Parent(config, count, save)


def _make_inbox(config: Config) -> InboxHost | None:
    settings = config.kept()
    if settings is None:
        return None
    from fastsmtp.inbox.host import InboxHost  # a server without an inbox is small without it

    module = "fastsmtp.inbox.process" if config.cluster is None else "fastsmtp.cluster.inboxprocess"
    return InboxHost(replace(config, inbox=settings), any_port=config.inbox is None, module=module)


def _own_log(config: Config) -> LogsSettings:
    """How what `_logger` logs is logged."""
    return config.logs.channel(_CHANNEL)


def _logger() -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger(channel=_CHANNEL).bind()
    return logger


class WithInbox:
    """A server with an inbox beside it, which is there before the server and after it."""

    def __init__(self, server: _Server, host: InboxHost) -> None:
        self._server = server
        self._host = host
        self.inbox = ""
        self.ask_inbox = host.snapshot

    @property
    def addresses(self) -> dict[str, list[str]]:
        """Where the server listens for mail."""
        return self._server.addresses

    async def start(self) -> None:
        """Start both at once: each imports much. Raises StartError, with nothing left running."""
        await self._host.prepare()
        self.inbox = self._server.inbox = self._host.path
        self._server.ask_inbox = self.ask_inbox
        host, server = (asyncio.ensure_future(one.start()) for one in (self._host, self._server))
        try:
            done, _pending = await asyncio.wait([host, server], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        except BaseException:
            host.cancel()
            server.cancel()
            await asyncio.gather(host, server, return_exceptions=True)
            if server.cancelled() or server.exception() is None:
                self._server.abort()
            self._host.abort()
            raise

    async def stop(self) -> None:
        """Stop both: the inbox takes the mails of the transactions that are under way."""
        await self._server.stop()
        await self._host.stop()

    def abort(self) -> None:
        """End both at once."""
        self._server.abort()
        self._host.abort()

    def reset(self) -> None:
        """Replace the workers."""
        self._server.reset()

    def reopen_logs(self) -> None:
        """After our own were."""
        self._server.reopen_logs()
        self._host.reopen_logs()

    def tell_launches(self) -> None:
        """There is a new guard, which has to be told what there is."""
        self._server.tell_launches()


class _Service:
    """One run of a server between start and the last signal."""

    def __init__(self, server: _Server, inbox: InboxHost | None, config: Config, wishes: Wishes, output: Logs) -> None:
        self.server = server if inbox is None else WithInbox(server, inbox)
        self.inbox = inbox
        self.config = config
        self.wishes = wishes
        self.output = output
        self.log = _logger()
        self.stopping = asyncio.Event()  # after the first signal
        self.ending = asyncio.Event()  # after the second
        self.exit_code = 0

    async def run(self) -> int:
        """Start, serve, stop; return the exit code. Raises StartError."""
        with signal_handlers(asyncio.get_running_loop()) as handle:
            for number in (signal.SIGINT, signal.SIGTERM):
                handle(number, self._on_stop_signal, number)
            # Until there are workers to replace; without a handler SIGHUP would kill.
            handle(signal.SIGHUP, lambda: None)
            handle(signal.SIGUSR1, self._reopen_logs)
            await self._serve(handle)
        return self.exit_code

    async def _serve(self, handle: Handle) -> None:
        _refuse_if_owned(self.wishes.pid_file)
        _refuse_if_unwritable(self.wishes.ready_file)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(reaping(launched))
            await stack.enter_async_context(guarded(self.log, self.server.tell_launches))
            stack.enter_context(_standing(self.wishes.pid_file, "pid", f"{os.getpid()}\n"))
            if not await unless(self.stopping, self.server.start()):
                self.server.abort()
                return
            handle(signal.SIGHUP, self.server.reset)
            ready = json.dumps(self._listening()) + "\n"
            try:
                with _standing(self.wishes.ready_file, "ready", ready):
                    self._greet()
                    await self._until_stopping()
            finally:
                if not await unless(self.ending, self.server.stop()):
                    self.server.abort()
                if self.stopping.is_set():  # or a file that should stand could not be written
                    self.log.info("stopped")

    async def _until_stopping(self) -> None:
        """Wait for the first signal; meanwhile `server.after_init` runs, which does not outlive it."""
        hook = asyncio.ensure_future(self._after_init())
        try:
            await self.stopping.wait()
        finally:
            hook.cancel()
            await asyncio.gather(hook, return_exceptions=True)

    async def _after_init(self) -> None:
        try:
            await run_on_init(self.config.server.after_init, self.log, "after_init")
        except StartError as error:  # with `exit_on_error`
            self.log.error("stopping", reason=str(error))
            self.exit_code = 1
            self.stopping.set()

    def _listening(self) -> dict[str, Any]:
        listening = {"pid": os.getpid(), "listeners": self.server.addresses}
        return listening if self.inbox is None else {**listening, "inbox": self.inbox.url}

    def _greet(self) -> None:
        """Say where it listens: to people by a banner, and in the log unless both go to the same place."""
        log = _own_log(self.config)
        greeted = not self.wishes.silent and log.leaves_stderr_to_people and sys.stderr is not None
        if greeted:
            # One write, so that nothing comes in between.
            url = "" if self.inbox is None else self.inbox.url
            shown = banner(self.config, self.wishes.config_path, self.server.addresses, url, _program())
            sys.stderr.write(shown + "\n")
        if greeted and log.stands_on_stderr:
            return
        addresses = [address for listener in self.server.addresses.values() for address in listener]
        self.log.info("listening", addresses=", ".join(addresses), pid=os.getpid(), version=__version__)
        if self.inbox is not None:
            self.log.info("the inbox is open", url=self.inbox.url)
        url = "" if self.inbox is None else self.inbox.url
        for warning in (exposure(addresses), inbox_exposure(self.config, url.partition("//")[2])):
            if warning:
                self.log.warning(warning)

    def _reopen_logs(self) -> None:
        self.output.reopen()
        self.server.reopen_logs()

    def _on_stop_signal(self, number: int) -> None:
        reason = signal.Signals(number).name
        if self.stopping.is_set():
            self.log.warning("ending at once", reason=reason)
            self.exit_code = 128 + number
            self.ending.set()
            return
        self.log.info("stopping", reason=reason)
        self.stopping.set()


def _program() -> str:
    """How this command was called, for a line to be copied into another terminal."""
    called = sys.argv[0]
    name = os.path.basename(called)
    if name == "__main__.py":
        return f"{os.path.basename(sys.executable)} -m fastsmtp"
    found = shutil.which(name)
    return name if found is not None and os.path.realpath(found) == os.path.realpath(called) else shlex.quote(called)


def _refuse_if_owned(pid_file: str) -> None:
    """Raises StartError where the file is that of a live server, which `stop` would then not find any more."""
    if not pid_file:
        return
    try:
        owner = find_owner(Path(pid_file))
    except ValueError:
        return  # of no server
    except OSError as error:
        raise StartError(f"cannot read the pid file {pid_file}: {error.strerror}") from error
    if owner and owner != os.getpid():
        raise StartError(
            f"{pid_file} is that of the live process {owner}: stop that server, or delete the file if it is not one"
        )


def _refuse_if_unwritable(ready_file: str) -> None:
    """Raises StartError where the file cannot be written once there is something to tell: now nothing runs yet."""
    if not ready_file:
        return
    try:
        if os.path.isdir(ready_file):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        probe = _unfinished(ready_file)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(f"cannot write the ready file {ready_file}: {error.strerror}") from error


def _unfinished(path: str) -> Path:
    return Path(f"{path}.{os.getpid()}")


@contextlib.contextmanager
def _standing(path: str, kind: str, text: str) -> Iterator[None]:
    """Keep the file `path`, never half written, for as long as the block runs; "" = none. Raises StartError."""
    if not path:
        yield
        return
    unfinished = _unfinished(path)
    try:
        unfinished.write_text(text)
        unfinished.replace(path)
    except OSError as error:
        raise StartError(f"cannot write the {kind} file {path}: {error.strerror}") from error
    try:
        yield
    finally:
        # Another server may have put its own in the place of ours.
        with contextlib.suppress(OSError):
            if Path(path).read_text() == text:
                Path(path).unlink()
