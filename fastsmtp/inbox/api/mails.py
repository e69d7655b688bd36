"""Mails of a namespace: lists, one of them, marks, deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from fastsmtp.inbox.api.answers import JSON, answer, send
from fastsmtp.inbox.api.contents import document_pieces, row_of, rows_of
from fastsmtp.inbox.api.problems import bad
from fastsmtp.inbox.api.requests import (
    INBOX,
    MAX_LIST,
    MAX_PAYLOADS,
    NAMESPACE,
    are_tags,
    condition_of_query,
    namespace_of,
    read_document,
    read_fields,
    read_flag,
    read_limit,
    read_outcomes,
    read_position,
)
from fastsmtp.inbox.documents import LARGE
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.names import Cursor
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.search import Slice
from fastsmtp.inbox.where import Where

_LIST_KEYS: Final = ("after", "before", "limit", "order", "fields", "outcome", "unread")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [
        web.get(f"{NAMESPACE}/mails", list_mails),
        web.patch(f"{NAMESPACE}/mails", mark),
        web.delete(f"{NAMESPACE}/mails", delete),
        web.get(f"{NAMESPACE}/mails/{{uuid}}", show),
        web.delete(f"{NAMESPACE}/mails/{{uuid}}", delete_one),
    ]


async def list_mails(request: web.Request) -> web.StreamResponse:
    """`GET …/mails`: the newest first, or the oldest with `order=asc`."""
    namespace, inbox, query = namespace_of(request), request.app[INBOX], request.query
    newest_first = _read_order(query)
    where = condition_of_query(request, _LIST_KEYS)
    before = read_position(inbox, namespace, query.get("before"), "/before")
    found = await inbox.find(
        namespace,
        where,
        limit=read_limit(query),
        after=read_position(inbox, namespace, query.get("after"), "/after"),
        before=before or None,
        newest_first=newest_first,
        outcomes=read_outcomes(query.get("outcome")),
        unread=read_flag(query, "unread"),
    )
    full = read_fields(query.get("fields", "summary"))
    found = _within_budget(found, full=full)
    following = None if found.following is None else str(Cursor(namespace.epoch, found.following))
    counters = namespace.counters
    head = orjson.dumps(
        {
            "cursor": str(inbox.cursor(namespace)),
            "next": following,
            "total": counters.present,
            "unread": counters.unread,
            "evicted": counters.evicted + counters.expired,
        }
    )

    async def pieces() -> AsyncIterator[bytes]:
        mark = head[:-1] + b',"mails":['
        for row in found.rows:
            yield mark
            if full:
                async for piece in _with_payload(inbox, namespace, row):
                    yield piece
            else:
                yield _outline(namespace, row) + b"}"
            mark = b","
        yield b"]}" if found.rows else mark + b"]}"

    return await _answer(request, pieces(), sum(_octets(row, full=full) for row in found.rows))


def _octets(row: Row, *, full: bool) -> int:
    return len(row.summary) + (row.place.document_length if full else 0)


def _within_budget(found: Slice, *, full: bool) -> Slice:
    """As many of the mails as one answer carries, at least one; the rest is in the next."""
    octets = 0
    for index, row in enumerate(found.rows):
        octets += _octets(row, full=full)
        if index and octets > MAX_PAYLOADS:
            return Slice(found.rows[:index], found.rows[index - 1].seq)
    return found


def _read_order(query: Mapping[str, str]) -> bool:
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise bad("/order", "asc or desc")
    return order == "desc"


def _outline(namespace: Namespace, row: Row) -> bytes:
    """The JSON of a mail but for its payload, and without its end."""
    more = {"seq": row.seq, "cursor": str(Cursor(namespace.epoch, row.seq)), "read": row.read, "tags": row.tags}
    return b"%b,%b" % (row.summary[:-1], orjson.dumps(more)[1:-1])


async def _with_payload(inbox: Inbox, namespace: Namespace, row: Row) -> AsyncIterator[bytes]:
    """Yield the JSON of a mail; the payload is read from the store while it is sent."""
    yield _outline(namespace, row) + b',"payload":'
    pieces = document_pieces(inbox, row)
    yield await anext(pieces, b"") or b"null"  # only the summary is kept
    async for piece in pieces:
        yield piece
    yield b"}"


async def _answer(request: web.Request, pieces: AsyncIterator[bytes], octets: int) -> web.StreamResponse:
    """Answer with JSON of about so many octets, at once where it is little."""
    if octets > LARGE:
        return await send(request, pieces, {hdrs.CONTENT_TYPE: JSON})
    return web.Response(body=b"".join([piece async for piece in pieces]), content_type=JSON)


async def show(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}`: summary and payload."""
    namespace, row = await row_of(request)
    return await _answer(request, _with_payload(request.app[INBOX], namespace, row), _octets(row, full=True))


async def mark(request: web.Request) -> web.Response:
    """`PATCH …/mails`: mark as read, tag."""
    namespace = namespace_of(request)
    document = await read_document(request, ("where", "ids", "read", "tags"))
    read, tags = document.get("read"), document.get("tags")
    if read is not None and not isinstance(read, bool):
        raise bad("/read", "true or false")
    if tags is not None and not are_tags(tags):
        raise bad("/tags", "a list of strings without line ends")
    if read is None and tags is None:
        raise bad("", "nothing to change: read, tags")
    marks = {"read": read, "tags": None if tags is None else tuple(dict.fromkeys(tags))}
    matched = changed = 0
    async for rows in _chosen(request, namespace, document):
        matched += len(rows)
        changed += len(await request.app[INBOX].mark(rows, **marks))
    return answer({"matched": matched, "changed": changed})


async def _chosen(request: web.Request, namespace: Namespace, document: Mapping[str, Any]) -> AsyncIterator[list[Row]]:
    """The mails that a document names, some at a time: there may be millions."""
    inbox = request.app[INBOX]
    if ("where" in document) == ("ids" in document):
        raise bad("", "which mails? Either where or ids")
    if "where" in document:
        async for rows in inbox.slices(namespace, Where(document["where"], "/where")):
            yield rows
        return
    ids = document["ids"]
    if not isinstance(ids, list) or len(ids) > MAX_LIST or not all(isinstance(one, str) for one in ids):
        raise bad("/ids", f"a list of up to {MAX_LIST} uuids")
    yield await rows_of(inbox, namespace, ids)


async def delete(request: web.Request) -> web.Response:
    """`DELETE …/mails?where…`: those of the document's ids or that meet the condition; all of them with `all=true`."""
    namespace, inbox = namespace_of(request), request.app[INBOX]
    if document := await read_document(request, ("ids",)):
        return await _delete_named(request, namespace, document)
    where = condition_of_query(request, ("all", "outcome"))
    if where is None:
        if not read_flag(request.query, "all"):
            raise bad("/all", "everything goes only with all=true")
        if "outcome" not in request.query:
            return answer({"deleted": await inbox.empty(namespace), "cursor": str(inbox.cursor(namespace))})
    outcomes = read_outcomes(request.query.get("outcome"))
    deleted = 0
    async for rows in inbox.slices(namespace, where, outcomes):
        await inbox.delete(rows)
        deleted += len(rows)
    return answer({"deleted": deleted, "cursor": str(inbox.cursor(namespace))})


async def _delete_named(request: web.Request, namespace: Namespace, document: Mapping[str, Any]) -> web.Response:
    inbox = request.app[INBOX]
    deleted = 0
    async for rows in _chosen(request, namespace, document):
        await inbox.delete(rows)
        deleted += len(rows)
    return answer({"deleted": deleted, "cursor": str(inbox.cursor(namespace))})


async def delete_one(request: web.Request) -> web.Response:
    """`DELETE …/mails/{uuid}`."""
    namespace, row = await row_of(request)
    await request.app[INBOX].delete([row])
    return answer({"deleted": 1, "cursor": str(request.app[INBOX].cursor(namespace))})
