"""Messages to compare parsers with: put together from what mail is made of, or mutated from those of the corpus."""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

LONGEST = 6000  # octets of a message

# fmt: off
CHARSETS = [
    "utf-8", "iso-8859-1", "windows-1252", "iso-8859-15", "koi8-r", "windows-1251", "shift_jis", "iso-2022-jp",
]
CHARSETS += ["gb18030", "big5", "euc-kr", "us-ascii", "utf-16le", "x-unknown", "UTF8", '"utf-8"', "'utf-8'", ""]
TEXTS = [
    "plain text", "naïve café", "5 € each", "“quoted”", "Привет", "日本語", "한국어", "", "a\r\n\r\nb", "--b\r\nx",
    "\t \r\nend",
]
TEXTS += [
    "line =\r\nnext", "From here", ".dot", "x" * 90, "=20=", "a=3Db", "emoji 😀", "<p>über</p>",
    "begin 644 x\r\n#a\r\nend",
]
TYPES = [
    "text/plain", "text/html", "TEXT/Plain", "application/pdf", "image/png", "message/rfc822", "text/csv", "text",
    "",
]
TYPES += [
    "message/delivery-status", "application/octet-stream", "text/calendar", "text/plain/x", "multipart/mixed",
    "*/*",
]
MULTIPARTS = ["mixed", "alternative", "related", "digest", "report", "signed", "x-odd"]
ENCODINGS = [
    "7bit", "8bit", "base64", "quoted-printable", "BASE64", "quoted-printable ", "binary", "x-uuencode", "8-bit",
    "",
]
BOUNDARIES = ["b", "bb", "b-", "=_x", "a b", "a'b", "-", "--b", "b--", "0123456789" * 7, "a:b", "a/b?c", "b.c"]
NAMES = [
    "a.txt", "naïve.pdf", "日本.png", "a b.doc", 'q"q.txt', "back\\slash.txt", "x;y.txt", "a=b.txt", "", " ", ".",
    "très long " * 9,
]
WORDS = [
    "Hello", "World", "naïve", "日本語", "(note)", "a,b", "=?utf-8?q?=C3=A9?=", "=?utf-8?b?w6k=?=", "=?x?q?a?=", "=?",
]
WORDS += [
    '"quoted"', "=?iso-8859-1?Q?=E9_b?=", "=?utf-8?q?a b?=", "=?utf-8?b?w6?=", "=?UTF-8*en?Q?=C3=A9?=", "?=",
    "=?utf-8?q??=",
]
ADDRESSES = [
    "a@b.example", "Ann <a@b.example>", '"Doe, J." <j@d.example>', "=?utf-8?q?J=C3=B6rg?= <j@d.example>", "<>",
    "root",
]
ADDRESSES += [
    "a@b.example (Ann)", "friends: a@b, c@d;", "none:;", "Doe, Jane <j@d>", "<a@b>", "a b@c", '"a b"@c',
    "a@[192.0.2.1]",
]
ADDRESSES += [
    "<@x,@y:a@b>", "Jörg <j@d>", "a@b; c@d", "(x) a@b", "A. B. <a@b>", "a@b <c@d>", "<a@b", "a@b>", "@", ",",
    "<<a@b>>",
]
LINES = [
    b"", b"--b", b"--b--", b" folded", b"\ttab", b"no field", b"X: y", b": nothing", b"X y: z", b"From x@y Mon",
    b"\xe9: x",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"\xc3\xa9", b"--", b"=", b"?=", b"=?", b'"', b";", b"\\", b"(", b")",
    b"<", b">",
]
PIECES += [
    b",", b":", b"@", b" ", b"\t", b"*0*=", b"*=utf-8''%e9", b"=\r\n", b"\r\n\r\n", b"\r\n ", b"%", b"'", b"\x1b$B",
    b"+",
]

# fmt: on


class Maker:
    """Makes messages from a seed, some of them by mutation of others."""

    def __init__(self, seed: int, others: Sequence[bytes]) -> None:
        self._random = random.Random(seed)
        self._others = [octets for octets in others if len(octets) <= LONGEST]

    def make(self) -> bytes:
        """Return the next message, its lines ended by CRLF as a server gets them."""
        choice = self._random.random()
        octets = self._random.choice(self._others) if choice < 0.3 and self._others else self._message()
        if choice < 0.6:
            for _ in range(self._random.choice((1, 1, 2, 4))):
                octets = self._mutated(octets)
        return octets[:LONGEST]

    # By grammar

    def _message(self) -> bytes:
        header = ["MIME-Version: 1.0", f"Subject: {self._phrase()}"]
        header += [f"From: {self._addresses()}", f"To: {self._addresses()}"]
        self._random.shuffle(header)
        return self._entity([line.encode() for line in header], 0)

    def _entity(self, header: list[bytes], depth: int) -> bytes:
        if depth < 3 and self._random.random() < (0.6, 0.3, 0.15)[depth]:
            return self._multipart(header, depth)
        media_type, charset = self._pick(TYPES), self._pick(CHARSETS)
        encoding = self._pick(ENCODINGS)
        name = self._pick(NAMES) if self._random.random() < 0.3 else None
        content_type = media_type + (f"; charset={charset}" if self._random.random() < 0.7 else "")
        if name is not None and self._random.random() < 0.5:
            content_type += "; " + self._parameter("name", name)
        fields = [f"Content-Type: {content_type}".encode()] if media_type or self._random.random() < 0.5 else []
        if encoding:
            fields.append(f"Content-Transfer-Encoding: {encoding}".encode())
        if name is not None:
            kind = self._pick(["attachment", "inline", "ATTACHMENT", "x"])
            fields.append(f"Content-Disposition: {kind}; {self._parameter('filename', name)}".encode())
        self._random.shuffle(fields)
        return b"\r\n".join([*header, *fields, b"", self._encoded(encoding, self._octets(charset))])

    def _multipart(self, header: list[bytes], depth: int) -> bytes:
        boundary = self._pick(BOUNDARIES)
        quoted = f'"{boundary}"' if self._random.random() < 0.8 else boundary
        header = [*header, f"Content-Type: multipart/{self._pick(MULTIPARTS)}; boundary={quoted}".encode()]
        lines = [*header, b""]
        if self._random.random() < 0.3:
            lines.append(b"preamble")
        for _ in range(self._random.choice((0, 1, 2, 2, 3))):
            lines += [b"--" + boundary.encode() + self._pick([b"", b"", b"", b" ", b"\t"]), self._entity([], depth + 1)]
        if self._random.random() < 0.9:
            lines += [b"--" + boundary.encode() + b"--", self._pick([b"", b"epilogue", b""])]
        return b"\r\n".join(lines)

    def _parameter(self, name: str, text: str) -> str:
        forms: list[Callable[[], str]] = [
            lambda: f'{name}="' + text.replace("\\", "\\\\").replace('"', '\\"') + '"',
            lambda: f'{name}="{text}"',
            lambda: f"{name}={text}",
            lambda: f"{name}*=utf-8''" + "".join(f"%{octet:02X}" for octet in text.encode()),
            lambda: f'{name}="{self._word(text)}"',
            lambda: f"{name}={self._word(text)}",
            lambda: self._continued(name, text),
        ]
        return self._random.choice(forms)()

    def _continued(self, name: str, text: str) -> str:
        escaped = "".join(f"%{octet:02X}" for octet in text.encode())
        cut = len(escaped) // 6 * 3
        return f"{name}*0*=utf-8''{escaped[:cut]}; {name}*1*={escaped[cut:]}"

    def _word(self, text: str) -> str:
        if self._random.random() < 0.5:
            return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="
        return "=?utf-8?Q?" + "".join(f"={octet:02X}" for octet in text.encode()) + "?="

    def _phrase(self) -> str:
        words = [self._pick(WORDS) for _ in range(self._random.randint(0, 4))]
        return self._pick([" ", " ", " ", "\r\n ", "", "  "]).join(words)

    def _addresses(self) -> str:
        chosen = [self._pick(ADDRESSES) for _ in range(self._random.choice((1, 1, 1, 2, 3)))]
        return self._pick([", ", ", ", ",", ",\r\n ", "; "]).join(chosen)

    def _octets(self, charset: str) -> bytes:
        text = "\r\n".join(self._pick(TEXTS) for _ in range(self._random.randint(1, 3)))
        try:
            return text.encode(charset.strip("\"'") or "utf-8")
        except (LookupError, UnicodeEncodeError):
            return text.encode()

    def _encoded(self, encoding: str, octets: bytes) -> bytes:
        if encoding.lower().strip() == "base64":
            return base64.encodebytes(octets).replace(b"\n", b"\r\n").rstrip(b"\r\n")
        if encoding.lower().strip() == "quoted-printable":
            return quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        return octets

    # By mutation

    def _mutated(self, octets: bytes) -> bytes:
        lines = octets.split(b"\r\n")
        at = self._random.randrange(len(lines))
        match self._random.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[self._random.randrange(len(lines))])
            case 2:
                lines.insert(at, self._pick(LINES))
            case 3:
                other = self._random.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 4:
                lines[at] = lines[at][: self._random.randrange(len(lines[at]) + 1)]
            case 5:
                return octets[: self._random.randrange(len(octets) + 1)]
            case 6:
                cut = self._random.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:cut] + self._pick(PIECES) + lines[at][cut:]
            case _:
                start = self._random.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:start] + lines[at][start + self._random.choice((1, 1, 3)) :]
        return b"\r\n".join(lines)

    def _pick(self, items: Sequence[Item]) -> Item:
        return self._random.choice(items)
