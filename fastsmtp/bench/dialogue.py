"""The client's side of an SMTP session (RFC 5321), without sockets and time: mails in, octets out, outcomes.

The owner feeds replies to `receive`, takes `answered`, `failures` and `unsent`, gives the next mail to `send` while
there is `room`, and writes what `take_octets` returns. With PIPELINING (RFC 2920) envelope and DATA are one group, and
that of the next mail goes along with the mail data: a mail costs one round trip. Without it each command waits for its
reply. With CHUNKING (RFC 3030) on top, a whole mail is one group.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from fastsmtp.bench.message import Template
from fastsmtp.client.client import Credentials

# What a reply is awaited for: as the table of errors names it.
GREETING: Final = "greeting"
EHLO: Final = "EHLO"
HELO: Final = "HELO"
STARTTLS: Final = "STARTTLS"
AUTH: Final = "AUTH"
MAIL: Final = "MAIL"
RCPT: Final = "RCPT"
DATA: Final = "DATA"
BDAT: Final = "BDAT"
END: Final = "end of data"
RSET: Final = "RSET"
QUIT: Final = "QUIT"
BETWEEN: Final = "between mails"

_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
_MAX_CHALLENGES = 5
_MAX_LINE_OCTETS = 64 * 1024  # of a reply; 512 are allowed (RFC 5321 section 4.5.3.1.5)
_MAX_REPLY_LINES = 1000
_SHOWN_OCTETS = 200  # of a reply in the table of errors
_HYPHEN = ord("-")  # behind the code of all lines of a reply but the last
_CODES = {b"%d" % code: code for code in range(200, 600)}
_END_OF_DATA = b".\r\n"


class Failure(NamedTuple):
    """What went wrong: where in the dialogue, what (a reply code, or words), and the reply where there is one."""

    step: str
    what: str
    text: str = ""

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return f"{self.step}: {self.what}"


class Mail:
    """One mail on its way. Times are the owner's."""

    __slots__ = ("began", "failure", "head", "ident", "open", "sent", "template")

    def __init__(self, ident: str, head: bytes, template: Template) -> None:
        self.ident = ident
        self.head = head  # its own fields, above those of the template
        self.template = template
        self.began = 0.0
        self.sent = 0.0
        self.failure: Failure | None = None
        self.open = False  # the server has begun a transaction for it

    @property
    def octets(self) -> int:
        """Of mail data."""
        return len(self.head) + len(self.template.octets)


class Script(NamedTuple):
    """What all sessions of a load say."""

    helo: str
    sender: str
    recipients: Sequence[str]
    pipelining: bool = True  # where the server offers it
    chunking: bool = False  # BDAT where the server offers it
    starttls: bool = False
    credentials: Credentials | None = None
    mechanism: str = ""  # "" = the first that is offered and takes a password
    host: str = "localhost"


class Dialogue:
    """One session. It is over when `done`; `wants_tls` asks for a handshake, and for `tls_started` after it."""

    __slots__ = (
        "_asked", "_challenges", "_chunking", "_extensions", "_group", "_international", "_last", "_lines",
        "_mechanism", "_octets", "_pending", "_pipelining", "_rcpts", "_rejections", "_script", "_steps", "_tls",
        "answered", "closing", "data_written", "done", "failures", "finished", "mails", "ready", "unsent", "wants_tls",
    )  # fmt: skip

    def __init__(self, script: Script, *, tls: bool = False) -> None:
        # Session
        self._script = script
        self._tls = tls
        self._extensions: dict[str, str] = {}
        self._mechanism = ""
        self._challenges = 0
        self._pipelining = False
        self._chunking = False
        self.ready = False  # past EHLO and AUTH
        self.wants_tls = False
        self.closing = False  # QUIT was said, or will be after the mails that are under way
        self.done = False
        self.finished = 0  # mails with an outcome
        # Stream
        self._pending = b""  # a reply line of which the end is missing
        self._lines: list[bytes] = []  # of a reply of which the last line is missing
        self._octets: list[bytes] = []
        self._steps: deque[str] = deque([GREETING])  # what replies are awaited for
        # Mails
        self.mails: deque[Mail] = deque()  # under way; the next reply is about the first
        self._last = False  # the newest of them is the last
        self._rcpts = [b"RCPT TO:<%s>\r\n" % path.encode() for path in script.recipients]
        self._group = [MAIL, *[RCPT] * len(self._rcpts)]
        self._international = not all(path.isascii() for path in (script.sender, *script.recipients))
        self._asked = 0  # replies to RCPT for the first mail
        self._rejections: list[Failure] = []  # recipients of the first mail that were refused
        self.data_written = False  # the end of the first mail's data is among the octets; the owner clears it
        # Outcomes, which the owner takes
        self.answered: list[Mail] = []
        self.failures: list[tuple[Mail | None, Failure]] = []
        self.unsent: list[Mail] = []  # the server hung up before it had looked at them: they can be tried again

    # --- what the owner may do

    @property
    def room(self) -> bool:
        """Whether the next mail may be given."""
        if not self.ready or self.closing or self.done:
            return False
        mails = self.mails
        if not self._pipelining:
            return not mails and not self._steps
        # Not behind a chunk: were that refused, RSET would come too late for the mail behind it.
        return not mails or (len(mails) == 1 and self._steps[0] is END)

    def send(self, mail: Mail, *, last: bool = False) -> None:
        """Begin a mail, while there is `room`; QUIT follows the last one."""
        self.mails.append(mail)
        self._last = last
        command = self._mail_command(mail)
        if not self._pipelining:
            self._say(MAIL, command)
            return
        self._steps += self._group
        if self._chunking:
            self._octets += (command, *self._rcpts)
            self._write_data()
        else:
            self._octets += (command, *self._rcpts, b"DATA\r\n")
            self._steps.append(DATA)

    def quit(self) -> None:
        """Say goodbye. May be called twice."""
        if not self.closing and not self.done:
            self.closing = True
            self._say(QUIT, b"QUIT\r\n")

    def tls_started(self) -> None:
        """The handshake is over: everything begins again (RFC 3207 section 4.2)."""
        self._tls = True
        self.wants_tls = False
        self._pending = b""  # nobody may have put something in before
        self._say(EHLO, f"EHLO {self._script.helo}\r\n".encode())

    def take_octets(self) -> list[bytes]:
        """What is to be written now; the list is the owner's."""
        octets, self._octets = self._octets, []
        return octets

    @property
    def waiting(self) -> bool:
        """Whether a reply is awaited."""
        return bool(self._steps)

    def abort(self, what: str, text: str = "", step: str = "") -> None:
        """The connection is gone, or has to go: what is unfinished fails, or is `unsent`. May be called twice."""
        if not self.done:
            self._fail(step or (self._steps[0] if self._steps else BETWEEN), what, text)

    def receive(self, octets: bytes) -> None:
        """What the server said."""
        if self._pending:
            octets = self._pending + octets
        start = 0
        while not self.done:
            stop = octets.find(b"\n", start)
            if stop < 0:
                break
            code = _CODES.get(octets[start : start + 3])
            if code is None:
                self.abort("no SMTP reply", _text(octets[start:stop]))
            elif octets[start + 3] == _HYPHEN:
                self._lines.append(octets[start:stop])
                if len(self._lines) > _MAX_REPLY_LINES:
                    self.abort("endless reply")
            else:
                self._on_reply(code, octets[start:stop])
            start = stop + 1
        self._pending = octets[start:]
        if len(self._pending) > _MAX_LINE_OCTETS:
            self.abort("endless reply")

    # --- what replies mean

    def _on_reply(self, code: int, line: bytes) -> None:
        steps = self._steps
        step = steps.popleft() if steps else BETWEEN
        if step is BETWEEN or (code == 421 and step is not QUIT) or (code == 221 and step is MAIL):
            self._fail(step, str(code), _text(line))  # it closes, whatever else the reply was to
        elif step is END or step is BDAT:
            self._on_end(step, code, line)
        elif step is DATA:
            self._on_data(code, line)
        elif step is MAIL or step is RCPT:
            self._on_envelope(step, code, line)
        elif step is QUIT:
            self.done = True
        elif step is not RSET:
            self._on_opening(step, code, line)
        self._lines.clear()

    def _on_envelope(self, step: str, code: int, line: bytes) -> None:
        mail = self.mails[0]
        if step is MAIL:
            self._asked = 0
            self._rejections = []
            mail.open = code // 100 == 2
            if not mail.open:
                mail.failure = Failure(MAIL, str(code), _text(line))
        else:
            self._asked += 1
            if code // 100 != 2 and mail.open:
                self._rejections.append(Failure(RCPT, str(code), _text(line)))
            if len(self._rejections) == len(self._rcpts):
                mail.failure = self._rejections[0]  # nobody is left to send it to
                self._rejections = []
        if not self._pipelining:
            self._go_on(mail)

    def _go_on(self, mail: Mail) -> None:
        """Without PIPELINING: the next command."""
        if mail.failure is not None:
            self._give_up(mail.failure)
        elif self._asked < len(self._rcpts):
            self._say(RCPT, self._rcpts[self._asked])
        elif self._chunking:
            self._write_data()
        else:
            self._say(DATA, b"DATA\r\n")

    def _on_data(self, code: int, line: bytes) -> None:
        mail = self.mails[0]
        if code != 354:
            self._give_up(mail.failure or Failure(DATA, str(code), _text(line)))
        elif mail.failure is not None:
            self._say(END, _END_OF_DATA)  # nobody takes it, and yet the data is asked for (RFC 2920 section 3.1)
        else:
            self._write_data()

    def _write_data(self) -> None:
        mail = self.mails[0]
        if self._chunking:
            self._octets += (b"BDAT %d LAST\r\n" % mail.octets, mail.head, mail.template.octets)
            self._steps.append(BDAT)
        else:
            self._octets += (mail.head, mail.template.stuffed, _END_OF_DATA)
            self._steps.append(END)
        self.data_written = True
        if self._last and self._pipelining:
            self.quit()

    def _on_end(self, step: str, code: int, line: bytes) -> None:
        mail = self.mails[0]
        if code // 100 != 2 or mail.failure is not None:
            mail.open = mail.open and step is BDAT  # the end of DATA is that of the transaction, too
            self._give_up(mail.failure or Failure(step, str(code), _text(line)))
            return
        self.mails.popleft()
        self.finished += 1
        self.answered.append(mail)
        self._report_rejections()
        if self._last and not self.mails:
            self.quit()

    def _report_rejections(self) -> None:
        """Recipients that were refused while the mail went to others."""
        self.failures += [(None, rejection) for rejection in self._rejections]
        self._rejections = []

    def _give_up(self, failure: Failure) -> None:
        """The first mail has failed, and the session goes on."""
        mail = self.mails.popleft()
        self.finished += 1
        self.failures.append((mail, failure))
        self._report_rejections()
        if self._last and not self.mails:
            self.quit()
        elif mail.open:
            self._say(RSET, b"RSET\r\n")

    def _fail(self, step: str, what: str, text: str) -> None:
        """The session is over."""
        self.done = True
        failure = Failure(step, what, text)
        # A server may close between two mails. Whoever has sent the next one already has lost nothing by that.
        goodbye = self.finished > 0 and what in ("221", "disconnected")
        if self.mails and self.finished and step is MAIL:
            if not goodbye:
                self.failures.append((None, Failure(BETWEEN, what, text)))
        elif self.mails:
            mail = self.mails.popleft()
            self.finished += 1
            self.failures.append((mail, mail.failure or failure))
            self._report_rejections()
        elif not self.closing and not goodbye:
            self.failures.append((None, failure))
        self.unsent += self.mails
        self.mails.clear()

    # --- the opening

    def _on_opening(self, step: str, code: int, line: bytes) -> None:
        ok = code // 100 == 2
        if step is AUTH and code == 334 and self._challenges < _MAX_CHALLENGES:
            self._answer_challenge(line[4:])
        elif step is EHLO and code // 100 == 5:
            self._say(HELO, f"HELO {self._script.helo}\r\n".encode())  # a server of RFC 821
        elif not ok:
            self._fail(step, str(code), _text(line))
        elif step is GREETING:
            self._say(EHLO, f"EHLO {self._script.helo}\r\n".encode())
        elif step is STARTTLS:
            self.wants_tls = True
        elif step is AUTH:
            self._become_ready()
        else:
            offered = (_text(offer)[4:].partition(" ") for offer in (*self._lines[1:], line) if step is EHLO)
            self._extensions = {name.upper(): parameters for name, _, parameters in offered}
            self._on_hello()

    def _on_hello(self) -> None:
        script = self._script
        if script.starttls and not self._tls:
            if "STARTTLS" in self._extensions:
                self._say(STARTTLS, b"STARTTLS\r\n")
            else:
                self._fail(STARTTLS, "not offered", "")
        elif script.credentials is not None:
            self._log_in(script.credentials)
        else:
            self._become_ready()

    def _log_in(self, credentials: Credentials) -> None:
        offered = self._extensions.get("AUTH", "").upper().split()
        known = [name for name in _MECHANISMS if name in offered]
        self._mechanism = self._script.mechanism or (known[0] if known else "")
        if not self._mechanism:
            self._fail(AUTH, "not offered", "")
            return
        initial = credentials.initial(self._mechanism, self._script.host).encode()
        response = b" " + base64.b64encode(initial) if initial else b""
        self._say(AUTH, b"AUTH " + self._mechanism.encode() + response + b"\r\n")

    def _answer_challenge(self, challenge: bytes) -> None:
        assert self._script.credentials is not None
        try:
            decoded = base64.b64decode(challenge)
        except ValueError:
            decoded = b""
        answer = self._script.credentials.answer(self._mechanism, self._challenges, decoded)
        self._challenges += 1
        self._say(AUTH, base64.b64encode(answer.encode()) + b"\r\n")

    def _become_ready(self) -> None:
        self._pipelining = self._script.pipelining and "PIPELINING" in self._extensions
        self._chunking = self._script.chunking and "CHUNKING" in self._extensions
        self.ready = True

    # --- what is said

    def _mail_command(self, mail: Mail) -> bytes:
        script, extensions = self._script, self._extensions
        parameters = f" SIZE={mail.octets}" if "SIZE" in extensions else ""
        if mail.template.eight_bit and "8BITMIME" in extensions:
            parameters += " BODY=8BITMIME"
        if self._international and "SMTPUTF8" in extensions:
            parameters += " SMTPUTF8"
        return f"MAIL FROM:<{script.sender}>{parameters}\r\n".encode()

    def _say(self, step: str, line: bytes) -> None:
        self._octets.append(line)
        self._steps.append(step)


def _text(line: bytes) -> str:
    return line[:_SHOWN_OCTETS].decode("utf-8", "replace").rstrip("\r\n")
