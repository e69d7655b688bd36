"""The client of `send` against a peer that says what its script says: whole dialogues, and what goes wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from fastsmtp.client.auth import Account
from fastsmtp.client.client import SendError, Sent, SessionWatcher, SMTPClient, tls_context
from fastsmtp.client.dialogue import Script

EHLO = "250-peer\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH LOGIN PLAIN CRAM-MD5\r\n"


class Peer(NamedTuple):
    address: str
    heard: list[str]
    thread: threading.Thread


Play = Callable[..., Peer]


@pytest.fixture
def play() -> Iterator[Play]:
    """A server that greets and answers each line, or mail data, with the next of its replies; then it closes."""
    started: list[tuple[socket.socket, threading.Thread]] = []

    def start(*replies: str) -> Peer:
        listener = socket.create_server(("127.0.0.1", 0))
        heard: list[str] = []

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(20)
            with connection, connection.makefile("rb") as lines:
                in_data = False
                for number, reply in enumerate(replies, 1):
                    connection.sendall(reply.encode("latin-1"))
                    line = lines.readline() if number < len(replies) else b""
                    while in_data and line not in (b".\r\n", b""):
                        heard.append(line.decode("latin-1"))
                        line = lines.readline()
                    in_data = reply.startswith("250 go") and line == b"DATA\r\n"
                    if line:
                        heard.append(line.decode("latin-1"))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        started.append((listener, thread))
        return Peer(f"127.0.0.1:{listener.getsockname()[1]}", heard, thread)

    yield start
    for listener, thread in started:
        thread.join()
        listener.close()


SCRIPT = Script("me", "a@b", ["c@d"], host="127.0.0.1")


def sent(peer: Peer, script: Script = SCRIPT, message: bytes = b"x", watcher: SessionWatcher | None = None) -> Sent:
    """Send a mail to a peer, to the end of the session."""
    client = SMTPClient(peer.address, 30.0, watcher or SessionWatcher())
    try:
        return client.send(script, message, tls_context(insecure=True, ca_file=""))
    finally:
        client.close()
        peer.thread.join()


def complaint(peer: Peer, script: Script = SCRIPT) -> str:
    with pytest.raises(SendError) as raised:
        sent(peer, script)
    return str(raised.value)


def test_a_whole_dialogue(play: Play) -> None:
    peer = play("220 hi\r\n", EHLO, "250 ok\r\n", "250 go\r\n", "354 go\r\n", "250 2.0.0 kept\r\n", "221 bye\r\n")
    told: list[str] = []
    progress: list[int] = []
    watcher = SessionWatcher(
        lambda line: told.append("> " + line), lambda line: told.append("< " + line), progress.append
    )
    assert sent(peer, message=b"Subject: x\n\n.dot\n", watcher=watcher) == Sent("250 2.0.0 kept", [])
    assert peer.heard == [
        "EHLO me\r\n", "MAIL FROM:<a@b> SIZE=20\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n",
        "Subject: x\r\n", "\r\n", "..dot\r\n", ".\r\n", "QUIT\r\n",
    ]  # fmt: skip
    assert told == [
        "< 220 hi",
        "> EHLO me", "< 250-peer", "< 250-SIZE 1000", "< 250-8BITMIME", "< 250-SMTPUTF8",
        "< 250 AUTH LOGIN PLAIN CRAM-MD5",
        "> MAIL FROM:<a@b> SIZE=20", "< 250 ok",
        "> RCPT TO:<c@d>", "< 250 go",
        "> DATA", "< 354 go",
        "> (20 octets of mail data)", "< 250 2.0.0 kept",
        "> QUIT", "< 221 bye",
    ]  # fmt: skip
    assert progress == [24]


def test_progress_of_a_large_mail(play: Play) -> None:
    replies = ["220 hi\r\n", "250 ok\r\n", "250 ok\r\n", "250 go\r\n", "354 go\r\n", "250 kept\r\n", "221 bye\r\n"]
    progress: list[int] = []
    message = b"%s\r\n" % (b"x" * 998) * 600
    assert sent(play(*replies), message=message, watcher=SessionWatcher(on_progress=progress.append)) == Sent(
        "250 kept", []
    )
    assert progress == [262_144, 262_144, 600_003 - 2 * 262_144]


def test_some_recipients_are_refused(play: Play) -> None:
    replies = ["250 ok\r\n", "550 5.1.1 who?\r\n", "250 go\r\n", "354 go\r\n", "250-kept\r\n250 all\r\n", "221 bye\r\n"]
    peer = play("220 hi\r\n", EHLO, *replies)
    assert sent(peer, SCRIPT._replace(recipients=["c@d", "e@f"])) == Sent(
        "250 kept all", ["RCPT TO:<c@d> was refused: 550 5.1.1 who?"]
    )


def test_commands_never_come_in_groups(play: Play) -> None:
    peer = play("220 hi\r\n", "250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n", "550 no\r\n", "221 bye\r\n")
    assert complaint(peer, SCRIPT._replace(chunking=True)) == "MAIL FROM:<a@b> was refused: 550 no"
    assert peer.heard == ["EHLO me\r\n", "MAIL FROM:<a@b>\r\n", "QUIT\r\n"]


# --- refusals

MAIL, RCPT, OTHER_RCPT = "MAIL FROM:<a@b> SIZE=3", "RCPT TO:<c@d>", "RCPT TO:<e@f>"
STARTTLS = "250-peer\r\n250 STARTTLS\r\n"
PLAIN = "AUTH PLAIN AHUAcA=="
OPENED = ["220 hi\r\n", EHLO]
BEGUN = [*OPENED, "250 ok\r\n"]
ENCRYPTED, LOGGED_IN = SCRIPT._replace(starttls=True), SCRIPT._replace(account=Account("u", "p"))
TWO = SCRIPT._replace(recipients=["c@d", "e@f"])

REFUSALS = {
    "greeting": (SCRIPT, ["554 5.3.2 go away\r\n"], [], "the connection was refused: 554 5.3.2 go away"),
    "several-lines": (SCRIPT, ["554-go\r\n554 away\r\n"], [], "the connection was refused: 554 go away"),
    "busy": (SCRIPT, ["421 busy\r\n"], [], "the connection was refused: 421 busy"),
    "EHLO": (SCRIPT, ["220 hi\r\n", "451 no\r\n"], ["EHLO me"], "EHLO me was refused: 451 no"),
    "HELO": (SCRIPT, ["220 hi\r\n", "502 a\r\n", "502 b\r\n"], ["EHLO me", "HELO me"], "HELO me was refused: 502 b"),
    "STARTTLS": (
        ENCRYPTED, ["220 hi\r\n", STARTTLS, "454 no\r\n"], ["EHLO me", "STARTTLS"], "STARTTLS was refused: 454 no",
    ),
    "no-STARTTLS": (ENCRYPTED, OPENED, ["EHLO me"], "the server does not offer STARTTLS"),
    "AUTH": (
        LOGGED_IN, [*OPENED, "535 5.7.8 no\r\n"], ["EHLO me", PLAIN], "AUTH PLAIN was refused: 535 5.7.8 no",
    ),
    "challenge": (
        LOGGED_IN._replace(mechanism="XOAUTH2"),
        [*OPENED, "334 e30=\r\n", "535 no\r\n"],
        ["EHLO me", "AUTH XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHABAQ==", ""],
        "AUTH XOAUTH2 was refused: 535 no",
    ),
    "challenges": (
        LOGGED_IN._replace(mechanism="LOGIN"),
        [*OPENED, *6 * ["334 *\r\n"], "501 cancelled\r\n"],
        ["EHLO me", "AUTH LOGIN", "dQ==", *4 * ["cA=="], "*"],
        "AUTH LOGIN was refused: 334 *",
    ),
    "no-AUTH": (
        LOGGED_IN,
        ["220 hi\r\n", "250 nothing\r\n"],
        ["EHLO me"],
        "the server offers no AUTH mechanism that takes a password; --auth tries one",
    ),
    "MAIL": (SCRIPT, [*OPENED, "550 no\r\n"], ["EHLO me", MAIL], f"{MAIL} was refused: 550 no"),
    "RCPT": (SCRIPT, [*BEGUN, "550 who?\r\n"], ["EHLO me", MAIL, RCPT], f"{RCPT} was refused: 550 who?"),
    "every-RCPT": (
        TWO, [*BEGUN, "550 a\r\n", "550 b\r\n"], ["EHLO me", MAIL, RCPT, OTHER_RCPT], f"{RCPT} was refused: 550 a",
    ),
    "busy-at-RCPT": (TWO, [*BEGUN, "421 busy\r\n"], ["EHLO me", MAIL, RCPT], f"{RCPT} was refused: 421 busy"),
    "DATA": (
        SCRIPT, [*BEGUN, "250 ok\r\n", "554 no\r\n"], ["EHLO me", MAIL, RCPT, "DATA"], "DATA was refused: 554 no",
    ),
    "DATA-after-RCPT": (
        TWO,
        [*BEGUN, "550 who?\r\n", "250 ok\r\n", "554 no\r\n"],
        ["EHLO me", MAIL, RCPT, OTHER_RCPT, "DATA"],
        "DATA was refused: 554 no",
    ),
    "mail": (
        SCRIPT,
        [*BEGUN, "250 go\r\n", "354 go\r\n", "451 4.3.0 later\r\n"],
        ["EHLO me", MAIL, RCPT, "DATA", "x", "."],
        "the mail was refused: 451 4.3.0 later",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("script", "replies", "heard", "said"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("goodbye", ["221 x\r\n", "500 x\r\n", "", "bye\r\n"], ids=["221", "500", "close", "junk"])
def test_quit_follows_every_refusal(
    play: Play, script: Script, replies: list[str], heard: list[str], said: str, goodbye: str
) -> None:
    """The peer answers QUIT, or hears it and answers something else, or nothing."""
    peer = play(*replies, goodbye)
    assert complaint(peer, script) == said
    assert peer.heard == [f"{line}\r\n" for line in [*heard, "QUIT"]]


@pytest.mark.parametrize(("script", "replies", "heard", "said"), REFUSALS.values(), ids=REFUSALS)
def test_a_peer_that_closes_with_its_refusal(
    play: Play, script: Script, replies: list[str], heard: list[str], said: str
) -> None:
    assert complaint(play(*replies), script) == said


def test_a_mail_is_accepted_whatever_follows(play: Play) -> None:
    assert sent(play(*BEGUN, "250 go\r\n", "354 go\r\n", "250 kept\r\n")) == Sent("250 kept", [])


# --- what breaks


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([""], "the server closed the connection"),
        (["HTTP/1.1 400\r\n"], "this is no SMTP reply: 'HTTP/1.1 400'"),
        (["220 hi\r\n", "250-half\r\n"], "the server closed the connection"),
        (["220 " + 70_000 * "x"], "the reply of the server has no end"),
        ([*BEGUN, "250 ok\r\n250 more\r\n", "354 go\r\n", "250 x\r\n"], "DATA was refused: 250 more"),
    ],
    ids=["silence", "web-server", "half-a-reply", "endless", "one-reply-too-many"],
)
def test_what_goes_wrong(play: Play, replies: list[str], said: str) -> None:
    assert complaint(play(*replies)) == said


def test_nobody_is_there() -> None:
    with pytest.raises(SendError, match=r"^cannot connect to 127.0.0.1:1: Connection refused$"):
        SMTPClient("127.0.0.1:1", 1.0, SessionWatcher())


def test_tls_where_there_is_none(play: Play) -> None:
    peer = play("220 hi\r\n")
    client = SMTPClient(peer.address, 30.0, SessionWatcher())
    with pytest.raises(SendError) as raised:
        client.send(SCRIPT, b"x", tls_context(insecure=True, ca_file=""), implicit_tls=True)
    client.close()
    assert str(raised.value) == "TLS failed: the server speaks in plain text there; --starttls may be meant"


def test_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = SMTPClient(f"127.0.0.1:{silent.getsockname()[1]}", 0.01, SessionWatcher())
        with pytest.raises(SendError, match=r"^the server did not answer in time$"):
            client.send(SCRIPT, b"x")
        client.close()
