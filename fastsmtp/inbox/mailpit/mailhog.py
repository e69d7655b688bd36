"""MailHog's HTTP API: v2 at the root and in namespaces, all of it under `/mailhog` too, where it meets no other."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Iterable, Iterator
from email.errors import MessageError
from email.feedparser import FeedParser
from email.message import Message
from email.policy import compat32
from typing import Any, Final

from aiohttp import hdrs, web

from fastsmtp.inbox.api.answers import HARMLESS, send
from fastsmtp.inbox.api.contents import StoredMail, send_part
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.documents import LARGE, load_now
from fastsmtp.inbox.events import EventFrame
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.mailpit import chaos
from fastsmtp.inbox.mailpit.api import NS
from fastsmtp.inbox.mailpit.compatible import Handler, as_json, compatible, not_found, refused
from fastsmtp.inbox.mailpit.objects import to_id, to_uuid
from fastsmtp.inbox.mailpit.scope import Scope, scope_of
from fastsmtp.inbox.mailpit.websocket import follow
from fastsmtp.inbox.parts import Part
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.where import Candidate
from fastsmtp.text import SEARCHED

PREFIX: Final = "/mailhog"
_LIMIT: Final = 50
_MOST: Final = 250
_MAX_OCTETS: Final = 32 * 1024 * 1024  # of the mails in one answer
_MOST_V1: Final = 1000
_HOST: Final = "@fastsmtp"
_KINDS: Final = ("from", "to", "containing")
# The library's work for each line grows with the multiparts around it.
_SMALL: Final = 16 * 1024  # octets of a mail that is taken apart whatever is in it
_MOST_PARTS: Final = 1000
_DEEPEST: Final = 10
_PIECE: Final = 64 * 1024  # octets that are read at a time


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes. `GET` and `DELETE /api/v1/messages` at the root are Mailpit's."""
    found: list[web.AbstractRouteDef] = []
    for prefix in ("", NS):
        for method, path, handler in _ROUTES:
            if (method, path) not in _MAILPITS:
                found.append(web.route(method, prefix + path, compatible(handler)))
            found.append(web.route(method, prefix + PREFIX + path, compatible(handler)))
    return found


class _Containing:
    """A condition: the text is somewhere in the mail."""

    recipient: Final = None

    def __init__(self, kind: str, text: str) -> None:
        self._kind = kind
        self._text = text.lower()

    def __call__(self, mail: Candidate) -> bool:
        envelope = mail.summary["envelope"]
        if self._kind == "from":
            return self._text in envelope["from"].lower()
        if self._kind == "to":
            return any(self._text in address.lower() for address in envelope["to"])
        message = mail.message
        pieces = [message.get("text") or "", message.get("html") or "", mail.summary["subject"] or ""]
        pieces += [value for _name, value in message.get("raw_headers", ())]
        return any(self._text in stretch.lower() for piece in pieces for stretch in self._stretches(piece))

    def _stretches(self, text: str) -> Iterator[str]:
        """Cut a text, with overlaps in which what is looked for may stand; lower case may have more characters."""
        for start in range(0, max(1, len(text)), SEARCHED):
            yield text[start : start + SEARCHED + len(self._text)]


def _number(request: web.Request, name: str, otherwise: int, most: int) -> int:
    text = request.query.get(name, "")
    return min(most, int(text)) if text.isdecimal() and text.isascii() and len(text) < 10 else otherwise


async def _messages(scope: Scope, rows: Iterable[Row], request: web.Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    octets = 0
    for row in rows:
        octets += row.place.raw_length
        if found and octets > _MAX_OCTETS:
            break  # a client that goes on from `start` + `count` gets the rest
        found.append(await _message(scope.inbox, StoredMail(scope.namespace, row, request)))
    return found


async def list_messages(request: web.Request) -> web.StreamResponse:
    """`GET /api/v2/messages`."""
    scope = await scope_of(request)
    start, limit = _number(request, "start", 0, 1 << 30), _number(request, "limit", _LIMIT, _MOST)
    items = await _messages(scope, await scope.page(None, start, limit), request)
    total = (await scope.counters()).present
    return await as_json(request, {"total": total, "count": len(items), "start": start, "items": items})


async def search(request: web.Request) -> web.StreamResponse:
    """`GET /api/v2/search`."""
    kind, text = request.query.get("kind", ""), request.query.get("query", "")
    if kind not in _KINDS or not text:
        return refused("")
    scope = await scope_of(request)
    start, limit = _number(request, "start", 0, 1 << 30), _number(request, "limit", _LIMIT, _MOST)
    page: list[Row] = []
    total = 0
    async for rows in scope.slices(_Containing(kind, text)):
        page += rows[max(0, start - total) : max(0, start + limit - total)]
        total += len(rows)
    items = await _messages(scope, page, request)
    return await as_json(request, {"total": total, "count": len(items), "start": start, "items": items})


async def list_v1(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/messages`: the newest."""
    scope = await scope_of(request)
    return await as_json(request, await _messages(scope, await scope.page(None, 0, _MOST_V1), request))


async def delete_all(request: web.Request) -> web.Response:
    """`DELETE /api/v1/messages`."""
    await (await scope_of(request)).empty()
    return web.Response()


async def _mail(request: web.Request) -> tuple[Scope, StoredMail]:
    """Return the mail in the path. Raises Problem."""
    scope = await scope_of(request)
    row = await scope.find(to_uuid(request.match_info["id"]))
    if row is None or not row.place.segment:
        raise Problem(404, "404 page not found")
    return scope, StoredMail(scope.namespace, row, request)


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/messages/{id}`."""
    scope, mail = await _mail(request)
    return await as_json(request, await _message(scope.inbox, mail))


async def delete(request: web.Request) -> web.Response:
    """`DELETE /api/v1/messages/{id}`."""
    scope, mail = await _mail(request)
    await scope.inbox.delete(await scope.copies([mail.row]))
    return web.Response()


async def download(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/messages/{id}/download`."""
    _scope, mail = await _mail(request)
    described = {
        **HARMLESS,
        hdrs.CONTENT_TYPE: "message/rfc822",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{to_id(mail.row.uuid)}.eml"',
    }
    return await send(request, mail.octets(), described, mail.row.place.raw_length)


async def download_part(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/messages/{id}/mime/part/{n}/download`: parts of the mail are counted from 0."""
    _scope, mail = await _mail(request)
    number = request.match_info["part"]
    wanted = str(int(number) + 1) if number.isdecimal() and number.isascii() and len(number) < 6 else ""
    for one in await mail.parts():
        if one.number == wanted:
            return await send_part(request, mail, one, {})
    return not_found()


async def release(_request: web.Request) -> web.Response:
    """`POST /api/v1/messages/{id}/release`: a client never names a server to send to."""
    return refused("release to a server of the request's choice is not possible")


async def outgoing(request: web.Request) -> web.StreamResponse:
    """`GET /api/v2/outgoing-smtp`."""
    return await as_json(request, {})


async def websocket(request: web.Request) -> web.StreamResponse:
    """`GET /api/v2/websocket`: a frame is one message."""
    scope = await scope_of(request)

    async def frames(changed: Iterable[EventFrame]) -> AsyncIterator[dict[str, Any]]:
        uuids = [mail["uuid"] for frame in changed if frame.event == "mail" for mail in frame.content["mails"]]
        rows = {row.uuid: row for row in await scope.rows_of(uuids)}
        for message in await _messages(scope, rows.values(), request):
            yield message

    return await follow(request, scope, frames)


# objects


async def _message(inbox: Inbox, mail: StoredMail) -> dict[str, Any]:
    simple = mail.row.place.raw_length <= _SMALL or _is_simple(await mail.parts())
    octets = b"".join([piece async for piece in mail.octets()])
    return await inbox.aside(_described, octets, mail.row.summary, simple=simple)


def _is_simple(parts: list[Part]) -> bool:
    return len(parts) <= _MOST_PARTS and all(len(part.inside) <= _DEEPEST for part in parts)


def _described(octets: bytes, summary_json: bytes, *, simple: bool) -> dict[str, Any]:
    """Takes long, and is for a thread."""
    summary = load_now(summary_json)
    envelope = summary["envelope"]
    text = _decoded(octets)
    content, mime = _taken_apart(octets, text) if simple else (_without_parts(text), None)
    return {
        "ID": f"{to_id(summary['uuid'])}{_HOST}",
        "From": _path(envelope["from"]),
        "To": [_path(address) for address in envelope["to"]],
        "Content": {**content, "MIME": None},
        "Created": summary["received_at"],
        "MIME": mime,
        "Raw": {"From": envelope["from"], "To": envelope["to"], "Data": text, "Helo": envelope["helo"]},
    }


def _taken_apart(octets: bytes, text: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what MailHog calls Content and MIME; a mail that the library cannot read has no parts."""
    try:
        parser = FeedParser(policy=compat32)
        for start in range(0, len(octets), _PIECE):
            parser.feed(octets[start : start + _PIECE].decode("latin-1"))  # characters that stand for octets
        message = parser.close()
        mime = {"Parts": [_part(part) for part in _parts(message)]} if message.is_multipart() else None
        return _content(message, text), mime
    except (RecursionError, LookupError, ValueError, TypeError, AttributeError, MessageError):
        return _without_parts(text), None


def _without_parts(text: str) -> dict[str, Any]:
    return {"Headers": {}, "Body": text, "Size": len(text)}


def _decoded(octets: bytes) -> str:
    """Return octets as Go's JSON has them: what is not UTF-8 is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [decoder.decode(octets[start : start + _PIECE]) for start in range(0, len(octets), _PIECE)]
    return "".join([*pieces, decoder.decode(b"", True)])


def _text(characters: str) -> str:
    return characters if characters.isascii() else _decoded(characters.encode("latin-1"))


def _path(address: str) -> dict[str, Any]:
    mailbox, _at, domain = address.rpartition("@")
    return {"Relays": None, "Mailbox": mailbox or domain, "Domain": domain if mailbox else "", "Params": ""}


def _content(message: Message, text: str) -> dict[str, Any]:
    _head, empty, body = text.partition("\r\n\r\n")
    if not empty:
        body = text.partition("\n\n")[2]
    return {"Headers": _headers(message), "Body": body, "Size": len(text)}


def _headers(message: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in message.items():
        found.setdefault(name, []).append(_text(str(value)))
    return found


def _parts(message: Message) -> list[Message]:
    parts: list[Message] = message.get_payload()  # type: ignore[assignment]
    return parts if isinstance(parts, list) else []


def _nested_body(part: Message) -> str:
    """Return a multipart as it stands there; "" for a large one: the library would take it apart by lines at once."""
    size = sum(len(one.get_payload()) for one in part.walk() if isinstance(one.get_payload(), str))
    return part.as_string().partition("\n\n")[2] if size <= LARGE else ""


def _part(part: Message) -> dict[str, Any]:
    nested = part.is_multipart()
    body = _nested_body(part) if nested else part.get_payload()
    body = _text(body) if isinstance(body, str) else ""
    inner = {"Parts": [_part(one) for one in _parts(part)]} if nested else None
    return {"Headers": _headers(part), "Body": body, "Size": len(body), "MIME": inner}


_ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/api/v2/messages", list_messages),
    ("GET", "/api/v2/search", search),
    ("GET", "/api/v1/messages", list_v1),
    ("DELETE", "/api/v1/messages", delete_all),
    ("GET", "/api/v1/messages/{id}", show),
    ("DELETE", "/api/v1/messages/{id}", delete),
    ("GET", "/api/v1/messages/{id}/download", download),
    ("GET", "/api/v1/messages/{id}/mime/part/{part}/download", download_part),
    ("POST", "/api/v1/messages/{id}/release", release),
    ("GET", "/api/v2/jim", chaos.jim),
    ("POST", "/api/v2/jim", chaos.invite_jim),
    ("PUT", "/api/v2/jim", chaos.change_jim),
    ("DELETE", "/api/v2/jim", chaos.dismiss_jim),
    ("GET", "/api/v2/outgoing-smtp", outgoing),
    ("GET", "/api/v2/websocket", websocket),
]
_MAILPITS: Final = {("GET", "/api/v1/messages"), ("DELETE", "/api/v1/messages")}
