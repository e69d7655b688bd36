"""Mails into a namespace without SMTP, and out of it as a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO, Any, Final

from aiohttp import hdrs, web

from fastsmtp.errors import StoreError
from fastsmtp.inbox import archives
from fastsmtp.inbox.api.answers import answer
from fastsmtp.inbox.api.compose import compose
from fastsmtp.inbox.api.contents import rows_of
from fastsmtp.inbox.api.importing import Import, are_strings
from fastsmtp.inbox.api.problems import Problem, bad
from fastsmtp.inbox.api.requests import (
    INBOX,
    INTAKE,
    MAX_LIST,
    NAMESPACE,
    condition_of_query,
    name_of,
    namespace_of,
    parse_document,
    read_outcomes,
)
from fastsmtp.inbox.archives import ArchiveError, read_archive
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.intake import Intake, IntakeError, envelope_of, make_envelope
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.rows import Row
from fastsmtp.smtp.envelope import Envelope

MAX_IMPORT: Final = 4 * 1024 * 1024 * 1024  # octets of an archive
_SEND_KEYS: Final = (
    "from",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "subject",
    "text",
    "html",
    "headers",
    "attachments",
    "envelope",
)


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [
        web.post(f"{NAMESPACE}/send", send),
        web.get(f"{NAMESPACE}/export", export),
        web.post(f"{NAMESPACE}/import", import_),
    ]


# out


async def export(request: web.Request) -> web.StreamResponse:
    """`GET …/export?format=eml.zip|mbox|jsonl`: the mails that meet the condition, all without one, oldest first."""
    namespace, query = namespace_of(request), request.query
    name = query.get("format", archives.ZIP)
    if name not in archives.WRITERS:
        raise bad("/format", f"one of {', '.join(archives.WRITERS)}")
    slices = _exported(request, namespace)
    writer = archives.WRITERS[name]()
    filename = f"{namespace.name.replace('/', '_')}.{name}"
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: archives.CONTENT_TYPES[name],
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{filename}"',
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        async for rows in slices:
            for row in rows:
                mail = await _archived(request, row, writer, known=name == archives.JSONL)
                if mail:
                    await response.write(mail)
        await response.write(await asyncio.to_thread(writer.close))
    await response.write_eof()
    return response


def _exported(request: web.Request, namespace: Namespace) -> AsyncIterator[list[Row]]:
    """Return the mails of an archive, some at a time. Raises Problem and WhereError, at once."""
    query, inbox = request.query, request.app[INBOX]
    condition = condition_of_query(request, ("format", "outcome", "ids"))
    outcomes = read_outcomes(query.get("outcome"))
    uuids = [uuid for uuid in query.get("ids", "").split(",") if uuid]
    if len(uuids) > MAX_LIST or (uuids and condition is not None):
        raise bad("/ids", f"up to {MAX_LIST} uuids, and no condition beside them")
    if uuids:
        return _named(inbox, namespace, uuids)
    return inbox.slices(namespace, condition, outcomes, newest_first=False)


async def _named(inbox: Inbox, namespace: Namespace, uuids: Sequence[str]) -> AsyncIterator[list[Row]]:
    yield sorted(await rows_of(inbox, namespace, uuids), key=lambda row: row.seq)


async def _archived(request: web.Request, row: Row, writer: archives.Writer, *, known: bool) -> bytes:
    """Return a mail as the archive has it, with what is `known` of it; nothing where its octets are not there."""
    if not row.place.segment:
        return b""
    inbox = request.app[INBOX]
    try:
        octets = await inbox.run(lambda store: store.mails.raw(row))
        payload = await inbox.run(lambda store: store.mails.document(row)) if known else b""
    except StoreError:
        return b""
    return await inbox.aside(lambda: writer.add(archives.archived(row, octets, payload)))


# in


async def import_(request: web.Request) -> web.Response:
    """`POST …/import`: the mails of an archive; its format is told by `?format=` or by the Content-Type."""
    intake = request.app[INTAKE]
    name = _read_format(request)
    namespace = await _namespace(request)
    with tempfile.TemporaryFile() as file:
        await _receive(request, file)
        return answer(await _import(intake, namespace, file, name, request.remote or ""))


def _read_format(request: web.Request) -> str:
    name = request.query.get("format")
    if name is None:
        kinds = {content_type: kind for kind, content_type in archives.CONTENT_TYPES.items()}
        name = kinds.get(request.content_type, "")
        if not name:
            raise Problem(415, f"which format? ?format= or a Content-Type of {', '.join(kinds)}")
    elif name not in archives.CONTENT_TYPES:
        raise bad("/format", f"one of {', '.join(archives.CONTENT_TYPES)}")
    return name


async def _namespace(request: web.Request) -> Namespace:
    """Return the namespace in the path, made where there is none."""
    inbox = request.app[INBOX]
    name = name_of(request)
    return inbox.namespace(name) or await inbox.put(name)


async def _receive(request: web.Request, file: IO[bytes]) -> None:
    received = 0
    async for piece in request.content.iter_chunked(256 * 1024):
        received += len(piece)
        if received > MAX_IMPORT:
            raise Problem(413, f"an archive has at most {MAX_IMPORT} octets")
        try:
            await asyncio.to_thread(file.write, piece)
        except OSError as error:
            raise Problem(507, f"the archive cannot be kept while it is read: {error.strerror}") from None
    file.seek(0)


async def _import(intake: Intake, namespace: Namespace, file: IO[bytes], name: str, remote: str) -> dict[str, Any]:
    importing = Import(intake, namespace, remote)
    try:
        await importing.run(read_archive(file, name, intake.max_size))
    except (ArchiveError, IntakeError) as error:
        raise Problem(422, str(error), imported=importing.imported, uuids=importing.uuids) from None
    cursor = str(intake.inbox.cursor(namespace))
    return {"imported": importing.imported, "uuids": importing.uuids, "cursor": cursor}


async def send(request: web.Request) -> web.Response:
    """`POST …/send`: file a mail without SMTP; a document, or the message itself as `message/rfc822`."""
    intake = request.app[INTAKE]
    if request.content_type == archives.CONTENT_TYPES[archives.EML]:
        octets = await _read_message(request, intake.max_size)
        envelope = envelope_of(octets)
    else:
        octets = await _read_message(request, 2 * intake.max_size)  # its attachments are in base64
        document = await parse_document(octets, _SEND_KEYS)
        octets = await intake.inbox.aside(compose, document)
        envelope = _read_envelope(document, octets)
    namespace = await _namespace(request)
    try:
        uuid = await intake.file(namespace.name, octets, envelope, remote_addr=request.remote or "")
    except IntakeError as error:
        raise Problem(413, str(error)) from None
    return answer({"uuid": uuid, "cursor": str(intake.inbox.cursor(namespace))}, 201)


async def _read_message(request: web.Request, max_size: int) -> bytes:
    octets = bytearray()
    async for piece in request.content.iter_chunked(256 * 1024):
        octets += piece
        if max_size and len(octets) > max_size:
            raise Problem(413, f"a mail has at most {max_size} octets: smtp.max_message_size")
    if not octets.strip():
        raise Problem(400, "there is no mail in the body")
    return bytes(octets)


def _read_envelope(document: Mapping[str, Any], octets: bytes) -> Envelope:
    given = document.get("envelope")
    if given is None:
        return envelope_of(octets)
    if (
        not isinstance(given, dict)
        or given.keys() != {"from", "to"}
        or not (isinstance(given["from"], str) and are_strings(given["to"]))
    ):
        raise bad("/envelope", 'like {"from": "a@example.com", "to": ["b@example.com"]}')
    return make_envelope(given["from"], tuple(given["to"]))
