"""Goridge RPC: calls of methods by name, as `Spiral\\Goridge\\RPC\\RPC` of PHP makes them.

| frame  | options                     | flags                | frame payload                  |
|--------|-----------------------------|----------------------|--------------------------------|
| call   | sequence, length of method  | codec                | method, then argument in codec |
| result | as in the call              | as in the call       | method, then result in codec   |
| error  | as in the call              | as in the call, ERROR| method, then a text            |

JSON is the only codec. Whatever is wrong with a call gets an error; what is not a call at all ends the connection.

Callers may stay for as long as they like between two calls, as workers do, but not in the middle of one, and they have
to take their answers. `clients.py` says who makes room when there are too many.

Calls are answered in the order in which they are done: at once, or later for the few methods that take time. The caller
knows an answer by its sequence.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import CallError, FrameError
from fastsmtp.goridge.frame import (
    CODEC_GOB,
    CODEC_JSON,
    CODEC_MSGPACK,
    CODEC_PROTO,
    CODEC_RAW,
    CONTROL,
    ERROR,
    MAX_ANSWER_BYTES,
    Frame,
    FrameDecoder,
    encode_frame,
)
from fastsmtp.system.addresses import format_peer
from fastsmtp.system.clients import ClientLimits, Clients
from fastsmtp.system.sockets import bind

MAX_CALL_BYTES = 4 * 1024 * 1024  # method and argument; arguments are names and log messages
MAX_RUNNING = 16  # calls of one connection that take time
_PART = 8  # of all descriptors
_BACKLOG = 256
_UNIX_BACKLOG = 1024  # of a Unix socket: who comes in vain is not kept waiting, but told EAGAIN
_CALLS_AT_ONCE = 64  # then the other connections, and the mail, have their turn
_WRITE_HIGH_WATER = 256 * 1024  # bytes of answers the caller has not read, above which we take no more calls

# No codec at all means Go's own, as in RoadRunner.
_OTHER_CODECS = {CODEC_PROTO: "proto", CODEC_RAW: "raw", CODEC_MSGPACK: "msgpack", CODEC_GOB: "gob", 0: "gob"}
_CODECS = CODEC_JSON | CODEC_RAW | CODEC_MSGPACK | CODEC_GOB | CODEC_PROTO


class Method(NamedTuple):
    """What is behind a name: `call` gets the argument, checked to be an `argument`, and returns what can be JSON.

    It may return an awaitable of that instead, and raise CallError with a text for the caller.
    """

    call: Callable[[Any], object]
    argument: Any = Any


class RPCServer:
    """A listener, its methods, and the connected clients that call them."""

    def __init__(
        self, log: FilteringBoundLogger, max_running: int = MAX_RUNNING, limits: ClientLimits | None = None
    ) -> None:
        """`max_running` is how many calls of one connection may take time; `limits` are those of the listener."""
        self.max_running = max_running
        self.log = log.bind(channel="rpc")
        self.methods: Mapping[str, Method] = {}
        self.connections: set[RPCConnection] = set()
        self.running: set[asyncio.Future[object]] = set()  # calls that take time; they outlive their connection
        self._bound: socket.socket | None = None
        self._server: asyncio.AbstractServer | None = None
        self._unix_path = ""
        self._limits = limits  # from `bind` on there are some

    @property
    def max_descriptors(self) -> int:
        """How many files the listener may have open; 0 when it is not bound."""
        return 0 if self._bound is None or self._limits is None else self._limits.max_descriptors

    def bind(self, listen: str) -> str:
        """Take the address `tcp://host:port` or `unix://path`, with mode 0600; return it as a caller here needs it.

        Raises StartError.
        """
        self._bound = bind(listen)
        self._limits = self._limits or ClientLimits.within(_PART, connections=1024, wait_s=30.0, backlog=_BACKLOG)
        if self._bound.family == socket.AF_UNIX:
            # No client can connect before `serve`.
            self._unix_path = os.path.abspath(self._bound.getsockname())
            os.chmod(self._unix_path, 0o600)
            return f"unix://{self._unix_path}"
        host, port = self._bound.getsockname()[:2]
        if host in ("0.0.0.0", "::"):
            host = "127.0.0.1"
        return f"tcp://{format_peer((host, port))}"

    async def serve(self, methods: Mapping[str, Method]) -> None:
        """Answer calls of `methods` from now on, at the address that was bound."""
        assert self._bound is not None
        assert self._limits is not None
        self.methods = methods
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if self._unix_path else loop.create_server
        backlog = _UNIX_BACKLOG if self._unix_path else self._limits.backlog
        make = functools.partial(RPCConnection, self, Clients(self._limits))
        self._server = await create(make, sock=self._bound, backlog=backlog)

    def close(self) -> None:
        """End the listener, all connections and calls. May be called twice, and whatever was done before."""
        for running in self.running:
            running.cancel()
        for connection in list(self.connections):
            connection.abort()
        if self._server is not None:
            self._server.close()
        if self._bound is not None:
            self._bound.close()
        if self._unix_path:
            with contextlib.suppress(OSError):
                os.unlink(self._unix_path)
            self._unix_path = ""


class RPCConnection(asyncio.Protocol):
    """One caller."""

    __slots__ = (
        "_blocked",
        "_calls",
        "_clients",
        "_decoder",
        "_draining",
        "_paused",
        "_rpc",
        "_running",
        "_transport",
        "peer",
    )

    def __init__(self, rpc: RPCServer, clients: Clients | None = None) -> None:
        """`clients` limits what came to a listener; a connection that we have made ourselves has no limits."""
        self.peer = ""
        self._rpc = rpc
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder(MAX_CALL_BYTES)
        self._calls: deque[Frame] = deque()  # not looked at yet; while there are any nothing more is read
        self._draining: asyncio.Handle | None = None
        self._blocked = False  # the caller does not read its answers
        self._paused = False  # nothing is read
        self._running = 0

    def abort(self) -> None:
        """Cut the connection. May be called twice."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER)
        self.peer = format_peer(transport.get_extra_info("peername"))
        self._rpc.connections.add(self)
        if self._clients is not None and not self._clients.admit(self._transport, timed=False):
            self.abort()

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
            for frame in frames:
                _check(frame)
        except FrameError as error:
            self._refuse(str(error))
            return
        self._calls += frames
        if frames and self._clients is not None and self._transport is not None:
            self._clients.on_serving(self._transport)
        self._drain()
        self._tell_clients()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._decoder.incomplete:
            self._rpc.log.warning("RPC caller left in the middle of a call", peer=self.peer)
        self._rpc.connections.discard(self)
        if self._clients is not None and self._transport is not None:
            self._clients.forget(self._transport)
        self._transport = None
        self._calls.clear()
        if self._draining is not None:
            self._draining.cancel()

    def pause_writing(self) -> None:
        self._blocked = True
        self._tell_clients()

    def resume_writing(self) -> None:
        self._blocked = False
        self._tell_clients()  # it has taken something: if that was not all, its time begins again
        self._drain()
        self._tell_clients()

    def _tell_clients(self) -> None:
        """Say what we wait for, if anything."""
        if self._clients is None or self._transport is None:
            return
        if not self._blocked and (self._calls or self._running):
            self._clients.on_serving(self._transport)
        elif self._blocked or self._decoder.incomplete:
            self._clients.on_awaited(self._transport)
        else:
            self._clients.on_idle(self._transport)

    # calls

    def _refuse(self, reason: str) -> None:
        self._rpc.log.warning("RPC connection closed, what came is no call", peer=self.peer, reason=reason)
        self._decoder = FrameDecoder(MAX_CALL_BYTES)
        self.abort()

    def _drain(self) -> None:
        """Answer the calls that are there; the rest in the next turn of the loop, or when the caller reads on."""
        transport = self._transport
        if self._draining is not None or transport is None:
            return
        budget = _CALLS_AT_ONCE
        while self._calls and not self._blocked and budget and not transport.is_closing():
            self._answer(self._calls.popleft())
            # Not every loop tells of a full buffer at once: it may try to write first, after this turn.
            budget = budget - 1 if transport.get_write_buffer_size() <= _WRITE_HIGH_WATER else 0
        if transport.is_closing():
            return
        if self._paused != bool(self._calls):
            self._paused = not self._paused
            if self._paused:
                transport.pause_reading()
            else:
                transport.resume_reading()
        if self._calls and not self._blocked:
            self._draining = asyncio.get_running_loop().call_soon(self._drain_on)

    def _drain_on(self) -> None:
        self._draining = None
        self._drain()
        self._tell_clients()

    def _answer(self, frame: Frame) -> None:
        try:
            result = self._perform(frame)
            if not inspect.isawaitable(result):
                self._send_result(frame, result)
                return
            if self._running >= self._rpc.max_running:
                if inspect.iscoroutine(result):
                    result.close()
                raise CallError(f"{self._running} calls of this connection are under way, wait for one of them")
        except Exception as error:
            self._send_error(frame, error)
            return
        running = asyncio.ensure_future(result)
        self._running += 1
        self._rpc.running.add(running)
        running.add_done_callback(functools.partial(self._answer_later, frame))

    def _answer_later(self, frame: Frame, done: asyncio.Future[object]) -> None:
        self._running -= 1
        self._rpc.running.discard(done)
        if done.cancelled():
            return
        try:
            self._send_result(frame, done.result())
        except Exception as error:
            self._send_error(frame, error)
        self._tell_clients()

    def _perform(self, frame: Frame) -> object:
        """Return the result of a call, or an awaitable of it. Raises CallError, and whatever a method raises."""
        codec = frame.flags & _CODECS
        if codec != CODEC_JSON:
            raise CallError(f"the codec {_OTHER_CODECS.get(codec, 'of this call')} is not supported, use JSON")
        name = frame.payload[: frame.options[1]].decode("utf-8", "replace")
        method = self._rpc.methods.get(name)
        if method is None:
            raise CallError(f"rpc: can't find method {name}")
        try:
            argument = msgspec.json.decode(frame.payload[frame.options[1] :] or b"null", type=method.argument)
        except (ValueError, RecursionError) as error:
            raise CallError(f"the argument of {name} is not what it should be: {error}") from None
        return method.call(argument)

    def _send_result(self, frame: Frame, result: object) -> None:
        """Raises CallError for more than callers take, which would hang up: long texts of SMTP clients can be in it."""
        answer = msgspec.json.encode(result)
        if frame.options[1] + len(answer) > MAX_ANSWER_BYTES:
            raise CallError(f"the answer has {len(answer)} bytes, that is too long")
        self._send(frame, 0, answer)

    def _send_error(self, frame: Frame, error: Exception) -> None:
        if not isinstance(error, CallError):
            self._rpc.log.error("RPC call failed", peer=self.peer, exc_info=error)
        text = str(error) if isinstance(error, CallError) else "internal error, see the log of the server"
        self._send(frame, ERROR, text.encode("utf-8", "replace"))

    def _send(self, frame: Frame, flag: int, answer: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        method = frame.payload[: frame.options[1]]
        flags = frame.flags & _CODECS | flag
        self._transport.write(encode_frame(flags, method + answer, frame.options))


def _check(frame: Frame) -> None:
    """Raise FrameError unless `frame` is a call, whatever method and argument."""
    if frame.flags & CONTROL or len(frame.options) != 2 or frame.options[1] > len(frame.payload):
        raise FrameError(f"not an RPC call: flags {frame.flags:#x}, options {frame.options}, {frame.payload[:64]!r}")
