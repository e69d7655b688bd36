"""Mails kept as files: the message as it came, and the JSON of it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from typing import Any


def prepare(directory: str) -> str:
    """Make `directory`, readable by its owner alone, unless it is there. Returns its full path. Raises OSError."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return os.path.abspath(directory)


class Archive:
    """Writes each mail to `<time>-<uuid>.eml` and `.json`. Nothing a client sent has a part in these names."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def keep(self, mail: Mapping[str, Any]) -> str:
        """Keep a mail whose JSON has the raw message, and return the path of its .eml. Raises OSError.

        Both files appear whole, the .json last. It lacks `message.raw`, which stands beside it.
        """
        # No colons: Windows, and what uploads files from a CI job, would refuse them.
        name = f"{re.sub('[^0-9TZ]', '', mail['received_at'])}-{mail['uuid']}"
        message = {key: value for key, value in mail["message"].items() if key not in ("raw", "raw_encoding")}
        path = os.path.join(self._directory, name)
        self._write(f"{path}.eml", _octets(mail["message"]))
        document = json.dumps({**mail, "message": message}, ensure_ascii=False, indent=2)
        self._write(f"{path}.json", f"{document}\n".encode())
        return f"{path}.eml"

    def _write(self, path: str, octets: bytes) -> None:
        unfinished = f"{path}.part"
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            try:
                left = memoryview(octets)
                while left:
                    left = left[os.write(fd, left) :]
            finally:
                os.close(fd)
            os.rename(unfinished, path)
        except OSError:
            os.unlink(unfinished)
            raise


def _octets(message: Mapping[str, Any]) -> bytes:
    raw: str = message["raw"]
    return base64.b64decode(raw) if message["raw_encoding"] == "base64" else raw.encode()
