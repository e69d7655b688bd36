"""Mails as Mailpit's API shows them. Its keys are names of Go; every list is there, if empty."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final

from fastsmtp.inbox.documents import load_now
from fastsmtp.inbox.mailpit.search import blind
from fastsmtp.inbox.parts import Part, read_contents
from fastsmtp.inbox.rows import Row
from fastsmtp.system.timeslices import gathered

_LINK: Final = re.compile(r"<\s{0,9}((?:https?|mailto):[^>\s]{1,2000})\s{0,9}>", re.IGNORECASE)
_ID: Final = re.compile(r"[0-9a-f]{32}")


def to_id(uuid: str) -> str:
    """Return a uuid as an ID of Mailpit, which has letters and digits alone."""
    return uuid.replace("-", "")


def to_uuid(ident: str) -> str:
    """Return the uuid of an ID, or what was given for anything else."""
    ident = ident.partition("@")[0].lower()
    if not _ID.fullmatch(ident):
        return ident
    return "-".join((ident[:8], ident[8:12], ident[12:16], ident[16:20], ident[20:]))


def address(mailbox: Mapping[str, str] | None) -> dict[str, str]:
    """Return an Address."""
    return {"Name": "", "Address": ""} if mailbox is None else {"Name": mailbox["name"], "Address": mailbox["address"]}


def addresses(mailboxes: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return a list of them."""
    return [address(mailbox) for mailbox in mailboxes]


def message_summaries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a MessageSummary of each, for lists and searches; one of many addresses takes long."""
    return [summary_of(load_now(row.summary), read=row.read, tags=row.tags) for row in rows]


def summary_of(summary: Mapping[str, Any], *, read: bool, tags: Sequence[str]) -> dict[str, Any]:
    """Return the MessageSummary of a mail with this summary of ours."""
    return {
        **_shared(summary, tags),
        "Read": read,
        "Created": summary["received_at"],
        "Attachments": summary["attachments"] - summary.get("inline", 0),  # a store may have older summaries
        "Snippet": summary["snippet"],
    }


def message(row: Row, payload: Mapping[str, Any], parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a Message; `parts` are its Attachment objects with `Inline` telling which list has them."""
    summary, said = load_now(row.summary), payload["message"]
    return {
        **_shared(summary, row.tags),
        # Mailpit's own has it no more; a client of 2023 wants it, and no other minds.
        "Read": True,
        "ReturnPath": summary["envelope"]["from"] or address(summary["from"])["Address"],
        "ListUnsubscribe": _list_unsubscribe(said["headers"]),
        "Date": _date(said["date"]) or summary["received_at"],
        "Text": said["text"] or "",
        "HTML": said["html"] or "",
        "Inline": [_without_place(part) for part in parts if part["Inline"]],
        "Attachments": [_without_place(part) for part in parts if not part["Inline"]],
    }


def _shared(summary: Mapping[str, Any], tags: Sequence[str]) -> dict[str, Any]:
    """Return what a Message and a MessageSummary have in common."""
    return {
        "ID": to_id(summary["uuid"]),
        "MessageID": summary["message_id"] or "",
        "From": address(summary["from"]),
        "To": addresses(summary["to"]),
        "Cc": addresses(summary["cc"]),
        "Bcc": addresses(summary["bcc"]) + [{"Name": "", "Address": one} for one in blind(summary)],
        "ReplyTo": addresses(summary["reply_to"]),
        "Subject": summary["subject"] or "",
        "Username": summary["username"] or "",
        "Tags": list(tags),
        "Size": summary["size"],
    }


def _without_place(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "Inline"}


def _date(text: str | None) -> str:
    """Return a Date field in RFC 3339, "" where it is no date."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError):
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")


def _list_unsubscribe(headers: Mapping[str, str]) -> dict[str, Any]:
    header = headers.get("List-Unsubscribe", "")
    links = _LINK.findall(header)
    return {
        "Header": header,
        "Links": links,
        "Errors": "" if links or not header else f'"{header}" no valid unsubscribe links found.',
        "HeaderPost": headers.get("List-Unsubscribe-Post", ""),
    }


async def attachments(
    parts: Sequence[Part], described: Sequence[Mapping[str, Any]], read_raw: Callable[[], AsyncIterator[bytes]]
) -> list[dict[str, Any]]:
    """Return the Attachment objects of a mail; one without file name and Content-ID is left out."""
    wanted = {part.ordinal: part for part in parts if part.attachment is not None}
    if not wanted:
        return []
    hashes: dict[int, list[Any]] = {}
    async for ordinal, octets in read_contents(read_raw()):
        if ordinal in wanted:
            for one in hashes.get(ordinal) or hashes.setdefault(ordinal, _hashes()):
                one.update(octets)
    return await gathered(
        _attachment(part, described, hashes.get(ordinal) or _hashes()) for ordinal, part in wanted.items()
    )


def _hashes() -> list[Any]:
    return [hashlib.md5(), hashlib.sha1(), hashlib.sha256()]


def _attachment(part: Part, described: Sequence[Mapping[str, Any]], hashes: Sequence[Any]) -> dict[str, Any]:
    assert part.attachment is not None
    shown = described[part.attachment]
    md5, sha1, sha256 = (one.hexdigest() for one in hashes)
    return {
        "PartID": part.number,
        "FileName": shown["filename"],
        "ContentType": part.content_type,
        "ContentID": part.content_id or "",
        "Size": part.size,
        "Checksums": {"MD5": md5, "SHA1": sha1, "SHA256": sha256},
        "Inline": shown["disposition"] == "inline",
    }


async def canonical_headers(raw_headers: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Return all fields as they were sent, by name as Go spells it, in the order of names."""
    found: dict[str, list[str]] = {}

    def spelled() -> Iterator[None]:
        for name, value in raw_headers:
            canonical = "-".join(word[:1].upper() + word[1:].lower() for word in name.split("-"))
            found.setdefault(canonical, []).append(value.strip())
            yield

    await gathered(spelled())
    return dict(sorted(found.items()))
