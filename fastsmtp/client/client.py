"""A blocking driver of the SMTP client: sockets, TLS and timeouts of `fastsmtp send`, one mail per session.

Its watcher is told of every line in both directions and of every step in the transfer of the mail data.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fastsmtp.client.dialogue import (
    AUTH,
    BETWEEN,
    DISCONNECTED,
    END,
    ENDLESS,
    GREETING,
    NO_REPLY,
    NOT_OFFERED,
    STARTTLS,
    TIMEOUT,
    Dialogue,
    Script,
)
from fastsmtp.client.mail import Failure, Mail, content_of, reply_text
from fastsmtp.system.addresses import TCPAddress, parse_address

_MAX_REPLY_LINE = 64 * 1024
_CHUNK_BYTES = 256 * 1024
_SHOWN_CHARACTERS = 80  # of what is not a reply
_BROKEN = "broken"

_SUBJECTS = {GREETING: "the connection", END: "the mail"}  # what is refused there; elsewhere it is the command
_NOT_OFFERED = {
    STARTTLS: "the server does not offer STARTTLS",
    AUTH: "the server offers no AUTH mechanism that takes a password; --auth tries one",
}
_COMPLAINTS = {
    DISCONNECTED: "the server closed the connection",
    TIMEOUT: "the server did not answer in time",
    ENDLESS: "the reply of the server has no end",
}


class SendError(Exception):
    """The mail could not be sent; the text is for the operator."""


class Sent(NamedTuple):
    """The reply that accepted a mail, and a sentence for each recipient that was refused while others were not."""

    reply: str
    refused: list[str]


def _ignore(_: object) -> None:
    """Take what a watcher does not want to know."""


class SessionWatcher(NamedTuple):
    """Callbacks that follow a session."""

    on_sent: Callable[[str], object] = _ignore  # a command line, without its CRLF
    on_reply: Callable[[str], object] = _ignore  # a line of a reply
    on_progress: Callable[[int], object] = _ignore  # so many more octets of mail data are on their way


class SMTPClient:
    """One connection, for one session."""

    def __init__(self, address: str, timeout_s: float, watcher: SessionWatcher) -> None:
        """Connect to `host:port`, `[::1]:port` or `unix:/path`. Raises SendError."""
        self._watcher = watcher
        try:
            self._socket = connect(address, timeout_s)
        except OSError as error:
            raise SendError(f"cannot connect to {address}: {error.strerror or error}") from None
        self._replies = self._socket.makefile("rb")

    def close(self) -> None:
        """Cut the connection. May be called twice."""
        self._replies.close()
        self._socket.close()

    def send(
        self, script: Script, message: bytes, tls: ssl.SSLContext | None = None, *, implicit_tls: bool = False
    ) -> Sent:
        """Run a session with one mail, from the greeting to the reply to QUIT.

        `tls` is needed for STARTTLS and implicit TLS. Raises SendError, also when all recipients were refused.
        """
        return _outcome(self.send_all(script, [Mail("", b"", content_of(message))], tls, implicit_tls=implicit_tls))

    def send_all(
        self,
        script: Script,
        mails: Sequence[Mail],
        tls: ssl.SSLContext | None = None,
        *,
        implicit_tls: bool = False,
        before: Callable[[Mail], object] = _ignore,
    ) -> Dialogue:
        """Run a session with some mails, and return it with what became of them. `before` a mail it may wait.

        Raises SendError where no session comes to be.
        """
        # One command at a time: the watcher sees a conversation.
        dialogue = Dialogue(script._replace(pipelining=False, chunking=False), tls=implicit_tls)
        if implicit_tls:
            self._start_tls(tls, script.host)
        left = deque(mails)
        while not dialogue.done:
            self._read_line(dialogue)
            if dialogue.wants_tls:
                self._start_tls(tls, script.host)
                dialogue.tls_started()
            elif dialogue.room and left:
                mail = left.popleft()
                before(mail)
                dialogue.send(mail, last=not left)
            self._write(dialogue)
        dialogue.unsent += left
        return dialogue

    # --- octets

    def _read_line(self, dialogue: Dialogue) -> None:
        try:
            line = self._replies.readline(_MAX_REPLY_LINE)
        except TimeoutError:
            dialogue.abort(TIMEOUT)
        except OSError as error:
            dialogue.abort(_BROKEN, error.strerror or str(error))
        else:
            if line:
                self._watcher.on_reply(line.decode("utf-8", "replace").rstrip("\r\n"))
                dialogue.receive(line)
            else:
                dialogue.abort(DISCONNECTED)

    def _write(self, dialogue: Dialogue) -> None:
        octets = dialogue.take_octets()
        try:
            if dialogue.data_written:
                dialogue.data_written = False
                self._watcher.on_sent(f"({dialogue.mails[0].octets} octets of mail data)")
                self._write_data(b"".join(octets))
            else:
                for command in octets:
                    self._socket.sendall(command)
                    self._watcher.on_sent(command.decode().rstrip("\r\n"))
        except OSError as error:
            dialogue.abort(_BROKEN, error.strerror or str(error))

    def _write_data(self, octets: bytes) -> None:
        for start in range(0, len(octets), _CHUNK_BYTES):
            chunk = octets[start : start + _CHUNK_BYTES]
            self._socket.sendall(chunk)
            self._watcher.on_progress(len(chunk))

    def _start_tls(self, context: ssl.SSLContext | None, host: str) -> None:
        """Shake hands. What the server said in plain text before its end is forgotten. Raises SendError."""
        assert context is not None
        self._replies.close()
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise SendError(f"the certificate is not trusted: {error.verify_message}; --insecure takes any") from None
        except ssl.SSLError as error:
            if error.reason == "WRONG_VERSION_NUMBER":
                raise SendError("TLS failed: the server speaks in plain text there; --starttls may be meant") from None
            raise SendError(f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}") from None
        except OSError as error:
            raise SendError(f"TLS failed: {error.strerror or error}") from None
        self._replies = self._socket.makefile("rb")


def tls_context(*, insecure: bool, ca_file: str) -> ssl.SSLContext:
    """Trust what the system trusts, or the certificates in `ca_file`, or anything. Raises OSError."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connect(address: str, timeout_s: float | None) -> socket.socket:
    """Open a connection to `host:port`, `[::1]:port` or `unix:/path`. Raises OSError."""
    parsed = parse_address(address)
    if isinstance(parsed, TCPAddress):
        return socket.create_connection((parsed.host or "127.0.0.1", parsed.port), timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(parsed.path)
    except OSError:
        connection.close()
        raise
    return connection


def _outcome(dialogue: Dialogue) -> Sent:
    complaints = [_complaint(failure) for _, failure in dialogue.failures]
    if not dialogue.answered:
        raise SendError(complaints[0])
    return Sent(reply_text(dialogue.answered[0].reply), complaints)


def _complaint(failure: Failure) -> str:
    step, what, text, command = failure
    if what == NOT_OFFERED:
        return _NOT_OFFERED[step]
    if what == NO_REPLY:
        return f"this is no SMTP reply: {text[:_SHOWN_CHARACTERS]!r}"
    if what == _BROKEN:
        return f"the connection broke: {text}"
    if step == BETWEEN:
        return f"the server spoke unasked: {text}"
    return _COMPLAINTS.get(what) or f"{_SUBJECTS.get(step, command)} was refused: {text}"
