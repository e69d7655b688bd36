"""The fixture that serves an inbox without an SMTP process."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from inboxclient import Client, Serve, Work
from pools import Log, Run

from fastsmtp.config.settings import InboxSettings, SMTPSettings
from fastsmtp.inbox.api.app import make_app
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.store import Store
from fastsmtp.ops.httpserver import HTTPServer

SMTP = SMTPSettings()


@pytest.fixture
def serving(run_loop: Run, log: Log) -> Serve:
    """Do the work with a client of a server of these settings."""

    def do(work: Work, smtp: SMTPSettings = SMTP, **settings: Any) -> None:
        async def go() -> None:
            inbox_settings = InboxSettings(**settings)
            store = Store("", max_namespaces=inbox_settings.retention.max_namespaces)
            inbox = Inbox(store, log.logger)
            await inbox.put("default")
            server = HTTPServer("inbox.address", "127.0.0.1:0")
            await server.serve(make_app(inbox, inbox_settings, smtp, log.logger))
            async with aiohttp.ClientSession() as session:
                await work(Client(inbox, server.url, session))
            await inbox.close()
            await server.stop()

        run_loop(go())

    return do
