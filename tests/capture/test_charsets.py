"""Texts in charsets with shifts and a stray octet in them: bodies, subjects, names and names of files."""

from __future__ import annotations

import base64
from urllib.parse import quote_from_bytes

import pytest
from captures import capture

# What is sent, and what is read of it.
DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "iso-2022-jp": ("iso-2022-jp", b"\x1b$B'&\xc8", "Е\ufffd"),
    "iso-2022-jp between characters": ("iso-2022-jp", b"\x1b$BF|\xe9K\\\x1b(B!", "日\ufffd本!"),
    "iso-2022-jp of vendors": ("iso-2022-jp", b"\x1b$B-b\x1b(B \xe9", "№ \ufffd"),
    "iso-2022-kr": ("iso-2022-kr", b"\x1b$)C\x0eGQ\xe919\x0f!", "한\ufffd국!"),
    "iso-2022-kr cut": ("iso-2022-kr", b"\x1b$)C\x0eGQ1", "한\ufffd"),
    "hz": ("hz-gb-2312", b"~{VP\xe9ND~}!", "中\ufffd文!"),
    "hz cut": ("hz-gb-2312", b"~{VPN", "中\ufffd"),
}


@pytest.mark.parametrize(("charset", "octets", "text"), DAMAGED.values(), ids=DAMAGED)
def test_characters_stay_beside_a_stray_octet(charset: str, octets: bytes, text: str) -> None:
    word = b"=?%s?b?%s?=" % (charset.encode(), base64.b64encode(octets))
    escaped = quote_from_bytes(octets, safe="").encode()
    message = (
        b"From: %s <a@b.example>\r\nSubject: %s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=%s\r\n\r\n%s\r\n"
        b'--b\r\nContent-Type: image/png; name="%s"\r\n\r\n\r\n'
        b"--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename*=%s''%s\r\n\r\n\r\n--b--\r\n"
    ) % (word, word, charset.encode(), octets, word, charset.encode(), escaped)
    for piece in (0, 1, 7, 1000):
        context = capture(message, piece)
        found = context["message"]
        assert found["from"] == [{"name": text, "address": "a@b.example"}], piece
        assert (found["subject"], found["text"], found["defects"]) == (text, text, ["undecodable-charset"]), piece
        assert [item["filename"] for item in context["attachments"]] == [text, text], piece


WORDS: dict[str, tuple[str, str]] = {
    "iso-2022-jp": ("=?iso-2022-jp?Q?=1B$BF|?= =?iso-2022-jp?Q?K=5C=E9=1B=28B!?=", "日本\ufffd!"),
    "iso-2022-jp, in the first": ("=?iso-2022-jp?Q?=1B$B=E9F|?= =?iso-2022-jp?Q?K=5C=1B=28B!?=", "\ufffd日本!"),
    "iso-2022-kr": ("=?iso-2022-kr?Q?=1B$)C=0EGQ?= =?iso-2022-kr?Q?19=E9=0F!?=", "한국\ufffd!"),
    "hz": ("=?hz-gb-2312?Q?~{VP?= =?hz-gb-2312?Q?ND=E9~}!?=", "中文\ufffd!"),
    "hz, shifted in each": ("=?hz-gb-2312?Q?~{VP=E9~}?= =?hz-gb-2312?Q?~{ND~}!?=", "中\ufffd文!"),
}


@pytest.mark.parametrize(("subject", "text"), WORDS.values(), ids=WORDS)
def test_words_cut_within_a_shift_are_joined_in_spite_of_a_stray_octet(subject: str, text: str) -> None:
    message = f"Subject: {subject}\r\n\r\nx".encode()
    for piece in (0, 1, 7):
        found = capture(message, piece)["message"]
        assert (found["subject"], found["defects"]) == (text, ["undecodable-charset"]), piece
