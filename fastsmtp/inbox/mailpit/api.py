"""Mailpit's HTTP API v1, at the root for all namespaces together and under `/ns/{name}` for one."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import hdrs, web

from fastsmtp import __version__
from fastsmtp.inbox.api.answers import HARMLESS, answer_text, send
from fastsmtp.inbox.api.contents import StoredMail, encoded, send_part
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import INTAKE, RELAY
from fastsmtp.inbox.documents import load
from fastsmtp.inbox.mailpit import chaos, objects, sending, tags
from fastsmtp.inbox.mailpit.compatible import (
    Handler,
    as_json,
    compatible,
    done,
    not_found,
    read_ids,
    read_json,
    refused,
)
from fastsmtp.inbox.mailpit.release import ReleaseError, release
from fastsmtp.inbox.mailpit.scope import Scope, scope_of
from fastsmtp.inbox.mailpit.search import MailpitQuery
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.webview import HEADERS, policy, rewrite

NS: Final = "/ns/{ns:[^/]+(?:/(?!api/|view/|mailhog/|livez$|readyz$)[^/]+)?}"
VERSION: Final = f"v{__version__}-fastsmtp"  # as Mailpit spells its own
_LATEST: Final = "latest"
_LIMIT: Final = 50
# One white pixel, for what has no thumbnail.
_PIXEL: Final = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQEw8Q"
    "EBD/yQALCAABAAEBAREA/8wABgAQEAX/2gAIAQEAAD8A0s8g/9k="
)
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_STARTED: Final = time.time()


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes, at the root and in namespaces."""
    found: list[web.AbstractRouteDef] = []
    for method, path, handler in _ROUTES:
        for prefix in ("", NS):
            found.append(web.route(method, prefix + path, compatible(handler)))
    return found


# lists


async def list_messages(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/messages`."""
    scope, query = await scope_of(request), request.query
    counters = await scope.counters()
    start, limit = _number(query, "start", 0), _number(query, "limit", _LIMIT)
    before = _before(query)
    rows = await scope.page(before, start, limit or counters.present)
    return await as_json(request, await _summary(scope, rows, start, counters.present, counters.unread))


async def _summary(scope: Scope, rows: Sequence[Row], start: int, matches: int, unread: int) -> dict[str, Any]:
    counters = await scope.counters()
    messages: list[dict[str, Any]] = []
    for at in range(0, len(rows), _LIMIT):
        messages += await scope.inbox.aside(objects.message_summaries, rows[at : at + _LIMIT])
    return {
        "total": counters.present,
        "unread": counters.unread,
        "count": len(rows),
        "messages_count": matches,
        "messages_unread": unread,
        "start": start,
        "tags": sorted(counters.tags),
        "messages": messages,
    }


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else otherwise


def _before(query: Mapping[str, str]) -> MailpitQuery | None:
    text = query.get("before", "")
    return MailpitQuery(f'before:"{text}"', query.get("tz", "")) if text else None


def _search(request: web.Request) -> MailpitQuery:
    """Raises Problem."""
    text = request.query.get("query", "").strip()
    if not text:
        raise Problem(400, "Error: no search query")
    before = request.query.get("before", "")
    return MailpitQuery(f'{text} before:"{before}"' if before else text, request.query.get("tz", ""))


async def search(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/search`: `messages_count` counts all matches."""
    scope, condition = await scope_of(request), _search(request)
    start, limit = _number(request.query, "start", 0), _number(request.query, "limit", _LIMIT)
    page: list[Row] = []
    matches = unread = 0
    async for rows in scope.slices(condition):
        for row in rows:
            if start <= matches < start + limit:
                page.append(row)
            matches += 1
            unread += not row.read
    return await as_json(request, await _summary(scope, page, start, matches, unread))


async def delete_search(request: web.Request) -> web.Response:
    """`DELETE /api/v1/search`."""
    scope, condition = await scope_of(request), _search(request)
    async for rows in scope.slices(condition):
        await scope.inbox.delete(await scope.copies(rows))
    return done()


async def mark(request: web.Request) -> web.Response:
    """`PUT /api/v1/messages`: those named by IDs or by a search, or all."""
    scope, document = await scope_of(request), await read_json(request)
    if document is None:
        raise Problem(400, "EOF")
    if not isinstance(document, dict):
        raise Problem(400, "an object is wanted")
    uuids, text, read = read_ids(document), document.get("Search") or "", bool(document.get("Read"))
    if uuids and text:
        raise Problem(400, "you may specify either IDs or a search query, not both")
    if uuids:
        await scope.inbox.mark(await scope.rows_of(uuids), read=read)
        return done()
    condition = MailpitQuery(str(text), request.query.get("tz", "")) if text else None
    async for rows in scope.slices(condition):
        await scope.inbox.mark(await scope.copies(rows), read=read)
    return done()


async def delete(request: web.Request) -> web.Response:
    """`DELETE /api/v1/messages`: those of the IDs; all where there are none.

    MailHog has the same path, with nothing in its answer; a client of its sends nothing either.
    """
    scope = await scope_of(request)
    try:
        document = await read_json(request)
        uuids = read_ids(document)
    except Problem:
        document, uuids = {}, []
    if uuids:
        await scope.inbox.delete(await scope.rows_of(uuids))
    else:
        await scope.empty()
    return web.Response() if document is None else done()


# one mail


async def _mail(request: web.Request) -> tuple[Scope, StoredMail]:
    """Return the mail in the path. Raises Problem."""
    scope = await scope_of(request)
    ident = request.match_info["id"]
    if ident == _LATEST:
        text = request.query.get("query", "")
        rows = await scope.page(MailpitQuery(text, request.query.get("tz", "")) if text else None, 0, 1)
        if not rows:
            raise Problem(404, "Message not found")
        row: Row | None = rows[0]
    else:
        row = await scope.find(objects.to_uuid(ident))
    if row is None or not row.place.segment:
        raise Problem(404, "404 page not found")
    return scope, StoredMail(scope.namespace, row, request)


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/message/{ID}`: and it is read then."""
    scope, mail = await _mail(request)
    payload = await load(await mail.document())
    found = await objects.attachments(await mail.parts(), payload["attachments"], mail.octets)
    if not mail.row.read:
        await scope.inbox.mark(await scope.copies([mail.row]), read=True)
    return await as_json(request, await scope.inbox.aside(objects.message, mail.row, payload, found))


async def headers(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/message/{ID}/headers`."""
    _scope, mail = await _mail(request)
    return await as_json(request, await objects.canonical_headers((await mail.message()).raw_headers))


async def raw(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/message/{ID}/raw`."""
    _scope, mail = await _mail(request)
    described = {**HARMLESS, hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"}
    if request.query.get("dl") == "1":
        described[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{objects.to_id(mail.row.uuid)}.eml"'
    return await send(request, mail.octets(), described, mail.row.place.raw_length)


async def part(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/message/{ID}/part/{PartID}`."""
    _scope, mail = await _mail(request)
    number = request.match_info["part"]
    for one in await mail.parts():
        if one.number == number or (number == "0" and one.number == "1"):
            return await send_part(request, mail, one, {"Cross-Origin-Resource-Policy": "cross-origin"})
    return not_found()


async def thumb(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/message/{ID}/part/{PartID}/thumb`: the picture itself; a white one for what is not a picture."""
    _scope, mail = await _mail(request)
    number = request.match_info["part"]
    found = next((one for one in await mail.parts() if one.number == number), None)
    if found is None:
        return not_found()
    if found.content_type in _PICTURES:
        return await send_part(request, mail, found, {})
    return web.Response(body=_PIXEL, content_type="image/jpeg", headers=HARMLESS)


async def release_message(request: web.Request) -> web.Response:
    """`POST /api/v1/message/{ID}/release`: to the server that the configuration names, never to one of the client's."""
    _scope, mail = await _mail(request)
    document = await read_json(request)
    to = document.get("To") if isinstance(document, dict) else None
    if not isinstance(to, list) or not to or not all(isinstance(one, str) and "@" in one for one in to):
        raise Problem(400, "No valid addresses found")
    octets = b"".join([piece async for piece in mail.octets()])
    sender = (await load(mail.row.summary))["envelope"]["from"]
    try:
        await asyncio.to_thread(release, request.app[RELAY], octets, sender, to)
    except ReleaseError as error:
        return refused(str(error))
    return done()


async def html_check(request: web.Request) -> web.Response:
    """`GET …/html-check`: which clients support what is not known here."""
    _scope, mail = await _mail(request)
    if (await mail.message()).html is None:
        return refused("message does not contain HTML")
    return refused("the HTML check of Mailpit is not part of fastsmtp")


async def link_check(request: web.Request) -> web.Response:
    """`GET …/link-check`: the server fetches nothing."""
    await _mail(request)
    return refused("link check is off: this server fetches nothing; …/links of its own API lists them")


async def spam_check(request: web.Request) -> web.Response:
    """`GET …/sa-check`: without SpamAssassin there is no such path."""
    return not_found()


async def html(request: web.Request) -> web.StreamResponse:
    """`GET /view/{ID}.html`, harmless in a browser."""
    scope, mail = await _mail(request)
    markup = (await mail.message()).html
    if markup is None:
        return not_found()
    parts = {one.content_id: one.number for one in await mail.parts() if one.content_id}
    prefix = f"/ns/{scope.namespace.name}" if scope.namespace is not None else ""
    place = f"{prefix}/api/v1/message/{objects.to_id(mail.row.uuid)}/part/"

    def picture(content_id: str) -> str | None:
        number = parts.get(content_id)
        return None if number is None else place + number

    described = {
        **HEADERS,
        "Content-Security-Policy": policy(f"{request.scheme}://{request.host}", place, remote=False),
        hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
    }
    return await send(request, encoded(rewrite(markup, picture)), described)


async def text(request: web.Request) -> web.StreamResponse:
    """`GET /view/{ID}.txt`."""
    _scope, mail = await _mail(request)
    return await answer_text(request, (await mail.message()).text or "")


async def view_latest(request: web.Request) -> web.StreamResponse:
    """`GET /view/latest`: the place of the newest mail."""
    request.match_info["id"] = _LATEST
    scope, mail = await _mail(request)
    prefix = f"/ns/{scope.namespace.name}" if scope.namespace is not None else ""
    raise web.HTTPFound(f"{prefix}/view/{objects.to_id(mail.row.uuid)}.html")


# about the server


async def info(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/info`."""
    scope = await scope_of(request)
    counters = await scope.counters()
    sessions = (await scope.inbox.ledger(scope.namespace))["sessions"]
    return await as_json(
        request,
        {
            "Version": VERSION,
            "LatestVersion": "disabled",
            "Database": "inbox.sqlite",
            "DatabaseSize": counters.bytes,
            "Messages": counters.present,
            "Unread": counters.unread,
            "Tags": dict(sorted(counters.tags.items())),
            "RuntimeStats": {
                "Uptime": round(time.time() - _STARTED),
                "Memory": _resident(),
                "MessagesDeleted": counters.deleted + counters.evicted + counters.expired,
                "SMTPAccepted": counters.accepted,
                "SMTPAcceptedSize": counters.bytes,
                "SMTPRejected": sessions["refused"],
                "SMTPIgnored": counters.counted_only,
            },
        },
    )


def _resident() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def webui(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/webui`."""
    relay = request.app[RELAY]
    return await as_json(
        request,
        {
            "Label": "",
            "MessageRelay": {
                "Enabled": bool(relay),
                "SMTPServer": relay.removeprefix("smtp://"),
                "ReturnPath": "",
                "AllowedRecipients": "",
                "BlockedRecipients": "",
                "OverrideFrom": "",
                "PreserveMessageIDs": True,
                "RecipientAllowlist": "",
            },
            "SpamAssassin": False,
            "ChaosEnabled": True,
            "DuplicatesIgnored": False,
            "HideDeleteAllButton": False,
        },
    )


async def rest(request: web.Request) -> web.Response:
    """`OPTIONS /api/v1/…`. Other methods get 404 where there is no such path, and 405 where it has other methods."""
    if request.method == "OPTIONS":
        return web.Response()
    for resource in request.app.router.resources():
        _found, methods = await resource.resolve(request)
        if methods and hdrs.METH_ANY not in methods:
            raise web.HTTPMethodNotAllowed(request.method, methods)
    return not_found()


async def alive(_request: web.Request) -> web.Response:
    """`GET /livez`."""
    return web.Response()


async def ready(request: web.Request) -> web.Response:
    """`GET /readyz`: whether mails can be stored, and all are here that should be."""
    inbox = request.app[INTAKE].inbox
    wrong = await inbox.trouble() or inbox.behind
    return web.Response(status=503, text=f"{wrong}\n") if wrong else web.Response()


_ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/api/v1/messages", list_messages),
    ("PUT", "/api/v1/messages", mark),
    ("DELETE", "/api/v1/messages", delete),
    ("GET", "/api/v1/search", search),
    ("DELETE", "/api/v1/search", delete_search),
    ("GET", "/api/v1/message/{id}", show),
    ("GET", "/api/v1/message/{id}/headers", headers),
    ("GET", "/api/v1/message/{id}/raw", raw),
    ("GET", "/api/v1/message/{id}/part/{part}", part),
    ("GET", "/api/v1/message/{id}/part/{part}/thumb", thumb),
    ("POST", "/api/v1/message/{id}/release", release_message),
    ("GET", "/api/v1/message/{id}/html-check", html_check),
    ("GET", "/api/v1/message/{id}/link-check", link_check),
    ("GET", "/api/v1/message/{id}/sa-check", spam_check),
    ("POST", "/api/v1/send", sending.send_message),
    ("GET", "/api/v1/tags", tags.list_tags),
    ("PUT", "/api/v1/tags", tags.set_tags),
    ("PUT", "/api/v1/tags/{tag}", tags.rename_tag),
    ("DELETE", "/api/v1/tags/{tag}", tags.delete_tag),
    ("GET", "/api/v1/info", info),
    ("GET", "/api/v1/webui", webui),
    ("GET", "/api/v1/chaos", chaos.chaos),
    ("PUT", "/api/v1/chaos", chaos.set_chaos),
    (hdrs.METH_ANY, "/api/v1/{rest:.*}", rest),
    ("GET", "/view/latest", view_latest),
    ("GET", "/view/{id}.html", html),
    ("GET", "/view/{id}.txt", text),
    ("GET", "/livez", alive),
    ("GET", "/readyz", ready),
]
