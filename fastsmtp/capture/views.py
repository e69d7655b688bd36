"""Which bodies are the text of a mail and which are its HTML (RFC 8621 section 4.1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastsmtp.capture.body import Body
from fastsmtp.mime.entity import Entity, Role


class Views(NamedTuple):
    """A mail as those see it who want text, and as those see it who want HTML; each in order.

    `text` has the plain texts alone, `html` those too that are there in no other kind; it is empty where nothing is
    HTML. `is_text` tells whether the text is the mail's text, not a footer of HTML.
    """

    text: list[Body]
    html: list[Body]
    is_text: bool


def view(bodies: Sequence[Body]) -> Views:
    """Sort the bodies of a mail, which stand in the order of the mail."""
    kinds = {body.entity.role for body in bodies}
    if Role.HTML not in kinds:
        return Views(list(bodies), [], True)
    if Role.TEXT not in kinds:
        return Views([], list(bodies), False)
    text: list[Body] = []
    html: list[Body] = []
    _sort(_tree(bodies), False, text, html)
    return Views([body for body in text if body.entity.role is Role.TEXT], html, _begins_with_text(text))


def _begins_with_text(bodies: list[Body]) -> bool:
    """Whether those who want text see plain text first: an empty one does not count where HTML follows."""
    if all(body.entity.role is Role.TEXT for body in bodies):
        return True
    return next((body.entity.role is Role.TEXT for body in bodies if not body.is_blank), False)


class _Multipart:
    """A multipart, or the whole mail, with what is in it: bodies and other multiparts."""

    __slots__ = ("entity", "members")

    def __init__(self, entity: Entity | None) -> None:
        self.entity = entity
        self.members: list[Body | _Multipart] = []

    @property
    def is_alternative(self) -> bool:
        return self.entity is not None and self.entity.media_type.value == "multipart/alternative"


def _tree(bodies: Sequence[Body]) -> _Multipart:
    root = _Multipart(None)
    open_ones = [root]
    depths: dict[Entity | None, int] = {None: 0}  # of those that are open
    for body in bodies:
        # Up to the first one that is open: no multipart is looked at again for each body in it.
        around: list[Entity] = []
        parent = body.entity.parent
        while parent is not None and parent not in depths:
            around.append(parent)
            parent = parent.parent
        depth = depths[parent]
        while len(open_ones) > depth + 1:
            del depths[open_ones.pop().entity]
        for entity in reversed(around):
            multipart = _Multipart(entity)
            open_ones[-1].members.append(multipart)
            depths[entity] = len(open_ones)
            open_ones.append(multipart)
        open_ones[-1].members.append(body)
    return root


def _sort(multipart: _Multipart, in_alternative: bool, text: list[Body], html: list[Body]) -> None:
    """Add what is in a multipart to the views. Other than in the RFC no body gets lost in a multipart of both kinds."""
    texts, htmls = len(text), len(html)
    kind: Role | None = None  # of an alternative that is a multipart itself: that of its first body
    for member in multipart.members:
        if isinstance(member, _Multipart):
            _sort(member, in_alternative or member.is_alternative, text, html)
        elif multipart.is_alternative:
            (text if member.entity.role is Role.TEXT else html).append(member)
        elif in_alternative:
            kind = kind or member.entity.role
            (text if kind is member.entity.role is Role.TEXT else html).append(member)
        else:
            text.append(member)
            html.append(member)
    if multipart.is_alternative:  # of one kind only, it is what all see
        if len(text) == texts:
            text += html[htmls:]
        elif len(html) == htmls:
            html += text[texts:]
