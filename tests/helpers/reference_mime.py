"""A slow, plain oracle for `mime.splitter`: the whole message in memory, one line after the other."""

from __future__ import annotations

import re

from fastsmtp.mime.entity import Entity, Role, read_entity

Part = tuple[str, str, bytes]  # number, media type, body in its transfer encoding


class Reader:
    """Reads all of a message at once; the limits of the splitter are not in it."""

    def __init__(self, octets: bytes) -> None:
        self.parts: list[Part] = []
        self._multiparts: list[Entity] = []
        self._is_closed = False  # the last of them has been closed
        self._header: bytes | None = b""  # lines of the header that is being read
        self._part: tuple[str, str] | None = None  # number and type of the part that is being read
        self._body = b""  # of the part, or a preamble
        for line in re.findall(rb"[^\n]*\n|[^\n]+", octets):
            self._read(line)
        if self._header == b"" and self._multiparts and self._multiparts[-1].parts > 1:
            self._header = None  # the last line was a delimiter
        self._end_headers()
        self._end_body()

    def _read(self, line: bytes) -> None:
        delimiter = self._find_delimiter(line)
        if self._header is not None:
            if delimiter is not None and line.endswith(b"\n"):
                self._end_headers()
                self._end_line()
                self._on_delimiter(*delimiter)
            elif line.endswith(b"\n") and not line.strip(b"\r\n"):
                self._end_header(self._header + line)
            else:
                self._header += line
        elif delimiter is not None:
            self._end_line()
            self._on_delimiter(*delimiter)
        else:
            self._body += line

    def _find_delimiter(self, line: bytes) -> tuple[int, bool] | None:
        text = line.rstrip(b" \t\r\n")
        for index, multipart in reversed(list(enumerate(self._multiparts))):
            assert multipart.boundary is not None
            for boundary in (multipart.boundary, *multipart.other_boundaries):
                if text == b"--" + boundary + b"--":
                    return index, True
                if text == b"--" + boundary:
                    return index, False
        return None

    def _end_headers(self) -> None:
        while self._header is not None:  # what is behind a line that is not a field may be another header
            self._end_header(self._header)

    def _end_line(self) -> None:
        """The line break before a delimiter belongs to it."""
        if self._body.endswith(b"\n"):
            self._body = self._body[:-1].removesuffix(b"\r")

    def _end_header(self, header: bytes) -> None:
        self._header = None
        parent = self._multiparts[-1] if self._multiparts else None
        number = "" if parent is None else f"{parent.number}.{parent.parts}".lstrip(".")
        entity, body_start = read_entity(header, number, parent)
        if entity.role is Role.MULTIPART:
            self._multiparts.append(entity)
        else:
            self._part = (number, entity.media_type.value)
        for line in re.findall(rb"[^\n]*\n|[^\n]+", header[body_start:]):
            self._read(line)

    def _end_body(self) -> None:
        body, self._body = self._body, b""
        part, self._part = self._part, None
        if part is not None:
            self.parts.append((*part, body))
        elif body and self._multiparts and not self._multiparts[-1].parts and not self._is_closed:
            self.parts.append((self._multiparts[-1].number, "text/plain", body))  # a preamble without parts

    def _on_delimiter(self, index: int, closing: bool) -> None:
        multipart = self._multiparts[index]
        if not closing:
            multipart.parts += 1
        self._end_body()
        del self._multiparts[index + 1 :]
        self._is_closed = closing
        around = [boundary for outer in self._multiparts[:-1] for boundary in (outer.boundary, *outer.other_boundaries)]
        if closing and multipart.boundary in around:
            self._multiparts.pop()
            self._is_closed = False
        if not closing:
            self._header = b""
