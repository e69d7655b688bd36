"""What such a test looks like."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from conftest import MailServer


def register(host: str, port: int, address: str) -> None:
    """Stands for the application under test."""
    message = EmailMessage()
    message["From"] = "shop@example.com"
    message["To"] = address
    message["Subject"] = "Welcome"
    message.set_content("Thank you.\n")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="terms.pdf")
    with smtplib.SMTP(host, port) as client:
        client.send_message(message)


def test_registration_sends_a_mail(mail_server: MailServer) -> None:
    register(mail_server.host, mail_server.port, "new@example.com")
    # The mail is there as soon as it was accepted: no need to wait.
    [mail] = mail_server.mails()
    assert mail["envelope"]["to"] == ["new@example.com"]
    assert mail["message"]["subject"] == "Welcome"
    assert [attachment["filename"] for attachment in mail["attachments"]] == ["terms.pdf"]


def test_the_next_test_begins_with_none(mail_server: MailServer) -> None:
    assert mail_server.mails() == []
