"""One worker: a launched process and its relay, from the spawn over the handshake and the emails to its end.

A worker that breaks the protocol, closes its relay or ends by itself is `lost`: its owner hears so at once, while the
process may take a moment to end. `on_exit` comes last, when the process is reaped and every descriptor given back.
"""

from __future__ import annotations

import asyncio
import enum
import os
import time
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.handling import MAX_TEXT, Handling
from fastsmtp.errors import StartError, WorkerError
from fastsmtp.goridge.frame import CODEC_JSON, CONTROL, Frame
from fastsmtp.goridge.pipes import connect_pipes
from fastsmtp.goridge.relay import Relay, Segments
from fastsmtp.system.lineage import lineage
from fastsmtp.system.patience import Timeout
from fastsmtp.system.process import Identity, Process
from fastsmtp.workers.handshake import Answered, Handshake, await_handshake
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.listener import RelayListener
from fastsmtp.workers.recognition import TOKEN_VARIABLE, make_token

# Between the first sign of a worker's end (reaped, or its relay closed) and the last, which normally follow within a
# millisecond: its own exit status, its last words on stderr, an answer still unread. Then it is cut off.
LINGER_S: Final = 1.0


class State(enum.IntEnum):
    """RoadRunner's words and numbers, as `informer.Workers` shows them."""

    INACTIVE = 0  # launched, no handshake yet
    READY = 1
    WORKING = 2  # has an email
    STOPPING = 4  # was asked to stop
    STOPPED = 5  # reaped, relay closed
    ERRORED = 8  # lost or killed, not yet reaped


_MOVES: Final[dict[State, frozenset[State]]] = {
    State.INACTIVE: frozenset({State.READY, State.ERRORED}),
    State.READY: frozenset({State.WORKING, State.STOPPING, State.ERRORED}),
    State.WORKING: frozenset({State.READY, State.ERRORED}),
    State.STOPPING: frozenset({State.ERRORED, State.STOPPED}),
    State.ERRORED: frozenset({State.STOPPED}),
    State.STOPPED: frozenset(),
}
_IN_SERVICE: Final = frozenset({State.READY, State.WORKING})


class WorkerInfo(NamedTuple):
    """One worker, as `informer.Workers` of RoadRunner shows it."""

    pid: int
    status: int  # RoadRunner's number of the state
    status_text: str
    execs: int
    created: float  # seconds since the epoch
    memory_bytes: int
    cpu_percent: float
    command: str


class WorkerOwner(Protocol):
    """Who is told what becomes of a worker."""

    def on_answer(self, worker: WorkerProcess, frame: Frame) -> None:
        """The worker answered its email; it is READY again, or ERRORED when it must not be lent any more."""

    def on_lost(self, worker: WorkerProcess, reason: str) -> None:
        """The worker, READY or WORKING so far, is of no use any more."""

    def on_exit(self, worker: WorkerProcess) -> None:
        """The worker is STOPPED: nothing of it is left."""


class WorkerProcess:
    """One worker process."""

    __slots__ = (
        "_gone",
        "_launch",
        "_linger",
        "_listener",
        "_log",
        "_loop",
        "_owner",
        "_process",
        "_relay",
        "_relay_open",
        "_started",
        "_token",
        "created",
        "execs",
        "pid",
        "since",
        "state",
        "wall_created",
    )

    def __init__(
        self,
        owner: WorkerOwner,
        launch: Launch,
        identity: Identity,
        listener: RelayListener | None,
        log: FilteringBoundLogger,
    ) -> None:
        """Launch the process; without `listener` its stdin and stdout are the relay. Raises StartError."""
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._launch = launch
        self._listener = listener
        self._token = make_token()
        self._process = Process(
            launch.command,
            identity,
            self._environment(launch, listener),
            pipes=listener is None,
            on_line=self._log_line,
            on_change=self._check_end,
            inherit_output=launch.inherit_output,
        )
        self._log = log.bind(channel="worker", pid=self._process.pid)
        self._relay: Relay | None = None
        self._relay_open = False
        self._linger: Timeout | None = None
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._gone = asyncio.Event()
        self.pid = self._process.pid  # of the worker itself, if a wrapper script launched it
        self.state = State.INACTIVE
        self.created = self.since = self._loop.time()
        self.wall_created = time.time()
        self.execs = 0  # emails answered
        # `since`: when the present state began: READY, WORKING and STOPPING are limited in time by the owner

    def _environment(self, launch: Launch, listener: RelayListener | None) -> dict[str, str]:
        if listener is None:
            return {**os.environ, "RR_RELAY": "pipes", **launch.env}
        return {**os.environ, "RR_RELAY": listener.address, **launch.env, TOKEN_VARIABLE: self._token}

    def start(self) -> Coroutine[Any, Any, None]:
        """Wait for the handshake. Raises StartError with command, reason, exit status and output, when all is gone."""
        return await_handshake(self, self._started, self._launch.relay_timeout_s)

    def gone(self) -> Coroutine[Any, Any, object]:
        """Wait until nothing of the worker is left."""
        return self._gone.wait()

    def lendable(self) -> bool:
        """Whether the worker, which must be READY, can be given an email: what came unasked would be its answer.

        If not, the owner is told that it is lost.
        """
        relay = self._relay
        assert relay is not None
        if relay.quiet:
            return True
        if relay.unread:
            self.fail("sent something unasked")
        else:
            self._lose("closed the connection")
            self._check_end()
        return False

    def exec(self, context: Segments, body: Segments, now: float) -> None:
        """Send an email; the answer, or the loss, is told to the owner. The worker must be READY.

        The segments must not be changed before that.
        """
        assert self._relay is not None
        self._move(State.WORKING)
        self.since = now
        self._relay.send_payload(CODEC_JSON, context, body)

    def stop(self) -> None:
        """Ask the worker, which must be READY, to end. The owner kills it when it takes too long."""
        assert self._relay is not None
        self._move(State.STOPPING)
        self.since = self._loop.time()
        self._relay.send(CONTROL | CODEC_JSON, b'{"stop":true}')

    def fail(self, reason: str) -> None:
        """Kill the worker, which must be READY or WORKING, and tell the owner that it is lost."""
        self.kill()
        self._owner.on_lost(self, reason)

    def kill(self) -> None:
        """Kill the process and all it has forked, close the relay. May be called twice; the owner is not told."""
        if self.state is State.STOPPED:
            return
        if self.state is State.INACTIVE:
            self._fail_start("killed")
        if self.state is not State.ERRORED:
            self._move(State.ERRORED)
        self._process.kill()
        if self._relay is not None:
            self._relay.abort()
        self._check_end()

    @property
    def status(self) -> str:
        """How the process ended, in words."""
        return self._process.status

    @property
    def memory_bytes(self) -> int:
        """Resident memory now; 0 where the system does not tell."""
        return Process.memory_bytes(self.pid)

    @property
    def cpu_percent(self) -> float:
        """CPU time since it was launched, in percent of the time passed."""
        return 100.0 * Process.cpu_seconds(self.pid) / max(self._loop.time() - self.created, 0.01)

    def describe(self) -> WorkerInfo:
        """Return what the worker is like now."""
        return WorkerInfo(
            pid=self.pid,
            status=self.state.value,
            status_text=self.state.name.lower(),
            execs=self.execs,
            created=self.wall_created,
            memory_bytes=self.memory_bytes,
            cpu_percent=self.cpu_percent,
            command=str(self._launch),
        )

    def handled(self, answer: str, text: str, waited_s: float) -> Handling:
        """Describe what it did with its email, when it has just answered or was lost."""
        took_s = max(0.0, self._loop.time() - self.since)
        return Handling(self.pid, answer, text[:MAX_TEXT], int(waited_s * 1000), int(took_s * 1000))

    def _move(self, state: State) -> None:
        if state not in _MOVES[self.state]:
            raise AssertionError(f"worker {self.pid}: {self.state.name} -> {state.name}")
        self.state = state

    def _log_line(self, line: str) -> None:
        self._log.info(line)

    # the handshake

    def open_relay(self) -> Coroutine[Any, Any, None] | None:
        """Called by `await_handshake` first: expect the worker on the socket, or return what connects its pipes."""
        if self._listener is not None:
            self._listener.expect(self._process.pid, self._token, self._shaken)
            return None
        relay = Relay(Handshake(self._answered, self._unshaken, self.on_closed), pipes=True)
        self._adopt(relay)
        source, sink = self._process.take_pipes()
        return connect_pipes(relay, source, sink)

    def stop_expecting(self) -> None:
        """Called by `await_handshake` last."""
        if self._listener is not None:
            self._listener.forget(self._process.pid)

    def _adopt(self, relay: Relay) -> None:
        self._relay = relay
        self._relay_open = True

    def _answered(self, answered: Answered, relay: Relay) -> None:
        self._shaken(answered.pid, relay)

    def _shaken(self, pid: int, relay: Relay) -> None:
        relay.owner = self
        self._adopt(relay)
        if self.state is not State.INACTIVE or self._started.done():
            relay.abort()  # killed, given up, or reaped before we have read its answer
            return
        if self._process.pid in lineage(pid):
            self.pid = pid
        self._move(State.READY)
        self._started.set_result(None)

    def _unshaken(self, relay: Relay, reason: str) -> None:
        # A plain end of the connection and the end of the process are one event, seen in either order.
        self._fail_start("ended without a handshake" if reason.startswith("closed the connection") else reason)

    def _fail_start(self, reason: str) -> None:
        if not self._started.done():
            self._started.set_exception(WorkerError(reason))
            self._started.exception()  # marked as read: the caller of `start` may be gone

    def give_up(self) -> None:
        """Called by `await_handshake`: let the process end, at most for the linger time, so that its own exit status
        is told."""
        if self.state is State.INACTIVE:
            self._move(State.ERRORED)
        self._check_end()

    def start_error(self, reason: str) -> StartError:
        """Called by `await_handshake` when all is gone: what is told of a worker that did not start."""
        output = "".join(f"\n  {line}" for line in self._process.tail)
        if self._listener is not None and self._listener.refused:
            reason += ", but a process connected that is not a worker; one in a container needs server.trust_relay"
        return StartError(f'worker "{self._launch}" did not start: {reason}; {self.status}{output}')

    # relay callbacks

    def on_connected(self, relay: Relay) -> None:
        """Not called: a worker owns its relay from the handshake on."""

    def on_frames(self, relay: Relay, frames: list[Frame]) -> None:
        """Take an answer; whatever is not exactly one answer costs the worker its place."""
        if self.state is not State.WORKING:
            if self.state is State.READY:
                self.fail(f"sent a frame unasked: {frames[0].payload[:256]!r}")
            return
        if not relay.taken:
            self.fail("answered before it had read the email")
            return
        self.execs += 1
        if len(frames) == 1 and not relay.incomplete:
            self._move(State.READY)
            self._owner.on_answer(self, frames[0])
        else:  # the email has its answer, but the next one would be given a wrong one
            self.kill()
            self._owner.on_answer(self, frames[0])
            self._owner.on_lost(self, "answered twice")

    def on_broken(self, relay: Relay, reason: str) -> None:
        """The worker is lost, unless it was asked to stop."""
        if self.state in _IN_SERVICE:
            self._lose(reason)
            self._check_end()

    def on_closed(self, relay: Relay) -> None:
        """Take note that the relay is gone."""
        self._relay_open = False
        self._check_end()

    # the end

    def _lose(self, reason: str) -> None:
        # Not killed at once: it is probably about to end by itself, with a status worth telling.
        self._move(State.ERRORED)
        self._owner.on_lost(self, reason)

    def _check_end(self) -> None:
        reaped = self._process.returncode is not None
        if reaped and self.state is State.READY:
            self._lose(self.status)
        if reaped and self.state is State.INACTIVE:
            self._fail_start("ended without a handshake")
        if self._process.quiet and not self._relay_open:
            if self.state in (State.STOPPING, State.ERRORED):
                self._finish()
        elif self._linger is None and (reaped or self.state is State.ERRORED):
            self._linger = Timeout(LINGER_S, self._cut_off)

    def _cut_off(self) -> None:
        self._process.kill()
        self._process.cut_off()
        if self._relay is not None:
            self._relay.abort()
        if self.state in _IN_SERVICE:  # a process outside the group holds the relay: we break it off
            self._lose(self.status)
        self._check_end()

    def _finish(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
        self._move(State.STOPPED)
        self._gone.set()
        self._owner.on_exit(self)
