"""What a row of judged differences is: what is different, why ours is right, and how one is told.

Most rows have a cure: the message without what the reason names. The row accepts a difference only if the other parser
agrees with us about the cured message, so that nothing else can hide behind the row. Rows without a cure compare the
values. Each has a message that shows it, which `known.unproved` tries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from differences import Difference
from values import Judgement

Cure = Callable[[bytes], bytes]

PYTHON = ("python", "compat32")
ALL = (*PYTHON, "postal-mime")
ADDRESSES = ("senders", "recipients")
FIELDS = ("subject", "names", *ADDRESSES)
TEXTS = ("texts", "text", "html")
CHARSET_DEFECTS = ("missing-charset", "wrong-charset", "unknown-charset", "undecodable-charset")
IN_PARTS = ("parts", "names", "contents", "texts", "attached", "text", "html")
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


class Row(NamedTuple):
    """One judgement: `concerns` says whether it may be this, `cure` takes away what the reason names."""

    reason: str
    example: bytes
    concerns: Judgement
    cure: Cure | None = None

    def accepts(self, it: Difference) -> bool:
        """Whether a difference is this one."""
        if not self.concerns(it):
            return False
        if self.cure is None:
            return True
        cured = self.cure(it.octets)
        return cured != it.octets and not it.left_of(cured)


def of(aspects: tuple[str, ...], peers: tuple[str, ...] = ALL, *defects: str) -> Judgement:
    """Whether a difference is of one of these aspects and parsers, and one of these defects was noted."""
    return lambda it: it.aspect in aspects and it.peer in peers and (not defects or not it.defects.isdisjoint(defects))


def both(*judgements: Judgement) -> Judgement:
    """Whether all of the judgements hold."""
    return lambda it: all(judge(it) for judge in judgements)


def without(pattern: bytes, replacement: bytes = b"") -> Cure:
    """The cure that replaces all matches of a pattern."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda octets: compiled.sub(replacement, octets)
