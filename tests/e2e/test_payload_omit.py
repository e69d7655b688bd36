"""`payload_omit`: a worker gets less, and the inbox keeps all."""

from __future__ import annotations

import json
import smtplib
from typing import Any

import pytest
from apicalls import call
from damage import multipart
from servers import Serve

SMALL = b"From: Bob <bob@example.com>\r\nSubject: x\r\n\r\ntext\r\n"
MAILS = {
    "small": SMALL,
    "attached": multipart("--b\n\ntext\n--b\nContent-Type: image/png\n\nx\n--b--\n"),
    "large": SMALL + b"text\r\n" * 100_000,
}


@pytest.mark.parametrize("name", MAILS)
def test_the_worker_gets_the_rest_and_the_inbox_all(serve: Serve, name: str) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}, "smtp": {"payload_omit": ["beyond"]}})
    with smtplib.SMTP(server.host, server.port) as client:
        client.sendmail("a@example.com", ["b@example.com"], MAILS[name])
    [record] = server.records()
    kept: dict[str, Any] = call(server, "GET", "/api/ns/default/mails/latest")[1]["payload"]
    assert sorted(record) == sorted(
        ["event", "uuid", "remote_addr", "received_at", "envelope", "authentication", "message", "attachments"]
    )
    assert record["message"] == {key: kept["message"][key] for key in ("headers", "body")}
    assert {"session", "connection_uuid"} < kept.keys()
    assert {"raw_headers", "text", "html", "from", "size", "defects"} < kept["message"].keys()
    _, shown = call(server, "GET", "/api/ns/default/mails/latest/payload")
    assert json.dumps(shown) == json.dumps(record)
