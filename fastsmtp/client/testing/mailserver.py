"""The mail server as a test run sees it: that of FASTSMTP_URL, or one of its own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastsmtp.client.testing.mailbox import Endpoint, OwnInbox
from fastsmtp.client.testing.testrun import RunError, hold

URL: Final = "FASTSMTP_URL"
SMTP: Final = "FASTSMTP_SMTP"
RUN: Final = "FASTSMTP_RUN"


class MailServer:
    """An inbox in which each test has a namespace. `stays` tells that it goes on when the run is over."""

    def __init__(self, url: str, smtp: str, *, stays: bool) -> None:
        """`smtp` is `host:port` where mails of all namespaces are taken, "" where each namespace has a port of its own.

        Raises RunError for another text.
        """
        self.url: Final = url
        self.stays: Final = stays
        self._common = _endpoint(smtp)
        self._prefix = secrets.token_hex(4)
        self.settings: Final[dict[str, Any]] = {} if smtp else {"listen": True}

    def open_inbox(self, name: str = "", settings: Mapping[str, Any] | None = None) -> OwnInbox:
        """Return a new inbox, to be closed. Raises InboxError."""
        unique = f"{self._prefix}/{name or secrets.token_hex(4)}"
        return OwnInbox(self.url, unique, self.settings if settings is None else settings, self._common)


def _endpoint(smtp: str) -> Endpoint | None:
    if not smtp:
        return None
    host, _colon, port = smtp.rpartition(":")
    if not host or not port.isdecimal():
        raise RunError(f"{SMTP}={smtp} is not like 127.0.0.1:1025")
    return Endpoint(host.strip("[]"), int(port), "")


@contextlib.contextmanager
def open_server(run: str) -> Iterator[MailServer]:
    """Yield the server at FASTSMTP_URL; else that of the run of this name, or of FASTSMTP_RUN. Raises RunError."""
    url = os.environ.get(URL)
    if url:
        yield MailServer(url, os.environ.get(SMTP, ""), stays=True)
        return
    with hold(re.sub(r"[^A-Za-z0-9._-]", "-", os.environ.get(RUN) or run)) as server:
        yield MailServer(server.url, "", stays=False)
