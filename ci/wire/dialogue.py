"""One client: a random dialogue over a real socket, and what it was answered."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import struct
import time

from wire.ledger import Ledger
from wire.messages import FATES, closes, message, mutated, noise, stuffed

PATIENCE_S = 40.0  # more than any timeout of the server
ACCEPTED = b"250 2.0.0 Message accepted"
_BAD_FATES = 0.12  # of mails
_SECRET = b"AGEAYg=="

_XCLIENT = b"XCLIENT ADDR=1.2.3.4"  # which greets again
_CHATTER = (
    b"NOOP", b"noop \x00\x01", b"RSET", b"HELP", b"VRFY x", b"EXPN a", b"FOO", b"EHLO again", b"HELO", b"DATA", b"",
    b"BDAT x", b"AUTH PLAIN " + _SECRET, b"AUTH LOGIN", b"AUTH CRAM-MD5", b"AUTH XOAUTH2 !!", b"AUTH FOO", b"\xff",
    b"RCPT TO:<x@y>", b"RCPT TO:x@y", _XCLIENT,
)  # fmt: skip
_HELLOS = (b"EHLO a", b"HELO b", b"ehlo [1.2.3.4]", b"EHLO \xff\x9b\xe2\x80\xae", b"EHLO " + b"x" * 400)


class Hung(Exception):
    """The server said nothing for longer than it may."""


class Ended(Exception):
    """The connection is at its end."""


class Client:
    """A connection from an address of its own. Octets go out in pieces of any size."""

    def __init__(self, ledger: Ledger, port: int, chooser: random.Random, *, implicit_tls: bool) -> None:
        self.ledger = ledger
        self.chooser = chooser
        self.address = ledger.next_client()
        self._socket: socket.socket = socket.socket()
        if chooser.random() < 0.1:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind((self.address, 0))
        self._socket.connect(("127.0.0.1", port))
        self._read = b""
        self._read_size = chooser.choice((65536, 65536, 65536, 7, 1))
        if implicit_tls:
            self.encrypt()

    def encrypt(self) -> None:
        """The handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.chooser.random() < 0.5:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._socket = context.wrap_socket(self._socket)

    def send(self, octets: bytes) -> None:
        """All of it, half of the times in pieces."""
        chooser = self.chooser
        if chooser.random() < 0.5:
            self._socket.sendall(octets)
            return
        while octets:
            size = chooser.choice((1, 2, 3, 7, 100, 1460, 16384, 65536))
            if len(octets) > 300 * size:
                size = chooser.randrange(size, len(octets) + 1)
            self._socket.sendall(octets[:size])
            octets = octets[size:]
            if chooser.random() < 0.02:
                time.sleep(0.003)

    def reply(self) -> bytes:
        """The last line of the next reply."""
        while (line := self._line())[3:4] == b"-":
            pass
        if not (line[:3].isdigit() and line[3:4] in b" "):
            self.ledger.wonder(f"no reply: {line[:60]!r}")
        return line

    def ask(self, line: bytes) -> bytes:
        """Send a command; its reply."""
        self.send(line + b"\r\n")
        return self.reply()

    def read_all(self) -> bytes:
        """End this side, and read to the end of the other."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        found = self._read
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while octets := self._receive(65536):
                found += octets
        return found

    def close(self) -> None:
        """At once, with a reset or without."""
        if self.chooser.random() < 0.4:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _line(self) -> bytes:
        while b"\n" not in self._read:
            octets = self._receive(self._read_size)
            if not octets:
                raise Ended
            self._read += octets
        line, _, self._read = self._read.partition(b"\n")
        return line.rstrip(b"\r")

    def _receive(self, size: int) -> bytes:
        try:
            return self._socket.recv(size)
        except TimeoutError:
            raise Hung(
                f"{self.address} was answered nothing for {PATIENCE_S:g} s, after {self._read[-60:]!r}"
            ) from None


def talk(ledger: Ledger, port: int, chooser: random.Random, name: str, *, implicit_tls: bool) -> None:
    """One connection from its beginning to its end. `name` begins the idents of its mails, and no other's."""
    client = Client(ledger, port, chooser, implicit_tls=implicit_tls)
    try:
        if chooser.random() < 0.15:
            _talk_nonsense(client, name)
        else:
            _talk_sense(client, name)
    except (Ended, ConnectionError, ssl.SSLError):
        ledger.refuse(client.address, "ended")
    finally:
        client.close()


def _talk_nonsense(client: Client, name: str) -> None:
    """A dialogue that was sensible before octets of it were exchanged, or random octets; nothing is waited for."""
    chooser = client.chooser
    octets = chooser.choice(_HELLOS) + b"\r\n"
    for number in range(chooser.randrange(1, 5)):
        body = message(chooser, f"{name}-m{number}", "")[:20_000]
        octets += b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
        if chooser.random() < 0.5:
            octets += b"DATA\r\n" + stuffed(body if body.endswith(b"\r\n") else body + b"\r\n")
        else:
            octets += b"BDAT %d LAST\r\n" % len(body) + body
    octets = noise(chooser, 3000) if chooser.random() < 0.1 else mutated(chooser, octets + b"QUIT\r\n")
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        client.send(octets)
    accepted = client.read_all().count(ACCEPTED)
    client.ledger.count(client.address, accepted, 100)


def _talk_sense(client: Client, name: str) -> None:
    chooser = client.chooser
    client.reply()
    client.ask(chooser.choice(_HELLOS))
    if chooser.random() < 0.15 and client.ask(b"STARTTLS").startswith(b"220"):
        client.encrypt()
        client.ask(b"EHLO encrypted")
    for number in range(chooser.randrange(1, 8)):
        if not _chat(client) or not _send_mail(client, f"{name}-{number}"):
            return
    if chooser.random() < 0.5:
        client.ask(b"QUIT")


def _chat(client: Client) -> bool:
    """Commands of no use; whether the server went on."""
    chooser = client.chooser
    for _ in range(chooser.randrange(4)):
        line = chooser.choice(_CHATTER) if chooser.random() < 0.9 else b"X" * chooser.randrange(70_000)
        answered = client.ask(line)
        if answered.startswith(b"334"):
            answered = client.ask(chooser.choice((b"*", _SECRET, b"\xff")))
            while answered.startswith(b"334"):
                answered = client.ask(_SECRET)
        if answered.startswith((b"354", b"220")) and line != _XCLIENT:
            client.ledger.wonder(f"{line[:40]!r} was answered {answered[:40]!r}")
        if answered.startswith(b"421"):
            return False
    return client.ask(b"RSET").startswith(b"250")


def _send_mail(client: Client, ident: str) -> bool:
    """One mail; whether the server goes on behind it."""
    chooser = client.chooser
    fate = chooser.choice(FATES) if chooser.random() < _BAD_FATES else ""
    body = message(chooser, ident, fate)
    parameters = chooser.choice((b"", b" SIZE=%d" % len(body), b" BODY=8BITMIME", b" X=Y", b" SMTPUTF8 RET=HDRS"))
    envelope = b"MAIL FROM:<a@b>%s\r\n" % parameters + b"RCPT TO:<c@d>\r\n" * chooser.randrange(1, 5)
    client.send(envelope)
    answered = [client.reply() for _ in range(envelope.count(b"\n"))]
    if not answered[0].startswith(b"250"):
        if not answered[0].startswith(b"552"):  # too large, by its SIZE
            client.ledger.wonder(f"MAIL of {ident} was answered {answered[0][:60]!r}")
        return True
    way = chooser.choices((_by_data, _by_bdat, _broken_off, _unheard), (55, 30, 8, 7))[0]
    return way(client, ident, fate, body)


def _by_data(client: Client, ident: str, fate: str, body: bytes) -> bool:
    if not _expect_data(client, ident):
        return False
    behind = client.chooser.choice((0, 0, 0, 1, 4))
    client.send(stuffed(body) + b"NOOP\r\n" * behind)
    going_on = _take_verdict(client, ident, fate, body)
    if going_on:
        for _ in range(behind):
            if not (answered := client.reply()).startswith(b"250 2.0.0 OK"):
                client.ledger.wonder(f"NOOP behind {ident} was answered {answered[:60]!r}")
    return going_on


def _expect_data(client: Client, ident: str) -> bool:
    answered = client.ask(b"DATA")
    if not answered.startswith(b"354"):
        client.ledger.wonder(f"DATA of {ident} was answered {answered[:60]!r}")
    return answered.startswith(b"354")


def _by_bdat(client: Client, ident: str, fate: str, body: bytes) -> bool:
    chooser, at = client.chooser, 0
    while True:
        size = len(body) - at if chooser.random() < 0.5 else chooser.randrange(len(body) - at + 1)
        last = at + size == len(body)
        client.send(b"BDAT %d%s\r\n" % (size, b" LAST" if last else b"") + body[at : at + size])
        at += size
        if last:
            return _take_verdict(client, ident, fate, body)
        answered = client.reply()
        if not answered.startswith(b"250"):
            client.ledger.refuse(client.address, answered[:9].decode("latin-1"))
            return True


def _take_verdict(client: Client, ident: str, fate: str, body: bytes) -> bool:
    try:
        answered = client.reply()
    except (Ended, ConnectionError, ssl.SSLError):
        client.ledger.refuse(client.address, "none")
        return False
    if not answered.startswith(ACCEPTED):
        client.ledger.refuse(client.address, answered[:9].decode("latin-1"))
        return not answered.startswith(b"421")
    client.ledger.accept(client.address, ident, len(body))
    if closes(fate):
        if not (answered := client.reply()).startswith(b"221"):
            client.ledger.wonder(f"{ident} asked for the end, and {answered[:60]!r} came")
        return False
    return True


def _broken_off(client: Client, ident: str, fate: str, body: bytes) -> bool:
    """Gone before the end of the mail data."""
    chooser = client.chooser
    client.ledger.break_off(ident)
    if chooser.random() < 0.5:
        client.send(b"BDAT %d LAST\r\n" % (len(body) + 10) + body[: chooser.randrange(len(body))])
    elif _expect_data(client, ident):
        octets = stuffed(body)
        client.send(octets[: chooser.randrange(len(octets) - 4)])
    return False


def _unheard(client: Client, ident: str, fate: str, body: bytes) -> bool:
    """Gone between the end of the mail data and the reply."""
    client.ledger.refuse(client.address, "unheard")
    if _expect_data(client, ident):
        client.send(stuffed(body))
        time.sleep(client.chooser.choice((0, 0, 0.01, 0.1)))
    return False
