"""Clients of other protocols: their session ends with the first line, and nothing behind it is looked at."""

from __future__ import annotations

import pytest
from support import ACCEPTED, DATA, EHLO, MAIL, QUIT, RCPT, Step, converse, settings

OTHER = b"421 4.7.0 This is an SMTP server: neither HTTP nor TLS is spoken here\r\n"
DIALOGUE = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n"
HEADER = b"Host: 127.0.0.1:1025\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(DIALOGUE)
REQUESTS = {
    "POST": b"POST / HTTP/1.1\r\n",
    "GET": b"GET /%0d%0aMAIL HTTP/1.0\r\n",
    "preflight": b"OPTIONS / HTTP/1.1\r\n",
    "proxy": b"CONNECT mx.test:25 HTTP/1.1\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n",
    "a method of WebDAV": b"PROPFIND /x HTTP/1.1\r\n",
    "in lower case": b"get / http/1.1\r\n",
    "without a version": b"GET /\r\n",
    "with a blank in its target": b"POST /a b HTTP/1.1\r\n",
    "with LF": b"POST / HTTP/1.1\n",
    "with CR CR LF": b"POST / HTTP/1.1\r\r\n",
    "with eight bits": b"POST /\xfc HTTP/1.1\r\n",
    "behind an empty line": b"\r\nPOST / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_http_ends_the_session(name: str, strict: bool) -> None:
    empty = b"500 5.5.2 Command not recognized\r\n" if "empty" in name else b""
    outcome = converse((REQUESTS[name] + HEADER + DIALOGUE, empty + OTHER), settings=settings(strict=strict))
    assert (outcome.mails, outcome.others) == ([], ["Closed"])
    detail = REQUESTS[name].decode("latin-1").strip()
    assert outcome.violations == {"http-request": (detail, 1)}


@pytest.mark.parametrize("length", [64 * 1024, 300_000])
def test_a_request_line_that_is_too_long(length: int) -> None:
    line = b"POST /" + b"x" * length + b" HTTP/1.1\r\n"
    outcome = converse((line + HEADER + DIALOGUE, OTHER), pipelined=False)
    assert (outcome.mails, outcome.others) == ([], ["Closed"])
    assert outcome.violations == {
        "http-request": (("POST /" + "x" * 200)[: len(outcome.violations["http-request"][0])], 1)
    }


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"


@pytest.mark.parametrize("octets", [HELLO, HELLO + DIALOGUE, b"\x16"], ids=["alone", "with a dialogue", "cut"])
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_tls_ends_the_session(octets: bytes, strict: bool) -> None:
    outcome = converse((octets, OTHER), settings=settings(strict=strict, tls=True))
    assert (outcome.mails, outcome.others) == ([], ["Closed"])
    assert outcome.violations == {"tls-without-starttls": ("", 1)}


LATER: list[Step] = [
    (b"POST / HTTP/1.1\r\n", b"500 5.5.2 Command not recognized\r\n"),
    (b"GET /\r\n", b"500 5.5.2 Command not recognized\r\n"),
    (b"\x16\x03\x01\r\n", b"500 5.5.2 Command not recognized\r\n"),
]


@pytest.mark.parametrize("step", LATER, ids=lambda step: ascii(step[0]))
def test_a_later_line_is_an_unknown_command(step: Step) -> None:
    outcome = converse(EHLO, step, MAIL, RCPT, DATA, (b".\r\n", ACCEPTED), QUIT)
    assert outcome.violations == {}


@pytest.mark.parametrize(
    "line", [b"GETTER / HTTP\r\n", b"HTTP/1.1\r\n", b"X HTTP/1.1\r\n", b"/ HTTP/1.\r\n", b"FOO x HTTP/1.1x\r\n"]
)
def test_what_is_no_request(line: bytes) -> None:
    outcome = converse((line, b"500 5.5.2 Command not recognized\r\n"), QUIT)
    assert outcome.violations == {}
