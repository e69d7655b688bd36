"""Clients of other protocols that came to the wrong port: a web page that posts to it, TLS where it is not spoken.

A page can make a browser send a request to any port of its user's machine, with a body that is a whole SMTP dialogue.
No SMTP client begins in this way, so that what follows is not looked at.
"""

from __future__ import annotations

import re
from typing import Final

# Methods of RFC 9110 section 9, RFC 5789 and RFC 9113 section 3.4; none is a verb of SMTP.
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI")
_BEGINNINGS: Final = tuple(method + " " for method in _METHODS)
_is_request_line: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+ .* (?i:HTTP)/[0-9](?:\.[0-9])?", re.DOTALL).fullmatch

TLS_HANDSHAKE: Final = 0x16  # the content type of a ClientHello (RFC 8446 section 5.1): its first octet


def is_http_request(line: str) -> bool:
    """Whether this is the first line of an HTTP request (RFC 9112 section 3), or the beginning of a line too long."""
    return line.startswith(_BEGINNINGS) or _is_request_line(line.rstrip(" \r")) is not None
