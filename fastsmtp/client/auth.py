"""The client's side of AUTH (RFC 4954): what an account answers in each mechanism, and which one is taken."""

from __future__ import annotations

import base64
import hmac
from typing import Final, NamedTuple

from fastsmtp.smtp.replies import MECHANISMS

PLAIN, LOGIN, CRAM_MD5, XOAUTH2, OAUTHBEARER = MECHANISMS  # the same that the server offers

# The first that is offered is taken: what can be seen on the other side is worth more here than what is hidden. The
# others take a token in place of a password, and have to be asked for.
PASSWORD_MECHANISMS: Final = (PLAIN, LOGIN, CRAM_MD5)


class Account(NamedTuple):
    """A user and what proves it: a password, or a token."""

    user: str
    password: str

    def initial_response(self, mechanism: str, host: str) -> str:
        """Return the initial response (RFC 4954 section 4), "" where the server speaks first."""
        if mechanism == PLAIN:
            return f"\0{self.user}\0{self.password}"
        if mechanism == XOAUTH2:
            return f"user={self.user}\1auth=Bearer {self.password}\1\1"
        if mechanism == OAUTHBEARER:
            return f"n,a={self.user},\1host={host}\1auth=Bearer {self.password}\1\1"
        return ""

    def respond(self, mechanism: str, step: int, challenge: bytes) -> str:
        """Return the response to a challenge, the first being `step` 0."""
        if mechanism == CRAM_MD5:
            return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"
        if mechanism == LOGIN:
            return self.password if step else self.user
        if mechanism == OAUTHBEARER:
            return "\1"  # to an error in a challenge (RFC 7628 section 3.2.3)
        return "" if step or mechanism != PLAIN else self.initial_response(mechanism, "")


def choose(offered: str) -> str:
    """Return the mechanism to take where the parameters of the AUTH extension are `offered`, "" for none."""
    names = offered.upper().split()
    return next((name for name in PASSWORD_MECHANISMS if name in names), "")


def encode_response(response: str) -> bytes:
    """Return a response as it stands in a line."""
    return base64.b64encode(response.encode())


def decode_challenge(challenge: bytes) -> bytes:
    """Return the octets of a challenge, b"" where it is not base64."""
    try:
        return base64.b64decode(challenge)
    except ValueError:
        return b""
