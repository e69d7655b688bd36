"""Mail data becomes an Email while it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.attachments import Sink, Storage
from fastsmtp.capture.body import Body
from fastsmtp.capture.email import Attachment, Attachments, Email, Origin
from fastsmtp.capture.identifier import uuid7
from fastsmtp.capture.spool import Spool, SpoolFile
from fastsmtp.capture.texts import Texts
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import INVALID_HEADER_LINE, JUNK_BEFORE_HEADER
from fastsmtp.mime.entity import ENTITY_OCTETS, Entity, Role, is_beside_root
from fastsmtp.mime.splitter import Splitter
from fastsmtp.smtp.command import parse_size
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.violations import MESSAGE_WITHOUT_HEADER, UNPARSABLE_MESSAGE

_ADDRESS_FIELDS: Final = frozenset({"from", "to", "cc", "bcc", "reply-to"})
_BODY_OCTETS: Final = 512  # of memory for a text beside its entity and its octets, and for what is made of it
_ATTACHMENT_OCTETS: Final = 400  # for an attachment beside its octets and what is sent of its names
_NEVER: Final = 1 << 62
_LONG_HEADER: Final = 4096  # octets; whatever is in a shorter one takes no longer than some milliseconds


@dataclass(frozen=True, slots=True)
class Services:
    """What all captures of a server share."""

    storage: Storage
    include_raw: bool  # emails have their octets as they came
    log: FilteringBoundLogger  # bound once: structlog's lazy loggers are bound again for every record
    spool: Spool | None = None  # where the octets of large mails go that are kept for the inbox alone


class Capture:
    """Takes one mail apart while it arrives; a `PartHandler` for the splitter.

    `feed` it, then `close` and `finish` it, or `abort` it at any time before.
    """

    __slots__ = (
        "_attachments",
        "_bodies",
        "_budget",
        "_defects",
        "_entity",
        "_envelope",
        "_failed",
        "_found",
        "_header_octets",
        "_held",
        "_message",
        "_origin",
        "_raw",
        "_services",
        "_sink",
        "_size",
        "_splitter",
        "_spool",
        "_spool_at",
        "uuid",
    )

    def __init__(self, services: Services, origin: Origin, envelope: Envelope) -> None:
        self.uuid = uuid7()
        self._services = services
        self._origin = origin
        self._envelope = envelope
        self._splitter: Splitter | None = Splitter(self)
        self._size = 0  # octets of mail data
        self._held = 0  # octets of it in memory, without those of the part at hand
        self._raw = bytearray() if services.include_raw else None
        self._spool: SpoolFile | None = None  # has the octets, in place of _raw
        # Octets of mail data from which on that is so.
        self._spool_at = _NEVER if services.spool is None else services.spool.begins_at
        self._defects: list[str] = []  # of the message as a whole
        self._found: list[str] = []  # of the part at hand
        self._entity: Entity | None = None  # the part at hand
        self._sink: Sink | Body | None = None  # where its octets go
        self._bodies: list[Body] = []
        self._attachments: list[Attachment] = []
        self._failed = False  # it could not be stored: the rest is swallowed
        self._message: Entity | None = None  # of a mail that is complete, as is the next
        self._budget: Budget | None = None  # what of it may still be taken apart
        self._header_octets = 0

    @property
    def held(self) -> int:
        """Octets in memory, roughly: what counts against `max_inflight_bytes`."""
        held, sink, splitter = self._held, self._sink, self._splitter
        if sink is not None:
            held += sink.held
        if self._spool is not None:
            held += self._spool.held
        return held if splitter is None else held + splitter.held

    def feed(self, buf: bytearray, start: int, end: int) -> int:
        """The next octets of mail data, `buf[start:end]`; octets before `start` may be overwritten. Never raises.

        Returns where in `buf` to go on: `end`, or less where there is so much to do that others shall come first.
        """
        if self._failed:
            return end
        assert self._splitter is not None
        try:
            stop = self._splitter.feed(buf, start, end)
            self._size += stop - start
            if self._raw is not None:
                self._raw += buf[start:stop]
                self._held += stop - start
            if self._size >= self._spool_at:
                self._feed_spool(buf[start:stop])
        except OSError as error:
            self._fail(error)
            return end
        except Exception:
            self._fail_unexpectedly()
            return end
        return stop

    def _feed_spool(self, octets: bytearray) -> None:
        """The next octets of a large mail, which are in `_raw` where they are the first. Raises OSError."""
        spool, raw = self._spool, self._raw
        if spool is None:
            services = self._services.spool
            assert services is not None
            assert raw is not None
            spool = self._spool = services.open(self.uuid)
            octets, self._raw = raw, None
            self._held -= len(raw)
        spool.feed(octets)

    def close(self) -> Sequence[str]:
        """Mail data is complete. Returns the violations (`fastsmtp.smtp.violations`) that only the message shows."""
        splitter, self._splitter = self._splitter, None  # it refers to us: let both go without the cycle collector
        if self._failed:
            return ()
        assert splitter is not None
        try:
            splitter.close()
            self._attach_beside_roots()
            if self._spool is not None:
                self._spool.close()
            self._held += splitter.held
        except OSError as error:
            self._fail(error)
            return ()
        except Exception:
            self._fail_unexpectedly()
            return ()
        self._message = splitter.message
        self._budget = splitter.budget
        self._header_octets = splitter.header_octets
        assert self._message is not None
        self._defects = [*splitter.defects, *self._defects]
        if not self._message.has_fields:
            return (MESSAGE_WITHOUT_HEADER,)
        found = self._message.defects
        return (UNPARSABLE_MESSAGE,) if INVALID_HEADER_LINE in found or JUNK_BEFORE_HEADER in found else ()

    def _attach_beside_roots(self) -> None:
        """Make attachments of texts that turn out to be no root of their multipart/related. Raises OSError."""
        beside = [body for body in self._bodies if is_beside_root(body.entity)]
        if not beside:
            return
        self._bodies = [body for body in self._bodies if not is_beside_root(body.entity)]
        for attached, body in enumerate(beside):
            as_it_is = Entity(body.entity.number, [], body.entity.media_type)
            found: list[str] = []
            octets = body.take_octets()
            sink = self._services.storage.open(self.uuid, len(self._attachments) + 1, as_it_is, found, len(octets))
            self._sink = sink
            sink.feed(octets, 0, len(octets))
            stored = sink.close()
            self._sink = None
            attachment = Attachment(body.entity, stored.size, stored.content, stored.path, stored.sha256, found)
            self._attachments.insert(body.place + attached, attachment)

    def finish(
        self, violations: Sequence[tuple[str, str, int]], transcript: Sequence[tuple[int, str, str, str]] | None = None
    ) -> Email | None:
        """After `close`: return the email, and let go of it; None when the mail could not be stored. Never raises.

        `violations` are those of the session, `transcript` is what was said in it, as `Email` has them.
        """
        if self._failed:
            return None
        message = self._message
        assert message is not None
        texts = Texts(self._bodies, self._defects)
        return Email(
            self.uuid,
            self._origin,
            int(time()),
            self._envelope,
            violations,
            transcript,
            message,
            texts,
            self._size,
            self._raw,
            Attachments(self._attachments, self._services.storage, self._spool),
            self._weigh(message, texts),
            budget=self._budget,
            spool="" if self._spool is None else self._spool.name,
        )

    def _weigh(self, message: Entity, texts: Texts) -> int:
        """See `Email.weight`."""
        weight = texts.octets // 4 + self._header_octets + 256 * len(self._attachments)
        if self._raw is not None:
            weight += len(self._raw) // 8
        if self._header_octets > _LONG_HEADER:
            for name, value in message.fields:
                if "=?" in value or name.lower() in _ADDRESS_FIELDS:
                    weight += 16 * len(value)
        return weight

    def abort(self) -> None:
        """The mail was broken off, or is not wanted: forget it, delete its files."""
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
        Attachments(self._attachments, self._services.storage, self._spool).discard()
        self._attachments = []
        self._spool, self._spool_at = None, _NEVER
        self._bodies.clear()
        self._splitter = None
        self._raw = None
        self._held = 0

    # Called by the splitter

    def on_part_begin(self, entity: Entity) -> None:
        """See `PartHandler`. Raises OSError when a tempfile cannot be made."""
        self._entity = entity
        if entity.parent is not None:
            self._held += entity.octets  # the splitter counts the message itself
        if entity.role is Role.ATTACHMENT:
            self._found = []
            place = len(self._attachments) + 1
            self._sink = self._services.storage.open(self.uuid, place, entity, self._found, self._size_hint())
        else:
            self._sink = Body(entity, self._defects, len(self._attachments))

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
        self._sink = self._entity = None
        if isinstance(sink, Body):
            self._held += _BODY_OCTETS
            self._bodies.append(sink)
        elif stored is not None:
            self._held += _ATTACHMENT_OCTETS - ENTITY_OCTETS
            self._attachments.append(
                Attachment(entity, stored.size, stored.content, stored.path, stored.sha256, self._found)
            )

    def on_part_drop(self) -> None:
        """See `PartHandler`."""
        self._sink = self._entity = None  # a preamble is always text
