"""Mailpit's search: words and `prefix:value`, all of which must hold; `-` or `!` before one negates it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastsmtp.inbox.summary import strip_tags
from fastsmtp.inbox.where import Candidate

Test = Callable[[Candidate], bool]

_MAX_TOKENS: Final = 100
_TEXT_CHARS: Final = 1024 * 1024  # of a text, in which words are looked for: one step holds the interpreter
_TOKEN: Final = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_BLANKED: Final = str.maketrans(dict.fromkeys('\r\n\t<>",;()', " "))
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kKmM]?)[bB]?")
_UNITS: Final = {"": 1, "k": 1024, "m": 1024 * 1024}
_LINKS: Final = re.compile(r"""(?:href|src)\s{0,9}=\s{0,9}["']?([^"'\s>]{1,2000})""", re.IGNORECASE)
_FORMATS: Final = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%m/%d/%Y", "%d %b %Y", "%b %d, %Y")


class MailpitQuery:
    """A condition made of the text of a search."""

    recipient: Final = None  # addresses are substrings here: nothing to look up

    def __init__(self, text: str, zone: str = "") -> None:
        """`zone` is the name of the time zone in which dates without one are, "" = UTC."""
        tokens = _TOKEN.findall(text)[:_MAX_TOKENS]
        self._tests: Final = [test for token in tokens if (test := _read(token, _zone(zone))) is not None]

    def __call__(self, mail: Candidate) -> bool:
        """Whether the mail meets the condition."""
        return all(test(mail) for test in self._tests)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else timezone.utc
    except (OSError, ValueError):
        return timezone.utc


def _read(token: str, zone: tzinfo) -> Test | None:
    token = token.replace('"', "")
    negated = token[:1] in ("-", "!")
    token = token[negated:]
    if not token:
        return None
    prefix, colon, value = token.partition(":")
    if colon and prefix.lower() in _PREFIXES:
        if not value.strip():
            return None
        test = _PREFIXES[prefix.lower()](value.strip(), zone)
        if test is None:
            return None
    else:
        test = _words(token)
    return (lambda mail: not test(mail)) if negated else test


def _words(value: str) -> Test:
    wanted = value.lower()
    return lambda mail: wanted in _search_text(mail)


def _search_text(mail: Candidate) -> str:
    """What words are looked for in: addresses, subject, text, names of attachments; not other header fields."""
    summary, payload = mail.summary, mail.payload
    pieces = [summary["subject"] or "", summary["envelope"]["from"]]
    for mailboxes in (_from(summary), *(summary[key] for key in ("to", "cc", "bcc", "reply_to"))):
        pieces += _spelled(mailboxes)
    pieces += summary["envelope"]["to"]
    if payload is not None:
        message = payload["message"]
        if message["html"]:
            markup = message["html"][:_TEXT_CHARS]
            pieces += [strip_tags(markup), *_LINKS.findall(markup)]
        elif message["text"]:
            pieces.append(message["text"][:_TEXT_CHARS])
        pieces += [attachment["filename"] for attachment in payload["attachments"]]
    return " ".join(pieces).lower()


def _from(summary: Any) -> list[Any]:
    return [] if summary["from"] is None else [summary["from"]]


def _spelled(mailboxes: Iterable[Any]) -> list[str]:
    return [f"{mailbox['name']} {mailbox['address']}" for mailbox in mailboxes]


def _addresses(*keys: str) -> Callable[[str, tzinfo], Test]:
    def make(value: str, _zone: tzinfo) -> Test:
        wanted = " ".join(value.lower().translate(_BLANKED).split())

        def test(mail: Candidate) -> bool:
            summary = mail.summary
            pieces: list[str] = []
            for key in keys:
                pieces += _spelled(_from(summary) if key == "from" else summary[key])
                if key == "bcc":
                    pieces += blind(summary)
            return wanted in " ".join(pieces).lower().translate(_BLANKED)

        return test

    return make


def blind(summary: Any) -> list[str]:
    """Return the recipients of the envelope that no header field names: those of Bcc."""
    named = {mailbox["address"].lower() for key in ("to", "cc", "bcc") for mailbox in summary[key]}
    return [address for address in summary["envelope"]["to"] if address.lower() not in named]


def _text(get: Callable[[Any], str | None]) -> Callable[[str, tzinfo], Test]:
    def make(value: str, _zone: tzinfo) -> Test:
        wanted = value.lower()
        return lambda mail: wanted in (get(mail.summary) or "").lower()

    return make


def _tag(value: str, _zone: tzinfo) -> Test:
    return lambda mail: any(tag.lower() == value.lower() for tag in mail.tags)


def _is(value: str, _zone: tzinfo) -> Test | None:
    return {
        "read": lambda mail: mail.read,
        "unread": lambda mail: not mail.read,
        "tagged": lambda mail: bool(mail.tags),
    }.get(value.lower())


def _has(value: str, _zone: tzinfo) -> Test | None:
    if value.lower().startswith("attachment"):
        return lambda mail: bool(mail.summary["attachments"])
    if value.lower().startswith("inline"):
        return lambda mail: any(one["disposition"] == "inline" for one in (mail.payload or _NOTHING)["attachments"])
    return None


_NOTHING: Final[dict[str, Any]] = {"attachments": []}


def _received(*, after: bool) -> Callable[[str, tzinfo], Test | None]:
    def make(value: str, zone: tzinfo) -> Test | None:
        moment = read_date(value, zone)
        if moment is None:
            return None
        wanted = moment.timestamp()

        def test(mail: Candidate) -> bool:
            at = datetime.fromisoformat(mail.summary["received_at"].replace("Z", "+00:00")).timestamp()
            return at >= wanted if after else at <= wanted

        return test

    return make


def read_date(value: str, zone: tzinfo) -> datetime | None:
    """Return the moment that a client means, None where that cannot be told."""
    for read in (_iso_date, parsedate_to_datetime):
        try:
            moment = read(value)
        except (ValueError, TypeError, IndexError):
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    for form in _FORMATS:
        try:
            return datetime.strptime(value, form).replace(tzinfo=zone)
        except ValueError:
            continue
    return None


def _iso_date(value: str) -> datetime:
    return datetime.fromisoformat(value.replace("Z", "+00:00"))


def _size(*, larger: bool) -> Callable[[str, tzinfo], Test]:
    def make(value: str, _zone: tzinfo) -> Test:
        match = _SIZE.fullmatch(value)
        if match is None:
            return _words(f"{'larger' if larger else 'smaller'}:{value}")
        limit = float(match[1]) * _UNITS[match[2].lower()]
        return lambda mail: mail.summary["size"] > limit if larger else mail.summary["size"] < limit

    return make


_PREFIXES: Final[dict[str, Callable[[str, tzinfo], Test | None]]] = {
    "to": _addresses("to"),
    "from": _addresses("from"),
    "cc": _addresses("cc"),
    "bcc": _addresses("bcc"),
    "reply-to": _addresses("reply_to"),
    "addressed": _addresses("from", "to", "cc", "bcc", "reply_to"),
    "subject": _text(lambda summary: summary["subject"]),
    "message-id": _text(lambda summary: summary["message_id"]),
    "tag": _tag,
    "is": _is,
    "has": _has,
    "after": _received(after=True),
    "before": _received(after=False),
    "larger": _size(larger=True),
    "smaller": _size(larger=False),
}
