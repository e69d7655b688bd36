"""What each parser makes of a message, in one shape that can be compared."""

from __future__ import annotations

import base64
import email
import email.header
import email.message
import email.policy
import email.utils
import json
import re
import struct
import subprocess
from dataclasses import dataclass
from typing import Any

import captures

from fastsmtp.mime.charset import decode_charset
from fastsmtp.mime.entity import Entity
from fastsmtp.mime.splitter import Splitter
from fastsmtp.mime.transfer import transfer_decoder

POSTAL_MIME = "4.0.0"


@dataclass
class View:
    """What a parser makes of a message; None where it was not asked or has failed.

    `parts` are the numbers and types of all leaves; `names`, `contents` and `texts` run parallel to them, with None for
    what the parser does not tell. `attached` are type, name and octets of what is not a body.
    `text` and `html` are the bodies joined.
    """

    subject: str | None = None
    senders: list[tuple[str, str]] | None = None
    recipients: list[tuple[str, str]] | None = None
    parts: list[tuple[str, str]] | None = None
    names: list[str] | None = None
    contents: list[bytes | None] | None = None
    texts: list[str | None] | None = None
    attached: list[tuple[str, str | None, bytes]] | None = None
    text: str | None = None
    html: str | None = None


ASPECTS = ("parts", "names", "contents", "texts", "subject", "senders", "recipients", "attached", "text", "html")


_MAILBOX = re.compile(r".*[^@<>\s]@[^@<>\s].*")


def spaced(text: str) -> str:
    """The text with runs of blanks and line ends made one: folding is no difference."""
    return re.sub(r"[\0 \t\r\n]+", " ", text).strip(" ")


class Leaves:
    """Collects the leaves of a message; a `PartHandler`."""

    def __init__(self) -> None:
        self.entities: list[Entity] = []
        self.octets: list[bytearray] = []

    def on_part_begin(self, entity: Entity) -> None:
        self.entities.append(entity)
        self._decoder = transfer_decoder(entity.transfer_encoding, [])
        self.octets.append(bytearray())

    def on_part_bytes(self, buf: bytearray, start: int, end: int) -> None:
        self.octets[-1] += self._decoder.feed(buf, start, end)

    def on_part_end(self) -> None:
        self.octets[-1] += self._decoder.close()

    def on_part_drop(self) -> None:
        self.entities.pop()
        self.octets.pop()


def ours(octets: bytes) -> tuple[View, set[str]]:
    """Our view, and all our defects."""
    context = captures.capture(octets)
    message = context["message"]
    leaves = Leaves()
    splitter = Splitter(leaves)
    captures.feed(splitter, bytearray(octets), 0)  # type: ignore[arg-type]
    splitter.close()
    texts: list[str | None] = []
    for entity, content in zip(leaves.entities, leaves.octets, strict=True):
        kind = entity.media_type.value
        label = entity.media_type.parameters.get("charset")
        readable = kind in ("text/plain", "text/html")
        texts.append(spaced(decode_charset(content, label, [], is_html=kind == "text/html")) if readable else None)
    attachments = context["attachments"]
    named = {entity.name_or_invented() for entity in leaves.entities if not entity.filename}
    view = View(
        subject=spaced(message["subject"] or ""),
        senders=_addresses((item["name"], item["address"]) for item in message["from"]),
        recipients=_addresses((item["name"], item["address"]) for item in message["to"]),
        parts=[(entity.number, entity.media_type.value) for entity in leaves.entities],
        names=[spaced(entity.filename or "") for entity in leaves.entities],
        contents=[_content(bytes(content)) for content in leaves.octets],
        texts=texts,
        attached=[
            (
                item["content_type"],
                None if item["filename"] in named else spaced(item["filename"]),
                _content(base64.b64decode(item["content"])),
            )
            for item in attachments
        ],
        text=spaced(message["text"] or ""),
        html=spaced(message["html"] or ""),
    )
    found = {*message["defects"], *(defect for item in attachments for defect in item["defects"])}
    return view, found


def _addresses(pairs: Any) -> list[tuple[str, str]]:
    """The mailboxes that have both a local part and a domain: of all else every parser makes something of its own."""
    return [(spaced(name), spaced(address)) for name, address in pairs if _MAILBOX.fullmatch(spaced(address))]


def _content(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").rstrip(b"\n")


class Python:
    """The standard library, with its default policy; the subject and names with the old one, too."""

    def view(self, octets: bytes) -> View:
        """Its view. Fields it fails on are None."""
        message = _attempt(lambda: email.message_from_bytes(octets, policy=email.policy.default))
        if message is None:
            return View()
        view = View(parts=[], names=[], contents=[], texts=[])
        for number, part in _leaves(message, ""):
            self._add(view, number, part)
        view.subject = _attempt(lambda: spaced(str(message["subject"] or "")))
        view.senders = _attempt(lambda: self._addresses(message, "from"))
        view.recipients = _attempt(lambda: self._addresses(message, "to"))
        return view

    def _add(self, view: View, number: str, part: Any) -> None:
        assert view.parts is not None
        assert view.names is not None
        assert view.contents is not None
        assert view.texts is not None
        kind = _attempt(part.get_content_type) or "text/plain"
        view.parts.append((number, kind))
        name = _attempt(part.get_filename)
        view.names.append(spaced(name or ""))
        content = None if part.is_multipart() else _attempt(lambda: part.get_payload(decode=True))  # message/* is more
        view.contents.append(None if content is None else _content(content))
        charset = _attempt(lambda: str(part.get_param("charset", "utf-8"))) or "utf-8"
        readable = content is not None and kind in ("text/plain", "text/html")
        view.texts.append(_decoded(content, charset) if readable else None)

    def _addresses(self, message: Any, name: str) -> list[tuple[str, str]]:
        field = message[name]
        return [] if field is None else _addresses((item.display_name, item.addr_spec) for item in field.addresses)


def _decoded(octets: bytes, charset: str) -> str | None:
    """The text, None where Python does not say: it reports octets without a meaning, and leaves them to its caller."""
    try:
        return spaced(octets.decode(charset.strip("\"'")).removeprefix("\ufeff"))
    except (LookupError, ValueError):
        return None


def _leaves(part: Any, number: str) -> list[tuple[str, Any]]:
    if part.get_content_maintype() != "multipart":
        return [(number, part)]
    if not part.is_multipart():  # without parts it is text, if there is any
        return [(number, _Preamble())] if part.get_payload().strip() else []
    found: list[tuple[str, Any]] = []
    for place, child in enumerate(part.get_payload(), 1):
        found += _leaves(child, f"{number}.{place}" if number else str(place))
    return found


class _Preamble:
    """Stands for the text of a multipart without parts, whose octets Python does not keep."""

    def get_content_type(self) -> str:
        return "text/plain"

    def get_filename(self) -> None:
        return None

    def is_multipart(self) -> bool:
        return True  # as far as contents are concerned

    def get_param(self, name: str, default: str) -> str:
        return default


def _attempt(call: Any) -> Any:
    try:
        return call()
    except Exception:
        return None


class Compat32:
    """The standard library with its old policy: what it makes of header fields only."""

    def view(self, octets: bytes) -> View:
        """Its view of the subject and the addresses."""
        message = email.message_from_bytes(octets)
        return View(
            subject=_attempt(lambda: spaced(_unencoded(message["subject"] or ""))),
            senders=_attempt(lambda: _old_addresses(message.get_all("from", [])[:1])),
            recipients=_attempt(lambda: _old_addresses(message.get_all("to", [])[:1])),
        )


def _unencoded(value: Any) -> str:
    return str(email.header.make_header(email.header.decode_header(value)))


def _old_addresses(fields: list[Any]) -> list[tuple[str, str]]:
    pairs = email.utils.getaddresses([str(field) for field in fields])
    return _addresses((_unencoded(name), address) for name, address in pairs)


class PostalMime:
    """postal-mime, in a process of its own."""

    def __init__(self, package: str, program: str) -> None:
        self._process = subprocess.Popen(["node", program, package], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def view(self, octets: bytes) -> View:
        """Its view; it tells nothing of parts."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("<I", len(octets)) + octets)
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            return View()
        return View(
            subject=spaced(answer["subject"]),
            senders=_addresses(answer["from"]),
            recipients=_addresses(answer["to"]),
            attached=[
                (kind, spaced(name) if name and name.strip() else None, _content(base64.b64decode(content)))
                for kind, name, content in answer["attachments"]
            ],
            text=spaced(answer["text"]),
            html=spaced(answer["html"]),
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
