"""Fixtures of the inbox."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from inboxclient import Client, Serve, Work
from pools import Log, Run
from startserver import serve

from fastsmtp.config.settings import InboxSettings
from fastsmtp.inbox.api.app import make_app
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.store import Store
from fastsmtp.inbox.workerpayload import Shape
from fastsmtp.ops.httpserver import HTTPServer

__all__ = ["serve"]

PLAIN = Shape()


@pytest.fixture
def serving(run_loop: Run, log: Log) -> Serve:
    """Do the work with a client of a server of these settings."""

    def do(work: Work, shape: Shape = PLAIN, **settings: Any) -> None:
        async def go() -> None:
            inbox = Inbox(Store(""), log.logger)
            await inbox.put("default")
            server = HTTPServer("inbox.address", "127.0.0.1:0")
            await server.serve(make_app(inbox, InboxSettings(**settings), log.logger, shape))
            async with aiohttp.ClientSession() as session:
                await work(Client(inbox, server.url, session))
            await inbox.close()
            await server.stop()

        run_loop(go())

    return do
