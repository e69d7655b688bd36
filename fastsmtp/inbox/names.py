"""Names of namespaces and cursors into them."""

from __future__ import annotations

import re
import secrets
from typing import Final, NamedTuple

DEFAULT: Final = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(?:/[a-z0-9][a-z0-9._-]{0,63})?")
_FOREIGN = re.compile(r"[^a-z0-9._-]+")
# What may stand behind the name of a namespace in a path of the API; no worker of a run can be called so.
RESERVED: Final = ("mails", "cursor", "wait", "expect", "events", "faults", "ledger", "send", "export", "import")
_PART_CHARS: Final = 64


def is_name(text: str) -> bool:
    """Whether `text` can name a namespace: `[a-z0-9][a-z0-9._-]{0,63}`, once more behind one `/`."""
    return _NAME.fullmatch(text) is not None and text.partition("/")[2] not in RESERVED


def to_name(text: str) -> str:
    """Map any text to the name of a namespace: lower case, `-` for what a name cannot have; "" if nothing is left."""
    run, slash, worker = text.lower().partition("/")
    run = _to_part(run)
    worker = _to_part(worker) if slash else ""
    if worker in RESERVED:
        worker += "-"
    return f"{run}/{worker}" if run and worker else run or worker


def _to_part(text: str) -> str:
    return _FOREIGN.sub("-", text[: 4 * _PART_CHARS]).lstrip("._-")[:_PART_CHARS]


def new_epoch() -> str:
    """A word that no namespace of this name had before, with near certainty."""
    return secrets.token_hex(4)


class Cursor(NamedTuple):
    """A place in the order of a namespace's mails: behind the mail with this number. 0 is the start."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises ValueError for what is not a cursor."""
        epoch, dot, seq = text.partition(".")
        if not (dot and epoch.isalnum() and epoch.isascii() and seq.isdecimal() and seq.isascii() and len(seq) <= 18):
            raise ValueError("a cursor has the form EPOCH.NUMBER, as answers of this inbox carry it")
        return cls(epoch, int(seq))
