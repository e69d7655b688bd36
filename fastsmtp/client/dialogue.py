"""The client's side of an SMTP session (RFC 5321), without sockets and time: mails in, octets out, outcomes.

The owner feeds replies to `receive`, takes `answered`, `failures` and `unsent`, gives the next mail to `send` while
there is `room`, and writes what `take_octets` returns. With PIPELINING (RFC 2920) envelope and DATA are one group, and
that of the next mail goes along with the mail data: a mail costs one round trip. Without it each command waits for its
reply. With CHUNKING (RFC 3030) on top, a whole mail is one group.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fastsmtp.client.auth import Account, choose, decode_challenge, encode_response
from fastsmtp.client.mail import Failure, Mail, OwnEnvelope, reply_text

# What a reply is awaited for: as the table of errors names it.
GREETING: Final = "greeting"
EHLO: Final = "EHLO"
HELO: Final = "HELO"
STARTTLS: Final = "STARTTLS"
AUTH: Final = "AUTH"
CANCEL: Final = "cancelled AUTH"
MAIL: Final = "MAIL"
RCPT: Final = "RCPT"
DATA: Final = "DATA"
BDAT: Final = "BDAT"
END: Final = "end of data"
RSET: Final = "RSET"
QUIT: Final = "QUIT"
BETWEEN: Final = "between mails"

# What went wrong, where it was no reply code.
DISCONNECTED: Final = "disconnected"
TIMEOUT: Final = "timeout"
NOT_OFFERED: Final = "not offered"
NO_REPLY: Final = "no SMTP reply"
ENDLESS: Final = "endless reply"

# Parameters that have not the name of their extension, and those that follow from the mail.
_EXTENSIONS: Final = {
    "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN", "ORCPT": "DSN", "BY": "DELIVERBY", "SOLICIT": "NO-SOLICITING",
    "HOLDFOR": "FUTURERELEASE", "HOLDUNTIL": "FUTURERELEASE",
}  # fmt: skip
_COMPUTED: Final = frozenset({"SIZE", "BODY", "SMTPUTF8"})
_MAX_CHALLENGES = 5  # a server that asks for more is not serious
_MAX_LINE_OCTETS = 64 * 1024  # of a reply; 512 are allowed (RFC 5321 section 4.5.3.1.5)
_MAX_REPLY_LINES = 1000
_HYPHEN = ord("-")  # behind the code of all lines of a reply but the last
_CODES = {b"%d" % code: code for code in range(200, 600)}
_END_OF_DATA = b".\r\n"
_QUIT = b"QUIT\r\n"


class Script(NamedTuple):
    """What the client says in a session, apart from its mails; `host` is the name of the server in certificates."""

    helo: str
    sender: str
    recipients: Sequence[str]
    pipelining: bool = True  # where the server offers it
    chunking: bool = False  # BDAT where the server offers it
    starttls: bool = False
    account: Account | None = None
    mechanism: str = ""  # "" = the first that is offered and takes a password
    host: str = "localhost"
    notify: str = ""  # parameters of DSN (RFC 3461 section 4), sent where the server offers it; "" = none
    dsn_return: str = ""
    envelope_id: str = ""


class Dialogue:
    """One session. It is over when `done`; `wants_tls` asks for a handshake, and for `tls_started` after it.

    A session whose opening was refused says QUIT and waits for the reply to it (RFC 5321 section 4.1.1.10), as does one
    whose last mail was refused. No failure of that QUIT is told.
    """

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
        self._rcpts: list[bytes] = []  # lines, once it is known what is offered
        self._group = [MAIL, *[RCPT] * len(script.recipients)]
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
        """Tell whether the next mail may be given."""
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
        if mail.envelope is not None:
            mail.rcpts = self._own_rcpts(mail.envelope)
        command = self._mail_command(mail)
        if not self._pipelining:
            self._say(MAIL, command)
            return
        rcpts = mail.rcpts
        self._steps += self._group if rcpts is None else [MAIL, *[RCPT] * len(rcpts)]
        if rcpts is None:
            rcpts = self._rcpts
        if self._chunking:
            self._octets += (command, *rcpts)
            self._write_data()
        else:
            self._octets += (command, *rcpts, b"DATA\r\n")
            self._steps.append(DATA)

    def quit(self) -> None:
        """Say QUIT. May be called twice."""
        if not self.closing and not self.done:
            self.closing = True
            self._say(QUIT, _QUIT)

    def tls_started(self) -> None:
        """Begin the session again after the handshake (RFC 3207 section 4.2)."""
        self._tls = True
        self.wants_tls = False
        self._pending = b""  # plain text from before the handshake may be an attacker's
        self._say(EHLO, f"EHLO {self._script.helo}\r\n".encode())

    def take_octets(self) -> list[bytes]:
        """Return what is to be written now; the list is the owner's."""
        octets, self._octets = self._octets, []
        return octets

    @property
    def waiting(self) -> bool:
        """Tell whether a reply is awaited."""
        return bool(self._steps)

    def abort(self, what: str, text: str = "", step: str = "") -> None:
        """End the session with its connection: what is unfinished fails, or is `unsent`. May be called twice."""
        if not self.done:
            self._fail(Failure(step or (self._steps[0] if self._steps else BETWEEN), what, text))
            self.done = True

    def receive(self, octets: bytes) -> None:
        """Take octets from the server, cut anywhere."""
        if self._pending:
            octets = self._pending + octets
        start = 0
        while not self.done:
            stop = octets.find(b"\n", start)
            if stop < 0:
                break
            code = _CODES.get(octets[start : start + 3])
            if code is None:
                self.abort(NO_REPLY, _text(octets[start:stop]))
            elif octets[start + 3] == _HYPHEN:
                self._lines.append(octets[start:stop])
                if len(self._lines) > _MAX_REPLY_LINES:
                    self.abort(ENDLESS)
            else:
                self._on_reply(code, octets[start:stop])
            start = stop + 1
        self._pending = octets[start:]
        if len(self._pending) > _MAX_LINE_OCTETS:
            self.abort(ENDLESS)

    # --- what replies mean

    def _on_reply(self, code: int, line: bytes) -> None:
        steps = self._steps
        step = steps.popleft() if steps else BETWEEN
        if step is BETWEEN or (code == 421 and step is not QUIT) or (code == 221 and step is MAIL):
            self._on_closing(step, code, line)
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

    def _on_closing(self, step: str, code: int, line: bytes) -> None:
        """End the session: the server closes the channel, whatever it was asked (RFC 5321 section 3.8)."""
        self._fail(self._refusal(step, code, line))
        if code == 421 and not self._steps and not self.closing and step is not BETWEEN:
            self.quit()
        else:
            self.done = True

    def _on_envelope(self, step: str, code: int, line: bytes) -> None:
        mail = self.mails[0]
        if step is MAIL:
            self._asked = 0
            self._rejections = []
            mail.open = code // 100 == 2
            if not mail.open:
                mail.failure = self._refusal(MAIL, code, line)
        else:
            if code // 100 != 2 and mail.open:
                self._rejections.append(self._refusal(RCPT, code, line))
            self._asked += 1
            if len(self._rejections) == len(self._rcpts_of(mail)):
                mail.failure = self._rejections[0]  # no recipient is left
                self._rejections = []
        if not self._pipelining:
            self._go_on(mail)

    def _go_on(self, mail: Mail) -> None:
        """Say the next command of a mail, where each waits for its reply."""
        if mail.failure is not None:
            self._give_up(mail.failure)
        elif self._asked < len(rcpts := self._rcpts_of(mail)):
            self._say(RCPT, rcpts[self._asked])
        elif self._chunking:
            self._write_data()
        else:
            self._say(DATA, b"DATA\r\n")

    def _on_data(self, code: int, line: bytes) -> None:
        mail = self.mails[0]
        if code != 354:
            self._give_up(mail.failure or self._refusal(DATA, code, line))
        elif mail.failure is not None:
            self._say(END, _END_OF_DATA)  # without recipients, and yet the data is asked for (RFC 2920 section 3.1)
        else:
            self._write_data()

    def _write_data(self) -> None:
        mail = self.mails[0]
        if self._chunking:
            self._octets += (b"BDAT %d LAST\r\n" % mail.octets, mail.head, mail.content.octets)
            self._steps.append(BDAT)
        else:
            self._octets += (mail.head, mail.content.stuffed, _END_OF_DATA)
            self._steps.append(END)
        self.data_written = True
        if self._last and self._pipelining:
            self.quit()

    def _on_end(self, step: str, code: int, line: bytes) -> None:
        mail = self.mails[0]
        if code // 100 != 2 or mail.failure is not None:
            mail.open = mail.open and step is BDAT  # the end of DATA is that of the transaction, too
            self._give_up(mail.failure or self._refusal(step, code, line))
            return
        mail.reply = b"\n".join([*self._lines, line]) if self._lines else line
        self.mails.popleft()
        self.finished += 1
        self.answered.append(mail)
        self._report_rejections()
        if self._last and not self.mails:
            self.quit()

    def _report_rejections(self) -> None:
        """Tell of recipients that were refused while the mail went to others."""
        self.failures += [(None, rejection) for rejection in self._rejections]
        self._rejections = []

    def _give_up(self, failure: Failure) -> None:
        """Count the first mail as failed, and go on with the session."""
        mail = self.mails.popleft()
        self.finished += 1
        self.failures.append((mail, failure))
        self._report_rejections()
        if self._last and not self.mails:
            self.quit()
        elif mail.open:
            self._say(RSET, b"RSET\r\n")

    def _fail(self, failure: Failure) -> None:
        """Take no more mails: what is unfinished has failed, or is `unsent`."""
        self.wants_tls = False
        # A server may close between two mails. A client that has sent the next one already has lost nothing by that.
        goodbye = self.finished > 0 and failure.what in ("221", DISCONNECTED)
        if self.mails and self.finished and failure.step is MAIL:
            if not goodbye:
                self.failures.append((None, failure._replace(step=BETWEEN)))
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
        if step is CANCEL:
            self._say(QUIT, _QUIT)
        elif step is AUTH and code == 334:
            self._on_challenge(line)
        elif step is EHLO and code // 100 == 5:
            self._say(HELO, f"HELO {self._script.helo}\r\n".encode())  # a server of RFC 821
        elif not ok:
            self._fail(self._refusal(step, code, line))
            self.quit()
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
                self._fail(Failure(STARTTLS, NOT_OFFERED))
                self.quit()
        elif script.account is not None:
            self._log_in(script.account)
        else:
            self._become_ready()

    def _log_in(self, account: Account) -> None:
        self._mechanism = self._script.mechanism or choose(self._extensions.get("AUTH", ""))
        if not self._mechanism:
            self._fail(Failure(AUTH, NOT_OFFERED))
            self.quit()
            return
        # PLAIN and the tokens go along as initial response, in the command itself (RFC 4954 section 4).
        initial = account.initial_response(self._mechanism, self._script.host)
        response = b" " + encode_response(initial) if initial else b""
        self._say(AUTH, b"AUTH " + self._mechanism.encode() + response + b"\r\n")

    def _on_challenge(self, line: bytes) -> None:
        account = self._script.account
        assert account is not None
        if self._challenges == _MAX_CHALLENGES:
            self._fail(self._refusal(AUTH, 334, line))
            self.closing = True
            self._say(CANCEL, b"*\r\n")  # the server awaits a response, and would take QUIT for one
            return
        response = account.respond(self._mechanism, self._challenges, decode_challenge(line[4:]))
        self._challenges += 1
        self._say(AUTH, encode_response(response) + b"\r\n")

    def _become_ready(self) -> None:
        self._pipelining = self._script.pipelining and "PIPELINING" in self._extensions
        self._chunking = self._script.chunking and "CHUNKING" in self._extensions
        notify = f" NOTIFY={self._script.notify}" if self._script.notify and "DSN" in self._extensions else ""
        self._rcpts = [f"RCPT TO:<{path}>{notify}\r\n".encode() for path in self._script.recipients]
        self.ready = True

    # --- what is said

    def _rcpts_of(self, mail: Mail) -> list[bytes]:
        return self._rcpts if mail.rcpts is None else mail.rcpts

    def _own_rcpts(self, envelope: OwnEnvelope) -> list[bytes]:
        parameters = [*envelope.rcpt_parameters, *[{}] * len(envelope.recipients)]
        return [
            f"RCPT TO:<{path}>{self._offered(own)}\r\n".encode()
            for path, own in zip(envelope.recipients, parameters, strict=False)
        ]

    def _offered(self, parameters: Mapping[str, str]) -> str:
        """Return those parameters whose extension the server offers, as they stand in a command."""
        found = ""
        for name, value in parameters.items():
            if _EXTENSIONS.get(name.upper(), name.upper()) in self._extensions:
                found += f" {name.upper()}={value}" if value else f" {name.upper()}"
        return found

    def _mail_command(self, mail: Mail) -> bytes:
        script, extensions, envelope = self._script, self._extensions, mail.envelope
        parameters = f" SIZE={mail.octets}" if "SIZE" in extensions else ""
        if mail.content.eight_bit and "8BITMIME" in extensions:
            parameters += " BODY=8BITMIME"
        international = self._international
        if envelope is not None:
            international = not all(path.isascii() for path in (envelope.sender, *envelope.recipients))
        if international and "SMTPUTF8" in extensions:
            parameters += " SMTPUTF8"
        if envelope is not None:
            own = {name: value for name, value in envelope.mail_parameters.items() if name.upper() not in _COMPUTED}
            return f"MAIL FROM:<{envelope.sender}>{parameters}{self._offered(own)}\r\n".encode()
        if "DSN" in extensions:
            parameters += f" RET={script.dsn_return}" if script.dsn_return else ""
            parameters += f" ENVID={script.envelope_id}" if script.envelope_id else ""
        return f"MAIL FROM:<{script.sender}>{parameters}\r\n".encode()

    def _say(self, step: str, line: bytes) -> None:
        self._octets.append(line)
        self._steps.append(step)

    # --- what is told of refusals

    def _refusal(self, step: str, code: int, line: bytes) -> Failure:
        return Failure(step, str(code), reply_text(b"\n".join([*self._lines, line])), self._command(step))

    def _command(self, step: str) -> str:
        """Return the command to which the reply of this step belongs."""
        if step is MAIL:
            command = self._mail_command(self.mails[0])
        elif step is RCPT:
            command = self._rcpts_of(self.mails[0])[self._asked]
        elif step is EHLO or step is HELO:
            return f"{step} {self._script.helo}"
        elif step is AUTH:
            return f"{step} {self._mechanism}"  # and not what stands behind it
        else:
            return step if step in (STARTTLS, DATA, BDAT) else ""
        return command.decode().rstrip("\r\n")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")
