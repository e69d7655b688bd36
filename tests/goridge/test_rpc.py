"""Goridge RPC over real sockets, on asyncio in debug mode and on uvloop: calls, errors, garbage, limits, the end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pools import Run
from transports import StoppedLoop, Transport
from waits import until

from fastsmtp.errors import CallError, StartError
from fastsmtp.goridge import rpc as rpc_module
from fastsmtp.goridge.asyncclient import AsyncRPCClient as AsyncCaller
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
from fastsmtp.goridge.rpc import MAX_CALL_BYTES, MAX_RUNNING, Method, RPCConnection, RPCServer
from fastsmtp.system.clients import ClientLimits, Clients

SHORT = ClientLimits(connections=8, wait_s=0.05, backlog=8)
FEW = ClientLimits(connections=8, wait_s=60, backlog=8)


class Under:
    """The RPC under test, with what it logged. `gate` holds `slow` calls back."""

    def __init__(self, limits: ClientLimits | None = None) -> None:
        self.records: list[MutableMapping[str, Any]] = []
        self.rpc = RPCServer(structlog.wrap_logger(None, processors=[self._keep]), limits=limits)
        self.gate = asyncio.Event()
        self.finished: list[str] = []
        self.big_answers = 0
        self.methods = {
            "t.Echo": Method(lambda value: value),
            "t.Length": Method(len, str),
            "t.Refuse": Method(self._refuse, str),
            "t.Fail": Method(lambda _: {}["x"]),
            "t.Odd": Method(lambda _: object()),
            "t.Big": Method(self._big, int),
            "t.Slow": Method(self._slow, str),
            "t.SlowRefuse": Method(self._slow_refuse, str),
        }

    def _keep(self, _logger: object, level: str, event: MutableMapping[str, Any]) -> Any:
        self.records.append({**event, "level": level})
        raise structlog.DropEvent

    def _big(self, size: int) -> str:
        self.big_answers += 1
        return "x" * size

    def _refuse(self, text: str) -> None:
        raise CallError(text)

    async def _slow(self, name: str) -> str:
        await self.gate.wait()
        self.finished.append(name)
        return name

    async def _slow_refuse(self, text: str) -> None:
        await self.gate.wait()
        raise CallError(text)

    @property
    def complaints(self) -> list[str]:
        return [f"{item['level']}: {item['event']}" for item in self.records]


@asynccontextmanager
async def serving(path: Path, limits: ClientLimits | None = None) -> AsyncIterator[Under]:
    under = Under(limits)
    under.rpc.bind(f"unix://{path}")
    await under.rpc.serve(under.methods)
    try:
        yield under
    finally:
        under.rpc.close()
        await until(lambda: not under.rpc.connections and not under.rpc.running)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        yield
    finally:
        timer.cancel()


class AsyncRPCClient:
    """The other side: `send` and `receive` frames, `call` does both."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []

    @classmethod
    async def connect(cls, path: Path) -> AsyncRPCClient:
        return cls(*await asyncio.open_unix_connection(str(path)))

    def send(self, sequence: int, method: str, argument: bytes, codec: int = CODEC_JSON) -> None:
        self.writer.write(call_frame(sequence, method, argument, codec))

    async def receive(self) -> tuple[int, int, str, bytes]:
        """Sequence, flags, method and answer of the next frame."""
        while not self._frames:
            chunk = await asyncio.wait_for(self.reader.read(65536), 20)
            assert chunk, "the connection was closed"
            self._frames = self._decoder.feed(chunk)
        frame = self._frames.pop(0)
        sequence, length = frame.options
        return sequence, frame.flags, frame.payload[:length].decode(), frame.payload[length:]

    async def call(self, method: str, argument: bytes, codec: int = CODEC_JSON) -> tuple[int, bytes]:
        self.send(7, method, argument, codec)
        sequence, flags, echoed, answer = await self.receive()
        assert (sequence, echoed) == (7, method)
        return flags, answer

    async def closed(self) -> bytes:
        """Whatever came before the end of the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), 20)
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


def call_frame(sequence: int, method: str, argument: bytes, codec: int = CODEC_JSON) -> bytes:
    return encode_frame(codec, method.encode() + argument, (sequence, len(method.encode())))


def test_calls(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            argument = '{"a":[1,null,"ü"]}'.encode()
            assert await caller.call("t.Echo", argument) == (CODEC_JSON, argument)
            assert await caller.call("t.Echo", b"") == (CODEC_JSON, b"null")
            assert await caller.call("t.Length", b'"four"') == (CODEC_JSON, b"4")
            await caller.close()
            assert under.records == []

    run_loop(main())


ERRORS = {
    "unknown method": ("t.Nothing", b"1", "rpc: can't find method t.Nothing"),
    "no service": ("Echo", b"1", "rpc: can't find method Echo"),
    "no method": ("", b"", "rpc: can't find method "),
    "refused": ("t.Refuse", b'"not today"', "not today"),
    "wrong type": ("t.Length", b"4", "the argument of t.Length is not what it should be: Expected `str`, got `int`"),
    "nothing": ("t.Length", b"", "the argument of t.Length is not what it should be: Expected `str`, got `null`"),
    "truncated": ("t.Echo", b'{"a":', "the argument of t.Echo is not what it should be: Input data was truncated"),
    "too deep": (
        "t.Echo",
        b"[" * 100_000,
        "the argument of t.Echo is not what it should be: maximum recursion depth exceeded while deserializing an "
        "object",
    ),
    "not UTF-8": (
        "t.Echo",
        b'"\xff"',
        "the argument of t.Echo is not what it should be: 'utf-8' codec can't decode byte 0xff in position 0: invalid "
        "start byte",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_frames(run_loop: Run, tmp_path: Path, case: str) -> None:
    path = tmp_path / "rpc.sock"
    method, argument, text = ERRORS[case]

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            assert await caller.call(method, argument) == (CODEC_JSON | ERROR, text.encode())
            assert await caller.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            await caller.close()
            assert under.records == []

    run_loop(main())


@pytest.mark.parametrize("method", ["t.Fail", "t.Odd"])
def test_what_fails_unexpectedly_is_logged(run_loop: Run, tmp_path: Path, method: str) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            answer = b"internal error, see the log of the server"
            assert await caller.call(method, b"1") == (CODEC_JSON | ERROR, answer)
            assert await caller.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            await caller.close()
            assert under.complaints == ["error: RPC call failed"]

    run_loop(main())


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        (CODEC_RAW, "the codec raw"),
        (CODEC_MSGPACK, "the codec msgpack"),
        (CODEC_PROTO, "the codec proto"),
        (CODEC_GOB, "the codec gob"),
        (0, "the codec gob"),
        (CODEC_JSON | CODEC_RAW, "the codec of this call"),
    ],
)
def test_other_codecs(run_loop: Run, tmp_path: Path, codec: int, name: str) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path):
            caller = await AsyncRPCClient.connect(path)
            answer = f"{name} is not supported, use JSON".encode()
            assert await caller.call("t.Echo", b"\0\xff", codec) == (codec | ERROR, answer)
            assert await caller.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            await caller.close()

    run_loop(main())


GARBAGE = {
    "text": (b"GET / HTTP/1.1\r\n\r\n", "not a Goridge frame: b'GET / HTTP/1.1\\r\\n\\r\\n'"),
    "bad CRC": (b"\x15\x08\x01\0\0\0\xff\xff\xff\xff\0\0", "not a Goridge frame (bad CRC): "),
    "no options": (encode_frame(CODEC_JSON, b"x"), "not an RPC call: flags 0x8, options (), b'x'"),
    "one option": (encode_frame(CODEC_JSON, b"x", (1,)), "not an RPC call: flags 0x8, options (1,), b'x'"),
    "method too long": (encode_frame(CODEC_JSON, b"x", (1, 2)), "not an RPC call: flags 0x8, options (1, 2), b'x'"),
    "control": (encode_frame(CONTROL, b"{}", (1, 2)), "not an RPC call: flags 0x1, options (1, 2), b'{}'"),
    "too large": (
        call_frame(1, "t.Echo", b"x" * MAX_CALL_BYTES)[:12],
        f"frame payload of {MAX_CALL_BYTES + 6} bytes is above the limit of {MAX_CALL_BYTES}",
    ),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_what_is_no_call_ends_the_connection(run_loop: Run, tmp_path: Path, case: str) -> None:
    path = tmp_path / "rpc.sock"
    octets, reason = GARBAGE[case]

    async def main() -> None:
        async with serving(path) as under:
            other = await AsyncRPCClient.connect(path)
            caller = await AsyncRPCClient.connect(path)
            caller.writer.write(octets)
            assert await caller.closed() == b""
            await caller.close()
            assert under.complaints == ["warning: RPC connection closed, what came is no call"]
            assert under.records[0]["reason"].startswith(reason)
            assert await other.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            assert len(under.rpc.connections) == 1
            await other.close()

    run_loop(main())


def test_caller_leaves_in_the_middle(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            caller.writer.write(call_frame(1, "t.Echo", b"1")[:-1])
            await caller.writer.drain()
            await until(lambda: len(under.rpc.connections) == 1)
            await caller.close()
            await until(lambda: not under.rpc.connections)
            assert under.complaints == ["warning: RPC caller left in the middle of a call"]

    run_loop(main())


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_pipelined_calls_are_answered_in_order(run_loop: Run, tmp_path: Path, piece: int) -> None:
    path = tmp_path / "rpc.sock"
    count = 300  # more than are answered in one turn

    async def main() -> None:
        async with serving(path):
            caller = await AsyncRPCClient.connect(path)
            octets = b"".join(call_frame(number, "t.Echo", b"%d" % number) for number in range(count))
            for start in range(0, len(octets), piece):
                caller.writer.write(octets[start : start + piece])
                await caller.writer.drain()
            answers = [await caller.receive() for _ in range(count)]
            assert answers == [(number, CODEC_JSON, "t.Echo", b"%d" % number) for number in range(count)]
            await caller.close()

    run_loop(main())


def test_calls_that_take_time(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            caller.send(1, "t.Slow", b'"a"')
            caller.send(2, "t.SlowRefuse", b'"no"')
            caller.send(3, "t.Echo", b"3")
            assert await caller.receive() == (3, CODEC_JSON, "t.Echo", b"3")
            under.gate.set()
            answers = sorted([await caller.receive(), await caller.receive()])
            assert answers == [
                (1, CODEC_JSON, "t.Slow", b'"a"'),
                (2, CODEC_JSON | ERROR, "t.SlowRefuse", b"no"),
            ]
            await caller.close()
            assert under.records == []

    run_loop(main())


def test_calls_that_take_time_are_limited(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            for number in range(MAX_RUNNING + 1):
                caller.send(number, "t.Slow", b'"x"')
            text = f"{MAX_RUNNING} calls of this connection are under way, wait for one of them".encode()
            assert await caller.receive() == (MAX_RUNNING, CODEC_JSON | ERROR, "t.Slow", text)
            under.gate.set()
            answers = {(await caller.receive())[0] for _ in range(MAX_RUNNING)}
            assert answers == set(range(MAX_RUNNING))
            assert await caller.call("t.Slow", b'"y"') == (CODEC_JSON, b'"y"')
            await caller.close()

    run_loop(main())


def test_a_call_outlives_its_connection(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            caller = await AsyncRPCClient.connect(path)
            caller.send(1, "t.Slow", b'"a"')
            await until(lambda: len(under.rpc.running) == 1)
            await caller.close()
            await until(lambda: not under.rpc.connections)
            under.gate.set()
            await until(lambda: not under.rpc.running)
            assert under.finished == ["a"]
            assert under.records == []

    run_loop(main())


def test_close_ends_calls_and_connections(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            callers = [await AsyncRPCClient.connect(path) for _ in range(3)]
            callers[0].send(1, "t.Slow", b'"a"')
            await until(lambda: len(under.rpc.running) == 1 and len(under.rpc.connections) == 3)
            under.rpc.close()
            under.rpc.close()
            for caller in callers:
                assert await caller.closed() == b""
                await caller.close()
            assert under.finished == []
            assert not path.exists()

    run_loop(main())


def test_an_answer_that_no_caller_takes_is_an_error(run_loop: Run, tmp_path: Path) -> None:
    """A parent process that broke off the connection to its child would cost it all its clients."""
    path = tmp_path / "rpc.sock"
    longest = MAX_ANSWER_BYTES - len("t.Big") - 2  # quotes

    async def main() -> None:
        async with serving(path):
            transport, caller = await asyncio.get_running_loop().create_unix_connection(AsyncCaller, str(path))
            assert len(await caller.call("t.Big", longest)) == longest
            with pytest.raises(CallError) as caught:
                await caller.call("t.Big", longest + 1)
            assert str(caught.value) == f"the answer has {longest + 3} bytes, that is too long"
            assert await caller.call("t.Echo", "still here") == "still here"
            transport.abort()

    run_loop(main())


def test_who_does_not_read_its_answers_is_read_no_further(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"
    calls, size = 200, 1_000_000

    async def main() -> None:
        async with serving(path) as under:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
            octets = b"".join(call_frame(number, "t.Big", b"%d" % size) for number in range(calls))
            connection.sendall(octets)
            await until(lambda: len(under.rpc.connections) == 1)
            connection.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=connection)
            caller = AsyncRPCClient(reader, writer)
            for number in range(calls):
                sequence, flags, _, answer = await caller.receive()
                assert (sequence, flags, len(answer)) == (number, CODEC_JSON, size + 2)
                assert under.big_answers - number <= 5  # what both sides' buffers hold
            assert await caller.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            await caller.close()

    run_loop(main())


def test_many_connections(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path) as under:
            callers = await asyncio.gather(*(AsyncRPCClient.connect(path) for _ in range(200)))
            for number, caller in enumerate(callers):
                caller.send(number, "t.Echo", b"%d" % number)
            for number, caller in enumerate(callers):
                assert await caller.receive() == (number, CODEC_JSON, "t.Echo", b"%d" % number)
            assert len(under.rpc.connections) == 200
            for caller in callers:
                await caller.close()
            await until(lambda: not under.rpc.connections)

    run_loop(main())


def test_unix_socket_is_private_and_replaces_a_stale_one(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def main() -> None:
        async with serving(path):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            second = RPCServer(structlog.get_logger())
            with pytest.raises(StartError, match=f"cannot listen on unix://{path}: Address already in use"):
                second.bind(f"unix://{path}")
            second.close()
            caller = await AsyncRPCClient.connect(path)
            assert await caller.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            await caller.close()

    run_loop(main())
    assert not path.exists()


@pytest.mark.parametrize(
    ("listen", "shown"),
    [("tcp://127.0.0.1:0", "tcp://127.0.0.1:"), ("tcp://0.0.0.0:0", "tcp://127.0.0.1:"), ("tcp://:0", "tcp://127.")],
)
def test_tcp(run_loop: Run, listen: str, shown: str) -> None:
    async def main() -> None:
        rpc = RPCServer(structlog.get_logger())
        address = rpc.bind(listen)
        assert address.startswith(shown)
        await rpc.serve({"t.Echo": Method(lambda value: value)})
        caller = AsyncRPCClient(*await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2])))
        assert await caller.call("t.Echo", b"1") == (CODEC_JSON, b"1")
        await caller.close()
        rpc.close()
        await until(lambda: not rpc.connections)

    run_loop(main())


class Sink:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False

    def write(self, octets: bytes) -> None:
        self.written += octets

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_extra_info(self, _name: str) -> None: ...


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["t.Echo", "t.Length", "t.Refuse", "\udcff", "x"]).map(
                lambda name: name.encode(errors="surrogateescape")
            ),
            st.binary(max_size=20) | st.text(max_size=20).map(lambda text: json.dumps(text).encode()),
            st.integers(0, 255).filter(lambda flags: not flags & CONTROL),
        ),
        max_size=5,
    )
)
def test_every_call_has_one_answer(calls: list[tuple[bytes, bytes, int]]) -> None:
    rpc = RPCServer(structlog.wrap_logger(None, processors=[]))
    rpc.methods = {
        "t.Echo": Method(lambda value: value),
        "t.Length": Method(len, str),
        "t.Refuse": Method(lambda text: (_ for _ in ()).throw(CallError(text)), str),
    }
    connection, sink = rpc_module.RPCConnection(rpc), Sink()
    connection.connection_made(sink)  # type: ignore[arg-type]
    for number, (method, argument, flags) in enumerate(calls):
        connection.data_received(encode_frame(flags, method + argument, (number, len(method))))
    answers = FrameDecoder().feed(sink.written)
    assert [frame.options for frame in answers] == [(n, len(method)) for n, (method, _, _) in enumerate(calls)]
    for frame, (method, _, _) in zip(answers, calls, strict=True):
        assert frame.payload[: len(method)] == method
        if not frame.flags & ERROR:
            json.loads(frame.payload[len(method) :])


# Callers that are slow, or many


@pytest.mark.parametrize("sent", [1, 12, 15, -1], ids=["octet", "head", "options", "all but one"])
def test_half_a_call_is_not_waited_for_for_long(run_loop: Run, tmp_path: Path, sent: int) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path, SHORT) as under:
            idle, half = await AsyncRPCClient.connect(path), await AsyncRPCClient.connect(path)
            assert await idle.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            half.writer.write(call_frame(1, "t.Echo", b"1") + call_frame(2, "t.Echo", b"2")[:sent])
            assert (await half.closed()).endswith(b"t.Echo1")
            assert await idle.call("t.Echo", b"2") == (CODEC_JSON, b"2")  # it may stay
            await idle.close()
            await half.close()
            await until(lambda: under.complaints == ["warning: RPC caller left in the middle of a call"])

    run_loop(main())


def test_a_caller_that_does_not_take_its_answers_is_cut_off(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path, SHORT) as under:
            with socket.socket(socket.AF_UNIX) as greedy:
                greedy.setblocking(False)
                await asyncio.get_running_loop().sock_connect(greedy, str(path))
                greedy.send(call_frame(1, "t.Big", b"4000000"))
                await until(lambda: under.big_answers)
                await until(lambda: not under.rpc.connections)

    run_loop(main())


def test_a_call_that_takes_long_is_no_fault_of_the_caller(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path, SHORT) as under:
            slow, half = await AsyncRPCClient.connect(path), await AsyncRPCClient.connect(path)
            slow.send(1, "t.Slow", b'"a"')
            half.writer.write(b"x")
            await half.closed()
            under.gate.set()
            assert await slow.receive() == (1, CODEC_JSON, "t.Slow", b'"a"')
            await slow.close()
            await half.close()

    run_loop(main())


@pytest.mark.parametrize("sent", [b"", call_frame(1, "t.Echo", b"1")[:-1]], ids=["silent", "half"])
def test_many_that_do_not_call_keep_no_caller_out(run_loop: Run, tmp_path: Path, sent: bytes) -> None:
    path = tmp_path / "rpc.sock"

    async def main() -> None:
        async with serving(path, FEW) as under:
            worker = await AsyncRPCClient.connect(path)
            assert await worker.call("t.Echo", b"1") == (CODEC_JSON, b"1")
            many = []
            for _ in range(300):
                many.append(await AsyncRPCClient.connect(path))
                many[-1].writer.write(sent)
            caller = await AsyncRPCClient.connect(path)
            for each in (caller, worker):
                assert await each.call("t.Echo", b"2") == (CODEC_JSON, b"2")
            await until(lambda: len(under.rpc.connections) <= FEW.connections)
            for each in (worker, caller, *many):
                await each.close()

    run_loop(main())


def test_each_answer_that_is_taken_gives_more_time() -> None:
    loop = StoppedLoop()
    clients, transport = Clients(ClientLimits(connections=4, wait_s=10, backlog=4)), Transport()
    connection = RPCConnection(Under().rpc, clients)
    loop.call_soon(connection.connection_made, transport)
    loop.call_soon(connection.pause_writing)
    for _ in range(3):
        loop.advance(6)
        loop.call_soon(connection.resume_writing)
        loop.call_soon(connection.pause_writing)
    loop.advance(6)
    assert not transport.closed
    loop.advance(6)
    assert transport.closed == "aborted"
    loop.close()
