"""A blocking SMTP client for `fastsmtp send`: says what it is told to, and keeps quiet about nothing.

Its owner is told of every line in both directions and of every step in the transfer of the mail data, and gets each
reply as it came. It talks to any server of RFC 5321.
"""

from __future__ import annotations

import base64
import hmac
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fastsmtp.system.addresses import TCPAddress, parse_address

# The first that is offered is taken: what can be seen on the other side is worth more here than what is hidden.
_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")

_MAX_REPLY_LINE = 64 * 1024
_CHUNK_BYTES = 256 * 1024
_MAX_CHALLENGES = 5  # whoever asks for more does not mean it


class SendError(Exception):
    """The mail could not be sent; the text is for the operator."""


class Refused(SendError):
    """The server said no."""

    def __init__(self, command: str, reply: Reply) -> None:
        super().__init__(f"{command} was refused: {reply}")
        self.reply = reply


class Reply(NamedTuple):
    """A reply: its code, and its lines without it."""

    code: int
    lines: list[str]

    def __str__(self) -> str:
        return " ".join([str(self.code), *self.lines])


def _ignore(_: object) -> None:
    """For those who do not want to know."""


class Watcher(NamedTuple):
    """Whom to tell what goes on."""

    on_sent: Callable[[str], object] = _ignore  # a command line, without its CRLF
    on_reply: Callable[[str], object] = _ignore  # a line of a reply
    on_progress: Callable[[int], object] = _ignore  # so many more octets of mail data are on their way


class Credentials(NamedTuple):
    """A user and what proves it: a password, or a token."""

    user: str
    password: str

    def initial(self, mechanism: str, host: str) -> str:
        """The initial response, "" where the server speaks first."""
        if mechanism == "PLAIN":
            return f"\0{self.user}\0{self.password}"
        if mechanism == "XOAUTH2":
            return f"user={self.user}\1auth=Bearer {self.password}\1\1"
        if mechanism == "OAUTHBEARER":
            return f"n,a={self.user},\1host={host}\1auth=Bearer {self.password}\1\1"
        return ""

    def answer(self, mechanism: str, step: int, challenge: bytes) -> str:
        """What to say to a challenge, the first being `step` 0."""
        if mechanism == "CRAM-MD5":
            return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"
        if mechanism == "LOGIN":
            return self.password if step else self.user
        if mechanism == "OAUTHBEARER":
            return "\1"  # to an error in a challenge (RFC 7628 section 3.2.3)
        return "" if step or mechanism != "PLAIN" else self.initial(mechanism, "")


class Client:
    """One SMTP session."""

    def __init__(self, address: str, timeout_s: float, watcher: Watcher) -> None:
        """Connect to `host:port`, `[::1]:port` or `unix:/path`. Raises SendError."""
        self._watcher = watcher
        self._extensions: dict[str, str] = {}
        self._host = "localhost"
        try:
            self._socket = self._connect(address, timeout_s)
        except OSError as error:
            raise SendError(f"cannot connect to {address}: {error.strerror or error}") from None
        self._replies = self._socket.makefile("rb")

    def _connect(self, address: str, timeout_s: float) -> socket.socket:
        parsed = parse_address(address)
        if isinstance(parsed, TCPAddress):
            self._host = parsed.host or "127.0.0.1"
            return socket.create_connection((self._host, parsed.port), timeout_s)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout_s)
        try:
            connection.connect(parsed.path)
        except OSError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Cut the connection. May be called twice."""
        self._replies.close()
        self._socket.close()

    def greet(self, helo: str) -> None:
        """Read the greeting, say EHLO, or HELO where that is refused. Raises SendError."""
        self._expect("the connection", self._read_reply(), 2)
        self._say_hello(helo)

    def encrypt(self, helo: str, context: ssl.SSLContext) -> None:
        """STARTTLS. Raises SendError."""
        if "STARTTLS" not in self._extensions:
            raise SendError("the server does not offer STARTTLS")
        self._command("STARTTLS")
        self.wrap(context)
        self._say_hello(helo)

    def wrap(self, context: ssl.SSLContext) -> None:
        """Begin TLS. Raises SendError."""
        self._replies.close()
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            raise SendError(f"the certificate is not trusted: {error.verify_message}; --insecure takes any") from None
        except ssl.SSLError as error:
            if error.reason == "WRONG_VERSION_NUMBER":
                raise SendError("TLS failed: the server speaks in plain text there; --starttls may be meant") from None
            raise SendError(f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}") from None
        except OSError as error:
            raise SendError(f"TLS failed: {error.strerror or error}") from None
        self._replies = self._socket.makefile("rb")

    def log_in(self, user: str, password: str, mechanism: str = "") -> None:
        """AUTH with `mechanism`, "" = the first of ours that the server offers. Raises SendError."""
        if not mechanism:
            offered = self._extensions.get("AUTH", "").upper().split()
            known = [name for name in _MECHANISMS if name in offered]
            if not known:
                raise SendError("the server offers no AUTH mechanism that takes a password; --auth tries one")
            mechanism = known[0]
        credentials = Credentials(user, password)
        # PLAIN and the tokens go along as initial response, in the command itself (RFC 4954 section 4).
        initial = credentials.initial(mechanism, self._host)
        reply = self._exchange(f"AUTH {mechanism}" + (f" {_base64(initial)}" if initial else ""))
        for step in range(_MAX_CHALLENGES):
            if reply.code != 334:
                break
            reply = self._exchange(_base64(credentials.answer(mechanism, step, _unbase64(reply.lines[-1]))))
        self._expect(f"AUTH {mechanism}", reply, 2)

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> tuple[Reply, list[Refused]]:
        """One transaction; return the last reply, and the recipients that were refused where others were not.

        Raises SendError, also when all were refused.
        """
        parameters = f" SIZE={len(message)}" if "SIZE" in self._extensions else ""
        if not message.isascii() and "8BITMIME" in self._extensions:
            parameters += " BODY=8BITMIME"
        if not all(path.isascii() for path in (sender, *recipients)) and "SMTPUTF8" in self._extensions:
            parameters += " SMTPUTF8"
        self._command(f"MAIL FROM:<{sender}>{parameters}")
        refused = []
        for recipient in recipients:
            command = f"RCPT TO:<{recipient}>"
            reply = self._exchange(command)
            if reply.code // 100 != 2:
                refused.append(Refused(command, reply))
        if len(refused) == len(recipients):
            raise refused[0]
        self._expect("DATA", self._exchange("DATA"), 3)
        self._send_data(message)
        reply = self._read_reply()
        self._expect("the mail", reply, 2)
        return reply, refused

    def quit(self) -> None:
        """Say goodbye; that the server has gone already is no error."""
        try:
            self._exchange("QUIT")
        except SendError:
            pass
        self.close()

    # --- lines

    def _say_hello(self, helo: str) -> None:
        reply = self._exchange(f"EHLO {helo}")
        if reply.code // 100 == 2:
            offered = (line.partition(" ") for line in reply.lines[1:])
            self._extensions = {name.upper(): parameters for name, _, parameters in offered}
        else:
            self._extensions = {}
            self._command(f"HELO {helo}")

    def _command(self, line: str) -> Reply:
        reply = self._exchange(line)
        self._expect(line, reply, 2)
        return reply

    def _exchange(self, line: str) -> Reply:
        self._write(line.encode() + b"\r\n")
        self._watcher.on_sent(line)
        return self._read_reply()

    def _expect(self, command: str, reply: Reply, kind: int) -> None:
        if reply.code // 100 != kind:
            raise Refused(command, reply)

    def _send_data(self, message: bytes) -> None:
        wire = stuffed(message)
        self._watcher.on_sent(f"({len(message)} octets of mail data)")
        for start in range(0, len(wire), _CHUNK_BYTES):
            chunk = wire[start : start + _CHUNK_BYTES]
            self._write(chunk)
            self._watcher.on_progress(len(chunk))

    def _write(self, octets: bytes) -> None:
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise SendError(f"the connection broke: {error.strerror or error}") from None

    def _read_reply(self) -> Reply:
        lines = []
        while True:
            try:
                line = self._replies.readline(_MAX_REPLY_LINE)
            except TimeoutError:
                raise SendError("the server did not answer in time") from None
            except OSError as error:
                raise SendError(f"the connection broke: {error.strerror or error}") from None
            if not line.endswith(b"\n"):
                raise SendError("the server closed the connection")
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self._watcher.on_reply(text)
            if not text[:3].isdigit():
                raise SendError(f"this is no SMTP reply: {text[:80]!r}")
            lines.append(text[4:])
            if text[3:4] != "-":
                return Reply(int(text[:3]), lines)


def stuffed(message: bytes) -> bytes:
    """`message` with CRLF line ends, dots doubled, and its end marked (RFC 5321 section 4.5.2)."""
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not lines.endswith(b"\n"):
        lines += b"\n"
    lines = lines.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
    return (b"." if lines.startswith(b".") else b"") + lines + b".\r\n"


def tls_context(*, insecure: bool, ca_file: str) -> ssl.SSLContext:
    """Trust what the system trusts, or the certificates in `ca_file`, or anything. Raises OSError."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""
