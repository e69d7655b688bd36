"""A message that a program hands in for sending (RFC 6409): the envelope it asks for, and the fields it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.headerregistry import Address
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final, NamedTuple

from fastsmtp.mime.header import parse_addresses, parse_fields

_MBOX_LINE = re.compile(rb"From [^\n]*\n")  # of mailboxes, above the header
_EMPTY_LINE = re.compile(rb"^\r?\n", re.MULTILINE)
_DOT_LINE = re.compile(rb"^\.\r?$", re.MULTILINE)

FROM, SENDER, RETURN_PATH = "from", "sender", "return-path"
_RECIPIENTS: Final = ("to", "cc", "bcc")
_RESENT: Final = ("resent-to", "resent-cc", "resent-bcc")
_BLIND: Final = frozenset({b"bcc", b"resent-bcc"})


class Added(NamedTuple):
    """Which fields are added where they are missing; and whether Bcc is taken out, which others are not to see."""

    sender: str = ""  # the text of From, "" = none is added
    date: bool = True
    message_id: str = ""  # the domain of Message-ID, "" = none is added
    blind: bool = False  # leave Bcc as it is


class Submission:
    """One message, with lines that end in LF or CRLF."""

    def __init__(self, octets: bytes) -> None:
        """Anything is a message: what begins with a line that is not a field has no header."""
        mbox_line = _MBOX_LINE.match(octets)
        start = mbox_line.end() if mbox_line else 0
        empty_line = _EMPTY_LINE.search(octets, start)
        end = empty_line.start() if empty_line else len(octets)
        parsed = parse_fields(octets[start:end])
        self._fields = [(name.lower(), value) for name, value in parsed.fields]
        broken_off = parsed.body_start < end - start  # by a line that is not a field, which belongs to the body
        self._header = octets[start : start + parsed.body_start]
        if broken_off:
            self._body = octets[start + parsed.body_start :]
        else:
            self._body = octets[empty_line.end() :] if empty_line else b""

    def sender(self, names: Sequence[str] = (FROM,)) -> str | None:
        """Return the first address in the first of these fields that has one; "" for `<>`, None where none has one."""
        for wanted in names:
            for name, value in self._fields:
                if name == wanted:
                    if wanted == RETURN_PATH and value.replace(" ", "") == "<>":
                        return ""
                    if addresses := _mailboxes([value]):
                        return addresses[0]
        return None

    def recipients(self) -> list[str]:
        """Return each address in To, Cc and Bcc once; of a message that was sent again, those of that time."""
        names = {name for name, _ in self._fields}
        wanted = _RESENT if names & set(_RESENT) else _RECIPIENTS
        return _mailboxes(value for field in wanted for name, value in self._fields if name == field)

    def completed(self, added: Added) -> bytes:
        """Return the message as it is to be sent: what it lacks stands above the rest of its header."""
        names = {name for name, _ in self._fields}
        lines = []
        if added.sender and FROM not in names:
            lines.append(f"From: {added.sender}")
        if added.date and "date" not in names:
            lines.append(f"Date: {formatdate(localtime=True)}")
        if added.message_id and "message-id" not in names:
            lines.append(f"Message-ID: {make_msgid(domain=added.message_id)}")
        header = self._header if added.blind else _without(self._header, _BLIND)
        if header and not header.endswith(b"\n"):
            header += b"\n"
        return b"".join(f"{line}\n".encode() for line in lines) + header + b"\n" + self._body


def up_to_dot(octets: bytes) -> bytes:
    """Return what stands above the first line that is a single dot, which ends a message where it is not ignored."""
    found = _DOT_LINE.search(octets)
    return octets if found is None else octets[: found.start()]


def reverse_path(text: str, domain: str) -> str:
    """Return who a message is from, of a text like `a@b`, `Name <a@b>` or `user`; "" of an empty one and of `<>`.

    Raises ValueError where it is no address, or several.
    """
    if text.strip() in ("", "<>"):
        return ""
    found = forward_paths(text, domain)
    if len(found) != 1:
        raise ValueError(f"{text!r} is not one address")
    return found[0]


def forward_paths(text: str, domain: str) -> list[str]:
    """Return the addresses of a text like `a@b`, `Name <a@b>`, `user` or `a@b, user`. Raises ValueError for another."""
    # Not as it would be read in a header, where what stands before an address is a name.
    bare = not any(sign in text for sign in '<"(')
    torn = bare and any(len(part.split()) > 1 for part in text.split(","))
    found = _mailboxes([text]) if text.isprintable() and not torn else []
    if not found:
        raise ValueError(f"{text!r} is no address")
    return [qualified(address, domain) for address in found]


def qualified(address: str, domain: str) -> str:
    """Return an address with `domain` where it has none, as that of a user of this machine."""
    return address if "@" in address else f"{address}@{domain}"


def named(address: str, name: str) -> str:
    """Return the text of From for an address and a name, "" = none."""
    user, _, domain = address.rpartition("@")
    try:
        field: str = SMTP.header_factory("From", str(Address(name, user, domain))).fold(policy=SMTP)
    except ValueError:  # an address that this library does not take
        return f"<{address}>"
    return field.partition(":")[2].strip()


def _mailboxes(values: Iterable[str]) -> list[str]:
    """Each address once, in the order in which they stand there."""
    addresses = (item.address for value in values for item in parse_addresses(value, []))
    # What does not print cannot be part of a command.
    return list(dict.fromkeys(address for address in addresses if address and address.isprintable()))


def _without(header: bytes, names: frozenset[bytes]) -> bytes:
    """`header` without the fields of these names, and without the lines that continue them."""
    kept, keep = [], True
    for line in header.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            keep = line.partition(b":")[0].strip().lower() not in names
        if keep:
            kept.append(line)
    return b"".join(kept)
