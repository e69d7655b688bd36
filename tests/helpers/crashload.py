"""A load of mails on a server whose processes are killed meanwhile, and what is to be in its inbox afterwards."""

from __future__ import annotations

import collections
import json
import smtplib
import threading
import urllib.parse
import urllib.request
from typing import Any, Final, NamedTuple

from waits import wait_until

_BODY: Final = "Subject: %s\r\n\r\nhello\r\n" + "x" * 60 + "\r\n"
_MAILS: Final = 10  # of one connection
_PATIENCE_S: Final = 30.0  # of a client
_AGAIN_S: Final = 0.01  # after which a client that is turned away comes again


class Fates(NamedTuple):
    """What clients were told of their mails; of one that is in neither its client never heard."""

    accepted: set[str]
    refused: set[str]


class CrashLoad:
    """Clients that send mails one after the other, each with a subject of its own, until they are stopped."""

    def __init__(self, host: str, port: int, clients: int = 4) -> None:
        self._address = host, port
        self._stopping = threading.Event()
        self._fates = Fates(set(), set())
        self._threads = [threading.Thread(target=self._send_on, args=(number,)) for number in range(clients)]

    def __enter__(self) -> CrashLoad:  # noqa: PYI034  (Self came with 3.11)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def accepted(self) -> int:
        """How many mails were answered 250 so far."""
        return len(self._fates.accepted)

    def stop(self) -> Fates:
        """Let each client hear of its last mail, and return what they were told."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self._fates

    def _send_on(self, client: int) -> None:
        sent = 0
        while not self._stopping.is_set():
            try:
                with smtplib.SMTP(*self._address, timeout=_PATIENCE_S) as smtp:
                    for _ in range(_MAILS):
                        sent += 1
                        self._send(smtp, f"{client}-{sent}")
            except (OSError, smtplib.SMTPException):
                self._stopping.wait(_AGAIN_S)

    def _send(self, smtp: smtplib.SMTP, subject: str) -> None:
        """Raises OSError and SMTPException where the connection is gone."""
        try:
            smtp.sendmail("a@example.com", ["b@example.com"], _BODY % subject)
        except smtplib.SMTPDataError as error:
            if error.smtp_code != 451:
                raise
            self._fates.refused.add(subject)
        else:
            self._fates.accepted.add(subject)


def faults(url: str, fates: Fates) -> list[str]:
    """Return what is wrong with the inbox at this URL after a load that has ended."""
    kept = collections.Counter(_subjects(url))
    wrong = [f"{subject} was answered 250 and is not there" for subject in sorted(fates.accepted - set(kept))]
    wrong += [f"{subject} was answered 451 and is there" for subject in sorted(fates.refused & set(kept))]
    wrong += [f"{subject} is there {count} times" for subject, count in sorted(kept.items()) if count > 1]
    ledger = settled_ledger(url)
    if not ledger["balanced"]:
        wrong.append(f"the ledger is not balanced: {ledger}")
    there = sum(kept.values())
    if not ledger["store"]["present"] == ledger["sessions"]["accepted"] == there:
        wrong.append(f"the ledger has not the {there} mails that are there: {ledger}")
    return wrong


def _subjects(url: str) -> list[str]:
    found: list[str] = []
    before = ""
    while True:
        page = _get(f"{url}/api/ns/default/mails?limit=1000{before}")
        found += [mail["subject"] for mail in page["mails"]]
        if page["next"] is None:
            return found
        before = f"&before={urllib.parse.quote(page['next'])}"


def settled_ledger(url: str) -> dict[str, Any]:
    """Return the ledger of all namespaces when nothing is in flight any more."""
    wait_until(lambda: not _get(f"{url}/api/ledger")["sessions"]["in_flight"])
    ledger: dict[str, Any] = _get(f"{url}/api/ledger")
    return ledger


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
        return json.load(answer)
