"""Mails that come without SMTP: sent over the API, or imported. They are taken apart as any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.attachments import MemoryStorage
from fastsmtp.capture.capture import Capture, Services
from fastsmtp.capture.email import Email, Origin, Segment
from fastsmtp.capture.identifier import uuid7
from fastsmtp.client.submission import FROM, RETURN_PATH, SENDER, Submission
from fastsmtp.delivery.deferred import blocks_of
from fastsmtp.delivery.large import outline_steps
from fastsmtp.errors import FastSMTPError, StoreError
from fastsmtp.inbox.arrival import Incoming, arrival_steps
from fastsmtp.inbox.group import Filed, reason_of
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.namespaces import ACCEPTED as OUTCOME
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.system.timeslices import in_slices

_PIECE: Final = 16 * 1024  # octets that are taken apart at a time
_SERVER: Final = "api"


class IntakeError(FastSMTPError):
    """A mail cannot be taken as it is."""


def make_envelope(reverse_path: str, forward_paths: tuple[str, ...], *, helo: str = "") -> Envelope:
    """Return the envelope of a mail that came without SMTP."""
    return Envelope(
        helo=helo,
        esmtp=False,
        reverse_path=reverse_path,
        forward_paths=forward_paths,
        mail_parameters={},
        rcpt_parameters=tuple({} for _path in forward_paths),
    )


def envelope_of(octets: bytes) -> Envelope:
    """Return the envelope that a message itself tells: Return-Path or From; To, Cc and Bcc."""
    submission = Submission(octets)
    sender = submission.sender((RETURN_PATH, SENDER, FROM)) or ""
    return make_envelope(sender, tuple(dict.fromkeys(submission.recipients())))


class Filing:
    """A mail that is being committed."""

    def __init__(self, uuid: str) -> None:
        self._uuid: Final = uuid
        self._answered: asyncio.Future[list[Filed] | StoreError] = asyncio.get_running_loop().create_future()

    def answer(self, filed: list[Filed] | StoreError) -> None:
        """See `Inbox.file`."""
        self._answered.set_result(filed)

    async def committed(self) -> str:
        """Wait until it is, and return its uuid. Raises StoreError where it is not."""
        wrong = reason_of(await asyncio.shield(self._answered))
        if wrong:
            raise StoreError(wrong)
        return self._uuid


class Intake:
    """Files mails that come over the API."""

    def __init__(self, inbox: Inbox, log: FilteringBoundLogger, *, max_size: int = 0, checksum: bool = False) -> None:
        """`max_size` is the most octets of a mail, 0 = unlimited; with `checksum` attachments have theirs."""
        self.inbox: Final = inbox
        self.max_size: Final = max_size
        self._services: Final = Services(MemoryStorage(checksum=checksum), include_raw=False, log=log)

    async def file(
        self,
        namespace: str,
        octets: bytes,
        envelope: Envelope,
        *,
        remote_addr: str = "",
        received_at_ms: int = 0,
        outcome: str = OUTCOME,
    ) -> str:
        """Commit a mail to a namespace and return its uuid, see `begin`. Raises StoreError and IntakeError."""
        filing = await self.begin(
            namespace, octets, envelope, remote_addr=remote_addr, received_at_ms=received_at_ms, outcome=outcome
        )
        return await filing.committed()

    async def begin(
        self,
        namespace: str,
        octets: bytes,
        envelope: Envelope,
        *,
        remote_addr: str = "",
        received_at_ms: int = 0,
        outcome: str = OUTCOME,
    ) -> Filing:
        """File a mail in a namespace, after those that were filed before; `received_at_ms` 0 is now.

        Raises StoreError, and IntakeError for a mail that is too large.
        """
        if self.max_size and len(octets) > self.max_size:
            raise IntakeError(f"the mail has {len(octets)} octets, smtp.max_message_size is {self.max_size}")
        email = await self._captured(octets, envelope, remote_addr)
        document = b"".join(await in_slices(_document_steps(email)))
        at_ms = received_at_ms or time.time_ns() // 1_000_000
        filing = Filing(email.uuid)
        arrival = await in_slices(arrival_steps(Incoming(document, octets, (namespace,), at_ms, outcome)))
        self.inbox.file(arrival, filing.answer)
        return filing

    async def _captured(self, octets: bytes, envelope: Envelope, remote_addr: str) -> Email:
        capture = Capture(self._services, Origin(uuid7(), remote_addr, _SERVER, 1), envelope)
        for start in range(0, len(octets), _PIECE):
            buf = bytearray(octets[start : start + _PIECE])
            at = 0
            while at < len(buf):
                at = capture.feed(buf, at, len(buf))
            await asyncio.sleep(0)
        capture.close()
        email = capture.finish([])
        if email is None:
            raise StoreError("the mail could not be taken apart; the log says why")
        return email


def _document_steps(email: Email) -> Generator[None, None, list[Segment]]:
    made: list[Segment] = []
    for block in blocks_of((yield from outline_steps(email))):
        made.append(block)
        yield
    return made
