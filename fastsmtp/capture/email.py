"""A captured mail: all that is known of it when its last octet has arrived.

An `Email` does not change: several destinations may look at one at the same time. What costs time is done when it is
first asked for, and once: texts are joined and their charsets undone then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from fastsmtp.capture.attachments import Storage
from fastsmtp.capture.handling import Handling
from fastsmtp.capture.spool import SpoolFile
from fastsmtp.capture.texts import Text, Texts
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.compact import pack, unpack
from fastsmtp.mime.entity import Entity
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.events import Verdict

Segment: TypeAlias = bytes | bytearray

LIGHT: Final = 64 * 1024  # the `weight` of an email up to which it is encoded at once, in some milliseconds at most


class Origin:
    """Where an email came from: the connection, the listener's name, and its place among the connection's emails."""

    __slots__ = ("connection_uuid", "remote_addr", "sequence", "server")

    def __init__(self, connection_uuid: str, remote_addr: str, server: str, sequence: int) -> None:
        self.connection_uuid: Final = connection_uuid
        self.remote_addr: Final = remote_addr
        self.server: Final = server
        self.sequence: Final = sequence


class Attachment:
    """One attachment: what its entity says of it, and where it is.

    `size` counts decoded octets. Either `content` is a JSON string, quotes included, of its base64 text, or `path`
    names its file. `sha256` is None where no checksum was asked for. `defects` are those of the entity too.
    """

    __slots__ = (
        "_content_id",
        "_filename",
        "content",
        "content_type",
        "defects",
        "disposition",
        "path",
        "sha256",
        "size",
    )

    def __init__(
        self,
        entity: Entity,
        size: int,
        content: Segment | None,
        path: str | None,
        sha256: str | None,
        defects: Sequence[str],
    ) -> None:
        """`defects` are those of its transfer encoding."""
        self.size: Final = size
        self.content: Final = content
        self.path: Final = path
        self.sha256: Final = sha256
        # The entity itself is not kept: a mail may have ten thousand.
        content_id, disposition = entity.content_id, entity.disposition
        self._filename: Final = pack(entity.name_or_invented())
        self._content_id: Final = None if content_id is None else pack(content_id)
        self.content_type: Final = entity.media_type.value
        # RFC 2183 2: without the field a receiver decides; what is referred to by Content-ID is meant to be shown.
        self.disposition: Final = disposition.value if disposition else "inline" if content_id else "attachment"
        found = entity.defects
        self.defects: Final[Sequence[str]] = tuple(dict.fromkeys((*found, *defects))) if found or defects else ()

    @property
    def filename(self) -> str:
        """The file name as sent, or one that was made up."""
        return unpack(self._filename)

    @property
    def content_id(self) -> str | None:
        """The Content-ID without its brackets."""
        return None if self._content_id is None else unpack(self._content_id)


class Attachments:
    """The attachments of one email, in order, and the owner of all its files: these are released or discarded once."""

    __slots__ = ("_items", "_owned", "_spool", "_storage")

    def __init__(self, items: list[Attachment], storage: Storage, spool: SpoolFile | None = None) -> None:
        """`spool` has the octets of the email."""
        self._items = items
        self._storage = storage
        self._spool = spool
        self._owned = True

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Attachment]:
        return iter(self._items)

    def release(self) -> None:
        """The email was accepted: its files are left to the worker that has it, and to `cleanup_after`."""
        for path in self._disown():
            self._storage.hand_over(path)

    def discard(self) -> None:
        """The email was not accepted: delete its files."""
        for path in self._disown():
            self._storage.delete(path)

    def _disown(self) -> list[str]:
        """The paths of the files, the first time; none later."""
        owned, self._owned = self._owned, False
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.delete()  # the inbox has the file, if it has the email
        return [item.path for item in self._items if item.path is not None] if owned else []


class Email:
    """One email, as destinations get it.

    `received_at` is a Unix time in seconds. `violations` are triples of code, detail and count. `transcript` has
    milliseconds, speaker, line and fault of everything said, None where it is not asked for. `size` counts the octets
    of mail data, dots unstuffed; `raw` are these octets, None where nothing asks for them, and where they are in the
    file of the name `spool`, "" = there is none (`spool.py`). `verdict` is what the first
    of several destinations has decided, None until then. `budget` is what of the mail may still be taken apart; a
    destination takes from a copy of it. `weight` says how much there is to do for it: see `LIGHT`. `faults` are pairs
    of the rule of a fault plan and what it did to the email; `copies` is how often a plan wants it stored. `handling`
    is what a worker did that had it first, None where none had it.
    """

    __slots__ = (
        "attachments",
        "budget",
        "copies",
        "envelope",
        "faults",
        "handling",
        "message",
        "origin",
        "raw",
        "received_at",
        "size",
        "spool",
        "texts",
        "transcript",
        "uuid",
        "verdict",
        "violations",
        "weight",
    )

    def __init__(
        self,
        uuid: str,
        origin: Origin,
        received_at: int,
        envelope: Envelope,
        violations: Sequence[tuple[str, str, int]],
        transcript: Sequence[tuple[int, str, str, str]] | None,
        message: Entity,
        texts: Texts,
        size: int,
        raw: Segment | None,
        attachments: Attachments,
        weight: int = 0,
        verdict: Verdict | None = None,
        budget: Budget | None = None,
        faults: Sequence[tuple[str, str]] = (),
        copies: int = 1,
        handling: Handling | None = None,
        spool: str = "",
    ) -> None:
        self.uuid: Final = uuid
        self.origin: Final = origin
        self.received_at: Final = received_at
        self.envelope: Final = envelope
        self.violations: Final = violations
        self.transcript: Final = transcript
        self.message: Final = message
        self.size: Final = size
        self.raw: Final = raw
        self.attachments: Final = attachments
        self.verdict: Final = verdict
        self.budget: Final = budget or Budget()
        self.texts: Final = texts
        self.weight: Final = weight
        self.faults: Final = faults
        self.copies: Final = copies
        self.handling: Final = handling
        self.spool: Final = spool

    @property
    def text(self) -> Text | None:
        """All plain text bodies in order, each on lines of its own; None without any."""
        return self.texts.text

    @property
    def html(self) -> Text | None:
        """All that those see who want HTML, in order, each on lines of its own; None where nothing is HTML."""
        return self.texts.html

    @property
    def body(self) -> Text | None:
        """The text, or the HTML where there is no text but a footer of it."""
        return self.texts.body

    @property
    def defects(self) -> list[str]:
        """What was wrong with the message and with its texts, in the order it was found; codes may recur."""
        self.texts.join()
        return self.texts.defects

    def decided(self, verdict: Verdict, handling: Handling | None = None) -> Email:
        """Return this email with the verdict of the first destination, and what its worker did."""
        return self._like(self.uuid, verdict, self.faults, self.copies, handling)

    def copy(self, uuid: str) -> Email:
        """Return this email as one that has a uuid of its own."""
        return self._like(uuid, self.verdict, self.faults, 1, self.handling)

    def faulted(self, faults: Sequence[tuple[str, str]], copies: int) -> Email:
        """Return this email with what a plan did to it."""
        return self._like(self.uuid, self.verdict, faults, copies, self.handling)

    def _like(
        self,
        uuid: str,
        verdict: Verdict | None,
        faults: Sequence[tuple[str, str]],
        copies: int,
        handling: Handling | None,
    ) -> Email:
        return Email(
            uuid,
            self.origin,
            self.received_at,
            self.envelope,
            self.violations,
            self.transcript,
            self.message,
            self.texts,
            self.size,
            self.raw,
            self.attachments,
            self.weight,
            verdict,
            self.budget,
            faults,
            copies,
            handling,
            self.spool,
        )
