"""Stands for a Django application: it writes to those who sign up."""

from __future__ import annotations

from django.core.mail import EmailMultiAlternatives


def sign_up(address: str) -> None:
    """Send the welcome mail."""
    mail = EmailMultiAlternatives("Welcome", "Thank you.\n", "shop@example.com", [address])
    mail.attach_alternative("<p>Thank you.</p>", "text/html")
    mail.send()
