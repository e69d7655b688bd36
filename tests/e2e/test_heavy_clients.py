"""The mail of `test_libraries.py` by clients that are too big, or take too long to build, for each run of the tests.

`make test-clients` installs and runs them. Nothing here is collected otherwise but by `-m heavy`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bigmail import expected, write_files
from commands import run
from marionette import thunderbird
from servers import TESTS, Serve, Server
from wholemail import whole_mail

# Downloads and builds are the clients', and a program for the desktop takes its time to start.
pytestmark = [pytest.mark.one_python, pytest.mark.heavy, pytest.mark.timeout(900)]

CLIENTS = TESTS / "clients"
BUILD_S = 800
HTML_OF_THUNDERBIRD = """\
<html>
  <head>

    <meta http-equiv="content-type" content="text/html; charset=UTF-8">
  </head>
  <body>
    <p>Schöne Grüße,<br>
      Zoë</p>
  </body>
</html>
"""

Send = Callable[[Server, Path], None]


def built(name: str) -> Path:
    """The client's directory, copied to where what is built is found again by the next run."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastsmtp-tests"
    return Path(shutil.copytree(CLIENTS / name, base / name, dirs_exist_ok=True))


def by_go_mail(server: Server, directory: Path) -> None:
    source = built("gomail")
    run(["go", "build", "-C", str(source), "-o", "gomail", "."], patience_s=BUILD_S)
    run([str(source / "gomail"), server.host, str(server.port), *map(str, write_files(directory))])


def by_lettre(server: Server, directory: Path) -> None:
    source = built("lettre")
    run(["cargo", "build", "--quiet", "--locked", "--manifest-path", str(source / "Cargo.toml")], patience_s=BUILD_S)
    client = source / "target" / "debug" / "lettre-client"
    run([str(client), server.host, str(server.port), *map(str, write_files(directory))])


def by_angus_mail(server: Server, directory: Path) -> None:
    source = built("angusmail")
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(source / "pom.xml"), "dependency:copy-dependencies"]
    run([*command, f"-DoutputDirectory={source / 'dependencies'}"], patience_s=BUILD_S)
    command = ["java", "-Dfile.encoding=UTF-8", "-cp", f"{source / 'dependencies'}/*", str(source / "AngusMail.java")]
    run([*command, server.host, str(server.port), *map(str, write_files(directory))])


def by_thunderbird(server: Server, directory: Path) -> None:
    paths = [str(path) for path in write_files(directory)]
    script = (CLIENTS / "thunderbird.js").read_text()
    with thunderbird(directory) as client:
        assert client.run(script, server.host, server.port, paths) == "sent"


SENDERS: dict[str, tuple[Send, dict[str, Any]]] = {
    "go-mail": (by_go_mail, expected("LOGIN")),
    # Its attachments go out as they are, line ends too.
    "lettre": (by_lettre, expected("LOGIN", violations=[("bare-lf-in-body", "", 1)])),
    "Angus Mail": (by_angus_mail, expected("LOGIN")),
    "Thunderbird": (by_thunderbird, expected("PLAIN", html=HTML_OF_THUNDERBIRD)),
}


@pytest.mark.parametrize("name", SENDERS)
def test_the_whole_mail_arrives(serve: Serve, tmp_path: Path, name: str) -> None:
    send, payload = SENDERS[name]
    server = serve({"smtp": {"tls": {"cert": "auto"}}})
    send(server, tmp_path)
    assert whole_mail(server) == payload
