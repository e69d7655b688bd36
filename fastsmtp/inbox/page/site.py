"""Where the page is: `/ui/`, and below it an address for every mailbox, mail and view of it.

The addresses are read by the page itself; each of them answers with the same document.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from aiohttp import hdrs, web

from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.page.files import PageFile, PageFiles

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " frame-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none';"
        " require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(?:/[a-z0-9][a-z0-9._-]{0,63})?")
_FOR_EVER: Final = "public, max-age=31536000, immutable"

page_files: Final = cache(PageFiles)


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [
        web.get("/", to_page),
        web.get("/ui", to_page),
        web.get("/ui/", document),
        web.get("/ui/ns", document),
        web.get("/ui/ns/{place:.*}", document),
        web.get(r"/ui/{version:[0-9a-f]{16}}/{name:[a-z0-9/.-]+}", file),
    ]


async def to_page(_request: web.Request) -> web.Response:
    """`GET /`: the page is at `/ui/`."""
    raise web.HTTPFound("/ui/")


async def document(request: web.Request) -> web.Response:
    """`GET /ui/…`: what every address of the page answers with; a browser asks each time whether it is the same."""
    answer = _answer(request, page_files().document, "no-cache")
    path = request.rel_url.raw_path
    # The browser asks for these before it has read the page's script, which uses them.
    listed, later = first_list(path, request.rel_url.raw_query_string), first_shown(path)
    if listed:
        answer.headers.add(hdrs.LINK, f"<{listed}>; rel=preload; as=fetch; crossorigin")
    if later:
        answer.headers.add(hdrs.LINK, f"</ui/{page_files().version}/{later}>; rel=modulepreload")
    return answer


def first_list(path: str, query: str) -> str:
    """Return what the page at this address asks for first, as `api.js` spells it; "" where that is not sure."""
    namespace, _shown = _read(path)
    return f"/api/ns/{namespace}/mails?outcome=any&limit=50" if namespace and not query else ""


def first_shown(path: str) -> str:
    """Return the file that the page at this address needs beside its first; "" where it needs none."""
    return _read(path)[1]


def _read(path: str) -> tuple[str, str]:
    """Read an address as `route.js` does: the namespace, and the file that shows what is beside its list."""
    parts = path.removeprefix("/ui/ns").strip("/").split("/")
    if not path.startswith("/ui/ns/"):
        return "", ""
    at = next((index for index in (2, 1) if len(parts) > index + 1 and parts[index] == "m"), 0)
    shown = "mail.js" if at else ""
    if not at and len(parts) > 1 and parts[-1] == "faults":
        parts.pop()
        shown = "faults.js"
    name = "/".join(parts[: at or 2])
    return (name, shown) if _NAMESPACE.fullmatch(name) else ("", shown)


async def file(request: web.Request) -> web.Response:
    """`GET /ui/{version}/{name}`: a file of the page."""
    found = page_files().find(request.match_info["name"])
    if found is None or request.match_info["version"] != page_files().version:
        raise Problem(404, "there is no such file of the page; it may be of another version")
    return _answer(request, found, _FOR_EVER)


def _answer(request: web.Request, found: PageFile, caching: str) -> web.Response:
    described = {**HEADERS, hdrs.ETAG: found.tag, hdrs.CACHE_CONTROL: caching, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if found.tag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=described)
    described[hdrs.CONTENT_TYPE] = found.content_type
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower():
        described[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=found.compressed, headers=described)
    return web.Response(body=found.octets, headers=described)
