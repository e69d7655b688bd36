"""Frames over one connection: a stream socket, or a pair of pipes.

A relay has one owner at a time, which is told of the frames of each read, of the other side breaking it off, and last
that the relay is gone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Final, Protocol, cast

from fastsmtp.errors import FrameError
from fastsmtp.goridge._queues import is_quiet, unread, untaken
from fastsmtp.goridge.frame import MAX_FRAME_PAYLOAD_BYTES, Frame, FrameDecoder, encode_frame, frame_header
from fastsmtp.system.socketdiag import other_side


class DeferredSegment(Protocol):
    """A segment that is made while it is written; see `delivery.deferred`."""

    size: int

    def blocks(self) -> Iterator[bytes | bytearray]:
        """Make it, block by block."""


Segments = Sequence["bytes | bytearray | DeferredSegment"]

# Of deferred segments as much is made at a time as takes so long, or is so much; then others are served.
_STEP_S: Final = 0.005
_STEP_BYTES: Final = 256 * 1024


class RelayOwner(Protocol):
    """Who is told what happens on a relay."""

    def on_connected(self, relay: Relay) -> None:
        """Frames can be sent from now on."""

    def on_frames(self, relay: Relay, frames: list[Frame]) -> None:
        """At least one whole frame has arrived."""

    def on_broken(self, relay: Relay, reason: str) -> None:
        """The other side closed or sent what is not a frame; the relay is closing. Not called after our own `abort`."""

    def on_closed(self, relay: Relay) -> None:
        """Both directions are closed and their descriptors given back."""


class Relay(asyncio.Protocol):
    """Sends and receives Goridge frames; see `connect_pipes` for the pair of pipes."""

    __slots__ = (
        "_blocks",
        "_closing",
        "_connecting",
        "_decoder",
        "_open_sides",
        "_paused",
        "_pipes",
        "_reader",
        "_sink",
        "_source",
        "_tcp",
        "_writer",
        "owner",
    )

    def __init__(
        self, owner: RelayOwner, *, pipes: bool = False, max_payload_bytes: int = MAX_FRAME_PAYLOAD_BYTES
    ) -> None:
        self.owner = owner
        self._pipes = pipes
        self._decoder = FrameDecoder(max_payload_bytes)
        self._reader: asyncio.ReadTransport | None = None
        self._writer: asyncio.WriteTransport | None = None
        self._source = self._sink = -1  # descriptors that are read from and written to
        self._tcp: socket.socket | None = None
        self._open_sides = 2 if pipes else 1  # or still to be opened
        self._closing = False
        self._connecting = pipes
        self._blocks: Iterator[bytes | bytearray] | None = None  # of a frame payload that is not all made yet
        self._paused = False  # the other side does not take what was written

    @property
    def incomplete(self) -> bool:
        """Whether the beginning of a frame has arrived whose end has not."""
        return self._decoder.incomplete

    @property
    def flushed(self) -> bool:
        """Whether all that was sent has left for the other side's kernel buffer."""
        return self._writer is None or (self._blocks is None and self._writer.get_write_buffer_size() == 0)

    @property
    def taken(self) -> bool:
        """Whether the other side has read all that was sent, as far as the kernel tells.

        It does not tell that of a TCP connection to another machine, or to a container with a network of its own: there
        it is enough that it has arrived.
        """
        if not self.flushed or untaken(self._sink, self._pipes):
            return False
        other = None if self._tcp is None else other_side(self._tcp)
        return other is None or other.unread == 0

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that was not read yet, and the other side has not closed."""
        return is_quiet(self._source, self._sink)

    @property
    def unread(self) -> bool:
        """Whether octets have come that were not read yet."""
        return unread(self._source) > 0

    @property
    def transport(self) -> asyncio.WriteTransport | None:
        """The sending side, None before the connection is made."""
        return self._writer

    def send(self, flags: int, payload: bytes, options: Sequence[int] = (), stream: int = 0) -> None:
        """Send one small frame."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode_frame(flags, payload, options, stream))

    def send_payload(self, flags: int, context: Segments, body: Segments = ()) -> None:
        """Send context and body, each the concatenation of its segments, as one frame. Nothing is copied.

        Until the other side has answered, the segments must not change: the transport still points into them. Those
        that are deferred are made as the other side takes them.
        """
        assert self._writer is not None
        plain: list[bytes | bytearray] = []
        for segment in (*context, *body) if body else context:
            if not isinstance(segment, (bytes, bytearray)):
                self._send_blocks(flags, context, body)
                return
            plain.append(segment)
        context_length = sum(map(len, context))  # type: ignore[arg-type]  # all are bytes
        length = sum(map(len, plain)) if body else context_length
        self._writer.writelines([frame_header(flags, (context_length,), length), *plain])

    def _send_blocks(self, flags: int, context: Segments, body: Segments) -> None:
        context_length = sum(map(_size, context))
        header = frame_header(flags, (context_length,), context_length + sum(map(_size, body)))
        self._blocks = _blocks_of(header, context, body)
        self._write_on()

    def _write_on(self) -> None:
        """Make and write what the other side takes, but not for long."""
        blocks, writer = self._blocks, self._writer
        if blocks is None or writer is None or self._closing:
            return
        loop = asyncio.get_running_loop()
        ends, written = monotonic() + _STEP_S, 0
        while not self._paused:
            if written > _STEP_BYTES or monotonic() > ends:
                loop.call_soon(self._write_on)
                return
            try:
                block = next(blocks, None)
            except Exception as error:  # a fault of ours, and half of a frame is written
                loop.call_exception_handler({"message": "an email could not be written", "exception": error})
                self._blocks = None
                loop.call_soon(
                    self._break, "an email could not be written"
                )  # later: asyncio's pipes are in a call of us
                return
            if block is None:
                self._blocks = None
                return
            writer.write(block)
            written += len(block)

    def abort(self) -> None:
        """Close at once; what was not flushed is dropped. May be called twice."""
        self._closing = True
        self._blocks = None
        self._source = self._sink = -1  # soon another's
        self._tcp = None
        if self._connecting:
            return  # asyncio in debug mode cannot bear a pipe that is closed while it is connected; see `pipes`
        # A transport that is closing already is left alone: asyncio's pipes would report the end of it twice.
        if self._writer is not None and not self._writer.is_closing():
            self._writer.abort()
        if self._pipes and self._reader is not None and not self._reader.is_closing():
            self._reader.close()

    def pipes_connected(self) -> None:
        """Both pipes are attached: tell the owner, or close them if the relay was aborted meanwhile."""
        self._connecting = False
        if self._closing:
            self.abort()
        else:
            self.owner.on_connected(self)

    def _break(self, reason: str) -> None:
        if not self._closing:
            self.abort()
            self.owner.on_broken(self, reason)

    # asyncio callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._reader = cast(asyncio.ReadTransport, transport)
        if not self._pipes:
            self._writer = cast(asyncio.WriteTransport, transport)
        if not self._closing:
            self._note_descriptors(transport)
        if self._closing:
            self.abort()
        elif not self._pipes:
            self.owner.on_connected(self)

    def _note_descriptors(self, transport: asyncio.BaseTransport) -> None:
        if self._pipes:
            self._source = transport.get_extra_info("pipe").fileno()
            return
        ours = transport.get_extra_info("socket")
        self._source = self._sink = ours.fileno()
        self._tcp = None if ours.family == socket.AF_UNIX else ours

    def note_sink(self, transport: asyncio.BaseTransport) -> None:
        """Called by the `WriteSide`: where to write."""
        self._writer = cast(asyncio.WriteTransport, transport)
        if not self._closing:
            self._sink = transport.get_extra_info("pipe").fileno()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write_on()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            self._break(str(error))
            return
        if frames:
            self.owner.on_frames(self, frames)

    def eof_received(self) -> None:
        # A worker that has stopped sending cannot answer, whatever we may still have to send to it.
        self._break("closed the connection" + (" in the middle of a frame" if self.incomplete else ""))

    def connection_lost(self, exc: Exception | None) -> None:
        self._break("closed the connection")
        self._open_sides -= 1
        if self._open_sides == 0:
            self.owner.on_closed(self)


class WriteSide(asyncio.BaseProtocol):
    """The sending pipe of a relay over a pair of pipes."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._relay.note_sink(transport)

    def pause_writing(self) -> None:
        self._relay.pause_writing()

    def resume_writing(self) -> None:
        self._relay.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.connection_lost(exc)


def _size(segment: bytes | bytearray | DeferredSegment) -> int:
    return len(segment) if isinstance(segment, (bytes, bytearray)) else segment.size


def _blocks_of(header: bytes, context: Segments, body: Segments) -> Iterator[bytes | bytearray]:
    yield header
    for segment in (*context, *body):
        if isinstance(segment, (bytes, bytearray)):
            yield segment
        else:
            yield from segment.blocks()
