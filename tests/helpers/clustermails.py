"""Mails for the tests of a cluster, what workers get of them, and commands beside its nodes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PLAIN = b"From: A <a@example.com>\r\nTo: b@example.com\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"
VARYING = ("id", "uuid", "connection_uuid", "remote_addr", "received_at")


def multipart(octets: int) -> bytes:
    """A mail with an attachment of so many octets."""
    content = base64.encodebytes(bytes(range(256)) * (octets // 256)).replace(b"\n", b"\r\n")
    return (
        b'Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n"
        b"--b\r\nContent-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + content
        + b"\r\n--b--\r\n"
    )


def run(*arguments: str, directory: Path, status: int = 0) -> str:
    """The output of a command with the configuration in this directory."""
    command = [sys.executable, "-m", "fastsmtp", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def refused_start(serve_text: dict[str, Any], directory: Path) -> str:
    """What `serve` says when it does not start."""
    (directory / "refused.yaml").write_text(json.dumps(serve_text))
    told = run("serve", "-c", "refused.yaml", directory=directory, status=1)
    return told.splitlines()[-1]


def without_varying(value: Any) -> Any:
    """A document without what no two mails have in common."""
    if isinstance(value, dict):
        return {key: without_varying(item) for key, item in value.items() if key not in VARYING}
    return [without_varying(item) for item in value] if isinstance(value, list) else value
