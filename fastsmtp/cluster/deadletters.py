"""Mails that no worker could take: listed, read, given to the workers again, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.bodies import MissingError, read_chunks
from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.message import Death, MailHeader, Outgoing, read_death, read_header
from fastsmtp.cluster.publisher import Publisher
from fastsmtp.cluster.subjects import DEAD, Subjects, dead_stream_name
from fastsmtp.config.cluster import ClusterSettings
from fastsmtp.delivery.destination import ACCEPTED
from fastsmtp.smtp.events import Verdict

_HEAD: Final = b"NATS/1.0\r\n"


class DeadError(Exception):
    """What was asked for cannot be done; the text is for the operator."""


class DeadMail(NamedTuple):
    """A mail as it stands in the stream; `body` is "" where it is in chunks."""

    seq: int
    subject: str
    header: MailHeader
    death: Death
    body: bytes


class _Stored(msgspec.Struct, frozen=True):
    """A message as the leader of a stream tells it; octets are base64 in JSON."""

    subject: str
    seq: int
    hdrs: bytes = b""
    data: bytes = b""


class _Fault(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    message: _Stored | None = None
    error: _Fault | None = None


class DeadLetters:
    """The dead of one cluster."""

    def __init__(self, connection: NATSConnection, settings: ClusterSettings, log: FilteringBoundLogger) -> None:
        self._connection: Final = connection
        self._settings: Final = settings
        self._log: Final = log
        self._stream: Final = dead_stream_name(settings.stream.prefix)

    async def mails(self) -> AsyncIterator[DeadMail]:
        """Yield them, the oldest first. Raises DeadError."""
        seq = 1
        while True:
            found = await self._get({"seq": seq, "next_by_subj": f"{DEAD}.>"})
            if found is None:
                return
            yield found
            seq = found.seq + 1

    async def get(self, seq: int) -> DeadMail:
        """Return one with its whole body. Raises DeadError."""
        found = await self._get({"seq": seq})
        if found is None:
            raise DeadError(f"there is no dead mail {seq}")
        if not found.header.chunks:
            return found
        try:
            return found._replace(body=await read_chunks(self._connection, self._stream, seq, found.header))
        except MissingError as error:
            raise DeadError(str(error)) from None

    async def retry(self, seq: int) -> DeadMail:
        """Publish one for the workers again, and take it from the dead. Raises DeadError."""
        mail = await self.get(seq)
        subjects = Subjects.of(mail.subject).alive()
        outgoing = Outgoing(subjects, f"retry.{self._stream}.{seq}", mail.header, [mail.body], len(mail.body))
        verdict = await self._publish(outgoing)
        if verdict not in ACCEPTED:
            raise DeadError(f"the cluster does not take it: {verdict.value}")
        await self._delete(mail)
        return mail

    async def remove(self, seq: int) -> DeadMail:
        """Delete one. Raises DeadError."""
        found = await self._get({"seq": seq})
        if found is None:
            raise DeadError(f"there is no dead mail {seq}")
        await self._delete(found)
        return found

    async def _publish(self, mail: Outgoing) -> Verdict:
        settings, connection = self._settings, self._connection
        inbox = connection.new_inbox()
        timeout_s = settings.ack_timeout_s
        publisher = Publisher(connection, inbox, self._log, mails=1, octets=1, ack_timeout_s=timeout_s)
        await connection.subscribe_replies(inbox, publisher.on_reply)
        publisher.start()
        told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        publisher.publish(mail, told.set_result)
        try:
            return await told
        finally:
            publisher.close()

    async def _get(self, wanted: dict[str, object]) -> DeadMail | None:
        answer = await self._ask("GET", wanted)
        stored = answer.message
        if stored is None:
            return None
        headers = _read_headers(stored.hdrs)
        try:
            header, death = read_header(headers), read_death(headers)
        except ValueError:
            death = None
        if death is None:
            raise DeadError(f"message {stored.seq} of stream {self._stream} is no dead mail")
        return DeadMail(stored.seq, stored.subject, header, death, stored.data)

    async def _delete(self, mail: DeadMail) -> None:
        for seq in range(mail.seq, mail.seq - mail.header.chunks - 1, -1):
            answer = await self._ask("DELETE", {"seq": seq, "no_erase": True})
            if answer.error is not None:
                raise DeadError(f"message {seq} of stream {self._stream}: {answer.error.description}")

    async def _ask(self, verb: str, wanted: dict[str, object]) -> _Answer:
        subject = f"$JS.API.STREAM.MSG.{verb}.{self._stream}"
        try:
            told = await self._connection.request(subject, msgspec.json.encode(wanted))
        except Exception as error:  # those of nats-py have no common base but this
            raise DeadError(f"the cluster does not answer: {error or type(error).__name__}") from None
        return msgspec.json.decode(told.body, type=_Answer)


def _read_headers(octets: bytes) -> dict[str, str]:
    lines = octets.removeprefix(_HEAD).decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return {name: value.strip() for name, _colon, value in pairs}
