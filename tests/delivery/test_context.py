"""The JSON that is written at once is octet by octet what orjson makes of the document."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson
import pytest
from captures import ENVELOPE, capture_email
from facts import FILES, read
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fastsmtp.capture.email import Email
from fastsmtp.delivery.payload import (
    attachment_document,
    email_document,
    encode_context,
    encode_document,
    encode_outline,
    read_message,
)
from fastsmtp.smtp.envelope import Credentials, Envelope, TLSInfo
from fastsmtp.smtp.proxied import Proxied
from fastsmtp.smtp.proxyheader import ProxyHeader

NAMES = (
    "uuid", "origin", "received_at", "envelope", "violations", "transcript", "message", "texts", "size", "raw",
    "attachments", "weight", "verdict", "budget", "faults", "copies",
)  # fmt: skip
EXAMPLES = settings.default.max_examples
ODD = ["", " ", '"', "\\", "\x00\x1f\x7f\x80", "\b\t\n\f\r", "é", "\u2028", "日本", "\U0001f600", "a" * 600 + '"' * 600]
ENVELOPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "HELO": {"esmtp": False},
    "odd texts": {"helo": ODD[3], "reverse_path": ODD[-1], "forward_paths": tuple(ODD)},
    "parameters": {"mail_parameters": {"SIZE": "1", "BODY": None, ODD[2]: ODD[4]}, "rcpt_parameters": ({"X": "y"}, {})},
    "AUTH failed": {"auth_attempted": True},
    "AUTH": {"auth_attempted": True, "credentials": Credentials("PLAIN", "joe", "secret")},
    "CRAM-MD5": {"auth_attempted": True, "credentials": Credentials("CRAM-MD5", "j", None, "<1@x>", "00")},
    "TLS": {"tls": TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")},
    "proxy": {"proxied": Proxied("[::1]:1", believed=True, header=ProxyHeader(2, "[::2]:2", "[::3]:3", {"a": "b"}))},
}
HEADERS = [
    b"Subject: x\r\n",
    b"subject: again\r\nSUBJECT: and again\r\n",
    b"Subject: =?utf-8?q?=C3=A4?= =?utf-8?b?8J+YgA==?=\r\n",
    b"Subject: =?utf-8?q?cut",
    "Subject: ünïcode\r\n".encode(),
    b"Subject: \xe4 = ? \xff\r\n",
    b'From: "A, B" <a@b.c>, d@e.f\r\nFrom: g@h.i\r\n',
    b"To: undisclosed-recipients:;\r\nCc: =?utf-8?q?J?= <j@k.l>\r\nBcc: <<x>>\r\nReply-To: a@b\r\n",
    b"Date: Mon, 3 Nov 2025 10:30:45 +0000\r\nDate: later\r\n",
    b"Message-ID: <1@x> (comment)\r\nMessage-ID: <2@x>\r\n",
    b'x-own-name: \\ "quoted" \x01\x1f\x7f\r\nX-OWN: ' + b"=" * 600 + b"\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: text/html; charset=latin1\r\n",
    b"Content-Type: application/pdf; name=x.pdf\r\n",
]
BODIES = [
    b"",
    b"text\r\n",
    b"\xe4\xff\r\n",
    "ä\U0001f600\r\n".encode(),
    b'"\\\x00\r\n' * 300,
    b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
]


def oracle(email: Email, *, include_raw: bool = True) -> bytes:
    document = email_document(email, read_message(email, include_raw=include_raw))
    return b"".join(encode_document(document, email.attachments, attachment_document))


def outline(email: Email) -> bytes:
    document = email_document(email, read_message(email, include_raw=False))
    return orjson.dumps(document | {"attachments": [attachment_document(part) for part in email.attachments]})


def capture(octets: bytes) -> Email:
    with capture_logs():
        email = capture_email(octets, include_raw=True)
    assert email is not None
    return email


def changed(email: Email, **changes: Any) -> Email:
    """The email with other attributes. Defects are noted while it is encoded, so each is captured for one encoding."""
    return Email(**{name: getattr(email, name) for name in NAMES if name not in changes}, **changes)


def check(octets: bytes, **changes: Any) -> None:
    def email() -> Email:
        return changed(capture(octets), uuid="u", received_at=1762165845, **changes)

    assert b"".join(encode_context(email())) == oracle(email())
    assert b"".join(encode_context(email(), include_raw=False)) == oracle(email(), include_raw=False)
    assert encode_outline(email()) == outline(email())


@pytest.mark.parametrize("name", FILES)
def test_corpus(name: str) -> None:
    check(read(name))


@pytest.mark.parametrize("changes", ENVELOPES.values(), ids=ENVELOPES)
def test_envelopes(changes: dict[str, Any]) -> None:
    values = {field.name: getattr(ENVELOPE, field.name) for field in dataclasses.fields(ENVELOPE)}
    check(b"Subject: x\r\n\r\ntext\r\n", envelope=Envelope(**values | changes))


def test_violations_and_transcripts() -> None:
    check(b"\r\nx", violations=[("bare-lf", ODD[-1], 3)])
    check(b"\r\nx", transcript=[(0, "client", ODD[4], ""), (12, "server", "220 x", "")])


@given(st.lists(st.sampled_from(HEADERS), max_size=12), st.sampled_from(BODIES))
@settings(max_examples=3 * EXAMPLES)
def test_headers_and_bodies(fields: list[bytes], body: bytes) -> None:
    check(b"".join(fields) + b"\r\n" + body)


@given(st.lists(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), max_size=30))
def test_any_octets(pieces: list[bytes]) -> None:
    check(b"\r\n".join(pieces))


def test_a_text_that_is_no_unicode_is_refused_as_orjson_refuses_it() -> None:
    email = changed(capture(b"\r\nx"), uuid="\ud800")
    with pytest.raises(TypeError, match="surrogates"):
        encode_context(email)
