"""The SMTP client of `send` against a peer that says what its script says: whole dialogues, and what goes wrong."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from fastsmtp.client.client import Client, Refused, Reply, SendError, Watcher, stuffed, tls_context

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


def connect(peer: Peer, watcher: Watcher | None = None) -> Client:
    client = Client(peer.address, 30.0, watcher or Watcher())
    client.greet("me")
    return client


def test_a_whole_dialogue(play: Play) -> None:
    peer = play("220 hi\r\n", EHLO, "250 ok\r\n", "250 go\r\n", "354 go\r\n", "250 2.0.0 kept\r\n", "221 bye\r\n")
    told: list[str] = []
    watcher = Watcher(lambda line: told.append("> " + line), lambda line: told.append("< " + line))
    client = connect(peer, watcher)
    reply, refused = client.send("a@b", ["c@d"], b"Subject: x\n\n.dot\n")
    client.quit()
    assert (reply, refused) == (Reply(250, ["2.0.0 kept"]), [])
    assert str(reply) == "250 2.0.0 kept"
    peer.thread.join()
    assert peer.heard == [
        "EHLO me\r\n", "MAIL FROM:<a@b> SIZE=17\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n",
        "Subject: x\r\n", "\r\n", "..dot\r\n", ".\r\n", "QUIT\r\n",
    ]  # fmt: skip
    assert told == [
        "< 220 hi",
        "> EHLO me", "< 250-peer", "< 250-SIZE 1000", "< 250-8BITMIME", "< 250-SMTPUTF8",
        "< 250 AUTH LOGIN PLAIN CRAM-MD5",
        "> MAIL FROM:<a@b> SIZE=17", "< 250 ok",
        "> RCPT TO:<c@d>", "< 250 go",
        "> DATA", "< 354 go",
        "> (17 octets of mail data)", "< 250 2.0.0 kept",
        "> QUIT", "< 221 bye",
    ]  # fmt: skip


def test_old_servers_get_helo(play: Play) -> None:
    peer = play("220 hi\r\n", "502 no\r\n", "250 ok\r\n", "550 no\r\n")
    client = connect(peer)
    with pytest.raises(Refused, match=r"^MAIL FROM:<a@b> was refused: 550 no$"):
        client.send("a@b", ["c@d"], b"x")
    client.close()
    peer.thread.join()
    assert peer.heard == ["EHLO me\r\n", "HELO me\r\n", "MAIL FROM:<a@b>\r\n"]


def test_parameters_where_the_mail_needs_them(play: Play) -> None:
    peer = play("220 hi\r\n", EHLO, "550 no\r\n")
    client = connect(peer)
    with pytest.raises(Refused):
        client.send("ü@b", ["c@d"], b"\xff")
    client.close()
    peer.thread.join()
    assert peer.heard[1] == "MAIL FROM:<ü@b> SIZE=1 BODY=8BITMIME SMTPUTF8\r\n".encode().decode("latin-1")


def test_some_recipients_are_refused(play: Play) -> None:
    peer = play("220 hi\r\n", EHLO, "250 ok\r\n", "550 5.1.1 who?\r\n", "250 go\r\n", "354 go\r\n", "250 kept\r\n")
    client = connect(peer)
    reply, refused = client.send("a@b", ["c@d", "e@f"], b"x")
    client.close()
    assert (reply, [str(refusal) for refusal in refused]) == (
        Reply(250, ["kept"]),
        ["RCPT TO:<c@d> was refused: 550 5.1.1 who?"],
    )


def test_all_recipients_are_refused(play: Play) -> None:
    client = connect(play("220 hi\r\n", EHLO, "250 ok\r\n", "550 one\r\n", "550 two\r\n"))
    with pytest.raises(Refused, match=r"^RCPT TO:<c@d> was refused: 550 one$"):
        client.send("a@b", ["c@d", "e@f"], b"x")
    client.close()


def complaint_of(client: Client) -> str:
    try:
        client.greet("me")
        client.send("a@b", ["c@d"], b"x")
    except SendError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("replies", "complaint"),
    [
        (["421 busy\r\n"], "the connection was refused: 421 busy"),
        ([""], "the server closed the connection"),
        (["HTTP/1.1 400\r\n"], "this is no SMTP reply: 'HTTP/1.1 400'"),
        (["220 hi\r\n", "250-half\r\n"], "the server closed the connection"),
        (["220 hi\r\n", "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "554 no\r\n"], "DATA was refused: 554 no"),
        (
            ["220 hi\r\n", "250 ok\r\n", "250 ok\r\n", "250 go\r\n", "354 go\r\n", "451 4.3.0 later\r\n"],
            "the mail was refused: 451 4.3.0 later",
        ),
    ],
    ids=["greeting", "silence", "web-server", "half-a-reply", "data", "mail"],
)
def test_what_goes_wrong(play: Play, replies: list[str], complaint: str) -> None:
    peer = play(*replies)
    client = Client(peer.address, 30.0, Watcher())
    assert complaint_of(client) == complaint
    client.close()


def test_nobody_is_there() -> None:
    with pytest.raises(SendError, match=r"^cannot connect to 127.0.0.1:1: Connection refused$"):
        Client("127.0.0.1:1", 1.0, Watcher())


def test_tls_where_there_is_none(play: Play) -> None:
    peer = play("220 hi\r\n")
    client = Client(peer.address, 30.0, Watcher())
    with pytest.raises(SendError) as raised:
        client.wrap(tls_context(insecure=True, ca_file=""))
    client.close()
    assert str(raised.value) == "TLS failed: the server speaks in plain text there; --starttls may be meant"


def test_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"127.0.0.1:{silent.getsockname()[1]}", 0.01, Watcher())
        with pytest.raises(SendError, match=r"^the server did not answer in time$"):
            client.greet("me")
        client.close()


# --- AUTH


def encoded(text: str) -> str:
    """`text` in base64; | stands for the octet 1, as in RFC 7628."""
    return base64.b64encode(text.replace("|", "\1").encode()).decode()


@pytest.mark.parametrize(
    ("mechanism", "replies", "heard"),
    [
        ("", ["235 in\r\n"], [f"AUTH PLAIN {encoded(chr(0).join(('', 'user', 'secret')))}"]),
        ("LOGIN", ["334 VXNlcg==\r\n", "334 UGFzcw==\r\n", "235 in\r\n"], ["AUTH LOGIN", "dXNlcg==", "c2VjcmV0"]),
        (
            # The example of RFC 2195 section 2.
            "CRAM-MD5",
            ["334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n", "235 in\r\n"],
            ["AUTH CRAM-MD5", "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"],
        ),
        ("XOAUTH2", ["235 in\r\n"], [f"AUTH XOAUTH2 {encoded('user=user|auth=Bearer secret||')}"]),
        (
            "OAUTHBEARER",
            ["235 in\r\n"],
            [f"AUTH OAUTHBEARER {encoded('n,a=user,|host=127.0.0.1|auth=Bearer secret||')}"],
        ),
    ],
    ids=["default", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"],
)  # fmt: skip
def test_log_in(play: Play, mechanism: str, replies: list[str], heard: list[str]) -> None:
    peer = play("220 hi\r\n", EHLO, *replies)
    client = connect(peer)
    user, password = ("tim", "tanstaaftanstaaf") if mechanism == "CRAM-MD5" else ("user", "secret")
    client.log_in(user, password, mechanism)
    client.close()
    peer.thread.join()
    assert peer.heard == ["EHLO me\r\n", *(f"{line}\r\n" for line in heard)]


@pytest.mark.parametrize(
    ("mechanism", "replies", "complaint"),
    [
        ("PLAIN", [EHLO, "535 5.7.8 no\r\n"], "AUTH PLAIN was refused: 535 5.7.8 no"),
        ("XOAUTH2", [EHLO, "334 e30=\r\n", "535 no\r\n"], "AUTH XOAUTH2 was refused: 535 no"),
        ("LOGIN", [EHLO, *6 * ["334 *\r\n"]], "AUTH LOGIN was refused: 334 *"),
        ("", ["250 nothing\r\n"], "the server offers no AUTH mechanism that takes a password; --auth tries one"),
    ],
    ids=["refused", "error-in-a-challenge", "endless", "not-offered"],
)
def test_log_in_that_fails(play: Play, mechanism: str, replies: list[str], complaint: str) -> None:
    client = connect(play("220 hi\r\n", *replies))
    with pytest.raises(SendError) as raised:
        client.log_in("user", "secret", mechanism)
    client.close()
    assert str(raised.value) == complaint


# --- mail data


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b"\r\n.\r\n"),
        (b"x", b"x\r\n.\r\n"),
        (b"x\n", b"x\r\n.\r\n"),
        (b"x\r\n", b"x\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a\n.\n..b\n", b"a\r\n..\r\n...b\r\n.\r\n"),
        (b"a\rb", b"a\r\nb\r\n.\r\n"),
    ],
)
def test_stuffed(message: bytes, wire: bytes) -> None:
    assert stuffed(message) == wire
