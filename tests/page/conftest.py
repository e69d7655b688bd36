"""A server with an inbox, and a browser that looks at its page: one of each for all tests of a file.

They are no longer there than that: while Playwright runs, no test of its process can run an event loop.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from browsing import Mailbox, Trap
from playwright.sync_api import Browser, Page, expect, sync_playwright
from servers import Server
from startserver import serve

__all__ = ["serve"]

_NAMES = itertools.count(1)
_PATIENCE_MS = 30_000
expect.set_options(timeout=_PATIENCE_MS)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that prints mails, and keeps what was said."""
    directory = tmp_path_factory.mktemp("page")
    settings = {
        "version": "3",
        "smtp": {"addr": "127.0.0.1:0", "include_transcript": True},
        "inbox": {"address": "127.0.0.1:0"},
    }
    (directory / ".rr.yaml").write_text(yaml.safe_dump(settings))
    fastsmtp = shutil.which("fastsmtp", path=str(Path(sys.executable).parent))
    command = [fastsmtp] if fastsmtp else [sys.executable, "-m", "fastsmtp"]
    started = Server([*command, "serve", "--ready-file", str(directory / "ready")], directory, directory / "ready")
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Its own requests to the world are off; `evil.test` is this machine."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",  # in containers there is little of it
                "--host-resolver-rules=MAP evil.test 127.0.0.1",
                "--disable-background-networking",
            ],
        )
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open an address in a browser that knows nothing: `open_page(url, viewport=…, color_scheme=…)`.

    What a script throws fails the test; with `scripts="theirs"`, where they are not our page's, it does not.
    """
    contexts = []
    errors: list[str] = []

    def open_(url: str, scripts: str = "ours", **options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        if scripts == "ours":
            page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def mailbox(server: Server) -> Mailbox:
    """A namespace of the test's own."""
    made = Mailbox(server, f"test-{next(_NAMES)}/w1")
    made.call("PUT", "")
    return made


@pytest.fixture
def trap() -> Iterator[Trap]:
    """A server at another origin, to which nothing may come."""
    made = Trap()
    yield made
    made.close()
