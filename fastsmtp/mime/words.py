"""Encoded words (RFC 2047, with the language of RFC 2231 section 5) -> text.

Words are found with `str.find`, never with a pattern that can run over the rest of the value, so thousands of `=?`
cost linear time. Adjacent words of one charset are decoded as one: a character may be split over them.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from fastsmtp.mime._quoting import decode_hex
from fastsmtp.mime.budget import MAX_WORD_LENGTH, MAX_WORDS, WORD_UNIT, Budget
from fastsmtp.mime.charset import decode_charset, is_joinable, join_shifted
from fastsmtp.mime.defects import INVALID_ENCODED_WORD, WORD_LIMIT, note

_PREFIX: Final = re.compile(r"=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,3}")
_BLANKS: Final = " \t\r\n"
_CACHED_LENGTH: Final = 160  # characters of the longest value that is cached: who writes to whom repeats
_STEP_WORDS: Final = 250  # that are looked at at a time
_STEP_DECODED: Final = 50  # that are decoded at a time, one by one
# What may stand before and after an encoded word: blanks in text, and the signs around words in a phrase or comment
# (RFC 2047 section 5).
_BEFORE: Final = frozenset(_BLANKS + "(")
_AFTER: Final = frozenset(_BLANKS + ")")


class _Word(NamedTuple):
    charset: str
    encoding: str  # "b" or "q"
    text: str  # still encoded


def decode_words(value: str, defects: list[str], budget: Budget | None = None) -> str:
    """`value` with its encoded words decoded and the blanks between adjacent ones dropped.

    Text that is not an encoded word stays as it is, as do words beyond the `budget` of the mail, without one of `value`
    alone; `invalid-encoded-word` is noted where one breaks the rules.
    """
    if "=?" not in value:
        return value
    if budget is None:
        budget = Budget()
    if len(value) > _CACHED_LENGTH:
        return _decode(value, defects, budget)
    text, noted, words = _cached_decode(value)
    if words > budget.words:
        return _decode(value, defects, budget)
    budget.words -= words
    for defect in noted:
        note(defects, defect)
    return text


@lru_cache(maxsize=1024)
def _cached_decode(value: str) -> tuple[str, tuple[str, ...], int]:
    defects: list[str] = []
    budget = Budget()
    return _decode(value, defects, budget), tuple(defects), MAX_WORDS - budget.words


def _decode(value: str, defects: list[str], budget: Budget) -> str:
    pieces: list[str] = []
    for _ in word_steps(value, defects, budget, pieces):
        pass
    return "".join(pieces)


def word_steps(value: str, defects: list[str], budget: Budget, pieces: list[str]) -> Iterator[None]:
    """What `decode_words` does, some milliseconds at a time; the text is added to `pieces`."""
    run: list[_Word] = []  # adjacent words, not decoded yet
    done = 0  # value[:done] is in pieces and run
    position = value.find("=?")
    while position != -1:
        if not budget.words:
            note(defects, WORD_LIMIT)
            break
        budget.words -= 1
        if budget.words % _STEP_WORDS == 0:
            yield
        prefix = _PREFIX.match(value, position)
        if prefix is None:
            position = value.find("=?", position + 1)
            continue
        end = value.find("?=", prefix.end())
        if end == -1:
            break  # no word is complete from here on
        inner = _last_prefix(value, prefix.end(), end)
        if inner != -1:  # this one was never closed; the next one is
            position = inner
            continue
        units = (end - prefix.end()) // WORD_UNIT
        if units > budget.words or end - prefix.end() > MAX_WORD_LENGTH:
            note(defects, WORD_LIMIT)
            position = value.find("=?", end)
            continue
        budget.words -= units
        word = _Word(prefix[1], prefix[2].lower(), value[prefix.end() : end])
        if not _is_decodable(word, defects):
            position = value.find("=?", end)
            continue
        end += 2
        _note_neighbours(value, position, end, defects)
        gap = value[done:position]
        if not run or gap.strip(_BLANKS):
            if len(run) > _STEP_DECODED:
                yield from _run_steps(run, defects, pieces)
            else:
                pieces.append(_decode_run(run, defects))
            pieces.append(gap)
            run = []
        elif len(run) >= _STEP_WORDS and not _is_of_one_charset(run[-1], word):
            yield from _run_steps(run, defects, pieces)
            run = []
        run.append(word)
        done = end
        position = value.find("=?", end)
    yield from _run_steps(run, defects, pieces)
    pieces.append(value[done:])


def _last_prefix(value: str, start: int, end: int) -> int:
    """Where the last beginning of an encoded word in value[start:end] is, or -1."""
    inner = value.rfind("=?", start, end)
    return inner if inner != -1 and _PREFIX.match(value, inner) else -1


def _is_decodable(word: _Word, defects: list[str]) -> bool:
    """Whether there is anything to decode; malformed base64 is text (RFC 2047 section 6.3 allows to leave it)."""
    text = word.text
    if word.encoding == "q":
        # QUIRK: PHP scripts that use quoted_printable_encode() leave blanks, question marks and 8-bit characters there.
        if " " in text or "?" in text or "\t" in text or not text.isascii():
            if "=?" in text:  # no escape, which those scripts would write, and no word for others either
                return False
            note(defects, INVALID_ENCODED_WORD)
        return True
    bare = "".join(text.split())
    if not _BASE64.fullmatch(bare):
        return False
    # QUIRK: mailers that fold at a fixed column, as old Lotus Notes, put blanks into B words; others drop the padding.
    if len(bare) != len(text) or len(bare) % 4:
        note(defects, INVALID_ENCODED_WORD)
    return True


def _note_neighbours(value: str, start: int, end: int, defects: list[str]) -> None:
    """QUIRK: Exchange and hand-made scripts glue encoded words to text and to each other; they mean to be decoded."""
    if (start and value[start - 1] not in _BEFORE) or (end < len(value) and value[end] not in _AFTER):
        note(defects, INVALID_ENCODED_WORD)


def _decode_run(words: list[_Word], defects: list[str]) -> str:
    """The text of adjacent words: decoded together as far as the charset stays the same."""
    pieces: list[str] = []
    for _ in _run_steps(words, defects, pieces):
        pass
    return "".join(pieces)


def _run_steps(words: list[_Word], defects: list[str], pieces: list[str]) -> Iterator[None]:
    """What `_decode_run` does, some milliseconds at a time; the text is added to `pieces`."""
    if not words:
        return
    group = [words[0]]
    for word in words[1:]:
        if not _is_of_one_charset(group[0], word):
            yield from _group_steps(group, defects, pieces)
            group = []
        group.append(word)
    yield from _group_steps(group, defects, pieces)


def _group_steps(words: list[_Word], defects: list[str], pieces: list[str]) -> Iterator[None]:
    """Add the text of adjacent words of one charset to `pieces`.

    QUIRK: many mailers (JavaMail, PHPMailer with wrong mbstring settings) cut encoded words between octets, not
    characters, against RFC 2047 section 5; some cut inside of what a shift or an escape sequence began.
    """
    label = _label(words[0])
    if len(words) == 1:
        pieces.append(decode_charset(_octets(words), label, defects))
        return
    if is_joinable(label):
        pieces.append(decode_charset(b"".join(map(_octets, _by_encoding(words))), label, defects))
        return
    undone = [_octets([word]) for word in words]
    yield
    for index, octets in enumerate(join_shifted(undone, label), 1):
        pieces.append(decode_charset(octets, label, defects))
        if index % _STEP_DECODED == 0:
            yield


def _is_of_one_charset(word: _Word, other: _Word) -> bool:
    return _label(word).lower() == _label(other).lower()


def _by_encoding(words: list[_Word]) -> list[list[_Word]]:
    runs: list[list[_Word]] = [[]]
    for word in words:
        if runs[-1] and runs[-1][-1].encoding != word.encoding:
            runs.append([])
        runs[-1].append(word)
    return runs


def _label(word: _Word) -> str:
    """The charset of a word. Where raw characters stand in it, its octets were taken from UTF-8 (see `_octets`)."""
    return word.charset if word.text.isascii() else "utf-8"


def _octets(words: list[_Word]) -> bytes:
    if words[0].encoding == "q":
        text = "".join([word.text for word in words])
        return decode_hex(text.replace("_", " ").encode(), b"=")
    texts = ["".join(word.text.split()) for word in words]
    # QUIRK: some mailers encode first and cut afterwards, so only all words together are groups of four.
    if "=" not in "".join(texts[:-1]) and sum(map(len, texts)) % 4 == 0:
        texts = ["".join(texts)]
    return b"".join([_decode_base64(text) for text in texts])


def _decode_base64(text: str) -> bytes:
    """Base64 without regard to its padding; a single digit left over carries no octet."""
    digits = text.rstrip("=")
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
