"""What a list shows of a mail: a small JSON document, made once when the mail arrives."""

from __future__ import annotations

import functools
import html
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastsmtp.capture.handling import Handling

_SNIPPET_CHARS: Final = 250
_FIRST_CHARS: Final = 400  # of a text, which are enough for most snippets
_TEXT_CHARS: Final = 2000  # of a text, looked at for a snippet
_HTML_CHARS: Final = 20_000
# What takes no room in a preview and is put into mails to fill it: a blank, as `str.split` takes all others.
_UNSEEN_BLANKS: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u034f\u00ad"), " ")
# What a browser does not show as text. Each alternative is bounded by the next `<`, so the search is linear.
_UNSEEN = re.compile(
    r"<(style|script|title|head)\b[^<]*(?:<(?!/\1\b)[^<]*)*(?:</\1[^>]*>|\Z)|<!--.*?(?:-->|\Z)", re.I | re.S
)
_TAG = re.compile(r"<[^>]*(?:>|\Z)")


def summarize(
    payload: Mapping[str, Any],
    received_at_ms: int,
    outcome: str,
    faults: Sequence[Any] = (),
    worker: Handling | None = None,
) -> dict[str, Any]:
    """Return the summary of the mail whose payload, as docs/payload.md has it, is given.

    `outcome` says how the mail ended, "accepted" or why not; `faults` what a plan did to it. Where a
    worker had it, the summary says what that did; a store of before knows of none.
    """
    envelope, message, session = payload["envelope"], payload["message"], payload["session"]
    summary = {
        "uuid": payload["uuid"],
        "received_at": timestamp_ms(received_at_ms),
        "from": message["from"][0] if message["from"] else None,
        "to": message["to"],
        "cc": message["cc"],
        "bcc": message["bcc"],
        "reply_to": message["reply_to"],
        "subject": message["subject"],
        "message_id": message["id"],
        "size": message["size"],
        "snippet": snippet(message["text"], message["html"]),
        "attachments": len(payload["attachments"]),
        "inline": sum(attachment["disposition"] == "inline" for attachment in payload["attachments"]),
        "envelope": {"from": envelope["from"], "to": envelope["to"], "helo": envelope["helo"]},
        "username": payload["authentication"]["username"],
        "remote_addr": payload["remote_addr"],
        "server": payload["server"],
        "tls": session["tls"] is not None,
        "violations": [violation["code"] for violation in session["violations"]],
        "defects": message["defects"],
        "outcome": outcome,
        "faults": list(faults),
    }
    if worker is not None:
        summary["worker"] = worker._asdict()
    return summary


def addresses(summary: Mapping[str, Any]) -> set[str]:
    """Every address that the mail was sent to, in lower case: of the envelope, To, Cc and Bcc."""
    found = {address.lower() for address in summary["envelope"]["to"]}
    for field in ("to", "cc", "bcc"):
        found.update(mailbox["address"].lower() for mailbox in summary[field])
    return found


def snippet(text: str | None, markup: str | None) -> str:
    """Return the first words of a mail in one line of at most 250 characters."""
    shown = _in_one_line(text[:_FIRST_CHARS]) if text else ""
    if text and len(shown) <= _SNIPPET_CHARS and len(text) > _FIRST_CHARS:  # much of it is blank
        shown = _in_one_line(text[:_TEXT_CHARS])
    if not shown and markup:
        shown = _in_one_line(strip_tags(markup[:_HTML_CHARS]))
    return shown if len(shown) <= _SNIPPET_CHARS else shown[: _SNIPPET_CHARS - 1].rstrip() + "…"


def _in_one_line(text: str) -> str:
    # A regular expression takes ten times as long.
    return " ".join((text if text.isascii() else text.translate(_UNSEEN_BLANKS)).split())


def strip_tags(markup: str) -> str:
    """Return what a reader sees of HTML, roughly: no tags, no styles, no comments; entities undone."""
    return html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", markup)))


def timestamp_ms(milliseconds: int) -> str:
    """Return a Unix time in RFC 3339: `2026-11-03T10:30:45.123Z`."""
    second, rest = divmod(milliseconds, 1000)
    return f"{_second(second)}.{rest:03}Z"


@functools.lru_cache(maxsize=16)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def names_of(mailboxes: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the addresses of mailboxes, in order."""
    return [mailbox["address"] for mailbox in mailboxes]
