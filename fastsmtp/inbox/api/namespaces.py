"""Namespaces: make, look at, delete; their cursors and ledgers."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from fastsmtp.inbox.api.answers import answer, answer_any
from fastsmtp.inbox.api.faults import plan_of
from fastsmtp.inbox.api.problems import Problem, bad
from fastsmtp.inbox.api.requests import INBOX, NAMESPACE, name_of, namespace_of, read_document, read_seconds
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.misfits import misfit
from fastsmtp.inbox.namespaces import Namespace, NamespaceSettings
from fastsmtp.inbox.ports import PortError
from fastsmtp.inbox.summary import timestamp_ms
from fastsmtp.system.addresses import TCPAddress, parse_address
from fastsmtp.system.timeslices import gathered

_MAX_TTL_S: Final = 366 * 86400.0
_SETTINGS: Final = ("ttl", "quota", "on_quota", "keep", "listen", "magic", "faults")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [
        web.get("/api/ns", list_namespaces),
        web.delete("/api/ns", delete_namespaces),
        web.get("/api/ledger", ledger_of_all),
        web.get(f"{NAMESPACE}/cursor", cursor),
        web.get(f"{NAMESPACE}/ledger", ledger),
        web.put(NAMESPACE, put),
        web.get(NAMESPACE, show),
        web.delete(NAMESPACE, delete),
    ]


def shown(request: web.Request, namespace: Namespace) -> dict[str, Any]:
    """Return a namespace as answers have it."""
    counters, running = namespace.counters, request.app[INBOX].plans.of(namespace.name)
    base = f"{request.scheme}://{request.host}"
    return {
        "name": namespace.name,
        "cursor": str(request.app[INBOX].cursor(namespace)),
        "mails": counters.present,
        "unread": counters.unread,
        "refused": counters.refused_present,
        "bytes": counters.bytes,
        "tags": dict(sorted(counters.tags.items())),
        "created_at": timestamp_ms(namespace.created_at),
        "used_at": timestamp_ms(namespace.used_at),
        "last_mail_at": timestamp_ms(namespace.last_mail_at) if namespace.last_mail_at else None,
        "settings": msgspec.to_builtins(namespace.settings),
        "fault_rules": len(running.plan.rules) if running else 0,
        "address": f"inbox+ns.{namespace.name}@example.com",
        "smtp": _smtp(request, namespace),
        "urls": {
            "page": f"{base}/ui/ns/{namespace.name}",
            "api": f"{base}/api/ns/{namespace.name}",
            "mailpit": f"{base}/ns/{namespace.name}",
        },
    }


def _smtp(request: web.Request, namespace: Namespace) -> dict[str, Any] | None:
    """Where an application sends mails, so that they come here."""
    ports = request.app[INBOX].ports
    address = ports.address(namespace.name) or ports.common
    if not address:
        return None
    host, _colon, port = address.rpartition(":")
    host = host.strip("[]")
    if host in ("", "0.0.0.0", "::"):
        host = request.url.host or ""
    return {"host": host, "port": int(port), "username": namespace.name}


async def list_namespaces(request: web.Request) -> web.StreamResponse:
    """`GET /api/ns?prefix=`."""
    found = request.app[INBOX].namespaces(request.query.get("prefix", ""))
    return await answer_any(request, {"namespaces": await gathered(shown(request, namespace) for namespace in found)})


async def delete_namespaces(request: web.Request) -> web.StreamResponse:
    """`DELETE /api/ns?prefix=`: all whose names begin so."""
    prefix = request.query.get("prefix", "")
    if not prefix:
        raise bad("/prefix", "which ones? Their names begin with it")
    inbox = request.app[INBOX]
    names = [namespace.name for namespace in inbox.namespaces(prefix)]
    for name in names:
        await inbox.end(name)
    return await answer_any(request, {"deleted": names})


async def put(request: web.Request) -> web.Response:
    """`PUT /api/ns/{ns}`: make it, or change its settings; without a document they stay as they are."""
    name = name_of(request)
    document = await read_document(request, _SETTINGS)
    if "ttl" in document:
        document["ttl"] = read_seconds(document["ttl"], "/ttl", _MAX_TTL_S)
    plan = await plan_of(document.pop("faults"), request, "/faults") if "faults" in document else None
    told = bool(document)
    listen = _read_listen(request, name, document.pop("listen", False))
    settings = _read_settings(document)
    inbox = request.app[INBOX]
    new = inbox.namespace(name) is None
    if told or new:
        address = await _listening(inbox, name, listen)
        namespace = await inbox.put(name, msgspec.structs.replace(settings, listen=address))
    else:
        namespace = await inbox.put(name)
    if plan is not None:
        await inbox.plans.put(namespace, plan)
    return answer(shown(request, namespace), 201 if new else 200)


def _read_settings(document: dict[str, Any]) -> NamespaceSettings:
    """Return what a document says but for plan and port. Raises Problem."""
    try:
        settings = msgspec.convert(document, NamespaceSettings)
    except msgspec.ValidationError as error:
        raise bad(*misfit(error)) from None
    for key in ("mails", "bytes"):
        if getattr(settings.quota, key) < 0:
            raise bad(f"/quota/{key}", "a number from 0 on; 0 is no limit")
    return settings


def _read_listen(request: web.Request, name: str, listen: Any) -> str:
    """Return where a namespace is to listen, `host:port`, "" for nowhere. Raises Problem.

    With `true` it stays where it is.
    """
    ports = request.app[INBOX].ports
    if listen is True:
        host = ports.common.rpartition(":")[0] or "127.0.0.1"
        return ports.address(name) or f"{host}:0"
    if listen is False:
        return ""
    try:
        address = parse_address(listen) if isinstance(listen, str) else None
    except ValueError as error:
        raise bad("/listen", str(error)) from None
    if not isinstance(address, TCPAddress):
        raise bad("/listen", "true, false, or host:port")
    return str(listen)


async def _listening(inbox: Inbox, name: str, listen: str) -> str:
    """Return where the namespace listens from now on. Raises Problem."""
    if not listen:
        await inbox.ports.close(name)
        return ""
    if listen == inbox.ports.address(name):
        return listen
    try:
        return await inbox.ports.open(name, listen)
    except PortError as error:
        raise Problem(409, str(error), pointer="/listen") from None


async def show(request: web.Request) -> web.Response:
    """`GET /api/ns/{ns}`."""
    return answer(shown(request, namespace_of(request)))


async def delete(request: web.Request) -> web.Response:
    """`DELETE /api/ns/{ns}`: with all it holds."""
    name = name_of(request)
    if await request.app[INBOX].end(name) is None:
        raise Problem(404, f"there is no namespace {name}")
    return answer({"deleted": [name]})


async def cursor(request: web.Request) -> web.Response:
    """`GET /api/ns/{ns}/cursor`."""
    return answer({"cursor": str(request.app[INBOX].cursor(namespace_of(request)))})


async def ledger(request: web.Request) -> web.Response:
    """`GET /api/ns/{ns}/ledger`."""
    namespace = namespace_of(request)
    document = await request.app[INBOX].ledger(namespace)
    return answer({"namespace": namespace.name, "cursor": str(request.app[INBOX].cursor(namespace)), **document})


async def ledger_of_all(request: web.Request) -> web.Response:
    """`GET /api/ledger`."""
    return answer(await request.app[INBOX].ledger())
