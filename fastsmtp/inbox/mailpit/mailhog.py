"""MailHog's HTTP API: v2 at the root and in namespaces, all of it under `/mailhog` too, where it meets no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from email.policy import compat32
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from fastsmtp.inbox.api.contents import HARMLESS, StoredMail, send, send_part
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.events import EventFrame
from fastsmtp.inbox.mailpit import chaos
from fastsmtp.inbox.mailpit.api import NS
from fastsmtp.inbox.mailpit.compatible import Handler, as_json, compatible, not_found, refused
from fastsmtp.inbox.mailpit.objects import to_id, to_uuid
from fastsmtp.inbox.mailpit.scope import Scope, scope_of
from fastsmtp.inbox.mailpit.websocket import follow
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.where import Candidate

PREFIX: Final = "/mailhog"
_LIMIT: Final = 50
_MOST: Final = 250
_MAX_OCTETS: Final = 32 * 1024 * 1024  # of the mails in one answer
_MOST_V1: Final = 1000
_HOST: Final = "@fastsmtp"
_KINDS: Final = ("from", "to", "containing")


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
        return any(self._text in piece.lower() for piece in pieces)


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
        found.append(await _message(StoredMail(scope.namespace, row, request)))
    return found


async def list_messages(request: web.Request) -> web.Response:
    """`GET /api/v2/messages`."""
    scope = await scope_of(request)
    start, limit = _number(request, "start", 0, 1 << 30), _number(request, "limit", _LIMIT, _MOST)
    items = await _messages(scope, await scope.page(None, start, limit), request)
    total = (await scope.counters()).present
    return as_json({"total": total, "count": len(items), "start": start, "items": items})


async def search(request: web.Request) -> web.Response:
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
    return as_json({"total": total, "count": len(items), "start": start, "items": items})


async def list_v1(request: web.Request) -> web.Response:
    """`GET /api/v1/messages`: the newest."""
    scope = await scope_of(request)
    return as_json(await _messages(scope, await scope.page(None, 0, _MOST_V1), request))


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


async def show(request: web.Request) -> web.Response:
    """`GET /api/v1/messages/{id}`."""
    _scope, mail = await _mail(request)
    return as_json(await _message(mail))


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


async def outgoing(_request: web.Request) -> web.Response:
    """`GET /api/v2/outgoing-smtp`."""
    return as_json({})


async def websocket(request: web.Request) -> web.StreamResponse:
    """`GET /api/v2/websocket`: a frame is one message."""
    scope = await scope_of(request)

    async def frames(changed: Iterable[EventFrame]) -> list[dict[str, Any]]:
        uuids = [mail["uuid"] for frame in changed if frame.event == "mail" for mail in frame.content["mails"]]
        rows = {row.uuid: row for row in await scope.rows_of(uuids)}
        return await _messages(scope, rows.values(), request)

    return await follow(request, scope, frames)


# objects


async def _message(mail: StoredMail) -> dict[str, Any]:
    octets = b"".join([piece async for piece in mail.octets()])
    summary = orjson.loads(mail.row.summary)
    return await asyncio.to_thread(_described, octets, summary)


def _described(octets: bytes, summary: dict[str, Any]) -> dict[str, Any]:
    envelope = summary["envelope"]
    text = octets.decode("utf-8", "replace")
    content, mime = _taken_apart(octets, text)
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
        message = message_from_bytes(octets, policy=compat32)
        mime = {"Parts": [_part(part) for part in _parts(message)]} if message.is_multipart() else None
        return _content(message, text), mime
    except (RecursionError, LookupError, ValueError, TypeError, AttributeError, MessageError):
        return {"Headers": {}, "Body": text, "Size": len(text)}, None


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
        found.setdefault(name, []).append(str(value))
    return found


def _parts(message: Message) -> list[Message]:
    parts: list[Message] = message.get_payload()  # type: ignore[assignment]
    return parts if isinstance(parts, list) else []


def _part(part: Message) -> dict[str, Any]:
    nested = part.is_multipart()
    body = part.as_string().partition("\n\n")[2] if nested else part.get_payload()
    body = body if isinstance(body, str) else ""
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
