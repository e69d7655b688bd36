"""Seeded mail: the same octets at every run, on every machine."""

from __future__ import annotations

import base64
import quopri
import random

ENGLISH = ["the", "server", "takes", "each", "mail", "apart", "while", "it", "arrives", "and", "hands", "it", "on"]
GERMAN = ["mail", "Grüße", "server", "wörld", "über", "München", "and", "für", "is", "decoded", "=", "payload", "the"]


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def prose(words: list[str], octets: int, seed: int = 2045) -> str:
    """Lines of 12 words, of at least so many octets."""
    chooser = random.Random(seed)
    lines: list[str] = []
    size = 0
    while size < octets:
        lines.append(" ".join(chooser.choices(words, k=12)))
        size += len(lines[-1].encode()) + 2
    return "\n".join(lines) + "\n"


def header(subject: str = "The report of this week") -> str:
    return (
        "From: Alice Example <alice@example.com>\n"
        "To: Bob <bob@example.com>, carol@example.com\n"
        f"Subject: {subject}\n"
        "Date: Mon, 03 Nov 2025 10:30:45 +0000\n"
        "Message-ID: <20251103.1@example.com>\n"
        "MIME-Version: 1.0\n"
    )


def plain(octets: int = 1024) -> bytes:
    """A plain mail of so many octets, or a line more."""
    head = crlf(header() + "Content-Type: text/plain; charset=utf-8\n\n")
    return head + crlf(prose(ENGLISH, octets - len(head)))


def encoded(octets: int = 1024) -> bytes:
    """A mail like `plain` with encoded words and a quoted-printable body."""
    head = header("=?utf-8?b?R3LDvMOfZSDigJQgeW91ciBpbnZvaWNlIOKEljQy?=")
    head += "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    return crlf(head) + quoted_printable(GERMAN, octets - len(head))


def quoted_printable(words: list[str], octets: int) -> bytes:
    """At least so many octets of prose in quoted-printable, which are whole lines."""
    return quopri.encodestring(prose(words, octets).encode()).replace(b"\n", b"\r\n")


def base64_lines(octets: int) -> bytes:
    """So many random octets in lines of 76 characters."""
    return base64.encodebytes(random.Random(5321).randbytes(octets)).replace(b"\n", b"\r\n")


def with_attachment(encoding: str, content: bytes) -> bytes:
    """A text and an attachment with `content`, which is in its transfer encoding already."""
    return (
        crlf(
            header() + 'Content-Type: multipart/mixed; boundary="boundary-1"\n\n'
            "--boundary-1\nContent-Type: text/plain; charset=utf-8\n\nSee the attachment.\n"
            '--boundary-1\nContent-Type: application/octet-stream; name="report.bin"\n'
            'Content-Disposition: attachment; filename="report.bin"\n'
            f"Content-Transfer-Encoding: {encoding}\n\n"
        )
        + content
        + b"--boundary-1--\r\n"
    )


def of_100_kb() -> bytes:
    """Text, HTML, and two attachments: 100 KB."""
    attachment = base64_lines(25_000).decode()
    return crlf(
        header() + 'Content-Type: multipart/mixed; boundary="outer"\n\n'
        '--outer\nContent-Type: multipart/alternative; boundary="inner"\n\n'
        "--inner\nContent-Type: text/plain; charset=utf-8\n\n" + prose(ENGLISH, 10_000) + "--inner\n"
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        + quoted_printable(GERMAN, 15_000).decode().replace("\r\n", "\n")
        + "--inner--\n"
        + "".join(
            f'--outer\nContent-Type: application/pdf; name="{name}.pdf"\nContent-Transfer-Encoding: base64\n'
            f'Content-Disposition: attachment; filename="{name}.pdf"\n\n' + attachment.replace("\r\n", "\n")
            for name in ("one", "two")
        )
        + "--outer--\n"
    )


def stuffed(message: bytes) -> bytes:
    """A message, which ends in CRLF, as it is sent in DATA, with the last dot (RFC 5321 4.5.2)."""
    dotted = message.replace(b"\r\n.", b"\r\n..")
    return (b"." if dotted.startswith(b".") else b"") + dotted + b".\r\n"
