"""A dialogue typed by hand: with line ends of RFC 5321 it is a mail, with LF alone its data never ends."""

from __future__ import annotations

import subprocess

from servers import Serve, Server

TYPED = b"HELO me\nMAIL FROM:<me@example.com>\nRCPT TO:<you@example.com>\nDATA\nSubject: Typed\n\nHello\n.\nQUIT\n"
BEFORE_THE_DATA = """\
220 buggregator.local ESMTP fastsmtp
250 buggregator.local
250 2.1.0 Sender accepted
250 2.1.5 Recipient accepted
354 End data with <CR><LF>.<CR><LF>
"""


def nc(server: Server, *options: str) -> str:
    """What the server answers to what was typed, with LF as line ends."""
    command = ["nc", *options, server.host, str(server.port)]
    ended = subprocess.run(command, input=TYPED, stdout=subprocess.PIPE, check=False, timeout=60)
    return ended.stdout.decode().replace("\r\n", "\n")


def test_with_crlf_it_is_a_mail(serve: Serve) -> None:
    server = serve()
    assert nc(server, "-C") == BEFORE_THE_DATA + "250 2.0.0 Message accepted\n221 2.0.0 Bye\n"
    [record] = server.records()
    assert (record["message"]["subject"], record["message"]["text"]) == ("Typed", "Hello\r\n")
    assert record["session"]["violations"] == []


def test_with_lf_its_data_never_ends(serve: Serve) -> None:
    server = serve({"smtp": {"read_timeout": "1s"}})
    assert nc(server) == BEFORE_THE_DATA
    server.wait_for(lambda: any("connection closed" in line for line in server.lines))
    told = [line.split("  ")[3:] for line in server.lines if "WARN" in line]
    assert [words[0] if words[0] != "violation" else words[3] for words in told] == [
        "read timeout",
        "mail broken off",
        "code=bare-lf-in-command",
    ]
    assert server.records() == []
