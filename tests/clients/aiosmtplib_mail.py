"""Sends the message in FILE with aiosmtplib, over STARTTLS. usage: aiosmtplib_mail.py HOST PORT FILE"""

import asyncio
import sys
from pathlib import Path

import aiosmtplib

host, port, path = sys.argv[1:]
asyncio.run(
    aiosmtplib.send(
        Path(path).read_bytes(),
        sender="zoe@example.com",
        recipients=["bob@example.com", "carol@example.com"],
        hostname=host,
        port=int(port),
        username="jürgen",
        password="gehëim",
        start_tls=True,
        validate_certs=False,
    )
)
