"""Runs of real pytest with the plugin of the package, as those who use it have them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

# An installed package registers its plugin; a checkout on PYTHONPATH has to be told.
_INSTALLED = any(point.value == "fastsmtp.client.testing.plugin" for point in entry_points(group="pytest11"))
_PLUGIN = [] if _INSTALLED else ["-p", "fastsmtp.client.testing.plugin"]
PATIENCE_S = 90
# Sends a mail as an application does, to be copied into suites.
SENDING = """
import os
import smtplib
from email.message import EmailMessage


def send(inbox, to, subject="Welcome", text="Hello."):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", to, subject
    message.set_content(text)
    with smtplib.SMTP(inbox.smtp.host, inbox.smtp.port) as client:
        client.send_message(message)
"""


class Ran(NamedTuple):
    """How a run of pytest ended."""

    status: int
    shown: str

    @property
    def outcomes(self) -> str:
        """The last line, without the time."""
        return self.shown.rstrip().splitlines()[-1].partition(" in ")[0]


def pytest_command(*arguments: str) -> list[str]:
    """The command that runs pytest with the plugin."""
    return [sys.executable, "-m", "pytest", "-q", *_PLUGIN, "-p", "no:cacheprovider", *arguments]


def environment(**more: str) -> dict[str, str]:
    """That of a user who has set nothing but this."""
    kept = {name: value for name, value in os.environ.items() if not re.match("FASTSMTP_(URL|SMTP|RUN)|PYTEST_", name)}
    return {**kept, **more}


def run_pytest(directory: Path, suite: str, *arguments: str, **variables: str) -> Ran:
    """Run a suite, one file, in an empty directory."""
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "test_suite.py").write_text(SENDING + suite)
    done = subprocess.run(
        pytest_command(*arguments),
        cwd=directory,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout)
