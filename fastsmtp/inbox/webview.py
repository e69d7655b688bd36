"""The HTML of a mail made harmless to look at: what a browser may do with it is said by headers, not by cleaning.

The policy lets nothing be loaded but pictures of the mail itself, runs no script, sends no form, and gives the document
an origin of its own, also where its URL is opened directly. Some elements act past every policy, so they are taken
out: `link` (a `preconnect` opens a connection), `meta` (`refresh` leaves the page), `base`, and frames, whose `srcdoc`
may have those in it, written so that they are not seen here. A link opens a page that knows nothing of the mail.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_HOSTS: Final = 100
_SLICE: Final = 64 * 1024  # characters that are rewritten at a time
# However a browser parses the text around it, an element of this name begins with these characters.
_TAKEN_OUT: Final = re.compile(
    r"<(/?)(?=(?:link|meta|base|i?frame|frameset|object|embed|portal|fencedframe)(?:[\s/>\x00]|\Z))", re.IGNORECASE
)
_FOLLOWED: Final = re.compile(r"<(a|area)(?=[\s/>]|\Z)", re.IGNORECASE)
# Of attributes that are there twice, a browser takes the first. No quotes: this may be inside of a value.
_HARMLESS_LINK: Final = r"<\1 target=_blank rel=noopener&#32;noreferrer "
_CID: Final = re.compile(r"((?:=\s{0,9}[\"']?|\(\s{0,9}[\"']?)\s{0,9})cid:([^\"'\s<>)]{1,998})", re.IGNORECASE)
_OPENING: Final = '<!doctype html><meta charset="utf-8"><base target="_blank">'
# An attribute or a function of CSS that loads something, and from where.
_REMOTE: Final = re.compile(
    r"""(?:=\s{0,9}["']?|\(\s{0,9}["']?)\s{0,9}((?:https?:)?//[^"'\s<>)]{1,2000})""", re.IGNORECASE
)
# What a link leads to, or a form: nothing loads it.
_TARGET: Final = re.compile(
    r"""(<(?:a|area|form|link|base)[\s/][^<>]{0,4000}?\b(?:href|action|ping)\s{0,9}=\s{0,9}["']?)[^\s"'<>]{1,4000}""",
    re.IGNORECASE,
)

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def policy(origin: str, path: str, *, remote: bool) -> str:
    """Return the Content-Security-Policy of a mail's document.

    Pictures come from `path` at `origin` alone; with `remote` from the web, too, for this one look.
    """
    pictures = f"{origin}{path} data:" + (" https: http:" if remote else "")
    return (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline';"
        f" img-src {pictures}; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )


def mentions_pictures(markup: str) -> Iterator[bool | None]:
    """Yield True where a picture of the mail itself may be named, and None in between."""
    for piece in _pieces(markup):
        yield ("cid:" in piece.lower()) or None


def rewrite(markup: str, picture: Callable[[str], str | None]) -> Iterator[str]:
    """Yield the document in pieces; `picture` returns the URL of what a Content-ID names, None where nothing has it."""

    def url(match: re.Match[str]) -> str:
        found = picture(unquote(html.unescape(match[2])))
        return match[0] if found is None else match[1] + html.escape(found)

    yield _OPENING
    for piece in _pieces(markup):
        yield _CID.sub(url, _FOLLOWED.sub(_HARMLESS_LINK, _TAKEN_OUT.sub(r"<\1x-", piece)))


def remote_hosts(markup: str) -> Iterator[str | None]:
    """Yield the hosts from which a browser would load something, each once, at most 100.

    None is yielded in between: others may have their turn.
    """
    hosts: set[str] = set()
    for piece in _pieces(markup):
        yield None
        for match in _REMOTE.finditer(_TARGET.sub(r"\1", piece)):
            try:
                host = urlsplit(html.unescape(match[1])).hostname
            except ValueError:
                continue
            if host and host not in hosts:
                hosts.add(host)
                yield host
                if len(hosts) == MAX_HOSTS:
                    return


def _pieces(markup: str) -> Iterator[str]:
    """Cut the text before a `<`, so that no element's name is cut; where there is none, anywhere."""
    start = 0
    while start < len(markup):
        end = start + _SLICE
        if end < len(markup):
            cut = markup.rfind("<", start + 1, end)
            end = cut if cut > 0 else end
        yield markup[start:end]
        start = end
