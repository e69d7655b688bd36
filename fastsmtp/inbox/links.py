"""What a test wants from the text of a mail: links to follow and codes to enter.

What can be long is a generator that yields None, too: its caller lets other work run in between.
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator, Iterator
from typing import Any, Final

from fastsmtp.mime.htmltokens import attribute, tokens

MAX_FOUND: Final = 1000
_TEXT_CHARS: Final = 64 * 1024  # of a text, looked through for links and codes
_LABEL_CHARS: Final = 200
_URL: Final = re.compile(
    r"(?:https?|ftps?)://[^\s<>\"`{}|\\^\u00ab\u00bb]{1,2000}|mailto:[^\s<>\"]{3,500}", re.IGNORECASE
)
_TRAILING: Final = ".,;:!?'*_~"
_BRACKETS: Final = {")": "(", "]": "["}
_SOURCES: Final = {"area": "href", "img": "src", "link": "href", "form": "action"}

_WORD: Final = r"codes?|pin|otp|passcode|password|token|kode?|c[oó]digo|codice|verification|verify|2fa|mfa|one-time|tan"
_KEYWORD: Final = re.compile(rf"(?<!\w)(?:{_WORD})(?!\w)", re.IGNORECASE)
# Digits, perhaps in two or three groups, or capitals with digits; nothing that is a part of a longer word or number.
_CODE: Final = re.compile(
    r"(?<![\w.,/@#$€£:&=?%+-])(?!\d{4}-\d\d-\d\d)(?:(?P<groups>\d{2,4}(?:[ \u00a0-]\d{2,4}){1,2})|(?P<digits>\d{4,8})"
    r"|(?P<mixed>[A-Z]{1,3}-\d{4,8}|(?=[A-Z-]{0,11}\d)(?=[\d-]{0,11}[A-Z])[A-Z\d]{2,8}(?:-[A-Z\d]{2,8})?))(?![\w/@%€$£]|[.,:-]\w)"
)
_NEAR: Final = 120  # characters between a word that announces a code, and the code
_STRETCH: Final = 4 * 1024  # characters that are searched in one step
_REACH: Final = 64  # characters that a word or a code has at most, with what must not stand behind it
_CONTEXT: Final = 40  # characters shown around a code

Link = dict[str, Any]


def find_links(text: str | None, markup: str | None) -> Iterator[Link | None]:
    """Yield the links of HTML, then those of text alone: `{url, text, kind, in}`, each URL once, at most 1000.

    `kind` is the element (`a`, `img`, ...) or `url`, `text` what a reader sees of it, `in` is `html` or `text`.
    """
    known: set[str] = set()
    for found in _all_links(text or "", markup or ""):
        if found is None or found["url"] in known:
            yield None
            continue
        known.add(found["url"])
        yield found
        if len(known) == MAX_FOUND:
            return


def _all_links(text: str, markup: str) -> Iterator[Link | None]:
    yield from _links_of_html(markup)
    yield from _links_of_text(text)


def _links_of_text(text: str) -> Iterator[Link]:
    for match in _URL.finditer(text[:_TEXT_CHARS]):
        yield {"url": _trimmed(match[0]), "text": "", "kind": "url", "in": "text"}


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence it stands in."""
    while url:
        last = url[-1]
        opening = _BRACKETS.get(last)
        if last not in _TRAILING and not (opening and url.count(last) > url.count(opening)):
            break
        url = url[:-1]
    return url


def _links_of_html(markup: str) -> Iterator[Link | None]:
    url = ""  # of the link that is open
    label: list[str] = []
    for token in tokens(markup):
        yield None
        if isinstance(token, str):
            if url and len(label) < _LABEL_CHARS:
                label.append(html.unescape(token[:_LABEL_CHARS]))
        elif token.name == "a":
            if url:
                yield _link(url, "".join(label), "a")
            url, label = "" if token.closing else attribute(token.attributes, "href"), []
        elif token.name in _SOURCES and not token.closing:
            alternative = attribute(token.attributes, "alt")
            label.append(alternative)
            target = attribute(token.attributes, _SOURCES[token.name])
            if target:
                yield _link(target, alternative, token.name)
    if url:
        yield _link(url, "".join(label), "a")


def _link(url: str, label: str, kind: str) -> Link:
    return {"url": url, "text": " ".join(label.split())[:_LABEL_CHARS], "kind": kind, "in": "html"}


def text_pieces(text: str | None, markup: str | None) -> Iterator[str | None]:
    """Yield the beginning of a mail's text, at most 64 Ki characters: plain, or that of its HTML."""
    if text and text.strip():
        yield text[:_TEXT_CHARS]
        return
    left = _TEXT_CHARS
    for token in tokens(markup or ""):
        if not isinstance(token, str):
            yield " "
            continue
        yield html.unescape(token[:left])
        left -= len(token)
        if left <= 0:
            return


def find_codes(text: str) -> Generator[None, None, list[dict[str, str]]]:
    """Find what looks like a code to be entered, in steps; the last returns `{code, context}`, each once, at most 1000.

    Codes are 4 to 8 digits, groups of digits, or capitals with digits. Those near to a word like "code" or "PIN" come
    first, in order of their distance; others of digits alone follow.
    """
    words: list[tuple[int, int]] = []
    for word in _matches(_KEYWORD, text):
        if word is not None:
            words.append(word.span())
        yield
    ranked: list[tuple[int, int, str, str]] = []
    at = 0  # the first word that may be near
    for match in _matches(_CODE, text):
        if match is None:
            yield
            continue
        start, end = match.span()
        while at < len(words) and words[at][1] < start - _NEAR:
            at += 1
        distance = _distance(words, at, start, end)
        if distance > _NEAR and not match["digits"]:
            continue
        code = re.sub(r"[ \u00a0]", "", match[0])
        context = " ".join(text[max(0, start - _CONTEXT) : end + _CONTEXT].split())
        ranked.append((min(distance, _NEAR + 1), start, code, context))
        if len(ranked) == MAX_FOUND:
            break
    found: dict[str, dict[str, str]] = {}
    for _distance_chars, _start, code, context in sorted(ranked):
        found.setdefault(code, {"code": code, "context": context})
    return list(found.values())


def _matches(expression: re.Pattern[str], text: str) -> Iterator[re.Match[str] | None]:
    """Yield what `finditer` does, and None in between: a search holds the interpreter, so each is short."""
    at = 0
    while at < len(text):
        end = at + _STRETCH
        for match in expression.finditer(text, at, end + _REACH):
            if match.start() >= end:
                break
            yield match
            at = match.end()
        at = max(at, end)
        yield None


def _distance(words: list[tuple[int, int]], at: int, start: int, end: int) -> int:
    """How far the nearest word is; one behind the code counts twice."""
    nearest = _NEAR + 1
    for begins, ends in words[at : at + 8]:
        if begins > end + _NEAR:
            break
        nearest = min(nearest, start - ends if ends <= start else 2 * max(0, begins - end))
    return nearest
