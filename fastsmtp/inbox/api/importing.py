"""Mails of an archive on their way into a namespace: many are filed together, in their order.

An archive is read some mails at a time. What is filed and not committed yet has a limit, of mails and of octets; where
the namespace may refuse a single one, it is waited for before the next: an import ends at the first that is not taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from fastsmtp.inbox.api.requests import are_tags
from fastsmtp.inbox.archives import Archived, ArchiveError
from fastsmtp.inbox.intake import Filing, Intake, IntakeError, envelope_of, make_envelope
from fastsmtp.inbox.namespaces import OUTCOMES, Namespace
from fastsmtp.inbox.store import Store
from fastsmtp.smtp.envelope import Envelope

_MAILS: Final = 500  # of one group
_OCTETS: Final = 8 * 1024 * 1024  # not committed yet, and one mail
_READ_OCTETS: Final = 1024 * 1024  # read ahead, and one mail
_SHOWN: Final = 1000  # uuids of an answer


class _Marked(NamedTuple):
    uuid: str
    read: bool
    tags: tuple[str, ...]


class Import:
    """One archive. `imported` mails are committed; `uuids` are those of the first."""

    def __init__(self, intake: Intake, namespace: Namespace, remote: str) -> None:
        """`remote` is the address of who sends it, for mails that do not say where they came from."""
        self._intake: Final = intake
        self._namespace: Final = namespace
        self._remote: Final = remote
        self._filings: deque[tuple[Filing, Archived]] = deque()  # not known to be committed, the oldest first
        self._octets = 0  # of them
        self.imported = 0
        self.uuids: list[str] = []

    async def run(self, mails: Iterator[Archived]) -> None:
        """File them all. Raises StoreError; and ArchiveError and IntakeError when what came before is committed."""
        try:
            while True:
                some, wrong = await self._intake.inbox.aside(_read_some, mails)
                for mail in some:
                    await self._file(mail)
                if wrong is not None:
                    raise wrong
                if not some:
                    break
        except (ArchiveError, IntakeError):
            await self._settle(0)
            raise
        await self._settle(0)

    async def _file(self, mail: Archived) -> None:
        filing = await self._intake.begin(
            self._namespace.name,
            mail.raw,
            _envelope_of(mail),
            remote_addr=mail.remote_addr or self._remote,
            received_at_ms=_milliseconds(mail.received_at),
            outcome=mail.outcome if mail.outcome in OUTCOMES else OUTCOMES[0],
        )
        self._filings.append((filing, mail))
        self._octets += len(mail.raw)
        if self._namespace.settings.on_quota == "refuse":
            await self._settle(0)
        elif len(self._filings) >= 2 * _MAILS or self._octets >= _OCTETS:
            await self._settle(len(self._filings) // 2)  # of two groups, one is committed while the other is read

    async def _settle(self, left: int) -> None:
        """Wait until no more than so many are not committed. Raises StoreError for the first that is not taken."""
        marked: list[_Marked] = []
        try:
            while len(self._filings) > left:
                filing, mail = self._filings.popleft()
                self._octets -= len(mail.raw)
                uuid = await filing.committed()
                self.imported += 1
                if len(self.uuids) < _SHOWN:
                    self.uuids.append(uuid)
                if mail.read or mail.tags:
                    tags = tuple(dict.fromkeys(mail.tags)) if are_tags(mail.tags) else ()
                    marked.append(_Marked(uuid, mail.read, tags))
        finally:
            await self._mark(marked)

    async def _mark(self, marked: list[_Marked]) -> None:
        """Mark what the archive says is read, or has tags; those that are alike in one step."""
        alike: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
        for uuid, read, tags in marked:
            alike.setdefault((read, tags), []).append(uuid)
        for (read, tags), uuids in alike.items():

            def find(store: Store, uuids: list[str] = uuids) -> list[Any]:
                found = (store.mails.find(uuid, self._namespace) for uuid in uuids)
                return [row for row in found if row is not None]  # the namespace may keep none of its mails

            rows = await self._intake.inbox.run(find)
            if rows:
                await self._intake.inbox.mark(rows, read=read, tags=tags)


def _read_some(mails: Iterator[Archived]) -> tuple[list[Archived], ArchiveError | None]:
    """Return the next mails, none at the end, and what is wrong behind them."""
    some: list[Archived] = []
    octets = 0
    try:
        for mail in mails:
            some.append(mail)
            octets += len(mail.raw)
            if octets >= _READ_OCTETS or len(some) >= _MAILS:
                break
    except ArchiveError as error:
        return some, error
    return some, None


def _milliseconds(timestamp: str) -> int:
    """Return the Unix time of a timestamp of RFC 3339, 0 for anything else."""
    try:
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return 0
    return int(moment.timestamp() * 1000) if moment.tzinfo is not None else 0


def _envelope_of(mail: Archived) -> Envelope:
    reverse_path, forward_paths = mail.envelope.get("from"), mail.envelope.get("to")
    if isinstance(reverse_path, str) and are_strings(forward_paths):
        assert forward_paths is not None
        return make_envelope(reverse_path, tuple(forward_paths), helo=str(mail.envelope.get("helo", "")))
    return envelope_of(mail.raw)


def are_strings(values: Any) -> bool:
    """Whether it is a list of strings."""
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
