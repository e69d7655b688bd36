"""Mail data in chunks -> the message's entities: each part begins, gives its bytes, ends (RFC 2046 5.1).

The splitter holds back no more than a header or one line that may be a delimiter, so a part may be of any size. It
knows nothing of transfer encodings and never fails: damage becomes a defect and the octets go on to where they most
likely belong.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from fastsmtp._parse import find_delimiter, find_header_end
from fastsmtp.mime import defects
from fastsmtp.mime.budget import Budget
from fastsmtp.mime.entity import Entity, Role, read_entity
from fastsmtp.mime.parameters import MediaType
from fastsmtp.mime.transfer import is_uuencoded

MAX_HEADER_BYTES = 1024 * 1024  # of one entity; design limit, Postfix header_size_limit is 102400
MAX_DEPTH = 100  # nested multiparts; Exim and Dovecot stop at 100
MAX_PARTS = 10_000  # Dovecot stops at 10 000
MAX_WORK: Final = 8 * 1024  # of one call of `feed`, in octets of headers: some milliseconds
SLOW_OCTETS: Final = 32 * 1024  # of a body whose decoder is slow, in one call of `feed`: likewise
_ENTITY_WORK: Final = 64  # an entity takes as long as so many octets of its header
_NEXT_HEADER_OCTETS: Final = 2048  # that are added to a header at a time: what is behind its end was copied in vain
_CR: Final = 0x0D
_DASH: Final = 0x2D
_CONTENT_TYPE: Final = re.compile(rb"(?:\A|\n)content-type[ \t]*:", re.IGNORECASE)
_DELIMITER_OCTETS: Final = 256  # of memory for the delimiters of a multipart without their text
_OWN: Final = (-1, False)  # a delimiter of the multipart whose header is being read
_MAX_DASHES: Final = 16  # lines of a header that begin with "--" before its Content-Type; a further one ends it
_MAX_DELIMITER_PADDING: Final = 1000  # blanks behind a boundary: one line of RFC 5321 4.5.3.1.6

_PREAMBLE_TYPE: Final = MediaType("text/plain", {})


class PartHandler(Protocol):
    """Who takes the parts. The calls for one part stand together: begin, any number of bytes, end or drop."""

    def on_part_begin(self, entity: Entity) -> None:
        """A leaf part begins."""

    def on_part_bytes(self, buf: bytearray, start: int, end: int) -> None:
        """`buf[start:end]` belongs to the part, in its transfer encoding; valid only during the call."""

    def on_part_end(self) -> None:
        """The part is complete."""

    def on_part_drop(self) -> None:
        """The part turned out to be a preamble: forget it."""


class Splitter:
    """Feed it mail data, then `close()`.

    Afterwards `message` is the root entity, and `defects` lists the damage of all entities but the attachments.
    """

    __slots__ = (
        "_at_line_start",
        "_cr_is_doubled",
        "_dashes",
        "_delimiters",
        "_handler",
        "_header",
        "_header_search",
        "_held",
        "_hidden",
        "_in_part",
        "_in_preamble",
        "_is_closed",
        "_is_full",
        "_multiparts",
        "_own_delimiters",
        "_parts",
        "_reading_header",
        "_transfer_encoding",
        "_work",
        "budget",
        "defects",
        "header_octets",
        "kept",
        "message",
    )

    def __init__(self, handler: PartHandler) -> None:
        self._handler = handler
        self.message: Entity | None = None
        self.header_octets = 0  # of the message
        self.kept = 0  # octets of memory for the message and its multiparts, at most
        self.defects: list[str] = []
        self.budget = Budget()  # of the mail: what may still be taken apart
        self._reading_header = True  # of an entity; otherwise a body, a preamble or an epilogue
        self._multiparts: list[Entity] = []  # open multiparts, outermost first
        self._is_closed = False  # the innermost is in its epilogue, and may still go on
        self._delimiters: dict[bytes, tuple[int, bool]] = {}  # line without "--" -> index of multipart, closing?
        # For each open multipart its lines, and what stood there before.
        self._hidden: list[list[tuple[bytes, tuple[int, bool] | None]]] = []
        self._work = 0  # done in this call of `feed`, in octets of headers
        self._transfer_encoding = ""  # of the part at hand
        self._parts = 0  # parts begun in the whole message
        self._is_full = False  # the limit of parts is reached: there are no more delimiters
        self._header = bytearray()  # of the current entity, while it is incomplete
        self._header_search = 0  # offset in `_header` up to which there is no end of it
        self._dashes = 0  # lines of it that begin with "--" and seem to mean nothing
        # Those of `_delimiters` and the header's own; None until a line begins with "--" and the media type is known.
        self._own_delimiters: dict[bytes, tuple[int, bool]] | None = None
        self._held = b""  # octets that may belong to a delimiter line, to stand before the next chunk
        # QUIRK: pipes in text mode on Windows make CR CR LF of line ends, also of those before delimiters.
        self._cr_is_doubled = False
        self._at_line_start = False  # the next octet is the first of a body
        self._in_part = False  # bytes go to the handler, otherwise they are preamble or epilogue
        self._in_preamble = False  # the bytes of the part at hand will be dropped when a delimiter comes

    def feed(self, buf: bytearray, start: int, end: int) -> int:
        """Take the next chunk, `buf[start:end]`; octets before `start` may be overwritten.

        Returns where in `buf` to go on: `end`, or less where there is so much to do that others shall come first.
        """
        chunk_end = end
        self._work = 0
        while start < end:
            if self._held:
                buf, start, end = self._put_back(buf, start, end)
            start = self._step(buf, start, end)
            if self._work >= MAX_WORK:
                break
        return chunk_end - (end - start)

    def _step(self, buf: bytearray, start: int, end: int) -> int:
        return self._read_header(buf, start, end) if self._reading_header else self._read_body(buf, start, end)

    def _feed_again(self, octets: bytes) -> None:
        """Take octets that seemed to be of a header."""
        buf, start = bytearray(self._held), 0
        buf += octets
        self._held = b""
        while start < len(buf):
            start = self._step(buf, start, len(buf))

    @property
    def held(self) -> int:
        """Octets in memory: of the header that is being read, of what may be a delimiter, and what was kept."""
        return len(self._header) + len(self._held) + self.kept

    def close(self) -> None:
        """Mail data has ended: finish what is open."""
        self._forget_last_delimiter()
        self._finish_headers()
        held, self._held = self._held, b""
        if held:
            self._close_held(held)
        if self._in_part:
            self._end_part()
        if len(self._multiparts) > self._is_closed:
            defects.note(self.defects, defects.MISSING_CLOSING_DELIMITER)

    def _put_back(self, buf: bytearray, start: int, end: int) -> tuple[bytearray, int, int]:
        """Put the octets held back in front of the chunk: into the headroom if they fit there, else into a copy."""
        held, self._held = self._held, b""
        if len(held) <= start:
            buf[start - len(held) : start] = held
            return buf, start - len(held), end
        joined = bytearray(held)
        joined += buf[start:end]
        return joined, 0, len(joined)

    # Header of an entity

    def _read_header(self, buf: bytearray, start: int, end: int) -> int:
        """Look for the end of the header; returns where to go on in `buf`."""
        header = self._header
        stop = min(end, start + MAX_HEADER_BYTES - len(header))
        if not header:
            next_line = self._find_header_end(buf, start, stop)
            if next_line:
                return next_line
            header += buf[start:stop]
            self._header_search -= start
        else:
            stop = min(stop, start + _NEXT_HEADER_OCTETS)
            header += buf[start:stop]
            # A line that comes octet by octet is searched once, not over and over.
            if buf.find(b"\n", start, stop) >= 0:
                next_line = self._find_header_end(header, self._header_search, len(header))
                if next_line:
                    return stop - (len(header) - next_line)
        if len(header) >= MAX_HEADER_BYTES:
            self._cut_header()
        return stop

    def _find_header_end(self, block: bytearray, search: int, end: int) -> int:
        """Finish the header if it ends in `block`, which begins with it or is `_header`; 0 if it does not end yet."""
        start = 0 if block is self._header else search
        while True:
            watchful = self._own_delimiters is None
            delimiters = self._delimiters if self._own_delimiters is None else self._own_delimiters
            line, next_line, delimiter = find_header_end(block, search, end, delimiters, watchful)
            if line < 0:
                self._header_search = next_line
                return 0
            if delimiter is not None or block[line] != _DASH:
                break
            self._look_for_boundary(bytes(block[start:line]))
            if self._dashes == _MAX_DASHES:
                break
            search = next_line if self._own_delimiters is None else line
        if delimiter is None:  # an empty line
            self._finish_header(block, start, next_line)
            return next_line
        self._finish_header(block, start, line)
        self._finish_headers()
        if delimiter == _OWN:
            self._feed_again(bytes(block[line:next_line]))
        else:
            self._held = b""  # the line break of the last line of what turned out to be no header
            self._on_delimiter(*delimiter)
        return next_line

    def _look_for_boundary(self, header: bytes) -> None:
        """Does the header that is being read, as far as it goes, declare a boundary? Then its delimiters end it.

        QUIRK: scripts forget the empty line before the first part.
        """
        self._dashes += 1
        if _CONTENT_TYPE.search(header) is None:
            return
        entity = read_entity(header, "", None)[0]
        self._own_delimiters = self._delimiters
        if entity.boundary is not None:
            self._own_delimiters = self._delimiters | {line: _OWN for line, _ in self._lines_of(entity)}

    def _cut_header(self) -> None:
        """The header is too long. What follows is body: nothing is lost, and nothing grows."""
        defects.note(self.defects, defects.UNTERMINATED_HEADER)
        self._finish_header(self._header, 0, len(self._header))

    def _finish_headers(self) -> None:
        """The header that is being read ends here; so does the next, where the rest of it turns out to hold one."""
        while self._reading_header:
            self._finish_header(self._header, 0, len(self._header))

    def _finish_header(self, block: bytearray, start: int, end: int) -> None:
        """The header of the current entity is `block[start:end]`, its empty line included."""
        octets = bytes(block[start:end])
        self._cr_is_doubled = octets.endswith(b"\r\r\n")
        self._work += _ENTITY_WORK + len(octets)
        self._header = bytearray()
        self._header_search = 0
        self._dashes = 0
        self._own_delimiters = None
        parent = self._multiparts[-1] if self._multiparts else None
        if parent is None:
            number = ""
        else:
            number = f"{parent.number}.{parent.parts}" if parent.number else str(parent.parts)
        entity, body_start = read_entity(octets, number, parent, self.budget)
        if self.message is None:
            self.message = entity
            self.kept = entity.octets
            self.header_octets = len(octets)
        if entity is self.message or entity.role is not Role.ATTACHMENT:
            for defect in entity.defects:
                defects.note(self.defects, defect)
        if entity.role is Role.MULTIPART and self._is_full:
            entity.role = Role.ATTACHMENT  # its delimiters would begin parts again
        elif entity.role is Role.MULTIPART and len(self._multiparts) >= MAX_DEPTH:
            defects.note(self.defects, defects.DEPTH_LIMIT)
            entity.role = Role.ATTACHMENT
        if entity.role is Role.MULTIPART:
            self._open_multipart(entity)
        else:
            self._begin_part(entity)
        self._reading_header = False
        self._at_line_start = True
        if body_start < len(octets):
            self._feed_again(octets[body_start:])

    # Bodies

    def _begin_part(self, entity: Entity) -> None:
        self._in_part = True
        self._transfer_encoding = entity.transfer_encoding
        self._handler.on_part_begin(entity)

    def _end_part(self) -> None:
        self._in_part = False
        if self._in_preamble and self._multiparts and self._multiparts[-1].parts:
            self._handler.on_part_drop()
        else:
            self._handler.on_part_end()
        self._in_preamble = False

    def _give(self, buf: bytearray, start: int, end: int) -> None:
        """Body octets: to the part at hand, or to a preamble, which is kept in case no part ever comes."""
        if start == end:
            return
        self._at_line_start = False
        if not self._in_part:
            if not self._multiparts or self._multiparts[-1].parts or self._is_closed:
                return  # an epilogue
            self._in_preamble = True
            preamble = Entity(self._multiparts[-1].number, [], _PREAMBLE_TYPE)
            preamble.parent = self._multiparts[-1]
            self._begin_part(preamble)
        self._handler.on_part_bytes(buf, start, end)

    def _read_body(self, buf: bytearray, start: int, end: int) -> int:
        """Hand on body octets up to the next delimiter; returns where to go on in `buf`."""
        if end - start > SLOW_OCTETS and self._in_part and is_uuencoded(self._transfer_encoding):
            end = start + SLOW_OCTETS
            self._work = MAX_WORK
        if not self._delimiters:
            self._give(buf, start, end)
            return end
        body_end, line, delimiter = find_delimiter(buf, start, end, self._at_line_start, self._delimiters)
        if delimiter is None and line >= 0 and not self._may_become_delimiter(bytes(buf[line + 2 : end])):
            body_end = end - 1 if buf[end - 1] == _CR else end  # the CR may belong to a line break
        if self._cr_is_doubled and body_end > start and buf[body_end - 1] == _CR:
            body_end -= 1
        if delimiter is not None:
            self._give(buf, start, body_end)
            self._on_delimiter(*delimiter)
            return line
        self._give(buf, start, body_end)
        self._held = bytes(buf[body_end:end])
        return end

    def _may_become_delimiter(self, unfinished: bytes) -> bool:
        if any(delimiter.startswith(unfinished) for delimiter in self._delimiters):
            return True
        line = unfinished.rstrip(b" \t\r")
        return line in self._delimiters and len(unfinished) - len(line) < _MAX_DELIMITER_PADDING

    def _close_held(self, held: bytes) -> None:
        """Mail data ended within a line that may be a delimiter."""
        line = held.lstrip(b"\r\n")
        delimiter = self._delimiters.get(line[2:].rstrip(b" \t\r")) if line.startswith(b"--") else None
        if delimiter is None:
            self._give(bytearray(held), 0, len(held))
            return
        self._on_delimiter(*delimiter)
        self._forget_last_delimiter()
        if self._reading_header:
            self._finish_header(self._header, 0, 0)

    def _forget_last_delimiter(self) -> None:
        """QUIRK: scripts send a delimiter in place of the closing one. Where nothing follows, it begins no part."""
        if self._reading_header and not self._header and self._multiparts and self._multiparts[-1].parts > 1:
            self._reading_header = False

    # Multiparts

    def _open_multipart(self, entity: Entity) -> None:
        boundary = entity.boundary
        assert boundary is not None
        if boundary in self._delimiters:
            defects.note(self.defects, defects.DUPLICATE_BOUNDARY)
        index = len(self._multiparts)
        self._multiparts.append(entity)
        self.kept += entity.octets + _DELIMITER_OCTETS + 2 * len(boundary)
        # An inner multipart with the boundary of an outer one hides it: the innermost match counts.
        lines = self._lines_of(entity)
        self._hidden.append([(line, self._delimiters.get(line)) for line, _ in lines])
        for line, closing in lines:
            self._delimiters[line] = (index, closing)

    def _lines_of(self, multipart: Entity) -> list[tuple[bytes, bool]]:
        """The delimiters of a multipart, without "--", and which of them are closing ones.

        Those that it may have besides hide no others.
        """
        boundary = multipart.boundary
        assert boundary is not None
        lines = [(boundary, False), (boundary + b"--", True)]
        known = {line for line, _ in lines}
        for other in multipart.other_boundaries:
            if other not in self._delimiters and other + b"--" not in self._delimiters:
                # One may be another one and `--`: a line has one meaning, the first one.
                lines += [item for item in ((other, False), (other + b"--", True)) if item[0] not in known]
                known |= {other, other + b"--"}
        return lines

    def _hides(self, index: int) -> bool:
        """Whether a delimiter of one multipart would be that of another one around it."""
        return any(delimiter is not None for _, delimiter in self._hidden[index])

    def _close_multiparts(self, left: int) -> None:
        """All open multiparts but the `left` outermost have ended."""
        while len(self._multiparts) > left:
            self._multiparts.pop()
            for line, delimiter in reversed(self._hidden.pop()):
                if delimiter is None:
                    del self._delimiters[line]
                else:
                    self._delimiters[line] = delimiter

    def _on_delimiter(self, index: int, closing: bool) -> None:
        """A delimiter of the open multipart number `index` was read: it ends all that is open inside of it."""
        multipart = self._multiparts[index]
        inside = len(self._multiparts) - index - 1
        if inside > self._is_closed:
            defects.note(self.defects, defects.MISSING_CLOSING_DELIMITER)
        if not closing:
            multipart.parts += 1
            if self._is_closed and not inside:  # QUIRK: scripts close a multipart behind each of its parts
                defects.note(self.defects, defects.EARLY_CLOSING_DELIMITER)
        if self._in_part:
            self._end_part()
        self._is_closed = closing and not self._hides(index)
        self._close_multiparts(index + 1 if self._is_closed or not closing else index)
        if closing:
            self._reading_header = False
            self._at_line_start = True
            return
        self._parts += 1
        if self._parts >= MAX_PARTS:
            # The rest is one part that nothing ends: nothing is lost, and nothing grows.
            defects.note(self.defects, defects.PART_LIMIT)
            self._is_full = True
            self._delimiters = {}
        self._reading_header = True
