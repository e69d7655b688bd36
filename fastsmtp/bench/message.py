"""The mails of a load: made before the clock starts, from a seed, and drawn by weight while it runs."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fastsmtp.client.mail import Content, prepared

MIN_OCTETS = 300  # of a whole mail: the fields it needs, and a line of text

_VARIANTS = 16  # of each size, so that no two mails in a row are the same
_VARIANTS_OCTETS = 4_000_000  # all variants of a size are at most so large, but for the first
_PLAIN_BELOW = 2_000  # a smaller mail is plain text, a larger one has HTML beside it
_ATTACHED_FROM = 20_000  # and from here on the most of it is an attachment
_BLOCK_OCTETS = 64 * 1024  # of prose, which a longer text repeats
_DRAWN = 1024  # draws at a time
_MIN_BODY = 20
_LINE = 76

_NAMES = ("Alice Archer", "Bob Brown", "Carol Clark", "Jürgen Groß", "Dan Diaz", "Eve Évrard", "王小明", "Frank Field")
_SUBJECTS = ("Invoice 2025-{}", "Re: minutes of meeting {}", "Your order no. {}", "Größe und Gewicht: {}", "Build {} ✓")
_WORDS = ("the", "server", "takes", "each", "mail", "apart", "while", "it", "arrives", "and", "hands", "it", "onwards")
_ENCODED_WORDS = (*_WORDS, "Gr=C3=BC=C3=9Fe", "na=C3=AFve", "=E2=82=AC", "caf=C3=A9", "1=3D1", "<b>now</b>", "<br>")
_FILES = (("pdf", "application/pdf"), ("png", "image/png"), ("docx", "application/msword"), ("zip", "application/zip"))


class Kind(NamedTuple):
    """A part of the mix: so much of it, in these variants, to which `head` adds the first two fields."""

    weight: float
    templates: list[Content]


class Style(NamedTuple):
    """What generated mails have in common; `attachments` is None where the size decides."""

    sender: str
    recipients: Sequence[str]
    attachments: int | None
    seed: int


def head(run: str, number: int) -> bytes:
    """The fields that make a mail unique: Message-ID, and X-Bench-ID with the ID of the ledger."""
    return b"Message-ID: <%08d.%s@bench.fastsmtp.invalid>\r\nX-Bench-ID: %s-%08d\r\n" % (
        number,
        run.encode(),
        run.encode(),
        number,
    )


HEAD_OCTETS = len(head("0" * 8, 0))  # the same for the first 10**8 mails


def parse_size(text: str, read_size: Callable[[str], int]) -> int:
    """`100KB` -> octets. Raises ValueError."""
    try:
        octets = read_size(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a size like 1000, 100KB or 10MiB') from None
    if octets < MIN_OCTETS:
        raise ValueError(f'"{text}": a mail has at least {MIN_OCTETS} bytes')
    return octets


def parse_mix(text: str, read_size: Callable[[str], int]) -> list[tuple[int, float]]:
    """`1KB:90,100KB:9,10MB:1` -> octets and weight of each part. Raises ValueError."""
    parts = []
    for item in text.split(","):
        name, colon, weight = item.strip().partition(":")
        try:
            parts.append((read_size(name), float(weight) if colon else 1.0))
        except ValueError:
            raise ValueError(f'"{item}" is not like 100KB:9, a size and its weight') from None
        if not 0 < parts[-1][1] < float("inf"):
            raise ValueError(f'the weight in "{item}" is not above 0')
        if parts[-1][0] < MIN_OCTETS:
            raise ValueError(f'"{item}": a mail has at least {MIN_OCTETS} bytes')
    return parts


def generated(octets: int, weight: float, style: Style) -> Kind:
    """Mails of exactly so many octets, `head` counted; the same at every call."""
    chooser = random.Random(f"{style.seed} {octets}")
    variants = max(1, min(_VARIANTS, _VARIANTS_OCTETS // octets))
    return Kind(weight, [prepared(compose(octets - HEAD_OCTETS, chooser, style)) for _ in range(variants)])


def drawn(kinds: Sequence[Kind], seed: int) -> Iterator[Content]:
    """Templates without end, each kind as often as its weight says, in the order of the seed."""
    chooser = random.Random(seed)
    if len(kinds) == 1:
        while True:
            yield from kinds[0].templates
    weights = [kind.weight for kind in kinds]
    while True:
        for kind in chooser.choices(kinds, weights, k=_DRAWN):
            yield chooser.choice(kind.templates)


def compose(octets: int, chooser: random.Random, style: Style) -> bytes:
    """A plausible mail of exactly so many octets: text, HTML, attachments, as the size allows."""
    wanted = style.attachments
    count = wanted if wanted is not None else int(octets + HEAD_OCTETS >= _ATTACHED_FROM)
    header = _header(chooser, style)
    if len(header) + 400 * (count + 1) > octets:  # not even the frame of all this would fit
        count = 0
        if len(header) + 100 > octets:
            header = b"Subject: small\r\n"
    if count:
        return _with_attachments(octets, chooser, header, count)
    if octets < _PLAIN_BELOW:
        return _filled(header + b"Content-Type: text/plain; charset=us-ascii\r\n\r\n", b"", octets, chooser, _WORDS)
    return _filled(*_alternative(chooser, header, octets // 3), octets, chooser, _ENCODED_WORDS)


def _header(chooser: random.Random, style: Style) -> bytes:
    subject = chooser.choice(_SUBJECTS).format(chooser.randrange(10_000))
    sender = f"{_encoded(chooser.choice(_NAMES))} <{style.sender}>" if style.sender else "mailer-daemon@example.com"
    day = f"{chooser.randrange(1, 29):02} {chooser.choice(('Jan', 'May', 'Nov'))} 2025 10:{chooser.randrange(60):02}:00"
    to = ",\r\n ".join(style.recipients)
    text = f"From: {sender}\r\nTo: {to}\r\nSubject: {_encoded(subject)}\r\nDate: {day} +0000\r\nMIME-Version: 1.0\r\n"
    return text.encode()


def _encoded(text: str) -> str:
    """As encoded word (RFC 2047) where it has to be one."""
    return text if text.isascii() else f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def _alternative(chooser: random.Random, above: bytes, octets: int) -> tuple[bytes, bytes]:
    """What stands before and after the HTML of a multipart/alternative whose text has so many octets."""
    mark = b"=_alternative_%08x" % chooser.getrandbits(32)
    before = (
        above + b'Content-Type: multipart/alternative; boundary="' + mark + b'"\r\n\r\n'
        b"--" + mark + b"\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _prose(octets, chooser, _ENCODED_WORDS[:-2]) + b"--"
    )
    before += (
        mark + b"\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return before + b'<p class=3D"mail">\r\n', b"</p>\r\n--" + mark + b"--\r\n"


def _with_attachments(octets: int, chooser: random.Random, header: bytes, count: int) -> bytes:
    mark = b"=_mixed_%08x" % chooser.getrandbits(32)
    above = header + b'Content-Type: multipart/mixed; boundary="' + mark + b'"\r\n\r\n--' + mark + b"\r\n"
    text = max(_MIN_BODY, min(2_000, octets // 20))
    before, after = _alternative(chooser, above, text // 2)
    left = octets - len(before) - len(after) - len(mark) - text - 8
    each = max(1, (left // count - 250 - len(mark)) // 78)  # lines
    attached = b"".join(_attachment(chooser, mark, number, each) for number in range(1, count + 1))
    return _filled(before, after + attached + b"--" + mark + b"--\r\n", octets, chooser, _ENCODED_WORDS)


def _attachment(chooser: random.Random, mark: bytes, number: int, lines: int) -> bytes:
    suffix, media_type = _FILES[(number - 1) % len(_FILES)]
    name = f"file-{number}-{chooser.randrange(10_000):04}.{suffix}"
    head = (
        f'Content-Type: {media_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    content = base64.encodebytes(chooser.randbytes(lines * 57)).replace(b"\n", b"\r\n")
    return b"--" + mark + b"\r\n" + head.encode() + content


def _filled(before: bytes, after: bytes, octets: int, chooser: random.Random, words: Sequence[str]) -> bytes:
    """With as much prose in between as is missing."""
    return before + _prose(octets - len(before) - len(after), chooser, words) + after


def _prose(octets: int, chooser: random.Random, words: Sequence[str]) -> bytes:
    """So many octets of lines."""
    if octets < 2:
        return b""
    lines, line, size = [], "", 0
    while size < min(octets, _BLOCK_OCTETS):
        word = chooser.choice(words)
        if len(line) + len(word) + 1 > _LINE:
            lines.append(line)
            size += len(line) + 2
            line = word
        else:
            line = f"{line} {word}" if line else word
    block = "\r\n".join([*lines, ""]).encode()
    text = (block * (octets // len(block) + 1))[: octets - 2]
    # A word that was cut may end in half a line end, or half an encoded octet.
    whole = max(text.rfind(b" "), text.rfind(b"\n")) + 1
    text = text[:whole] + b"x" * (len(text) - whole)
    return text + b"\r\n"
