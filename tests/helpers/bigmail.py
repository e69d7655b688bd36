"""A mail with umlauts in subject, name and file name, with HTML and two files, and what of it is to arrive."""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from pathlib import Path
from smtplib import SMTP
from typing import Any

from servers import Server
from wholemail import digest
from wire import trusting

SUBJECT = "Grüße aus Köln"
TEXT = "Schöne Grüße,\nZoë\n"
HTML = "<p>Schöne Grüße,<br>Zoë</p>\n"
CSV_NAME = "Übersicht für März.csv"
CSV = b"a;b\n1;2\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\1\2\3" * 1000


def write_message(directory: Path) -> Path:
    """The mail as a file with CRLF, for the clients that send what they are given."""
    message = EmailMessage()
    message["From"] = "Zoë Müller <zoe@example.com>"
    message["To"] = "Bob <bob@example.com>, carol@example.com"
    message["Subject"] = SUBJECT
    message.set_content(TEXT)
    message.add_alternative(HTML, subtype="html")
    message.add_attachment(CSV, maintype="text", subtype="csv", filename=CSV_NAME)
    message.add_attachment(PNG, maintype="image", subtype="png", filename="pixel.png")
    path = directory / "message.eml"
    path.write_bytes(message.as_bytes().replace(b"\n", b"\r\n"))
    return path


def write_files(directory: Path) -> list[Path]:
    """The two files, for the clients that attach files."""
    for name, octets in ((CSV_NAME, CSV), ("pixel.png", PNG)):
        (directory / name).write_bytes(octets)
    return [directory / CSV_NAME, directory / "pixel.png"]


def write_certificate(server: Server, directory: Path) -> Path:
    """The certificate that the server made for itself, for the clients that check it."""
    with SMTP(server.host, server.port, "client.example.com") as client:
        client.starttls(context=trusting())
        assert isinstance(client.sock, ssl.SSLSocket)
        certificate = client.sock.getpeercert(binary_form=True)
    assert certificate is not None
    path = directory / "certificate.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(certificate))
    return path


def expected(
    mechanism: str, username: str = "jürgen", password: str = "gehëim", *, csv: bytes = CSV, **others: Any
) -> dict[str, Any]:
    """What `whole_mail` gives; `csv`, whose line ends are the client's, and `others` is what it does in its own way."""
    return {
        "envelope": ("zoe@example.com", ["bob@example.com", "carol@example.com"]),
        "login": (mechanism, username, password),
        "tls": True,
        "violations": [],
        "from": [("Zoë Müller", "zoe@example.com")],
        "to": [("Bob", "bob@example.com"), ("", "carol@example.com")],
        "cc": [],
        "subject": SUBJECT,
        "text": TEXT,
        "html": HTML,
        "defects": [],
        "attachments": [
            (CSV_NAME, "text/csv", "attachment", digest(csv)),
            ("pixel.png", "image/png", "attachment", digest(PNG)),
        ],
        **others,
    }
