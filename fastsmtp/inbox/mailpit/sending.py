"""`POST /api/v1/send`: Mailpit's document of a mail becomes ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from fastsmtp.inbox.api.compose import compose, mailbox_of
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import INTAKE
from fastsmtp.inbox.intake import IntakeError, envelope_of
from fastsmtp.inbox.mailpit import objects
from fastsmtp.inbox.mailpit.compatible import as_json, read_json
from fastsmtp.inbox.mailpit.scope import basic_user, scope_of
from fastsmtp.inbox.tags import FIELD, clean_tags
from fastsmtp.smtp.envelope import Credentials

_OWN_FIELDS: Final = ("to", "from", "cc", "bcc", "reply-to", "date", "subject", "content-type", "mime-version")


async def send_message(request: web.Request) -> web.StreamResponse:
    """`POST /api/v1/send`."""
    scope = await scope_of(request)
    try:
        document = await read_json(request)
        octets = await scope.inbox.aside(compose, _composed(document))
        envelope = envelope_of(octets)
        if not envelope.forward_paths:
            raise Problem(400, "error building message: no recipients (to, cc, bcc) set")
        name = scope.namespace.name if scope.namespace is not None else "default"
        envelope.credentials = _credentials(request)
        uuid = await request.app[INTAKE].file(name, octets, envelope, remote_addr=request.remote or "")
    except Problem as problem:
        return web.json_response({"Error": problem.detail}, status=400)
    except IntakeError as error:
        return web.json_response({"Error": str(error)}, status=413)
    return await as_json(request, {"ID": objects.to_id(uuid)})


def _composed(document: Any) -> dict[str, Any]:
    """Return Mailpit's document as ours. Raises Problem."""
    if not isinstance(document, dict):
        raise Problem(400, "EOF")
    attachments = document.get("Attachments") or []
    if not isinstance(attachments, list) or not all(isinstance(one, dict) for one in attachments):
        raise Problem(400, "Attachments is a list of objects")
    bcc = document.get("Bcc") or []
    return {
        "from": _mailboxes([document.get("From")], "From"),
        "to": _mailboxes(document.get("To") or [], "To"),
        "cc": _mailboxes(document.get("Cc") or [], "Cc"),
        "bcc": _mailboxes([{"Email": one} for one in bcc] if isinstance(bcc, list) else bcc, "Bcc"),
        "reply_to": _mailboxes(document.get("ReplyTo") or [], "ReplyTo"),
        "subject": document.get("Subject") or "",
        "text": document.get("Text") or None,
        "html": document.get("HTML") or None,
        "headers": _fields(document),
        "attachments": [_attachment(one) for one in attachments],
    }


def _credentials(request: web.Request) -> Credentials | None:
    """The user of the request is that of the mail."""
    username = basic_user(request)
    return Credentials("PLAIN", username, None) if username else None


def _fields(document: Mapping[str, Any]) -> Any:
    """The header fields, and tags as one of them. Raises Problem."""
    fields, tags = document.get("Headers") or {}, document.get("Tags") or []
    if not isinstance(fields, dict) or not isinstance(tags, list):
        return fields
    names = {str(name).lower(): name for name in fields}
    for name in (*_OWN_FIELDS, *([FIELD] if tags else [])):
        if name in names:
            raise Problem(400, f'cannot overwrite header: "{names[name]}"')
    cleaned = clean_tags(tags)
    return {**fields, "X-Tags": ", ".join(cleaned)} if cleaned else fields


def _mailboxes(items: Any, name: str) -> list[str]:
    if not isinstance(items, list):
        raise Problem(400, f"{name} is a list")
    found = []
    for item in items:
        email = item.get("Email", "") if isinstance(item, dict) else None
        if not isinstance(email, str) or "@" not in email.strip("@"):
            raise Problem(400, f"invalid {name} address: {email if isinstance(email, str) else item}")
        found.append(mailbox_of(str(item.get("Name") or ""), email))
    return found


def _attachment(item: Mapping[str, Any]) -> dict[str, Any]:
    content = str(item.get("Content", "")).rpartition(",")[2]
    found = {"content": content, "filename": str(item.get("Filename", ""))}
    if item.get("ContentType"):
        found["content_type"] = str(item["ContentType"])
    if item.get("ContentID"):
        found["content_id"] = str(item["ContentID"])
    return found
