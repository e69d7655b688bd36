"""Tags of mails: their spelling, and those that a mail brings along in X-Tags, as Mailpit has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

FIELD: Final = "x-tags"
_OTHERS: Final = re.compile(r"[^A-Za-z0-9 \-_.@]")
_MAX_TAG: Final = 100
_MAX_TAGS: Final = 100  # of one mail


def is_tag(name: str) -> bool:
    """Whether a tag may be called so."""
    return bool(name) and _OTHERS.search(name) is None


def clean_tags(tags: Iterable[Any]) -> tuple[str, ...]:
    """Return tags as Mailpit has them: other characters are blanks, case does not count, the first spelling stays."""
    found: dict[str, str] = {}
    for tag in tags:
        name = " ".join(_OTHERS.sub(" ", str(tag)).split())[:_MAX_TAG]
        if name:
            found.setdefault(name.lower(), name)
    return tuple(sorted(found.values()))


def tags_of(headers: Mapping[str, str | list[str]]) -> tuple[str, ...]:
    """Return the tags of a mail with these header fields, by name."""
    for name, value in headers.items():
        if len(name) == len(FIELD) and name.lower() == FIELD:
            text = value if isinstance(value, str) else ",".join(value)
            return clean_tags(text.split(",", _MAX_TAGS)[:_MAX_TAGS])
    return ()
