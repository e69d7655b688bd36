"""Recordings: mails with their envelopes and their timing, as files that `replay`, `bench --replay` and `diff` read.

A recording is what `GET …/export?format=jsonl` answers: a line of JSON for each mail, in the order of their arrival.
In a directory the file is `recording.jsonl`, and the octets of each mail are a file beside it, named by `file` in place
of `raw`. A single message, and a directory of messages, are recordings without timing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastsmtp.client.auth import Account
from fastsmtp.client.mail import OwnEnvelope
from fastsmtp.client.submission import Submission
from fastsmtp.errors import FastSMTPError

LINES: Final = "recording.jsonl"
_MESSAGE: Final = ".eml"


class RecordingError(FastSMTPError):
    """A file is no recording; the text says where and why."""


class Recorded(NamedTuple):
    """One mail of a recording. What is not known is empty; `at_s` counts from the first mail."""

    octets: bytes
    envelope: OwnEnvelope
    at_s: float = 0.0
    connection: str = ""
    helo: str = ""
    mechanism: str = ""
    account: Account | None = None


def read_recording(path: Path) -> list[Recorded]:
    """Return the mails of a recording, in the order in which they came. Raises RecordingError."""
    try:
        if path.is_dir() and not (path / LINES).exists():
            found = [_message(file.read_bytes()) for file in sorted(path.glob(f"*{_MESSAGE}"))]
        elif path.suffix.lower() == _MESSAGE:
            found = [_message(path.read_bytes())]
        else:
            found = list(_recorded(path / LINES if path.is_dir() else path))
    except OSError as error:
        raise RecordingError(f"cannot read {error.filename or path}: {error.strerror}") from None
    if not found:
        raise RecordingError(f"there is no mail in {path}")
    first = min(one.at_s for one in found)
    return sorted((one._replace(at_s=one.at_s - first) for one in found), key=lambda one: one.at_s)


def _message(octets: bytes) -> Recorded:
    submission = Submission(octets)
    sender = submission.sender(("return-path", "sender", "from"))
    return Recorded(octets, OwnEnvelope(sender or "", submission.recipients()))


def _recorded(path: Path) -> Iterator[Recorded]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield _read(json.loads(line), path.parent)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
                raise RecordingError(f"{path}, line {number} is no mail of a recording: {reason}") from None


def _read(line: Any, directory: Path) -> Recorded:
    if not isinstance(line, dict):
        raise ValueError("it is no object")
    octets = _octets(line, directory)
    envelope = line.get("envelope", {})
    if not envelope:
        return _message(octets)._replace(at_s=_seconds(line))
    sender, recipients = envelope["from"], envelope["to"]
    if not (isinstance(sender, str) and _are(str, recipients)):
        raise ValueError("the envelope has a text as `from` and a list of texts as `to`")
    parameters, each = envelope.get("mail_params", {}), envelope.get("rcpt_params", [])
    if not all(_are(str, one.values()) for one in (parameters, *each)):
        raise ValueError("parameters are texts")
    texts = (sender, *recipients, envelope.get("helo") or "", *_texts(parameters), *map("".join, map(_texts, each)))
    if not all(text.isprintable() for text in texts):
        raise ValueError("what does not print cannot be part of a command")
    known = line.get("authentication") or {}
    user = known.get("username")
    return Recorded(
        octets,
        OwnEnvelope(sender, recipients, parameters, each),
        at_s=_seconds(line),
        connection=str(line.get("connection", "")),
        helo=str(envelope.get("helo", "")),
        mechanism=str(known.get("mechanism") or ""),
        account=Account(str(user), str(known.get("password") or "")) if user is not None else None,
    )


def _texts(parameters: Mapping[str, str]) -> list[str]:
    return [*parameters, *parameters.values()]


def _octets(line: Mapping[str, Any], directory: Path) -> bytes:
    if "file" not in line:
        octets: bytes = base64.b64decode(line["raw"], validate=True)
        return octets
    name = str(line["file"])
    if Path(name).name != name:
        raise ValueError(f"file: {name!r} does not lie beside it")
    return (directory / name).read_bytes()


def _are(kind: type, values: Any) -> bool:
    return all(isinstance(value, kind) for value in values) and not isinstance(values, str)


def _seconds(line: Mapping[str, Any]) -> float:
    """Return the Unix time of `received_at`, 0 where it is not known."""
    told = line.get("received_at")
    return datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp() if told else 0.0


def sessions_of(mails: Sequence[Recorded]) -> list[list[Recorded]]:
    """Return the mails of each connection, in the order in which these began; one whose is not known has its own."""
    found: dict[str, list[Recorded]] = {}
    for number, mail in enumerate(mails):
        found.setdefault(mail.connection or f"#{number}", []).append(mail)
    return list(found.values())
