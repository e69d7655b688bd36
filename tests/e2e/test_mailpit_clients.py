"""Published clients of Mailpit and MailHog, unchanged, with a real server: at the root and in a namespace."""

from __future__ import annotations

import hashlib
import json
import os
import re
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from npm import npm_package
from pypi import pypi_source
from servers import Serve, Server

pytestmark = pytest.mark.one_python

CLIENTS = Path(__file__).parent.parent / "clients"
MAILPIT_API = "mailpit-api@2.1.0"
MAILHOG = "mailhog@4.16.0"
CYPRESS_MAILPIT = "cypress-mailpit@2.0.0"
PYTEST_MAILPIT = "pytest-mailpit==0.4.1"
# What it needs, and what its source is built with; pytest is ours.
ITS_NEEDS = ("requests", "urllib3", "idna", "certifi", "charset-normalizer")
ITS_BUILD = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")
# Of its tests those that want more than a Mailpit: a browser, a container, plugins for other reports. And those of
# checks that docs/mailpit.md tells the reasons for which they are not here.
LEFT_OUT = ("test_browser.py", "test_container.py")
NOT_HERE = "not allure and not html_support and not links_that_work and not broken_link"


def node(package: str, script: str, *arguments: str) -> Any:
    """Return what the script prints."""
    modules = str(npm_package(package) / "node_modules")
    command = ["node", str(CLIENTS / script), *arguments]
    done = subprocess.run(
        command, env={"NODE_PATH": modules, "PATH": "/usr/local/bin:/usr/bin:/bin"}, capture_output=True, timeout=60
    )
    assert done.stderr == b""
    return json.loads(done.stdout)


def inbox_server(serve: Serve) -> Server:
    return serve({"inbox": {"address": "127.0.0.1:0"}}, worker="echo.php")


def test_mailpit_api_of_npm(serve: Serve) -> None:
    server = inbox_server(serve)
    paths = ("", "/ns/run-1", "/ns/run-1/w2")
    told = [node(MAILPIT_API, "mailpit_api.mjs", f"{server.inbox}{path}") for path in paths]
    csv, png = (hashlib.md5(octets).hexdigest() for octets in (b"a;b\r\n", b"\x89PNG"))
    shown = {
        "list": [1, 1, 1, ["x y"], True],
        "message": [
            {"Name": "Zoë", "Address": "zoe@example.com"},
            [{"Name": "Bob", "Address": "bob@example.com"}],
            [{"Name": "", "Address": "hidden@example.com"}],
            "Grüße",
            "hello",
            ["x y"],
        ],
        "parts": [["dot.png", "image/png", 4, png], ["t.csv", "text/csv", 5, csv]],
        "headers": ["7"],
        "source": True,
        "html": True,
        "text": "hello\r\n",
        "search": [1, 0],
        "unread": 1,
        "tags": ["two"],
        "tagless": [],
        "info": 1,
        "webui": False,
        "refused": [400, 404, 400, 404],
        "left": 0,
    }
    assert told == [shown] * len(paths)


def test_cypress_mailpit_of_npm(serve: Serve) -> None:
    """At the root, at the path of a namespace, and as the user that a namespace is named by."""
    server = inbox_server(serve)
    for path, *user in (("",), ("/ns/run-1",), ("", "run-1")):
        told = node(CYPRESS_MAILPIT, "cypress_mailpit.mjs", f"{server.inbox}{path}", *user)
        assert told == cypress_told("".join(user))


def cypress_told(user: str) -> dict[str, Any]:
    return {
        "all": [2, ["Another", "Hello Mailpit"], ["signup", "x y"]],
        "mail": ["Hello Mailpit", "from@example.com", ["jane@example.com"], ["t.csv"], user],
        "html": '<!doctype html><meta charset="utf-8"><base target="_blank"><p>hello from mailpit</p>\r\n',
        "text": "hello from mailpit",
        "latest": "Another",
        "has": [1, 1, 1, 0, 0],
        "unread": [0, 1, 0, 2, 0],
        "left": 1,
    }


def send(server: Server, username: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Zoe <zoe@example.com>", "bob@example.com", "Grüße"
    message.set_content("hello\n")
    message.add_attachment(b"a;b", maintype="text", subtype="csv", filename="t.csv")
    with smtplib.SMTP(server.host, server.port, timeout=30) as client:
        client.login(username, "secret")
        client.send_message(message)


def test_mailhog_of_npm(serve: Serve) -> None:
    server = inbox_server(serve)
    host, _colon, port = server.inbox.removeprefix("http://").partition(":")
    for path in ("/api", "/mailhog/api", "/ns/run-1/api"):
        send(server, "run-1")
        send(server, "run-1")
        assert node(MAILHOG, "mailhog.js", host, port, path) == MAILHOG_TOLD


MAILHOG_TOLD = {
    "all": [2, 2, 0],
    "latest": [
        "Zoe <zoe@example.com>",
        "bob@example.com",
        "Grüße",
        "hello\r\n",
        None,
        ["t.csv"],
    ],
    "search": [0, 2],
    "left": 1,
    "none": 0,
}


if sys.version_info >= (3, 11):  # it wants no older one

    @pytest.mark.timeout(300)
    def test_pytest_mailpit_of_pypi_with_its_own_tests(serve: Serve) -> None:
        server = inbox_server(serve)
        package = pypi_source(PYTEST_MAILPIT, *ITS_NEEDS, *ITS_BUILD)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "integration", "-k", NOT_HERE]
        command += [f"--ignore=tests/integration/{name}" for name in LEFT_OUT]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(package / "installed"), os.environ.get("PYTHONPATH", "")]),
            "MAILPIT_URL": f"{server.inbox}/",
            "MAILPIT_SMTP": f"{server.host}:{server.port}",
        }
        done = subprocess.run(
            [*command, "tests/integration"], cwd=package / "source", env=environment, capture_output=True, text=True
        )
        counts = re.findall(r"\d+ (?:passed|failed|errors?|skipped|deselected)", done.stdout.splitlines()[-1])
        assert (done.returncode, counts) == (0, ["33 passed", "4 deselected"])
