"""Messages as no client should send them, small enough to be sent by the thousand."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

FATES = (
    "crash", "crash-recorded", "crash-after", "twice", "garbage", "half", "bad-crc", "bad-option", "closes", "slow",
    "error", "stderr", "close", "restart", "hang",
)  # fmt: skip
_CLOSING = "close"  # the one after which the server closes

_FIELDS = (
    b"Content-Type: multipart/mixed; boundary=a",
    b'Content-Type: multipart/alternative; boundary="b"',
    b"Content-Type: message/rfc822",
    b"Content-Type: text/html; charset=utf-7",
    b"Content-Type: text/plain; charset=iso-2022-jp",
    b'Content-Type: text/plain; charset="utf-16\x9b',
    b"Content-Type: a/b; name*0*=utf-8''%ff%9b; name*1=x; name=y; name*9=z",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-Transfer-Encoding: x-uuencode",
    b"Content-Transfer-Encoding: base64, 8bit",
    b'Content-Disposition: attachment; filename="../../../etc/passwd\x00\x9b"',
    b"Subject: =?utf-8?B?wps=?= =?x?q?=1B[2J?= \xe2\x80\xae",
    b"To: =?utf-8?q?=C3=A4?= <a@b>, (c) d@e, g: h;, <" + b"<" * 50,
    b"From: " + b"(" * 200,
    b"Message-ID: <" + b"x" * 500,
    b": no name",
    b"no colon at all",
    b" folded into the one before",
    b"\x00\xff: \x85\xc2\x9b",
)
_ATOMS = (
    b"\r\n", b"\n", b"\r", b".", b"..", b"\r\n.", b"\r\n..\r\n", b"--a", b"--a--", b"--b", b"--b--", b"=", b"=3D",
    b"\x00", b"\xff", b"a", b" ", b"begin 644 x\r\n", b"\x1b$B", b"+/v8-", b"end\r\n", b"\xe2\x80\xae", b"\xc2\x85",
)  # fmt: skip


def message(chooser: random.Random, ident: str, fate: str) -> bytes:
    """Mail data before dot-stuffing: a header with `ident` and `fate`, anything behind it, and CRLF at its end."""
    head = b"X-ID: %s\r\n" % ident.encode() + (b"X-Fate: %s\r\n" % fate.encode() if fate else b"") + b"X-End: 1\r\n"
    octets = head + _header(chooser) + b"\r\n" + chooser.choices(_BODIES, _WEIGHTS)[0](chooser)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def closes(fate: str) -> bool:
    """Whether the server closes the connection behind a mail of this fate."""
    return fate == _CLOSING


def stuffed(octets: bytes) -> bytes:
    """Mail data as it goes over the wire, with its end (RFC 5321 section 4.5.2)."""
    return (b"." if octets.startswith(b".") else b"") + octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def noise(chooser: random.Random, most: int) -> bytes:
    """Random octets."""
    return chooser.randbytes(chooser.randrange(most))


def mutated(chooser: random.Random, octets: bytes) -> bytes:
    """The same with a few octets lost, doubled, exchanged or put in."""
    buffer = bytearray(octets)
    for _ in range(chooser.randrange(1, 6)):
        at = chooser.randrange(len(buffer) + 1)
        end = min(len(buffer), at + chooser.choice((1, 1, 2, 5, 40)))
        how = chooser.randrange(5)
        if how == 0:
            del buffer[at:end]
        elif how == 1:
            buffer[at:at] = buffer[at:end]
        elif how == 2:
            buffer[at:at] = chooser.choice(_ATOMS)
        elif how == 3:
            buffer[at:end] = noise(chooser, end - at + 1)
        else:
            source = chooser.randrange(len(buffer) + 1)
            buffer[at:at] = buffer[source : source + 60]
    return bytes(buffer)


def _header(chooser: random.Random) -> bytes:
    ends = (b"\r\n", b"\r\n", b"\r\n", b"\n")
    return b"".join(chooser.choice(_FIELDS) + chooser.choice(ends) for _ in range(chooser.randrange(7)))


def _line(chooser: random.Random) -> bytes:
    return b"x" * chooser.randrange(3000)


def _octets(chooser: random.Random) -> bytes:
    return noise(chooser, 4000)


def _atoms(chooser: random.Random) -> bytes:
    return b"".join(chooser.choices(_ATOMS, k=chooser.randrange(1000)))


def _base64(chooser: random.Random) -> bytes:
    return base64.encodebytes(noise(chooser, 30_000)).replace(b"\n", b"\r\n")


def _parts(chooser: random.Random) -> bytes:
    bodies = (b"t", b"QQ==", b"=\r\n", noise(chooser, 60), b"begin 644 \x9b\r\n#0V%T\r\n`\r\nend\r\n")
    delimiters = (b"--a\r\n", b"--b\r\n", b"--a--\r\n", b"--b--\r\n")
    return b"".join(
        chooser.choice(delimiters) + _header(chooser) + b"\r\n" + chooser.choice(bodies) + b"\r\n"
        for _ in range(chooser.randrange(15))
    )


def _nested(chooser: random.Random) -> bytes:
    depth = chooser.randrange(1, 130)
    opened = b"".join(
        b"--a\r\nContent-Type: multipart/mixed; boundary=a%s\r\n\r\n" % (b"a" * level) for level in range(depth)
    )
    return opened + b"--a\r\n" * chooser.randrange(200)


def _lists(chooser: random.Random) -> bytes:
    """A header again, and long: it follows the blank line, unless that is lost."""
    return b"To: " + chooser.choice((b"a,", b"a@b,", b"(", b"<<<", b"=?utf-8?q?x?= ")) * chooser.randrange(9000)


def _large(chooser: random.Random) -> bytes:
    return b"y" * chooser.randrange(700_000)


_BODIES: tuple[Callable[[random.Random], bytes], ...] = (
    _line, _octets, _atoms, _base64, _parts, _nested, _lists, _large,
)  # fmt: skip
_WEIGHTS = (25, 12, 18, 10, 22, 6, 5, 2)
