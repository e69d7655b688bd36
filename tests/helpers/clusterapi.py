"""Inboxes of a cluster, as their clients call them."""

from __future__ import annotations

import json
import smtplib
import urllib.error
import urllib.request
from typing import Any

from natsservers import Settings
from servers import Serve, Server


class API:
    """The API of one inbox."""

    def __init__(self, server: Server) -> None:
        self.url = server.inbox

    def __call__(self, method: str, path: str, document: Any = None, *, status: int = 200) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as told:
                code, octets = told.status, told.read()
        except urllib.error.HTTPError as error:
            code, octets = error.code, error.read()
        assert code == status, octets
        return json.loads(octets) if octets else None

    def subjects(self, namespace: str) -> list[str]:
        """Those of all mails of a namespace, the oldest first."""
        told = self("GET", f"/api/ns/{namespace}/mails?order=asc&limit=1000")
        return [mail["subject"] for mail in told["mails"]]


def send(server: Server, *subjects: str, to: str = "b@x.ns.test") -> None:
    with smtplib.SMTP(server.host, server.port, timeout=30) as smtp:
        for subject in subjects:
            smtp.sendmail("a@example.com", to.split(), f"Subject: {subject}\r\n\r\nhello\r\n")


def inbox_of(serve: Serve, node: Settings, **more: Any) -> Server:
    return serve({**node("inbox"), "inbox": {"address": "127.0.0.1:0", **more}}, worker=None)
