"""Relays over a socket pair and over pipes, on both loops."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Iterator

import pytest
from pools import Run
from waits import until

from fastsmtp.goridge.frame import CODEC_JSON, Frame, encode_frame
from fastsmtp.goridge.pipes import connect_pipes
from fastsmtp.goridge.relay import Relay


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_connected(self, relay: Relay) -> None:
        self.told.append("connected")

    def on_frames(self, relay: Relay, frames: list[Frame]) -> None:
        self.told += frames

    def on_broken(self, relay: Relay, reason: str) -> None:
        self.told.append(f"broken: {reason}")

    def on_closed(self, relay: Relay) -> None:
        self.told.append("closed")


async def connect(kind: str, owner: Owner) -> tuple[Relay, socket.socket | None, int, int]:
    """Return a relay, and the other side's descriptors: to read from, to write to (and the socket that holds both)."""
    if kind == "socket":
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        _, relay = await asyncio.get_running_loop().create_connection(lambda: Relay(owner), sock=ours)
        return relay, theirs, theirs.fileno(), theirs.fileno()
    relay = Relay(owner, pipes=True)
    theirs_in, sink = os.pipe()
    source, theirs_out = os.pipe()
    await connect_pipes(relay, os.fdopen(source, "rb", 0), os.fdopen(sink, "wb", 0))
    return relay, None, theirs_in, theirs_out


class Theirs:
    """The other side: plain reads and writes."""

    def __init__(self, held: socket.socket | None, source: int, sink: int) -> None:
        self._held, self.source, self.sink = held, source, sink

    def unread(self) -> int:
        """What the kernel still holds of all that was written, in its own units."""
        question = termios.FIONREAD if self._held is None else termios.TIOCOUTQ
        answer = fcntl.ioctl(self.sink, question, struct.pack("i", 0))
        return int(struct.unpack("i", answer)[0])

    def stop_sending(self) -> None:
        if self._held is not None:
            self._held.shutdown(socket.SHUT_WR)
        else:
            os.close(self.sink)
            self.sink = -1

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
            return
        for fd in (self.source, self.sink):
            if fd >= 0:
                os.close(fd)


async def pair(kind: str) -> tuple[Owner, Relay, Theirs]:
    owner = Owner()
    relay, *theirs = await connect(kind, owner)
    await until(lambda: owner.told == ["connected"])
    owner.told.clear()
    return owner, relay, Theirs(*theirs)


both = pytest.mark.parametrize("kind", ["socket", "pipes"])
ANSWER = encode_frame(0, b"CONTINUE", (8,))


@both
def test_frames_both_ways(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner, relay, theirs = await pair(kind)
        relay.send_payload(CODEC_JSON, [b"ab", bytearray(b"cd")], [b"ef"])
        relay.send(1, b"{}")
        expected = encode_frame(CODEC_JSON, b"abcdef", (4,)) + encode_frame(1, b"{}")
        assert os.read(theirs.source, 100) == expected
        assert relay.flushed
        for byte in ANSWER + ANSWER:
            os.write(theirs.sink, bytes([byte]))
            await until(lambda: theirs.unread() == 0)
        await until(lambda: owner.told == [Frame(0, 0, (8,), b"CONTINUE")] * 2)
        relay.abort()
        relay.abort()
        await until(lambda: owner.told[2:] == ["closed"])
        theirs.close()

    run_loop(main())


@both
@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", ["broken: closed the connection", "closed"]),
        (ANSWER, [Frame(0, 0, (8,), b"CONTINUE"), "broken: closed the connection", "closed"]),
        (ANSWER[:20], ["broken: closed the connection in the middle of a frame", "closed"]),
    ],
    ids=["nothing", "answer", "half"],
)
def test_other_side_stops_sending(run_loop: Run, kind: str, sent: bytes, told: list[object]) -> None:
    async def main() -> None:
        owner, relay, theirs = await pair(kind)
        relay.send_payload(0, [b"x" * 10_000_000])  # which the other side will not read
        os.write(theirs.sink, sent)
        theirs.stop_sending()
        await until(lambda: owner.told[-1:] == ["closed"])
        assert owner.told == told
        theirs.close()

    run_loop(main())


@both
def test_garbage(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner, _, theirs = await pair(kind)
        os.write(theirs.sink, b"Notice: x")
        await until(lambda: owner.told[-1:] == ["closed"])
        assert owner.told == ["broken: not a Goridge frame: b'Notice: x'", "closed"]
        theirs.close()

    run_loop(main())


@both
def test_other_side_is_gone_in_the_middle_of_a_large_payload(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner, relay, theirs = await pair(kind)
        segments = [b"x" * 5_000_000, bytearray(5_000_000)]
        relay.send_payload(0, segments)
        assert not relay.flushed
        theirs.close()
        await until(lambda: owner.told == ["broken: closed the connection", "closed"])
        relay.send(1, b"ignored")
        segments[1] += b"free again"  # the transport has let go of it

    run_loop(main())


class Blocks:
    """A deferred segment: `count` blocks of 64 KiB, of which the last is a fault where that is asked for."""

    def __init__(self, count: int, *, fails: bool = False) -> None:
        self.size = count * BLOCK
        self._count = count
        self._fails = fails
        self.made = 0

    def blocks(self) -> Iterator[bytes]:
        for number in range(self._count):
            self.made += 1
            yield bytes([number % 256]) * BLOCK
        if self._fails:
            raise LookupError("no more")


BLOCK = 64 * 1024


@both
def test_deferred_segments_are_made_as_the_other_side_takes_them(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner, relay, theirs = await pair(kind)
        deferred, other = Blocks(300), Blocks(3)
        relay.send_payload(CODEC_JSON, [b"ab", deferred, b"cd"], [other])
        length = 4 + deferred.size + other.size
        header = encode_frame(CODEC_JSON, b"", (4 + deferred.size,))
        taken, most = b"", 0
        while len(taken) < len(header) + length:
            assert deferred.made == 300 or not (relay.flushed or relay.taken)
            taken += await asyncio.to_thread(os.read, theirs.source, BLOCK)
            most = max(most, deferred.made - len(taken) // BLOCK)
        assert taken[len(header) :] == b"ab" + b"".join(deferred.blocks()) + b"cd" + b"".join(other.blocks())
        assert int.from_bytes(taken[2:6], "little") == length
        assert most < 40  # what the kernel and the transport hold: the rest is not made yet
        await until(lambda: relay.flushed)
        relay.abort()
        await until(lambda: owner.told == ["closed"])
        theirs.close()

    run_loop(main())


@both
def test_other_side_is_gone_while_segments_are_made(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner, relay, theirs = await pair(kind)
        deferred = Blocks(1000)
        relay.send_payload(0, [deferred])
        theirs.close()
        await until(lambda: owner.told == ["broken: closed the connection", "closed"])
        assert deferred.made < 100

    run_loop(main())


@both
def test_a_segment_that_cannot_be_made_breaks_the_relay(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        owner, relay, theirs = await pair(kind)
        relay.send_payload(0, [Blocks(2, fails=True)])
        while await asyncio.to_thread(os.read, theirs.source, BLOCK):
            pass
        await until(lambda: owner.told == ["broken: an email could not be written", "closed"])
        assert [str(fault["exception"]) for fault in faults] == ["no more"]
        theirs.close()

    run_loop(main())


def test_abort_while_the_pipes_are_connected(run_loop: Run) -> None:
    async def main() -> None:
        owner = Owner()
        relay = Relay(owner, pipes=True)
        theirs_in, sink = os.pipe()
        source, theirs_out = os.pipe()
        connecting = asyncio.ensure_future(connect_pipes(relay, os.fdopen(source, "rb", 0), os.fdopen(sink, "wb", 0)))
        await asyncio.sleep(0)
        relay.abort()
        await connecting
        await until(lambda: owner.told)
        assert owner.told == ["closed"]
        os.close(theirs_in)
        os.close(theirs_out)

    run_loop(main())


async def connect_tcp(owner: Owner) -> tuple[Relay, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    _, relay = await asyncio.get_running_loop().create_connection(lambda: Relay(owner), sock=ours)
    return relay, theirs


@pytest.mark.parametrize("kind", ["socket", "pipes", "tcp"])
def test_what_the_other_side_has_taken_and_what_it_has_sent(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner = Owner()
        if kind == "tcp":
            relay, held = await connect_tcp(owner)
            theirs = Theirs(held, held.fileno(), held.fileno())
        else:
            relay, *rest = await connect(kind, owner)
            theirs = Theirs(*rest)
        assert (relay.taken, relay.quiet, relay.unread) == (True, True, False)
        relay.send_payload(0, [b"x" * 50_000])
        await until(lambda: relay.flushed)
        assert (relay.taken, relay.quiet) == (False, True)
        octets = os.read(theirs.source, 40_000)
        assert (relay.taken, relay.quiet) == (False, True)
        while len(octets) < 50_016:
            octets += os.read(theirs.source, 40_000)
        assert (relay.taken, relay.quiet) == (True, True)
        os.write(theirs.sink, b"\x14")
        if kind != "tcp":  # where it takes its time
            assert (relay.quiet, relay.unread) == (False, True)
        await until(lambda: relay.quiet)
        assert not relay.unread
        relay.abort()
        assert (relay.taken, relay.quiet, relay.unread) == (True, True, False)
        await until(lambda: owner.told[-1:] == ["closed"])
        theirs.close()

    run_loop(main())


@both
def test_another_side_that_has_closed_is_not_quiet(run_loop: Run, kind: str) -> None:
    async def main() -> None:
        owner, relay, theirs = await pair(kind)
        theirs.close()
        assert (relay.quiet, relay.unread) == (False, False)
        await until(lambda: owner.told[-1:] == ["closed"])

    run_loop(main())
