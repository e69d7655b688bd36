"""Plays conversations against a session, whole and cut to pieces, and says what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypedDict

import reference

from fastsmtp._parse import DataDecoder
from fastsmtp.smtp.envelope import Envelope, TLSInfo
from fastsmtp.smtp.events import (
    HEADROOM,
    Asked,
    ClientNamed,
    Closed,
    Command,
    Event,
    MailAborted,
    MailBegin,
    MailEnd,
    MailOctets,
    Replied,
    StartTLS,
    Verdict,
)
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings

PEER: Final = "192.0.2.9:4000"  # the other end of a connection
GREETING: Final = b"220 mx.test ESMTP fastsmtp\r\n"
TLS: Final = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")
SHORT: Final = 400  # octets of a conversation that is still played at every split point

Step: TypeAlias = tuple[bytes, bytes]  # what the client sends, all that the server answers

EHLO: Final[Step] = (
    b"EHLO client.test\r\n",
    b"250-mx.test\r\n250-PIPELINING\r\n250-SIZE 2000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
    b"250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\r\n250 HELP\r\n",
)
MAIL: Final[Step] = (b"MAIL FROM:<a@example.org>\r\n", b"250 2.1.0 Sender accepted\r\n")
RCPT: Final[Step] = (b"RCPT TO:<b@example.org>\r\n", b"250 2.1.5 Recipient accepted\r\n")
DATA: Final[Step] = (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n")
ACCEPTED: Final = b"250 2.0.0 Message accepted\r\n"
QUIT: Final[Step] = (b"QUIT\r\n", b"221 2.0.0 Bye\r\n")


def settings(
    *, strict: bool = False, tls: bool = False, trace: bool = False, size: int = 2000, recipients: int = 3
) -> SessionSettings:
    return SessionSettings("mx.test", size, recipients, strict, tls, trace, lambda: "nonce")


class Origin(TypedDict):
    """Where a session comes from, as `Session` takes it."""

    tls: TLSInfo | None
    remote_addr: str
    believed: bool


@dataclass
class Mail:
    """One mail: `end` is "complete", or why it was aborted; the content of an aborted one is left out."""

    content: bytes
    end: str = "complete"
    envelope: Envelope | None = field(default=None, compare=False, repr=False)


@dataclass
class Outcome:
    """What came of a conversation."""

    mails: list[Mail]
    others: list[str]  # StartTLS, Closed, and what trace shows
    violations: dict[str, tuple[str, int]]  # code -> (detail, count)

    def envelope(self) -> Envelope:
        """Of the only mail."""
        (mail,) = self.mails
        assert mail.envelope is not None
        return mail.envelope


class Player:
    """A session and its owner. Read buffers have headroom and a tail that must not be read, and are wiped after use."""

    def __init__(self, session: Session, verdicts: Iterable[Verdict] = ()) -> None:
        self.session = session
        self.outcome = Outcome([], [], {})
        self._verdicts = iter(verdicts)
        self._content: bytearray | None = None
        self._envelope: Envelope | None = None
        self._starting_tls = False
        self.output = b""
        self.asked: list[str] = []  # the stages about which plans were asked; none of them acts

    def send(self, chunk: bytes) -> None:
        buf = bytearray(b"\xee" * HEADROOM + chunk + b"\r\n.\r\nQUIT\r\n")
        self.session.receive(buf, HEADROOM, HEADROOM + len(chunk))
        self._carry_out()
        buf[:] = b"\xee" * len(buf)

    def end(self) -> None:
        self.session.receive_eof()
        self._carry_out()

    def finish_step(self) -> bytes:
        """Do what can only be done between two reads; all output since the last time."""
        self._carry_out()
        output, self.output = self.output, b""
        if self._starting_tls:
            self._starting_tls = False
            self.session.tls_established(TLS)
        return output

    def finish(self) -> Outcome:
        found = self.session.violations
        self.outcome.violations = {code: (item.detail, item.count) for code, item in found.items()}
        assert [item.code for item in found.values()] == list(found)
        return self.outcome

    def _carry_out(self) -> None:
        while True:
            for event in self.session.take_events():
                self._on_event(event)
            self.output += self.session.take_output()
            if self.session.waiting_for_answer:
                self._answer()
            elif self.session.waiting_for_decision:
                self.session.decide(next(self._verdicts, Verdict.ACCEPT))
            else:
                return

    def _answer(self) -> None:
        """No plan acts."""
        self.session.answer(None)
        self._carry_out_events()
        self.session.go_on()

    def _carry_out_events(self) -> None:
        for event in self.session.take_events():
            self._on_event(event)
        self.output += self.session.take_output()

    def _on_event(self, event: Event) -> None:
        assert "Closed" not in self.outcome.others
        if isinstance(event, Asked):
            self.asked.append(event.facts.stage)
        elif isinstance(event, MailBegin):
            assert self._content is None
            self._content = bytearray()
            self._envelope = event.envelope
        elif isinstance(event, MailOctets):
            assert self._content is not None
            assert 0 < event.start < event.end
            self._content += event.buf[event.start : event.end]
            # As the contract allows: what is before the end of a chunk is the receiver's.
            event.buf[event.start - 1 : event.end] = b"\xdd" * (event.end - event.start + 1)
        elif isinstance(event, MailEnd | MailAborted):
            assert self._content is not None
            if isinstance(event, MailEnd):
                mail = Mail(bytes(self._content), "complete", self._envelope)
            else:
                mail = Mail(b"", event.reason.value, self._envelope)
            self.outcome.mails.append(mail)
            self._content = None
        elif isinstance(event, Command | Replied):
            self.outcome.others.append(f"{'C' if isinstance(event, Command) else 'S'}: {event.line}")
        elif isinstance(event, ClientNamed):
            self.outcome.others.append(f"ClientNamed {event.remote_addr}")
        else:
            assert isinstance(event, StartTLS | Closed)
            self._starting_tls = isinstance(event, StartTLS)
            self.outcome.others.append(type(event).__name__)


def converse(
    *steps: Step,
    settings: SessionSettings = settings(),  # noqa: B008  (frozen)
    verdicts: Sequence[Verdict] = (),
    tls: TLSInfo | None = None,
    believed: bool = False,
    pipelined: bool = True,
) -> Outcome:
    """Play the steps in every manner, on both decoders, compare the answers of each step, and the outcomes.

    Manners: each step whole; octet by octet; where the conversation is short, with one cut at every point; and, unless
    `pipelined` is False, all of it in a single read.
    """
    outcomes = []
    origin: Origin = {"tls": tls, "remote_addr": PEER, "believed": believed}
    for make_decoder in (DataDecoder, reference.DataDecoder):
        for cut in _cuts(steps):
            player = Player(Session(settings, **origin, make_decoder=make_decoder), verdicts)
            player.session.greet()
            assert player.finish_step() == GREETING
            for number, (client, server) in enumerate(steps):
                for piece in cut(number, client):
                    player.send(piece)
                assert (client, player.finish_step()) == (client, server)
            outcomes.append(player.finish())
        if pipelined:
            player = Player(Session(settings, **origin, make_decoder=make_decoder), verdicts)
            player.send(b"".join(client for client, _ in steps))
            assert player.finish_step() == b"".join(server for _, server in steps)
            outcomes.append(player.finish())
    first = outcomes[0]
    assert all(outcome.mails == first.mails and outcome.violations == first.violations for outcome in outcomes)
    return first


class _Cut:
    """Cuts the client's octets of one step to pieces: at `at` octets into step `step`; size 1: everywhere."""

    def __init__(self, step: int = -1, at: int = 0, size: int = 0) -> None:
        self._step, self._at, self._size = step, at, size

    def __call__(self, step: int, client: bytes) -> list[bytes]:
        if self._size:
            return [client[i : i + self._size] for i in range(0, len(client), self._size)]
        return [client[: self._at], client[self._at :]] if step == self._step else [client]


def _cuts(steps: Sequence[Step]) -> Iterator[_Cut]:
    yield _Cut()
    yield _Cut(size=1)
    if sum(len(client) for client, _ in steps) <= SHORT:
        for number, (client, _) in enumerate(steps):
            yield from (_Cut(number, at) for at in range(1, len(client)))
