"""One transaction, from the first octet of mail data to the verdict of a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture._json import quote
from fastsmtp.capture.attachments import Sink, Storage
from fastsmtp.capture.identifier import uuid7
from fastsmtp.delivery.payload import Attachment, Email, Payload, Text, encode_payload
from fastsmtp.mime.charset import decode_charset, is_utf8
from fastsmtp.mime.defects import INVALID_HEADER_LINE
from fastsmtp.mime.entity import Entity, Role
from fastsmtp.mime.splitter import Splitter
from fastsmtp.mime.transfer import TransferDecoder, transfer_decoder
from fastsmtp.ops.counters import Counters
from fastsmtp.smtp.command import parse_size
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.events import Verdict
from fastsmtp.smtp.violations import MESSAGE_WITHOUT_HEADER, UNPARSABLE_MESSAGE
from fastsmtp.text import timestamp
from fastsmtp.workers.pool import Job, Outcome

_VERDICTS: Final = {
    Outcome.CONTINUE: Verdict.ACCEPT,
    Outcome.CLOSE: Verdict.ACCEPT_AND_CLOSE,
    Outcome.WORKER_FAILED: Verdict.WORKER_FAILED,
    Outcome.NO_WORKER: Verdict.NO_WORKER,
}


class Executor(Protocol):
    """Who gives jobs to workers: a `workers.pool.Pool`."""

    def exec(self, job: Job) -> None:
        """Have the job done; `job.on_outcome` is called exactly once."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all transactions of a server share."""

    storage: Storage
    pool: Executor
    include_raw: bool  # `encode` needs it
    log: FilteringBoundLogger  # bound once: structlog's lazy loggers are bound anew for every record
    encode: Callable[[Email], Payload] = encode_payload
    counters: Counters | None = None  # for metrics; None where nobody asks for them


class Origin:
    """Where an email came from: the connection, the listener's name, and its place among the connection's emails."""

    __slots__ = ("connection_uuid", "remote_addr", "sequence", "server")

    def __init__(self, connection_uuid: str, remote_addr: str, server: str, sequence: int) -> None:
        self.connection_uuid = connection_uuid
        self.remote_addr = remote_addr
        self.server = server
        self.sequence = sequence


class _BodyText:
    """A text body on its way: its octets with the transfer encoding undone, the charset still as sent."""

    __slots__ = ("_decoder", "_octets", "entity")

    def __init__(self, entity: Entity, found: list[str]) -> None:
        self.entity = entity
        self._decoder: TransferDecoder = transfer_decoder(entity.transfer_encoding, found)
        self._octets = bytearray()

    @property
    def held(self) -> int:
        return len(self._octets)

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        self._octets += self._decoder.feed(buf, start, end)

    def close(self) -> None:
        self._octets += self._decoder.close()

    def discard(self) -> None:
        self._octets = bytearray()

    def decode(self, found: list[str]) -> str:
        return decode_charset(self._octets, self._charset, found)

    def quote(self) -> bytes | None:
        """The text as JSON where its octets are what JSON wants, without the way over a str; None elsewhere."""
        return quote(self._octets) if is_utf8(self._octets, self._charset) else None

    @property
    def _charset(self) -> str | None:
        return self.entity.media_type.parameters.get("charset")


class Capture:
    """Takes one email apart while it arrives, gives it to a worker and tells the verdict, exactly once.

    A `PartHandler` for the splitter and a `Job` for the pool. `feed` it, then `close` and
    `deliver` it, or `abort` it at any time before.
    """

    __slots__ = (
        "_attachments",
        "_bodies",
        "_defects",
        "_entity",
        "_envelope",
        "_failed",
        "_found",
        "_held",
        "_message",
        "_on_verdict",
        "_origin",
        "_payload",
        "_raw",
        "_received_at",
        "_services",
        "_sink",
        "_size",
        "_splitter",
        "_transcript",
        "_violations",
        "_waiting_since",
        "uuid",
    )

    def __init__(
        self, services: Services, origin: Origin, envelope: Envelope, on_verdict: Callable[[Verdict], None]
    ) -> None:
        self.uuid = uuid7()
        self._services = services
        self._origin = origin
        self._envelope = envelope
        self._on_verdict: Callable[[Verdict], None] | None = on_verdict
        self._splitter: Splitter | None = Splitter(self)
        self._size = 0  # octets of mail data
        self._held = 0  # octets of it in memory, without those of the part at hand
        self._raw = bytearray() if services.include_raw else None
        self._defects: list[str] = []  # of the message as a whole
        self._found: list[str] = []  # of the part at hand
        self._entity: Entity | None = None  # the part at hand
        self._sink: Sink | _BodyText | None = None  # where its octets go
        self._bodies: list[_BodyText] = []
        self._attachments: list[Attachment] = []
        self._failed = False  # it could not be stored: the rest is swallowed
        self._message: Entity | None = None  # of a mail that is complete
        self._received_at = 0  # Unix time of the end of mail data
        self._violations: Sequence[tuple[str, str, int]] = ()
        self._transcript: Sequence[tuple[int, str, str]] | None = None
        self._waiting_since = 0.0  # for a worker, on the monotonic clock; 0 = it does not, or nobody asks
        self._payload: Payload | None = None  # encoded

    @property
    def held(self) -> int:
        """Octets in memory, roughly: what counts against `max_inflight_bytes`."""
        sink = self._sink
        return self._held if sink is None else self._held + sink.held

    def feed(self, buf: bytearray, start: int, end: int) -> None:
        """The next octets of mail data, `buf[start:end]`; octets before `start` may be overwritten. Never raises."""
        if self._failed:
            return
        if self._raw is not None:
            self._raw += buf[start:end]
            self._held += end - start
        assert self._splitter is not None
        try:
            self._splitter.feed(buf, start, end)
            self._size += end - start
        except OSError as error:
            self._fail(error)
        except Exception:
            self._fail_unexpectedly()

    def close(self) -> Sequence[str]:
        """Mail data is complete. Returns the violations (`fastsmtp.smtp.violations`) that only the message shows."""
        splitter, self._splitter = self._splitter, None  # it refers to us: let both go without the cycle collector
        if self._failed:
            return ()
        assert splitter is not None
        try:
            splitter.close()
        except OSError as error:
            self._fail(error)
            return ()
        except Exception:
            self._fail_unexpectedly()
            return ()
        self._message = splitter.message
        assert self._message is not None
        self._defects = [*splitter.defects, *self._defects]
        if not self._message.fields:
            return (MESSAGE_WITHOUT_HEADER,)
        return (UNPARSABLE_MESSAGE,) if INVALID_HEADER_LINE in self._message.defects else ()

    def deliver(
        self, violations: Sequence[tuple[str, str, int]], transcript: Sequence[tuple[int, str, str]] | None = None
    ) -> None:
        """After `close`: on to a worker. The verdict comes by `on_verdict`, perhaps from within. Never raises."""
        if self._failed:
            self._tell(Verdict.STORAGE_FAILED)
            return
        self._received_at = int(time.time())
        self._violations = violations
        self._transcript = transcript
        services = self._services
        services.pool.exec(self)
        counters = services.counters
        if counters is not None:
            if self._payload is not None:
                counters.wait.counts[0] += 1  # a worker was free: 0 seconds, the most frequent value of all
            else:
                self._waiting_since = time.monotonic()

    def _encode(self) -> Payload:
        message, origin, found = self._message, self._origin, self._defects
        assert message is not None
        return self._services.encode(
            Email(
                uuid=self.uuid,
                connection_uuid=origin.connection_uuid,
                sequence=origin.sequence,
                remote_addr=origin.remote_addr,
                received_at=timestamp(self._received_at),
                server=origin.server,
                envelope=self._envelope,
                violations=self._violations,
                transcript=self._transcript,
                message=message,
                text=self._join_bodies(Role.TEXT, found),
                html=self._join_bodies(Role.HTML, found),
                size=self._size,
                raw=self._raw,
                defects=found,
                attachments=self._attachments,
            )
        )

    def _join_bodies(self, role: Role, found: list[str]) -> Text | None:
        """The text of all bodies of this kind in order, each on a line of its own; None without any."""
        bodies = [body for body in self._bodies if body.entity.role is role]
        if len(bodies) == 1:
            quoted = bodies[0].quote()
            if quoted is not None:
                return quoted
        joined: str | None = None
        for body in bodies:
            text = body.decode(found)
            if joined and not joined.endswith("\n"):
                joined += "\r\n"
            joined = text if joined is None else joined + text
        return joined

    def abort(self) -> None:
        """The mail was broken off: forget it, delete its files. No verdict."""
        self._on_verdict = None
        self._drop()

    def _fail(self, error: OSError) -> None:
        self._services.log.error("mail could not be stored", uuid=self.uuid, error=error.strerror or str(error))
        self._drop()

    def _fail_unexpectedly(self) -> None:
        """A fault of ours: it is told with its traceback, and the client may try again."""
        self._services.log.exception("mail could not be taken apart", uuid=self.uuid)
        self._drop()

    def _drop(self) -> None:
        """Let go of everything, in memory and on disk."""
        self._failed = True
        if self._sink is not None:
            self._sink.discard()
            self._sink = None
        storage = self._services.storage
        for attachment in self._attachments:
            if attachment.path is not None:
                storage.delete(attachment.path)
        self._attachments = []
        self._bodies.clear()
        self._splitter = None
        self._raw = None
        self._held = 0

    def _tell(self, verdict: Verdict) -> None:
        on_verdict, self._on_verdict = self._on_verdict, None
        if on_verdict is not None:
            on_verdict(verdict)

    # Called by the splitter

    def on_part_begin(self, entity: Entity) -> None:
        """See `PartHandler`. Raises OSError when a tempfile cannot be made."""
        self._entity = entity
        if entity.role is Role.ATTACHMENT:
            self._found = []
            place = len(self._attachments) + 1
            self._sink = self._services.storage.open(self.uuid, place, entity, self._found, self._size_hint())
        else:
            self._sink = _BodyText(entity, self._defects)

    def _size_hint(self) -> int:
        """Octets that may still come, by the SIZE parameter of MAIL (RFC 1870); 0 without one."""
        for keyword, value in self._envelope.mail_parameters.items():
            if keyword.upper() == "SIZE":
                return max(0, parse_size(value) - self._size)
        return 0

    def on_part_bytes(self, buf: bytearray, start: int, end: int) -> None:
        """See `PartHandler`. Raises OSError when the disk is full."""
        assert self._sink is not None
        self._sink.feed(buf, start, end)

    def on_part_end(self) -> None:
        """See `PartHandler`. Raises OSError when the disk is full."""
        sink, entity = self._sink, self._entity
        assert sink is not None
        assert entity is not None
        stored = sink.close()
        self._held += sink.held
        self._sink = None
        if isinstance(sink, _BodyText):
            self._bodies.append(sink)
        elif stored is not None:
            self._attachments.append(
                Attachment(entity, stored.size, stored.content, stored.path, stored.sha256, self._found)
            )

    def on_part_drop(self) -> None:
        """See `PartHandler`."""
        self._sink = None  # a preamble is always text

    # Called by the pool

    def take_payload(self) -> Payload:
        """See `Job`: the JSON in segments. Encoded when a worker is there to take it, and only once."""
        if self._waiting_since:
            self._end_wait()
        if self._payload is None:
            self._payload = self._encode()
            self._bodies.clear()
            self._raw = None
        return self._payload

    def on_outcome(self, outcome: Outcome) -> None:
        """See `Job`: what became of the email."""
        if self._waiting_since:
            self._end_wait()
        self._payload = None
        verdict = _VERDICTS[outcome]
        if outcome is Outcome.CONTINUE or outcome is Outcome.CLOSE:
            self._hand_over()
        else:
            self._drop()
        self._tell(verdict)

    def _end_wait(self) -> None:
        """There is a worker, or none was free in time."""
        counters = self._services.counters
        assert counters is not None
        counters.wait.observe(time.monotonic() - self._waiting_since)
        self._waiting_since = 0.0

    def _hand_over(self) -> None:
        """A worker has the email, and with it the files."""
        storage = self._services.storage
        for attachment in self._attachments:
            if attachment.path is not None:
                storage.hand_over(attachment.path)
        self._services.log.info(
            "email",
            uuid=self.uuid,
            peer=self._origin.remote_addr,
            size=self._size,
            recipients=len(self._envelope.forward_paths),
            attachments=len(self._attachments),
        )
