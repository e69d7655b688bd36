"""A recording is sent again: each connection of it by a thread, with its envelopes, its login and its pauses."""

from __future__ import annotations

import math
import re
import ssl
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from fastsmtp.client.client import SendError, SessionWatcher, SMTPClient
from fastsmtp.client.dialogue import Script
from fastsmtp.client.mail import Mail, OwnEnvelope, content_of
from fastsmtp.client.recording import Recorded, sessions_of

MAX_SPEED = math.inf


class ReplayOptions(NamedTuple):
    """Where to, how fast, and what is not as it was."""

    address: str
    script: Script  # what is said where the recording does not say it
    speed: float = 1.0  # times the original; MAX_SPEED = without pauses
    connections: int = 10  # at the same time, at most
    timeout_s: float = 60.0
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    same_helo: bool = True
    same_login: bool = True


class ReplayResult(NamedTuple):
    """What became of the mails: how many were accepted, and a sentence for each fault."""

    accepted: int
    faults: list[str]


class Replay:
    """One run."""

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._places = threading.BoundedSemaphore(options.connections)
        self._lock = threading.Lock()
        self._began = 0.0
        self._accepted = 0
        self._faults: list[str] = []

    def run(self, mails: Sequence[Recorded]) -> ReplayResult:
        """Send them, and return when the last session is over."""
        self._began = time.monotonic()
        threads = []
        for session in sessions_of(mails):
            self._wait(session[0])
            self._places.acquire()
            threads.append(threading.Thread(target=self._session, args=(session,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
        return ReplayResult(self._accepted, self._faults)

    def _wait(self, mail: Recorded) -> None:
        if self._options.speed < MAX_SPEED:
            time.sleep(max(0.0, self._began + mail.at_s / self._options.speed - time.monotonic()))

    def _session(self, session: Sequence[Recorded]) -> None:
        try:
            accepted, faults = self._talk(session)
        except SendError as error:
            accepted, faults = 0, [f"{len(session)} mails were not sent: {error}"]
        finally:
            self._places.release()
        with self._lock:
            self._accepted += accepted
            self._faults += faults

    def _talk(self, session: Sequence[Recorded]) -> tuple[int, list[str]]:
        options = self._options
        mails = {_mail(recorded): recorded for recorded in session}
        client = SMTPClient(options.address, options.timeout_s, SessionWatcher())
        try:
            dialogue = client.send_all(
                self._script(session[0]),
                list(mails),
                options.tls,
                implicit_tls=options.implicit_tls,
                before=lambda mail: self._wait(mails[mail]),
            )
        finally:
            client.close()
        faults = [f"{failure.kind}: {failure.text or failure.what}" for _mail, failure in dialogue.failures]
        if dialogue.unsent:
            faults.append(f"{len(dialogue.unsent)} mails were not sent: the session had ended")
        return len(dialogue.answered), faults

    def _script(self, first: Recorded) -> Script:
        script = self._options.script
        if self._options.same_helo and first.helo:
            script = script._replace(helo=first.helo)
        if self._options.same_login and first.account is not None:
            script = script._replace(account=first.account, mechanism=first.mechanism)
        return script


def _mail(recorded: Recorded) -> Mail:
    mail = Mail("", b"", content_of(recorded.octets))
    mail.envelope = recorded.envelope
    return mail


class RecipientMap:
    """Other recipients in the place of those of a recording: `OLD=NEW`; * in OLD is anything, in NEW the same."""

    def __init__(self, rules: Sequence[str]) -> None:
        """Raises ValueError."""
        self._rules = [self._read(rule) for rule in rules]

    def _read(self, rule: str) -> tuple[re.Pattern[str], str]:
        old, equals, new = rule.partition("=")
        if not equals or not old or old.count("*") > 1 or new.count("*") > old.count("*"):
            raise ValueError(f'"{rule}" is not like *@example.com=*@test.example, with one * on each side at most')
        before, star, after = old.partition("*")
        pattern = re.escape(before) + ("(.*)" if star else "()") + re.escape(after)
        return re.compile(pattern, re.IGNORECASE | re.DOTALL), new

    def apply(self, mail: Recorded) -> Recorded:
        """Return a mail with other recipients; those without a rule stay, those with an empty NEW are left out."""
        changed = [self._recipient(path) for path in mail.envelope.recipients]
        parameters = [*mail.envelope.rcpt_parameters, *[{}] * len(changed)]
        kept = [(path, own) for path, own in zip(changed, parameters, strict=False) if path]
        envelope = OwnEnvelope(
            mail.envelope.sender,
            [path for path, _ in kept],
            mail.envelope.mail_parameters,
            [own for _, own in kept],
        )
        return mail._replace(envelope=envelope)

    def _recipient(self, path: str) -> str:
        for pattern, new in self._rules:
            found = pattern.fullmatch(path)
            if found is not None:
                return new.replace("*", found[1])
        return path
