"""What such a test looks like; the fixture `inbox` is that of the package's plugin."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from fastsmtp.client.testing.mailbox import OwnInbox


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


def test_registration_sends_a_mail(inbox: OwnInbox) -> None:
    register(inbox.smtp.host, inbox.smtp.port, "new@example.com")
    mail = inbox.wait_one(to="new@example.com")
    assert mail.subject == "Welcome"
    assert [attachment.filename for attachment in mail.attachments] == ["terms.pdf"]


def test_each_test_has_an_inbox_of_its_own(inbox: OwnInbox) -> None:
    assert inbox.mails == []


def test_a_mail_that_is_refused_once_is_sent_again(inbox: OwnInbox) -> None:
    inbox.faults({"rules": [{"id": "later", "when": {"at": "rcpt"}, "do": {"reply": "451 4.7.1 Later"}, "times": 1}]})
    for _attempt in range(2):
        try:
            register(inbox.smtp.host, inbox.smtp.port, "new@example.com")
        except smtplib.SMTPRecipientsRefused:
            continue
    inbox.exactly({"new@example.com": 1})
