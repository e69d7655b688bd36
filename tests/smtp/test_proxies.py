"""What a proxy says about its client, by PROXY headers, XCLIENT and XFORWARD, where it is believed and where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxyheaders import SIGNATURE, v2
from support import ACCEPTED, DATA, EHLO, MAIL, PEER, QUIT, RCPT, Outcome, Player, Step, converse, settings

from fastsmtp.smtp.envelope import Credentials
from fastsmtp.smtp.proxied import Proxied
from fastsmtp.smtp.proxyheader import ProxyHeader
from fastsmtp.smtp.session import Session

GREETING = b"220 mx.test ESMTP fastsmtp\r\n"
TAKEN = b"250 2.0.0 Client attributes taken\r\n"
NO_PROXY = b"550 5.7.0 You are no proxy of this server\r\n"
BAD_ARGUMENT = b"501 5.5.4 Bad or missing argument\r\n"
# To a proxy that is believed, EHLO offers what it may use.
EHLO_PROXY = (
    EHLO[0],
    EHLO[1].replace(
        b"250 HELP",
        b"250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"
        b"250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n250 HELP",
    ),
)
CONTENT: Step = (b"Subject: x\r\n\r\ny\r\n.\r\n", ACCEPTED)
WHOLE_MAIL = (MAIL, RCPT, DATA, CONTENT)
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 25\r\n"
V1_HEADER = ProxyHeader(1, "203.0.113.7:4711", "192.0.2.1:25", {})
V2 = v2(0x21, 0x11, bytes([203, 0, 113, 7, 192, 0, 2, 1]) + b"\x12\x67\x00\x19", checksum=True)
V2_HEADER = ProxyHeader(2, "203.0.113.7:4711", "192.0.2.1:25", {})


def mail_behind(*steps: Step, believed: bool, strict: bool = False) -> Outcome:
    ehlo = EHLO_PROXY if believed else EHLO
    first, *others = steps
    joined = (first[0] + ehlo[0], first[1] + ehlo[1])
    return converse(joined, *others, *WHOLE_MAIL, settings=settings(strict=strict), believed=believed)


@pytest.mark.parametrize(("octets", "header"), [(V1, V1_HEADER), (V2, V2_HEADER)], ids=["v1", "v2"])
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_a_header_that_is_believed(octets: bytes, header: ProxyHeader, strict: bool) -> None:
    outcome = mail_behind((octets, b""), believed=True, strict=strict)
    proxied = outcome.envelope().proxied
    assert proxied == Proxied(PEER, True, header)
    assert proxied.client_addr == "203.0.113.7:4711"
    assert (outcome.others, outcome.violations) == (["ClientNamed 203.0.113.7:4711"], {})


@pytest.mark.parametrize(("octets", "version"), [(b"PROXY UNKNOWN\r\n", 1), (v2(0x20, 0, b""), 2)], ids=["v1", "v2"])
def test_a_header_that_names_no_client(octets: bytes, version: int) -> None:
    outcome = mail_behind((octets, b""), believed=True)
    proxied = outcome.envelope().proxied
    assert proxied == Proxied(PEER, True, ProxyHeader(version, None, None, {}))
    assert proxied.client_addr == ""
    assert (outcome.others, outcome.violations) == ([], {})


@pytest.mark.parametrize(("octets", "header"), [(V1, V1_HEADER), (V2, V2_HEADER)], ids=["v1", "v2"])
def test_a_header_that_is_not_believed(octets: bytes, header: ProxyHeader) -> None:
    outcome = mail_behind((octets, b""), believed=False)
    proxied = outcome.envelope().proxied
    assert proxied == Proxied(PEER, False, header)
    assert proxied.client_addr == ""
    assert (outcome.others, outcome.violations) == ([], {"untrusted-proxy": ("PROXY 203.0.113.7:4711", 1)})


@pytest.mark.parametrize("octets", [V1, V2], ids=["v1", "v2"])
def test_strict_refuses_a_header_that_is_not_believed(octets: bytes) -> None:
    outcome = converse((octets + EHLO[0] + MAIL[0], NO_PROXY), settings=settings(strict=True))
    assert (outcome.others, outcome.violations) == (["Closed"], {"untrusted-proxy": ("PROXY 203.0.113.7:4711", 1)})


@pytest.mark.parametrize("octets", [b"PROXY TCP4 x\r\n", SIGNATURE + b"\x11\x11\x00\x00"], ids=["v1", "v2"])
@pytest.mark.parametrize("believed", [False, True], ids=["not believed", "believed"])
@pytest.mark.parametrize("strict", [False, True], ids=["default", "strict"])
def test_a_malformed_header_ends_the_session(octets: bytes, believed: bool, strict: bool) -> None:
    reply = b"421 4.7.0 Malformed PROXY header\r\n"
    outcome = converse((octets + EHLO[0] + MAIL[0], reply), settings=settings(strict=strict), believed=believed)
    detail = octets.decode("latin-1")
    assert (outcome.others, outcome.violations) == (["Closed"], {"malformed-proxy-header": (detail, 1)})


UNKNOWN = b"500 5.5.2 Command not recognized\r\n"


@pytest.mark.parametrize(
    ("octets", "replies"),
    [
        (b"PROXY\r\n", UNKNOWN),
        (b"PRO\r\n", UNKNOWN),
        (b"P\r\nQUIT\r\n", UNKNOWN + QUIT[1]),
        (b"\r\n\r\nNOOP\r\n", 2 * UNKNOWN + b"250 2.0.0 OK\r\n"),
        (b"\r\n\r\n\0\r\nNOOP\r\n", 3 * UNKNOWN + b"250 2.0.0 OK\r\n"),
        (b"\r\n\r\n\0\r\nQUIT\r\n", 3 * UNKNOWN + QUIT[1]),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("believed", [False, True], ids=["not believed", "believed"])
def test_what_only_begins_like_a_header(octets: bytes, replies: bytes, believed: bool) -> None:
    assert converse((octets, replies), believed=believed).violations == {}


def test_a_header_comes_first_or_is_none() -> None:
    outcome = converse(EHLO_PROXY, (V1, UNKNOWN), MAIL, believed=True)
    assert outcome.violations == {}


def test_shutdown_before_the_header() -> None:
    player = Player(Session(settings(), remote_addr=PEER, believed=True))
    player.session.greet()
    player.send(V1[:9])
    assert (player.finish_step(), player.session.state) == (GREETING, "idle")
    player.session.shutdown()
    assert player.finish_step() == b"421 4.3.2 Server is shutting down\r\n"
    assert player.session.closing


def test_end_of_input_within_the_header() -> None:
    player = Player(Session(settings(), remote_addr=PEER, believed=True))
    player.send(V2[:20])
    player.end()
    assert player.finish().others == ["Closed"]


# XCLIENT

XCLIENT = b"XCLIENT NAME=c.test ADDR=203.0.113.7 PORT=4711 HELO=client.other PROTO=SMTP LOGIN=joe+40x DESTADDR=::1\r\n"
XCLIENT_ATTRIBUTES = {
    "NAME": "c.test", "ADDR": "203.0.113.7", "PORT": "4711", "HELO": "client.other", "PROTO": "SMTP", "LOGIN": "joe@x",
    "DESTADDR": "::1",
}  # fmt: skip


def test_xclient() -> None:
    outcome = converse(EHLO_PROXY, (XCLIENT, GREETING), *WHOLE_MAIL, believed=True)
    envelope = outcome.envelope()
    assert envelope.proxied == Proxied(PEER, True, None, XCLIENT_ATTRIBUTES)
    assert envelope.proxied.client_addr == "203.0.113.7:4711"
    assert (envelope.helo, envelope.esmtp, envelope.credentials) == (
        "client.other",
        False,
        Credentials("XCLIENT", "joe@x"),
    )
    assert (outcome.others, outcome.violations) == (["ClientNamed 203.0.113.7:4711"], {})


def test_xclient_that_is_not_believed() -> None:
    outcome = converse(EHLO, (XCLIENT, GREETING), *WHOLE_MAIL)
    envelope = outcome.envelope()
    assert envelope.proxied == Proxied(PEER, False, None, XCLIENT_ATTRIBUTES)
    assert envelope.proxied.client_addr == ""
    assert (envelope.helo, envelope.esmtp, envelope.credentials) == ("client.test", True, None)
    detail = XCLIENT.decode().strip().removeprefix("XCLIENT ")
    assert (outcome.others, outcome.violations) == ([], {"untrusted-proxy": (detail, 1)})


@pytest.mark.parametrize("verb", ["XCLIENT", "XFORWARD"])
def test_strict_refuses_a_client_that_is_no_proxy(verb: str) -> None:
    step = (f"{verb} ADDR=192.0.2.4\r\n".encode(), NO_PROXY)
    outcome = converse(EHLO, step, *WHOLE_MAIL, settings=settings(strict=True))
    assert outcome.envelope().proxied is None
    assert outcome.violations == {"untrusted-proxy": ("ADDR=192.0.2.4", 1)}


ADDRESSES = {
    "ADDR=203.0.113.7 PORT=25": "203.0.113.7:25",
    "ADDR=203.0.113.7": "203.0.113.7:0",
    "ADDR=203.0.113.7 PORT=[UNAVAILABLE]": "203.0.113.7:0",
    "addr=IPV6:2001:DB8::1 port=9": "[2001:db8::1]:9",
    "ADDR=2001:db8::1": "[2001:db8::1]:0",
    "ADDR=::ffff:192.0.2.1 PORT=1": "192.0.2.1:1",
    "ADDR=[UNAVAILABLE] PORT=25": "",
    "ADDR=[TEMPUNAVAIL]": "",
    "ADDR=": "",
    "NAME=x": "",
}


@pytest.mark.parametrize("attributes", ADDRESSES)
@pytest.mark.parametrize("verb", ["XCLIENT", "XFORWARD"])
def test_address(verb: str, attributes: str) -> None:
    step = (f"{verb} {attributes}\r\n".encode(), GREETING if verb == "XCLIENT" else TAKEN)
    outcome = converse(EHLO_PROXY, step, *WHOLE_MAIL, believed=True)
    proxied = outcome.envelope().proxied
    assert proxied is not None
    assert (proxied.client_addr, outcome.violations) == (ADDRESSES[attributes], {})


def test_the_last_word_counts() -> None:
    """XCLIENT names the client of a proxy that has a proxy before it, and says a part with each command."""
    outcome = converse(
        (V1 + EHLO_PROXY[0], EHLO_PROXY[1]),
        (b"XCLIENT ADDR=192.0.2.4 LOGIN=joe\r\n", GREETING),
        (b"XCLIENT PORT=5 NAME=a LOGIN=[UNAVAILABLE]\r\n", GREETING),
        *WHOLE_MAIL,
        believed=True,
    )
    attributes = {"ADDR": "192.0.2.4", "PORT": "5", "NAME": "a", "LOGIN": "[UNAVAILABLE]"}
    proxied = outcome.envelope().proxied
    assert proxied == Proxied(PEER, True, V1_HEADER, attributes)
    assert (proxied.client_addr, outcome.envelope().credentials) == ("192.0.2.4:5", None)
    assert outcome.others == [f"ClientNamed {text}" for text in ("203.0.113.7:4711", "192.0.2.4:0", "192.0.2.4:5")]


def test_a_proxy_may_log_in_behind_the_login_of_its_client() -> None:
    """nginx with `proxy_smtp_auth on` does."""
    plain = (b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", b"235 2.7.0 Authentication accepted\r\n")
    again = (plain[0], b"503 5.5.1 Already authenticated\r\n")
    outcome = converse(EHLO_PROXY, (b"XCLIENT LOGIN=joe\r\n", GREETING), plain, again, *WHOLE_MAIL, believed=True)
    assert outcome.envelope().credentials == Credentials("PLAIN", "ann", "secret")


@pytest.mark.parametrize("argument", ["", " ", "NAME", "NAME=x ADDR"])
@pytest.mark.parametrize("verb", ["XCLIENT", "XFORWARD"])
@pytest.mark.parametrize("believed", [False, True], ids=["not believed", "believed"])
def test_no_attributes(verb: str, argument: str, believed: bool) -> None:
    ehlo = EHLO_PROXY if believed else EHLO
    outcome = converse(ehlo, (f"{verb} {argument}\r\n".encode(), BAD_ARGUMENT), *WHOLE_MAIL, believed=believed)
    assert (outcome.envelope().proxied, outcome.violations) == (None, {})


@pytest.mark.parametrize(
    "word", ["ADDR=1.2.3", "ADDR=x", "PORT=65536", "PORT=-1", "PORT=+D9+A3", "FOO=bar", "=x", "DESTADDR=300.1.1.1"]
)
def test_invalid_attribute(word: str) -> None:
    step = f"XCLIENT NAME=a {word}\r\n".encode()
    outcome = converse(EHLO_PROXY, (step, GREETING), *WHOLE_MAIL, believed=True)
    assert outcome.envelope().proxied == Proxied(PEER, True, None, {"NAME": "a"})
    assert outcome.violations == {"invalid-parameter": (word, 1)}
    strict = converse(EHLO_PROXY, (step, BAD_ARGUMENT), *WHOLE_MAIL, believed=True, settings=settings(strict=True))
    assert (strict.envelope().proxied, strict.violations) == (None, {"invalid-parameter": (word, 1)})


def test_xtext() -> None:
    step = (b"XCLIENT NAME=a+20b+2B+C3+BC HELO=+FF+\r\n", GREETING)
    outcome = converse(EHLO_PROXY, step, *WHOLE_MAIL, believed=True)
    assert outcome.envelope().proxied == Proxied(PEER, True, None, {"NAME": "a b+ü", "HELO": "ÿ+"})


@pytest.mark.parametrize("verb", ["XCLIENT", "XFORWARD"])
def test_not_within_a_transaction(verb: str) -> None:
    refused = (f"{verb} NAME=x\r\n".encode(), b"503 5.5.1 Not allowed inside a transaction\r\n")
    outcome = converse(EHLO_PROXY, MAIL, refused, RCPT, DATA, CONTENT, believed=True)
    assert outcome.envelope().proxied is None


# XFORWARD is about the next mail


def test_xforward() -> None:
    outcome = converse(
        EHLO_PROXY,
        (b"XFORWARD NAME=a ADDR=192.0.2.4\r\n", TAKEN),
        (b"XFORWARD PORT=7 SOURCE=REMOTE IDENT=Q1 HELO=h PROTO=SMTP\r\n", TAKEN),
        *WHOLE_MAIL,
        *WHOLE_MAIL,
        (b"XFORWARD NAME=b\r\n", TAKEN),
        (b"RSET\r\n", b"250 2.0.0 Reset\r\n"),
        *WHOLE_MAIL,
        believed=True,
    )
    first, second, third = (mail.envelope for mail in outcome.mails)
    assert first is not None
    attributes = {
        "NAME": "a",
        "ADDR": "192.0.2.4",
        "PORT": "7",
        "SOURCE": "REMOTE",
        "IDENT": "Q1",
        "HELO": "h",
        "PROTO": "SMTP",
    }
    assert first.proxied == Proxied(PEER, True, None, None, attributes)
    assert first.proxied.client_addr == "192.0.2.4:7"
    assert (first.helo, first.esmtp) == ("client.test", True)
    assert second is not None
    assert third is not None
    assert (second.proxied, third.proxied, outcome.others, outcome.violations) == (None, None, [], {})


def test_the_client_is_what_it_was_behind_the_mail_of_xforward() -> None:
    outcome = converse(
        (V1 + EHLO_PROXY[0], EHLO_PROXY[1]),
        (b"XFORWARD ADDR=192.0.2.4\r\n", TAKEN),
        *WHOLE_MAIL,
        *WHOLE_MAIL,
        believed=True,
    )
    addresses = [mail.envelope.proxied.client_addr for mail in outcome.mails if mail.envelope and mail.envelope.proxied]
    assert addresses == ["192.0.2.4:0", "203.0.113.7:4711"]


def test_values_are_bounded() -> None:
    step = (b"XCLIENT NAME=" + b"x" * 9000 + b"\r\n", GREETING)
    outcome = converse(EHLO_PROXY, step, *WHOLE_MAIL, believed=True)
    assert outcome.envelope().proxied == Proxied(PEER, True, None, {"NAME": "x" * 1024})


@given(st.binary(max_size=80), st.sampled_from([b"XCLIENT ", b"XFORWARD "]), st.booleans())
def test_any_attributes(octets: bytes, verb: bytes, believed: bool) -> None:
    line = verb + octets.replace(b"\n", b"") + b"\r\n"
    player = Player(Session(settings(), remote_addr=PEER, believed=believed))
    player.send(EHLO[0] + line + b"NOOP\r\n")
    assert player.finish_step().endswith(b"250 2.0.0 OK\r\n")
