"""HTML as tags and the text between them, in linear time whatever the source is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

_MAX_ATTRIBUTES = 64 * 1024  # characters of one tag
_UNSEEN = frozenset({"script", "style", "title"})  # where "<" begins nothing but the end
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_IN_TAG = re.compile(r"""(>)|=\s*(["'])""")
_ATTRIBUTE = re.compile(r"""([^\s"'=/>]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""")
_END_OF_UNSEEN = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in _UNSEEN}


class Tag(NamedTuple):
    """The beginning or the end of an element."""

    name: str  # in lower case
    closing: bool
    attributes: str  # as they stand there


def tokens(source: str) -> Iterator[str | Tag]:
    """Tags, and the text between them as it stands there. What is never closed is left out, as browsers do."""
    position = 0
    while (start := source.find("<", position)) >= 0:
        if start > position:
            yield source[position:start]
        match = _TAG.match(source, start)
        if match is not None:
            position = _end_of_tag(source, match.end())
            if position < 0:
                return
            tag = Tag(match[2].lower(), bool(match[1]), source[match.end() : position - 1])
            if tag.name in _UNSEEN and not tag.closing:
                end = _END_OF_UNSEEN[tag.name].search(source, position)
                position = len(source) if end is None else end.start()
            yield tag
        elif source.startswith(("<!", "<?", "</"), start):
            comment = source.startswith("<!--", start)
            end_mark = source.find("-->" if comment else ">", start + 2)
            if end_mark < 0:
                return
            position = end_mark + (3 if comment else 1)
        else:
            yield "<"
            position = start + 1
    yield source[position:]


def _end_of_tag(source: str, position: int) -> int:
    """Where the text behind a tag begins, -1 where the tag has no end. A quoted value may hold what would end it."""
    while (match := _IN_TAG.search(source, position)) is not None:
        if match[1]:
            return match.end()
        position = source.find(match[2], match.end()) + 1
        if not position:
            break
    return -1


def attribute(attributes: str, wanted: str) -> str:
    """The value of the first attribute of this name, "" without one; what is looked at of a tag has a limit."""
    attributes = attributes[:_MAX_ATTRIBUTES]
    if wanted not in attributes.lower():
        return ""
    for name, *values in _ATTRIBUTE.findall(attributes):
        if name.lower() == wanted:
            return unescape("".join(values)).strip()
    return ""
