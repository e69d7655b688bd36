"""The example of docs/payload.md is what a real server makes of the mail there."""

from __future__ import annotations

import json
import re
import smtplib
from pathlib import Path
from typing import Any

import pytest
from servers import TESTS, Serve, Server

DOCUMENT = (TESTS.parent / "docs" / "payload.md").read_text()
[MAIL] = re.findall(r"```eml\n(.*?)```", DOCUMENT, re.DOTALL)
IN_MEMORY, ON_DISK = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL))


def send(server: Server) -> None:
    octets = MAIL.replace("\n", "\r\n").encode()
    with smtplib.SMTP(server.host, server.port, "client.example.com") as client:
        client.ehlo()
        client.user, client.password = "alice", "secret"
        client.auth("PLAIN", client.auth_plain)
        client.mail("bounces@example.com", ["BODY=8BITMIME", f"SIZE={len(octets)}"])
        client.rcpt("bob@example.com", ["NOTIFY=NEVER"])
        client.rcpt("carol@example.com")
        assert client.data(octets)[0] == 250


def settled(context: dict[str, Any]) -> str:
    """The context as text, for the order of keys counts; what changes from run to run is that of the example."""
    changing = ("uuid", "connection_uuid", "remote_addr", "received_at")
    context = {key: IN_MEMORY[key] if key in changing else value for key, value in context.items()}
    for item, example in zip(context["attachments"], ON_DISK["attachments"], strict=True):
        if "path" in item:
            assert re.fullmatch(r"smtp-att-[0-9a-f-]{36}-\d+\.[a-z]+", Path(item["path"]).name)
            assert Path(item["path"]).suffix == Path(example["path"]).suffix
            item["path"] = example["path"]
    return json.dumps(context, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("mode", ["memory", "tempfile"])
def test_the_example_is_real(serve: Serve, tmp_path: Path, mode: str) -> None:
    server = serve({"smtp": {"attachment_storage": {"mode": mode, "temp_dir": str(tmp_path / "smtp-attachments")}}})
    send(server)
    [context] = server.records()
    example = IN_MEMORY if mode == "memory" else {**IN_MEMORY, **ON_DISK}
    assert settled(context) == json.dumps(example, indent=1, ensure_ascii=False)
