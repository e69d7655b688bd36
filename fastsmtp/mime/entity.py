"""What the header of an entity says about its body (RFC 2045): type, encoding, name, and the part it plays."""

from __future__ import annotations

import enum
from typing import Final

from fastsmtp.mime import defects
from fastsmtp.mime.budget import MAX_IDENTIFIER_LENGTH, MAX_LENGTH, Budget
from fastsmtp.mime.compact import FIELD_OCTETS, Fields, PackedText, pack, pack_fields, size_of, unpack, unpack_fields
from fastsmtp.mime.extensions import extension_of
from fastsmtp.mime.header import parse_fields
from fastsmtp.mime.msgid import parse_message_id
from fastsmtp.mime.parameters import Disposition, MediaType, filename_of, parse_disposition, parse_media_type
from fastsmtp.mime.words import decode_words

_PLAIN: Final = MediaType("text/plain", {})
_MESSAGE: Final = MediaType("message/rfc822", {})
_RELATED: Final = "multipart/related"
_MAX_OTHERS: Final = 4  # Content-Types of one entity that are looked at besides the first
_MAX_BOUNDARY: Final = 998  # characters, a line of RFC 5322 2.1.1; RFC 2046 5.1.1 allows 70
ENTITY_OCTETS: Final = 384  # of memory for an entity without what its header says
_MAX_TRANSFER_ENCODING: Final = 100  # characters that are looked at
_USED_PARAMETERS: Final = ("charset", "start")  # of a media type, once the entity is read
_MAX_PARAMETER: Final = 1000  # characters of them
_MAX_SHARED: Final = 256  # characters of both fields in which no parameters take much memory
_MAX_PARAMETERS: Final = 8  # that are kept whether they are asked for or not
_PARAMETER_OCTETS: Final = 160  # of memory for one of them
_READ: Final = frozenset({"content-type", "content-disposition", "content-transfer-encoding", "content-id"})


class Role(enum.Enum):
    """What becomes of an entity's body."""

    MULTIPART = "multipart"
    TEXT = "text"
    HTML = "html"
    ATTACHMENT = "attachment"


class Entity:
    """An entity (RFC 2045 2.4): the message itself or one part of it.

    `number` counts as IMAP does ("" the message, "2.1" the first part of its second part). `fields` are all header
    fields of the message in order, unfolded and not decoded; those of parts are not kept. `parent` is the multipart
    that it is part number `place` of, None for the message. `boundary` is None for all but multiparts, whose delimiters
    may have `other_boundaries`, too; `defects` is what is wrong with this entity alone. `octets` is about how much
    memory it takes.
    """

    __slots__ = (
        "_content_id",
        "_fields",
        "_filename",
        "_packed_fields",
        "boundary",
        "defects",
        "disposition",
        "has_fields",
        "media_type",
        "number",
        "octets",
        "other_boundaries",
        "parent",
        "parts",
        "place",
        "role",
        "root",
        "start",
        "transfer_encoding",
    )

    def __init__(self, number: str, fields: Fields, media_type: MediaType) -> None:
        self.number = number
        self.has_fields = bool(fields)
        self._fields = fields
        self._packed_fields: bytes | None = None  # then `_fields` is empty
        self.media_type = media_type
        self.disposition: Disposition | None = None
        self.transfer_encoding = ""
        self._content_id: PackedText | None = None
        self._filename: PackedText | None = None
        self.boundary: bytes | None = None
        self.other_boundaries: list[bytes] = []
        self.role = Role.TEXT
        self.parent: Entity | None = None
        self.place = 0
        self.parts = 0  # how many parts of this multipart have begun
        self.start: str | None = None  # the identifier of that part of a multipart/related
        self.root = 0  # the part that a multipart/related names as its root; 0 if there is none so far
        self.defects: list[str] = []
        self.octets = ENTITY_OCTETS

    @property
    def fields(self) -> Fields:
        """All fields of the message, to look at; those of a large header are made each time they are asked for."""
        return self._fields if self._packed_fields is None else unpack_fields(self._packed_fields)

    @property
    def content_id(self) -> str | None:
        """The Content-ID without its brackets."""
        return None if self._content_id is None else unpack(self._content_id)

    @content_id.setter
    def content_id(self, content_id: str | None) -> None:
        self._content_id = None if content_id is None else pack(content_id)

    @property
    def filename(self) -> str | None:
        """The file name as sent, decoded."""
        return None if self._filename is None else unpack(self._filename)

    @filename.setter
    def filename(self, filename: str | None) -> None:
        self._filename = None if filename is None else pack(filename)

    def compact(self, block: bytes, described: int) -> None:
        """The header `block` was read: keep in little memory what is still asked for, and count it.

        `described` characters are Content-Type and Content-Disposition.
        """
        if self._fields:
            self._packed_fields = pack_fields(self._fields, block)
            if self._packed_fields is not None:
                self.octets += len(self._packed_fields)
                self._fields = []
            else:
                width = 1 if block.isascii() else 4
                self.octets += width * len(block) + FIELD_OCTETS * len(self._fields)
        if self._filename is not None or self._content_id is not None:
            self.octets += size_of(self._filename) + size_of(self._content_id)
        if self.other_boundaries:
            self.octets += sum(map(len, self.other_boundaries))
        parameters = len(self.media_type.parameters)
        if described > _MAX_SHARED or parameters > _MAX_PARAMETERS:
            self._forget_parameters()
        else:
            self.octets += _PARAMETER_OCTETS * parameters

    def _forget_parameters(self) -> None:
        """Of the parameters keep those that are still asked for."""
        parameters = self.media_type.parameters
        used = {name: parameters[name][:_MAX_PARAMETER] for name in _USED_PARAMETERS if name in parameters}
        self.media_type = MediaType(self.media_type.value, used)
        if self.disposition is not None:
            self.disposition = Disposition(self.disposition.value, {})
        self.octets += (
            len(self.media_type.value)
            + _PARAMETER_OCTETS * len(used)
            + sum([size_of(value) for value in used.values()])
        )

    def name_or_invented(self) -> str:
        """The file name, or one made from part number and type where the sender gave none. Never empty."""
        if self.filename:
            return self.filename
        return f"part-{self.number or '1'}{self.extension()}"

    def extension(self) -> str:
        """A file name extension, with its dot, that fits the media type; from a fixed table, never from the wire."""
        return extension_of(self.media_type.value)


def read_entity(block: bytes, number: str, parent: Entity | None, budget: Budget | None = None) -> tuple[Entity, int]:
    """Read the header `block` of an entity whose multipart is `parent` (None for the message itself).

    Returns the entity and the offset in `block` where its body begins: `len(block)`, or less where a line that
    cannot be a field ended the header early. Never raises: what is wrong is in `defects`. `budget` is that of the mail.
    """
    header = parse_fields(block)
    digest = parent is not None and parent.media_type.value == "multipart/digest"
    # Thousands of parts may have thousands of fields each.
    fields = header.fields if parent is None else []
    entity = Entity(number, fields, _MESSAGE if digest else _PLAIN)  # RFC 2045 5.2, RFC 2046 5.1.5
    found = entity.defects
    found.extend(header.defects)
    first: dict[str, str] = {}
    others: list[str] = []  # further Content-Types
    for name, value in header.fields:
        if not name.startswith(("C", "c")):  # most fields: without one in lower case
            continue
        key = name.lower()
        if key in _READ:
            if not first.get(key):  # QUIRK: scripts send a field of a template empty, and then theirs
                first[key] = value
            elif key == "content-type":
                others.append(value)
    if first:
        budget = budget or Budget()
        _read_content_fields(entity, first, budget)
        if others:
            _read_other_types(entity, others[:_MAX_OTHERS], budget)
    if parent is not None:
        entity.parent, entity.place = parent, parent.parts
        if parent.media_type.value == _RELATED and not parent.root:
            _look_for_root(parent, entity)
    entity.role = _role_of(entity, parent)
    described = len(first.get("content-type", "")) + len(first.get("content-disposition", "")) if first else 0
    entity.compact(block, described)
    return entity, header.body_start


def _look_for_root(related: Entity, part: Entity) -> None:
    """The root is the part whose Content-ID is the parameter `start` (RFC 2387 section 3.2)."""
    if part.content_id is not None and part.content_id == related.start:
        related.root = part.place


def _read_content_fields(entity: Entity, first: dict[str, str], budget: Budget) -> None:
    for key, sent in first.items():
        if sent.startswith("=?"):  # QUIRK: gateways encode whole fields: `Content-Disposition: =?utf-8?Q?inline?=`
            first[key] = decode_words(sent, entity.defects, budget)
            defects.note(entity.defects, defects.INVALID_ENCODED_WORD)
    value = first.get("content-type")
    if value is not None:
        entity.media_type = parse_media_type(value, entity.defects, budget)
        if entity.media_type.value == _RELATED:
            start = entity.media_type.parameters.get("start")
            entity.start = parse_message_id(start) if start else None
    value = first.get("content-disposition")
    if value is not None:
        entity.disposition = parse_disposition(value, entity.defects, budget)
    value = first.get("content-id")
    if value is not None:
        if len(value) <= MAX_IDENTIFIER_LENGTH:
            value = decode_words(value, entity.defects, budget)
        entity.content_id = parse_message_id(value[:MAX_LENGTH])
    entity.transfer_encoding = first.get("content-transfer-encoding", "")[:_MAX_TRANSFER_ENCODING]
    if entity.media_type.parameters or entity.disposition is not None:
        entity.filename = filename_of(entity.media_type, entity.disposition)


def _read_other_types(entity: Entity, values: list[str], budget: Budget) -> None:
    """QUIRK: mailers that set Content-Type twice end parts with the boundary of either one, if they have any.

    So the first one with a boundary counts, and the delimiters of the others, too.
    """
    defects.note(entity.defects, defects.DUPLICATE_CONTENT_TYPE)
    for value in values:
        media_type = parse_media_type(value, [], budget)
        boundary = _boundary_of(media_type)
        if boundary is None:
            continue
        if _boundary_of(entity.media_type) is None:
            entity.media_type = media_type
        else:
            entity.other_boundaries.append(boundary)


def _boundary_of(media_type: MediaType) -> bytes | None:
    """The boundary of a multipart, None where there is none, or one that no line can hold.

    RFC 2046 5.1.1: boundaries are ASCII and do not end in a blank; senders exist that break either rule.
    """
    boundary = media_type.parameters.get("boundary", "").rstrip()
    is_usable = media_type.value.startswith("multipart/") and 0 < len(boundary) <= _MAX_BOUNDARY
    return boundary.encode() if is_usable else None


def _role_of(entity: Entity, parent: Entity | None) -> Role:
    """Body or attachment, after RFC 8621 4.1.4; every media type but the two kinds of text is an attachment."""
    media_type = entity.media_type.value
    if media_type.startswith("multipart/"):
        boundary = _boundary_of(entity.media_type)
        if boundary is not None:
            entity.boundary = boundary
            if b" " in boundary or b"\t" in boundary:
                # QUIRK: mailers fold a field within the boundary, where no blank was, or with a tab for the blank.
                words = boundary.split()
                entity.other_boundaries += [b" ".join(words), b"".join(words)]
            return Role.MULTIPART
        defects.note(entity.defects, defects.MISSING_BOUNDARY)
        return Role.TEXT
    if media_type not in ("text/plain", "text/html"):
        return Role.ATTACHMENT
    if entity.disposition is not None and entity.disposition.value == "attachment":
        return Role.ATTACHMENT
    is_first = parent is None or entity.place == 1 or entity.place == parent.root
    if not is_first and (entity.filename or (parent is not None and parent.media_type.value == _RELATED)):
        return Role.ATTACHMENT
    return Role.HTML if media_type == "text/html" else Role.TEXT


def is_beside_root(entity: Entity) -> bool:
    """Whether a part, or a multipart around it, is in a multipart/related that names another part as its root.

    Which part that is, is known when the message is complete.
    """
    parent = entity.parent
    while parent is not None:
        if parent.root and parent.root != entity.place:
            return True
        entity, parent = parent, parent.parent
    return False
