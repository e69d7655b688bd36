"""AUTH exchanges without a session: what each mechanism captures from what a client says."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.smtp.auth import Captured, ResponseError, decode_response, encode_challenge, start_exchange
from fastsmtp.smtp.envelope import Credentials
from fastsmtp.smtp.replies import MECHANISMS

RESPONSES: list[tuple[str, bytes, Captured]] = [
    ("PLAIN", b"\0joe\0pass", Captured(Credentials("PLAIN", "joe", "pass"))),
    ("PLAIN", b"joe\0joe\0pass", Captured(Credentials("PLAIN", "joe", "pass"))),
    ("PLAIN", b"adm\0\0pass", Captured(Credentials("PLAIN", "adm", "pass"), False)),
    ("PLAIN", b"\0joe\0pa\0ss", Captured(Credentials("PLAIN", "joe", "pa\0ss"), False)),
    ("PLAIN", b"joe\0pass", Captured(Credentials("PLAIN", "joe", "pass"), False)),
    ("PLAIN", b"joe", Captured(Credentials("PLAIN", "joe", None), False)),
    ("PLAIN", b"", Captured(Credentials("PLAIN", "", None), False)),
    ("PLAIN", b"\0\xc3\xbc\0\xff", Captured(Credentials("PLAIN", "ü", "ÿ"))),
    # Thunderbird: the name in Latin-1, the password in UTF-8
    ("PLAIN", b"\0j\xfc\0geh\xc3\xabim", Captured(Credentials("PLAIN", "jü", "gehëim"))),
    ("CRAM-MD5", b"joe " + b"0a" * 16, Captured(Credentials("CRAM-MD5", "joe", None, "<n@h>", "0a" * 16))),
    ("CRAM-MD5", b"joe x", Captured(Credentials("CRAM-MD5", "joe", None, "<n@h>", "x"), False)),
    ("CRAM-MD5", b"joe", Captured(Credentials("CRAM-MD5", "joe", None, "<n@h>"), False)),
    ("XOAUTH2", b"user=joe\x01auth=Bearer a b\x01\x01", Captured(Credentials("XOAUTH2", "joe", "a b"))),
    ("XOAUTH2", b"user=joe\x01auth=bearer t\x01\x01", Captured(Credentials("XOAUTH2", "joe", "t"))),
    # RFC 6750 section 2.1: any number of blanks before the token, and what stands around it does not belong to it.
    ("XOAUTH2", b"user=joe\x01auth=Bearer  t \x01\x01", Captured(Credentials("XOAUTH2", "joe", "t"))),
    ("XOAUTH2", b"user=joe\x01auth= bearer\t t\t1\t\x01\x01", Captured(Credentials("XOAUTH2", "joe", "t\t1"))),
    (
        "XOAUTH2",
        b"user=joe\x01auth=Bearer  \x01\x01",
        Captured(Credentials("XOAUTH2", "joe", "user=joe\x01auth=Bearer  \x01\x01"), False),
    ),
    ("XOAUTH2", b"user=joe\x01auth=Bearer t", Captured(Credentials("XOAUTH2", "joe", "t"), False)),
    (
        "XOAUTH2",
        b"user=joe\x01auth=t\x01\x01",
        Captured(Credentials("XOAUTH2", "joe", "user=joe\x01auth=t\x01\x01"), False),
    ),
    ("XOAUTH2", b"auth=Bearer t\x01\x01", Captured(Credentials("XOAUTH2", None, "t"), False)),
    ("XOAUTH2", b"user=j\xfc\x01auth=Bearer \xc3\xab\x01\x01", Captured(Credentials("XOAUTH2", "jü", "ë"))),
    ("XOAUTH2", b"token", Captured(Credentials("XOAUTH2", None, "token"), False)),
    ("OAUTHBEARER", b"n,a=joe,\x01auth=Bearer t\x01\x01", Captured(Credentials("OAUTHBEARER", "joe", "t"))),
    ("OAUTHBEARER", b"n,a=j=2Co=3De,\x01auth=Bearer t\x01\x01", Captured(Credentials("OAUTHBEARER", "j,o=e", "t"))),
    ("OAUTHBEARER", b"n,a=joe,\x01auth=Bearer   t  \x01\x01", Captured(Credentials("OAUTHBEARER", "joe", "t"))),
    ("OAUTHBEARER", b"n,a=j\xfc,\x01auth=Bearer \xc3\xab\x01\x01", Captured(Credentials("OAUTHBEARER", "jü", "ë"))),
    ("OAUTHBEARER", b"n,,\x01auth=Bearer t\x01\x01", Captured(Credentials("OAUTHBEARER", None, "t"))),
    ("OAUTHBEARER", b"n,,\x01user=joe\x01auth=Bearer t\x01\x01", Captured(Credentials("OAUTHBEARER", "joe", "t"))),
    ("OAUTHBEARER", b"\x01", Captured(Credentials("OAUTHBEARER", None, "\x01"), False)),
]


@pytest.mark.parametrize(("mechanism", "response", "captured"), RESPONSES, ids=lambda value: ascii(value)[:30])
def test_response(mechanism: str, response: bytes, captured: Captured) -> None:
    exchange = start_exchange(mechanism, "n", "h")
    assert exchange is not None
    assert exchange.respond(response) == captured


def test_login_asks_twice() -> None:
    exchange = start_exchange("LOGIN", "n", "h")
    assert exchange is not None
    assert exchange.challenge() == b"Username:"
    assert exchange.respond(b"joe") == b"Password:"
    assert exchange.respond(b"\xff") == Captured(Credentials("LOGIN", "joe", "ÿ"))


def test_first_challenges() -> None:
    challenges = {}
    for mechanism in MECHANISMS:
        exchange = start_exchange(mechanism, "n", "h")
        assert exchange is not None
        challenges[mechanism] = (exchange.challenge(), exchange.takes_initial_response)
    assert challenges == {
        "PLAIN": (b"", True),
        "LOGIN": (b"Username:", True),
        "CRAM-MD5": (b"<n@h>", False),
        "XOAUTH2": (b"", True),
        "OAUTHBEARER": (b"", True),
    }


@pytest.mark.parametrize("mechanism", ["", "plain", "NTLM", "GSSAPI"])
def test_unknown_mechanism(mechanism: str) -> None:
    assert start_exchange(mechanism, "n", "h") is None


def test_password_is_not_shown() -> None:
    assert repr(Credentials("CRAM-MD5", "joe", "s3cret", "<n@h>", "d1gest")) == (
        "Credentials(mechanism='CRAM-MD5', username='joe', challenge='<n@h>')"
    )


@given(st.binary(max_size=200))
def test_base64_both_ways(octets: bytes) -> None:
    assert decode_response(encode_challenge(octets)) == octets


@pytest.mark.parametrize(
    "text",
    ["=", "==", "====", "A", "AA", "AAA", "A===", "AA=", "AA=A", "A=AA", "AA==AA==", "AA-_", "AAA\n", "AA A", "ÄÄÄÄ"],
)
def test_not_base64(text: str) -> None:
    with pytest.raises(ResponseError):
        decode_response(text)


@given(st.sampled_from(MECHANISMS), st.lists(st.binary(max_size=60), min_size=2, max_size=2))
def test_any_response_is_captured(mechanism: str, responses: list[bytes]) -> None:
    exchange = start_exchange(mechanism, "n", "h")
    assert exchange is not None
    answer = exchange.respond(responses[0])
    if isinstance(answer, bytes):
        answer = exchange.respond(responses[1])
    assert isinstance(answer, Captured)
    assert answer.credentials.mechanism == mechanism


def test_empty_response() -> None:
    assert decode_response("") == b""
    assert decode_response(base64.b64encode(b"\0a\0b").decode()) == b"\0a\0b"
