"""AUTH exchanges (RFC 4954) that capture what the client gives away. Nothing is verified, and nothing is logged here.

An exchange is fed one decoded response after the other and answers each with the next challenge or, at last, with the
credentials. A response that is not what its mechanism asks for is captured all the same and marked.
"""

from __future__ import annotations

import abc
import base64
import binascii
import re
from typing import Final, NamedTuple

from fastsmtp.smtp.envelope import Credentials

_bearer = re.compile(r"[ \t]*bearer[ \t]+", re.IGNORECASE).match  # "Bearer" 1*SP b64token (RFC 6750 section 2.1)
_is_base64 = re.compile("[A-Za-z0-9+/]*={0,2}").fullmatch


class Captured(NamedTuple):
    """The end of an exchange. `well_formed` is False where a response was not what the mechanism asks for."""

    credentials: Credentials
    well_formed: bool = True


class ResponseError(ValueError):
    """The response is not base64: 501."""


def decode_response(text: str) -> bytes:
    """The octets of a response or initial response (RFC 4954 section 4). Raises ResponseError."""
    if len(text) % 4 or _is_base64(text) is None:
        raise ResponseError("not base64")
    return binascii.a2b_base64(text)


def encode_challenge(challenge: bytes) -> str:
    """A challenge as it stands behind 334."""
    return base64.b64encode(challenge).decode()


class Exchange(abc.ABC):
    """One run of a mechanism."""

    __slots__ = ()

    takes_initial_response = True

    def challenge(self) -> bytes:
        """The first challenge, sent when the client gave no initial response."""
        return b""

    @abc.abstractmethod
    def respond(self, response: bytes) -> bytes | Captured:
        """The next challenge, or what was captured."""


class Plain(Exchange):
    """RFC 4616: [authzid] NUL authcid NUL passwd."""

    __slots__ = ()

    def respond(self, response: bytes) -> Captured:
        # QUIRK: Thunderbird sends the name in Latin-1 and the password in UTF-8.
        words = [_text(word) for word in response.split(b"\0", 2)]
        if len(words) == 3:
            authorization, authentication, password = words
            credentials = Credentials("PLAIN", authentication or authorization, password)
            return Captured(credentials, bool(authentication) and "\0" not in password)
        # QUIRK: no authzid and its NUL forgotten, or nothing but a name.
        return Captured(Credentials("PLAIN", words[0], words[1] if len(words) == 2 else None), False)


class Login(Exchange):
    """draft-murchison-sasl-login: two prompts; the initial response, where there is one, is the user name."""

    __slots__ = ("_username",)

    def __init__(self) -> None:
        self._username: str | None = None

    def challenge(self) -> bytes:
        return b"Username:"

    def respond(self, response: bytes) -> bytes | Captured:
        if self._username is None:
            self._username = _text(response)
            return b"Password:"
        return Captured(Credentials("LOGIN", self._username, _text(response)))


class CramMD5(Exchange):
    """RFC 2195: a challenge; user name, blank, and the digest in hexadecimal."""

    __slots__ = ("_challenge",)

    takes_initial_response = False

    def __init__(self, nonce: str, hostname: str) -> None:
        self._challenge = f"<{nonce}@{hostname}>"

    def challenge(self) -> bytes:
        return self._challenge.encode()

    def respond(self, response: bytes) -> Captured:
        username, blank, digest = _text(response).rpartition(" ")
        if not blank:
            username, digest = digest, ""
        well_formed = len(digest) == 32 and not digest.strip("0123456789abcdefABCDEF")
        credentials = Credentials("CRAM-MD5", username, challenge=self._challenge, digest=digest or None)
        return Captured(credentials, well_formed)


class XOAuth2(Exchange):
    """Google's and Microsoft's XOAUTH2: "user=" name ^A "auth=Bearer " token ^A ^A."""

    __slots__ = ()

    def respond(self, response: bytes) -> Captured:
        fields = _key_values(response)
        captured = _capture_bearer("XOAUTH2", fields.get("user"), fields, response)
        return captured._replace(well_formed=captured.well_formed and "user" in fields)


class OAuthBearer(Exchange):
    """RFC 7628 section 3.1: "n,a=" name "," ^A fields ^A ^A, of which "auth=Bearer " token counts."""

    __slots__ = ()

    def respond(self, response: bytes) -> Captured:
        header, _, rest = response.partition(b"\x01")
        username = None
        for attribute in _text(header).split(",")[1:]:
            if attribute.startswith("a="):
                # saslname of RFC 5801 section 4
                username = attribute[2:].replace("=2C", ",").replace("=3D", "=")
        fields = _key_values(rest)
        return _capture_bearer("OAUTHBEARER", username or fields.get("user"), fields, response)


def start_exchange(mechanism: str, nonce: str, hostname: str) -> Exchange | None:
    """A new exchange of this mechanism, written in upper case; None where we do not know it."""
    if mechanism == "CRAM-MD5":
        return CramMD5(nonce, hostname)
    make = _EXCHANGES.get(mechanism)
    return make() if make is not None else None


_EXCHANGES: Final[dict[str, type[Plain | Login | XOAuth2 | OAuthBearer]]] = {
    "PLAIN": Plain,
    "LOGIN": Login,
    "XOAUTH2": XOAuth2,
    "OAUTHBEARER": OAuthBearer,
}


def _text(octets: bytes) -> str:
    """One field of a response: each may have a charset of its own."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _key_values(octets: bytes) -> dict[str, str]:
    """The key=value pairs between ^A, keys in lower case."""
    pairs = (_text(field).partition("=") for field in octets.split(b"\x01") if b"=" in field)
    return {key.lower(): value for key, _, value in pairs}


def _capture_bearer(mechanism: str, username: str | None, fields: dict[str, str], response: bytes) -> Captured:
    """The token is the password; a response without one is captured whole."""
    value = fields.get("auth", "")
    scheme = _bearer(value)
    token = value[scheme.end() :].rstrip(" \t") if scheme is not None else ""
    if not token:
        return Captured(Credentials(mechanism, username, _text(response)), False)
    return Captured(Credentials(mechanism, username, token), response.endswith(b"\x01\x01"))
