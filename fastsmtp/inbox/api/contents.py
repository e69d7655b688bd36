"""What is in one mail: its octets, texts, header, parts, dialogue, links and codes, and the JSON that a worker got."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from fastsmtp.inbox.api.answers import HARMLESS, answer_any, answer_text, send
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import INBOX, NAMESPACE, SHAPE, namespace_of, read_flag
from fastsmtp.inbox.documents import load
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.links import find_codes, find_links, text_pieces
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.parts import Part, read_contents, read_parts
from fastsmtp.inbox.rows import Row
from fastsmtp.inbox.webview import HEADERS, mentions_pictures, policy, remote_hosts, rewrite
from fastsmtp.inbox.workerpayload import worker_payload
from fastsmtp.system.timeslices import gathered, in_slices, joined

_LATEST: Final = "latest"
_CHUNK: Final = 256 * 1024
# What a browser shows without running anything of it; everything else is saved.
_SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_CHARSET: Final = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    mail = f"{NAMESPACE}/mails/{{uuid}}"
    return [
        web.get(f"{mail}/raw", raw),
        web.get(f"{mail}/text", text),
        web.get(f"{mail}/html", html),
        web.get(f"{mail}/headers", headers),
        web.get(f"{mail}/transcript", transcript),
        web.get(f"{mail}/parts", parts),
        web.get(f"{mail}/parts/{{number}}", part),
        web.get(f"{mail}/payload", payload),
        web.get(f"{mail}/links", links),
        web.get(f"{mail}/codes", codes),
        web.get(f"/ui/cid/{NAMESPACE.removeprefix('/api/ns/')}/{{uuid}}/{{content_id}}", picture),
    ]


async def row_of(request: web.Request) -> tuple[Namespace, Row]:
    """Return the mail in the path, a uuid or "latest". Raises Problem."""
    namespace, inbox = namespace_of(request), request.app[INBOX]
    uuid = request.match_info["uuid"]
    if uuid == _LATEST:
        rows = (await inbox.find(namespace, limit=1)).rows
        if not rows:
            raise Problem(404, f"there is no mail in {namespace.name}")
        return namespace, rows[0]
    row = await inbox.run(lambda store: store.mails.find(uuid, namespace))
    if row is None:
        raise Problem(404, f"there is no mail {uuid} in {namespace.name}")
    return namespace, row


async def rows_of(inbox: Inbox, namespace: Namespace, uuids: Iterable[str]) -> list[Row]:
    """Return the mails with these uuids that are there, each once, in this order."""
    found = [await inbox.run(lambda store: store.mails.find(uuid, namespace)) for uuid in dict.fromkeys(uuids)]  # noqa: B023
    return [row for row in found if row is not None]


async def document_pieces(inbox: Inbox, row: Row) -> AsyncIterator[bytes]:
    """Yield the JSON of a payload without contents, in pieces; nothing where only the summary is kept.

    Raises StoreError where it is gone.
    """
    for start in range(0, row.place.document_length if row.place.segment else 0, _CHUNK):
        yield await inbox.run(lambda store: store.mails.document(row, start, _CHUNK))  # noqa: B023


class StoredMail(NamedTuple):
    """A mail whose octets are kept."""

    namespace: Namespace | None
    row: Row
    request: web.Request

    async def octets(self) -> AsyncIterator[bytes]:
        """Yield the mail as it came, in pieces."""
        row = self.row
        for start in range(0, row.place.raw_length, _CHUNK):
            yield await self.request.app[INBOX].run(lambda store: store.mails.raw(row, start, _CHUNK))  # noqa: B023

    async def document(self) -> bytes:
        """Return the payload without contents."""
        return await self.request.app[INBOX].run(lambda store: store.mails.document(self.row))

    async def message(self) -> _Message:
        """Return what of the payload is shown."""
        message = (await load(await self.document()))["message"]
        return _Message(message["text"], message["html"], message["headers"], message["raw_headers"])

    async def parts(self) -> list[Part]:
        return await read_parts(self.octets())


class _Message(msgspec.Struct):
    text: str | None
    html: str | None
    headers: dict[str, str]
    raw_headers: list[list[str]]


async def stored(request: web.Request) -> StoredMail:
    """Return the mail in the path. Raises Problem, also where its octets are not kept."""
    namespace, row = await row_of(request)
    if not row.place.segment:
        raise Problem(404, "of this mail only the summary is kept")
    return StoredMail(namespace, row, request)


async def _message_of(request: web.Request) -> _Message:
    return await (await stored(request)).message()


async def raw(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/raw`: the octets as they came."""
    mail = await stored(request)
    described = {
        **HARMLESS,
        hdrs.CONTENT_TYPE: "message/rfc822",
        hdrs.CONTENT_DISPOSITION: disposition("attachment", f"{mail.row.uuid}.eml"),
    }
    return await send(request, mail.octets(), described, mail.row.place.raw_length)


async def text(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/text`: the plain text body."""
    message = await _message_of(request)
    if message.text is None:
        raise Problem(404, "this mail has no plain text")
    return await answer_text(request, message.text)


async def html(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/html`: the HTML body, harmless in a frame and on its own; `?source=1` as text, as it came.

    Nothing is loaded but pictures of the mail; `?remote=1` lets a browser load those of others, too.
    """
    mail = await stored(request)
    markup = (await mail.message()).html
    if markup is None:
        raise Problem(404, "this mail has no HTML")
    if read_flag(request.query, "source"):
        return await answer_text(request, markup)
    assert mail.namespace is not None
    place = f"/ui/cid/{mail.namespace.name}/{mail.row.uuid}/"
    named = await mail.parts() if await gathered(mentions_pictures(markup)) else []
    known = {part.content_id for part in named if part.content_id}

    def picture_of(content_id: str) -> str | None:
        return place + quote(content_id, safe="@") if content_id in known else None

    remote = bool(read_flag(request.query, "remote"))
    origin = f"{request.scheme}://{request.host}"
    described = {
        **HEADERS,
        "Content-Security-Policy": policy(origin, place, remote=remote),
        hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
    }
    return await send(request, encoded(rewrite(markup, picture_of)), described)


def encoded(pieces: Iterable[str]) -> AsyncIterator[bytes]:
    """Yield the octets of a text in pieces; others have their turn in between."""
    return joined((piece.encode("utf-8", "replace") for piece in pieces), _CHUNK)


async def headers(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/headers`: decoded, and every field in order as it was sent."""
    message = await _message_of(request)
    return await answer_any(request, {"headers": message.headers, "raw_headers": message.raw_headers})


async def transcript(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/transcript`: the SMTP dialogue."""
    document = await (await stored(request)).document()
    said = (await load(document))["session"].get("transcript")
    if said is None:
        raise Problem(404, "there is no transcript: smtp.include_transcript is off")
    return await answer_any(request, {"transcript": said})


async def parts(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/parts`: every part that is not a multipart, in order."""
    mail = await stored(request)
    base = request.path

    def shown(part: Part) -> dict[str, Any]:
        described = msgspec.to_builtins(part)
        del described["ordinal"]
        return {**described, "url": f"{base}/{part.number}"}

    return await answer_any(request, {"parts": await gathered(map(shown, await mail.parts()))})


async def part(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/parts/{n}`: the octets of one part, by the number that `parts` tells."""
    mail = await stored(request)
    number = request.match_info["number"]
    found = next((one for one in await mail.parts() if one.number == number), None)
    if found is None:
        raise Problem(404, f"this mail has no part {number}; there is a list at …/parts")
    return await send_part(request, mail, found, {})


async def picture(request: web.Request) -> web.StreamResponse:
    """`GET /ui/cid/{ns}/{uuid}/{content_id}`: a picture that the HTML of a mail shows."""
    mail = await stored(request)
    content_id = request.match_info["content_id"]
    found = next((one for one in await mail.parts() if one.content_id == content_id), None)
    if found is None:
        raise Problem(404, f"no part of this mail has the Content-ID {content_id}")
    # The document that shows it has an origin of its own.
    return await send_part(request, mail, found, {"Cross-Origin-Resource-Policy": "cross-origin"})


async def send_part(request: web.Request, mail: StoredMail, part: Part, more: dict[str, str]) -> web.StreamResponse:
    """Answer with the octets of a part, as something a browser shows only where nothing of it can run."""
    kind = "inline" if part.content_type in _SHOWN and part.disposition != "attachment" else "attachment"
    content_type = part.content_type if _TYPE.fullmatch(part.content_type) else "application/octet-stream"
    if content_type.startswith("text/") and part.charset and _CHARSET.fullmatch(part.charset):
        content_type += f"; charset={part.charset}"
    described = {
        **HARMLESS,
        **more,
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CONTENT_DISPOSITION: disposition(kind, part.filename or f"part-{part.number}"),
    }

    async def octets() -> AsyncIterator[bytes]:
        async for ordinal, decoded in read_contents(mail.octets()):
            if ordinal == part.ordinal:
                yield decoded
            elif ordinal > part.ordinal:
                return

    return await send(request, octets(), described, part.size)


def disposition(kind: str, filename: str) -> str:
    """Return a Content-Disposition (RFC 6266) with the last part of a name, whatever its sender had in it."""
    name = filename.replace("\\", "/").rpartition("/")[2].strip(". ") or "part"
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    extended = quote(name.encode("utf-8", "replace"), safe="")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{extended}"


async def payload(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/payload`: the JSON that a worker gets, octet by octet."""
    mail = await stored(request)
    pieces = worker_payload(await mail.document(), mail.octets, request.app[SHAPE])
    return await send(request, pieces, {**HARMLESS, hdrs.CONTENT_TYPE: "application/json"})


async def links(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/links`: what the mail refers to, and the hosts that its HTML would load something from."""
    message = await _message_of(request)
    found = await gathered(find_links(message.text, message.html))
    return await answer_any(request, {"links": found, "remote_hosts": await gathered(remote_hosts(message.html or ""))})


async def codes(request: web.Request) -> web.StreamResponse:
    """`GET …/mails/{uuid}/codes`: what looks like a code to be entered, the likeliest first."""
    message = await _message_of(request)
    shown = "".join(await gathered(text_pieces(message.text, message.html)))
    return await answer_any(request, {"codes": await in_slices(find_codes(shown))})
