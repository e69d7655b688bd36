"""Mails of a Django application."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shop import sign_up

from fastsmtp.client.testing.mailbox import OwnInbox


def test_the_welcome_mail_is_as_ever(mails: OwnInbox) -> None:
    sign_up("ann@example.com")
    mails.expect_like(Path(__file__).parent / "golden" / "welcome.eml")


def test_everyone_gets_one(mails: OwnInbox) -> None:
    readers = [f"reader{number}@example.com" for number in range(20)]
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(sign_up, readers))
    mails.exactly(dict.fromkeys(readers, 1))
