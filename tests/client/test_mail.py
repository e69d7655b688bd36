"""How a message becomes the content of a mail, for DATA and for BDAT."""

from __future__ import annotations

import pytest

from fastsmtp.client.mail import Content, Mail, content_of


@pytest.mark.parametrize(
    ("message", "octets", "stuffed"),
    [
        (b"", b"\r\n", b"\r\n"),
        (b"x", b"x\r\n", b"x\r\n"),
        (b"x\n", b"x\r\n", b"x\r\n"),
        (b"x\r\n", b"x\r\n", b"x\r\n"),
        (b".", b".\r\n", b"..\r\n"),
        (b".x\r\n", b".x\r\n", b"..x\r\n"),
        (b"a\rb", b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\n.\n..b\n", b"a\r\n.\r\n..b\r\n", b"a\r\n..\r\n...b\r\n"),
        (b"A: 1\r\n\r\n.\r\n..x\r", b"A: 1\r\n\r\n.\r\n..x\r\n", b"A: 1\r\n\r\n..\r\n...x\r\n"),
    ],
)
def test_content_of(message: bytes, octets: bytes, stuffed: bytes) -> None:
    assert content_of(message) == Content(octets, stuffed, False)


def test_content_with_octets_above_127() -> None:
    assert content_of(b"\xe4\n") == Content(b"\xe4\r\n", b"\xe4\r\n", True)


def test_content_without_dots_exists_once() -> None:
    content = content_of(b"x\n")
    assert content.stuffed is content.octets


def test_size_counts_the_head_and_no_stuffed_dot() -> None:
    assert Mail("m", b"X: 1\r\n", content_of(b"\n.\n")).octets == 11
