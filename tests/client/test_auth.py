"""What an account answers in each mechanism, and which mechanism is taken."""

from __future__ import annotations

import hmac

import pytest

from fastsmtp.client.auth import (
    PASSWORD_MECHANISMS,
    Account,
    choose,
    decode_challenge,
    encode_response,
)
from fastsmtp.smtp.auth import Captured, start_exchange
from fastsmtp.smtp.envelope import Credentials
from fastsmtp.smtp.replies import MECHANISMS

ACCOUNT = Account("user", "secret")


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        ("PLAIN", "\0user\0secret"),
        ("LOGIN", ""),
        ("CRAM-MD5", ""),
        ("XOAUTH2", "user=user\1auth=Bearer secret\1\1"),
        ("OAUTHBEARER", "n,a=user,\1host=mx\1auth=Bearer secret\1\1"),
    ],
)
def test_initial_response(mechanism: str, response: str) -> None:
    assert ACCOUNT.initial_response(mechanism, "mx") == response


@pytest.mark.parametrize(
    ("mechanism", "responses"),
    [
        ("PLAIN", ["\0user\0secret", ""]),
        ("LOGIN", ["user", "secret"]),
        ("XOAUTH2", ["", ""]),
        ("OAUTHBEARER", ["\1", "\1"]),
    ],
)
def test_responses(mechanism: str, responses: list[str]) -> None:
    assert [ACCOUNT.respond(mechanism, step, b"?") for step in range(2)] == responses


def test_the_example_of_rfc_2195() -> None:
    challenge = decode_challenge(b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")
    response = Account("tim", "tanstaaftanstaaf").respond("CRAM-MD5", 0, challenge)
    assert encode_response(response) == b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_server_understands_every_mechanism(mechanism: str) -> None:
    exchange = start_exchange(mechanism, "1", "mx")
    assert exchange is not None
    challenge = exchange.challenge()
    reply: bytes | Captured = challenge
    step = 0
    if initial := ACCOUNT.initial_response(mechanism, "mx"):
        reply = exchange.respond(initial.encode())
    while isinstance(reply, bytes):
        reply = exchange.respond(ACCOUNT.respond(mechanism, step, reply).encode())
        step += 1
    credentials = Credentials(mechanism, "user", "secret")
    if mechanism == "CRAM-MD5":
        digest = hmac.new(b"secret", b"<1@mx>", "md5").hexdigest()
        credentials = Credentials(mechanism, "user", None, "<1@mx>", digest)
    assert reply == Captured(credentials)


@pytest.mark.parametrize(
    ("offered", "mechanism"),
    [
        ("LOGIN PLAIN CRAM-MD5", "PLAIN"),
        ("cram-md5 login", "LOGIN"),
        ("CRAM-MD5 XOAUTH2", "CRAM-MD5"),
        ("XOAUTH2 GSSAPI", ""),
        ("", ""),
    ],
)
def test_choose(offered: str, mechanism: str) -> None:
    assert choose(offered) == mechanism


def test_password_mechanisms() -> None:
    assert PASSWORD_MECHANISMS == ("PLAIN", "LOGIN", "CRAM-MD5")


def test_a_challenge_that_is_not_base64() -> None:
    assert decode_challenge(b"x") == b""
