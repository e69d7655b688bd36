"""What the parameters of a field say: encoded words decoded, the forms of RFC 2231 put together.

`name*=charset'language'text` has the charset of its text, `name*0`, `name*1` are continued, `name*0*` is both.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fastsmtp.mime._quoting import decode_hex
from fastsmtp.mime.budget import MAX_FIELD_WORDS, Budget
from fastsmtp.mime.charset import decode_charset
from fastsmtp.mime.defects import DUPLICATE_PARAMETER, INVALID_ENCODED_WORD, INVALID_PARAMETER, note
from fastsmtp.mime.labels import codec_of
from fastsmtp.mime.words import decode_words

BLANKS: Final = " \t\r\n"
_NUMBER_LENGTH: Final = 6  # digits of a continuation's number; a header of 1 MiB cannot hold more segments


class Parameter(NamedTuple):
    """A parameter without its quotes; its name as sent, with the marks of RFC 2231."""

    name: str
    value: str


def assemble(parameters: list[Parameter], defects: list[str], budget: Budget) -> dict[str, str]:
    """Parameters by lower-case name, the first of each; RFC 2231 forms put together, which win over plain ones."""
    plain: dict[str, str] = {}
    extended: dict[str, _Segments] = {}
    for name, text in parameters:
        name = name.lower()
        if "*" in name:
            _add_segment(extended, name, text, defects)
        elif name in plain:
            note(defects, DUPLICATE_PARAMETER)
        else:
            plain[name] = _decode_plain(name, text, defects, budget)
    for name, segments in extended.items():
        plain[name] = _decode_extended(name, segments, defects, budget)
    return plain


def _decode_plain(name: str, text: str, defects: list[str], budget: Budget) -> str:
    if name == "boundary":
        # QUIRK: mailers pad it: `boundary="abc "`; RFC 2046 section 5.1.1: "must not end with white space".
        return text.rstrip(BLANKS)
    if "=?" in text:
        # QUIRK: Outlook, Gmail and most others put encoded words in quotes, which RFC 2047 section 5 forbids.
        part = budget.copy()
        part.words = min(part.words, MAX_FIELD_WORDS)
        budget.words -= part.words
        decoded = decode_words(text, defects, part)
        budget.words += part.words
        if decoded != text:
            note(defects, INVALID_ENCODED_WORD)
        return decoded
    return text


class _Segment(NamedTuple):
    encoded: bool
    text: str


_Segments = dict[int, _Segment]  # by number; _WHOLE is `name*`, which is not continued
_WHOLE: Final = -1


def _add_segment(extended: dict[str, _Segments], name: str, text: str, defects: list[str]) -> None:
    """File `name*`, `name*0` or `name*0*` (RFC 2231 sections 3 and 4)."""
    encoded = name.endswith("*")
    base = name.removesuffix("*")
    number = _WHOLE
    stem, star, digits = base.rpartition("*")
    if star and len(digits) <= _NUMBER_LENGTH and digits.isascii() and digits.isdigit():
        base, number = stem, int(digits)
    if not base or "*" in base or (number == _WHOLE and not encoded):
        note(defects, INVALID_PARAMETER)
        return
    segments = extended.setdefault(base, {})
    if number in segments:
        note(defects, DUPLICATE_PARAMETER)
    else:
        segments[number] = _Segment(encoded, text)


def _decode_extended(name: str, segments: _Segments, defects: list[str], budget: Budget) -> str:
    if _WHOLE in segments:
        ordered = [segments[_WHOLE]]
    else:
        # QUIRK: segments come in any order; some mailers count from 1 or leave a number out. All there is, in order.
        numbers = sorted(segments)
        if numbers[-1] != len(numbers) - 1:
            note(defects, INVALID_PARAMETER)
        ordered = [segments[number] for number in numbers]
    if not any(segment.encoded for segment in ordered):
        return _decode_plain(name, "".join([segment.text for segment in ordered]), defects, budget)
    charset: str | None = None
    if ordered[0].encoded:
        charset, text = _split_charset(ordered[0].text, defects)
        ordered[0] = _Segment(True, text)
    return _join_segments(ordered, charset, defects)


def _split_charset(text: str, defects: list[str]) -> tuple[str | None, str]:
    """The charset and the rest of `charset'language'text`."""
    charset, *rest = text.split("'", 2)
    if len(rest) == 2:
        return charset or None, rest[1]
    # QUIRK: scripts leave out the language or all of it: `filename*=utf-8'x.txt`, `filename*=x.txt`.
    note(defects, INVALID_PARAMETER)
    if rest and codec_of(charset) is not None:
        return charset, rest[0]
    return None, text


def _join_segments(segments: list[_Segment], charset: str | None, defects: list[str]) -> str:
    """QUIRK: Apple Mail cuts between octets, not characters: neighbours that are encoded are decoded as one."""
    texts: list[str] = []
    encoded: list[str] = []
    for segment in segments:
        if segment.encoded:
            encoded.append(segment.text)
        else:
            texts.append(_decode_encoded("".join(encoded), charset, defects))
            texts.append(segment.text)
            encoded = []
    texts.append(_decode_encoded("".join(encoded), charset, defects))
    return "".join(texts)


def _decode_encoded(text: str, charset: str | None, defects: list[str]) -> str:
    if not text.isascii():  # raw characters where only escapes may be; what we read them as is UTF-8 here
        note(defects, INVALID_PARAMETER)
        charset = "utf-8"
    return decode_charset(decode_hex(text.encode(), b"%"), charset, defects)
