"""A client of the inbox's HTTP API that blocks: for the command line, and for tests that are not coroutines."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from fastsmtp.errors import FastSMTPError

DEFAULT_URL: Final = "http://127.0.0.1:8025"
_CHUNK: Final = 256 * 1024
_WAITING_S: Final = 30.0  # for an answer, beyond what the server was asked to wait


class InboxError(FastSMTPError):
    """The inbox did not do what it was asked; `status` is that of HTTP, 0 where it was not reached."""

    def __init__(self, message: str, status: int = 0, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status: Final = status
        self.document: Final[Mapping[str, Any]] = document or {}


class APIAnswer(NamedTuple):
    """What the inbox answered: with status 2xx, or 408 and 409, which are about what was waited for."""

    status: int
    document: Any  # of JSON, else the octets


class InboxClient:
    """Calls one inbox, over a connection of its own for each call."""

    def __init__(self, url: str = DEFAULT_URL) -> None:
        """`url` may have a user name and a password. Raises ValueError for what is not an HTTP URL."""
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"no URL of an inbox: {url}")
        self.url: Final = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._headers: dict[str, str] = {"Accept": "application/json"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        document: Any = None,
        body: IO[bytes] | bytes | None = None,
        content_type: str = "application/json",
        wait_s: float = 0.0,
    ) -> APIAnswer:
        """Return the answer; `document` or `body` is sent along. Raises InboxError."""
        if document is not None:
            body = json.dumps(document).encode()
        with self._open(method, path, query, body, content_type, wait_s + _WAITING_S) as response:
            octets = response.read()
            return _read(response, octets)

    def download(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Yield the octets of an answer. Raises InboxError."""
        with self._open("GET", path, query, None, "", _WAITING_S) as response:
            if response.status != 200:
                _read(response, response.read())
            while piece := response.read(_CHUNK):
                yield piece

    def events(self, path: str, after: str = "") -> Iterator[tuple[str, str, Any]]:
        """Yield id, name and document of server-sent events until the stream ends. Raises InboxError."""
        headers = {"Last-Event-ID": after} if after else {}
        with self._open("GET", path, None, None, "", None, headers) as response:
            if response.status != 200:
                _read(response, response.read())
            fields: dict[str, str] = {}
            for line in iter(response.readline, b""):
                name, _colon, value = line.decode().rstrip("\r\n").partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                elif "data" in fields:
                    yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
                    fields = {}

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: IO[bytes] | bytes | None,
        content_type: str,
        timeout_s: float | None,
        more: Mapping[str, str] | None = None,
    ) -> _Response:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout_s)
        target = f"{self._prefix}{path}"
        if query:
            target += f"?{urlencode(query, doseq=True)}"
        headers = {**self._headers, **(more or {})}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(method, target, body, headers)
            return _Response(connection, connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise InboxError(f"no inbox answers at {self.url}: {_reason(error)}") from None


class _Response:
    """An answer and its connection; what fails while it is read is an InboxError."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status: Final = response.status
        self.content_type: Final = response.headers.get_content_type()

    def __enter__(self) -> _Response:  # noqa: PYI034  # Self is in typing from Python 3.11 on
        return self

    def __exit__(self, *_exception: object) -> None:
        self._response.close()
        self._connection.close()

    def read(self, size: int | None = None) -> bytes:
        try:
            return self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise InboxError(f"the inbox broke its answer off: {_reason(error)}") from None

    def readline(self) -> bytes:
        try:
            return self._response.readline()
        except (OSError, http.client.HTTPException) as error:
            raise InboxError(f"the inbox broke its answer off: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


def _read(response: _Response, octets: bytes) -> APIAnswer:
    document: Any = octets
    if response.content_type.endswith("json"):
        try:
            document = json.loads(octets)
        except ValueError:
            raise InboxError("what answers there is no inbox: its JSON is broken", response.status) from None
    if response.status < 300 or response.status in (408, 409):
        return APIAnswer(response.status, document)
    if isinstance(document, dict) and isinstance(document.get("detail"), str):
        pointer = f"{document['pointer']}: " if document.get("pointer") else ""
        raise InboxError(f"{pointer}{document['detail']}", response.status, document)
    raise InboxError(f"what answers there is no inbox: status {response.status}", response.status)


def namespace_path(name: str) -> str:
    """Return the path of a namespace."""
    return f"/api/ns/{quote(name, safe='/')}"
