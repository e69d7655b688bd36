"""What stands before every handler: who may call, from where, and how errors look.

A page of anyone's can make a browser send requests to a port of this machine. So the name in `Host` has to be one of
ours (DNS rebinding), and what changes something or streams must not come from a page of another origin.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import InboxAuthSettings
from fastsmtp.errors import ClusterAwayError, CrowdedError, StoreError
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.inbox import GoneError
from fastsmtp.inbox.watchers import TooManyWatchers
from fastsmtp.inbox.where import WhereError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = frozenset({"/livez", "/readyz"})  # for probes, which have no password


class APIGuard:
    """Middlewares of one inbox."""

    def __init__(self, hosts: Sequence[str], auth: InboxAuthSettings, log: FilteringBoundLogger) -> None:
        """`hosts` are names beside localhost and literal loopback addresses."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._basic = f"{auth.username}:{auth.password}".encode() if auth.username else b""
        self._token = auth.token.encode()
        self._log = log

    @web.middleware
    async def problems(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer errors as documents."""
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except WhereError as error:
            return Problem(422, error.reason, pointer=error.pointer).response()
        except GoneError as error:
            return Problem(410, str(error)).response()
        except TooManyWatchers:
            return Problem(429, "too many wait here already").response()
        except CrowdedError as error:
            return Problem(429, str(error)).response()
        except ClusterAwayError as error:
            return Problem(503, str(error)).response()
        except StoreError as error:
            return Problem(507, str(error)).response()
        except web.HTTPException as error:
            if error.status < 400:
                raise
            if error.status == 404 and "//" in request.path and request.method in _SAFE_METHODS:
                # cypress-mailpit asks for `//view/…`; Mailpit's router sends such clients on, too.
                path = re.sub("/{2,}", "/", request.rel_url.raw_path)
                return web.Response(
                    status=301,
                    headers={hdrs.LOCATION: str(request.rel_url.with_path(path, encoded=True, keep_query=True))},
                )
            response = Problem(error.status, error.text or error.reason).response()
            for name in (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
                if name in error.headers:
                    response.headers[name] = error.headers[name]
            return response
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            self._log.exception("a request failed", method=request.method, path=request.path)
            return Problem(500, "the server failed; its log says why").response()

    @web.middleware
    async def origins(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what another site's page makes a browser send."""
        host = request.headers.get(hdrs.HOST, "")
        if not self._is_ours(host):
            raise Problem(421, f"this inbox is not called {host!r}; inbox.hosts lists other names it may have")
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not _same(origin, host):
            streams = "text/event-stream" in request.headers.get(hdrs.ACCEPT, "") or hdrs.UPGRADE in request.headers
            if request.method not in _SAFE_METHODS or streams or request.path.endswith("/events"):
                raise Problem(403, f"pages of {origin} may not do this")
        return await handler(request)

    @web.middleware
    async def logins(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Admit requests with the password or the token, where there is one."""
        if (self._basic or self._token) and request.path not in _OPEN_PATHS and not self._admits(request):
            raise web.HTTPUnauthorized(
                text="this inbox wants a password or a token",
                headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="Login", charset="UTF-8"'},
            )
        return await handler(request)

    def _admits(self, request: web.Request) -> bool:
        scheme, _space, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return bool(self._token) and hmac.compare_digest(given.strip().encode(), self._token)
        return scheme.lower() == "basic" and self._admits_login(given)

    def _admits_login(self, given: str) -> bool:
        """Whether this is user name and password, or any user with the token as password: browsers ask for both."""
        try:
            login = base64.b64decode(given, validate=True)
        except binascii.Error:
            return False
        if self._basic and hmac.compare_digest(login, self._basic):
            return True
        password = login.partition(b":")[2]
        return bool(self._token) and hmac.compare_digest(password, self._token)

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        if name == "localhost" or name.endswith(".localhost") or name in self._hosts or "*" in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _name(host: str) -> str:
    """The name in a `Host` header, without port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
