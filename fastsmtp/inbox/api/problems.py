"""Errors as RFC 9457 has them, `application/problem+json`."""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import web

from fastsmtp.errors import FastSMTPError

_TITLES: Final = {
    400: "Bad request",
    401: "Not authorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Time is over",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Cannot be processed",
    429: "Too many",
    500: "Internal error",
    503: "Not available",
    507: "No room",
}


class Problem(FastSMTPError):
    """A request cannot be answered as its client wants; it is told so with this status."""

    def __init__(self, status: int, detail: str, *, pointer: str = "", **members: Any) -> None:
        """`pointer` is the JSON pointer (RFC 6901) to what is wrong in the request's document."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointer = pointer
        self.members = members

    def response(self) -> web.Response:
        """Return the answer."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        if self.pointer:
            document["pointer"] = self.pointer
        return web.Response(status=self.status, body=orjson.dumps(document), content_type="application/problem+json")


def bad(pointer: str, detail: str) -> Problem:
    """The problem of a value in a request's document that cannot be used."""
    return Problem(422, detail, pointer=pointer)
