"""All routes of the inbox's HTTP server, with what stands before them."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Middleware
from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import InboxSettings, SMTPSettings
from fastsmtp.delivery.omission import omission
from fastsmtp.inbox.api import (
    comparison,
    contents,
    description,
    events,
    faults,
    live,
    mails,
    namespaces,
    overview,
    transfer,
    waiting,
)
from fastsmtp.inbox.api.currency import Reach, current
from fastsmtp.inbox.api.guard import APIGuard
from fastsmtp.inbox.api.requests import AUTH, INBOX, INTAKE, RELAY, SHAPE
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.intake import Intake
from fastsmtp.inbox.mailpit import api, mailhog, websocket
from fastsmtp.inbox.page import site
from fastsmtp.inbox.planfile import has_tls
from fastsmtp.inbox.workerpayload import Shape

_MAX_BODY_BYTES = 1024 * 1024


def make_app(
    inbox: Inbox,
    settings: InboxSettings,
    smtp: SMTPSettings,
    log: FilteringBoundLogger,
    reach: Reach | None = None,
) -> web.Application:
    """Return the application; `smtp` are the settings of those that mails come from.

    Before a request about mails is answered, `reach` is awaited.
    """
    guard = APIGuard(settings.hosts, settings.auth, log)
    middlewares: list[Middleware] = [guard.problems, guard.origins, guard.logins]
    if reach is not None:
        middlewares.append(current(reach))
    app = web.Application(middlewares=middlewares, client_max_size=_MAX_BODY_BYTES)
    app[INBOX] = inbox
    app[AUTH] = settings.auth
    app[RELAY] = settings.relay
    app[faults.HAS_TLS] = has_tls(smtp)
    app[SHAPE] = Shape(smtp.payload == "jobs", smtp.include_raw, omission(smtp.payload_omit))
    checksum = smtp.attachment_storage.checksum != ""
    app[INTAKE] = Intake(inbox, log, max_size=smtp.max_message_size, checksum=checksum)
    native = (waiting, events, faults, contents, comparison, transfer, mails, namespaces, live, overview, description)
    # Mailpit's come last: they end with one that takes every path.
    for module in (*native, site, mailhog, websocket, api):
        app.add_routes(module.routes())
    return app
