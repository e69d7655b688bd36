"""All routes of the inbox's HTTP server, with what stands before them."""

from __future__ import annotations

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import InboxSettings
from fastsmtp.inbox.api import contents, events, mails, namespaces, waiting
from fastsmtp.inbox.api.guard import Guard
from fastsmtp.inbox.api.requests import INBOX, SHAPE
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.workerpayload import Shape

_MAX_BODY_BYTES = 1024 * 1024
_SHAPE = Shape()


def make_app(
    inbox: Inbox, settings: InboxSettings, log: FilteringBoundLogger, shape: Shape = _SHAPE
) -> web.Application:
    """Return the application; `shape` is that of what workers get."""
    guard = Guard(settings.hosts, settings.auth, log)
    app = web.Application(middlewares=[guard.problems, guard.origins, guard.logins], client_max_size=_MAX_BODY_BYTES)
    app[INBOX] = inbox
    app[SHAPE] = shape
    for module in (waiting, events, contents, mails, namespaces):
        app.add_routes(module.routes())
    return app
