"""Octets and a charset label -> text, whatever both are.

What a label says is tried first, then what else the octets may be; `labels` knows the labels, `reading` how to read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator, Iterator
from typing import Final

from fastsmtp.mime._unicode import weigh_utf8
from fastsmtp.mime.defects import MISSING_CHARSET, UNDECODABLE_CHARSET, UNKNOWN_CHARSET, WRONG_CHARSET, note
from fastsmtp.mime.htmlcharset import declared_charset
from fastsmtp.mime.labels import CODECS, codec_of
from fastsmtp.mime.reading import (
    CESU_8,
    EXTENDED,
    JIS,
    LATIN_1,
    PIECE_OCTETS,
    WITHOUT_CODEC,
    Octets,
    Reading,
    extended,
    read,
    read_pieces,
)

_UTF_8_BOM: Final = codecs.BOM_UTF8
_UTF_16_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNICODE_BOMS: Final = (*_UTF_16_BOMS, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_STRICT: Final = {name: Reading(name) for name in CODECS}
# Charsets whose first reading is a codec of Python's.
_DIRECT: Final = {name: name for name in CODECS if not name.startswith("utf-")}
for _name in (*WITHOUT_CODEC, "iso-2022-jp"):
    del _DIRECT[_name]
_DIRECT["utf-8"] = "utf-8"
_DIRECT["iso-8859-1"] = "cp1252"
_BOM: Final = "\ufeff"
_ESCAPE: Final = b"\x1b"
_SHIFT_OUT: Final = b"\x0e"
_SHIFT_IN: Final = b"\x0f"
_JIS_SHIFT: Final = b"\x1b$"
_UNKNOWN_ESCAPE: Final = re.compile(rb"\x1b(?!\$[@AB]|\$\([@BCDOPQ]|\([BHIJ]|&@|\.[AF]|N)")
_SHIFTS: Final = {"hz": b"~{", "iso2022_kr": _SHIFT_OUT}
_EIGHT_BIT: Final = bytes(range(0x80, 0x100))
# What is UTF-8 as far as one can see, not UTF-16: that has NULs where it is Latin, and other octets where it is not.
_UNWIDE: Final = bytes({*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0xF5)})
_UNWIDE_IN_SHORT: Final = bytes({octet for octet in range(0x80) if chr(octet).isalnum()} | {0x20})
_WINDOWS_1252: Final = bytes(set(range(256)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D})  # octets that it has a meaning for

# Charsets whose octets change meaning by what precedes them in the text: pieces may not be joined before decoding.
_STATEFUL: Final = frozenset({"hz", "iso-2022-jp", "iso2022_kr", "utf-16", "utf-32", "utf-7"})

# How many octets without a meaning in UTF-8 one character of it outweighs. Where the label says UTF-8, the characters
# confirm it: then it is rather damaged than another charset, in which some octets look like characters by chance.
_WEIGHT: Final = 1
_WEIGHT_OF_LABEL: Final = 8

_PIECE_OCTETS: Final = 256 * 1024  # that are looked at at a time: about a millisecond


def decode_charset(octets: Octets, label: str | None, defects: list[str], *, is_html: bool = False) -> str:
    """The text of `octets` in the charset `label` (None or "": not told); a leading byte order mark is taken off.

    HTML may declare its charset itself, where the label does not. Never raises and never returns a surrogate; what had
    to be guessed or given up is noted in `defects`.
    """
    codec = codec_of(label) if label else None
    if codec in _DIRECT:  # the first of `readings`, as in nearly all mail, for less
        try:
            text = octets.decode(_DIRECT[codec])
            return text.removeprefix(_BOM) if codec == "utf-8" else text
        except UnicodeDecodeError:
            pass
    for reading in readings(octets, label, is_html=is_html):
        if reading is None:
            continue
        try:
            text = read(octets, reading)
        except UnicodeDecodeError:
            continue
        for defect in reading.defects:
            note(defects, defect)
        return text
    raise AssertionError("the last reading takes any octets")


def decode_unencoded(octets: Octets, label: str | None) -> str:
    """The text of a header field that was not encoded and is not UTF-8; `label` is the charset of the body.

    That is taken unless the octets are rather UTF-8 with some damage. Never raises and never returns a surrogate.
    """
    codec = codec_of(label) if label else None
    if codec is not None and b"Az".decode(codec if codec in _DIRECT else "utf-16", "replace") == "Az":
        characters, lost = weigh_utf8(octets)
        if characters < lost:
            return decode_charset(octets, label, [])
    return decode_charset(octets, "utf-8", [])


def readings(octets: Octets, label: str | None, *, is_html: bool = False) -> Iterator[Reading | None]:
    """The ways to read `octets` in the charset `label`, best first: the first one without an error counts.

    The last one has none, whatever the octets are. None stands between them, where others may be served: to find the
    next one takes a look at all octets.
    """
    if not label:
        yield from _unlabelled(octets, is_html)
        return
    codec = codec_of(label)
    if codec is None:
        # `unknown-8bit` (RFC 1428) and `x-user-defined` come here too: they say that the sender did not know.
        yield _STRICT["ascii"]
        yield Reading("utf-8", False, (UNKNOWN_CHARSET,))
        yield from _guesses(octets, UNKNOWN_CHARSET, is_html)
    elif codec == "ascii":
        yield _STRICT["ascii"]
        yield Reading("utf-8", False, (WRONG_CHARSET,))
        yield from _guesses(octets, WRONG_CHARSET, is_html)
    else:
        yield from _labelled(octets, codec, is_html)


def _labelled(octets: Octets, codec: str, is_html: bool) -> Iterator[Reading | None]:
    """The ways to read octets in a charset that says more than ASCII."""
    if codec == "utf-8":
        yield _STRICT["utf-8"]
        yield from _guesses(octets, WRONG_CHARSET, is_html, _WEIGHT_OF_LABEL)
    elif codec == "iso-8859-1":
        # QUIRK: Outlook labels windows-1252 as ISO-8859-1; its C1 controls are never meant (WHATWG Encoding 4.2).
        yield _STRICT["cp1252"]
        yield Reading(LATIN_1)
    elif codec in WITHOUT_CODEC:
        yield Reading(codec)
    elif codec.startswith("utf-"):
        yield from _unicode(octets, codec)
    elif codec == "iso-2022-jp":
        yield from _iso_2022_jp(octets, is_html)
    elif codec in _SHIFTS:
        yield _STRICT[codec]
        if not (yield from _outweighs(octets, codec, _SHIFTS[codec])):
            yield Reading("utf-8", False, (WRONG_CHARSET,))
        yield Reading(codec, True, (UNDECODABLE_CHARSET,))
    else:
        yield _STRICT[codec]
        # QUIRK: PHP scripts keep the label of a template and fill it with UTF-8.
        yield Reading("utf-8", False, (WRONG_CHARSET,))
        if codec in EXTENDED:
            codec = extended(codec)
            yield Reading(codec)
        yield Reading(codec, True, (UNDECODABLE_CHARSET,))


def is_utf8(octets: Octets, label: str | None, *, is_html: bool = False) -> bool:
    """Whether `decode_charset` would do no more than `octets.decode()`, if that works."""
    if octets and octets[0] == _UTF_8_BOM[0] and octets.startswith(_UTF_8_BOM):
        return False
    if not label:
        return not (is_html and _ESCAPE in octets)
    codec = codec_of(label)
    return codec == "utf-8" or (codec == "ascii" and octets.isascii())


def is_joinable(label: str) -> bool:
    """Whether octets in this charset may be joined with others before they are decoded."""
    return codec_of(label) not in _STATEFUL


def join_shifted(pieces: list[bytes], label: str) -> list[bytes]:
    """Neighbours among texts in a charset that is not joinable, joined where one cannot stand alone.

    It ends within what a shift or an escape sequence began, and the next one goes on from there. They are joined only
    if that gives a meaning to all octets, or if one of the next ones ends the shift: then some octets are damaged.
    """
    codec = codec_of(label)
    runs: list[list[bytes]] = []
    is_open = False
    for piece in pieces:
        if is_open and _goes_on(codec, piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
            is_open = False
        is_open = _is_open(codec, piece, is_open)
    joined: list[bytes] = []
    for run in runs:
        octets = b"".join(run)
        noted: list[str] = []
        if len(run) > 1 and not any(_ends_shift(codec, piece) for piece in run[1:]):
            decode_charset(octets, label, noted)
        joined += run if noted else [octets]
    return joined


_HZ_SIGN: Final = re.compile(rb"~[{}]")
_OPEN_UTF7: Final = re.compile(rb"\+[A-Za-z0-9+/]*\Z")
_IN_UTF7: Final = re.compile(rb"[A-Za-z0-9/-]")
_WHOLLY_IN_UTF7: Final = re.compile(rb"[A-Za-z0-9+/]+\Z")
_TO_ASCII: Final = (b"\x1b(B", b"\x1b(J", b"\x1b(H")


def _is_open(codec: str | None, octets: bytes, was_open: bool) -> bool:
    """Whether something that began in the text, or before it, is not closed at its end."""
    if codec == "iso-2022-jp":
        escape = octets.rfind(_ESCAPE)
        return was_open if escape == -1 else octets[escape : escape + 3] not in _TO_ASCII
    if codec == "utf-7":
        return _OPEN_UTF7.search(octets) is not None or (was_open and _WHOLLY_IN_UTF7.match(octets) is not None)
    if codec == "hz":
        if len(octets) - len(octets.rstrip(b"~")) & 1:  # `~~` is a tilde
            return True  # within a sign
        signs = _HZ_SIGN.findall(octets)
        return signs[-1] == b"~{" if signs else was_open
    return True  # UTF-16, UTF-32 and ISO-2022-KR: what the text begins with holds to its end


def _ends_shift(codec: str | None, octets: bytes) -> bool:
    """Whether a shift ends in the text that did not begin in it."""
    if codec == "iso-2022-jp":
        escape = octets.find(_ESCAPE)
        return escape != -1 and octets[escape : escape + 3] in _TO_ASCII
    if codec == "hz":
        sign = _HZ_SIGN.search(octets)
        return sign is not None and sign[0] == b"~}"
    # What ISO-2022-KR shifts to is told once, in the first text.
    return codec == "iso2022_kr" and (_SHIFT_IN in octets or _SHIFT_OUT in octets)


def _goes_on(codec: str | None, octets: bytes) -> bool:
    """Whether the text may go on from what is open before it."""
    if codec == "utf-7":
        return _IN_UTF7.match(octets) is not None
    if codec == "iso2022_kr":
        return _ESCAPE not in octets
    return not octets.startswith(_UNICODE_BOMS)


def _unlabelled(octets: Octets, is_html: bool) -> Iterator[Reading | None]:
    if octets.startswith(_UTF_16_BOMS):
        yield from _with(MISSING_CHARSET, _unicode(octets, "utf-16"))
        return
    if is_html and _ESCAPE in octets and octets.isascii() and _declared(octets) == "iso-2022-jp":
        yield from _with(MISSING_CHARSET, _iso_2022_jp(octets, False))
        return
    yield _STRICT["utf-8"]
    yield from _guesses(octets, MISSING_CHARSET, is_html)


def _declared(octets: Octets) -> str | None:
    """The codec that an HTML document declares itself."""
    label = declared_charset(octets)
    return None if label is None else codec_of(label)


def _with(defect: str, readings: Iterator[Reading | None]) -> Iterator[Reading | None]:
    for reading in readings:
        yield None if reading is None else reading._replace(defects=(defect, *reading.defects))


def _guesses(octets: Octets, defect: str, is_html: bool, weight: int = _WEIGHT) -> Iterator[Reading | None]:
    """What octets may be that are not UTF-8 throughout.

    An HTML document may tell. Text that was cut in the middle of a character, or has some stray octets, is UTF-8 all
    the same, and its characters stay. Everything else is windows-1252.
    """
    declared = _declared(octets) if is_html else None
    is_other = declared is not None and declared not in ("utf-8", "ascii")
    if declared == "utf-8":
        weight = _WEIGHT_OF_LABEL
    characters, lost = yield from _weigh(octets)
    if characters and characters * weight >= lost and not (is_other and weight == _WEIGHT):
        yield Reading(CESU_8, False, (defect,))
        yield Reading(CESU_8, True, (defect, UNDECODABLE_CHARSET))
    elif declared is not None and is_other:
        yield from _with(defect, _labelled(octets, declared, False))
    elif octets.translate(None, _WINDOWS_1252):
        yield Reading("cp1252", True, (defect, UNDECODABLE_CHARSET))
    else:
        yield Reading("cp1252", True, (defect,))


def _weigh(octets: Octets) -> Generator[None, None, tuple[int, int]]:
    """What `weigh_utf8` says of the octets, which are looked at in pieces."""
    characters = lost = start = 0
    while start < len(octets):
        end = min(start + _PIECE_OCTETS, len(octets))
        for _ in range(3):  # a character has up to three octets behind its first
            if end < len(octets) and octets[end] & 0xC0 == 0x80:
                end += 1
        found = weigh_utf8(octets[start:end])
        characters += found[0]
        lost += found[1]
        start = end
        yield None
    return characters, lost


def _is_unwide(octets: Octets) -> bool:
    if len(octets) < 8:
        return len(octets) >= 4 and not octets.translate(None, _UNWIDE_IN_SHORT)
    starts = range(0, len(octets), _PIECE_OCTETS)
    return not any(octets[start : start + _PIECE_OCTETS].translate(None, _UNWIDE) for start in starts)


def _unicode(octets: Octets, name: str) -> Iterator[Reading | None]:
    if name.startswith("utf-16") and octets.startswith(_UTF_16_BOMS):
        # WHATWG Encoding 6.1: the mark beats the label.
        name = "utf-16-le" if octets.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    elif name == "utf-16":
        # RFC 2781 4.3 says big endian. QUIRK: Windows programs send little endian without a mark; the zeros of
        # Latin text tell.
        zeros_first, zeros_second = octets[0:4096:2].count(0), octets[1:4096:2].count(0)
        name = "utf-16-le" if zeros_second > zeros_first else "utf-16-be"
    elif name == "utf-32":
        big_endian = octets.startswith(b"\0") and not octets.startswith(codecs.BOM_UTF32_LE)
        name = "utf-32-be" if big_endian else "utf-32-le"
    if name != "utf-7" and _is_unwide(octets):
        # QUIRK: programs on Windows call it `unicode` or `utf-16` because their strings are, and write UTF-8.
        yield Reading("utf-8", False, (WRONG_CHARSET,))
    yield _STRICT[name]
    yield Reading(name, True, (UNDECODABLE_CHARSET,))


def _iso_2022_jp(octets: Octets, is_html: bool) -> Iterator[Reading | None]:
    # Python's codecs let escape sequences through that they do not know.
    if _SHIFT_OUT not in octets and _UNKNOWN_ESCAPE.search(octets) is None:
        for codec in ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2"):
            yield Reading(codec)
    if octets.isascii():
        # QUIRK: Outlook sends NEC row 13 (the numero sign, circled digits), which JIS X 0208 lacks; others send
        # katakana, shifted too, and what later standards have.
        yield Reading(JIS)
        yield Reading(JIS, True, (UNDECODABLE_CHARSET,))
    elif (yield from _outweighs(octets, JIS, _JIS_SHIFT)):
        yield Reading(JIS, True, (UNDECODABLE_CHARSET,))
    else:
        yield Reading("utf-8", False, (WRONG_CHARSET,))
        yield from _guesses(octets, WRONG_CHARSET, is_html)


def _outweighs(octets: Octets, codec: str, shift: bytes) -> Generator[None, None, bool]:
    """Whether octets are in a charset of 7-bit octets, for all those beyond ASCII: it has a shift and characters."""
    characters = int(shift in octets)
    stray = 0
    start = 0
    for text in read_pieces(octets, Reading(codec, True)):
        characters += len(text) - text.count("\ufffd") - len(text.encode("ascii", "ignore"))
        piece = octets[start : start + PIECE_OCTETS]
        stray += len(piece) - len(piece.translate(None, _EIGHT_BIT))
        start += PIECE_OCTETS
        yield None
    return characters > 0 and characters * _WEIGHT_OF_LABEL >= stray
