"""Mails of a namespace: lists, one of them, marks, deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from fastsmtp.inbox.api.contents import row_of, rows_of
from fastsmtp.inbox.api.problems import bad
from fastsmtp.inbox.api.requests import (
    INBOX,
    MAX_LIST,
    MAX_PAYLOADS,
    NAMESPACE,
    answer,
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


async def list_mails(request: web.Request) -> web.Response:
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
    if full:
        found = _within_budget(found)
    mails = [await _shown(request, namespace, row, full=full) for row in found.rows]
    following = None if found.following is None else str(Cursor(namespace.epoch, found.following))
    counters = namespace.counters
    return answer(
        {
            "cursor": str(inbox.cursor(namespace)),
            "next": following,
            "total": counters.present,
            "unread": counters.unread,
            "evicted": counters.evicted + counters.expired,
            "mails": mails,
        }
    )


def _within_budget(found: Slice) -> Slice:
    """As many of the mails as one answer carries payloads of, at least one; the rest is in the next."""
    octets = 0
    for index, row in enumerate(found.rows):
        octets += row.place.document_length
        if index and octets > MAX_PAYLOADS:
            return Slice(found.rows[:index], found.rows[index - 1].seq)
    return found


def _read_order(query: Mapping[str, str]) -> bool:
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise bad("/order", "asc or desc")
    return order == "desc"


async def _shown(request: web.Request, namespace: Namespace, row: Row, *, full: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        **orjson.loads(row.summary),
        "seq": row.seq,
        "cursor": str(Cursor(namespace.epoch, row.seq)),
        "read": row.read,
        "tags": row.tags,
    }
    if full:
        document = await request.app[INBOX].run(lambda store: store.document(row))
        shown["payload"] = orjson.Fragment(document) if document else None
    return shown


async def show(request: web.Request) -> web.Response:
    """`GET …/mails/{uuid}`: summary and payload."""
    namespace, row = await row_of(request)
    return answer(await _shown(request, namespace, row, full=True))


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
