"""What the JSON of an email leaves out where workers do not need it: the groups of `smtp.payload_omit`.

`_context.pyx` does not write these keys, and does not compute what is only for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

# Bits of a number: what is left out.
CONNECTION: Final = 1
PARAMS: Final = 2
DIGEST: Final = 4
SESSION: Final = 8
HEADERS: Final = 16
RAW_HEADERS: Final = 32
FIELDS: Final = 64
ADDRESSES: Final = 128
BODY: Final = 256
TEXT: Final = 512
SIZE: Final = 1024
DEFECTS: Final = 2048
DISPOSITION: Final = 4096

_ALONE: Final = {
    "connection": CONNECTION,
    "params": PARAMS,
    "digest": DIGEST,
    "session": SESSION,
    "headers": HEADERS,
    "raw_headers": RAW_HEADERS,
    "fields": FIELDS,
    "addresses": ADDRESSES,
    "body": BODY,
    "text": TEXT,
    "size": SIZE,
    "defects": DEFECTS,
    "disposition": DISPOSITION,
}
# By the names of the setting; `beyond` is all that the example of the first specification does not show.
GROUPS: Final = {**_ALONE, "beyond": sum(_ALONE.values()) - HEADERS - BODY}

# The keys of each, and the object that they are in, "" for the document itself.
_KEYS: Final[tuple[tuple[int, str, tuple[str, ...]], ...]] = (
    (CONNECTION, "", ("connection_uuid", "sequence", "server")),
    (PARAMS, "envelope", ("mail_params", "rcpt_params")),
    (DIGEST, "authentication", ("digest", "challenge")),
    (SESSION, "", ("session",)),
    (HEADERS, "message", ("headers",)),
    (RAW_HEADERS, "message", ("raw_headers",)),
    (FIELDS, "message", ("id", "subject", "date")),
    (ADDRESSES, "message", ("from", "to", "cc", "bcc", "reply_to")),
    (BODY, "message", ("body",)),
    (TEXT, "message", ("text", "html")),
    (SIZE, "message", ("size",)),
    (DEFECTS, "message", ("defects",)),
)


def omission(groups: Iterable[str]) -> int:
    """Return the number that stands for these groups."""
    omit = 0
    for name in groups:
        omit |= GROUPS[name]
    return omit


def strip(document: dict[str, Any], omit: int) -> None:
    """Take out of the JSON of an email, but for its attachments, what is left out."""
    for group, place, keys in _KEYS:
        if omit & group:
            section: dict[str, Any] = document[place] if place else document
            for key in keys:
                section.pop(key, None)


def strip_attachment(document: dict[str, Any], omit: int) -> None:
    """The same for the JSON of an attachment."""
    if omit & DISPOSITION:
        del document["disposition"], document["content_id"]
    if omit & DEFECTS:
        del document["defects"]
