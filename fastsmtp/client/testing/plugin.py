"""The pytest plugin: `mail_server` for the whole run, and for each test an `inbox` of its own.

Nothing is started, and nothing but this is imported, until a test asks for one of the fixtures.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from fastsmtp.client.testing.mailbox import OwnInbox
    from fastsmtp.client.testing.mailserver import MailServer

_FAILED: Final = pytest.StashKey[bool]()
_INBOXES: Final = pytest.StashKey[list["OwnInbox"]]()
_TITLE: Final = "mails of this test"
_NAME_CHARS: Final = 40
_counter: Final = itertools.count(1)


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """The server at FASTSMTP_URL; else one that is started once for all workers of this run, and ends with the last."""
    from fastsmtp.client.testing.mailserver import open_server

    with open_server(os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(6)) as server:
        yield server


@pytest.fixture
def inbox_settings(mail_server: MailServer) -> dict[str, Any]:
    """The document with which the inbox of a test is made (docs/inbox.md), to be overridden for quotas and modes."""
    return mail_server.settings


@pytest.fixture
def inbox(
    request: pytest.FixtureRequest, mail_server: MailServer, inbox_settings: dict[str, Any]
) -> Iterator[OwnInbox]:
    """An empty inbox that no other test shares, with an SMTP port of its own; it is deleted when the test is over.

    That of a failed test stays where the server does, so that its page can be looked at.
    """
    with contextlib.closing(mail_server.open_inbox(_name(request.node.name), inbox_settings)) as made:
        request.node.stash.setdefault(_INBOXES, []).append(made)
        yield made
        if mail_server.stays and request.node.stash.get(_FAILED, False):
            made.keep()


def _name(test: str) -> str:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")[:_NAME_CHARS]
    return f"{name}-{worker}-{next(_counter)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a test that failed which mails came, and where its page is."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    if report.failed and report.when == "call":
        for made in item.stash.get(_INBOXES, []):
            report.sections.append((_TITLE, _summary(made)))
    return report


def _summary(inbox: OwnInbox) -> str:
    from fastsmtp.client.inbox import InboxError

    try:
        return inbox.summary()
    except InboxError as error:
        return f"the inbox does not answer: {error}"
