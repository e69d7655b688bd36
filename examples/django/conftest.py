"""Has Django send by SMTP to the inbox of each test; with pytest-django its fixture `settings` does the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test.utils import override_settings

from fastsmtp.client.testing.mailbox import OwnInbox

if not settings.configured:
    settings.configure()


@pytest.fixture
def mails(inbox: OwnInbox) -> Iterator[OwnInbox]:
    """The inbox, to which Django sends."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    with override_settings(EMAIL_BACKEND=backend, EMAIL_HOST=inbox.smtp.host, EMAIL_PORT=inbox.smtp.port):
        yield inbox
